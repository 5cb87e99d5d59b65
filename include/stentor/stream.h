/* SPDX-License-Identifier: Apache-2.0
 *
 * What a stream needs to remember between stanzas (RFC 6120 section 4): eight octets, embedded by
 * value in the session row. All zero is a fresh stream that has said nothing yet.
 *
 *   NEW --header--> OPEN --SASL success--> AUTHENTICATED --header--> REOPENED --bind--> BOUND
 *    \________________\________________________\____________________\____________\--> CLOSING
 *
 * From its first header to its binding a stream borrows a negotiation row (SASL exchange, tries,
 * octets so far) of struct xmpp; an idle bound stream owns nothing but this struct.
 * Written by src/xmpp only; everyone may look. Owner: the stream's worker. */
#ifndef STENTOR_STREAM_H
#define STENTOR_STREAM_H

#include "stentor/xml.h"

enum stream_state {
    STREAM_NEW,           /* awaits the first header */
    STREAM_OPEN,          /* features offered; SASL or registration */
    STREAM_AUTHENTICATED, /* success sent; awaits the header of the new stream */
    STREAM_REOPENED,      /* awaits resource binding */
    STREAM_BOUND,
    STREAM_CLOSING, /* our </stream:stream> is rendered; input is ignored */
};

enum stream_error {
    STREAM_ERROR_NONE, /* a polite end without <stream:error/> */
#define STREAM_ERROR(name, condition) STREAM_ERROR_##name,
#include "stentor/stream_error.def"
#undef STREAM_ERROR
    STREAM_ERROR_COUNT
};

/* Bits of struct stream.flags. */
#define STREAM_IS_WAITING 1u      /* an answer from elsewhere is awaited: keep input back */
#define STREAM_HAS_SENT_HEADER 2u /* on the present stream; an end tag may follow */

struct stream {
    uint8_t state; /* enum stream_state */
    uint8_t flags;
    uint8_t scope; /* enum xml_scope, for xml_read() */
    uint8_t unused;
    uint32_t negotiation; /* row + 1; 0 = none */
};
static_assert(sizeof(struct stream) == 8, "the session row counts on it");

static inline enum stream_state stream_state(const struct stream *stream)
{
    return (enum stream_state)stream->state;
}
/* True between an effect that asks and its answer: feed no item until then. */
static inline bool stream_is_waiting(const struct stream *stream)
{
    return (stream->flags & STREAM_IS_WAITING) != 0;
}
/* The next item is a header: read it with xml_read_header(), not xml_read(). */
static inline bool stream_awaits_header(const struct stream *stream)
{
    return stream->state == STREAM_NEW || stream->state == STREAM_AUTHENTICATED;
}
static inline bool stream_is_authenticated(const struct stream *stream)
{
    return stream->state >= STREAM_AUTHENTICATED && stream->state <= STREAM_BOUND;
}
/* The time to authenticate (xmpp.auth_time) runs until this is true: an unbound stream holds a
 * negotiation row. */
static inline bool stream_is_bound(const struct stream *stream)
{
    return stream->state == STREAM_BOUND;
}
static inline bool stream_is_closing(const struct stream *stream)
{
    return stream->state == STREAM_CLOSING;
}
static inline enum xml_scope stream_scope(const struct stream *stream)
{
    return (enum xml_scope)stream->scope;
}

const char *stream_state_name(enum stream_state state);
/* The condition as on the wire, "" for NONE; never NULL. */
const char *stream_error_condition(enum stream_error error);
/* The row of a condition; UNDEFINED_CONDITION for one not in the table. */
enum stream_error stream_error_find(const char *condition);

#endif
