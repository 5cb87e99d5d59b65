/* SPDX-License-Identifier: Apache-2.0
 *
 * A ring of account numbers; a mark is the count of changes at its time. */
#include "changes.h"

#include "stentor/assert.h"

void changes_add(struct changes *changes, uint32_t account)
{
    changes->accounts[changes->count++ & (CHANGES_KEPT - 1u)] = account;
}

uint64_t changes_mark(const struct changes *changes)
{
    return changes->count;
}

bool changes_since(const struct changes *changes, uint64_t mark, uint32_t account)
{
    ASSERT(mark <= changes->count);
    if (changes->count - mark > CHANGES_KEPT)
        return true;
    for (uint64_t i = mark; i < changes->count; i++)
        if (changes->accounts[i & (CHANGES_KEPT - 1u)] == account)
            return true;
    return false;
}
