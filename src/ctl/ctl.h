/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside stentorctl: one run of one verb.
 *
 *   arguments.c reads the command line -> verbs.c finds the row -> verb_*.c asks by client.c and
 *   shows by table.c and progress.c
 *
 * Everything hangs from struct ctl, and the streams in it may be anything, so tests run verbs in
 * their own process. One thread. */
#ifndef CTL_H
#define CTL_H

#include <jansson.h>
#include <stdio.h>

#include "stentor/bytes.h"
#include "stentor/heap.h"

#define CTL_HEAP_BYTES_MAX (256u << 20)
#define CTL_RESPONSE_BYTES_MAX (64u << 20)
#define CTL_PASSWORD_SIZE_MAX 1024u
#define CTL_URL_DEFAULT "http://127.0.0.1:7070"

/* The exit status of the process. */
enum ctl_exit {
    CTL_OK,
    CTL_REFUSED, /* by the server, which said why */
    CTL_USAGE,
    CTL_UNREACHABLE,
    CTL_UNWRITTEN /* done, but the standard output did not take the answer */
};

/* ---- arguments.c ---- */

enum option {
#define OPTION(name, text, value, help) OPTION_##name,
#include "option.def"
#undef OPTION
    OPTION_COUNT
};
#define OPTION_BIT(name) (1u << OPTION_##name)

struct ctl;

struct verb {
    const char *words;   /* one or two */
    const char *operand; /* "NAME" must be there, "[NAME]" may, NULL must not */
    uint32_t options;    /* bits of its own; those of every verb come in addition */
    enum ctl_exit (*run)(struct ctl *ctl);
    const char *help;
};

struct arguments {
    const struct verb *verb;
    const char *operand;               /* NULL = none */
    const char *options[OPTION_COUNT]; /* NULL = not given; "" for one without value */
};

/* False: the writer says what is wrong in one line. */
MUST_USE bool arguments_parse(struct arguments *arguments, int count, char *const *words,
                              struct writer *message);
void arguments_help(FILE *out);

/* ---- verbs.c ---- */

const struct verb *verb_find(const char *words);
const struct verb *verb_at(uint32_t index); /* NULL behind the last */
/* The whole program but for its streams and exit. */
enum ctl_exit ctl_run(struct ctl *ctl, int count, char *const *words);

/* ---- client.c ---- */

struct response {
    uint32_t status;
    uint8_t *body; /* of the heap */
    size_t size, capacity;
    json_t *json; /* NULL when the body is none */
};

struct ctl {
    struct heap heap;
    FILE *in, *out, *err;
    bool is_terminal; /* err is one: progress may move */
    struct arguments arguments;
    void *curl; /* libcurl's easy handle */
    char url[1024];
    char token[256];
};

/* Where and as whom: options, environment, defaults. CTL_USAGE says why not. */
MUST_USE enum ctl_exit client_open(struct ctl *ctl);
void client_close(struct ctl *ctl);
/* Sends body, when not NULL, and takes it. Not CTL_OK: what is wrong stands on ctl->err already.
 * response is to be given to response_fini() in each case. */
MUST_USE enum ctl_exit client_call(struct ctl *ctl, const char *method, const char *path,
                                   json_t *body, struct response *response);
void response_fini(struct ctl *ctl, struct response *response);
/* folder and name percent-encoded; false when it does not fit. */
MUST_USE bool path_write(char *path, size_t size, const char *folder, const char *name);

/* ---- table.c ---- */

struct table_cell {
    uint32_t at, size, width;
};

/* Columns as wide as their widest cell. Of a title that starts with '>' the column is aligned to
 * the right. Whatever a server puts into a cell cannot steer the terminal. */
struct table {
    struct heap *heap;
    uint32_t column_count;
    uint32_t cell_count, cell_capacity;
    struct table_cell *cells;
    uint8_t *text;
    size_t text_size, text_capacity;
    bool is_short_of_memory;
};

void table_init(struct table *table, struct heap *heap, const char *const *titles,
                uint32_t column_count);
void table_fini(struct table *table);
void table_add(struct table *table, struct bytes text);
void table_add_string(struct table *table, const char *text); /* NULL = empty */
void table_add_count(struct table *table, uint64_t count);
void table_print(const struct table *table, FILE *out);
/* Controls and what is no UTF-8 become '?'. Returns the columns it takes. */
uint32_t write_shown(struct writer *into, struct bytes text);
void print_shown(FILE *out, const char *text);
/* 1234567 as 1,234,567. */
void write_grouped(struct writer *into, uint64_t count);
/* Seconds as 5s, 3m 07s, 2h 05m, 4d 03h. */
void write_age(struct writer *into, uint64_t seconds);
/* A line of name and value for each of count pairs, names padded. */
void print_grouped(FILE *out, const char *name, uint64_t count);
void print_field(FILE *out, const char *name, const char *text);

/* ---- progress.c ---- */

struct progress {
    uint64_t matched, pending, written, in_flight, acked, lost, failed;
};

struct progress progress_of(const json_t *push);
/* One line: a bar of that many places, the share that is settled, and the figures. */
void progress_render(struct writer *into, const struct progress *progress, uint32_t places);

/* ---- password.c ---- */

/* From the first line of ctl->in, or asked for twice on the terminal without echo. */
MUST_USE enum ctl_exit password_read(struct ctl *ctl, char password[CTL_PASSWORD_SIZE_MAX]);

/* ---- verb_*.c ---- */

enum ctl_exit verb_push(struct ctl *ctl);
enum ctl_exit verb_pushes(struct ctl *ctl);
enum ctl_exit verb_user_add(struct ctl *ctl);
enum ctl_exit verb_user_list(struct ctl *ctl);
enum ctl_exit verb_user_show(struct ctl *ctl);
enum ctl_exit verb_user_remove(struct ctl *ctl);
enum ctl_exit verb_user_passwd(struct ctl *ctl);
enum ctl_exit verb_user_enable(struct ctl *ctl);
enum ctl_exit verb_user_disable(struct ctl *ctl);
enum ctl_exit verb_sessions(struct ctl *ctl);
enum ctl_exit verb_session_show(struct ctl *ctl);
enum ctl_exit verb_kick(struct ctl *ctl);
enum ctl_exit verb_count(struct ctl *ctl);
enum ctl_exit verb_metrics(struct ctl *ctl);
enum ctl_exit verb_health(struct ctl *ctl);
enum ctl_exit verb_ready(struct ctl *ctl);
enum ctl_exit verb_version(struct ctl *ctl);
enum ctl_exit verb_help(struct ctl *ctl);

/* What verbs share, in verb_server.c. */
const char *json_text(const json_t *object, const char *name); /* "" when absent */
uint64_t json_count(const json_t *object, const char *name);   /* 0 when absent or negative */
/* --json: the body as it came, and true. */
bool print_verbatim(struct ctl *ctl, const struct response *response);
/* GETs a page of path with --limit, --cursor and --user. */
MUST_USE enum ctl_exit page_get(struct ctl *ctl, const char *path, struct response *response);
/* How to get the next page, when there is one. */
void page_end(struct ctl *ctl, const struct response *response);

#endif
