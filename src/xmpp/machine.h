/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside the XMPP machine: struct xmpp, the negotiation rows, and struct step, which one call of
 * xmpp_step() or of an answer function hands from file to file.
 *
 *   xmpp.c         create, step, answers' door
 *   negotiation.c  the pool of rows lent to unbound streams
 *   stream.c       headers, features, errors, the end
 *   sasl.c         auth, response, abort; PLAIN        scram.c  RFC 5802 messages and proofs
 *   stanza.c       reading heads, writing errors and presence, stamping what is routed
 *   delivery.c     what a bound client may send where
 *   iq.c           the handler table                   bind.c, roster.c, xep_*.c  its rows */
#ifndef STENTOR_XMPP_MACHINE_H
#define STENTOR_XMPP_MACHINE_H

#include "stentor/xmpp.h"

#define STREAM_ID_SIZE 16u         /* octets of randomness, written as hex */
#define PENDING_ID_SIZE_MAX 256u   /* of an IQ whose answer takes time */
#define SCRAM_FIRST_SIZE_MAX 1536u /* client-first-message */
#define SCRAM_SERVER_FIRST_SIZE_MAX 512u

/* What a waiting stream waits for. */
enum negotiation_wait {
    WAIT_NONE,
    WAIT_ACCOUNT,  /* EFFECT_ACCOUNT_GET, for the mechanism under way */
    WAIT_PASSWORD, /* EFFECT_PASSWORD_CHECK */
    WAIT_CREATE,   /* EFFECT_ACCOUNT_CREATE */
    WAIT_BIND,     /* EFFECT_BIND */
};

enum sasl_mechanism { SASL_NONE, SASL_PLAIN, SASL_SCRAM_SHA_1, SASL_SCRAM_SHA_256 };

enum sasl_phase {
    SASL_IDLE,
    SASL_AWAITS_INITIAL, /* an empty challenge was sent */
    SASL_AWAITS_FINAL,   /* SCRAM's server-first-message was sent */
};

struct negotiation {
    uint32_t next_free; /* row + 1 */
    uint32_t bytes;     /* octets of items so far */
    uint32_t account;   /* number, of the user under authentication */
    uint8_t wait;       /* enum negotiation_wait */
    uint8_t phase;      /* enum sasl_phase */
    uint8_t mechanism;  /* enum sasl_mechanism */
    uint8_t tries;      /* failed authentications, and registrations */
    bool is_known;      /* the account exists and has keys */
    bool is_enabled;
    bool is_to_domain; /* the kept IQ named the server */
    uint16_t local_size;
    uint16_t id_size;
    uint16_t password_size;
    uint16_t first_size;
    uint16_t gs2_size; /* the start of first[]: the GS2 header */
    uint16_t server_first_size;
    struct scram_keys keys; /* the account's, or made up */
    uint8_t local[ACCOUNT_LOCAL_SIZE_MAX + 1];
    uint8_t id[PENDING_ID_SIZE_MAX];
    uint8_t password[PASSWORD_SIZE_MAX + 1];
    uint8_t first[SCRAM_FIRST_SIZE_MAX];
    uint8_t server_first[SCRAM_SERVER_FIRST_SIZE_MAX];
};

struct xmpp {
    struct heap *heap;
    const struct config *config;
    struct random *random;
    struct metrics *metrics;
    struct trace *trace;
    struct digests *digests;
    struct bytes domain; /* names domain_text */
    struct xml_limits limits_unbound;
    struct xml_limits limits_bound;
    struct negotiation *rows;
    uint32_t row_count;
    uint32_t row_high_water;
    uint32_t row_free; /* row + 1; 0 = none */
    uint32_t row_used;
    size_t scratch_bytes;
    uint8_t *out_scratch;
    uint8_t *routed_scratch;
    uint8_t install_key[XMPP_INSTALL_KEY_SIZE];
    uint8_t domain_text[JID_PART_SIZE_MAX];
    uint8_t names_scratch[4 * JID_SIZE_MAX]; /* prepared and decoded addresses of one step */
};

/* One call: everything that its functions look at and write to. */
struct step {
    struct xmpp *xmpp;
    const struct xmpp_peer *peer;
    struct stream *stream;
    struct negotiation *negotiation; /* NULL when bound, closing or not yet begun */
    const struct xml_item *item;     /* NULL in an answer */
    struct xmpp_output *output;
    struct writer *out;   /* output->out */
    struct writer routed; /* into routed_scratch */
    struct writer names;  /* into names_scratch */
};

/* xmpp.c */
struct effect *step_effect(struct step *step, enum effect_kind kind);
void step_count(struct step *step, enum metric metric);
void step_trace(struct step *step, enum trace_kind kind, uint32_t a, uint32_t b);
/* The stream waits from here on; the effect that asks was added. */
void step_wait(struct step *step, enum negotiation_wait wait);

/* negotiation.c */
/* Lends a zeroed row to the stream; NULL when all are lent. */
struct negotiation *negotiation_take(struct xmpp *xmpp, struct stream *stream);
/* The stream's row or NULL. */
struct negotiation *negotiation_find(struct xmpp *xmpp, const struct stream *stream);
/* Wipes the row and takes it back; a stream without one is left alone. */
void negotiation_give(struct xmpp *xmpp, struct stream *stream);

/* stream.c */
void stream_step_header(struct step *step);
/* Ends the stream with an error; text is for a person, "" for none. */
void stream_fail(struct step *step, enum stream_error error, const char *text);
void stream_end(struct step *step);

static inline struct bytes negotiation_local(const struct negotiation *negotiation)
{
    return bytes_of(negotiation->local, negotiation->local_size);
}

#endif
