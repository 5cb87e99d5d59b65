/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside the admin floor. An exchange is one HTTP request and its answer, from the first header
 * line to the last octet sent; the struct admin_request that control sees is its first member.
 *
 *   http.c collects it -> token.c lets it in -> route.c finds its row -> parse.c fills the request
 *   -> queue -> control -> answer.c renders -> http.c sends
 *
 * While control has it, the HTTP connection is suspended. Owner: the control thread. */
#ifndef STENTOR_ADMIN_STATE_H
#define STENTOR_ADMIN_STATE_H

#include <jansson.h>
#include <microhttpd.h>

#include "stentor/admin.h"
#include "stentor/account.h"
#include "stentor/xml.h"

#define ADMIN_JSON_DEPTH_MAX 16u
#define ADMIN_PROBLEMS_MAX 16u
#define ADMIN_TEXT_SIZE_MAX 4096u /* of one string in a request, texts of a push excepted */

enum exchange_place { EXCHANGE_READING, EXCHANGE_QUEUED, EXCHANGE_TAKEN, EXCHANGE_ANSWERED };

struct exchange {
    struct admin_request request; /* first: control's pointer is ours */
    struct admin *admin;
    struct MHD_Connection *connection;
    struct exchange *next, *previous; /* all exchanges */
    struct exchange *queue_next;
    enum exchange_place place;
    bool is_too_large;
    const char *method;
    char *path;
    uint8_t *body;
    size_t body_size, body_capacity;
    json_t *json;           /* the parsed body; views point into it */
    uint8_t *prepared;      /* prepared names and texts; views point into it */
    size_t prepared_capacity;
    struct MHD_Response *response;
    unsigned status;
};

struct admin {
    const struct config *config;
    struct heap *heap;
    struct metrics *metrics;
    struct random *random;
    struct log *log;
    struct MHD_Daemon *daemon;
    struct xml_reader *reader; /* judges the xml of a push */
    struct exchange *exchanges;
    struct exchange *queue_first, *queue_last;
    uint64_t wall_ms;
    uint32_t exchange_count;
    int descriptor;
    uint16_t port;
    bool is_closing;
    uint8_t token_hash[32];
};

/* token.c */
MUST_USE enum error token_open(struct admin *admin, char shown[ADMIN_TOKEN_SIZE + 1],
                               struct writer *message);
bool token_is_good(const struct admin *admin, const char *authorization);

/* http.c */
MUST_USE enum error http_open(struct admin *admin, struct writer *message);
void http_close(struct admin *admin);
/* The answer is in exchange->response: lets the connection go on. */
void http_resume(struct exchange *exchange);

/* route.c: finds the row, checks the token, parses. True: the request is to be queued; false: the
 * problem is answered already. */
bool route_exchange(struct exchange *exchange);

/* parse.c; false = a problem was answered */
bool parse_push(struct exchange *exchange);
bool parse_user_create(struct exchange *exchange);
bool parse_user_update(struct exchange *exchange);
/* limit= and cursor= as the kind takes them, user= for sessions. */
bool parse_page(struct exchange *exchange);
bool parse_user_name(struct exchange *exchange, const char *text);
bool parse_session_id(const char *text, struct handle *session);
/* A copy of octets that lives as long as the exchange; empty and is_full set when memory ends. */
bool exchange_keep(struct exchange *exchange, size_t capacity);

/* answer.c */
void answer_json(struct exchange *exchange, unsigned status, json_t *json);
void answer_text(struct exchange *exchange, unsigned status, struct bytes text, const char *type);

/* problem.c: RFC 9457 */
struct problem_spot {
    char pointer[64]; /* JSON pointer into the body */
    const char *detail;
};
void problem_answer(struct exchange *exchange, unsigned status, const char *detail);
void problem_answer_at(struct exchange *exchange, unsigned status, const char *detail,
                       const struct problem_spot *spots, uint32_t count);
/* As above with further headers of the kind. */
void problem_unauthorized(struct exchange *exchange);
void problem_method(struct exchange *exchange, const char *allowed);
unsigned problem_status(enum error error);

#endif
