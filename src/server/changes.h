/* SPDX-License-Identifier: Apache-2.0
 *
 * The accounts that were changed lately (deleted, disabled, given another password), as one worker
 * was told. What a login looked up before such a change may reach the worker after it: the asker
 * keeps a mark, and changes_since() says whether the answer can still be believed. A look-up that
 * is asked after the worker was told sees the change (store.h). Owner: one worker. */
#ifndef STENTOR_SERVER_CHANGES_H
#define STENTOR_SERVER_CHANGES_H

#include <stdbool.h>
#include <stdint.h>

#define CHANGES_KEPT 64u /* a power of two */

struct changes {
    uint64_t count;
    uint32_t accounts[CHANGES_KEPT];
};

void changes_add(struct changes *changes, uint32_t account);
/* For what is asked now. */
uint64_t changes_mark(const struct changes *changes);
/* True when that account was changed since the mark, or so many others were that nobody knows. */
bool changes_since(const struct changes *changes, uint64_t mark, uint32_t account);

#endif
