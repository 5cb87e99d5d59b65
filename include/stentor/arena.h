/* SPDX-License-Identifier: Apache-2.0
 *
 * One mapped stretch of memory, outside the EAL, that holds a worker's rows. Rows in it hold
 * indices, never pointers, so a new process can map the same memory and go on (DESIGN law 3).
 * The first ARENA_HEADER_SIZE octets are a versioned header (magic, layout version, size, used).
 * Memory is reserved at create and touched by the kernel only when written, so a large arena costs
 * what is used of it. Pages: 2 MB hugepages when asked for and available, else transparent huge
 * pages, else 4 KB; page_size tells which may be counted on. An arena is a memfd: fd can be mapped
 * by another process. Owner: the thread that created it. Sizes in octets. */
#ifndef STENTOR_ARENA_H
#define STENTOR_ARENA_H

#include "stentor/bytes.h"
#include "stentor/error.h"

#define ARENA_HEADER_SIZE 4096u
#define ARENA_LAYOUT_VERSION 1u

struct arena {
    uint8_t *base;
    size_t size;
    size_t used;
    size_t page_size;
    int fd;
};

enum arena_pages { ARENA_PAGES_SMALL, ARENA_PAGES_TRANSPARENT, ARENA_PAGES_HUGETLB };

/* ARENA_PAGES_HUGETLB falls back to transparent pages when the machine has none free. */
MUST_USE enum error arena_create(struct arena *arena, const char *name, size_t size,
                                 enum arena_pages pages);
void arena_destroy(struct arena *arena);

/* A zeroed stretch aligned to `align` (a power of two); NULL when the arena is too small. */
void *arena_take(struct arena *arena, size_t size, size_t align);

#endif
