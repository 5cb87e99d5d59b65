/* SPDX-License-Identifier: Apache-2.0
 *
 * Twin of src/server/stretch.c: keys that are made fit the password and no other, a stop does not
 * wait for what has not begun, and the queue refuses when it is full. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "stretch.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "stentor/scram_keys.h"

#define HEAP_BYTES (64u << 20)

static struct heap heap;
static struct stretch *stretch;
static struct stretch_port port;

static void begin(uint32_t thread_count)
{
    heap_init(&heap, HEAP_BYTES);
    assert_int_equal(stretch_create(&stretch, &heap, thread_count, 1), ERROR_NONE);
    int descriptor = eventfd(0, EFD_CLOEXEC);
    assert_int_equal(stretch_port_init(stretch, &port, descriptor), ERROR_NONE);
}

static void end(void)
{
    stretch_stop(stretch);
    stretch_port_fini(stretch, &port);
    stretch_destroy(&stretch);
    close(port.wake_descriptor);
    assert_int_equal(heap_used_bytes(&heap), 0);
}

static bool ask(enum stretch_kind kind, const char *password, uint32_t rounds, uint64_t whom)
{
    struct stretch_job *job = stretch_job_create(stretch, kind, bytes_of_string(password));
    assert_non_null(job);
    job->port = &port;
    job->rounds = rounds;
    job->token_handle = whom;
    if (stretch_give(stretch, &job))
        return true;
    stretch_job_destroy(stretch, &job);
    return false;
}

/* Sleeps until something is done. */
static struct stretch_job *answer_wait(void)
{
    struct stretch_job *job;
    while ((job = stretch_take_done(&port)) == NULL) {
        struct pollfd wait = {.fd = port.wake_descriptor, .events = POLLIN};
        uint64_t count;
        assert_int_equal(poll(&wait, 1, 60000), 1);
        assert_int_equal(read(port.wake_descriptor, &count, sizeof count), sizeof count);
    }
    return job;
}

static bool is_match(const struct account *account, const char *password)
{
    struct stretch_job *job = stretch_job_create(stretch, STRETCH_CHECK, bytes_of_string(password));
    assert_non_null(job);
    job->port = &port;
    memcpy(job->account.scram, account->scram, sizeof account->scram);
    assert_true(stretch_give(stretch, &job));
    stretch_turn(stretch);
    job = stretch_take_done(&port);
    bool is_it = job->is_match;
    assert_int_equal(job->password_size, 0);
    stretch_job_destroy(stretch, &job);
    return is_it;
}

/* What was made fits its password, and nothing else does. */
static void made_keys_fit(void **state)
{
    (void)state;
    begin(0);
    assert_true(ask(STRETCH_MAKE, "pencil", SCRAM_ROUNDS_MIN, 1));
    assert_null(stretch_take_done(&port));
    stretch_turn(stretch);
    struct stretch_job *made = stretch_take_done(&port);
    assert_int_equal(made->error, ERROR_NONE);
    assert_true(is_match(&made->account, "pencil"));
    assert_false(is_match(&made->account, "pencil "));
    stretch_job_destroy(stretch, &made);
    end();
}

/* A full queue refuses, and what it holds goes with it. */
static void full_queue_refuses(void **state)
{
    (void)state;
    begin(0);
    uint32_t count = 0;
    while (ask(STRETCH_MAKE, "pencil", SCRAM_ROUNDS_MIN, count))
        count++;
    assert_int_equal(count, 1023);
    end();
}

static struct stretch_job *take(void)
{
    struct stretch_job *job = stretch_take_done(&port);
    assert_non_null(job);
    return job;
}

/* Of jobs whose handles share a chain the abandoned ones alone are skipped, wherever they stand in
 * it; one that was done already stays done; an unknown handle changes nothing. */
static void abandoned_is_not_begun(void **state)
{
    (void)state;
    const uint64_t same_chain[] = {7, 7 + STRETCH_CHAINS, 7 + 2 * STRETCH_CHAINS,
                                   7 + 3 * STRETCH_CHAINS};
    begin(0);
    stretch_abandon(&port, 7);
    for (uint32_t i = 0; i < ARRAY_COUNT(same_chain); i++)
        assert_true(ask(STRETCH_MAKE, "pencil", SCRAM_ROUNDS_MIN, same_chain[i]));
    stretch_abandon(&port, same_chain[1]);
    stretch_abandon(&port, same_chain[3]);
    stretch_abandon(&port, 8);
    stretch_turn(stretch);
    stretch_abandon(&port, same_chain[0]);
    for (uint32_t i = 0; i < ARRAY_COUNT(same_chain); i++) {
        struct stretch_job *job = take();
        assert_int_equal(job->token_handle, same_chain[i]);
        assert_int_equal(job->is_skipped, i == 1 || i == 3);
        assert_int_equal(job->error, job->is_skipped ? ERROR_STALE : ERROR_NONE);
        assert_int_equal(job->password_size, 0);
        assert_int_equal(scram_keys_is_present(&job->account.scram[0]), !job->is_skipped);
        stretch_job_destroy(stretch, &job);
    }
    assert_int_equal(port.out_count, 0);
    end();
}

/* A thread passes over a queue of jobs that nobody wants and does the one that is wanted. */
static void wanted_comes_past_the_abandoned(void **state)
{
    (void)state;
    begin(1);
    for (uint64_t i = 1; i <= 200; i++)
        assert_true(ask(STRETCH_MAKE, "pencil", 200000, i));
    assert_true(ask(STRETCH_MAKE, "pencil", SCRAM_ROUNDS_MIN, 1000));
    for (uint64_t i = 1; i <= 200; i++)
        stretch_abandon(&port, i);
    uint32_t skipped = 0;
    for (uint32_t taken = 0; taken < 201; taken++) {
        struct stretch_job *job = answer_wait();
        skipped += job->is_skipped;
        if (job->token_handle == 1000)
            assert_int_equal(job->error, ERROR_NONE);
        stretch_job_destroy(stretch, &job);
    }
    assert_true(skipped > 150);
    end();
}

/* A stop finishes the job in hand and begins no other, though sixty wait; ports may go then. */
static void stops_after_the_job_in_hand(void **state)
{
    (void)state;
    begin(1);
    for (uint64_t i = 0; i < 60; i++)
        assert_true(ask(STRETCH_MAKE, "pencil", 200000, i));
    struct stretch_job *job = answer_wait(); /* it is at work */
    stretch_job_destroy(stretch, &job);
    stretch_stop(stretch);
    uint32_t done = 0;
    while ((job = stretch_take_done(&port)) != NULL) {
        stretch_job_destroy(stretch, &job);
        done++;
    }
    assert_true(done < 30);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(made_keys_fit),
        cmocka_unit_test(full_queue_refuses),
        cmocka_unit_test(abandoned_is_not_begun),
        cmocka_unit_test(wanted_comes_past_the_abandoned),
        cmocka_unit_test(stops_after_the_job_in_hand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
