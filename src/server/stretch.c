/* SPDX-License-Identifier: Apache-2.0
 *
 * The password threads: one mutex and condition around a ring of jobs, because here sleeping is
 * the point and a job costs milliseconds. Workers only touch the lock-free side: a bounded mpsc
 * ring in, their own ring out. A stop lets each thread finish the job in its hands and no other, so
 * it waits for one password, not for a queue of them. */
#include "stretch.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <unistd.h>

#include "stentor/digest.h"
#include "stentor/pool.h"
#include "stentor/random.h"
#include "stentor/scram_verifier.h"

#define STRETCH_QUEUE_COUNT 1024u
/* Of one port: those that wait, and as many that are done and not yet taken back. */
#define STRETCH_OUT_COUNT (2u * STRETCH_QUEUE_COUNT)

struct stretch_thread {
    struct stretch *stretch;
    pthread_t thread;
    struct digests digests;
    struct random random;
};

struct stretch {
    struct heap *heap;
    struct ring *queue;
    pthread_mutex_t taking; /* one taker at a time on the mpsc ring */
    sem_t waiting;
    _Atomic bool is_stopping;
    uint32_t thread_count;
    struct stretch_thread threads[STRETCH_THREADS_MAX];
};

static void work_off(struct stretch_thread *self, struct stretch_job *job)
{
    struct bytes password = bytes_of(job->password, job->password_size);
    /* Pairs with stretch_abandon(); one that comes later than this look is work done in vain. */
    job->is_skipped = atomic_load_explicit(&job->is_abandoned, memory_order_acquire);
    if (job->is_skipped) {
        job->is_match = false;
        job->error = ERROR_STALE;
    } else if (job->kind == STRETCH_CHECK) {
        job->is_match = false;
        for (uint32_t kind = 0; kind < DIGEST_KIND_COUNT; kind++) {
            const struct scram_keys *keys = &job->account.scram[kind];
            if (!scram_keys_is_present(keys))
                continue;
            job->is_match = scram_verifier_check_password(self->digests.of[kind], keys, password);
            break;
        }
    } else {
        job->error = ERROR_NONE;
        for (uint32_t kind = 0; kind < DIGEST_KIND_COUNT && job->error == ERROR_NONE; kind++)
            job->error = scram_verifier_make(self->digests.of[kind], password, job->rounds,
                                             &self->random, &job->account.scram[kind]);
    }
    bytes_wipe(job->password, sizeof job->password);
    job->password_size = 0;
}

static void give_back(struct stretch_job *job)
{
    struct stretch_port *port = job->port;
    void *item = job;
    bool is_given = ring_give_mpsc(port->done, &item);
    ASSERT(is_given); /* it holds as many as a port may have out */
    if (port->wake_descriptor >= 0) {
        uint64_t one = 1;
        if (write(port->wake_descriptor, &one, sizeof one) < 0)
            return; /* a full eventfd is awake already */
    }
}

static struct stretch_job *take_queued(struct stretch *stretch)
{
    pthread_mutex_lock(&stretch->taking);
    struct stretch_job *job = ring_take_mpsc(stretch->queue);
    pthread_mutex_unlock(&stretch->taking);
    return job;
}

static void *thread_run(void *argument)
{
    struct stretch_thread *self = argument;
    struct stretch *stretch = self->stretch;
    for (;;) {
        while (sem_wait(&stretch->waiting) != 0)
            continue;
        if (atomic_load(&stretch->is_stopping))
            return NULL;
        struct stretch_job *job = take_queued(stretch);
        if (job == NULL)
            continue;
        work_off(self, job);
        give_back(job);
    }
}

static enum error thread_start(struct stretch *stretch, uint32_t index)
{
    struct stretch_thread *self = &stretch->threads[index];
    if (pthread_create(&self->thread, NULL, thread_run, self) != 0)
        return ERROR_SYSTEM;
    stretch->thread_count = index + 1;
    return ERROR_NONE;
}

enum error stretch_create(struct stretch **created, struct heap *heap, uint32_t thread_count,
                          uint64_t seed)
{
    ASSERT(thread_count <= STRETCH_THREADS_MAX);
    *created = NULL;
    struct stretch *stretch = heap_take_zeroed(heap, sizeof *stretch);
    if (stretch == NULL)
        return ERROR_NO_MEMORY;
    stretch->heap = heap;
    pthread_mutex_init(&stretch->taking, NULL);
    sem_init(&stretch->waiting, 0, 0);
    enum error error = ring_create(&stretch->queue, heap, STRETCH_QUEUE_COUNT);
    uint32_t sets = thread_count == 0 ? 1 : thread_count;
    for (uint32_t i = 0; i < sets && error == ERROR_NONE; i++) {
        stretch->threads[i].stretch = stretch;
        if (thread_count == 0)
            random_init_seed(&stretch->threads[i].random, seed);
        else
            random_init_system(&stretch->threads[i].random);
        error = digests_init(&stretch->threads[i].digests);
    }
    for (uint32_t i = 0; i < thread_count && error == ERROR_NONE; i++)
        error = thread_start(stretch, i);
    *created = stretch;
    if (error != ERROR_NONE)
        stretch_destroy(created);
    return error;
}

void stretch_stop(struct stretch *stretch)
{
    atomic_store(&stretch->is_stopping, true);
    for (uint32_t i = 0; i < stretch->thread_count; i++)
        sem_post(&stretch->waiting);
    for (uint32_t i = 0; i < stretch->thread_count; i++)
        pthread_join(stretch->threads[i].thread, NULL);
    stretch->thread_count = 0;
}

void stretch_destroy(struct stretch **destroyed)
{
    struct stretch *stretch = *destroyed;
    if (stretch == NULL)
        return;
    stretch_stop(stretch);
    struct stretch_job *job;
    while (stretch->queue != NULL && (job = ring_take_mpsc(stretch->queue)) != NULL)
        stretch_job_destroy(stretch, &job);
    for (uint32_t i = 0; i < STRETCH_THREADS_MAX; i++)
        digests_fini(&stretch->threads[i].digests);
    if (stretch->queue != NULL)
        ring_destroy(&stretch->queue, stretch->heap);
    sem_destroy(&stretch->waiting);
    pthread_mutex_destroy(&stretch->taking);
    heap_give(stretch->heap, stretch);
    *destroyed = NULL;
}

enum error stretch_port_init(struct stretch *stretch, struct stretch_port *port,
                             int wake_descriptor)
{
    *port = (struct stretch_port){.wake_descriptor = wake_descriptor};
    return ring_create(&port->done, stretch->heap, STRETCH_OUT_COUNT);
}

void stretch_port_fini(struct stretch *stretch, struct stretch_port *port)
{
    if (port->done == NULL)
        return;
    struct stretch_job *job;
    while ((job = stretch_take_done(port)) != NULL)
        stretch_job_destroy(stretch, &job);
    ring_destroy(&port->done, stretch->heap);
}

struct stretch_job *stretch_job_create(struct stretch *stretch, enum stretch_kind kind,
                                       struct bytes password)
{
    if (password.size > STRETCH_PASSWORD_MAX)
        return NULL;
    struct stretch_job *job = heap_take_zeroed(stretch->heap, sizeof *job);
    if (job == NULL)
        return NULL;
    job->kind = kind;
    job->password_size = (uint16_t)password.size;
    memcpy(job->password, password.at, password.size);
    return job;
}

void stretch_job_destroy(struct stretch *stretch, struct stretch_job **job)
{
    if (*job == NULL)
        return;
    bytes_wipe(*job, sizeof **job);
    heap_give(stretch->heap, *job);
    *job = NULL;
}

static struct stretch_job **chain_of(struct stretch_port *port, uint64_t token_handle)
{
    return &port->out[handle_index((struct handle){token_handle}) & (STRETCH_CHAINS - 1u)];
}

static void chain(struct stretch_port *port, struct stretch_job *job)
{
    struct stretch_job **first = chain_of(port, job->token_handle);
    job->previous = NULL;
    job->next = *first;
    if (job->next != NULL)
        job->next->previous = job;
    *first = job;
    port->out_count++;
}

static void unchain(struct stretch_port *port, struct stretch_job *job)
{
    if (job->previous != NULL)
        job->previous->next = job->next;
    else
        *chain_of(port, job->token_handle) = job->next;
    if (job->next != NULL)
        job->next->previous = job->previous;
    port->out_count--;
}

bool stretch_give(struct stretch *stretch, struct stretch_job **job)
{
    struct stretch_port *port = (*job)->port;
    ASSERT(port != NULL);
    if (port->out_count >= STRETCH_OUT_COUNT - 1)
        return false;
    void *item = *job;
    chain(port, *job);
    if (!ring_give_mpsc(stretch->queue, &item)) {
        unchain(port, *job);
        return false;
    }
    *job = NULL;
    sem_post(&stretch->waiting);
    return true;
}

struct stretch_job *stretch_take_done(struct stretch_port *port)
{
    struct stretch_job *job = ring_take_mpsc(port->done);
    if (job != NULL)
        unchain(port, job);
    return job;
}

void stretch_abandon(struct stretch_port *port, uint64_t token_handle)
{
    if (port->out_count == 0)
        return;
    for (struct stretch_job *job = *chain_of(port, token_handle); job != NULL; job = job->next)
        if (job->token_handle == token_handle)
            atomic_store_explicit(&job->is_abandoned, true, memory_order_release);
}

void stretch_turn(struct stretch *stretch)
{
    ASSERT(stretch->thread_count == 0);
    ASSERT(!atomic_load(&stretch->is_stopping));
    struct stretch_job *job;
    while ((job = take_queued(stretch)) != NULL) {
        work_off(&stretch->threads[0], job);
        give_back(job);
    }
}
