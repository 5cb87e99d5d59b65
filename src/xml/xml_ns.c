/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of known namespaces (see xml_ns.h). The multiplier that puts every known URI in a slot
 * of its own is searched for when a reader is made: some tens of tries of a few hundred
 * nanoseconds, once, and a new row in xml_ns.def needs nothing else. */
#include "xml_ns.h"

#define TRIES_MAX 100000u

const struct xml_ns_uri_row xml_ns_uris[XML_NS_COUNT] = {
    [XML_NS_NONE] = {"", 0},
    [XML_NS_OTHER] = {"", 0},
#define XML_NS(name, uri) [XML_NS_##name] = {uri, sizeof(uri) - 1},
#include "stentor/xml_ns.def"
#undef XML_NS
};

struct bytes xml_ns_known_uri(enum xml_ns ns)
{
    ASSERT(ns < XML_NS_COUNT);
    return bytes_of(xml_ns_uris[ns].uri, xml_ns_uris[ns].size);
}

static bool fill_slots(struct xml_ns_table *table)
{
    memset(table->slots, XML_NS_OTHER, sizeof(table->slots));
    for (uint32_t ns = XML_NS_OTHER + 1; ns < XML_NS_COUNT; ns++) {
        uint8_t *slot = &table->slots[xml_ns_slot(table, xml_ns_known_uri((enum xml_ns)ns))];
        if (*slot != XML_NS_OTHER)
            return false;
        *slot = (uint8_t)ns;
    }
    return true;
}

void xml_ns_table_init(struct xml_ns_table *table)
{
    for (uint32_t ns = XML_NS_OTHER + 1; ns < XML_NS_COUNT; ns++)
        ASSERT(xml_ns_uris[ns].size >= XML_NS_URI_BYTES_MIN);
    table->multiplier = 0x9E3779B97F4A7C15u;
    uint32_t tries = 0;
    while (!fill_slots(table)) {
        /* An odd step of a full-period sequence; any spread of odd numbers serves. */
        table->multiplier = table->multiplier * 6364136223846793005u + 1442695040888963407u;
        table->multiplier |= 1;
        ASSERT(++tries < TRIES_MAX);
    }
}
