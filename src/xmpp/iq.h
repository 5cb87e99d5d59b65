/* SPDX-License-Identifier: Apache-2.0
 *
 * IQs that the server answers itself: the rules of RFC 6120 8.2.3 and one table of handlers
 * (iq.c), which is the list of what we speak; disco#info is written from it. */
#ifndef STENTOR_XMPP_IQ_H
#define STENTOR_XMPP_IQ_H

#include "machine.h"

/* Bits of a handler. */
#define IQ_GET 0x01u
#define IQ_SET 0x02u
#define IQ_AT_SERVER 0x04u     /* to the domain, or without `to` */
#define IQ_AT_ACCOUNT 0x08u    /* to the user's own bare JID, or without `to` */
#define IQ_WHEN_OPEN 0x10u     /* before authentication */
#define IQ_WHEN_REOPENED 0x20u /* before binding */
#define IQ_WHEN_BOUND 0x40u
#define IQ_IS_FEATURE 0x80u /* told by disco#info */

/* One request on its way through a handler. */
struct iq {
    struct step *step;
    const struct stanza *stanza;
    const struct xml_node *payload; /* the one child */
};

struct iq_handler {
    enum xml_ns ns;
    const char *element;
    uint32_t bits;
    /* Writes a result, or adds an effect that asks, or returns the error to answer with. */
    enum stanza_error (*answer)(const struct iq *iq);
};

/* A stanza of an unbound stream in the client namespace: an IQ for which the table has a row in
 * this state, or a stream error not-authorized. */
void iq_step_unbound(struct step *step);
/* An IQ of a bound stream to the server or to the user's own account. */
void iq_step(struct step *step, const struct stanza *stanza);

/* Rows, for disco#info: NULL at the end of the table. Skips what configuration turned off. */
const struct iq_handler *iq_handler_next(const struct xmpp *xmpp, const struct iq_handler *handler);

/* `<iq type='result' ...>`, then the payload by the handler, then the end. */
void iq_result_begin(const struct iq *iq);
void iq_result_end(const struct iq *iq);
void iq_result_empty(const struct iq *iq);
/* Keeps the id for an answer that takes time. False: too long. */
bool iq_keep_id(const struct iq *iq);
/* The stanza that the kept id makes up: to the unbound client, of which only the id is known. */
struct stanza iq_kept(const struct step *step);

/* bind.c */
enum stanza_error bind_answer(const struct iq *iq);
enum stanza_error session_answer(const struct iq *iq);
/* roster.c */
enum stanza_error roster_answer(const struct iq *iq);
enum stanza_error vcard_answer(const struct iq *iq);
/* xep_0030_disco.c */
enum stanza_error disco_answer_info(const struct iq *iq);
enum stanza_error disco_answer_items(const struct iq *iq);
/* xep_0077_register.c */
enum stanza_error register_answer_get(const struct iq *iq);
enum stanza_error register_answer_set(const struct iq *iq);
/* xep_0092_version.c */
enum stanza_error version_answer(const struct iq *iq);
/* xep_0199_ping.c */
enum stanza_error ping_answer(const struct iq *iq);

#endif
