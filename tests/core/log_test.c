/* SPDX-License-Identifier: Apache-2.0
 *
 * Log lines as an operator sees them: form, escapes, loss, and two threads at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "stentor/bytes.h"
#include "stentor/log.h"

#define SLOTS 256

static struct log *log_new(const char *name, enum log_level level_min)
{
    struct log *log = NULL;
    assert_int_equal(log_create(&log, name, level_min), ERROR_NONE);
    return log;
}

/* Drains into a pipe and returns what arrived, zero-terminated. */
static const char *drained(struct log *log, uint32_t lines, char text[65536])
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(log_drain(&log, 1, ends[1]), lines);
    close(ends[1]);
    size_t size = 0;
    for (ssize_t more = 1; more > 0; size += (size_t)more) {
        more = read(ends[0], text + size, 65535 - size);
        assert_true(more >= 0);
    }
    close(ends[0]);
    text[size] = '\0';
    return text;
}

/* A line is time, level, thread and text. */
static void writes_the_form(void **state)
{
    (void)state;
    static char text[65536];
    struct log *log = log_new("worker0", LOG_LEVEL_DEBUG);
    log_line(log, LOG_LEVEL_WARNING, UINT64_C(1764043323123), "accounts=%d device=%s", 3, "tap");
    log_line(log, LOG_LEVEL_INFO, UINT64_C(951827696789), "leap=day");
    log_line(log, LOG_LEVEL_ERROR, UINT64_C(4102444799999), "eve=2099");
    log_line(log, LOG_LEVEL_DEBUG, 0, "no=clock");
    assert_string_equal(drained(log, 4, text),
                        "2025-11-25T04:02:03.123Z warning worker0 accounts=3 device=tap\n"
                        "2000-02-29T12:34:56.789Z info worker0 leap=day\n"
                        "2099-12-31T23:59:59.999Z error worker0 eve=2099\n"
                        "- debug worker0 no=clock\n");
    assert_string_equal(drained(log, 0, text), "");
    log_destroy(&log);
    assert_null(log);
}

/* Below the least level nothing is written. */
static void keeps_the_level(void **state)
{
    (void)state;
    static char text[65536];
    struct log *log = log_new("a name that is too long", LOG_LEVEL_WARNING);
    log_line(log, LOG_LEVEL_INFO, 0, "x");
    log_line(log, LOG_LEVEL_WARNING, 0, "y");
    assert_string_equal(drained(log, 1, text), "- warning a name that is  y\n");
    log_destroy(&log);
}

/* What a peer got into a text cannot start a line or steer a terminal. */
static void escapes_controls(void **state)
{
    (void)state;
    static char text[65536];
    struct log *log = log_new("w", LOG_LEVEL_DEBUG);
    log_line(log, LOG_LEVEL_INFO, 0, "user=%s",
             "a\nb\r\t\x1b[2J\x7f \xc2\x9b \xff\xe2\x82 gr\xc3\xbc\xc3\x9f");
    assert_string_equal(drained(log, 1, text),
                        "- info w user=a\\nb\\r\\t\\x1b[2J\\x7f \\xc2\\x9b \\xff\\xe2\\x82 "
                        "gr\xc3\xbc\xc3\x9f\n");
    log_destroy(&log);
}

/* A text of any length gives one line within the limit, cut between characters. */
static void cuts_long_lines(void **state)
{
    (void)state;
    static char text[65536];
    static char long_text[2001];
    struct log *log = log_new("w", LOG_LEVEL_DEBUG);
    for (size_t size = 400; size < 2000; size += 7) {
        for (size_t i = 0; i + 1 < size; i += 2)
            memcpy(long_text + i, "\xc3\xbc", 3);
        const char *shift = size % 2 == 0 ? "" : "x";
        bool is_cut = strlen("- info w ") + strlen(shift) + strlen(long_text) > 472;
        log_line(log, LOG_LEVEL_INFO, 0, "%s%s", shift, long_text);
        drained(log, 1, text);
        assert_true(strlen(text) <= LOG_LINE_SIZE_MAX);
        assert_int_equal(text[strlen(text) - 1], '\n');
        assert_null(strstr(text, "\\x"));
        assert_int_equal(strstr(text, "...\n") != NULL, is_cut);
    }
    log_destroy(&log);
}

/* A full ring loses lines, counts them, and says so in the next line that fits. */
static void counts_lost_lines(void **state)
{
    (void)state;
    static char text[65536];
    struct log *log = log_new("w", LOG_LEVEL_DEBUG);
    for (int i = 0; i < SLOTS + 5; i++)
        log_line(log, LOG_LEVEL_INFO, 0, "n=%d", i);
    assert_int_equal(log_lost_count(log), 5);
    drained(log, SLOTS, text);
    assert_null(strstr(text, "lines_lost"));
    assert_non_null(strstr(text, "n=255\n"));
    assert_null(strstr(text, "n=256\n"));
    log_line(log, LOG_LEVEL_INFO, 0, "after=1");
    log_line(log, LOG_LEVEL_INFO, 0, "after=2");
    assert_string_equal(drained(log, 2, text), "- info w after=1 lines_lost=5\n- info w after=2\n");
    log_destroy(&log);
}

/* The loss fits behind a line that was itself cut. */
static void reports_loss_on_a_cut_line(void **state)
{
    (void)state;
    static char text[65536];
    char long_text[1000];
    memset(long_text, 'y', sizeof(long_text));
    long_text[sizeof(long_text) - 1] = '\0';
    struct log *log = log_new("w", LOG_LEVEL_DEBUG);
    for (int i = 0; i < SLOTS + 1; i++)
        log_line(log, LOG_LEVEL_INFO, 0, "z");
    drained(log, SLOTS, text);
    log_line(log, LOG_LEVEL_INFO, UINT64_C(1764043323123), "%s", long_text);
    drained(log, 1, text);
    assert_non_null(strstr(text, "y... lines_lost=1\n"));
    log_destroy(&log);
}

/* A descriptor that is full leaves the rest waiting; not an octet is lost or repeated. */
static void resumes_a_cut_write(void **state)
{
    (void)state;
    struct log *log = log_new("w", LOG_LEVEL_DEBUG);
    int ends[2];
    assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
    assert_true(fcntl(ends[1], F_SETPIPE_SZ, 4096) >= 4096);
    char filler[100];
    memset(filler, 'f', sizeof(filler));
    filler[99] = '\0';
    for (int i = 0; i < SLOTS; i++)
        log_line(log, LOG_LEVEL_INFO, 0, "n=%03d %s", i, filler);
    uint32_t lines = 0;
    size_t size = 0;
    static char text[SLOTS * 200];
    for (int turn = 0; turn < 1000 && lines < SLOTS; turn++) {
        lines += log_drain(&log, 1, ends[1]);
        ssize_t more = read(ends[0], text + size, 333);
        size += more > 0 ? (size_t)more : 0;
    }
    for (ssize_t more = 1; more > 0; size += more > 0 ? (size_t)more : 0)
        more = read(ends[0], text + size, sizeof(text) - size);
    assert_int_equal(lines, SLOTS);
    assert_int_equal(size, SLOTS * strlen("- info w n=000 \n") + SLOTS * strlen(filler));
    for (int i = 0; i < SLOTS; i++) {
        int n = -1;
        assert_int_equal(sscanf(text + (size_t)i * 115, "- info w n=%d f", &n), 1);
        assert_int_equal(n, i);
    }
    close(ends[0]);
    close(ends[1]);
    log_destroy(&log);
}

/* A closed descriptor swallows lines instead of stopping the server. */
static void survives_a_bad_descriptor(void **state)
{
    (void)state;
    static char text[65536];
    struct log *log = log_new("w", LOG_LEVEL_DEBUG);
    log_line(log, LOG_LEVEL_INFO, 0, "gone");
    assert_int_equal(log_drain(&log, 1, -1), 1);
    log_line(log, LOG_LEVEL_INFO, 0, "here");
    assert_string_equal(drained(log, 1, text), "- info w here\n");
    log_destroy(&log);
}

struct writer_thread {
    struct log *log;
    _Atomic bool is_done;
};

static void *write_many(void *argument)
{
    struct writer_thread *thread = argument;
    for (int i = 0; i < 20000; i++)
        log_line(thread->log, LOG_LEVEL_INFO, 0, "n=%d", i);
    atomic_store(&thread->is_done, true);
    return NULL;
}

/* While one thread writes and another drains, each line is whole, in order, and written or
 * counted as lost. */
static void shares_between_threads(void **state)
{
    (void)state;
    struct writer_thread thread = {.log = log_new("w", LOG_LEVEL_DEBUG)};
    char path[] = "/tmp/stentor-log-XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    unlink(path);
    pthread_t id;
    assert_int_equal(pthread_create(&id, NULL, write_many, &thread), 0);
    uint32_t lines = 0;
    while (!atomic_load(&thread.is_done))
        lines += log_drain(&thread.log, 1, file);
    pthread_join(id, NULL);
    lines += log_drain(&thread.log, 1, file);
    assert_int_equal(lines + log_lost_count(thread.log), 20000);

    FILE *stream = fdopen(file, "r");
    rewind(stream);
    int last = -1;
    char line[LOG_LINE_SIZE_MAX + 1];
    for (uint32_t i = 0; i < lines; i++) {
        int n = -1;
        assert_non_null(fgets(line, sizeof(line), stream));
        assert_int_equal(sscanf(line, "- info w n=%d", &n), 1);
        assert_true(n > last);
        last = n;
    }
    assert_null(fgets(line, sizeof(line), stream));
    fclose(stream);
    log_destroy(&thread.log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_the_form),        cmocka_unit_test(keeps_the_level),
        cmocka_unit_test(escapes_controls),       cmocka_unit_test(cuts_long_lines),
        cmocka_unit_test(counts_lost_lines),      cmocka_unit_test(reports_loss_on_a_cut_line),
        cmocka_unit_test(resumes_a_cut_write),    cmocka_unit_test(survives_a_bad_descriptor),
        cmocka_unit_test(shares_between_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
