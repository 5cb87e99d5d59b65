/* SPDX-License-Identifier: Apache-2.0
 *
 * The LMDB environment: formats, damage, and a map or disk with no room. */
#include "store_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "stentor/byteorder.h"

#include "store_lmdb.h"

/* More accounts than the smallest map holds. */
#define FLOOD_COUNT 8000u

static void name_of(uint32_t number, char local[32])
{
    snprintf(local, 32, "user-%07u", number);
}

static enum error create_numbered(struct fixture *fixture, uint32_t number)
{
    char local[32];
    name_of(number, local);
    return fixture_do(fixture, STORE_ACCOUNT_CREATE, local);
}

/* The stored octets of data.mdb, to see whether anything touched them. */
static uint64_t file_sum(const struct fixture *fixture, uint64_t *size)
{
    char path[128];
    uint8_t buffer[4096];
    uint64_t sum = 14695981039346656037u;
    ssize_t taken;
    fixture_path(fixture, "data.mdb", path);
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    *size = 0;
    while ((taken = read(fd, buffer, sizeof buffer)) > 0) {
        for (ssize_t i = 0; i < taken; i++)
            sum = (sum ^ buffer[i]) * 1099511628211u;
        *size += (uint64_t)taken;
    }
    close(fd);
    return sum;
}

/* Opens, expects the refusal, and that data.mdb is octet for octet what it was. */
static void refused_untouched(struct fixture *fixture, enum error expected, const char *words)
{
    uint64_t size_before, size_after;
    uint64_t sum = file_sum(fixture, &size_before);
    assert_int_equal(fixture_open(fixture), expected);
    assert_non_null(strstr(fixture->text, words));
    assert_true(file_sum(fixture, &size_after) == sum);
    assert_int_equal(size_before, size_after);
    assert_int_equal(heap_used_bytes(&fixture->heap), 0);
}

/* Writes `value` under a key of a table directly, past the store. */
static void table_poke(struct fixture *fixture, const char *table, struct bytes key,
                       struct bytes value)
{
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    MDB_val key_val = val_of(key), value_val = val_of(value);
    assert_int_equal(mdb_env_create(&env), 0);
    mdb_env_set_maxdbs(env, 16);
    mdb_env_set_mapsize(env, FIXTURE_MAP_BYTES);
    assert_int_equal(mdb_env_open(env, fixture->dir, 0, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, table, MDB_CREATE, &dbi), 0);
    if (value.size == 0)
        assert_int_equal(mdb_del(txn, dbi, &key_val, NULL), 0);
    else
        assert_int_equal(mdb_put(txn, dbi, &key_val, &value_val, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

static void some_accounts(struct fixture *fixture, uint32_t count)
{
    assert_int_equal(fixture_open(fixture), ERROR_NONE);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(create_numbered(fixture, i), ERROR_NONE);
    fixture_close(fixture);
}

static void test_newer_format(void **state)
{
    /* A folder of a newer format is refused by number and left as it is. */
    struct fixture *fixture = *state;
    struct be32 format = be32_of(STORE_FORMAT + 1);
    some_accounts(fixture, 3);
    table_poke(fixture, "meta", STORE_KEY_FORMAT, bytes_of(&format, sizeof format));
    refused_untouched(fixture, ERROR_STORE_NEWER, "format 2");
    format = be32_of(STORE_FORMAT);
    table_poke(fixture, "meta", STORE_KEY_FORMAT, bytes_of(&format, sizeof format));
    assert_int_equal(fixture_open(fixture), ERROR_NONE);
    assert_int_equal(fixture_count(fixture), 3);
}

static void test_unreadable_format(void **state)
{
    /* A format record that is missing, cut, too long or zero is damage. */
    struct fixture *fixture = *state;
    const struct bytes values[] = {BYTES("\0\0\1"), BYTES("\0\0\0\1\0"), BYTES("\0\0\0\0"),
                                   BYTES("")};
    some_accounts(fixture, 3);
    for (size_t i = 0; i < ARRAY_COUNT(values); i++) {
        table_poke(fixture, "meta", STORE_KEY_FORMAT, values[i]);
        refused_untouched(fixture, ERROR_STORE_DAMAGED, "format record");
    }
}

static void test_foreign_lmdb(void **state)
{
    /* An LMDB file of somebody else is not taken over. */
    struct fixture *fixture = *state;
    assert_int_equal(mkdir(fixture->dir, 0700), 0);
    table_poke(fixture, "theirs", BYTES("key"), BYTES("value"));
    refused_untouched(fixture, ERROR_STORE_DAMAGED, "format record");
}

static void test_not_lmdb_at_all(void **state)
{
    /* A data.mdb of other octets is damage. */
    struct fixture *fixture = *state;
    char path[128];
    some_accounts(fixture, 1);
    fixture_path(fixture, "data.mdb", path);
    int fd = open(path, O_WRONLY | O_TRUNC);
    assert_true(fd >= 0);
    for (uint32_t i = 0; i < 20000; i++)
        assert_int_equal(write(fd, "not a database", 14), 14);
    close(fd);
    refused_untouched(fixture, ERROR_STORE_DAMAGED, "data.mdb cannot be opened");
}

static void test_file_cut_at_any_page(void **state)
{
    /* A file cut anywhere within its used pages is damage, told at open, never a fault later. */
    struct fixture *fixture = *state;
    char path[128];
    some_accounts(fixture, 200);
    fixture_path(fixture, "data.mdb", path);
    struct store_lmdb lmdb;
    struct store_options options = fixture->options;
    struct writer message = writer_of(fixture->text, sizeof fixture->text);
    MDB_envinfo stand;
    options.reader_count = 1;
    assert_int_equal(store_lmdb_open(&lmdb, &options, &message), ERROR_NONE);
    mdb_env_info(lmdb.env, &stand);
    off_t used = (off_t)((stand.me_last_pgno + 1) * lmdb.page_bytes);
    off_t page = (off_t)lmdb.page_bytes;
    store_lmdb_close(&lmdb);
    assert_true(used > 20 * page);
    for (off_t size = used - 1; size > 0; size -= page) {
        assert_int_equal(truncate(path, size), 0);
        refused_untouched(fixture, ERROR_STORE_DAMAGED, "data.mdb");
    }
}

static void test_damaged_record(void **state)
{
    /* One unreadable account is DAMAGED to those who ask for it and to nobody else. */
    struct fixture *fixture = *state;
    some_accounts(fixture, 3);
    table_poke(fixture, "accounts", BYTES("user-0000001"), BYTES("\1garbage"));
    assert_int_equal(fixture_open(fixture), ERROR_NONE);
    assert_int_equal(fixture_do(fixture, STORE_ACCOUNT_GET, "user-0000001"), ERROR_STORE_DAMAGED);
    assert_int_equal(fixture_do(fixture, STORE_ACCOUNT_DELETE, "user-0000001"),
                     ERROR_STORE_DAMAGED);
    assert_int_equal(fixture_do(fixture, STORE_ACCOUNT_GET, "user-0000002"), ERROR_NONE);
    assert_int_equal(fixture_do(fixture, STORE_ACCOUNT_DELETE, "user-0000000"), ERROR_NONE);
    struct store_request *page = fixture_request(fixture, STORE_ACCOUNT_LIST, NULL);
    page->limit = 10;
    assert_int_equal(fixture_call(fixture, &page), ERROR_STORE_DAMAGED);
    store_request_destroy(fixture->store, &page);
}

static void test_record_under_a_wrong_name(void **state)
{
    /* A record that names another account than its key is damage, not that account. */
    struct fixture *fixture = *state;
    struct account account = {.number = 9};
    uint8_t record[ACCOUNT_RECORD_SIZE_MAX];
    struct writer writer = writer_of(record, sizeof record);
    assert_true(account_set_local(&account, BYTES("mallory")));
    account_write(&account, &writer);
    some_accounts(fixture, 1);
    table_poke(fixture, "accounts", BYTES("juliet"), writer_bytes(&writer));
    assert_int_equal(fixture_open(fixture), ERROR_NONE);
    assert_int_equal(fixture_do(fixture, STORE_ACCOUNT_GET, "juliet"), ERROR_STORE_DAMAGED);
}

/* Creates until the store is full; every account before that must be there, also after opening
 * again. Returns how many. */
static uint32_t fill_and_check(struct fixture *fixture)
{
    uint32_t created = 0;
    char local[32];
    enum error error;
    while (!(error = create_numbered(fixture, created)))
        created++;
    assert_int_equal(error, ERROR_STORE_FULL);
    assert_int_equal(create_numbered(fixture, created + 1), ERROR_STORE_FULL);
    for (uint32_t pass = 0; pass < 2; pass++) {
        assert_int_equal(fixture_count(fixture), created);
        for (uint32_t i = 0; i < created; i++) {
            name_of(i, local);
            assert_int_equal(fixture_do(fixture, STORE_ACCOUNT_GET, local), ERROR_NONE);
        }
        fixture_close(fixture);
        assert_int_equal(fixture_open(fixture), ERROR_NONE);
    }
    return created;
}

static void test_full_map(void **state)
{
    /* A full map answers FULL, damages nothing, and a larger map goes on. */
    struct fixture *fixture = *state;
    fixture->options.map_bytes = STORE_MAP_MIN;
    assert_int_equal(fixture_open(fixture), ERROR_NONE);
    uint32_t created = fill_and_check(fixture);
    assert_true(created > 500);
    fixture_close(fixture);
    fixture->options.map_bytes = 4 * STORE_MAP_MIN;
    assert_int_equal(fixture_open(fixture), ERROR_NONE);
    assert_int_equal(create_numbered(fixture, created), ERROR_NONE);
    assert_int_equal(fixture_count(fixture), created + 1);
}

static void test_full_map_spoils_no_neighbour(void **state)
{
    /* In a commit that does not fit, each request is answered for itself: a prefix of the
     * creates fits, and what was answered well is there. */
    struct fixture *fixture = *state;
    uint32_t made = 0, refused = 0;
    char local[32];
    fixture->options.map_bytes = STORE_MAP_MIN;
    fixture->options.queue_capacity = 16384;
    assert_int_equal(fixture_open(fixture), ERROR_NONE);
    for (uint32_t i = 0; i < FLOOD_COUNT; i++) {
        name_of(i, local);
        struct store_request *request = fixture_request(fixture, STORE_ACCOUNT_CREATE, local);
        request->token_word = i;
        assert_int_equal(store_submit(fixture->port, &request), ERROR_NONE);
    }
    store_turn(fixture->store);
    struct store_request *answer;
    while ((answer = store_port_take(fixture->port)) != NULL) {
        assert_true(answer->error == ERROR_NONE || answer->error == ERROR_STORE_FULL);
        made += answer->error == ERROR_NONE;
        refused += answer->error == ERROR_STORE_FULL;
        store_request_destroy(fixture->store, &answer);
    }
    assert_int_equal(made + refused, FLOOD_COUNT);
    assert_true(made > 500);
    assert_true(refused > 500);
    assert_int_equal(fixture_count(fixture), made);
}

static void test_delete_makes_room(void **state)
{
    /* After deleting, a full store takes accounts again. */
    struct fixture *fixture = *state;
    char local[32];
    uint32_t deleted = 0;
    fixture->options.map_bytes = STORE_MAP_MIN;
    assert_int_equal(fixture_open(fixture), ERROR_NONE);
    uint32_t created = fill_and_check(fixture);
    for (uint32_t i = 0; i < created / 2; i++) {
        name_of(i, local);
        deleted += fixture_do(fixture, STORE_ACCOUNT_DELETE, local) == ERROR_NONE;
    }
    assert_true(deleted > 0);
    assert_int_equal(create_numbered(fixture, created), ERROR_NONE);
    assert_int_equal(fixture_count(fixture), created - deleted + 1);
}

/* In a child, because a mount namespace of its own is for good: exit 0 well, 77 not allowed. */
static int on_small_disk(struct fixture *fixture)
{
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        return 77;
    if (mkdir(fixture->dir, 0700) != 0 || mount("none", fixture->dir, "tmpfs", 0, "size=600k") != 0)
        return 77;
    assert_int_equal(fixture_open(fixture), ERROR_NONE);
    assert_true(fill_and_check(fixture) > 100);
    fixture_close(fixture);
    return 0;
}

static void test_full_disk(void **state)
{
    /* A full disk (a small tmpfs) is answered FULL; every acknowledged account stays. */
    struct fixture *fixture = *state;
    int status;
    pid_t child = fork();
    if (child == 0)
        _exit(on_small_disk(fixture));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

static int without_any_room(struct fixture *fixture)
{
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        return 77;
    if (mkdir(fixture->dir, 0700) != 0 || mount("none", fixture->dir, "tmpfs", 0, "size=8k") != 0)
        return 77;
    if (fixture_open(fixture) != ERROR_STORE_FULL)
        return 1;
    return strstr(fixture->text, "room") != NULL ? 0 : 2;
}

static void test_no_room_to_open(void **state)
{
    /* A disk with no room for the store's own files is told at open. */
    struct fixture *fixture = *state;
    int status;
    pid_t child = fork();
    if (child == 0)
        _exit(without_any_room(fixture));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_codes(void **state)
{
    /* LMDB's codes and the system's have one meaning each; what is no fault is not counted so. */
    struct store_lmdb lmdb = {.folder.lock_fd = -1};
    (void)state;
    assert_int_equal(store_lmdb_error(&lmdb, 0), ERROR_NONE);
    assert_int_equal(store_lmdb_error(&lmdb, MDB_NOTFOUND), ERROR_NOT_FOUND);
    assert_int_equal(store_lmdb_error(&lmdb, MDB_MAP_FULL), ERROR_STORE_FULL);
    assert_int_equal(store_lmdb_error(&lmdb, ENOSPC), ERROR_STORE_FULL);
    assert_int_equal(store_lmdb_error(&lmdb, EIO), ERROR_SYSTEM);
    assert_int_equal(store_lmdb_error(&lmdb, MDB_CORRUPTED), ERROR_STORE_DAMAGED);
    assert_int_equal(store_lmdb_error(&lmdb, MDB_PANIC), ERROR_SYSTEM);
    assert_int_equal(store_lmdb_error(&lmdb, ENOMEM), ERROR_NO_MEMORY);
    assert_false(store_lmdb_is_fault(ERROR_NONE));
    assert_false(store_lmdb_is_fault(ERROR_EXISTS));
    assert_true(store_lmdb_is_fault(ERROR_STORE_FULL));
    assert_true(store_lmdb_is_fault(ERROR_SYSTEM));
}

#define LMDB_TEST(function) cmocka_unit_test_setup_teardown(function, fixture_make, fixture_drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LMDB_TEST(test_newer_format),
        LMDB_TEST(test_unreadable_format),
        LMDB_TEST(test_foreign_lmdb),
        LMDB_TEST(test_not_lmdb_at_all),
        LMDB_TEST(test_file_cut_at_any_page),
        LMDB_TEST(test_damaged_record),
        LMDB_TEST(test_record_under_a_wrong_name),
        LMDB_TEST(test_full_map),
        LMDB_TEST(test_full_map_spoils_no_neighbour),
        LMDB_TEST(test_delete_makes_room),
        LMDB_TEST(test_full_disk),
        LMDB_TEST(test_no_room_to_open),
        cmocka_unit_test(test_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
