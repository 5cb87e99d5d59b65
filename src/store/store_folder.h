/* SPDX-License-Identifier: Apache-2.0
 *
 * The store's folder: made when absent, private to its user, held by one process at a time. */
#ifndef STORE_FOLDER_H
#define STORE_FOLDER_H

#include "stentor/bytes.h"
#include "stentor/error.h"

/* A descriptor of the folder's `lock` file, on which the hold depends; -1 is none. */
struct store_folder {
    int lock_fd;
};

/* Makes the folder (0700) when absent and takes hold of it. Errors as store_open. */
MUST_USE enum error store_folder_open(struct store_folder *folder, const char *dir,
                                      struct writer *message);
void store_folder_close(struct store_folder *folder);

/* Whether the folder's disk is as good as full, to tell a short write's reason. */
bool store_folder_is_full(const struct store_folder *folder);
/* Makes the folder's own entries durable, for files just made in it. */
MUST_USE enum error store_folder_flush(const char *dir);

/* "DIR: SENTENCE", or "DIR: SENTENCE: reason of code" when code is an errno. */
void store_folder_message(struct writer *message, const char *dir, const char *sentence, int code);

#endif
