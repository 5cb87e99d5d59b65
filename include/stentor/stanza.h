/* SPDX-License-Identifier: Apache-2.0
 *
 * The head of a stanza (kind, type, id, addresses) and the stanzas the server writes itself:
 * errors in reply, presence (RFC 6120 section 8, RFC 6121 section 4). What is routed is rendered
 * by src/xmpp from validated input; nobody above writes XML of a user's stanza.
 *
 * A struct stanza is a plain value of views. Of an effect, its views are good until the next call
 * on that struct xmpp; who keeps it longer (a note to another worker) copies id, to and from.
 * Any thread, no allocation. Writers: check is_overflown; STANZA_REPLY_BYTES_MAX(id.size) always
 * suffices for one error or presence. */
#ifndef STENTOR_STANZA_H
#define STENTOR_STANZA_H

#include "stentor/jid.h"
#include "stentor/xml.h"

enum stanza_kind { STANZA_MESSAGE, STANZA_PRESENCE, STANZA_IQ, STANZA_KIND_COUNT };

/* Types of all kinds in one enum; which belong to which kind: RFC 6121 5.2.2, 4.7.1, RFC 6120
 * 8.2.3. A message without or with an unknown type is NORMAL. */
enum stanza_type {
    STANZA_TYPE_ERROR, /* of any kind: never answered with an error */
    STANZA_MESSAGE_NORMAL,
    STANZA_MESSAGE_CHAT,
    STANZA_MESSAGE_GROUPCHAT,
    STANZA_MESSAGE_HEADLINE,
    STANZA_PRESENCE_AVAILABLE, /* no type */
    STANZA_PRESENCE_UNAVAILABLE,
    STANZA_PRESENCE_SUBSCRIBE,
    STANZA_PRESENCE_SUBSCRIBED,
    STANZA_PRESENCE_UNSUBSCRIBE,
    STANZA_PRESENCE_UNSUBSCRIBED,
    STANZA_PRESENCE_PROBE,
    STANZA_IQ_GET,
    STANZA_IQ_SET,
    STANZA_IQ_RESULT,
    STANZA_TYPE_COUNT
};

enum stanza_error {
    STANZA_ERROR_NONE,
#define STANZA_ERROR(name, condition, type) STANZA_ERROR_##name,
#include "stentor/stanza_error.def"
#undef STANZA_ERROR
    STANZA_ERROR_COUNT
};

enum presence_show {
    PRESENCE_SHOW_NONE, /* plainly available */
    PRESENCE_SHOW_AWAY,
    PRESENCE_SHOW_CHAT,
    PRESENCE_SHOW_DND,
    PRESENCE_SHOW_XA,
};

struct stanza {
    enum stanza_kind kind;
    enum stanza_type type;
    struct bytes id; /* octets between the quotes as the sender wrote them, already escaped */
    struct jid from; /* prepared; the client's own full JID; empty domain before it is bound */
    struct jid to;   /* prepared; no `to` means the sender's own bare JID (RFC 6120 10.3) */
    bool has_to;     /* as written by the client */
};

#define STANZA_REPLY_BYTES_MAX(id_size) ((id_size) + 2u * 6u * JID_SIZE_MAX + 512u)

/* RFC 6120 8.3.1 and 8.2.3: no error answers an error, an IQ result or a presence that nobody
 * waits on (unavailable). */
bool stanza_may_bounce(const struct stanza *stanza);

/* The error that answers the stanza: same kind and id, from and to exchanged. The stanza must be
 * one that may bounce. */
void stanza_write_error(struct writer *into, const struct stanza *stanza, enum stanza_error error);

struct presence {
    struct jid from;
    struct jid to;         /* empty domain: no `to` */
    enum stanza_type type; /* STANZA_PRESENCE_AVAILABLE or _UNAVAILABLE */
    enum presence_show show;
    int8_t priority; /* 0 is not written */
};

/* A presence the server tells on a user's behalf: the last one of another resource, or the
 * unavailable of a session that vanished (RFC 6121 4.5.2). */
void presence_write(struct writer *into, const struct presence *presence);

const char *stanza_kind_name(enum stanza_kind kind);         /* as on the wire */
const char *stanza_type_name(enum stanza_type type);         /* as on the wire; "" available */
const char *stanza_error_condition(enum stanza_error error); /* "" for NONE */

#endif
