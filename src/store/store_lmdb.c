/* SPDX-License-Identifier: Apache-2.0
 *
 * The folder as an LMDB environment: opening with every refusal told apart, group commit, reads.
 *
 * LMDB never overwrites a page that the last commit reaches and turns to the new root with one
 * write after flushing the pages, so a kill or a full disk at any moment leaves the last commit
 * whole. What it does not tell is a file cut short (a read through the map would be a SIGBUS), so
 * the file is kept longer than what is used (sparse, no blocks), and a shorter one is damage.
 * Threads: open and close one, write one, read one a reader number. */
#include "store_lmdb.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stentor/byteorder.h"

/* More than one batch can add: 256 requests, some 12 new pages each. */
#define FILE_AHEAD_BYTES (UINT64_C(16) << 20)
#define TABLES_MAX 16u
#define READERS_SPARE 4u

#define NUMBER_FIRST 1u

typedef enum error lmdb_run(struct lmdb_turn *turn, struct store_request *request);

static lmdb_run *const runs[STORE_KIND_COUNT] = {
#define STORE_KIND(NAME, name, access) [STORE_##NAME] = lmdb_##name,
#include "stentor/store_kind.def"
#undef STORE_KIND
};

/* ---- faults ---- */

enum error store_lmdb_error(const struct store_lmdb *lmdb, int code)
{
    switch (code) {
    case 0:
        return ERROR_NONE;
    case MDB_NOTFOUND:
        return ERROR_NOT_FOUND;
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return ERROR_STORE_FULL;
    case EIO:
        /* What LMDB says of a write cut short, whatever cut it. */
        return store_folder_is_full(&lmdb->folder) ? ERROR_STORE_FULL : ERROR_SYSTEM;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_INCOMPATIBLE:
        return ERROR_STORE_DAMAGED;
    case ENOMEM:
        return ERROR_NO_MEMORY;
    default:
        return ERROR_SYSTEM;
    }
}

bool store_lmdb_is_fault(enum error error)
{
    switch (error) {
    case ERROR_NONE:
    case ERROR_NOT_FOUND:
    case ERROR_EXISTS:
    case ERROR_INVALID:
    case ERROR_LIMIT:
        return false;
    default:
        return true;
    }
}

/* ---- executing ---- */

/* Keeps data.mdb longer than one batch could make the used part. A refusal is left to LMDB's own
 * writes to report. */
static void file_extend(struct store_lmdb *lmdb)
{
    MDB_envinfo stand;
    int fd;
    if (mdb_env_info(lmdb->env, &stand) != 0 || mdb_env_get_fd(lmdb->env, &fd) != 0)
        return;
    uint64_t used = ((uint64_t)stand.me_last_pgno + 1) * lmdb->page_bytes;
    if (lmdb->file_bytes >= used + FILE_AHEAD_BYTES || lmdb->file_bytes >= lmdb->map_bytes)
        return;
    uint64_t wanted = used + 2 * FILE_AHEAD_BYTES;
    if (wanted > lmdb->map_bytes)
        wanted = lmdb->map_bytes;
    if (ftruncate(fd, (off_t)wanted) == 0)
        lmdb->file_bytes = wanted;
}

static void errors_set(struct store_request *const *requests, uint32_t count, enum error error)
{
    for (uint32_t i = 0; i < count; i++)
        requests[i]->error = error;
}

/* All in one transaction; false when a fault undid it, with the error in each request. */
static bool batch_commit(struct store_lmdb *lmdb, struct store_request *const *requests,
                         uint32_t count)
{
    struct lmdb_turn turn = {.lmdb = lmdb};
    int code = mdb_txn_begin(lmdb->env, NULL, 0, &turn.txn);
    if (code != 0) {
        errors_set(requests, count, store_lmdb_error(lmdb, code));
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        requests[i]->error = runs[requests[i]->kind](&turn, requests[i]);
        if (store_lmdb_is_fault(requests[i]->error)) {
            mdb_txn_abort(turn.txn);
            return false;
        }
    }
    code = mdb_txn_commit(turn.txn);
    if (code == 0)
        return true;
    errors_set(requests, count, store_lmdb_error(lmdb, code));
    return false;
}

uint32_t store_lmdb_write(struct store_lmdb *lmdb, struct store_request *const *requests,
                          uint32_t count)
{
    uint32_t commits = 0;
    file_extend(lmdb);
    if (batch_commit(lmdb, requests, count))
        return 1;
    if (count == 1)
        return 0;
    /* One of them spoiled it for all: each alone, so that those which fit succeed. */
    for (uint32_t i = 0; i < count; i++)
        commits += batch_commit(lmdb, &requests[i], 1);
    return commits;
}

void store_lmdb_read(struct store_lmdb *lmdb, uint32_t reader,
                     struct store_request *const *requests, uint32_t count)
{
    ASSERT(reader < lmdb->reader_count);
    struct lmdb_turn turn = {.lmdb = lmdb, .txn = lmdb->readers[reader]};
    int code = mdb_txn_renew(turn.txn);
    if (code != 0) {
        errors_set(requests, count, store_lmdb_error(lmdb, code));
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        requests[i]->error = runs[requests[i]->kind](&turn, requests[i]);
        if (requests[i]->error)
            requests[i]->count = 0;
    }
    /* A snapshot held while idle would keep every page freed since from being used again. */
    mdb_txn_reset(turn.txn);
}

/* ---- opening ---- */

struct opening {
    struct store_lmdb *lmdb;
    const char *dir;
    struct writer *message;
};

static enum error opening_refuse(struct opening *opening, enum error error, const char *sentence)
{
    store_folder_message(opening->message, opening->dir, sentence, 0);
    return error;
}

static enum error opening_fault(struct opening *opening, int code, const char *sentence)
{
    store_folder_message(opening->message, opening->dir, sentence, 0);
    write_string(opening->message, ": ");
    write_string(opening->message, mdb_strerror(code));
    enum error error = store_lmdb_error(opening->lmdb, code);
    return error == ERROR_NOT_FOUND ? ERROR_STORE_DAMAGED : error;
}

static enum error env_open(struct opening *opening, const struct store_options *options)
{
    struct store_lmdb *lmdb = opening->lmdb;
    /* NOTLS: a reader's transaction is the reader's, not the thread's. */
    unsigned flags = MDB_NOTLS | MDB_NORDAHEAD;
    if (options->sync == STORE_SYNC_RELAXED)
        flags |= MDB_NOSYNC;
    int code = mdb_env_create(&lmdb->env);
    if (code != 0)
        return opening_fault(opening, code, "the store cannot start");
    mdb_env_set_maxdbs(lmdb->env, TABLES_MAX);
    mdb_env_set_maxreaders(lmdb->env, lmdb->reader_count + READERS_SPARE);
    code = mdb_env_set_mapsize(lmdb->env, lmdb->map_bytes);
    if (code == 0)
        code = mdb_env_open(lmdb->env, opening->dir, flags, 0600);
    if (code != 0)
        return opening_fault(opening, code, "data.mdb cannot be opened");
    return ERROR_NONE;
}

/* Nothing beyond the two head pages may be read before this said the file is whole. */
static enum error file_measure(struct opening *opening)
{
    struct store_lmdb *lmdb = opening->lmdb;
    MDB_envinfo stand;
    MDB_stat stat;
    struct stat file;
    int fd;
    mdb_env_info(lmdb->env, &stand);
    mdb_env_stat(lmdb->env, &stat);
    if (mdb_env_get_fd(lmdb->env, &fd) != 0 || fstat(fd, &file) != 0)
        return opening_refuse(opening, ERROR_SYSTEM, "data.mdb cannot be looked at");
    lmdb->map_bytes = stand.me_mapsize;
    lmdb->page_bytes = stat.ms_psize;
    lmdb->file_bytes = (uint64_t)file.st_size;
    if (lmdb->file_bytes < ((uint64_t)stand.me_last_pgno + 1) * lmdb->page_bytes)
        return opening_refuse(opening, ERROR_STORE_DAMAGED, "data.mdb is cut short");
    return ERROR_NONE;
}

static int tables_open(struct store_lmdb *lmdb, MDB_txn *txn, unsigned flags)
{
    int code = mdb_dbi_open(txn, "meta", flags, &lmdb->meta);
    if (code == 0)
        code = mdb_dbi_open(txn, "accounts", flags, &lmdb->accounts);
    if (code == 0)
        code = mdb_dbi_open(txn, "numbers", flags, &lmdb->numbers);
    return code;
}

static int meta_put(struct store_lmdb *lmdb, MDB_txn *txn, struct bytes key, uint32_t number)
{
    struct be32 value = be32_of(number);
    MDB_val key_val = val_of(key);
    MDB_val value_val = val_of(bytes_of(&value, sizeof value));
    return mdb_put(txn, lmdb->meta, &key_val, &value_val, 0);
}

static enum error tables_make(struct opening *opening)
{
    struct store_lmdb *lmdb = opening->lmdb;
    MDB_txn *txn;
    file_extend(lmdb);
    int code = mdb_txn_begin(lmdb->env, NULL, 0, &txn);
    if (code != 0)
        return opening_fault(opening, code, "the store cannot be written");
    code = tables_open(lmdb, txn, MDB_CREATE);
    if (code == 0)
        code = meta_put(lmdb, txn, STORE_KEY_FORMAT, STORE_FORMAT);
    if (code == 0)
        code = meta_put(lmdb, txn, STORE_KEY_NEXT, NUMBER_FIRST);
    if (code == 0)
        code = mdb_txn_commit(txn);
    else
        mdb_txn_abort(txn);
    if (code != 0)
        return opening_fault(opening, code, "the store cannot be made");
    if (store_folder_flush(opening->dir))
        return opening_refuse(opening, ERROR_SYSTEM, "the folder cannot be flushed to disk");
    return ERROR_NONE;
}

static enum error format_check(struct opening *opening, MDB_txn *txn)
{
    uint32_t format = 0;
    MDB_dbi meta;
    MDB_val value;
    MDB_val key = val_of(STORE_KEY_FORMAT);
    int code = mdb_dbi_open(txn, "meta", 0, &meta);
    if (code == 0)
        code = mdb_get(txn, meta, &key, &value);
    if (code != 0)
        return opening_fault(opening, code, "data.mdb has no format record");
    struct cursor cursor = cursor_of(val_bytes(value));
    if (!cursor_be32(&cursor, &format) || cursor_left(&cursor) != 0 || format == 0)
        return opening_refuse(opening, ERROR_STORE_DAMAGED, "the format record is not readable");
    if (format <= STORE_FORMAT)
        return ERROR_NONE;
    store_folder_message(opening->message, opening->dir, "written by a newer Stentor: format ", 0);
    write_decimal(opening->message, format);
    write_string(opening->message, ", this one reads up to ");
    write_decimal(opening->message, STORE_FORMAT);
    return ERROR_STORE_NEWER;
}

/* Looks before anything is written, so a folder that is refused stays as it was. */
static enum error tables_find(struct opening *opening)
{
    struct store_lmdb *lmdb = opening->lmdb;
    MDB_txn *txn;
    MDB_stat stat;
    int code = mdb_env_stat(lmdb->env, &stat);
    if (code == 0 && stat.ms_entries == 0)
        return tables_make(opening);
    code = mdb_txn_begin(lmdb->env, NULL, MDB_RDONLY, &txn);
    if (code != 0)
        return opening_fault(opening, code, "the store cannot be read");
    enum error error = format_check(opening, txn);
    if (error) {
        mdb_txn_abort(txn);
        return error;
    }
    code = tables_open(lmdb, txn, 0);
    if (code == 0)
        code = mdb_txn_commit(txn);
    else
        mdb_txn_abort(txn);
    return code == 0 ? ERROR_NONE : opening_fault(opening, code, "a table is missing");
}

static enum error readers_make(struct opening *opening)
{
    struct store_lmdb *lmdb = opening->lmdb;
    for (uint32_t i = 0; i < lmdb->reader_count; i++) {
        int code = mdb_txn_begin(lmdb->env, NULL, MDB_RDONLY, &lmdb->readers[i]);
        if (code != 0)
            return opening_fault(opening, code, "a reader cannot start");
        mdb_txn_reset(lmdb->readers[i]);
    }
    return ERROR_NONE;
}

enum error store_lmdb_open(struct store_lmdb *lmdb, const struct store_options *options,
                           struct writer *message)
{
    *lmdb = (struct store_lmdb){
        .heap = options->heap,
        .map_bytes = options->map_bytes,
        .reader_count = options->reader_count,
    };
    struct opening opening = {lmdb, options->dir, message};
    enum error error = store_folder_open(&lmdb->folder, options->dir, message);
    if (error)
        return error;
    error = env_open(&opening, options);
    if (!error)
        error = file_measure(&opening);
    if (!error)
        error = tables_find(&opening);
    if (!error)
        error = readers_make(&opening);
    if (error)
        store_lmdb_close(lmdb);
    return error;
}

void store_lmdb_close(struct store_lmdb *lmdb)
{
    for (uint32_t i = 0; i < lmdb->reader_count; i++) {
        if (lmdb->readers[i] != NULL)
            mdb_txn_abort(lmdb->readers[i]);
    }
    if (lmdb->env != NULL)
        mdb_env_close(lmdb->env);
    store_folder_close(&lmdb->folder);
    *lmdb = (struct store_lmdb){.folder.lock_fd = -1};
}
