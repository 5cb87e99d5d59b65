/* SPDX-License-Identifier: Apache-2.0
 *
 * What was acknowledged survives: a child writes and reports each acknowledgement through a pipe,
 * is killed at a random moment, and the folder is held against the reports. Many times over, on
 * one folder, so a later child starts from what an earlier kill left behind. */
#include "store_fixture.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "stentor/clock.h"
#include "stentor/random.h"

#define ROUNDS 40u
#define ROUND_NS_MAX (60 * NS_PER_MS)
#define PENDING_MAX 32u
#define ROUND_ACCOUNTS_MAX 3000u
/* A round's own, and those that were on their way unreported. */
#define ACCOUNTS_MAX (ROUNDS * (ROUND_ACCOUNTS_MAX + 2u * PENDING_MAX))
/* All accounts of all rounds are looked at again every so many rounds. */
#define ROUNDS_A_FULL_CHECK 10u

/* One acknowledged change of account `number` of the test's own numbering. */
struct report {
    uint32_t kind; /* enum store_kind */
    uint32_t number;
};

/* What the reports say of an account. */
enum stand { STAND_UNKNOWN, STAND_THERE, STAND_GONE };

struct ledger {
    enum stand stands[ACCOUNTS_MAX];
    uint8_t keys[ACCOUNTS_MAX]; /* the update last acknowledged */
    uint32_t next;              /* no child has used this number or a higher one */
    uint32_t acknowledged;
};

static void name_of(uint32_t number, char local[32])
{
    snprintf(local, 32, "c%u", number);
}

/* ---- the child ---- */

static void submit(struct fixture *fixture, enum store_kind kind, uint32_t number)
{
    char local[32];
    name_of(number, local);
    struct store_request *request = fixture_request(fixture, kind, local);
    request->token_word = number;
    if (kind == STORE_ACCOUNT_UPDATE) {
        request->update = STORE_UPDATE_SCRAM;
        fixture_keys(&request->account, (uint8_t)(number % 50));
    }
    if (store_submit(fixture->port, &request))
        _exit(3);
}

/* Tells of the answer, and after a create goes on with the same account: of three, one is
 * updated, one deleted, one left. */
static void settle(struct fixture *fixture, struct store_request *answer, int pipe_fd)
{
    struct report report = {answer->kind, (uint32_t)answer->token_word};
    if (answer->error)
        _exit(4);
    if (write(pipe_fd, &report, sizeof report) != sizeof report)
        _exit(5);
    if (answer->kind == STORE_ACCOUNT_CREATE && report.number % 3 == 1)
        submit(fixture, STORE_ACCOUNT_UPDATE, report.number);
    if (answer->kind == STORE_ACCOUNT_CREATE && report.number % 3 == 2)
        submit(fixture, STORE_ACCOUNT_DELETE, report.number);
    store_request_destroy(fixture->store, &answer);
}

static _Noreturn void child_main(struct fixture *fixture, uint32_t number, int pipe_fd)
{
    struct store_port *port;
    int wake_fd = eventfd(0, 0);
    eventfd_t rings;
    uint32_t end = number + ROUND_ACCOUNTS_MAX;
    fixture->options.mode = STORE_THREADED;
    fixture->options.sync = STORE_SYNC_DURABLE;
    if (fixture_open(fixture) ||
        store_port_create(fixture->store, &fixture->metrics, wake_fd, &port))
        _exit(2);
    fixture->port = port;
    for (;;) {
        struct store_request *answer;
        while (number < end && store_port_pending_count(port) < PENDING_MAX)
            submit(fixture, STORE_ACCOUNT_CREATE, number++);
        eventfd_read(wake_fd, &rings);
        while ((answer = store_port_take(port)) != NULL)
            settle(fixture, answer, pipe_fd);
    }
}

/* ---- the parent ---- */

static void ledger_enter(struct ledger *ledger, struct report report)
{
    assert_true(report.number < ACCOUNTS_MAX);
    ledger->stands[report.number] = report.kind == STORE_ACCOUNT_DELETE ? STAND_GONE : STAND_THERE;
    if (report.kind == STORE_ACCOUNT_UPDATE)
        ledger->keys[report.number] = (uint8_t)(report.number % 50);
    if (report.number >= ledger->next)
        ledger->next = report.number + 1;
    ledger->acknowledged++;
}

/* A report is smaller than PIPE_BUF, so none is ever torn. */
static void reports_read(struct ledger *ledger, int pipe_fd)
{
    struct report report;
    while (read(pipe_fd, &report, sizeof report) == sizeof report)
        ledger_enter(ledger, report);
}

/* Takes reports for as long as the child is let live, kills it, and takes the rest. */
static void round_run(struct fixture *fixture, struct ledger *ledger, uint64_t live_ns)
{
    int ends[2];
    int status;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        child_main(fixture, ledger->next, ends[1]);
    }
    close(ends[1]);
    struct pollfd waiting = {ends[0], POLLIN, 0};
    uint64_t end_at_ns = clock_now_ns() + live_ns;
    while (clock_now_ns() < end_at_ns) {
        struct report report;
        if (poll(&waiting, 1, 1) == 1 && read(ends[0], &report, sizeof report) == sizeof report)
            ledger_enter(ledger, report);
    }
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    reports_read(ledger, ends[0]);
    close(ends[0]);
}

/* An unacknowledged change after the last acknowledged one may or may not have happened. */
static void account_check(struct fixture *fixture, struct ledger *ledger, uint32_t number)
{
    char local[32];
    enum stand stand = ledger->stands[number];
    name_of(number, local);
    struct store_request *got = fixture_request(fixture, STORE_ACCOUNT_GET, local);
    enum error error = fixture_call(fixture, &got);
    assert_true(error == ERROR_NONE || error == ERROR_NOT_FOUND);
    if (stand == STAND_THERE && number % 3 != 2)
        assert_int_equal(error, ERROR_NONE);
    if (stand == STAND_GONE)
        assert_int_equal(error, ERROR_NOT_FOUND);
    if (error == ERROR_NONE && ledger->keys[number] != 0)
        assert_int_equal(got->account.scram[DIGEST_SHA1].salt[0], ledger->keys[number]);
    /* From here on it is known: a change that was on its way is not any more. */
    ledger->stands[number] = error ? STAND_GONE : STAND_THERE;
    if (!error && got->account.scram[DIGEST_SHA1].salt[0] != 'c')
        ledger->keys[number] = got->account.scram[DIGEST_SHA1].salt[0];
    store_request_destroy(fixture->store, &got);
}

/* Both tables tell of the same accounts, and a new number is above all. */
static void tables_check(struct fixture *fixture)
{
    struct store_request *all = fixture_request(fixture, STORE_ACCOUNT_NUMBERS, NULL);
    assert_int_equal(fixture_call(fixture, &all), ERROR_NONE);
    assert_int_equal(all->count, fixture_count(fixture));
    for (uint32_t i = 1; i < all->count; i++)
        assert_true(all->numbers[i - 1] < all->numbers[i]);
    struct store_request *made = fixture_request(fixture, STORE_ACCOUNT_CREATE, "last");
    assert_int_equal(fixture_call(fixture, &made), ERROR_NONE);
    if (all->count > 0)
        assert_true(made->account.number > all->numbers[all->count - 1]);
    store_request_destroy(fixture->store, &made);
    store_request_destroy(fixture->store, &all);
    assert_int_equal(fixture_do(fixture, STORE_ACCOUNT_DELETE, "last"), ERROR_NONE);
}

static void round_check(struct fixture *fixture, struct ledger *ledger, uint32_t first)
{
    uint32_t reach = ledger->next + PENDING_MAX * 2;
    assert_true(reach <= ACCOUNTS_MAX);
    fixture->options.mode = STORE_INLINE;
    fixture->options.sync = STORE_SYNC_RELAXED;
    assert_int_equal(fixture_open(fixture), ERROR_NONE);
    for (uint32_t number = first; number < reach; number++)
        account_check(fixture, ledger, number);
    tables_check(fixture);
    fixture_close(fixture);
    ledger->next = reach;
}

static void test_kill_loses_nothing_acknowledged(void **state)
{
    /* After each of many kills everything acknowledged stands as it was acknowledged. */
    static struct ledger ledger;
    struct fixture *fixture = *state;
    struct random random;
    random_init_system(&random);
    uint64_t seed = random_u64(&random);
    print_message("seed %llu\n", (unsigned long long)seed);
    random_init_seed(&random, seed);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        bool is_full = i % ROUNDS_A_FULL_CHECK == ROUNDS_A_FULL_CHECK - 1;
        uint32_t first = is_full ? 0 : ledger.next;
        round_run(fixture, &ledger, random_u64(&random) % ROUND_NS_MAX);
        round_check(fixture, &ledger, first);
    }
    print_message("%u acknowledged changes over %u kills\n", ledger.acknowledged, ROUNDS);
    assert_true(ledger.acknowledged > ROUNDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_kill_loses_nothing_acknowledged, fixture_make,
                                        fixture_drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
