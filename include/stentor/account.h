/* SPDX-License-Identifier: Apache-2.0
 *
 * An account as the store keeps it: a number, a local part, SCRAM keys; never a password.
 *
 * Numbers are dense from 1 up and name the account in every set (DESIGN law 10). 0 is no account.
 * A number is never given out again, not even after its account is deleted, so an old set can
 * name a vanished account but never a wrong one. A plain value; any thread. */
#ifndef STENTOR_ACCOUNT_H
#define STENTOR_ACCOUNT_H

#include "stentor/bytes.h"
#include "stentor/error.h"
#include "stentor/scram_keys.h"

/* Local parts are at most this long here, below RFC 7622's 1023 octets: the store's keys are. */
#define ACCOUNT_LOCAL_SIZE_MAX 511u
#define ACCOUNT_NUMBER_NONE 0u
#define ACCOUNT_RECORD_SIZE_MAX 768u

struct account {
    uint32_t number;
    uint16_t local_size;
    bool is_enabled;
    uint64_t created_at_ms;                     /* wall clock, milliseconds since 1970 UTC */
    struct scram_keys scram[DIGEST_KIND_COUNT]; /* by enum digest_kind; each its own salt */
    uint8_t local[ACCOUNT_LOCAL_SIZE_MAX + 1];  /* prepared (RFC 7622), not zero-terminated */
};

static inline struct bytes account_local(const struct account *account)
{
    return bytes_of(account->local, account->local_size);
}

/* False when the local part is empty or longer than ACCOUNT_LOCAL_SIZE_MAX; then unchanged. */
MUST_USE bool account_set_local(struct account *account, struct bytes local);

/* Whether present keys are well-formed and of that kind. */
bool account_keys_are_valid(const struct scram_keys *keys, enum digest_kind kind);

/* The stored record, version 1, big-endian; picture in account.c. Overflows the writer when it
 * has less than ACCOUNT_RECORD_SIZE_MAX octets left and the record needs them. */
void account_write(const struct account *account, struct writer *into);
/* Octets from a file: hostile. ERROR_STORE_DAMAGED when they are not exactly one record,
 * ERROR_STORE_NEWER for a version above ours; then *account is all zero. */
MUST_USE enum error account_read(struct account *account, struct bytes record);

#endif
