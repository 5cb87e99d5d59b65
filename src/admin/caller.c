/* SPDX-License-Identifier: Apache-2.0
 *
 * The TCP connections of the admin API. The library closes one that is silent (admin.idle_time) and
 * has no limit for one that sends an octet now and then, and at its own limit it leaves the others
 * in the kernel's queue. So strangers could hold every place. Here each connection has a time limit
 * of its own, and places are kept free:
 *
 *   STARTED --- receives a request ---------------------- answered --- receives ... --- CLOSED
 *           |<- admin.request_time ->|  no limit of ours  |<- idle_time + request_time ->|
 *
 * With less than an eighth of the places free, one on which no request with the token is under way
 * has STRANGER_NS in all, and the oldest goes first. Cutting is shutdown(2): the library reads the
 * end and cleans up. The table is made at the start: a connection needs no memory of ours. */
#include <sys/socket.h>

#include "admin_state.h"
#include "stentor/clock.h"

#define STRANGER_NS NS_PER_SECOND

struct caller {
    struct caller *newer, *older; /* newer: also the next free one */
    struct admin *admin;
    int descriptor;
    uint64_t since_ns; /* began, or its last answer went out */
    bool has_asked;    /* a request was answered before */
    bool is_trusted;   /* the request under way has the token */
    bool is_served;    /* its request was received whole */
    bool is_cut;
};

enum error callers_open(struct admin *admin)
{
    uint32_t count = (uint32_t)admin->config->admin_connections_max;
    admin->callers = heap_take_zeroed(admin->heap, count * sizeof *admin->callers);
    if (admin->callers == NULL)
        return ERROR_NO_MEMORY;
    for (uint32_t i = 0; i < count; i++) {
        admin->callers[i].newer = admin->caller_free;
        admin->caller_free = &admin->callers[i];
    }
    return ERROR_NONE;
}

struct caller *caller_open(struct admin *admin, int descriptor)
{
    struct caller *caller = admin->caller_free;
    ASSERT(caller != NULL); /* the library's limit is the table's size */
    admin->caller_free = caller->newer;
    *caller = (struct caller){
        .admin = admin,
        .older = admin->caller_newest,
        .descriptor = descriptor,
        .since_ns = admin->now_ns,
    };
    if (caller->older != NULL)
        caller->older->newer = caller;
    else
        admin->caller_oldest = caller;
    admin->caller_newest = caller;
    admin->caller_count++;
    return caller;
}

void caller_close(struct caller *caller)
{
    struct admin *admin = caller->admin;
    if (caller->newer != NULL)
        caller->newer->older = caller->older;
    else
        admin->caller_newest = caller->older;
    if (caller->older != NULL)
        caller->older->newer = caller->newer;
    else
        admin->caller_oldest = caller->newer;
    if (!caller->is_cut)
        admin->caller_count--;
    caller->newer = admin->caller_free;
    admin->caller_free = caller;
}

void caller_trust(struct caller *caller)
{
    caller->is_trusted = true;
}

void caller_serve(struct caller *caller)
{
    caller->is_served = true;
}

void caller_rest(struct caller *caller)
{
    caller->is_trusted = false;
    caller->is_served = false;
    caller->has_asked = true;
    caller->since_ns = caller->admin->now_ns;
}

/* ---- time ---- */

static bool is_crowded(const struct admin *admin)
{
    uint64_t max = admin->config->admin_connections_max;
    return admin->caller_count + max / 8 + 1 > max;
}

static uint64_t due_at_ns(const struct caller *caller)
{
    const struct config *config = caller->admin->config;
    if (caller->is_cut)
        return UINT64_MAX;
    if (!caller->is_trusted && is_crowded(caller->admin))
        return caller->since_ns + STRANGER_NS;
    if (caller->is_served)
        return UINT64_MAX;
    return caller->since_ns + config->admin_request_time +
           (caller->has_asked ? config->admin_idle_time : 0);
}

static void cut(struct caller *caller)
{
    struct admin *admin = caller->admin;
    bool is_crowd = !caller->is_trusted && is_crowded(admin);
    metric_count(admin->metrics, is_crowd ? METRIC_ADMIN_CUT_CROWDED : METRIC_ADMIN_CUT_SLOW);
    admin_complain(admin, is_crowd ? "connections crowd: the oldest without the token were cut"
                                   : "a request did not come whole in time");
    caller->is_cut = true;
    admin->caller_count--;
    shutdown(caller->descriptor, SHUT_RDWR);
}

void callers_turn(struct admin *admin)
{
    for (struct caller *caller = admin->caller_oldest; caller != NULL; caller = caller->newer)
        if (due_at_ns(caller) <= admin->now_ns)
            cut(caller);
}

uint64_t callers_timeout_ms(const struct admin *admin)
{
    uint64_t due_ns = UINT64_MAX;
    for (const struct caller *caller = admin->caller_oldest; caller != NULL; caller = caller->newer)
        due_ns = due_at_ns(caller) < due_ns ? due_at_ns(caller) : due_ns;
    if (due_ns == UINT64_MAX)
        return UINT64_MAX;
    return due_ns <= admin->now_ns ? 0 : (due_ns - admin->now_ns + NS_PER_MS - 1) / NS_PER_MS;
}
