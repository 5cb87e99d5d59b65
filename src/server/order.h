/* SPDX-License-Identifier: Apache-2.0
 *
 * What control asks of a worker: one heap block that goes to the worker by ring and comes back as
 * its own answer. PUSH_BEGIN comes back at once (its reports follow by themselves). Whoever holds
 * the pointer owns it. */
#ifndef STENTOR_SERVER_ORDER_H
#define STENTOR_SERVER_ORDER_H

#include "stentor/admin.h"
#include "stentor/push.h"
#include "stentor/trace.h"

enum order_kind {
    ORDER_PUSH,          /* begin to walk `job` */
    ORDER_SESSION_LIST,  /* append up to `limit` sessions after `cursor` */
    ORDER_SESSION_COUNT, /* add to the counts */
    ORDER_SESSION_GET,   /* the session and its flight recorder */
    ORDER_SESSION_KICK,
    ORDER_ACCOUNT_CHANGED, /* logins by what `account` was are void, and so are its sessions */
    ORDER_DRAIN            /* close every stream; comes back when all are gone */
};

#define ORDER_TRACE_MAX 256u
#define ORDER_USER_MAX 1024u

struct order {
    enum order_kind kind;
    uint8_t worker; /* the one asked */
    enum error error;
    struct admin_request *request; /* control's: whom to answer; NULL = nobody */
    const struct push_job *job;    /* PUSH */
    struct handle session;         /* GET, KICK; LIST: start after this row of this worker */
    uint32_t account;              /* ACCOUNT_CHANGED */
    bool ends_sessions;            /* ACCOUNT_CHANGED: bound streams of the account end too */
    bool is_due;                   /* ACCOUNT_CHANGED: the store has changed it */
    bool is_enabled;               /* ACCOUNT_CHANGED, for the answer */
    uint64_t created_at_ms;        /* ACCOUNT_CHANGED, for the answer */
    struct order *next;            /* ACCOUNT_CHANGED: control's, while it has the order */
    bool has_cursor;               /* LIST */
    uint16_t user_size;            /* LIST: filter */
    uint8_t user[ORDER_USER_MAX];
    uint32_t limit;
    uint32_t count;                         /* LIST: filled so far */
    struct admin_session *sessions;         /* LIST, GET: heap, owned by the order */
    uint64_t connections, bound, available; /* COUNT */
    uint32_t trace_count;                   /* GET */
    struct trace_event *trace;              /* GET: heap, owned by the order */
    uint64_t now_ns;                        /* GET: the worker's clock */
};

#endif
