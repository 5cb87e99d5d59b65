/* SPDX-License-Identifier: Apache-2.0
 *
 * Any octets as a stream. The first two choose how it is cut and whether a good header is put
 * before the rest. Whole, in pieces and by the steps alone the verdict must be the same; Expat must
 * agree, but for what xml_oracle.h lists. */
#include <string.h>

#include "xml_oracle.h"

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size);

#define HEADER                                                                                     \
    "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"

struct fuzz {
    struct harness whole;
    struct harness pieces;
    struct harness steps;
    struct harness oracle_harness;
    struct oracle oracle;
    bool is_ready;
};

static void set_up(struct fuzz *fuzz)
{
    if (fuzz->is_ready)
        return;
    fuzz->is_ready = true;
    harness_init(&fuzz->whole);
    harness_init(&fuzz->pieces);
    harness_init(&fuzz->steps);
    harness_init(&fuzz->oracle_harness);
    fuzz->steps.reader->is_stepping_always = true;
    fuzz->oracle.harness = &fuzz->oracle_harness;
}

static void compare(struct fuzz *fuzz, struct bytes document, struct harness *other)
{
    struct outcome one = harness_read(&fuzz->whole, document, FROM_HEADER);
    struct outcome two = harness_read(other, document, FROM_HEADER);
    ASSERT(one.result == two.result);
    ASSERT(one.used == two.used);
    ASSERT(one.is_ended == two.is_ended);
    ASSERT(bytes_equal(writer_bytes(&fuzz->whole.log), writer_bytes(&other->log)));
}

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size)
{
    static struct fuzz fuzz;
    static uint8_t document[1 << 16];
    if (size < 2 || size > sizeof(document) / 2)
        return 0;
    struct writer writer = writer_of(document, sizeof(document));
    bool has_header = (octets[1] & 1) == 0;
    if (has_header)
        write_string(&writer, HEADER);
    write_bytes(&writer, bytes_of(octets + 2, size - 2));
    set_up(&fuzz);
    fuzz.pieces.piece = octets[0];
    fuzz.pieces.is_saving = (octets[1] & 2) != 0;
    fuzz.pieces.cut_at = octets[1] >> 2;
    compare(&fuzz, writer_bytes(&writer), &fuzz.pieces);
    compare(&fuzz, writer_bytes(&writer), &fuzz.steps);
    ASSERT(oracle_agrees(&fuzz.whole, &fuzz.oracle, writer_bytes(&writer), !has_header));
    return 0;
}
