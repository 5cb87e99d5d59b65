/* SPDX-License-Identifier: Apache-2.0
 *
 * Password stretching off the workers (DESIGN law 7): a small pool of threads that make and check
 * SCRAM keys. A job is one heap block, given with stretch_give() from any thread and given back,
 * done, through the port of the thread that asked. With thread_count 0 nothing runs by itself and
 * stretch_turn() does the work (simulator, tests). A full queue refuses: the caller keeps the job
 * and answers temporary-auth-failure or 503. Passwords are wiped when a job is done. Who no longer
 * wants an answer says so by stretch_abandon(): a job not yet begun then costs nothing, so clients
 * that give up do not hold up those that wait. */
#ifndef STENTOR_SERVER_STRETCH_H
#define STENTOR_SERVER_STRETCH_H

#include <stdatomic.h>

#include "stentor/account.h"
#include "stentor/heap.h"
#include "stentor/ring.h"

#define STRETCH_THREADS_MAX 8u
#define STRETCH_PASSWORD_MAX 1024u
#define STRETCH_CHAINS 256u /* a power of two */

enum stretch_kind { STRETCH_CHECK, STRETCH_MAKE };

/* Where done jobs arrive: one a thread that asks. */
struct stretch_port {
    struct ring *done;
    int wake_descriptor;                     /* eventfd, or -1 */
    uint32_t out_count;                      /* given and not yet taken back */
    struct stretch_job *out[STRETCH_CHAINS]; /* those, by handle; the port's thread alone */
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
    bool is_skipped;        /* abandoned before it was begun: no answer */
    _Atomic bool is_abandoned;
    struct stretch_job *next, *previous; /* the port's: of one chain */
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

/* By the thread of (*job)->port. False when the queue is full: the caller keeps *job. */
MUST_USE bool stretch_give(struct stretch *stretch, struct stretch_job **job);
struct stretch_job *stretch_take_done(struct stretch_port *port);
/* By the thread of the port: nobody waits for the jobs of that handle any more. One that has not
 * begun comes back as is_skipped. Costs nothing when the port has no job out. */
void stretch_abandon(struct stretch_port *port, uint64_t token_handle);
/* thread_count 0 only: does what is queued. */
void stretch_turn(struct stretch *stretch);

#endif
