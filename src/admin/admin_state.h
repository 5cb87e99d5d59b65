/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside the admin floor. An exchange is one HTTP request and its answer, from the request line to
 * the last octet sent; the struct admin_request that control sees is its first member.
 *
 *   caller.c the connections
 *   http.c receives -> exchange.c keeps -> route.c lets it in and finds its row -> parse.c fills
 *   the request -> queue -> control -> answer.c, problem.c render -> http.c sends
 *
 * Only http.c, and exchange.c for its handle, know that there is a connection: everything between
 * works on what an exchange holds, so tests and fuzzers need no socket. While control has a
 * request, its HTTP connection is suspended. Owner: the control thread. */
#ifndef STENTOR_ADMIN_STATE_H
#define STENTOR_ADMIN_STATE_H

#include <jansson.h>
#include <microhttpd.h>

#include "stentor/account.h"
#include "stentor/admin.h"
#include "stentor/digest.h"
#include "stentor/xml.h"

#define ADMIN_JSON_DEPTH_MAX 16u
#define ADMIN_JSON_VALUES_MAX 20000u /* of one body; PUSH_USERS_MAX names fit twice */
#define ADMIN_POINTER_SIZE_MAX 128u  /* of a JSON pointer in a problem */
#define ADMIN_XML_NODES_MAX 1024u    /* of the xml of a push; so are the next two */
#define ADMIN_XML_DEPTH_MAX 32u
#define ADMIN_XML_ATTRIBUTES_MAX 64u

enum exchange_place {
    EXCHANGE_NEW,     /* its request line is known */
    EXCHANGE_READING, /* let in or refused; its body comes */
    EXCHANGE_QUEUED,
    EXCHANGE_TAKEN,
    EXCHANGE_ANSWERED
};

enum exchange_body { BODY_GOOD, BODY_TOO_LARGE, BODY_NO_MEMORY };

struct answer {
    unsigned status; /* 0: none yet */
    const char *type;
    const void *octets;
    size_t size;
    void *block;      /* the octets, when they are the heap's */
    char *location;   /* of the heap, or NULL */
    char allowed[64]; /* Allow, when 405 */
};

struct exchange {
    struct admin_request request; /* first: control's pointer is ours */
    struct admin *admin;
    struct MHD_Connection *connection;
    struct exchange *next, *previous; /* all exchanges */
    struct exchange *queue_next;
    enum exchange_place place;
    const struct route *route;
    const char *method;   /* the library's; HEAD stands as GET */
    char *uri;            /* the block that path, query and segment stand in */
    const char *path;     /* as it came, without query */
    char *query;          /* as it came until it is parsed; empty without one */
    struct bytes segment; /* the last of the path, decoded */
    bool is_path_bad;     /* with an escape that is none */
    bool is_trusted;      /* it has the token */
    bool ends_connection; /* nothing that follows on it can be believed */
    enum exchange_body body_state;
    uint8_t *body;
    size_t body_size, body_capacity;
    uint64_t received_bytes; /* of the body, kept or not */
    json_t *json;            /* the parsed body; views point into it */
    uint8_t *prepared;       /* prepared names and texts; views point into it */
    size_t prepared_capacity;
    struct answer answer;
};

struct admin {
    const struct config *config;
    struct heap *heap;
    struct metrics *metrics;
    struct random *random;
    struct log *log;
    struct MHD_Daemon *daemon;
    struct xml_reader *reader; /* judges the xml of a push */
    struct digests digests;
    struct caller *callers; /* the table of connections: admin.connections_max */
    struct caller *caller_oldest, *caller_newest, *caller_free;
    uint32_t caller_count; /* those that were not cut */
    struct exchange *exchanges;
    struct exchange *queue_first, *queue_last;
    uint64_t now_ns;
    uint64_t wall_ms;
    uint64_t complained_at_ns; /* 0 = never */
    int descriptor;
    uint16_t port;
    bool has_digests;
    bool has_resumed; /* since the last turn: nothing but the next turn looks at it */
    bool is_closing;
    uint8_t token_hash[32];
};

/* admin.c */
struct xml_limits admin_xml_limits(const struct config *config);

/* A line in the log about strangers: one a second at most, so that they cannot fill it. */
void admin_complain(struct admin *admin, const char *what);

/* caller.c: the TCP connections */
/* Makes the table; it is heap_give()n by admin_close(). */
MUST_USE enum error callers_open(struct admin *admin);
/* A connection with that socket has begun. */
struct caller *caller_open(struct admin *admin, int descriptor);
void caller_close(struct caller *caller);
/* The request under way has the token. */
void caller_trust(struct caller *caller);
/* The request under way has been received, or is refused: what follows is ours. */
void caller_serve(struct caller *caller);
/* The request is over. */
void caller_rest(struct caller *caller);
/* Cuts those that are too slow. */
void callers_turn(struct admin *admin);
uint64_t callers_timeout_ms(const struct admin *admin);

/* token.c */
MUST_USE enum error token_open(struct admin *admin, char shown[ADMIN_TOKEN_SIZE + 1],
                               struct writer *message);
/* The value of an Authorization header; NULL when there is none. */
bool token_is_good(const struct admin *admin, const char *authorization);

/* http.c */
MUST_USE enum error http_open(struct admin *admin, struct writer *message);
void http_close(struct admin *admin);
/* There is an answer: lets the connection go on. */
void http_resume(struct exchange *exchange);

/* exchange.c */
/* uri as in the request line, in origin or absolute form. NULL without memory. */
struct exchange *exchange_create(struct admin *admin, struct MHD_Connection *connection,
                                 const char *uri);
void exchange_destroy(struct exchange *exchange);
/* Keeps a piece of the body, or lets it go where nobody wants it. False: it has gone on for so long
 * that the connection is to be closed. */
MUST_USE bool exchange_append(struct exchange *exchange, const char *octets, size_t size);
/* Makes exchange->prepared, once; false = a problem was answered. */
MUST_USE bool exchange_keep(struct exchange *exchange, size_t capacity);
/* Percent-decodes in place; false for an escape that is none. */
MUST_USE bool uri_decode(uint8_t *text, size_t *size);
/* Takes the next name=value of a query in place, decoded, + read as a space; false at the end, or
 * with *is_bad for an escape that is none. */
struct query_pair {
    struct bytes name, value;
    bool is_bad;
};
bool query_take(char **rest, struct query_pair *pair);

/* route.c */
/* Finds the row and judges the token; what is wrong is answered. */
void route_admit(struct exchange *exchange, const char *authorization);
/* Parses, once the body is there and nothing is answered yet. True: the request is to be queued;
 * false: a problem is answered. */
MUST_USE bool route_parse(struct exchange *exchange);

/* parse.c; false = a problem was answered */
bool parse_push(struct exchange *exchange);
bool parse_user_create(struct exchange *exchange);
bool parse_user_update(struct exchange *exchange);
/* limit= and cursor= as the kind takes them, user= for sessions. */
bool parse_page(struct exchange *exchange);
bool parse_user_name(struct exchange *exchange, struct bytes text);
MUST_USE bool parse_session_id(struct bytes text, struct handle *session);

/* answer.c */
/* Takes the json; NULL, or no memory to write it, becomes a 503. */
void answer_json(struct exchange *exchange, unsigned status, json_t *json);
void answer_text(struct exchange *exchange, unsigned status, struct bytes text, const char *type);

/* problem.c: RFC 9457 */
void problem_answer(struct exchange *exchange, unsigned status, const char *detail);
/* Takes the errors: a JSON array filled by problem_point(). */
void problem_answer_at(struct exchange *exchange, unsigned status, const char *detail,
                       json_t *errors);
/* pointer is a JSON pointer (RFC 6901) into the body. */
void problem_point(json_t *errors, const char *pointer, const char *detail);
unsigned problem_status(enum error error);

#endif
