/* SPDX-License-Identifier: Apache-2.0
 *
 * The folder: made private, held by one process, and every refusal told in words. */
#include "store_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store_folder.h"

/* An account without privileges, for what root is never refused. */
#define NOBODY 65534

static void test_folder_is_private(void **state)
{
    /* A new folder is 0700 and its files 0600, whatever the umask lets through. */
    struct fixture *fixture = *state;
    struct stat found;
    char path[128];
    mode_t before = umask(0);
    assert_int_equal(fixture_open(fixture), ERROR_NONE);
    umask(before);
    assert_int_equal(stat(fixture->dir, &found), 0);
    assert_int_equal(found.st_mode & 07777, 0700);
    const char *names[] = {"data.mdb", "lock.mdb", "lock"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        fixture_path(fixture, names[i], path);
        assert_int_equal(stat(path, &found), 0);
        assert_int_equal(found.st_mode & 07777, 0600);
    }
}

static void test_second_open_is_locked(void **state)
{
    /* While one has it open another is refused, named the holder, and the first goes on. */
    struct fixture *fixture = *state;
    char pid[16], text[256];
    struct store *second;
    struct writer message = writer_of(text, sizeof text - 1);
    assert_int_equal(fixture_open(fixture), ERROR_NONE);
    assert_int_equal(store_open(&second, &fixture->options, &message), ERROR_STORE_LOCKED);
    assert_null(second);
    text[message.size] = '\0';
    snprintf(pid, sizeof pid, "(%d)", (int)getpid());
    assert_non_null(strstr(text, fixture->dir));
    assert_non_null(strstr(text, pid));
    assert_int_equal(fixture_do(fixture, STORE_ACCOUNT_CREATE, "juliet"), ERROR_NONE);
    fixture_close(fixture);
    assert_int_equal(fixture_open(fixture), ERROR_NONE);
    assert_int_equal(fixture_count(fixture), 1);
}

static void test_lock_of_a_killed_process(void **state)
{
    /* Another process is locked out; when the holder is killed the folder is free at once. */
    struct fixture *fixture = *state;
    int ready[2];
    char octet;
    assert_int_equal(pipe(ready), 0);
    pid_t holder = fork();
    if (holder == 0) {
        bool is_open = fixture_open(fixture) == ERROR_NONE;
        if (write(ready[1], is_open ? "y" : "n", 1) == 1)
            pause();
        _exit(1);
    }
    assert_int_equal(read(ready[0], &octet, 1), 1);
    assert_int_equal(octet, 'y');
    enum error error = fixture_open(fixture);
    kill(holder, SIGKILL);
    assert_int_equal(waitpid(holder, NULL, 0), holder);
    assert_int_equal(error, ERROR_STORE_LOCKED);
    assert_int_equal(fixture_open(fixture), ERROR_NONE);
    close(ready[0]);
    close(ready[1]);
}

static void test_missing_parent(void **state)
{
    /* Only the last folder of the path is made; a missing parent is a person's mistake. */
    struct fixture *fixture = *state;
    fixture->options.dir = "/tmp/stentor-no-such-parent/data";
    assert_int_equal(fixture_open(fixture), ERROR_SYSTEM);
    assert_non_null(strstr(fixture->text, "/tmp/stentor-no-such-parent/data"));
    assert_non_null(strstr(fixture->text, strerrordesc_np(ENOENT)));
}

static void test_not_a_folder(void **state)
{
    /* A file where the folder should be is refused and not touched. */
    struct fixture *fixture = *state;
    int fd = open(fixture->dir, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(fixture_open(fixture), ERROR_SYSTEM);
    assert_non_null(strstr(fixture->text, "not a folder"));
    assert_int_equal(unlink(fixture->dir), 0);
}

static void test_path_too_long(void **state)
{
    /* A path beyond what the system takes is refused in words. */
    static char path[5000];
    struct fixture *fixture = *state;
    memset(path, 'x', sizeof path - 1);
    path[0] = '/';
    fixture->options.dir = path;
    assert_int_equal(fixture_open(fixture), ERROR_SYSTEM);
    assert_non_null(strstr(fixture->text, strerrordesc_np(ENAMETOOLONG)));
}

static void test_permission(void **state)
{
    /* A folder of another user is refused with the system's reason. Run as root it becomes nobody
     * in a child; as another user a folder without write permission does. */
    struct fixture *fixture = *state;
    int status;
    assert_int_equal(mkdir(fixture->dir, 0500), 0);
    pid_t child = fork();
    if (child == 0) {
        if (getuid() == 0 && setuid(NOBODY) != 0)
            _exit(2);
        enum error error = fixture_open(fixture);
        bool is_told = strstr(fixture->text, strerrordesc_np(EACCES)) != NULL;
        _exit(error == ERROR_SYSTEM && is_told ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_message_forms(void **state)
{
    /* A message names the folder, what happened, and the system's reason when there is one. */
    char text[128];
    struct writer message = writer_of(text, sizeof text);
    (void)state;
    store_folder_message(&message, "/d", "it broke", 0);
    assert_true(bytes_equal(writer_bytes(&message), BYTES("/d: it broke")));
    message = writer_of(text, sizeof text);
    store_folder_message(&message, "/d", "it broke", ENOSPC);
    assert_true(
        bytes_equal(writer_bytes(&message), BYTES("/d: it broke: No space left on device")));
}

#define FOLDER_TEST(function) cmocka_unit_test_setup_teardown(function, fixture_make, fixture_drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(test_folder_is_private),
        FOLDER_TEST(test_second_open_is_locked),
        FOLDER_TEST(test_lock_of_a_killed_process),
        FOLDER_TEST(test_missing_parent),
        FOLDER_TEST(test_not_a_folder),
        FOLDER_TEST(test_path_too_long),
        FOLDER_TEST(test_permission),
        cmocka_unit_test(test_message_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
