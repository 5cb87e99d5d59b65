/* SPDX-License-Identifier: Apache-2.0
 *
 * An arena is a memfd, mapped shared: whoever gets the descriptor maps the same rows. Its header
 * tells a later process what it would be mapping before that process trusts an octet of it.
 *
 * Memory is promised, not taken: the kernel makes a page when it is first touched. Only hugetlb
 * pages are reserved at once, because without a reservation the first touch of a page that is not
 * there would be a SIGBUS in the middle of a turn, where a refusal at start is an answer.
 * Transparent pages of a memfd depend on the machine's shmem policy; that file is read here so
 * that page_size says what one may count on, and with a policy of `never` it says 4 KB. */
#include "stentor/arena.h"

#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE_SIZE_SMALL ((size_t)4096)
#define PAGE_SIZE_HUGE ((size_t)2 << 20)
#define ARENA_MAGIC UINT64_C(0x314e415241545453) /* "STTARAN1" */
#define SHMEM_POLICY_PATH "/sys/kernel/mm/transparent_hugepage/shmem_enabled"

struct arena_header {
    uint64_t magic;
    uint32_t layout_version;
    uint32_t header_size;
    uint64_t size;
    uint64_t used;
    uint64_t page_size;
};
static_assert(sizeof(struct arena_header) == 40, "read by later versions");
static_assert(sizeof(struct arena_header) <= ARENA_HEADER_SIZE, "the header fits before the rows");

static size_t round_up(size_t size, size_t unit)
{
    return (size + unit - 1) & ~(unit - 1);
}

/* True when madvise(MADV_HUGEPAGE) on a memfd is heard: "always within_size [advise] never ...",
 * the policy in force stands in brackets. */
static bool has_transparent_shmem(void)
{
    char text[128];
    int policy = open(SHMEM_POLICY_PATH, O_RDONLY | O_CLOEXEC);
    if (policy < 0)
        return false;
    ssize_t size = read(policy, text, sizeof text - 1);
    close(policy);
    if (size <= 0)
        return false;
    text[size] = '\0';
    return strstr(text, "[never]") == NULL && strstr(text, "[deny]") == NULL;
}

static enum error map(struct arena *arena, const char *name, unsigned int memfd_flags,
                      int map_flags)
{
    int fd = memfd_create(name, MFD_CLOEXEC | memfd_flags);
    if (fd < 0)
        return ERROR_SYSTEM;
    if (ftruncate(fd, (off_t)arena->size) != 0)
        goto close_fd;
    void *base = mmap(NULL, arena->size, PROT_READ | PROT_WRITE, MAP_SHARED | map_flags, fd, 0);
    if (base == MAP_FAILED)
        goto close_fd;
    /* A core dump with every row of every stream helps nobody and holds their keys. */
    (void)madvise(base, arena->size, MADV_DONTDUMP);
    arena->base = base;
    arena->fd = fd;
    return ERROR_NONE;

close_fd:
    close(fd);
    return ERROR_NO_MEMORY;
}

static enum error map_hugetlb(struct arena *arena, const char *name, size_t size)
{
    arena->page_size = PAGE_SIZE_HUGE;
    arena->size = round_up(size, PAGE_SIZE_HUGE);
    return map(arena, name, MFD_HUGETLB | MFD_HUGE_2MB, 0);
}

static enum error map_pages(struct arena *arena, const char *name, size_t size,
                            enum arena_pages pages)
{
    bool is_transparent = pages != ARENA_PAGES_SMALL && has_transparent_shmem();
    arena->page_size = is_transparent ? PAGE_SIZE_HUGE : PAGE_SIZE_SMALL;
    arena->size = round_up(size, arena->page_size);
    enum error error = map(arena, name, 0, MAP_NORESERVE);
    if (error)
        return error;
    int advice = is_transparent ? MADV_HUGEPAGE : MADV_NOHUGEPAGE;
    /* Advice the kernel does not know (built without it) is no fault; then pages are small. */
    if (madvise(arena->base, arena->size, advice) != 0)
        arena->page_size = PAGE_SIZE_SMALL;
    return ERROR_NONE;
}

static struct arena_header *header_of(struct arena *arena)
{
    return (struct arena_header *)(void *)arena->base;
}

enum error arena_create(struct arena *arena, const char *name, size_t size, enum arena_pages pages)
{
    *arena = (struct arena){.fd = -1};
    if (size < ARENA_HEADER_SIZE || size > PTRDIFF_MAX - PAGE_SIZE_HUGE)
        return ERROR_INVALID;
    enum error error = ERROR_NO_MEMORY;
    if (pages == ARENA_PAGES_HUGETLB)
        error = map_hugetlb(arena, name, size);
    if (error)
        error = map_pages(arena, name, size, pages);
    if (error) {
        *arena = (struct arena){.fd = -1};
        return error;
    }

    arena->used = ARENA_HEADER_SIZE;
    *header_of(arena) = (struct arena_header){
        .magic = ARENA_MAGIC,
        .layout_version = ARENA_LAYOUT_VERSION,
        .header_size = ARENA_HEADER_SIZE,
        .size = arena->size,
        .used = arena->used,
        .page_size = arena->page_size,
    };
    return ERROR_NONE;
}

void arena_destroy(struct arena *arena)
{
    if (arena->base == NULL)
        return;
    munmap(arena->base, arena->size);
    close(arena->fd);
    *arena = (struct arena){.fd = -1};
}

void *arena_take(struct arena *arena, size_t size, size_t align)
{
    ASSERT(arena->base != NULL);
    ASSERT(align != 0);
    ASSERT((align & (align - 1)) == 0);
    /* An offset must be aligned wherever another process maps the arena: at a page, no finer. */
    ASSERT(align <= PAGE_SIZE_SMALL || align <= arena->page_size);

    size_t offset = round_up(arena->used, align);
    if (offset > arena->size || size > arena->size - offset)
        return NULL;
    arena->used = offset + size;
    header_of(arena)->used = arena->used;
    return arena->base + offset;
}
