/* SPDX-License-Identifier: Apache-2.0
 *
 * Known namespaces by number: a perfect hash over the URIs of xml_ns.def, made once a reader, so
 * that a declaration costs one multiplication and one comparison. Private to src/xml. */
#ifndef STENTOR_XML_NS_H
#define STENTOR_XML_NS_H

#include "stentor/xml.h"

#define XML_NS_SLOTS_LOG2 9u
#define XML_NS_URI_BYTES_MIN 8u  /* of the known ones, asserted when the table is made */
#define XML_NS_URI_BYTES_MAX 63u /* so that each fits its row */

struct xml_ns_table {
    uint64_t multiplier;
    uint8_t slots[1u << XML_NS_SLOTS_LOG2]; /* enum xml_ns; XML_NS_OTHER where empty */
};
static_assert(XML_NS_COUNT <= 255, "a slot is an octet");

struct xml_ns_uri_row {
    char uri[XML_NS_URI_BYTES_MAX + 1]; /* zeros behind it: 64 octets may be read */
    uint8_t size;
};
extern const struct xml_ns_uri_row xml_ns_uris[XML_NS_COUNT];

void xml_ns_table_init(struct xml_ns_table *table);

static inline uint64_t xml_load64(const void *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof(word));
    return word;
}

static inline uint32_t xml_ns_slot(const struct xml_ns_table *table, struct bytes uri)
{
    uint64_t key = xml_load64(uri.at) * 31 + xml_load64(uri.at + uri.size - 8) + uri.size;
    return (uint32_t)(key * table->multiplier >> (64 - XML_NS_SLOTS_LOG2));
}

/* True when two runs of size octets, at least 8, are the same. */
static inline bool xml_is_same(const void *a, const void *b, size_t size)
{
    const uint8_t *x = a;
    const uint8_t *y = b;
    uint64_t differ = xml_load64(x + size - 8) ^ xml_load64(y + size - 8);
    for (size_t i = 0; i + 8 < size; i += 8)
        differ |= xml_load64(x + i) ^ xml_load64(y + i);
    return differ == 0;
}

/* OTHER for a URI that is not in the table. */
static inline enum xml_ns xml_ns_find(const struct xml_ns_table *table, struct bytes uri)
{
    if (uri.size < XML_NS_URI_BYTES_MIN)
        return uri.size == 0 ? XML_NS_NONE : XML_NS_OTHER;
    enum xml_ns ns = table->slots[xml_ns_slot(table, uri)];
    const struct xml_ns_uri_row *row = &xml_ns_uris[ns];
    return row->size == uri.size && xml_is_same(row->uri, uri.at, uri.size) ? ns : XML_NS_OTHER;
}

#endif
