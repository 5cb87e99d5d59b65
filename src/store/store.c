/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests on their way between the threads of the server and the driver.
 *
 *   port 0 ---.                     .---> port 0's answers
 *   port 1 ----+--> lane 0: writer -+---> port 1's answers
 *   port n ---'     lane 1..: readers
 *
 * A lane is a ring, a bell (eventfd) and the thread that sleeps on it. A port's ring of answers
 * holds as many as the port may have pending, so an answer always has a place and the lanes never
 * wait for anybody. Rung bells add up in the eventfd, so none is lost between a look at the ring
 * and going to sleep. In STORE_INLINE there are the same lanes without bell and thread. */
#include "stentor/store.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "stentor/ring.h"

#include "store_lmdb.h"

/* Requests in one commit: enough to share a flush, few enough to answer the first of them soon. */
#define BATCH_MAX 256u
#define LANE_WRITER 0u
#define LANE_READER_FIRST 1u
#define BELL_NONE (-1)

enum access { ACCESS_READ, ACCESS_WRITE };

struct kind_row {
    const char *name;
    enum access access;
};

static const struct kind_row kinds[STORE_KIND_COUNT] = {
#define STORE_KIND(NAME, name, access) [STORE_##NAME] = {#name, ACCESS_##access},
#include "stentor/store_kind.def"
#undef STORE_KIND
};

struct store_port {
    struct store *store;
    struct metrics *metrics; /* of the thread that owns the port */
    struct ring *answers;
    int wake_fd;
    uint32_t index;
    uint32_t pending_count;
    uint32_t reader_next; /* readers take turns */
};

struct lane {
    struct store *store;
    struct ring *requests;
    int bell_fd;
    uint32_t index;
    bool is_running;
    pthread_t thread;
    void *block; /* of the heap, in which this lies aligned */
    struct metrics metrics;
};

struct store {
    struct store_lmdb lmdb;
    struct heap *heap;
    enum store_mode mode;
    uint32_t queue_capacity;
    uint32_t lane_count;
    bool is_open;              /* all lanes stand */
    struct store_request stop; /* the last item a lane's thread takes */
    struct lane *lanes[STORE_THREADS_MAX];
    pthread_mutex_t ports_lock; /* guards the two below; ports are made at start only */
    uint32_t port_count;
    struct store_port *ports[STORE_PORTS_MAX];
};

const char *store_kind_name(enum store_kind kind)
{
    ASSERT((uint32_t)kind < STORE_KIND_COUNT);
    return kinds[kind].name;
}

/* ---- requests ---- */

enum error store_request_create(struct store *store, enum store_kind kind,
                                struct store_request **request)
{
    ASSERT((uint32_t)kind < STORE_KIND_COUNT);
    *request = heap_take_zeroed(store->heap, sizeof **request);
    if (*request == NULL)
        return ERROR_NO_MEMORY;
    (*request)->kind = kind;
    return ERROR_NONE;
}

void store_request_destroy(struct store *store, struct store_request **request)
{
    struct store_request *given = *request;
    *request = NULL;
    if (given == NULL)
        return;
    if (given->accounts != NULL)
        bytes_wipe(given->accounts, given->count * sizeof *given->accounts);
    heap_give(store->heap, given->accounts);
    heap_give(store->heap, given->numbers);
    bytes_wipe(given, sizeof *given);
    heap_give(store->heap, given);
}

uint32_t *store_request_take_numbers(struct store_request *request)
{
    uint32_t *numbers = request->numbers;
    request->numbers = NULL;
    return numbers;
}

/* ---- ports ---- */

static void port_destroy(struct store *store, struct store_port *port)
{
    struct store_request *answer;
    if (port == NULL)
        return;
    while (port->answers != NULL && (answer = ring_take_mpsc(port->answers)) != NULL)
        store_request_destroy(store, &answer);
    if (port->answers != NULL)
        ring_destroy(&port->answers, store->heap);
    heap_give(store->heap, port);
}

static enum error port_register(struct store *store, struct store_port *port)
{
    enum error error = ERROR_LIMIT;
    pthread_mutex_lock(&store->ports_lock);
    if (store->port_count < STORE_PORTS_MAX) {
        port->index = store->port_count++;
        store->ports[port->index] = port;
        error = ERROR_NONE;
    }
    pthread_mutex_unlock(&store->ports_lock);
    return error;
}

enum error store_port_create(struct store *store, struct metrics *metrics, int wake_fd,
                             struct store_port **port)
{
    struct store_port *made = heap_take_zeroed(store->heap, sizeof *made);
    *port = NULL;
    if (made == NULL)
        return ERROR_NO_MEMORY;
    made->store = store;
    made->metrics = metrics;
    made->wake_fd = wake_fd;
    enum error error = ring_create(&made->answers, store->heap, store->queue_capacity);
    if (!error)
        error = port_register(store, made);
    if (error)
        port_destroy(store, made);
    else
        *port = made;
    return error;
}

struct store_request *store_port_take(struct store_port *port)
{
    struct store_request *answer = ring_take_mpsc(port->answers);
    if (answer != NULL) {
        ASSERT(port->pending_count > 0);
        port->pending_count--;
    }
    return answer;
}

uint32_t store_port_pending_count(const struct store_port *port)
{
    return port->pending_count;
}

/* ---- submitting ---- */

static void bell_ring(int bell_fd)
{
    if (bell_fd == BELL_NONE)
        return;
    /* Fails only when the sum of rings would pass 2^64 - 2. */
    int result = eventfd_write(bell_fd, 1);
    ASSERT(result == 0);
}

static bool lane_give(struct lane *lane, struct store_request **request)
{
    if (!ring_give_mpsc(lane->requests, (void **)request))
        return false;
    bell_ring(lane->bell_fd);
    return true;
}

static bool readers_give(struct store_port *port, struct store_request **request)
{
    struct store *store = port->store;
    uint32_t reader_count = store->lane_count - LANE_READER_FIRST;
    for (uint32_t tries = 0; tries < reader_count; tries++) {
        uint32_t reader = port->reader_next++ % reader_count;
        if (lane_give(store->lanes[LANE_READER_FIRST + reader], request))
            return true;
    }
    return false;
}

enum error store_submit(struct store_port *port, struct store_request **request)
{
    struct store *store = port->store;
    struct store_request *given = *request;
    ASSERT(given != NULL);
    ASSERT((uint32_t)given->kind < STORE_KIND_COUNT);
    ASSERT(given->accounts == NULL);
    ASSERT(given->numbers == NULL);
    given->port = port;
    /* A ring of queue_capacity has one slot less. */
    bool is_taken = port->pending_count < store->queue_capacity - 1;
    if (is_taken && kinds[given->kind].access == ACCESS_WRITE)
        is_taken = lane_give(store->lanes[LANE_WRITER], request);
    else if (is_taken)
        is_taken = readers_give(port, request);
    if (!is_taken) {
        metric_count(port->metrics, METRIC_STORE_QUEUE_FULL);
        return ERROR_QUEUE_FULL;
    }
    port->pending_count++;
    *request = NULL;
    return ERROR_NONE;
}

/* ---- a lane's work ---- */

static void batch_count(struct lane *lane, struct store_request *const *batch, uint32_t count)
{
    enum metric metric = lane->index == LANE_WRITER ? METRIC_STORE_WRITES : METRIC_STORE_READS;
    int64_t faults = 0;
    for (uint32_t i = 0; i < count; i++)
        faults += store_lmdb_is_fault(batch[i]->error);
    metric_add(&lane->metrics, metric, count);
    metric_add(&lane->metrics, METRIC_STORE_ERRORS, faults);
}

/* Once given, an answer is its port's; each port is woken once, after its last answer. */
static void batch_answer(struct lane *lane, struct store_request **batch, uint32_t count)
{
    bool is_due[STORE_PORTS_MAX] = {false};
    for (uint32_t i = 0; i < count; i++) {
        struct store_port *port = batch[i]->port;
        bool is_given = ring_give_mpsc(port->answers, (void **)&batch[i]);
        ASSERT(is_given);
        is_due[port->index] = true;
    }
    for (uint32_t i = 0; i < STORE_PORTS_MAX; i++) {
        if (is_due[i])
            bell_ring(lane->store->ports[i]->wake_fd);
    }
}

static void batch_run(struct lane *lane, struct store_request **batch, uint32_t count)
{
    struct store_lmdb *lmdb = &lane->store->lmdb;
    if (lane->index == LANE_WRITER) {
        uint32_t commits = store_lmdb_write(lmdb, batch, count);
        metric_add(&lane->metrics, METRIC_STORE_COMMITS, commits);
    } else {
        store_lmdb_read(lmdb, lane->index - LANE_READER_FIRST, batch, count);
    }
    batch_count(lane, batch, count);
    batch_answer(lane, batch, count);
}

/* What waits in the ring, at most BATCH_MAX. */
static uint32_t batch_take(struct lane *lane, struct store_request **batch)
{
    uint32_t count = 0;
    while (count < BATCH_MAX && (batch[count] = ring_take_mpsc(lane->requests)) != NULL)
        count++;
    return count;
}

/* Until the ring is empty, or its stop was taken: then true. */
static bool lane_drain(struct lane *lane)
{
    struct store_request *batch[BATCH_MAX];
    uint32_t count;
    while ((count = batch_take(lane, batch)) > 0) {
        bool is_stopped = batch[count - 1] == &lane->store->stop;
        if (is_stopped)
            count--;
        if (count > 0)
            batch_run(lane, batch, count);
        if (is_stopped)
            return true;
    }
    return false;
}

static void *lane_main(void *argument)
{
    struct lane *lane = argument;
    eventfd_t rings;
    do {
        /* An interrupted sleep only looks at the ring once too often. */
        if (eventfd_read(lane->bell_fd, &rings) != 0)
            continue;
    } while (!lane_drain(lane));
    return NULL;
}

uint32_t store_turn(struct store *store)
{
    struct store_request *batch[BATCH_MAX];
    uint32_t answered = 0;
    ASSERT(store->mode == STORE_INLINE);
    for (uint32_t i = 0; i < store->lane_count; i++) {
        uint32_t count;
        while ((count = batch_take(store->lanes[i], batch)) > 0) {
            batch_run(store->lanes[i], batch, count);
            answered += count;
        }
    }
    return answered;
}

/* ---- life ---- */

/* Signals are the main thread's; a lane's thread blocks them all. */
static enum error lane_start(struct lane *lane)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    lane->is_running = pthread_create(&lane->thread, NULL, lane_main, lane) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!lane->is_running)
        return ERROR_SYSTEM;
    const char *name = lane->index == LANE_WRITER ? "store-writer" : "store-reader";
    pthread_setname_np(lane->thread, name);
    return ERROR_NONE;
}

/* The heap aligns to 16 octets, a lane's metrics to a cache line. */
static struct lane *lane_take(struct heap *heap)
{
    uint8_t *block = heap_take_zeroed(heap, sizeof(struct lane) + CACHE_LINE);
    if (block == NULL)
        return NULL;
    struct lane *lane = (void *)(block + (CACHE_LINE - (uintptr_t)block % CACHE_LINE));
    lane->block = block;
    return lane;
}

static enum error lane_create(struct store *store, uint32_t index)
{
    struct lane *lane = lane_take(store->heap);
    if (lane == NULL)
        return ERROR_NO_MEMORY;
    store->lanes[index] = lane;
    store->lane_count++;
    lane->store = store;
    lane->index = index;
    lane->bell_fd = BELL_NONE;
    enum error error = ring_create(&lane->requests, store->heap, store->queue_capacity);
    if (error || store->mode == STORE_INLINE)
        return error;
    lane->bell_fd = eventfd(0, EFD_CLOEXEC);
    if (lane->bell_fd < 0)
        return ERROR_SYSTEM;
    return lane_start(lane);
}

static void lane_stop(struct lane *lane)
{
    struct store_request *stop = &lane->store->stop;
    if (!lane->is_running)
        return;
    while (!lane_give(lane, &stop))
        sched_yield();
    pthread_join(lane->thread, NULL);
    lane->is_running = false;
}

static void lane_destroy(struct lane *lane)
{
    struct store *store = lane->store;
    if (lane->bell_fd >= 0)
        close(lane->bell_fd);
    if (lane->requests != NULL)
        ring_destroy(&lane->requests, store->heap);
    heap_give(store->heap, lane->block);
}

static uint32_t power_of_two(uint32_t count)
{
    uint32_t power = 2;
    while (power < count)
        power *= 2;
    return power;
}

/* The options with 0 replaced by what it stands for. */
static struct store_options options_filled(const struct store_options *options)
{
    struct store_options filled = *options;
    if (filled.map_bytes == 0)
        filled.map_bytes = STORE_MAP_DEFAULT;
    if (filled.queue_capacity == 0)
        filled.queue_capacity = STORE_QUEUE_DEFAULT;
    if (filled.queue_capacity <= STORE_QUEUE_MAX)
        filled.queue_capacity = power_of_two(filled.queue_capacity);
    if (filled.reader_count == 0 || filled.mode == STORE_INLINE)
        filled.reader_count = 1;
    return filled;
}

static bool options_are_valid(const struct store_options *options)
{
    return options->dir != NULL && options->dir[0] != '\0' && options->map_bytes >= STORE_MAP_MIN &&
           options->reader_count <= STORE_READERS_MAX && options->queue_capacity <= STORE_QUEUE_MAX;
}

static enum error lanes_create(struct store *store, uint32_t reader_count)
{
    for (uint32_t i = 0; i < LANE_READER_FIRST + reader_count; i++) {
        enum error error = lane_create(store, i);
        if (error)
            return error;
    }
    return ERROR_NONE;
}

enum error store_open(struct store **store, const struct store_options *options,
                      struct writer *message)
{
    struct store_options filled = options_filled(options);
    *store = NULL;
    if (!options_are_valid(&filled)) {
        write_string(message, "the store's options are out of bounds");
        return ERROR_INVALID;
    }
    struct store *made = heap_take_zeroed(filled.heap, sizeof *made);
    if (made == NULL) {
        write_string(message, error_text(ERROR_NO_MEMORY));
        return ERROR_NO_MEMORY;
    }
    made->heap = filled.heap;
    made->mode = filled.mode;
    made->queue_capacity = filled.queue_capacity;
    pthread_mutex_init(&made->ports_lock, NULL);
    enum error error = store_lmdb_open(&made->lmdb, &filled, message);
    if (!error) {
        error = lanes_create(made, filled.reader_count);
        if (error)
            write_string(message, "the store's threads cannot start");
    }
    made->is_open = !error;
    *store = made;
    if (error)
        store_close(store);
    return error;
}

void store_close(struct store **store)
{
    struct store *closed = *store;
    *store = NULL;
    if (closed == NULL)
        return;
    if (closed->mode == STORE_INLINE && closed->is_open)
        store_turn(closed);
    for (uint32_t i = 0; i < closed->lane_count; i++)
        lane_stop(closed->lanes[i]);
    for (uint32_t i = 0; i < closed->lane_count; i++)
        lane_destroy(closed->lanes[i]);
    for (uint32_t i = 0; i < closed->port_count; i++)
        port_destroy(closed, closed->ports[i]);
    store_lmdb_close(&closed->lmdb);
    pthread_mutex_destroy(&closed->ports_lock);
    heap_give(closed->heap, closed);
}

uint32_t store_metrics(const struct store *store, const struct metrics *blocks[STORE_THREADS_MAX])
{
    for (uint32_t i = 0; i < store->lane_count; i++)
        blocks[i] = &store->lanes[i]->metrics;
    return store->lane_count;
}
