/* SPDX-License-Identifier: Apache-2.0
 *
 * The XMPP machine of a client stream: one XML item in, octets to send and effects out (RFC 6120:
 * negotiation, SASL, binding, stanza rules; the IQs the server answers itself). Pure: no I/O, no
 * clock. Whatever takes time or knowledge of other streams is an effect; whoever carries it out
 * calls the answer function named beside it, at once or much later, and the machine goes on.
 *
 *   item -> xmpp_step() -> output.out (send first), then output.effects in order
 *                            EFFECT_ACCOUNT_GET     -> xmpp_account_found()
 *                            EFFECT_PASSWORD_CHECK  -> xmpp_password_checked()    slow: not a
 * worker EFFECT_ACCOUNT_CREATE  -> xmpp_account_created()     slow: not a worker EFFECT_BIND ->
 * xmpp_bound() or xmpp_bind_refused() EFFECT_PRESENCE, EFFECT_ROUTE, EFFECT_CLOSE          no
 * answer
 *
 * While an answer is awaited stream_is_waiting() is true and the owner keeps further octets back
 * (TCP's window is the bound); the four asking effects are always the last of an output. When the
 * connection dies at any moment: xmpp_forget(), and answers that come later are dropped by the
 * owner (they name the stream by handle).
 *
 * One struct xmpp a worker, no locks. Views in the output are good until the next call on the same
 * struct xmpp, but never longer than the item and the own JID they may name. */
#ifndef STENTOR_XMPP_H
#define STENTOR_XMPP_H

#include "stentor/account.h"
#include "stentor/config.h"
#include "stentor/digest.h"
#include "stentor/metrics.h"
#include "stentor/random.h"
#include "stentor/stanza.h"
#include "stentor/stream.h"
#include "stentor/trace.h"

#define XMPP_EFFECTS_MAX 8u
#define XMPP_INSTALL_KEY_SIZE 32u

struct xmpp; /* opaque */

struct xmpp_options {
    struct heap *heap;
    const struct config *config; /* xmpp.*, scram.iterations; outlives the xmpp */
    struct random *random;       /* the worker's */
    struct metrics *metrics;     /* the worker's */
    struct trace *trace;         /* the worker's; NULL = no trace */
    struct digests *digests;     /* the worker's */
    uint32_t negotiation_count;  /* streams before their binding at once; each about 3 KiB */
    /* Secret, the same over restarts: makes the salts shown for users that do not exist. */
    uint8_t install_key[XMPP_INSTALL_KEY_SIZE];
};

/* ERROR_INVALID when xmpp.domain is not a domain; ERROR_NO_MEMORY. */
MUST_USE enum error xmpp_create(struct xmpp **xmpp, const struct xmpp_options *options);
void xmpp_destroy(struct xmpp *xmpp);
/* The domain served, prepared. */
struct bytes xmpp_domain(const struct xmpp *xmpp);
/* Negotiation rows lent out. */
uint32_t xmpp_negotiation_count(const struct xmpp *xmpp);
/* Limits for reading the stream's next item: tighter until it is bound. */
const struct xml_limits *xmpp_limits(const struct xmpp *xmpp, const struct stream *stream);
/* The widest of them: for xml_reader_create(). */
const struct xml_limits *xmpp_limits_max(const struct xmpp *xmpp);

/* A stream and what its owner knows of it now. */
struct xmpp_peer {
    struct stream *stream;
    struct jid own;     /* the full JID once bound; otherwise not looked at */
    struct handle conn; /* for the trace */
    uint64_t now_ns;
    bool is_secure; /* under TLS */
};

enum effect_kind {
    EFFECT_CLOSE,          /* after sending out: close politely; the last effect */
    EFFECT_ACCOUNT_GET,    /* look up an account */
    EFFECT_PASSWORD_CHECK, /* scram_verifier_check_password() */
    EFFECT_ACCOUNT_CREATE, /* make keys of both kinds, then store */
    EFFECT_BIND,           /* make the session; an older one of the same JID goes (newest wins) */
    EFFECT_PRESENCE,       /* the session's own presence */
    EFFECT_ROUTE,          /* a stanza for a local user (RFC 6121 section 8 decides where) */
};

struct effect {
    enum effect_kind kind;
    union {
        struct {
            enum stream_error error; /* NONE: the client or we ended it without fault */
        } close;
        struct {
            struct bytes local; /* prepared */
        } account_get;
        struct {
            struct bytes password;  /* prepared; copy it, wipe the copy */
            struct scram_keys keys; /* of an unknown user too: same work, whatever it gives */
        } password_check;
        struct {
            struct bytes local;    /* prepared */
            struct bytes password; /* prepared; copy it, wipe the copy */
        } account_create;
        struct {
            uint32_t account; /* number */
            struct bytes local;
            struct bytes resource; /* prepared; as wanted, or made up */
        } bind;
        struct {
            enum stanza_type type; /* STANZA_PRESENCE_AVAILABLE or _UNAVAILABLE */
            enum presence_show show;
            int8_t priority;
            bool says_more; /* than type, show and priority: presence_write() would lose it */
            struct bytes rendered; /* from = own full JID, to = own bare JID: for own resources */
        } presence;
        struct {
            struct stanza stanza;  /* stanza.to is a user of our domain, bare or full */
            struct bytes rendered; /* from and to stamped; ready to send on any client stream */
        } route;
    };
};

struct xmpp_output {
    struct writer out; /* octets for this stream, to send before anything else; may be empty */
    uint32_t effect_count;
    struct effect effects[XMPP_EFFECTS_MAX];
};

enum xmpp_result {
    XMPP_GO_ON, /* feed the next item; see stream_awaits_header() for which reader */
    XMPP_WAIT,  /* stream_is_waiting(): feed nothing until the answer */
    XMPP_CLOSE, /* the last effect is EFFECT_CLOSE, or the stream was closing already */
};

/* One item as xml_read() or xml_read_header() gave it: result XML_DONE or XML_BAD. The stream must
 * not be waiting. *output is overwritten. */
enum xmpp_result xmpp_step(struct xmpp *xmpp, const struct xmpp_peer *peer, enum xml_result result,
                           const struct xml_item *item, struct xmpp_output *output);

/* Answers. The stream must be waiting for just this one (asserted).
 *   account: of ERROR_NONE; ERROR_NOT_FOUND is an unknown user; any other error is "try later". */
enum xmpp_result xmpp_account_found(struct xmpp *xmpp, const struct xmpp_peer *peer,
                                    enum error error, const struct account *account,
                                    struct xmpp_output *output);
/* ERROR_NONE: the password fits; ERROR_INVALID: it does not; any other: could not be checked. */
enum xmpp_result xmpp_password_checked(struct xmpp *xmpp, const struct xmpp_peer *peer,
                                       enum error error, struct xmpp_output *output);
/* ERROR_NONE, ERROR_EXISTS, or any other: not now. */
enum xmpp_result xmpp_account_created(struct xmpp *xmpp, const struct xmpp_peer *peer,
                                      enum error error, struct xmpp_output *output);
/* The session stands: peer->own is its full JID, as the effect asked or with another resource. */
enum xmpp_result xmpp_bound(struct xmpp *xmpp, const struct xmpp_peer *peer,
                            struct xmpp_output *output);
/* RESOURCE_CONSTRAINT (too many sessions), CONFLICT, ...; the client may try again. */
enum xmpp_result xmpp_bind_refused(struct xmpp *xmpp, const struct xmpp_peer *peer,
                                   enum stanza_error error, struct xmpp_output *output);

/* The account was deleted, disabled or given another password: what an unbound stream holds of it
 * is void. A login under way, waiting or not, goes on and fails as one with a wrong password; a
 * stream that is authenticated already ends with not-authorized. Other streams are left alone. */
enum xmpp_result xmpp_account_changed(struct xmpp *xmpp, const struct xmpp_peer *peer,
                                      uint32_t account, struct xmpp_output *output);

/* Our own wish to end the stream, in any state (shutdown, time out, conflict, kick): renders what
 * is missing of header, error and end tag, and EFFECT_CLOSE. A closing stream renders nothing. */
enum xmpp_result xmpp_close(struct xmpp *xmpp, const struct xmpp_peer *peer,
                            enum stream_error error, struct xmpp_output *output);

/* The connection is gone or going: gives what the stream borrowed back, wiped. The stream is all
 * zero afterwards. Must be called once for every stream that saw xmpp_step(). */
void xmpp_forget(struct xmpp *xmpp, struct stream *stream);

#endif
