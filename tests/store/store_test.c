/* SPDX-License-Identifier: Apache-2.0
 *
 * The road of a request: ports, lanes, queues, bells, stopping; inline and with threads. */
#include "store_fixture.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "stentor/clock.h"

static int inline_make(void **state)
{
    fixture_make(state);
    assert_int_equal(fixture_open(*state), ERROR_NONE);
    return 0;
}

static int threads_make(void **state)
{
    fixture_make(state);
    struct fixture *fixture = *state;
    fixture->options.mode = STORE_THREADED;
    fixture->options.reader_count = 3;
    assert_int_equal(fixture_open(fixture), ERROR_NONE);
    return 0;
}

static int64_t metric_sum(const struct fixture *fixture, enum metric metric)
{
    const struct metrics *blocks[STORE_THREADS_MAX];
    uint32_t count = store_metrics(fixture->store, blocks);
    int64_t sum = 0;
    for (uint32_t i = 0; i < count; i++)
        sum += metric_get(blocks[i], metric);
    return sum;
}

static void test_token_comes_back(void **state)
{
    /* The answer is the block that was sent, with the caller's token in it. */
    struct fixture *fixture = *state;
    struct store_request *request = fixture_request(fixture, STORE_ACCOUNT_GET, "juliet");
    request->token_handle = UINT64_C(0x0102030405060708);
    request->token_word = 42;
    assert_int_equal(fixture_call(fixture, &request), ERROR_NOT_FOUND);
    assert_int_equal(request->token_handle, UINT64_C(0x0102030405060708));
    assert_int_equal(request->token_word, 42);
    store_request_destroy(fixture->store, &request);
    assert_null(request);
    store_request_destroy(fixture->store, &request);
}

static void test_nothing_happens_before_a_turn(void **state)
{
    /* Inline, a request waits for store_turn, which says how many it answered. */
    struct fixture *fixture = *state;
    struct store_request *request = fixture_request(fixture, STORE_ACCOUNT_COUNT, NULL);
    assert_int_equal(store_turn(fixture->store), 0);
    assert_int_equal(store_submit(fixture->port, &request), ERROR_NONE);
    assert_null(store_port_take(fixture->port));
    assert_int_equal(store_port_pending_count(fixture->port), 1);
    assert_int_equal(store_turn(fixture->store), 1);
    request = store_port_take(fixture->port);
    assert_non_null(request);
    assert_int_equal(store_port_pending_count(fixture->port), 0);
    assert_null(store_port_take(fixture->port));
    store_request_destroy(fixture->store, &request);
}

static void test_writes_in_order_and_in_one_commit(void **state)
{
    /* What a port submitted together is committed together, executed and answered in order. */
    struct fixture *fixture = *state;
    const enum store_kind order[] = {STORE_ACCOUNT_CREATE, STORE_ACCOUNT_CREATE,
                                     STORE_ACCOUNT_DELETE, STORE_ACCOUNT_CREATE};
    const enum error expected[] = {ERROR_NONE, ERROR_EXISTS, ERROR_NONE, ERROR_NONE};
    struct store_request *request;
    for (size_t i = 0; i < ARRAY_COUNT(order); i++) {
        request = fixture_request(fixture, order[i], "juliet");
        request->token_word = i;
        assert_int_equal(store_submit(fixture->port, &request), ERROR_NONE);
    }
    assert_int_equal(store_turn(fixture->store), ARRAY_COUNT(order));
    for (size_t i = 0; i < ARRAY_COUNT(order); i++) {
        request = store_port_take(fixture->port);
        assert_non_null(request);
        assert_int_equal(request->token_word, i);
        assert_int_equal(request->error, expected[i]);
        store_request_destroy(fixture->store, &request);
    }
    assert_int_equal(metric_sum(fixture, METRIC_STORE_COMMITS), 1);
    assert_int_equal(metric_sum(fixture, METRIC_STORE_WRITES), ARRAY_COUNT(order));
    assert_int_equal(metric_sum(fixture, METRIC_STORE_ERRORS), 0);
}

static void test_full_queue_refuses(void **state)
{
    /* Above the capacity a request stays the caller's and is counted; after a take one fits. */
    struct fixture *fixture = *state;
    struct store_request *request;
    uint32_t capacity = fixture->options.queue_capacity;
    for (uint32_t i = 0; i < capacity - 1; i++) {
        request = fixture_request(fixture, i % 2 ? STORE_ACCOUNT_GET : STORE_ACCOUNT_DELETE, "a");
        assert_int_equal(store_submit(fixture->port, &request), ERROR_NONE);
    }
    struct store_request *late = fixture_request(fixture, STORE_ACCOUNT_GET, "late");
    assert_int_equal(store_submit(fixture->port, &late), ERROR_QUEUE_FULL);
    assert_non_null(late);
    /* Answered but not taken still counts. */
    assert_int_equal(store_turn(fixture->store), capacity - 1);
    assert_int_equal(store_submit(fixture->port, &late), ERROR_QUEUE_FULL);
    assert_int_equal(metric_get(&fixture->metrics, METRIC_STORE_QUEUE_FULL), 2);
    request = store_port_take(fixture->port);
    store_request_destroy(fixture->store, &request);
    assert_int_equal(store_submit(fixture->port, &late), ERROR_NONE);
}

static void test_full_lane_refuses(void **state)
{
    /* A lane that other ports have filled refuses a port that has nothing pending. */
    struct fixture *fixture = *state;
    struct store_port *other;
    struct store_request *request;
    assert_int_equal(store_port_create(fixture->store, &fixture->metrics, -1, &other), ERROR_NONE);
    for (uint32_t i = 0; i < fixture->options.queue_capacity - 1; i++) {
        request = fixture_request(fixture, STORE_ACCOUNT_GET, "a");
        assert_int_equal(store_submit(fixture->port, &request), ERROR_NONE);
    }
    request = fixture_request(fixture, STORE_ACCOUNT_GET, "a");
    assert_int_equal(store_submit(other, &request), ERROR_QUEUE_FULL);
    assert_int_equal(store_port_pending_count(other), 0);
    store_turn(fixture->store);
    assert_int_equal(store_submit(other, &request), ERROR_NONE);
}

static void test_close_executes_what_is_queued(void **state)
{
    /* Closing runs the queue and gives back answers nobody took. */
    struct fixture *fixture = *state;
    for (char name = 'a'; name < 'k'; name++) {
        char local[2] = {name, 0};
        struct store_request *request = fixture_request(fixture, STORE_ACCOUNT_CREATE, local);
        assert_int_equal(store_submit(fixture->port, &request), ERROR_NONE);
    }
    fixture_close(fixture);
    assert_int_equal(heap_used_bytes(&fixture->heap), 0);
    assert_int_equal(fixture_open(fixture), ERROR_NONE);
    assert_int_equal(fixture_count(fixture), 10);
}

static void test_port_limit(void **state)
{
    /* There are STORE_PORTS_MAX ports and no more. */
    struct fixture *fixture = *state;
    struct store_port *port;
    fixture_close(fixture);
    fixture->options.queue_capacity = 2;
    assert_int_equal(fixture_open(fixture), ERROR_NONE);
    for (uint32_t i = 1; i < STORE_PORTS_MAX; i++)
        assert_int_equal(store_port_create(fixture->store, &fixture->metrics, -1, &port),
                         ERROR_NONE);
    assert_int_equal(store_port_create(fixture->store, &fixture->metrics, -1, &port), ERROR_LIMIT);
    assert_null(port);
    assert_int_equal(fixture_do(fixture, STORE_ACCOUNT_CREATE, "a"), ERROR_NONE);
}

static void test_options_out_of_bounds(void **state)
{
    /* Options that cannot be meant are refused with a message and make no folder. */
    struct fixture *fixture = *state;
    struct store_options good = fixture->options;
    fixture_close(fixture);
    fixture_remove(fixture->dir);
    fixture->options.queue_capacity = STORE_QUEUE_MAX + 1;
    assert_int_equal(fixture_open(fixture), ERROR_INVALID);
    fixture->options = good;
    fixture->options.map_bytes = STORE_MAP_MIN - 1;
    assert_int_equal(fixture_open(fixture), ERROR_INVALID);
    fixture->options = good;
    fixture->options.mode = STORE_THREADED;
    fixture->options.reader_count = STORE_READERS_MAX + 1;
    assert_int_equal(fixture_open(fixture), ERROR_INVALID);
    fixture->options = good;
    fixture->options.dir = "";
    assert_int_equal(fixture_open(fixture), ERROR_INVALID);
    assert_int_not_equal(access(fixture->dir, F_OK), 0);
}

static void test_heap_refuses_the_store(void **state)
{
    /* Whatever block of opening the heap refuses: NO_MEMORY, nothing left held, later it opens. */
    struct fixture *fixture = *state;
    uint32_t refused_count = 0;
    fixture_close(fixture);
    for (uint64_t bytes = 0;; bytes += 4096) {
        fixture->heap.used_bytes_max = bytes;
        enum error error = fixture_open(fixture);
        if (!error)
            break;
        assert_int_equal(error, ERROR_NO_MEMORY);
        fixture_close(fixture);
        assert_int_equal(heap_used_bytes(&fixture->heap), 0);
        refused_count++;
    }
    assert_true(refused_count > 3);
}

static void test_kind_names(void **state)
{
    /* Each kind has the name of its row. */
    (void)state;
    assert_string_equal(store_kind_name(STORE_ACCOUNT_GET), "account_get");
    assert_string_equal(store_kind_name(STORE_ACCOUNT_NUMBERS), "account_numbers");
}

/* ---- with threads ---- */

static void test_threads_answer(void **state)
{
    /* The same requests by the store's own threads; a read sees a write answered before. */
    struct fixture *fixture = *state;
    char local[16];
    for (uint32_t i = 0; i < 50; i++) {
        snprintf(local, sizeof local, "u%u", i);
        assert_int_equal(fixture_do(fixture, STORE_ACCOUNT_CREATE, local), ERROR_NONE);
        assert_int_equal(fixture_do(fixture, STORE_ACCOUNT_GET, local), ERROR_NONE);
        assert_int_equal(fixture_count(fixture), i + 1);
    }
    assert_int_equal(metric_sum(fixture, METRIC_STORE_READS), 100);
    assert_int_equal(metric_sum(fixture, METRIC_STORE_WRITES), 50);
}

static void test_wake(void **state)
{
    /* A port's eventfd becomes readable when there is an answer to take. */
    struct fixture *fixture = *state;
    struct store_port *port;
    int wake_fd = eventfd(0, EFD_NONBLOCK);
    struct pollfd waiting = {wake_fd, POLLIN, 0};
    assert_int_equal(store_port_create(fixture->store, &fixture->metrics, wake_fd, &port),
                     ERROR_NONE);
    for (uint32_t i = 0; i < 20; i++) {
        eventfd_t rings;
        struct store_request *request = fixture_request(fixture, STORE_ACCOUNT_COUNT, NULL);
        assert_int_equal(poll(&waiting, 1, 0), 0);
        assert_int_equal(store_submit(port, &request), ERROR_NONE);
        assert_int_equal(poll(&waiting, 1, 10000), 1);
        request = store_port_take(port);
        assert_non_null(request);
        assert_int_equal(eventfd_read(wake_fd, &rings), 0);
        assert_int_equal(rings, 1);
        store_request_destroy(fixture->store, &request);
    }
    fixture_close(fixture);
    close(wake_fd);
}

struct crowd {
    struct fixture *fixture;
    struct metrics metrics;
    pthread_t thread;
    uint32_t index;
    uint32_t created_count;
    uint32_t found_count;
    uint32_t foreign_count;
};

#define CROWD_COUNT 4u
#define CROWD_REQUESTS 400u

static void crowd_settle(struct crowd *crowd, struct store_port *port)
{
    struct store_request *answer;
    while ((answer = store_port_take(port)) != NULL) {
        if (answer->token_handle != crowd->index)
            crowd->foreign_count++;
        if (answer->kind == STORE_ACCOUNT_CREATE && answer->error == ERROR_NONE)
            crowd->created_count++;
        if (answer->kind == STORE_ACCOUNT_GET && answer->error == ERROR_NONE)
            crowd->found_count++;
        store_request_destroy(crowd->fixture->store, &answer);
    }
}

static void crowd_submit(struct crowd *crowd, struct store_port *port, uint32_t number)
{
    struct store *store = crowd->fixture->store;
    struct store_request *request = NULL;
    char local[24];
    enum store_kind kind = number % 2 ? STORE_ACCOUNT_GET : STORE_ACCOUNT_CREATE;
    if (store_request_create(store, kind, &request))
        return;
    snprintf(local, sizeof local, "c%u-%u", crowd->index, number / 2);
    if (!account_set_local(&request->account, bytes_of_string(local)))
        return;
    request->token_handle = crowd->index;
    while (store_submit(port, &request)) {
        crowd_settle(crowd, port);
        clock_sleep_ns(NS_PER_MS / 10);
    }
}

/* No assertions here: cmocka's are the main thread's. */
static void *crowd_main(void *argument)
{
    struct crowd *crowd = argument;
    struct store_port *port;
    if (store_port_create(crowd->fixture->store, &crowd->metrics, -1, &port))
        return NULL;
    for (uint32_t i = 0; i < CROWD_REQUESTS; i++) {
        crowd_submit(crowd, port, i);
        crowd_settle(crowd, port);
    }
    for (uint32_t i = 0; i < 20000 && store_port_pending_count(port) > 0; i++) {
        clock_sleep_ns(NS_PER_MS / 2);
        crowd_settle(crowd, port);
    }
    return NULL;
}

static void test_crowd(void **state)
{
    /* Several threads with a port each: every request is answered once, to whom it belongs. */
    static struct crowd crowd[CROWD_COUNT];
    struct fixture *fixture = *state;
    memset(crowd, 0, sizeof crowd);
    for (uint32_t i = 0; i < CROWD_COUNT; i++) {
        crowd[i].fixture = fixture;
        crowd[i].index = i;
        assert_int_equal(pthread_create(&crowd[i].thread, NULL, crowd_main, &crowd[i]), 0);
    }
    for (uint32_t i = 0; i < CROWD_COUNT; i++) {
        pthread_join(crowd[i].thread, NULL);
        assert_int_equal(crowd[i].created_count, CROWD_REQUESTS / 2);
        assert_int_equal(crowd[i].foreign_count, 0);
    }
    assert_int_equal(fixture_count(fixture), CROWD_COUNT * CROWD_REQUESTS / 2);
    assert_int_equal(metric_sum(fixture, METRIC_STORE_WRITES), CROWD_COUNT * CROWD_REQUESTS / 2);
    assert_true(metric_sum(fixture, METRIC_STORE_COMMITS) <=
                metric_sum(fixture, METRIC_STORE_WRITES));
}

static void test_threads_close_with_a_full_queue(void **state)
{
    /* Closing at once after many submissions executes them all. */
    struct fixture *fixture = *state;
    uint32_t count = fixture->options.queue_capacity - 1;
    char local[16];
    for (uint32_t i = 0; i < count; i++) {
        snprintf(local, sizeof local, "u%u", i);
        struct store_request *request = fixture_request(fixture, STORE_ACCOUNT_CREATE, local);
        assert_int_equal(store_submit(fixture->port, &request), ERROR_NONE);
    }
    fixture_close(fixture);
    assert_int_equal(fixture_open(fixture), ERROR_NONE);
    assert_int_equal(fixture_count(fixture), count);
}

#define INLINE_TEST(function) cmocka_unit_test_setup_teardown(function, inline_make, fixture_drop)
#define THREAD_TEST(function) cmocka_unit_test_setup_teardown(function, threads_make, fixture_drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        INLINE_TEST(test_token_comes_back),
        INLINE_TEST(test_nothing_happens_before_a_turn),
        INLINE_TEST(test_writes_in_order_and_in_one_commit),
        INLINE_TEST(test_full_queue_refuses),
        INLINE_TEST(test_full_lane_refuses),
        INLINE_TEST(test_close_executes_what_is_queued),
        INLINE_TEST(test_port_limit),
        INLINE_TEST(test_options_out_of_bounds),
        INLINE_TEST(test_heap_refuses_the_store),
        cmocka_unit_test(test_kind_names),
        THREAD_TEST(test_threads_answer),
        THREAD_TEST(test_wake),
        THREAD_TEST(test_crowd),
        THREAD_TEST(test_threads_close_with_a_full_queue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
