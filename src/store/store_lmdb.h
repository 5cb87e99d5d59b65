/* SPDX-License-Identifier: Apache-2.0
 *
 * The LMDB driver behind store.c. It executes requests, in the calling thread, and knows nothing
 * of rings and ports. One thread writes; each reader thread has a number of its own. */
#ifndef STORE_LMDB_H
#define STORE_LMDB_H

#include <lmdb.h>

#include "stentor/store.h"

#include "store_folder.h"

/* What this version writes, and the highest it reads. */
#define STORE_FORMAT 1u
/* Keys of the table `meta`; values are be32. */
#define STORE_KEY_FORMAT BYTES("format")
#define STORE_KEY_NEXT BYTES("next") /* the next account's number */

struct store_lmdb {
    MDB_env *env;
    MDB_dbi meta;
    MDB_dbi accounts; /* local part -> account record */
    MDB_dbi numbers;  /* be32 account number -> local part */
    struct heap *heap;
    struct store_folder folder;
    uint64_t map_bytes;
    uint64_t page_bytes;
    uint64_t file_bytes; /* size of data.mdb as we made it; see file_extend */
    uint32_t reader_count;
    MDB_txn *readers[STORE_READERS_MAX]; /* reset between batches */
};

/* Errors and messages as store_open. */
MUST_USE enum error store_lmdb_open(struct store_lmdb *lmdb, const struct store_options *options,
                                    struct writer *message);
void store_lmdb_close(struct store_lmdb *lmdb);

/* Executes writes and makes them durable; each request's error is set. One request's failure does
 * not touch the others. Returns the commits made. */
uint32_t store_lmdb_write(struct store_lmdb *lmdb, struct store_request *const *requests,
                          uint32_t count);
/* Executes reads on one snapshot as reader number `reader`. */
void store_lmdb_read(struct store_lmdb *lmdb, uint32_t reader,
                     struct store_request *const *requests, uint32_t count);

/* A fault of disk, map, memory or file, unlike a plain no such as NOT_FOUND. */
bool store_lmdb_is_fault(enum error error);
/* LMDB's code as ours. */
enum error store_lmdb_error(const struct store_lmdb *lmdb, int code);

static inline MDB_val val_of(struct bytes view)
{
    return (MDB_val){view.size, (void *)(uintptr_t)view.at};
}
static inline struct bytes val_bytes(MDB_val val)
{
    return bytes_of(val.mv_data, val.mv_size);
}

/* ---- store_lmdb_account.c: one function a kind, in a transaction the caller ends ---- */

struct lmdb_turn {
    struct store_lmdb *lmdb;
    MDB_txn *txn;
};

#define STORE_KIND(NAME, name, access)                                                             \
    enum error lmdb_##name(struct lmdb_turn *turn, struct store_request *request);
#include "stentor/store_kind.def"
#undef STORE_KIND

#endif
