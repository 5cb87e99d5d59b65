/* SPDX-License-Identifier: Apache-2.0
 *
 * What the store's tests share: a folder of their own, and requests answered while one waits. */
#ifndef STORE_FIXTURE_H
#define STORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "stentor/store.h"

#define FIXTURE_HEAP_BYTES (UINT64_C(256) << 20)
#define FIXTURE_MAP_BYTES (UINT64_C(64) << 20)

struct fixture {
    char dir[64]; /* the store's, does not exist yet at first */
    char text[512];
    struct heap heap;
    struct metrics metrics;
    struct store_options options; /* inline, relaxed, small */
    struct store *store;
    struct store_port *port;
    struct writer message;
};

/* cmocka's setup and teardown; teardown also checks that every block came back. */
int fixture_make(void **state);
int fixture_drop(void **state);

/* Opens with fixture->options and makes the port; the error is returned, the message kept in
 * fixture->text. */
enum error fixture_open(struct fixture *fixture);
void fixture_close(struct fixture *fixture);

struct store_request *fixture_request(struct fixture *fixture, enum store_kind kind,
                                      const char *local);
/* Submits and waits for the answer, which comes back in *request. */
enum error fixture_call(struct fixture *fixture, struct store_request **request);
/* Request of a local part, called, and given back. */
enum error fixture_do(struct fixture *fixture, enum store_kind kind, const char *local);
uint32_t fixture_count(struct fixture *fixture);

/* Keys that depend on the seed, of both kinds. */
void fixture_keys(struct account *account, uint8_t seed);
void fixture_remove(const char *dir);
/* The folder's file as "DIR/NAME". */
void fixture_path(const struct fixture *fixture, const char *name, char path[128]);

#endif
