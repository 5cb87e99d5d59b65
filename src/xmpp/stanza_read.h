/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading the head of a client's stanza and stamping what goes on to others (DESIGN law 9). */
#ifndef STENTOR_XMPP_STANZA_READ_H
#define STENTOR_XMPP_STANZA_READ_H

#include "machine.h"

enum stanza_fault {
    STANZA_FAULT_NONE,
    STANZA_FAULT_ELEMENT, /* not message, presence or iq: stream error unsupported-stanza-type */
    STANZA_FAULT_FROM,    /* not the sender's own address: stream error invalid-from */
    STANZA_FAULT_TO,      /* not an address: jid-malformed; stanza->to is our domain */
    STANZA_FAULT_TYPE,    /* no such type: bad-request */
};

/* The head of step->item. On an unbound stream from and own addresses are empty. */
enum stanza_fault stanza_read(struct step *step, struct stanza *stanza);

/* Renders step->item into step->routed: the root tag with from and to of `head` in place of the
 * client's, everything else as it came, less the children that only a server may say. */
struct bytes stanza_stamp(struct step *step, const struct stanza *head);

/* stanza.c */
/* ` id='...'`, nothing for an empty one. */
void stanza_write_id(struct writer *into, struct bytes id);
/* ` name='jid'`, nothing for an empty one. */
void stanza_write_address(struct writer *into, const char *name, const struct jid *jid);
const char *presence_show_name(enum presence_show show);
/* NONE for a word that is none of the four. */
enum presence_show presence_show_find(struct bytes name);

#endif
