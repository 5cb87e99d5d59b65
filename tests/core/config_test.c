/* SPDX-License-Identifier: Apache-2.0
 *
 * The configuration file: what is taken, what each fault says, and that the printers agree with
 * the reader and with docs/LIMITS.md. With --document it prints the table of docs/LIMITS.md. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include <stdlib.h>
#include <unistd.h>

#include "stentor/clock.h"
#include "stentor/config.h"

static struct config config;
static char faults[65536];

static enum error read_bytes(struct bytes text)
{
    struct writer message = writer_of(faults, sizeof(faults) - 1);
    enum error error = config_read_text(&config, "t.yaml", text, &message);
    faults[message.size] = '\0';
    return error;
}

static enum error read_string(const char *text)
{
    return read_bytes(bytes_of_string(text));
}

static void expect_faults(const char *text, const char *expected)
{
    assert_int_equal(read_string(text), ERROR_INVALID);
    assert_string_equal(faults, expected);
}

static struct bytes printed(char *text, size_t size)
{
    struct writer into = writer_of(text, size);
    config_print(&config, &into);
    assert_false(into.is_overflown);
    return writer_bytes(&into);
}

/* Files that say nothing give the defaults. */
static void takes_empty_files(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "\n",
                                        "# nothing\n",
                                        "---\n",
                                        "---\n...\n",
                                        "{}\n",
                                        "tcp:\n",
                                        "tcp: {}\nxmpp:\n",
                                        "\xef\xbb\xbf# mark\n"};
    static struct config defaults;
    config_defaults(&defaults);
    assert_string_equal(defaults.xmpp_domain, "stentor.local");
    assert_int_equal(defaults.xmpp_port, 5222);
    assert_true(defaults.xmpp_plain_text);
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        memset(&config, 0xaa, sizeof(config));
        if (read_string(texts[i]) != ERROR_NONE)
            fail_msg("file %zu: %s", i, faults);
        assert_memory_equal(&config, &defaults, sizeof(config));
        assert_string_equal(faults, "");
    }
}

/* A file sets what it names and leaves the rest. */
static void takes_values(void **state)
{
    (void)state;
    assert_int_equal(read_string("xmpp:\n"
                                 "  domain: push.example # ours\n"
                                 "  port: 5223\n"
                                 "  plain_text: false\n"
                                 "tcp: {receive_window: 64K, time_wait: 90s}\n"
                                 "nic:\n"
                                 "  eal: [--no-pci, '--file-prefix=x']\n"
                                 "server:\n"
                                 "  cores:\n"
                                 "    - 2\n"
                                 "    - 3\n"
                                 "  user: \"\"\n"),
                     ERROR_NONE);
    assert_string_equal(config.xmpp_domain, "push.example");
    assert_int_equal(config.xmpp_port, 5223);
    assert_false(config.xmpp_plain_text);
    assert_int_equal(config.tcp_receive_window, 65536);
    assert_int_equal(config.tcp_time_wait, 90 * NS_PER_SECOND);
    assert_int_equal(config.nic_eal.count, 2);
    assert_string_equal(config.nic_eal.items[1], "--file-prefix=x");
    assert_string_equal(config.server_cores.items[0], "2");
    assert_int_equal(config.net_mtu, 1500);
}

/* A value out of type or range: file, line, option, what was found, what was expected. */
static void tells_wrong_values(void **state)
{
    (void)state;
    expect_faults("tcp:\n  # a comment\n  receive_window: 1K\n",
                  "t.yaml:3: tcp.receive_window: found \"1K\", expected a size of 2K to 1M octets "
                  "(K, M or G may follow)\n");
    expect_faults("xmpp: {plain_text: yes}\n",
                  "t.yaml:1: xmpp.plain_text: found \"yes\", expected true or false\n");
    expect_faults("xmpp:\n  port:\n",
                  "t.yaml:2: xmpp.port: found \"\", expected a number of 1 to 65535 port\n");
    expect_faults("xmpp:\n  port: [1]\n",
                  "t.yaml:2: xmpp.port: found a list, expected a number of 1 to 65535 port\n");
    expect_faults("xmpp:\n  port:\n    a: 1\n",
                  "t.yaml:3: xmpp.port: found a mapping, expected a number of 1 to 65535 port\n");
    expect_faults("nic:\n  eal: --no-pci\n",
                  "t.yaml:2: nic.eal: found \"--no-pci\", expected a list of texts (at most 255 "
                  "octets, no line breaks or other controls)\n");
    expect_faults("log:\n  level: \"\x1b[2J a very long level that nobody would ever want\"\n",
                  "t.yaml:2: not YAML: control characters are not allowed\n");
}

/* Every fault of a file is told, not only the first. */
static void tells_every_fault(void **state)
{
    (void)state;
    expect_faults("tcp:\n"
                  "  hotmax: 5\n"
                  "  domain: x\n"
                  "  colour: red\n"
                  "  time_wait: 7\n"
                  "  mtu:\n"
                  "    deep: [1, {2: 3}]\n"
                  "weather: {rain: 1}\n"
                  "xmp:\n"
                  "  domain: x\n"
                  "log:\n"
                  "  level: loud\n",
                  "t.yaml:2: tcp.\"hotmax\": unknown option, perhaps tcp.hot_max\n"
                  "t.yaml:3: tcp.\"domain\": unknown option, perhaps xmpp.domain\n"
                  "t.yaml:4: tcp.\"colour\": unknown option\n"
                  "t.yaml:5: tcp.time_wait: found \"7\", expected a duration of 1s to 4m (with ns, "
                  "us, ms, s, m, h or d)\n"
                  "t.yaml:6: tcp.\"mtu\": unknown option, perhaps net.mtu\n"
                  "t.yaml:8: \"weather\": unknown section\n"
                  "t.yaml:9: \"xmp\": unknown section, perhaps xmpp\n"
                  "t.yaml:12: log.level: found \"loud\", expected one of debug, info, warning, "
                  "error\n");
}

/* A name given twice would silently win or lose. */
static void tells_duplicates(void **state)
{
    (void)state;
    expect_faults("net:\n  mtu: 1500\n  prefix: 8\n  mtu: 1400\n",
                  "t.yaml:4: net.mtu: duplicate option, first given on line 2\n");
    expect_faults("net: {mtu: 1500}\nlog:\nnet: {mtu: 1400}\n",
                  "t.yaml:3: net: duplicate section, first given on line 1\n"
                  "t.yaml:3: net.mtu: duplicate option, first given on line 1\n");
}

/* What is not sections of options is refused by shape. */
static void tells_wrong_shapes(void **state)
{
    (void)state;
    expect_faults("hello\n", "t.yaml:1: expected sections, each a name and a colon\n");
    expect_faults("- net\n", "t.yaml:1: expected sections, each a name and a colon\n");
    expect_faults("net: 5\n", "t.yaml:1: net: expected option: value lines below the section\n");
    expect_faults("net:\n- mtu\n",
                  "t.yaml:2: net: expected option: value lines below the section\n");
    expect_faults("? [net]\n: {mtu: 1500}\n",
                  "t.yaml:1: found a list or mapping, expected a section\n");
    expect_faults("net:\n  ? {a: b}\n  : 1\n",
                  "t.yaml:2: found a list or mapping, expected an option name\n");
    expect_faults("net: {mtu: 1500}\n---\nnet: {mtu: 1400}\n",
                  "t.yaml:2: a second document; one is taken\n");
    expect_faults("nic:\n  eal: [[a]]\n",
                  "t.yaml:2: nic.eal: found a nested list or mapping, expected a list of texts (at "
                  "most 255 octets, no line breaks or other controls)\n");
    expect_faults(
        "nic:\n  eal: [1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7,8]\n",
        "t.yaml:2: nic.eal: found more than 16 entries, expected a list of texts (at most "
        "255 octets, no line breaks or other controls)\n");
}

/* Aliases, anchors and tags are refused wherever they stand. */
static void refuses_yaml_machinery(void **state)
{
    (void)state;
    static const char told[] = "YAML aliases, anchors and tags are not taken\n";
    static const char *const texts[] = {"net: &a {mtu: 1500}\n",    "net: {mtu: &a 1500}\n",
                                        "net: {mtu: !!int 1500}\n", "net: !x {mtu: 1500}\n",
                                        "nic: {eal: &a [x]}\n",     "&a net: {mtu: 1500}\n"};
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        assert_int_equal(read_string(texts[i]), ERROR_INVALID);
        assert_string_equal(strchr(faults, ' ') + 1, told);
    }
    assert_int_equal(read_string("net: {mtu: *a}\n"), ERROR_INVALID);
    assert_non_null(strstr(faults, told));
    assert_int_equal(read_string("*a : {mtu: 1500}\n"), ERROR_INVALID);
    assert_non_null(strstr(faults, told));
}

/* Broken YAML is told with its line; what came before is told too. */
static void tells_broken_yaml(void **state)
{
    (void)state;
    expect_faults("net:\n  mtu: 1\n  prefix: [1\n",
                  "t.yaml:2: net.mtu: found \"1\", expected a number of 576 to 9000 octets\n"
                  "t.yaml:3: net.prefix: found a list, expected a number of 1 to 32 bits\n"
                  "t.yaml:4: not YAML: did not find expected ',' or ']'\n");
    assert_int_equal(read_string("net:\n\tmtu: 1500\n"), ERROR_INVALID);
    assert_non_null(strstr(faults, "t.yaml:2: not YAML: "));
    assert_int_equal(read_string("net: \xff\n"), ERROR_INVALID);
    assert_non_null(strstr(faults, "not YAML: "));
    assert_int_equal(read_bytes(BYTES("net:\0 x")), ERROR_INVALID);
}

/* Depth and size are bounded. */
static void bounds_depth_and_size(void **state)
{
    (void)state;
    static char text[CONFIG_FILE_SIZE_MAX + 1];
    memset(text, '[', sizeof(text));
    assert_int_equal(read_bytes(bytes_of(text, CONFIG_FILE_SIZE_MAX)), ERROR_INVALID);
    memcpy(text, "weather: ", 9);
    assert_int_equal(read_bytes(bytes_of(text, 200)), ERROR_INVALID);
    assert_non_null(strstr(faults, "nested too deep; nothing below was read"));
    memset(text, '#', sizeof(text));
    assert_int_equal(read_bytes(bytes_of(text, CONFIG_FILE_SIZE_MAX)), ERROR_NONE);
    assert_int_equal(read_bytes(bytes_of(text, CONFIG_FILE_SIZE_MAX + 1)), ERROR_INVALID);
    assert_string_equal(faults, "t.yaml:1: larger than 64K octets\n");
}

/* A message buffer of any size holds whole lines or is marked as overflown. */
static void fills_any_message_buffer(void **state)
{
    (void)state;
    struct bytes text = BYTES("a: 1\nb: 2\nnet: {mtu: 1}\n");
    char buffer[201];
    for (size_t size = 0; size < 200; size++) {
        buffer[size] = 'x';
        struct writer message = writer_of(buffer, size);
        assert_int_equal(config_read_text(&config, "t.yaml", text, &message), ERROR_INVALID);
        assert_int_equal(buffer[size], 'x');
        assert_true(message.size == 0 || buffer[message.size - 1] == '\n');
    }
    static char name[2000];
    memset(name, 'n', sizeof(name) - 1);
    struct writer message = writer_of(faults, sizeof(faults));
    assert_int_equal(config_read_text(&config, name, text, &message), ERROR_INVALID);
}

/* Cut anywhere, and with any bit flipped, a file is taken or refused, never more; a refusal
 * always says why. */
static void survives_any_file(void **state)
{
    (void)state;
    char whole[] = "xmpp:\n  domain: a.example\n  port: 5222\nnic: {eal: [\"--x\", y]}\n"
                   "log:\n  level: info\ntcp:\n  time_wait: 60s\n  receive_window: 32K\n";
    size_t size = sizeof(whole) - 1;
    assert_int_equal(read_string(whole), ERROR_NONE);
    for (size_t cut = 0; cut < size; cut++) {
        enum error error = read_bytes(bytes_of(whole, cut));
        assert_int_equal(error != ERROR_NONE, faults[0] != '\0');
    }
    for (size_t bit = 0; bit < size * 8; bit++) {
        whole[bit / 8] = (char)(whole[bit / 8] ^ (1 << bit % 8));
        enum error error = read_bytes(bytes_of(whole, size));
        assert_int_equal(error != ERROR_NONE, faults[0] != '\0');
        whole[bit / 8] = (char)(whole[bit / 8] ^ (1 << bit % 8));
    }
}

/* What is printed is read back to the same configuration: defaults, and odd values. */
static void prints_what_it_reads(void **state)
{
    (void)state;
    static char first[CONFIG_FILE_SIZE_MAX];
    static char second[CONFIG_FILE_SIZE_MAX];
    static struct config before;
    static const char *const texts[] = {
        "",
        "xmpp: {domain: 'b\xc3\xbc"
        "cher \"x\" \\y: #z', idle_time: 1ns, plain_text: false}\n"
        "nic: {eal: ['', '- a', \"'\", '\xf0\x9f\x93\xa3', '*x'], memory: 33554433}\n"
        "server: {user: 'null', drain: 90s}\ntcp: {receive_window: 3K}\n",
    };
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        assert_int_equal(read_string(texts[i]), ERROR_NONE);
        before = config;
        struct bytes text = printed(first, sizeof(first));
        memset(&config, 0, sizeof(config));
        if (read_bytes(text) != ERROR_NONE)
            fail_msg("%s", faults);
        assert_memory_equal(&config, &before, sizeof(config));
        assert_true(bytes_equal(printed(second, sizeof(second)), text));
    }
    assert_non_null(strstr(first, "  idle_time: 1ns\n"));
    assert_non_null(strstr(first, "  memory: 33554433\n"));
}

/* Files: one that is not there, one that is no file, one that is too large, and a good one. */
static void reads_files(void **state)
{
    (void)state;
    struct writer message = writer_of(faults, sizeof(faults));
    assert_int_equal(config_read_file(&config, "/nonexistent/s.yaml", &message), ERROR_SYSTEM);
    assert_true(
        bytes_equal(writer_bytes(&message),
                    BYTES("/nonexistent/s.yaml: cannot be read: No such file or directory\n")));
    message = writer_of(faults, sizeof(faults));
    assert_int_equal(config_read_file(&config, "/", &message), ERROR_SYSTEM);
    assert_int_equal(config_read_file(&config, "/dev/zero", &message), ERROR_INVALID);

    char path[] = "/tmp/stentor-config-XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, "net: {mtu: 1400}\n", 17), 17);
    close(file);
    assert_int_equal(config_read_file(&config, path, &message), ERROR_NONE);
    assert_int_equal(config.net_mtu, 1400);
    unlink(path);
}

static struct bytes document(void)
{
    static char text[65536];
    struct writer into = writer_of(text, sizeof(text));
    config_document(&into);
    assert_false(into.is_overflown);
    return writer_bytes(&into);
}

/* docs/LIMITS.md holds exactly the table of this build (else: ninja -C build limits). */
static void agrees_with_limits_page(void **state)
{
    (void)state;
    static const char begin[] = "<!-- options: begin -->\n";
    static const char end[] = "<!-- options: end -->";
    static char page[262144];
    FILE *file = fopen(STENTOR_SOURCE_ROOT "/docs/LIMITS.md", "r");
    assert_non_null(file);
    page[fread(page, 1, sizeof(page) - 1, file)] = '\0';
    fclose(file);
    const char *at = strstr(page, begin);
    assert_non_null(at);
    at += strlen(begin);
    const char *until = strstr(at, end);
    assert_non_null(until);
    if (!bytes_equal(bytes_of(at, (size_t)(until - at)), document()))
        fail_msg("docs/LIMITS.md is not up to date: run ninja -C build limits");
}

int main(int count, char **arguments)
{
    if (count == 2 && strcmp(arguments[1], "--document") == 0) {
        struct bytes text = document();
        return fwrite(text.at, 1, text.size, stdout) == text.size ? 0 : 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_empty_files),
        cmocka_unit_test(takes_values),
        cmocka_unit_test(tells_wrong_values),
        cmocka_unit_test(tells_every_fault),
        cmocka_unit_test(tells_duplicates),
        cmocka_unit_test(tells_wrong_shapes),
        cmocka_unit_test(refuses_yaml_machinery),
        cmocka_unit_test(tells_broken_yaml),
        cmocka_unit_test(bounds_depth_and_size),
        cmocka_unit_test(fills_any_message_buffer),
        cmocka_unit_test(survives_any_file),
        cmocka_unit_test(prints_what_it_reads),
        cmocka_unit_test(reads_files),
        cmocka_unit_test(agrees_with_limits_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
