/* SPDX-License-Identifier: Apache-2.0
 *
 * An admin API on a free loopback port with a data folder of its own, run by hand, and HTTP clients
 * on plain sockets in the same thread. heap_used_bytes must be back at the baseline at the end of
 * each test: fixture_close() asserts it. */
#ifndef ADMIN_FIXTURE_H
#define ADMIN_FIXTURE_H

#include "admin_state.h"

#define FIXTURE_WALL_MS UINT64_C(1700000000123)

struct fixture {
    struct config config;
    struct heap heap;
    struct metrics metrics;
    struct random random;
    struct log *log;
    struct admin *admin;
    uint64_t now_ns; /* stands still unless a test moves it */
    char folder[64];
    char token[ADMIN_TOKEN_SIZE + 1];
    uint64_t baseline_bytes; /* of the heap, with the admin open and idle */
    uint32_t answered;       /* requests that fixture_answer() was given */
};

struct reply {
    unsigned status; /* 0: the connection ended without one */
    size_t size;     /* of text, as far as it came */
    char text[1 << 17];
    const char *body; /* into text; "" without one */
    size_t body_size; /* as Content-Length says */
    size_t end;       /* where the next reply of a pipeline starts */
    bool is_closed;   /* the server closed after it */
};

/* Settings may be changed between the two. */
void fixture_init(struct fixture *fixture);
void fixture_open(struct fixture *fixture);
void fixture_reopen(struct fixture *fixture);
void fixture_close(struct fixture *fixture);

/* One turn, and every request taken is answered with something fitting. */
void fixture_turn(struct fixture *fixture);
void fixture_answer(struct fixture *fixture, struct admin_request *request);
/* Turns without answering until a request can be taken. */
struct admin_request *fixture_take(struct fixture *fixture);
/* Turns until the heap is back at the baseline. */
void fixture_settle(struct fixture *fixture);

int client_open(const struct fixture *fixture);
void client_send(struct fixture *fixture, int client, const char *text, size_t size);
/* Turns until one whole reply is there, or the end of the connection. */
void client_receive(struct fixture *fixture, int client, struct reply *reply);
/* A request with the token, HTTP/1.1, and its body when that is not NULL. */
void client_request(struct fixture *fixture, int client, const char *method, const char *uri,
                    const char *body);
/* The same on a connection of its own, with the reply. */
const struct reply *fixture_ask(struct fixture *fixture, const char *method, const char *uri,
                                const char *body);
/* The value of a header of the reply, in a buffer of the fixture; NULL when absent. */
const char *reply_header(const struct reply *reply, const char *name);

/* An exchange without a connection, admitted with the token and parsed. */
struct exchange *fixture_parse(struct fixture *fixture, const char *method, const char *uri,
                               const char *body);
/* What it was answered: status, and the pointer of the first error, "" or "-" for none. */
void expect_problem(struct exchange *exchange, unsigned status, const char *pointer);

#endif
