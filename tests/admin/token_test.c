/* SPDX-License-Identifier: Apache-2.0
 *
 * The bearer token: made once, kept as a hash nobody else may read, compared exactly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "admin_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static struct fixture fixture;

static void token_path(char path[128])
{
    snprintf(path, 128, "%s/admin.token.sha256", fixture.folder);
}

/* The first start makes a token of 43 base64url characters and a file of mode 0600 that does not
 * hold it. */
static void makes_a_token(void **state)
{
    (void)state;
    fixture_open(&fixture);
    assert_int_equal(strlen(fixture.token), ADMIN_TOKEN_SIZE);
    assert_int_equal(strspn(fixture.token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                           "0123456789-_"),
                     ADMIN_TOKEN_SIZE);
    char path[128], text[128];
    token_path(path);
    struct stat seen;
    assert_int_equal(stat(path, &seen), 0);
    assert_int_equal(seen.st_mode & 07777, 0600);
    int file = open(path, O_RDONLY);
    ssize_t size = read(file, text, sizeof text - 1);
    close(file);
    assert_int_equal(size, 65);
    text[size] = '\0';
    assert_null(strstr(text, fixture.token));
    fixture_close(&fixture);
}

/* A second start shows nothing and takes the same token. */
static void keeps_the_token(void **state)
{
    (void)state;
    fixture_open(&fixture);
    char token[ADMIN_TOKEN_SIZE + 1];
    memcpy(token, fixture.token, sizeof token);
    fixture.token[0] = '\0';
    fixture_reopen(&fixture);
    assert_string_equal(fixture.token, "");
    char value[64];
    snprintf(value, sizeof value, "Bearer %s", token);
    assert_true(token_is_good(fixture.admin, value));
    fixture_close(&fixture);
}

/* What a cut-off start left beside the file is replaced, whatever its mode. */
static void replaces_leftovers(void **state)
{
    (void)state;
    fixture_init(&fixture);
    char path[136], beside[160];
    token_path(path);
    snprintf(beside, sizeof beside, "%s.new", path);
    int file = open(beside, O_WRONLY | O_CREAT, 0666);
    assert_true(file >= 0);
    close(file);
    fixture_reopen(&fixture);
    assert_int_equal(strlen(fixture.token), ADMIN_TOKEN_SIZE);
    struct stat seen;
    assert_int_equal(stat(path, &seen), 0);
    assert_int_equal(seen.st_mode & 07777, 0600);
    assert_int_not_equal(access(beside, F_OK), 0);
    fixture_close(&fixture);
}

static enum error open_again(char *text, size_t size)
{
    struct admin_options options = {
        .config = &fixture.config,
        .heap = &fixture.heap,
        .metrics = &fixture.metrics,
        .random = &fixture.random,
        .log = fixture.log,
    };
    char shown[ADMIN_TOKEN_SIZE + 1];
    struct writer message = writer_of(text, size - 1);
    enum error error = admin_open(&fixture.admin, &options, shown, &message);
    text[message.size] = '\0';
    assert_string_equal(shown, "");
    return error;
}

/* A file that holds no hash, a link, and a folder that is not there are said, not replaced. */
static void refuses_bad_files(void **state)
{
    (void)state;
    static const char *const contents[] = {
        "", "abc\n", "zz45678901234567890123456789012345678901234567890123456789012345\n",
        "0123456789012345678901234567890123456789012345678901234567890123x"};
    char path[128], text[512];
    fixture_init(&fixture);
    token_path(path);
    for (size_t i = 0; i < ARRAY_COUNT(contents); i++) {
        int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        assert_int_equal(write(file, contents[i], strlen(contents[i])), strlen(contents[i]));
        close(file);
        assert_int_equal(open_again(text, sizeof text), ERROR_SYSTEM);
        assert_null(fixture.admin);
        assert_non_null(strstr(text, path));
        assert_int_equal(heap_used_bytes(&fixture.heap), 0);
    }
    unlink(path);
    assert_int_equal(symlink("/dev/null", path), 0);
    assert_int_equal(open_again(text, sizeof text), ERROR_SYSTEM);
    unlink(path);
    snprintf(fixture.config.server_data_dir, sizeof fixture.config.server_data_dir,
             "/nonexistent/folder");
    assert_int_equal(open_again(text, sizeof text), ERROR_SYSTEM);
    fixture_close(&fixture);
}

/* A start that fails because the port is taken makes no token: it would never be shown. */
static void makes_none_when_it_cannot_start(void **state)
{
    (void)state;
    fixture_open(&fixture);
    static struct fixture second;
    fixture_init(&second);
    second.config.admin_port = admin_port(fixture.admin);
    struct admin_options options = {
        .config = &second.config,
        .heap = &second.heap,
        .metrics = &second.metrics,
        .random = &second.random,
        .log = second.log,
    };
    char shown[ADMIN_TOKEN_SIZE + 1], text[512];
    struct writer message = writer_of(text, sizeof text - 1);
    assert_int_equal(admin_open(&second.admin, &options, shown, &message), ERROR_SYSTEM);
    text[message.size] = '\0';
    assert_non_null(strstr(text, "Address already in use"));
    assert_string_equal(shown, "");
    char path[160];
    snprintf(path, sizeof path, "%s/admin.token.sha256", second.folder);
    assert_int_not_equal(access(path, F_OK), 0);
    fixture_close(&second);
    fixture_close(&fixture);
}

/* Only the very token after the scheme opens, in any case of the scheme's name. */
static void compares_exactly(void **state)
{
    (void)state;
    fixture_open(&fixture);
    char value[128];
    static const char *const forms[] = {"Bearer %s", "bearer %s", "BEARER   %s"};
    for (size_t i = 0; i < ARRAY_COUNT(forms); i++) {
        snprintf(value, sizeof value, forms[i], fixture.token);
        assert_true(token_is_good(fixture.admin, value));
    }
    static const char *const wrong[] = {"Basic %s",   "Bearer%s", "%s",         "Bearer %sx",
                                        "Bearer x%s", "Bearer ",  "Bearer\t%s", " Bearer %s"};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        snprintf(value, sizeof value, wrong[i], fixture.token);
        assert_false(token_is_good(fixture.admin, value));
    }
    assert_false(token_is_good(fixture.admin, NULL));
    assert_false(token_is_good(fixture.admin, ""));
    snprintf(value, sizeof value, "Bearer %s", fixture.token);
    for (size_t i = sizeof "Bearer " - 1; value[i] != '\0'; i++) {
        value[i] ^= 1;
        assert_false(token_is_good(fixture.admin, value));
        value[i] ^= 1;
    }
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(makes_a_token),
        cmocka_unit_test(keeps_the_token),
        cmocka_unit_test(replaces_leftovers),
        cmocka_unit_test(refuses_bad_files),
        cmocka_unit_test(makes_none_when_it_cannot_start),
        cmocka_unit_test(compares_exactly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
