/* SPDX-License-Identifier: Apache-2.0
 *
 * The account record, version 1, all integers big-endian:
 *
 *   0         1       2        6               14           16
 *   version   flags   number   created_at_ms   local_size   local ...
 *   ... key_count, then for each key, kinds ascending:
 *   kind  rounds(4)  salt_size  salt ...  stored_key(digest)  server_key(digest)
 *
 * A record is read as hostile: every field is bounded, and nothing may follow the last key. There
 * is one way to write an account, so equal accounts have equal records. */
#include "stentor/account.h"

#define RECORD_VERSION 1u
#define FLAG_ENABLED 0x01u

#define HEAD_SIZE 16u
#define KEY_HEAD_SIZE 6u

static_assert(HEAD_SIZE + ACCOUNT_LOCAL_SIZE_MAX + 1u +
                      DIGEST_KIND_COUNT *
                          (KEY_HEAD_SIZE + SCRAM_SALT_SIZE_MAX + 2u * DIGEST_SIZE_MAX) <=
                  ACCOUNT_RECORD_SIZE_MAX,
              "the largest record fits");

bool account_set_local(struct account *account, struct bytes local)
{
    if (local.size == 0 || local.size > ACCOUNT_LOCAL_SIZE_MAX)
        return false;
    memset(account->local, 0, sizeof account->local);
    memcpy(account->local, local.at, local.size);
    account->local_size = (uint16_t)local.size;
    return true;
}

/* ---- writing ---- */

static void keys_write(const struct scram_keys *keys, struct writer *into)
{
    uint32_t size = digest_size((enum digest_kind)keys->kind);
    write_u8(into, keys->kind);
    write_be32(into, keys->rounds);
    write_u8(into, keys->salt_size);
    write_bytes(into, bytes_of(keys->salt, keys->salt_size));
    write_bytes(into, bytes_of(keys->stored_key, size));
    write_bytes(into, bytes_of(keys->server_key, size));
}

void account_write(const struct account *account, struct writer *into)
{
    uint8_t key_count = 0;
    ASSERT(account->local_size >= 1);
    ASSERT(account->local_size <= ACCOUNT_LOCAL_SIZE_MAX);
    write_u8(into, RECORD_VERSION);
    write_u8(into, account->is_enabled ? FLAG_ENABLED : 0);
    write_be32(into, account->number);
    write_be32(into, (uint32_t)(account->created_at_ms >> 32));
    write_be32(into, (uint32_t)account->created_at_ms);
    write_be16(into, account->local_size);
    write_bytes(into, account_local(account));
    for (uint32_t i = 0; i < DIGEST_KIND_COUNT; i++)
        key_count = (uint8_t)(key_count + scram_keys_is_present(&account->scram[i]));
    write_u8(into, key_count);
    for (uint32_t i = 0; i < DIGEST_KIND_COUNT; i++) {
        if (scram_keys_is_present(&account->scram[i]))
            keys_write(&account->scram[i], into);
    }
}

/* ---- reading ---- */

static bool octets_read(struct cursor *cursor, uint32_t size, uint8_t *into)
{
    struct bytes taken;
    if (!cursor_take(cursor, size, &taken))
        return false;
    memcpy(into, taken.at, size);
    return true;
}

bool account_keys_are_valid(const struct scram_keys *keys, enum digest_kind kind)
{
    return keys->kind == (uint8_t)kind && keys->rounds >= SCRAM_ROUNDS_MIN &&
           keys->rounds <= SCRAM_ROUNDS_MAX && keys->salt_size >= 1 &&
           keys->salt_size <= SCRAM_SALT_SIZE_MAX;
}

static bool keys_read(struct cursor *cursor, struct account *account, uint32_t kind_min)
{
    struct scram_keys keys = {0};
    if (!cursor_u8(cursor, &keys.kind) || !cursor_be32(cursor, &keys.rounds) ||
        !cursor_u8(cursor, &keys.salt_size))
        return false;
    if (keys.kind < kind_min || keys.kind >= DIGEST_KIND_COUNT)
        return false;
    enum digest_kind kind = (enum digest_kind)keys.kind;
    if (!account_keys_are_valid(&keys, kind))
        return false;
    if (!octets_read(cursor, keys.salt_size, keys.salt) ||
        !octets_read(cursor, digest_size(kind), keys.stored_key) ||
        !octets_read(cursor, digest_size(kind), keys.server_key))
        return false;
    account->scram[kind] = keys;
    return true;
}

/* Kinds ascend, so none comes twice. */
static bool all_keys_read(struct cursor *cursor, struct account *account)
{
    uint8_t key_count;
    uint32_t kind_min = 0;
    if (!cursor_u8(cursor, &key_count) || key_count > DIGEST_KIND_COUNT)
        return false;
    for (uint8_t i = 0; i < key_count; i++) {
        if (cursor_left(cursor) == 0)
            return false;
        uint8_t kind = *cursor->at;
        if (!keys_read(cursor, account, kind_min))
            return false;
        kind_min = kind + 1u;
    }
    return true;
}

static bool body_read(struct cursor *cursor, struct account *account)
{
    uint8_t flags;
    uint16_t local_size;
    uint32_t created_high, created_low;
    struct bytes local;
    if (!cursor_u8(cursor, &flags) || !cursor_be32(cursor, &account->number) ||
        !cursor_be32(cursor, &created_high) || !cursor_be32(cursor, &created_low) ||
        !cursor_be16(cursor, &local_size) || !cursor_take(cursor, local_size, &local))
        return false;
    if ((flags & ~FLAG_ENABLED) != 0 || account->number == ACCOUNT_NUMBER_NONE)
        return false;
    account->is_enabled = (flags & FLAG_ENABLED) != 0;
    account->created_at_ms = (uint64_t)created_high << 32 | created_low;
    return account_set_local(account, local) && all_keys_read(cursor, account) &&
           cursor_left(cursor) == 0;
}

enum error account_read(struct account *account, struct bytes record)
{
    struct cursor cursor = cursor_of(record);
    uint8_t version;
    *account = (struct account){0};
    if (!cursor_u8(&cursor, &version) || version == 0)
        return ERROR_STORE_DAMAGED;
    if (version > RECORD_VERSION)
        return ERROR_STORE_NEWER;
    if (body_read(&cursor, account))
        return ERROR_NONE;
    bytes_wipe(account, sizeof *account);
    return ERROR_STORE_DAMAGED;
}
