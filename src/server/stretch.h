/* SPDX-License-Identifier: Apache-2.0
 *
 * Password stretching off the workers (DESIGN law 7): a small pool of threads that make and check
 * SCRAM keys. A job is one heap block, given with stretch_give() from any thread and given back,
 * done, through the port of the thread that asked. With thread_count 0 nothing runs by itself and
 * stretch_turn() does the work (simulator, tests). A full queue refuses: the caller keeps the job
 * and answers temporary-auth-failure or 503. Passwords are wiped when a job is done. */
#ifndef STENTOR_SERVER_STRETCH_H
#define STENTOR_SERVER_STRETCH_H

#include "stentor/account.h"
#include "stentor/heap.h"
#include "stentor/ring.h"

#define STRETCH_THREADS_MAX 8u
#define STRETCH_PASSWORD_MAX 1024u

enum stretch_kind { STRETCH_CHECK, STRETCH_MAKE };

/* Where done jobs arrive: one a thread that asks. */
struct stretch_port {
    struct ring *done;
    int wake_descriptor; /* eventfd, or -1 */
};

struct stretch_job {
    enum stretch_kind kind;
    uint32_t rounds; /* MAKE */
    struct stretch_port *port;
    uint64_t token_handle;
    void *token_pointer;
    struct account account; /* CHECK: keys to check against; MAKE: keys are filled in */
    bool is_match;          /* CHECK: the answer */
    enum error error;       /* MAKE */
    uint16_t password_size;
    uint8_t password[STRETCH_PASSWORD_MAX];
};

struct stretch;

MUST_USE enum error stretch_create(struct stretch **stretch, struct heap *heap,
                                   uint32_t thread_count, uint64_t seed);
/* Joins the threads: a job in a thread's hands is finished and given back, one that still waits is
 * not begun. Must precede stretch_port_fini() of any port that has jobs out, for threads give back
 * through it. Nothing may be given afterwards. */
void stretch_stop(struct stretch *stretch);
/* Stops, and wipes the jobs that were not begun. */
void stretch_destroy(struct stretch **stretch);

MUST_USE enum error stretch_port_init(struct stretch *stretch, struct stretch_port *port,
                                      int wake_descriptor);
void stretch_port_fini(struct stretch *stretch, struct stretch_port *port);

/* A zeroed job, NULL when the heap refuses; destroy wipes it. */
struct stretch_job *stretch_job_create(struct stretch *stretch, enum stretch_kind kind,
                                       struct bytes password);
void stretch_job_destroy(struct stretch *stretch, struct stretch_job **job);

/* False when the queue is full: the caller keeps *job. */
MUST_USE bool stretch_give(struct stretch *stretch, struct stretch_job **job);
struct stretch_job *stretch_take_done(struct stretch_port *port);
/* thread_count 0 only: does what is queued. */
void stretch_turn(struct stretch *stretch);

#endif
