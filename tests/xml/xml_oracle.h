/* SPDX-License-Identifier: Apache-2.0
 *
 * Expat as the judge of src/xml: the same document, the same log (xml_harness.h), and the list of
 * where the two may differ. For the tests and the fuzz target. */
#ifndef STENTOR_XML_ORACLE_H
#define STENTOR_XML_ORACLE_H

#include <expat.h>

#include "xml_harness.h"

#define ORACLE_SEPARATOR '\x01' /* no XML character, so no URI can contain it */

struct oracle {
    struct harness *harness; /* only its log is written */
    uint32_t depth;
    bool has_foreign_name; /* a name with an octet above 127 */
    enum XML_Error error;
    size_t error_at;
};

static inline void oracle_name(struct oracle *oracle, const char *name)
{
    const char *separator = strchr(name, ORACLE_SEPARATOR);
    if (separator != NULL)
        write_bytes(&oracle->harness->log, bytes_of(name, (size_t)(separator - name)));
    write_u8(&oracle->harness->log, '|');
    write_string(&oracle->harness->log, separator != NULL ? separator + 1 : name);
}

static inline void XMLCALL oracle_start(void *user, const char *name, const char **attributes)
{
    struct oracle *oracle = user;
    log_text_end(oracle->harness);
    write_u8(&oracle->harness->log, '<');
    oracle_name(oracle, name);
    for (; attributes[0] != NULL; attributes += 2) {
        write_u8(&oracle->harness->log, ' ');
        oracle_name(oracle, attributes[0]);
        write_u8(&oracle->harness->log, '=');
        write_string(&oracle->harness->log, attributes[1]);
    }
    write_u8(&oracle->harness->log, '>');
    oracle->depth++;
}

static inline void XMLCALL oracle_end(void *user, const char *name)
{
    struct oracle *oracle = user;
    (void)name;
    log_text_end(oracle->harness);
    oracle->depth--;
    write_string(&oracle->harness->log, oracle->depth == 0 ? "~" : "</>");
}

static inline void XMLCALL oracle_text(void *user, const char *text, int size)
{
    struct oracle *oracle = user;
    if (oracle->depth >
        1) /* between stanzas there is white space only, which is no part of the log */
        log_text(oracle->harness, bytes_of(text, (size_t)size));
}

/* Reads a document that starts with a header; the log starts anew. is_final: the document must be
 * whole. True when Expat has no complaint. */
static inline bool oracle_read(struct oracle *oracle, struct bytes document, int is_final)
{
    XML_Parser parser = XML_ParserCreateNS(NULL, ORACLE_SEPARATOR);
    ASSERT(parser != NULL);
    oracle->depth = 0;
    oracle->harness->log.size = 0;
    oracle->harness->log.is_overflown = false;
    oracle->harness->is_in_text = false;
    XML_SetUserData(parser, oracle);
    XML_SetElementHandler(parser, oracle_start, oracle_end);
    XML_SetCharacterDataHandler(parser, oracle_text);
    bool is_good =
        XML_Parse(parser, (const char *)document.at, (int)document.size, is_final) == XML_STATUS_OK;
    oracle->error = XML_GetErrorCode(parser);
    oracle->error_at = (size_t)XML_GetCurrentByteIndex(parser);
    XML_ParserFree(parser);
    log_text_end(oracle->harness);
    return is_good;
}

/* Where we refuse and Expat may not, and why that is meant. */
static inline bool is_stricter_by_design(enum xml_fault fault)
{
    const char *condition = xml_fault_condition(fault);
    if (strcmp(condition, "restricted-xml") == 0 || /* RFC 6120 11.1 */
        strcmp(condition, "policy-violation") == 0) /* our limits */
        return true;
    switch (fault) {
    case XML_FAULT_ENCODING_NAME:    /* RFC 6120 11.6: UTF-8 only, Expat knows more */
    case XML_FAULT_VERSION:          /* Expat takes 1.1 and worse */
    case XML_FAULT_DECLARATION:      /* a declaration over 256 octets */
    case XML_FAULT_TEXT_OUTSIDE:     /* a stream has no text of its own, and no byte order mark */
    case XML_FAULT_STREAM_NAME:      /* any other document */
    case XML_FAULT_STREAM_PREFIX:    /* RFC 6120 4.8.5 allows to insist */
    case XML_FAULT_STREAM_NAMESPACE: /* RFC 6120 4.8.1 */
    case XML_FAULT_REFERENCE:        /* one over 32 octets */
        return true;
    default:
        return false;
    }
}

/* Compares a whole document: true when both agree or may differ. harness->log and oracle's log are
 * left for the message. first_prefixes: the header declared prefixes besides `stream`. */
static inline bool oracle_agrees(struct harness *harness, struct oracle *oracle,
                                 struct bytes document, bool has_more_prefixes)
{
    struct outcome ours = harness_read(harness, document, FROM_HEADER);
    struct bytes our_log = writer_bytes(&harness->log);
    struct bytes read = bytes_slice(document, 0, ours.used);
    if (ours.result == XML_BAD) {
        bool may_differ = is_stricter_by_design(ours.fault) ||
                          (ours.fault == XML_FAULT_PREFIX_UNDECLARED && has_more_prefixes);
        if (!may_differ && oracle_read(oracle, document, 1))
            return false;
    }
    /* What we took whole, Expat must take, and see the same in it: but for names, where it keeps
     * to the tables of the fourth edition of XML 1.0. */
    bool is_good = oracle_read(oracle, read, ours.is_ended);
    if (!is_good && oracle->error == XML_ERROR_INVALID_TOKEN) {
        for (size_t i = 0; i < read.size; i++)
            if (read.at[i] >= 0x80)
                return true;
    }
    return is_good && bytes_equal(our_log, writer_bytes(&oracle->harness->log));
}

#endif
