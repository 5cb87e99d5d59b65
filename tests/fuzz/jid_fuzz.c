/* SPDX-License-Identifier: Apache-2.0
 *
 * Any octets as an address: what is taken is a fixed point within the limits, free of what a part
 * may not hold, and splits again into the same parts; on ASCII the quick path and ICU agree. */
#include <stdlib.h>

#include "precis.h"
#include "stentor/jid.h"
#include "stentor/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size);

static void check_fixed_point(const struct jid *jid)
{
    uint8_t text_room[JID_SIZE_MAX];
    uint8_t again_room[JID_SIZE_MAX];
    struct writer text = writer_of(text_room, sizeof(text_room));
    struct writer again = writer_of(again_room, sizeof(again_room));
    struct jid split;
    struct jid prepared;
    jid_write(&text, jid);
    ASSERT(!text.is_overflown);
    ASSERT(utf8_is_valid(writer_bytes(&text)));
    ASSERT(jid_split(writer_bytes(&text), &split) == ERROR_NONE);
    ASSERT(jid_equal(&split, jid));
    ASSERT(jid_prepare(writer_bytes(&text), &again, &prepared) == ERROR_NONE);
    ASSERT(jid_equal(&prepared, jid));
}

static void check_parts(const struct jid *jid)
{
    ASSERT(jid->domain.size >= 1);
    ASSERT(jid->domain.size <= JID_PART_SIZE_MAX);
    ASSERT(jid->local.size <= JID_PART_SIZE_MAX);
    ASSERT(jid->resource.size <= JID_PART_SIZE_MAX);
    for (size_t i = 0; i < jid->local.size; i++)
        ASSERT(jid->local.at[i] > ' ' && strchr("\"&'/:<>@\x7f", jid->local.at[i]) == NULL);
    for (size_t i = 0; i < jid->resource.size; i++)
        ASSERT(jid->resource.at[i] >= ' ');
}

static void check_ascii(struct bytes text)
{
    uint8_t slow_room[JID_PART_SIZE_MAX];
    uint8_t fast_room[JID_PART_SIZE_MAX];
    struct writer slow = writer_of(slow_room, sizeof(slow_room));
    struct writer fast = writer_of(fast_room, sizeof(fast_room));
    struct bytes prepared;
    for (size_t i = 0; i < text.size; i++)
        if (text.at[i] >= 0x80)
            return;
    bool is_taken = jid_prepare_resource(text, &fast, &prepared) == ERROR_NONE;
    ASSERT(is_taken == (precis_opaque(text, &slow) == ERROR_NONE));
    ASSERT(!is_taken || bytes_equal(prepared, writer_bytes(&slow)));
}

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size)
{
    uint8_t room[JID_SIZE_MAX];
    struct writer into = writer_of(room, sizeof(room));
    struct jid jid;
    struct bytes text = bytes_of(octets, size);
    if (jid_prepare(text, &into, &jid) == ERROR_NONE) {
        check_parts(&jid);
        check_fixed_point(&jid);
    }
    check_ascii(text);
    return 0;
}
