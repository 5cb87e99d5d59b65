/* SPDX-License-Identifier: Apache-2.0
 *
 * The admin API: HTTP/1.1 + JSON on a kernel socket (libmicrohttpd, jansson), research/xmpp.md 3.2.
 * This floor speaks HTTP: it authenticates, parses, checks and limits, and turns each call into one
 * struct admin_request; what is true of the server is not its business. The control thread takes
 * requests, has them carried out by whoever can, and hands each an answer; meanwhile the HTTP
 * connection is suspended and costs no thread.
 *
 *   admin_turn -> admin_take -> (control asks store, workers, push) -> admin_answer -> admin_turn
 *
 * Owner: the control thread, all calls. Every request taken is answered exactly once, also when
 * its HTTP client has gone. Errors to clients are RFC 9457 problems. Tokens: one bearer token, made
 * at first start, kept as SHA-256 in the data folder (mode 0600), compared in constant time.
 * Routes that need none: /healthz /readyz. Limits: admin.body_bytes, admin.request_time,
 * admin.idle_time, admin.connections_max (strangers make room), JSON depth 16, a page of at most
 * ADMIN_PAGE_MAX. */
#ifndef STENTOR_ADMIN_H
#define STENTOR_ADMIN_H

#include "stentor/config.h"
#include "stentor/heap.h"
#include "stentor/log.h"
#include "stentor/metrics.h"
#include "stentor/pool.h"
#include "stentor/push.h"
#include "stentor/random.h"

#define ADMIN_PAGE_MAX 1000u
#define ADMIN_TOKEN_SIZE 43u /* base64url of 32 random octets, shown once */

struct admin;

struct admin_options {
    const struct config *config;
    struct heap *heap;
    struct metrics *metrics;
    struct random *random;
    struct log *log;
};

enum admin_kind {
    ADMIN_PUSH_CREATE,   /* POST /v1/pushes */
    ADMIN_PUSH_GET,      /* GET /v1/pushes/{id} */
    ADMIN_PUSH_LIST,     /* GET /v1/pushes?limit=&cursor= */
    ADMIN_USER_CREATE,   /* POST /v1/users {"username","password"} */
    ADMIN_USER_GET,      /* GET /v1/users/{u} */
    ADMIN_USER_UPDATE,   /* PATCH /v1/users/{u} {"password"?,"enabled"?} */
    ADMIN_USER_DELETE,   /* DELETE /v1/users/{u} */
    ADMIN_USER_LIST,     /* GET /v1/users?limit=&cursor= */
    ADMIN_SESSION_LIST,  /* GET /v1/sessions?user=&limit=&cursor= */
    ADMIN_SESSION_COUNT, /* GET /v1/sessions/count */
    ADMIN_SESSION_GET,   /* GET /v1/sessions/{sid}: with its flight recorder */
    ADMIN_SESSION_KICK,  /* DELETE /v1/sessions/{sid} */
    ADMIN_METRICS,       /* GET /metrics */
    ADMIN_READY          /* GET /readyz */
};

struct admin_request {
    enum admin_kind kind;
    struct push_request push; /* PUSH_CREATE; views live as long as the request */
    struct bytes *users;      /* PUSH_CREATE to users: prepared local parts, no duplicates, in the
                                 order given; users[i] was "/target/users/i" */
    uint32_t user_count;
    struct push_id push_id; /* PUSH_GET; PUSH_LIST: the cursor when has_cursor */
    struct bytes user;      /* USER_*: prepared local part; SESSION_LIST: filter, may be empty */
    struct bytes password;  /* USER_CREATE, USER_UPDATE (empty = unchanged): prepared */
    struct handle session;  /* SESSION_GET, SESSION_KICK; SESSION_LIST: cursor */
    uint32_t limit;         /* lists: 1 to ADMIN_PAGE_MAX */
    struct bytes cursor;    /* USER_LIST: start after this local part; empty = first */
    bool has_cursor;
    bool has_enabled, is_enabled; /* USER_UPDATE */
    bool has_password;
    void *work; /* control's own, NULL at first */
};

/* One session as lists and GET show it. */
struct admin_session {
    struct handle id;
    char user[512];
    char resource[1024];
    char address[64];
    uint16_t port;
    bool is_bound, is_available;
    int8_t priority;
    uint64_t age_seconds;
    uint64_t queued_bytes;
    const char *tcp_state;
};

struct admin_user {
    uint32_t number;
    struct bytes user;
    bool is_enabled;
    uint64_t created_at_ms;
};

/* MUST succeed before workers start: the port is bound here. `message` says what is wrong.
 * token_shown gets the new token when one was made in this call (first start), else "". */
MUST_USE enum error admin_open(struct admin **admin, const struct admin_options *options,
                               char token_shown[ADMIN_TOKEN_SIZE + 1], struct writer *message);
/* Answers what is under way with 503 and closes. */
void admin_close(struct admin **admin);
/* The port really bound (admin.port 0 = any). */
uint16_t admin_port(const struct admin *admin);
/* A descriptor that is readable when admin_turn() has work, for the control loop's poll. */
int admin_descriptor(const struct admin *admin);
/* Non-blocking; now_ns for limits of time, wall_ms for Date and log. */
void admin_turn(struct admin *admin, uint64_t now_ns, uint64_t wall_ms);
/* Milliseconds until admin_turn() must run even if nothing arrives; UINT64_MAX = never. 0 after an
 * answer: ask after answering, not before. */
uint64_t admin_timeout_ms(const struct admin *admin);
/* The next request to carry out, or NULL. */
struct admin_request *admin_take(struct admin *admin);

/* ---- answers; each ends the request and clears *request ---- */
/* 202 with Location for PUSH_CREATE, 200 for PUSH_GET. */
void admin_answer_push(struct admin *admin, struct admin_request **request,
                       const struct push_status *status);
void admin_answer_pushes(struct admin *admin, struct admin_request **request,
                         const struct push_status *statuses, uint32_t count, bool is_last);
/* 201 with Location for USER_CREATE, else 200; */
void admin_answer_user(struct admin *admin, struct admin_request **request,
                       const struct admin_user *user);
void admin_answer_users(struct admin *admin, struct admin_request **request,
                        const struct admin_user *users, uint32_t count, bool is_last);
void admin_answer_sessions(struct admin *admin, struct admin_request **request,
                           const struct admin_session *sessions, uint32_t count, bool is_last);
/* trace: rendered lines, one event each, newline-ended; becomes a JSON array. */
void admin_answer_session(struct admin *admin, struct admin_request **request,
                          const struct admin_session *session, struct bytes trace);
void admin_answer_count(struct admin *admin, struct admin_request **request, uint64_t connections,
                        uint64_t bound, uint64_t available);
/* 204. */
void admin_answer_done(struct admin *admin, struct admin_request **request);
/* text/plain as it is (METRICS, READY ok). */
void admin_answer_text(struct admin *admin, struct admin_request **request, struct bytes text);
/* A problem by error: NOT_FOUND 404, EXISTS 409, INVALID 400, LIMIT and QUEUE_FULL 429 or 503 with
 * Retry-After, TOO_LARGE 413, STORE_FULL 507, UNAVAILABLE 503, else 500. detail: a sentence. */
void admin_answer_problem(struct admin *admin, struct admin_request **request, enum error error,
                          const char *detail);
/* PUSH_CREATE naming users that do not exist: 404 problem whose errors[] has a pointer
 * "/target/users/i" for each index given. */
void admin_answer_unknown_users(struct admin *admin, struct admin_request **request,
                                const uint32_t *indices, uint32_t count);

#endif
