/* SPDX-License-Identifier: Apache-2.0
 *
 * A push request as the one stanza all its receivers get. No `to` and no xmlns: the stream's
 * default namespace is jabber:client, and a stanza without `to` is for whoever reads it. No type
 * either, which is "normal" (RFC 6121 5.2.2): what clients show without being in a conversation.
 *
 *   <message from='domain' id='…'><subject>title</subject><body>body</body>
 *   <x xmlns='jabber:x:oob'><url>uri</url></x>extra</message>
 *
 * A push that has a title only says it in the body as well, for clients show messages by their
 * body. Any thread, no allocation. */
#ifndef STENTOR_PUSH_RENDER_H
#define STENTOR_PUSH_RENDER_H

#include "stentor/push.h"

/* Check into->is_overflown. */
void push_render(struct writer *into, const struct push_request *request, const struct push_id *id,
                 struct bytes domain);

#endif
