/* SPDX-License-Identifier: Apache-2.0
 *
 * The durable memory of a server, in one folder. Requests go in, answers come out, nobody waits.
 *
 *   thread k: store_request_create -> fill -> store_submit(port k) ---ring---> store's threads
 *   thread k: store_port_take(port k) -> look -> store_request_destroy <--ring--- the same block
 *
 * One block goes there and back: the request is its own answer. A write is answered when it is on
 * the disk, not before: what was answered ERROR_NONE survives SIGKILL and power loss (with
 * STORE_SYNC_DURABLE). Writes are executed in the order one port submitted them. A read sees every
 * write that was answered before the read was submitted; a read may overtake an unanswered write.
 * A failed request changes nothing. Reads go on when the disk is full.
 *
 * Threads: one writer with group commit and options.reader_count readers (STORE_THREADED), or none,
 * and store_turn() executes what is queued, always in the same order (STORE_INLINE: simulator and
 * tests). A port belongs to one thread; only that thread submits by it and takes from it.
 * store_submit and store_port_take never block; they are fit for a worker. store_open and
 * store_close block. Do not fork with a store open and use it in the child.
 *
 * Limits: STORE_PORTS_MAX ports, queue_capacity requests unanswered or untaken a port.
 * Errors in an answer: as each kind says below, and for each kind ERROR_NO_MEMORY (heap ceiling),
 * ERROR_STORE_DAMAGED (a record is not readable), ERROR_SYSTEM (the disk failed); for writes also
 * ERROR_STORE_FULL (disk or map full; deleting or a larger map helps). */
#ifndef STENTOR_STORE_H
#define STENTOR_STORE_H

#include "stentor/account.h"
#include "stentor/bytes.h"
#include "stentor/error.h"
#include "stentor/heap.h"
#include "stentor/metrics.h"

#define STORE_PORTS_MAX 128u
#define STORE_READERS_MAX 16u
#define STORE_THREADS_MAX (STORE_READERS_MAX + 1u)
#define STORE_LIST_MAX 1000u      /* accounts in one page of ACCOUNT_LIST */
#define STORE_QUEUE_DEFAULT 4096u /* requests */
#define STORE_QUEUE_MAX 65536u
#define STORE_MAP_DEFAULT (UINT64_C(64) << 30)
#define STORE_MAP_MIN (UINT64_C(1) << 20)

struct store;      /* opaque */
struct store_port; /* opaque */

enum store_kind {
#define STORE_KIND(NAME, name, access) STORE_##NAME,
#include "stentor/store_kind.def"
#undef STORE_KIND
    STORE_KIND_COUNT
};

enum store_mode { STORE_THREADED, STORE_INLINE };
/* RELAXED leaves flushing to the kernel: for simulator, tests and benchmarks. */
enum store_sync { STORE_SYNC_DURABLE, STORE_SYNC_RELAXED };

struct store_options {
    const char *dir;       /* made with mode 0700 when absent; its parent must exist */
    struct heap *heap;     /* requests, answers and rings; outlives the store */
    uint64_t map_bytes;    /* ceiling of the data file; 0 = STORE_MAP_DEFAULT; address space only */
    uint32_t reader_count; /* reader threads, 1 to STORE_READERS_MAX; 0 = 1 */
    uint32_t queue_capacity; /* raised to a power of two; 0 = STORE_QUEUE_DEFAULT */
    enum store_mode mode;
    enum store_sync sync;
};

/* What an ACCOUNT_UPDATE changes; bits. */
enum store_update { STORE_UPDATE_SCRAM = 1, STORE_UPDATE_ENABLED = 2 };

/* Caller: kind is set by create; fill the token and what the kind takes. Who holds the pointer owns
 * the block and may read and write it; between submit and take that is the store. A request is
 * submitted once.
 *
 * kind             takes                             answers
 * ACCOUNT_GET      account.local                     account | NOT_FOUND
 * ACCOUNT_CREATE   account, all but number           account.number | EXISTS
 * ACCOUNT_UPDATE   account.local, update bits and    account, whole, after the change | NOT_FOUND
 *                  the fields they name
 * ACCOUNT_DELETE   account.local                     account, as it was | NOT_FOUND
 * ACCOUNT_LIST     account.local = start after it    accounts[count] by octets of the local part,
 *                  (size 0 = from the first),        is_last when no further page;
 *                  limit 1..STORE_LIST_MAX           continue after the last one's local part
 * ACCOUNT_COUNT    -                                 count
 * ACCOUNT_NUMBERS  -                                 numbers[count], ascending
 * A request that is not well-formed (empty local part, limit 0, update 0, ...) is answered
 * ERROR_INVALID. */
struct store_request {
    enum store_kind kind;
    enum error error;      /* of the answer */
    uint64_t token_handle; /* the caller's own, come back untouched: whom the answer is for */
    uint64_t token_word;
    struct store_port *port; /* the store's */
    uint32_t update;
    uint32_t limit;
    uint32_t count;
    bool is_last;
    struct account *accounts; /* heap, owned by the request */
    uint32_t *numbers;        /* heap, owned by the request until taken; NULL when count is 0 */
    struct account account;
};

/* Opens or makes the folder. On a fault *store is NULL, the folder's content is as it was, and a
 * sentence for the operator stands in message:
 *   ERROR_STORE_LOCKED   another process has it open
 *   ERROR_STORE_NEWER    written by a newer Stentor
 *   ERROR_STORE_DAMAGED  not ours, cut short, or not readable
 *   ERROR_STORE_FULL     no room on the disk to open it
 *   ERROR_SYSTEM         the system refused: permission, missing parent, not a folder ...
 *   ERROR_INVALID, ERROR_NO_MEMORY */
MUST_USE enum error store_open(struct store **store, const struct store_options *options,
                               struct writer *message);
/* Executes what is queued, joins the threads, closes the folder and destroys all ports with the
 * answers nobody took. No other thread may be inside a store function. Sets *store to NULL. */
void store_close(struct store **store);

/* A thread's way in and out. metrics is the calling thread's block (STORE_QUEUE_FULL is counted
 * there). wake_fd is an eventfd that is written to after answers were queued, or -1; it stays the
 * caller's. ERROR_LIMIT above STORE_PORTS_MAX. Any thread may create its own at any time. */
MUST_USE enum error store_port_create(struct store *store, struct metrics *metrics, int wake_fd,
                                      struct store_port **port);
/* The next answer, now the caller's, or NULL. */
struct store_request *store_port_take(struct store_port *port);
/* Requests submitted and not yet taken as answers. */
uint32_t store_port_pending_count(const struct store_port *port);

/* A zeroed request of the kind. ERROR_NO_MEMORY. Any thread. */
MUST_USE enum error store_request_create(struct store *store, enum store_kind kind,
                                         struct store_request **request);
/* Gives the block and what hangs from it back; wipes the keys. Accepts NULL in *request. */
void store_request_destroy(struct store *store, struct store_request **request);
/* The numbers out of an answered ACCOUNT_NUMBERS: the caller's now, for heap_give to
 * options.heap. NULL when there are none. */
uint32_t *store_request_take_numbers(struct store_request *request);

/* Gives *request to the store and clears it. ERROR_QUEUE_FULL: the caller keeps it. */
MUST_USE enum error store_submit(struct store_port *port, struct store_request **request);

/* STORE_INLINE only: executes what is queued, writes as one commit first, then reads. Returns how
 * many requests were answered. */
uint32_t store_turn(struct store *store);

/* The blocks of the store's own threads, for metrics_render: at most STORE_THREADS_MAX. */
uint32_t store_metrics(const struct store *store, const struct metrics *blocks[STORE_THREADS_MAX]);

/* As in the table ("account_get"). */
const char *store_kind_name(enum store_kind kind);

#endif
