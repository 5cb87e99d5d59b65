/* SPDX-License-Identifier: Apache-2.0
 *
 * What a bound client may send, and where it goes first (RFC 6120 section 10, RFC 6121 8.1-8.3). */
#ifndef STENTOR_XMPP_DELIVERY_H
#define STENTOR_XMPP_DELIVERY_H

#include "machine.h"

/* A first-level element of a bound stream. */
void delivery_step(struct step *step);
/* Answers the stanza with an error if it is one that may be answered so, else drops it. */
void delivery_refuse(struct step *step, const struct stanza *stanza, enum stanza_error error);

#endif
