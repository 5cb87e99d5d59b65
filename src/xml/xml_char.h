/* SPDX-License-Identifier: Apache-2.0
 *
 * Characters, names and references of XML, one at a time: what the fast ways fall back to. The
 * rules of XML 1.0 fifth edition sections 2.2, 2.3, 4.1 and RFC 3629. Private to src/xml. Any
 * thread. */
#ifndef STENTOR_XML_CHAR_H
#define STENTOR_XML_CHAR_H

#include "stentor/bytes.h"
#include "stentor/xml.h"

/* Longest reference; XML has no such limit, but leading zeros have no other use than to make us
 * read again. A longer one is XML_FAULT_REFERENCE. */
#define XML_REFERENCE_BYTES_MAX 32u

enum xml_take {
    XML_TAKE_OK,
    XML_TAKE_CUT, /* good so far, but the view ends */
    XML_TAKE_BAD,
};

struct xml_taken {
    enum xml_take take;
    enum xml_fault fault; /* when bad */
    uint32_t code_point;  /* when ok */
    uint32_t size;        /* octets it took, when ok */
};

/* The character at the start of a view that is not empty: UTF-8 and legal in XML. */
struct xml_taken xml_take_char(struct bytes view);
/* The reference at the start of a view that starts with &. */
struct xml_taken xml_take_reference(struct bytes view);

bool xml_is_char(uint32_t code_point);
/* NameStartChar and NameChar without the colon, which parts a qualified name. */
bool xml_is_name_start(uint32_t code_point);
bool xml_is_name_char(uint32_t code_point);

static inline bool xml_is_space(uint8_t octet)
{
    return octet == ' ' || octet == '\n' || octet == '\r' || octet == '\t';
}

/* A-Z a-z _ */
static inline bool xml_is_ascii_name_start(uint8_t octet)
{
    return (uint8_t)((octet | 0x20u) - 'a') < 26 || octet == '_';
}

#endif
