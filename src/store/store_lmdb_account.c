/* SPDX-License-Identifier: Apache-2.0
 *
 * Account requests on LMDB. Two tables say the same from two sides and change together in one
 * transaction: `accounts` (local part -> record) and `numbers` (number -> local part). A write may
 * be run a second time on the same request after an aborted transaction, so what it takes from the
 * request must still be there after it ran. Thread: the one that owns the transaction. */
#include "stentor/byteorder.h"

#include "store_lmdb.h"

static enum error value_find(struct lmdb_turn *turn, MDB_dbi table, struct bytes key,
                             struct bytes *value)
{
    MDB_val key_val = val_of(key);
    MDB_val found;
    int code = mdb_get(turn->txn, table, &key_val, &found);
    if (code == 0)
        *value = val_bytes(found);
    return store_lmdb_error(turn->lmdb, code);
}

static enum error value_put(struct lmdb_turn *turn, MDB_dbi table, struct bytes key,
                            struct bytes value)
{
    MDB_val key_val = val_of(key);
    MDB_val value_val = val_of(value);
    return store_lmdb_error(turn->lmdb, mdb_put(turn->txn, table, &key_val, &value_val, 0));
}

static enum error value_delete(struct lmdb_turn *turn, MDB_dbi table, struct bytes key)
{
    MDB_val key_val = val_of(key);
    return store_lmdb_error(turn->lmdb, mdb_del(turn->txn, table, &key_val, NULL));
}

/* A row that must be there because its twin is. */
static enum error twin_error(enum error error)
{
    return error == ERROR_NOT_FOUND ? ERROR_STORE_DAMAGED : error;
}

static bool has_local(const struct account *account)
{
    return account->local_size >= 1 && account->local_size <= ACCOUNT_LOCAL_SIZE_MAX;
}

static bool keys_are_valid(const struct account *account)
{
    for (uint32_t i = 0; i < DIGEST_KIND_COUNT; i++) {
        const struct scram_keys *keys = &account->scram[i];
        if (scram_keys_is_present(keys) && !account_keys_are_valid(keys, (enum digest_kind)i))
            return false;
    }
    return true;
}

static enum error account_find(struct lmdb_turn *turn, struct bytes local, struct account *account)
{
    struct bytes record;
    enum error error = value_find(turn, turn->lmdb->accounts, local, &record);
    if (error)
        return error;
    error = account_read(account, record);
    if (error)
        return error;
    return bytes_equal(account_local(account), local) ? ERROR_NONE : ERROR_STORE_DAMAGED;
}

static enum error account_put(struct lmdb_turn *turn, const struct account *account)
{
    uint8_t record[ACCOUNT_RECORD_SIZE_MAX];
    struct writer writer = writer_of(record, sizeof record);
    account_write(account, &writer);
    ASSERT(!writer.is_overflown);
    enum error error =
        value_put(turn, turn->lmdb->accounts, account_local(account), writer_bytes(&writer));
    bytes_wipe(record, sizeof record);
    return error;
}

/* ---- one account ---- */

enum error lmdb_account_get(struct lmdb_turn *turn, struct store_request *request)
{
    struct account found;
    if (!has_local(&request->account))
        return ERROR_INVALID;
    enum error error = account_find(turn, account_local(&request->account), &found);
    if (!error)
        request->account = found;
    return error;
}

/* The number that `next` stands at, and moves it on. Numbers are never given twice. */
static enum error number_take(struct lmdb_turn *turn, uint32_t *number)
{
    struct bytes value = {0};
    enum error error = value_find(turn, turn->lmdb->meta, STORE_KEY_NEXT, &value);
    if (error)
        return twin_error(error);
    struct cursor cursor = cursor_of(value);
    if (!cursor_be32(&cursor, number) || *number == ACCOUNT_NUMBER_NONE)
        return ERROR_STORE_DAMAGED;
    if (*number == UINT32_MAX)
        return ERROR_LIMIT;
    struct be32 next = be32_of(*number + 1);
    return value_put(turn, turn->lmdb->meta, STORE_KEY_NEXT, bytes_of(&next, sizeof next));
}

enum error lmdb_account_create(struct lmdb_turn *turn, struct store_request *request)
{
    struct account *account = &request->account;
    struct bytes existing;
    account->number = ACCOUNT_NUMBER_NONE;
    if (!has_local(account) || !keys_are_valid(account))
        return ERROR_INVALID;
    enum error error = value_find(turn, turn->lmdb->accounts, account_local(account), &existing);
    if (error != ERROR_NOT_FOUND)
        return error ? error : ERROR_EXISTS;
    uint32_t number = 0;
    error = number_take(turn, &number);
    if (error)
        return error;
    account->number = number;
    error = account_put(turn, account);
    if (error)
        return error;
    struct be32 key = be32_of(number);
    return value_put(turn, turn->lmdb->numbers, bytes_of(&key, sizeof key), account_local(account));
}

enum error lmdb_account_update(struct lmdb_turn *turn, struct store_request *request)
{
    struct account found;
    uint32_t known = STORE_UPDATE_SCRAM | STORE_UPDATE_ENABLED;
    if (!has_local(&request->account) || !keys_are_valid(&request->account))
        return ERROR_INVALID;
    if (request->update == 0 || (request->update & ~known) != 0)
        return ERROR_INVALID;
    enum error error = account_find(turn, account_local(&request->account), &found);
    if (error)
        return error;
    if (request->update & STORE_UPDATE_SCRAM)
        memcpy(found.scram, request->account.scram, sizeof found.scram);
    if (request->update & STORE_UPDATE_ENABLED)
        found.is_enabled = request->account.is_enabled;
    error = account_put(turn, &found);
    request->account = found;
    return error;
}

enum error lmdb_account_delete(struct lmdb_turn *turn, struct store_request *request)
{
    struct account found;
    if (!has_local(&request->account))
        return ERROR_INVALID;
    enum error error = account_find(turn, account_local(&request->account), &found);
    if (error)
        return error;
    struct be32 key = be32_of(found.number);
    error = value_delete(turn, turn->lmdb->accounts, account_local(&found));
    if (!error)
        error = value_delete(turn, turn->lmdb->numbers, bytes_of(&key, sizeof key));
    request->account = found;
    return twin_error(error);
}

/* ---- many accounts ---- */

static enum error entries_count(struct lmdb_turn *turn, MDB_dbi table, uint32_t *count)
{
    MDB_stat stat;
    int code = mdb_stat(turn->txn, table, &stat);
    if (code != 0)
        return store_lmdb_error(turn->lmdb, code);
    if (stat.ms_entries >= UINT32_MAX)
        return ERROR_STORE_DAMAGED;
    *count = (uint32_t)stat.ms_entries;
    return ERROR_NONE;
}

enum error lmdb_account_count(struct lmdb_turn *turn, struct store_request *request)
{
    return entries_count(turn, turn->lmdb->accounts, &request->count);
}

/* Moves to the first local part after `after`, or to the very first when that is empty. */
static int list_start(MDB_cursor *cursor, struct bytes after, MDB_val *key, MDB_val *value)
{
    if (after.size == 0)
        return mdb_cursor_get(cursor, key, value, MDB_FIRST);
    *key = val_of(after);
    int code = mdb_cursor_get(cursor, key, value, MDB_SET_RANGE);
    if (code == 0 && bytes_equal(val_bytes(*key), after))
        code = mdb_cursor_get(cursor, key, value, MDB_NEXT);
    return code;
}

static enum error list_fill(struct lmdb_turn *turn, MDB_cursor *cursor,
                            struct store_request *request)
{
    MDB_val key, value;
    int code = list_start(cursor, account_local(&request->account), &key, &value);
    while (code == 0 && request->count < request->limit) {
        enum error error = account_read(&request->accounts[request->count], val_bytes(value));
        if (error)
            return error;
        request->count++;
        code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    request->is_last = code == MDB_NOTFOUND;
    return code == MDB_NOTFOUND ? ERROR_NONE : store_lmdb_error(turn->lmdb, code);
}

enum error lmdb_account_list(struct lmdb_turn *turn, struct store_request *request)
{
    MDB_cursor *cursor;
    if (request->limit == 0 || request->limit > STORE_LIST_MAX)
        return ERROR_INVALID;
    if (request->account.local_size > ACCOUNT_LOCAL_SIZE_MAX)
        return ERROR_INVALID;
    request->count = 0;
    request->accounts =
        heap_take(turn->lmdb->heap, (size_t)request->limit * sizeof *request->accounts);
    if (request->accounts == NULL)
        return ERROR_NO_MEMORY;
    int code = mdb_cursor_open(turn->txn, turn->lmdb->accounts, &cursor);
    if (code != 0)
        return store_lmdb_error(turn->lmdb, code);
    enum error error = list_fill(turn, cursor, request);
    mdb_cursor_close(cursor);
    return error;
}

static enum error numbers_fill(struct lmdb_turn *turn, MDB_cursor *cursor,
                               struct store_request *request, uint32_t limit)
{
    MDB_val key, value;
    int code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    while (code == 0 && request->count < limit) {
        struct cursor octets = cursor_of(val_bytes(key));
        if (!cursor_be32(&octets, &request->numbers[request->count]) || cursor_left(&octets) != 0)
            return ERROR_STORE_DAMAGED;
        request->count++;
        code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    if (code != 0 && code != MDB_NOTFOUND)
        return store_lmdb_error(turn->lmdb, code);
    return request->count == limit ? ERROR_NONE : ERROR_STORE_DAMAGED;
}

enum error lmdb_account_numbers(struct lmdb_turn *turn, struct store_request *request)
{
    MDB_cursor *cursor;
    uint32_t limit = 0;
    enum error error = entries_count(turn, turn->lmdb->numbers, &limit);
    request->count = 0;
    if (error || limit == 0)
        return error;
    request->numbers = heap_take(turn->lmdb->heap, (size_t)limit * sizeof *request->numbers);
    if (request->numbers == NULL)
        return ERROR_NO_MEMORY;
    int code = mdb_cursor_open(turn->txn, turn->lmdb->numbers, &cursor);
    if (code != 0)
        return store_lmdb_error(turn->lmdb, code);
    error = numbers_fill(turn, cursor, request, limit);
    mdb_cursor_close(cursor);
    return error;
}
