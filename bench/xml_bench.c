/* SPDX-License-Identifier: Apache-2.0
 *
 * stentor-bench xml: reads one client stream (xml_traffic.c) cut into TCP segments of 1,460 octets,
 * as a worker would: items inside a segment are read in place, an item that spans segments is
 * gathered. With --compare expat the same segments go to Expat with namespace processing, its
 * handlers touching what they are given, as our side touches each node. The two take turns, each
 * figure is the median of the rounds, and one untimed pass first proves that both saw the same
 * elements, attributes and text. */
#include <expat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "stentor/text.h"
#include "stentor/xml.h"

#include "bench.h"
#include "xml_traffic.h"

#define SEGMENT_BYTES 1460u
#define STREAM_BYTES (2u << 20)
#define ROUNDS_MAX 101u
#define PASSES 8u /* of ours a round, so that both take about as long */

/* What a reader saw; equal for equal reading. */
struct seen {
    uint64_t stanzas;
    uint64_t elements;
    uint64_t attributes;
    uint64_t text_bytes; /* decoded, counted only by the untimed pass on our side */
    uint64_t touched;
};

struct xml_bench {
    struct heap heap;
    struct xml_reader *reader;
    struct xml_limits limits;
    struct bytes stream;
    uint64_t stanzas;
    uint8_t *gathered;
    uint32_t rounds;
    bool has_peer;
    bool is_json;
};

/* Time of this thread on its processor: what others run meanwhile is not our cost. */
static uint64_t bench_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- Expat ---- */

static void XMLCALL peer_start(void *user, const XML_Char *name, const XML_Char **attributes)
{
    struct seen *seen = user;
    seen->elements++;
    seen->touched += (uint8_t)name[0];
    for (; attributes[0] != NULL; attributes += 2) {
        seen->attributes++;
        seen->touched += (uint8_t)attributes[0][0] + (uint8_t)attributes[1][0];
    }
}

static void XMLCALL peer_end(void *user, const XML_Char *name)
{
    struct seen *seen = user;
    seen->touched += (uint8_t)name[0];
}

static void XMLCALL peer_text(void *user, const XML_Char *text, int size)
{
    struct seen *seen = user;
    seen->text_bytes += (uint64_t)size;
    seen->touched += (uint8_t)text[0];
}

static bool peer_pass(const struct xml_bench *bench, struct seen *seen)
{
    XML_Parser parser = XML_ParserCreateNS(NULL, '\n');
    if (parser == NULL)
        return false;
    XML_SetUserData(parser, seen);
    XML_SetElementHandler(parser, peer_start, peer_end);
    XML_SetCharacterDataHandler(parser, peer_text);
    bool is_good = true;
    for (size_t at = 0; is_good && at < bench->stream.size; at += SEGMENT_BYTES) {
        struct bytes rest = bytes_from(bench->stream, at);
        int size = (int)(rest.size < SEGMENT_BYTES ? rest.size : SEGMENT_BYTES);
        is_good = XML_Parse(parser, (const char *)rest.at, size, 0) == XML_STATUS_OK;
    }
    XML_ParserFree(parser);
    return is_good;
}

/* ---- Stentor ---- */

static void touch_item(const struct xml_item *item, struct seen *seen)
{
    uint64_t elements = 0;
    uint64_t attributes = 0;
    uint64_t touched = 0;
    for (uint32_t i = 0; i < item->node_count; i++) {
        const struct xml_node *node = &item->nodes[i];
        elements += node->kind == XML_NODE_ELEMENT;
        attributes += node->kind == XML_NODE_ATTRIBUTE;
        touched += item->input.at[node->at];
        touched += item->input.at[node->end - 1];
    }
    seen->stanzas += item->kind == XML_ITEM_STANZA;
    seen->elements += elements;
    seen->attributes += attributes;
    seen->touched += touched;
}

static void count_text(const struct xml_item *item, struct seen *seen)
{
    uint8_t text[XML_TRAFFIC_STANZA_MAX];
    for (uint32_t i = 0; i < item->node_count; i++) {
        if (item->nodes[i].kind != XML_NODE_TEXT)
            continue;
        struct writer writer = writer_of(text, sizeof(text));
        xml_decode(item, &item->nodes[i], &writer);
        seen->text_bytes += writer.size;
    }
}

enum pass_kind { PASS_TIMED, PASS_PROVING };

struct pass {
    const struct xml_bench *bench;
    struct seen *seen;
    enum pass_kind kind;
    enum xml_scope scope;
    size_t gathered_size;
    bool is_bad;
    bool has_header;
};

static enum xml_result read_item(struct pass *pass, struct xml_input *input, struct xml_item *item)
{
    const struct xml_bench *bench = pass->bench;
    if (pass->has_header)
        return xml_read(bench->reader, pass->scope, &bench->limits, input, item);
    enum xml_result result = xml_read_header(bench->reader, &bench->limits, input, item);
    if (result == XML_DONE) {
        pass->has_header = true;
        pass->scope = item->scope;
    }
    return result;
}

/* Reads all whole items; returns the octets left, the start of an item. */
static struct bytes read_items(struct pass *pass, struct bytes octets)
{
    struct xml_input input = xml_input_of(octets);
    struct xml_item item;
    enum xml_result result;
    while ((result = read_item(pass, &input, &item)) == XML_DONE) {
        touch_item(&item, pass->seen);
        if (pass->kind == PASS_PROVING)
            count_text(&item, pass->seen);
    }
    if (result == XML_BAD) {
        fprintf(stderr, "stentor-bench xml: %s at %u\n", xml_fault_text(item.fault), item.fault_at);
        pass->is_bad = true;
    }
    return bytes_from(octets, input.at);
}

/* A segment is read in place, unless the last one left a part of an item: then it is put behind
 * that part. What is left over is kept. */
static void read_segment(struct pass *pass, struct bytes segment)
{
    uint8_t *gathered = pass->bench->gathered;
    struct bytes octets = segment;
    if (pass->gathered_size != 0) {
        memcpy(gathered + pass->gathered_size, segment.at, segment.size);
        octets = bytes_of(gathered, pass->gathered_size + segment.size);
    }
    struct bytes rest = read_items(pass, octets);
    if (rest.size != 0)
        memmove(gathered, rest.at, rest.size);
    pass->gathered_size = rest.size;
}

static bool our_pass(const struct xml_bench *bench, enum pass_kind kind, struct seen *seen)
{
    struct pass pass = {.bench = bench, .seen = seen, .kind = kind};
    for (size_t at = 0; !pass.is_bad && at < bench->stream.size; at += SEGMENT_BYTES) {
        struct bytes rest = bytes_from(bench->stream, at);
        size_t size = rest.size < SEGMENT_BYTES ? rest.size : SEGMENT_BYTES;
        read_segment(&pass, bytes_of(rest.at, size));
    }
    return !pass.is_bad && pass.gathered_size == 0;
}

/* ---- both ---- */

static bool prove_agreement(const struct xml_bench *bench)
{
    struct seen ours = {0};
    struct seen theirs = {0};
    if (!our_pass(bench, PASS_PROVING, &ours))
        return false;
    if (!bench->has_peer)
        return ours.stanzas == bench->stanzas;
    if (!peer_pass(bench, &theirs))
        return false;
    return ours.stanzas == bench->stanzas && ours.elements == theirs.elements &&
           ours.attributes == theirs.attributes && ours.text_bytes == theirs.text_bytes;
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static double median_mb_s(uint64_t *pass_ns, uint32_t count, size_t size)
{
    qsort(pass_ns, count, sizeof(pass_ns[0]), compare_u64);
    return (double)size * 1e3 / (double)pass_ns[count / 2];
}

static void measure(const struct xml_bench *bench, double *our_mb_s, double *peer_mb_s)
{
    uint64_t ours[ROUNDS_MAX], theirs[ROUNDS_MAX];
    struct seen seen = {0};
    for (uint32_t i = 0; i < bench->rounds; i++) {
        uint64_t start_ns = bench_now_ns();
        for (uint32_t pass = 0; pass < PASSES; pass++)
            (void)our_pass(bench, PASS_TIMED, &seen);
        ours[i] = (bench_now_ns() - start_ns) / PASSES;
        if (!bench->has_peer)
            continue;
        start_ns = bench_now_ns();
        (void)peer_pass(bench, &seen);
        theirs[i] = bench_now_ns() - start_ns;
    }
    *our_mb_s = median_mb_s(ours, bench->rounds, bench->stream.size);
    *peer_mb_s = bench->has_peer ? median_mb_s(theirs, bench->rounds, bench->stream.size) : 0;
}

static void report(const struct xml_bench *bench, double our_mb_s, double peer_mb_s)
{
    double ns_per_stanza = (double)bench->stream.size * 1e3 / our_mb_s / (double)bench->stanzas;
    if (bench->is_json && bench->has_peer)
        printf("{\"stentor_mb_s\":%.1f,\"expat_mb_s\":%.1f,\"ratio\":%.2f,"
               "\"ns_per_stanza\":%.1f}\n",
               our_mb_s, peer_mb_s, our_mb_s / peer_mb_s, ns_per_stanza);
    else if (bench->is_json)
        printf("{\"stentor_mb_s\":%.1f,\"ns_per_stanza\":%.1f}\n", our_mb_s, ns_per_stanza);
    if (bench->is_json)
        return;
    printf("stream          %zu octets, %llu stanzas, segments of %u octets\n", bench->stream.size,
           (unsigned long long)bench->stanzas, SEGMENT_BYTES);
    printf("stentor (%s)  %.1f MB/s, %.1f ns a stanza\n", xml_reader_variant(bench->reader),
           our_mb_s, ns_per_stanza);
    if (bench->has_peer)
        printf("expat           %.1f MB/s, ratio %.2f\n", peer_mb_s, our_mb_s / peer_mb_s);
}

static bool make_stream(struct xml_bench *bench)
{
    struct writer stream =
        writer_of(heap_take(&bench->heap, STREAM_BYTES), STREAM_BYTES - XML_TRAFFIC_STANZA_MAX);
    bench->gathered = heap_take(&bench->heap, XML_TRAFFIC_STANZA_MAX + 2 * SEGMENT_BYTES);
    bench->reader = xml_reader_create(&bench->heap, &bench->limits);
    if (stream.at == NULL || bench->gathered == NULL || bench->reader == NULL)
        return false;
    uint64_t seed = 2026;
    xml_traffic_header(&stream);
    for (; stream.capacity - stream.size > XML_TRAFFIC_STANZA_MAX; bench->stanzas++)
        xml_traffic_stanza(&stream, &seed);
    bench->stream = writer_bytes(&stream);
    return !stream.is_overflown;
}

static bool parse_options(struct xml_bench *bench, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        uint64_t rounds = 0;
        if (strcmp(argv[i], "--json") == 0) {
            bench->is_json = true;
        } else if (strcmp(argv[i], "--compare") == 0 && i + 1 < argc &&
                   strcmp(argv[i + 1], "expat") == 0) {
            bench->has_peer = true;
            i++;
        } else if (strcmp(argv[i], "--rounds") == 0 && i + 1 < argc &&
                   decimal_parse(bytes_of_string(argv[i + 1]), ROUNDS_MAX, &rounds) && rounds > 0) {
            bench->rounds = (uint32_t)rounds;
            i++;
        } else {
            fprintf(stderr,
                    "usage: stentor-bench xml [--compare expat] [--rounds 1..%u] [--json]\n",
                    ROUNDS_MAX);
            return false;
        }
    }
    return true;
}

int bench_xml(int argc, char **argv)
{
    struct xml_bench bench = {
        .limits = {.stanza_bytes_max = 262144,
                   .nodes_max = 4096,
                   .depth_max = 32,
                   .attributes_max = 64},
        .rounds = 21,
    };
    if (!parse_options(&bench, argc, argv))
        return 2;
    heap_init(&bench.heap, 64u << 20);
    if (!make_stream(&bench) || !prove_agreement(&bench)) {
        fprintf(stderr, "stentor-bench xml: the readers do not agree, nothing to measure\n");
        return 1;
    }
    double our_mb_s = 0;
    double peer_mb_s = 0;
    measure(&bench, &our_mb_s, &peer_mb_s);
    report(&bench, our_mb_s, peer_mb_s);
    return 0;
}
