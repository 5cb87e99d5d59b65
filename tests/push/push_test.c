/* SPDX-License-Identifier: Apache-2.0
 *
 * Twin of src/push/push.c: what is accepted and what is not, states, who is offline, figures that
 * balance at every reading under any order of reports, forgetting, listing, and a heap that
 * refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <roaring/roaring.h>

#include "stentor/push.h"

#define KEPT_MAX 8u
#define WORKERS 3u
#define MS UINT64_C(1000000)

struct fixture {
    struct heap heap;
    struct random random;
    struct metrics metrics;
    struct push_options options;
    struct push_table *table;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    memset(&fixture.metrics, 0, sizeof fixture.metrics);
    heap_init(&fixture.heap, 8 << 20);
    random_init_seed(&fixture.random, 1);
    fixture.options = (struct push_options){.heap = &fixture.heap,
                                            .random = &fixture.random,
                                            .domain = BYTES("example.net"),
                                            .kept_max = KEPT_MAX,
                                            .worker_count = WORKERS,
                                            .body_bytes_max = 1024,
                                            .rate_default = 5000,
                                            .metrics = &fixture.metrics};
    *state = &fixture;
    return push_table_create(&fixture.table, &fixture.options) == ERROR_NONE ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    push_table_destroy(&fixture->table);
    return fixture->table == NULL && heap_used_bytes(&fixture->heap) == 0 ? 0 : -1;
}

static struct push_table *table_of(void **state)
{
    return ((struct fixture *)*state)->table;
}

static const struct push_request hello = {.target = PUSH_ONLINE, .body = BYTES("hello")};

static const struct push_job *accept(struct push_table *table, const struct push_request *request,
                                     const uint32_t *accounts, uint32_t count)
{
    const struct push_job *job;
    assert_int_equal(push_accept(table, request, accounts, count, 1000, 50 * MS, &job), ERROR_NONE);
    return job;
}

static struct push_status status_of(const struct push_table *table, const struct push_id *id)
{
    struct push_status status;
    assert_int_equal(push_status(table, id, &status), ERROR_NONE);
    const struct push_counts *counts = &status.counts;
    uint64_t failed = 0;
    for (uint32_t i = 0; i < PUSH_FAILURE_COUNT; i++)
        failed += counts->failed[i];
    assert_int_equal(counts->matched, counts->pending + counts->written + failed);
    assert_int_equal(counts->written, counts->in_flight + counts->acked + counts->lost);
    assert_true(counts->pending <= counts->matched);
    assert_true(counts->in_flight <= counts->written);
    return status;
}

/* Every worker has walked without a match and lets go. */
static void finish(struct push_table *table, const struct push_job *job)
{
    for (uint32_t i = 0; i < WORKERS; i++) {
        struct push_report report = {.job = job, .is_walked = true, .is_released = true};
        push_apply(table, &report, 60 * MS);
    }
}

/* The job holds what workers need; the status what was asked for. */
static void accepted_push_is_told(void **state)
{
    struct push_table *table = table_of(state);
    struct push_request request = {.target = PUSH_USERS,
                                   .title = BYTES("T"),
                                   .body = BYTES("B"),
                                   .label = BYTES("weekly"),
                                   .rate = 9};
    const uint32_t accounts[] = {3, 4, 100000};
    const struct push_job *job = accept(table, &request, accounts, 3);
    assert_int_equal(job->target, PUSH_USERS);
    assert_int_equal(job->rate, 9);
    assert_int_equal(roaring_bitmap_get_cardinality(job->audience), 3);
    char expected[200];
    snprintf(expected, sizeof expected,
             "<message from='example.net' id='%s'><subject>T</subject><body>B</body></message>",
             job->id.text);
    assert_true(bytes_equal(job->text, bytes_of_string(expected)));
    struct push_status status = status_of(table, &job->id);
    assert_int_equal(status.state, PUSH_RUNNING);
    assert_int_equal(status.target, PUSH_USERS);
    assert_int_equal(status.created_at_ms, 1000);
    assert_int_equal(status.first_write_ms, 0);
    assert_true(bytes_equal(status.label, BYTES("weekly")));
    assert_int_equal(push_running_count(table), 1);

    job = accept(table, &hello, NULL, 0);
    assert_null(job->audience);
    assert_int_equal(job->rate, 5000);
}

/* Nothing to say, a label too long, and a text over the limit by one octet are refused, and
 * nothing is kept of them. */
static void unfit_requests_are_refused(void **state)
{
    struct push_table *table = table_of(state);
    const struct push_job *job;
    struct push_request request = {.target = PUSH_ONLINE};
    assert_int_equal(push_accept(table, &request, NULL, 0, 1, 1, &job), ERROR_INVALID);
    assert_null(job);
    static uint8_t octets[2000];
    memset(octets, 'a', sizeof octets);
    request.body = BYTES("b");
    request.label = bytes_of(octets, PUSH_LABEL_MAX + 1);
    assert_int_equal(push_accept(table, &request, NULL, 0, 1, 1, &job), ERROR_INVALID);
    request.label = bytes_of(octets, PUSH_LABEL_MAX);
    size_t frame = accept(table, &request, NULL, 0)->text.size - 1;
    request.body = bytes_of(octets, 1024 - frame + 1);
    assert_int_equal(push_accept(table, &request, NULL, 0, 1, 1, &job), ERROR_TOO_LARGE);
    request.body = bytes_of(octets, 1024 - frame);
    assert_int_equal(accept(table, &request, NULL, 0)->text.size, 1024);
    assert_int_equal(push_running_count(table), 2);
}

/* The state follows the workers: draining when all have walked, done when all have let go. */
static void states_follow_the_workers(void **state)
{
    struct push_table *table = table_of(state);
    const struct push_job *job = accept(table, &hello, NULL, 0);
    struct push_id id = job->id;
    for (uint32_t i = 0; i < WORKERS; i++) {
        assert_int_equal(status_of(table, &id).state, PUSH_RUNNING);
        struct push_report report = {.job = job, .matched = 2, .written = 2, .is_walked = true};
        push_apply(table, &report, 0);
    }
    for (uint32_t i = 0; i < WORKERS; i++) {
        assert_int_equal(status_of(table, &id).state, PUSH_DRAINING);
        assert_int_equal(push_running_count(table), 1);
        struct push_report report = {.job = job, .acked = 2, .is_released = true};
        push_apply(table, &report, 0);
    }
    struct push_status status = status_of(table, &id);
    assert_int_equal(status.state, PUSH_DONE);
    assert_int_equal(status.counts.acked, 6);
    assert_int_equal(push_running_count(table), 0);
}

/* Offline are those of the audience whom no worker matched, known when the last has walked; for
 * `online` there are none. */
static void offline_is_the_rest_of_the_audience(void **state)
{
    struct push_table *table = table_of(state);
    const enum push_target targets[] = {PUSH_ALL, PUSH_USERS, PUSH_ONLINE};
    const uint32_t accounts[] = {1, 2, 3, 4, 5, 70000};
    for (size_t t = 0; t < ARRAY_COUNT(targets); t++) {
        struct push_request request = {.target = targets[t], .body = BYTES("b")};
        const struct push_job *job = accept(table, &request, accounts, 6);
        assert_int_equal(job->audience != NULL, targets[t] == PUSH_USERS);
        roaring_bitmap_t *reached[WORKERS] = {roaring_bitmap_of(2, 1, 2),
                                              roaring_bitmap_of(3, 2, 70000, 99), NULL};
        for (uint32_t i = 0; i < WORKERS; i++) {
            assert_int_equal(status_of(table, &job->id).counts.failed[PUSH_FAILED_OFFLINE], 0);
            struct push_report report = {.job = job,
                                         .matched = 2,
                                         .written = 2,
                                         .acked = 2,
                                         .reached = reached[i],
                                         .is_walked = true,
                                         .is_released = i == 2};
            push_apply(table, &report, 0);
            assert_null(report.reached);
        }
        struct push_status status = status_of(table, &job->id);
        uint64_t offline = targets[t] == PUSH_ONLINE ? 0 : 3;
        assert_int_equal(status.counts.failed[PUSH_FAILED_OFFLINE], offline);
        assert_int_equal(status.counts.matched, 6 + offline);
        assert_int_equal(status.state, PUSH_DRAINING);
    }
}

/* First and last write are since acceptance, over all workers, and never 0 once there is one. */
static void write_instants_are_kept(void **state)
{
    struct push_table *table = table_of(state);
    const struct push_job *job = accept(table, &hello, NULL, 0);
    struct push_report report = {.job = job,
                                 .matched = 1,
                                 .written = 1,
                                 .first_write_at_ns = 57 * MS,
                                 .last_write_at_ns = 58 * MS};
    push_apply(table, &report, 0);
    report.first_write_at_ns = 50 * MS + 1;
    report.last_write_at_ns = 52 * MS;
    push_apply(table, &report, 0);
    report.first_write_at_ns = 0;
    report.last_write_at_ns = 0;
    push_apply(table, &report, 0);
    struct push_status status = status_of(table, &job->id);
    assert_int_equal(status.first_write_ms, 1);
    assert_int_equal(status.last_write_ms, 8);
}

/* What a worker lets go of without a word is closed and lost, and shows in its own counter. */
static void unaccounted_is_counted(void **state)
{
    struct fixture *fixture = *state;
    const struct push_job *job = accept(fixture->table, &hello, NULL, 0);
    struct push_id id = job->id;
    struct push_report report = {.job = job, .matched = 10, .written = 7, .acked = 4};
    push_apply(fixture->table, &report, 0);
    finish(fixture->table, job);
    struct push_status status = status_of(fixture->table, &id);
    assert_int_equal(status.counts.pending, 0);
    assert_int_equal(status.counts.in_flight, 0);
    assert_int_equal(status.counts.failed[PUSH_FAILED_CLOSED], 3);
    assert_int_equal(status.counts.lost, 3);
    assert_int_equal(metric_get(&fixture->metrics, METRIC_PUSH_UNACCOUNTED), 6);
}

/* When all places are taken the oldest that is done goes; when none is done, a new one is refused
 * and nothing goes. */
static void oldest_done_is_forgotten(void **state)
{
    struct push_table *table = table_of(state);
    struct push_id ids[KEPT_MAX + 2];
    const struct push_job *jobs[KEPT_MAX + 2];
    for (uint32_t i = 0; i < KEPT_MAX; i++) {
        jobs[i] = accept(table, &hello, NULL, 0);
        ids[i] = jobs[i]->id;
    }
    const struct push_job *job;
    struct push_status status;
    assert_int_equal(push_accept(table, &hello, NULL, 0, 1, 1, &job), ERROR_LIMIT);
    assert_int_equal(push_running_count(table), KEPT_MAX);
    finish(table, jobs[5]);
    finish(table, jobs[2]);
    /* One that cannot be accepted makes nobody forgotten. */
    struct push_request empty = {.target = PUSH_ONLINE};
    assert_int_equal(push_accept(table, &empty, NULL, 0, 1, 1, &job), ERROR_INVALID);
    status_of(table, &ids[2]);
    ids[8] = accept(table, &hello, NULL, 0)->id;
    assert_int_equal(push_status(table, &ids[2], &status), ERROR_NOT_FOUND);
    status_of(table, &ids[5]);
    ids[9] = accept(table, &hello, NULL, 0)->id;
    assert_int_equal(push_status(table, &ids[5], &status), ERROR_NOT_FOUND);
    assert_int_equal(push_accept(table, &hello, NULL, 0, 1, 1, &job), ERROR_LIMIT);
    for (uint32_t i = 0; i < KEPT_MAX + 2; i++) {
        if (i != 2 && i != 5)
            assert_string_equal(status_of(table, &ids[i]).id.text, ids[i].text);
    }
    finish(table, jobs[0]);
    assert_int_equal(status_of(table, &ids[0]).state, PUSH_DONE);
}

/* Lists go from the newest back, in pages that meet. */
static void lists_are_paged_backwards(void **state)
{
    struct push_table *table = table_of(state);
    struct push_status statuses[KEPT_MAX + 1];
    assert_int_equal(push_list(table, NULL, statuses, KEPT_MAX + 1), 0);
    struct push_id ids[KEPT_MAX];
    for (uint32_t i = 0; i < KEPT_MAX; i++)
        ids[i] = accept(table, &hello, NULL, 0)->id;
    assert_int_equal(push_list(table, NULL, statuses, KEPT_MAX + 1), KEPT_MAX);
    for (uint32_t i = 0; i < KEPT_MAX; i++)
        assert_string_equal(statuses[i].id.text, ids[KEPT_MAX - 1 - i].text);
    assert_int_equal(push_list(table, NULL, statuses, 3), 3);
    assert_int_equal(push_list(table, &statuses[2].id, statuses, 3), 3);
    assert_string_equal(statuses[0].id.text, ids[4].text);
    assert_int_equal(push_list(table, &ids[0], statuses, 3), 0);
    struct push_id between = ids[3];
    between.text[PUSH_ID_SIZE - 1] = '~'; /* after ids[3], whatever its last place */
    assert_int_equal(push_list(table, &between, statuses, 1), 1);
}

/* A text and its sets are given back when the push is done, whatever is kept of it. */
static void done_pushes_cost_little(void **state)
{
    struct fixture *fixture = *state;
    static uint8_t octets[900];
    memset(octets, 'x', sizeof octets);
    struct push_request request = {.target = PUSH_ONLINE, .body = bytes_of(octets, sizeof octets)};
    const struct push_job *job = accept(fixture->table, &request, NULL, 0);
    uint64_t before = heap_used_bytes(&fixture->heap);
    finish(fixture->table, job);
    assert_true(heap_used_bytes(&fixture->heap) + 900 <= before);
}

/* The heap refuses at each point: no table, or no push, and nothing is left taken. */
static void refused_memory_accepts_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct heap heap;
    heap_init(&heap, 0);
    struct push_options options = fixture->options;
    options.heap = &heap;
    struct push_table *table = NULL;
    uint32_t refusals = 0;
    while (push_table_create(&table, &options) != ERROR_NONE) {
        refusals++;
        assert_null(table);
        assert_int_equal(heap_used_bytes(&heap), 0);
        heap.used_bytes_max += 16;
    }
    assert_true(refusals > 10);
    uint64_t before = heap_used_bytes(&heap);
    const struct push_job *job;
    const uint32_t accounts[] = {1, 2};
    struct push_request request = {.target = PUSH_ALL, .body = BYTES("b")};
    refusals = 0;
    for (;;) {
        enum error error = push_accept(table, &request, accounts, 2, 1, 1, &job);
        if (error == ERROR_NONE)
            break;
        assert_int_equal(error, ERROR_NO_MEMORY);
        assert_int_equal(heap_used_bytes(&heap), before);
        assert_int_equal(push_running_count(table), 0);
        assert_null(job);
        refusals++;
        heap.used_bytes_max += 16;
    }
    assert_true(refusals > 5);
    push_table_destroy(&table);
    assert_int_equal(heap_used_bytes(&heap), 0);
}

/* ---- any order of reports ---- */

/* What a worker has done and not told of one push. */
struct doing {
    uint64_t pending;   /* matched, neither written nor failed, of all time */
    uint64_t in_flight; /* written, neither acked nor lost, of all time */
    struct push_report untold;
    roaring_bitmap_t *reached;
    bool is_walked, has_told_walked, is_released;
};

struct course {
    const struct push_job *job;
    struct push_id id;
    struct doing workers[WORKERS];
    struct push_counts truth; /* of what was told */
    roaring_bitmap_t *reached;
    uint32_t released;
};

static void match(struct course *course, struct doing *doing, struct random *random)
{
    if (doing->is_walked)
        return;
    uint32_t account = 1 + random_below(random, 300);
    doing->untold.matched++;
    doing->pending++;
    roaring_bitmap_add(doing->reached, account);
    roaring_bitmap_add(course->reached, account);
}

static void act(struct course *course, struct doing *doing, struct random *random)
{
    switch (random_below(random, 6)) {
    case 0:
    case 1:
        match(course, doing, random);
        break;
    case 2:
        if (doing->pending > 0) {
            doing->pending--;
            doing->in_flight++;
            doing->untold.written++;
        }
        break;
    case 3:
        if (doing->pending > 0) {
            doing->pending--;
            doing->untold.failed[1 + random_below(random, PUSH_FAILURE_COUNT - 1)]++;
        }
        break;
    case 4:
        if (doing->in_flight > 0) {
            doing->in_flight--;
            if (random_below(random, 4) != 0)
                doing->untold.acked++;
            else
                doing->untold.lost++;
        }
        break;
    default:
        doing->is_walked |= random_below(random, 40) == 0;
    }
}

static void tell(struct push_table *table, struct course *course, struct doing *doing)
{
    struct push_report report = doing->untold;
    report.job = course->job;
    report.is_walked = doing->is_walked && !doing->has_told_walked;
    report.is_released = doing->is_walked && doing->pending == 0 && doing->in_flight == 0;
    if (report.is_walked) {
        report.reached = doing->reached;
        doing->reached = NULL;
        doing->has_told_walked = true;
    }
    course->truth.matched += report.matched;
    course->truth.written += report.written;
    course->truth.acked += report.acked;
    course->truth.lost += report.lost;
    for (uint32_t i = 0; i < PUSH_FAILURE_COUNT; i++)
        course->truth.failed[i] += report.failed[i];
    doing->is_released = report.is_released;
    course->released += report.is_released;
    doing->untold = (struct push_report){0};
    push_apply(table, &report, 0);
    assert_null(report.reached);
}

static bool have_all_walked(const struct course *course)
{
    for (uint32_t i = 0; i < WORKERS; i++) {
        if (!course->workers[i].has_told_walked)
            return false;
    }
    return true;
}

static void expect_truth(const struct push_table *table, const struct course *course,
                         uint32_t account_count)
{
    struct push_status status = status_of(table, &course->id);
    bool is_walked = have_all_walked(course);
    uint64_t offline = 0;
    for (uint32_t account = 1; account <= account_count && is_walked; account++)
        offline += !roaring_bitmap_contains(course->reached, account);
    assert_int_equal(status.counts.matched, course->truth.matched + offline);
    assert_int_equal(status.counts.written, course->truth.written);
    assert_int_equal(status.counts.acked, course->truth.acked);
    assert_int_equal(status.counts.lost, course->truth.lost);
    assert_int_equal(status.counts.failed[PUSH_FAILED_OFFLINE], offline);
    for (uint32_t i = 1; i < PUSH_FAILURE_COUNT; i++)
        assert_int_equal(status.counts.failed[i], course->truth.failed[i]);
    bool is_done = course->released == WORKERS;
    assert_int_equal(status.state, is_done ? PUSH_DONE : is_walked ? PUSH_DRAINING : PUSH_RUNNING);
    if (is_done)
        assert_int_equal(status.counts.pending + status.counts.in_flight, 0);
}

/* Random deeds of three workers, told in random portions: after each report the figures balance
 * and are exactly what was told; in the end nothing is pending, in flight or unaccounted. */
static void figures_balance_at_every_reading(void **state)
{
    struct fixture *fixture = *state;
    static uint32_t accounts[400];
    for (uint32_t i = 0; i < ARRAY_COUNT(accounts); i++)
        accounts[i] = i + 1;
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct random random;
        random_init_seed(&random, seed);
        uint32_t account_count = random_below(&random, ARRAY_COUNT(accounts));
        struct push_request request = {.target = PUSH_ALL, .body = BYTES("b")};
        struct course course = {.job = accept(fixture->table, &request, accounts, account_count)};
        course.id = course.job->id;
        course.reached = roaring_bitmap_create();
        for (uint32_t i = 0; i < WORKERS; i++)
            course.workers[i].reached = roaring_bitmap_create();
        while (course.released < WORKERS) {
            struct doing *doing = &course.workers[random_below(&random, WORKERS)];
            if (doing->is_released)
                continue;
            act(&course, doing, &random);
            if (random_below(&random, 10) != 0)
                continue;
            tell(fixture->table, &course, doing);
            expect_truth(fixture->table, &course, account_count);
        }
        roaring_bitmap_free(course.reached);
    }
    assert_int_equal(metric_get(&fixture->metrics, METRIC_PUSH_UNACCOUNTED), 0);
    assert_int_equal(metric_get(&fixture->metrics, METRIC_PUSH_ACCEPTED), 200);
    assert_int_equal(metric_get(&fixture->metrics, METRIC_PUSH_RUNNING), 0);
    assert_int_equal(metric_get(&fixture->metrics, METRIC_PUSH_WRITTEN),
                     metric_get(&fixture->metrics, METRIC_PUSH_ACKED) +
                         metric_get(&fixture->metrics, METRIC_PUSH_LOST));
}

/* The names that the API shows. */
static void names_are_for_people(void **state)
{
    (void)state;
    assert_string_equal(push_state_name(PUSH_RUNNING), "running");
    assert_string_equal(push_state_name(PUSH_DRAINING), "draining");
    assert_string_equal(push_state_name(PUSH_DONE), "done");
    assert_string_equal(push_failure_name(PUSH_FAILED_OFFLINE), "offline");
    assert_string_equal(push_failure_name(PUSH_FAILED_NO_MEMORY), "no-memory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(accepted_push_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(unfit_requests_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(states_follow_the_workers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(offline_is_the_rest_of_the_audience, set_up, tear_down),
        cmocka_unit_test_setup_teardown(write_instants_are_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(unaccounted_is_counted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(oldest_done_is_forgotten, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lists_are_paged_backwards, set_up, tear_down),
        cmocka_unit_test_setup_teardown(done_pushes_cost_little, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refused_memory_accepts_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(figures_balance_at_every_reading, set_up, tear_down),
        cmocka_unit_test(names_are_for_people),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
