/* SPDX-License-Identifier: Apache-2.0
 *
 * The answers to EFFECT_BIND, on their way back to the client. */
#ifndef STENTOR_XMPP_BIND_H
#define STENTOR_XMPP_BIND_H

#include "machine.h"

/* step->peer->own is the full JID. The negotiation row is given back: the stream is at rest. */
void bind_done(struct step *step);
void bind_refused(struct step *step, enum stanza_error error);

#endif
