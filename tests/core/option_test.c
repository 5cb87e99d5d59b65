/* SPDX-License-Identifier: Apache-2.0
 *
 * One option: its row, its values from text and to text, and the guesses at misspelt names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "option.h"
#include "stentor/clock.h"

static struct config config;
static char shown[512];

static const struct option *row_of(const char *path)
{
    for (uint32_t i = 0; i < option_count(); i++)
        if (strcmp(option_at(i)->path, path) == 0)
            return option_at(i);
    fail_msg("no option %s", path);
    return NULL;
}

static bool parse(const char *path, const char *text)
{
    return option_parse(&config, row_of(path), bytes_of_string(text));
}

static const char *show(void (*write)(struct writer *, const struct option *), const char *path)
{
    struct writer into = writer_of(shown, sizeof(shown) - 1);
    write(&into, row_of(path));
    shown[into.size] = '\0';
    return shown;
}

static const char *value(const char *path)
{
    struct writer into = writer_of(shown, sizeof(shown) - 1);
    option_write_value(&into, row_of(path), &config);
    shown[into.size] = '\0';
    return shown;
}

/* Each row's default keeps its own range, so the defaults alone start a server. */
static void has_legal_defaults(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < option_count(); i++) {
        const struct option *option = option_at(i);
        char text[512];
        struct writer into = writer_of(text, sizeof(text));
        config_defaults(&config);
        option_write_value(&into, option, &config);
        struct bytes printed = writer_bytes(&into);
        if (option->type == OPTION_LIST)
            continue;
        if (option->type == OPTION_TEXT)
            printed = bytes_slice(printed, 1, printed.size - 2);
        if (!option_parse(&config, option, printed))
            fail_msg("%s: its default is out of its range", option->path);
        if (option->type <= OPTION_DURATION)
            assert_true(option->least <= option->most);
    }
}

/* Paths are section.name in lower case, sections stand together, every row says what it is for. */
static void has_legal_rows(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < option_count(); i++) {
        const struct option *option = option_at(i);
        struct bytes section = option_section(option);
        assert_int_equal(strspn(option->path, "abcdefghijklmnopqrstuvwxyz_0123456789."),
                         strlen(option->path));
        assert_int_equal(bytes_find(option_name(option), '.'), option_name(option).size);
        assert_true(strlen(option->path) < 64);
        assert_non_null(strchr(option->text, '.'));
        assert_null(strchr(option->text, '|'));
        assert_int_equal(option_find(section, option_name(option)), i);
        uint32_t first = option_find_section(section);
        for (uint32_t k = first; k < i; k++)
            assert_true(bytes_equal(option_section(option_at(k)), section));
    }
    assert_int_equal(option_find_section(BYTES("nowhere")), OPTION_NONE);
    assert_int_equal(option_find(BYTES("tcp"), BYTES("nothing")), OPTION_NONE);
    assert_int_equal(option_find(BYTES("tc"), BYTES("hot_max")), OPTION_NONE);
}

/* Numbers take digits alone, within the range, and never wrap. */
static void parses_counts(void **state)
{
    (void)state;
    config_defaults(&config);
    assert_true(parse("xmpp.port", "1"));
    assert_int_equal(config.xmpp_port, 1);
    assert_true(parse("xmpp.port", "65535"));
    static const char *const wrong[] = {"",
                                        "0",
                                        "65536",
                                        "-1",
                                        "+1",
                                        "1.0",
                                        "1e3",
                                        "0x10",
                                        "5222 ",
                                        " 1",
                                        "1K",
                                        "1s",
                                        "18446744073709551617",
                                        "99999999999999999999999"};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        if (parse("xmpp.port", wrong[i]))
            fail_msg("took \"%s\" for a port", wrong[i]);
        assert_int_equal(config.xmpp_port, 65535);
    }
}

/* Sizes take K, M and G of 1024 and print in the largest that divides. */
static void parses_sizes(void **state)
{
    (void)state;
    config_defaults(&config);
    assert_true(parse("tcp.receive_window", "64K"));
    assert_int_equal(config.tcp_receive_window, 65536);
    assert_string_equal(value("tcp.receive_window"), "64K");
    assert_true(parse("tcp.receive_window", "2049"));
    assert_string_equal(value("tcp.receive_window"), "2049");
    assert_true(parse("tcp.receive_window", "1M"));
    assert_true(parse("nic.memory", "64G"));
    assert_string_equal(value("nic.memory"), "64G");
    static const char *const wrong[] = {"1K", "2M", "64k", "64KB", "K", "64 K", "17179869185G"};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++)
        if (parse("tcp.receive_window", wrong[i]))
            fail_msg("took \"%s\" for a window", wrong[i]);
}

/* Durations carry a unit, 0 may go without, and print in the largest exact unit. */
static void parses_durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t ns;
        const char *printed;
    } right[] = {
        {"0", 0, "0s"},
        {"0h", 0, "0s"},
        {"1ns", 1, "1ns"},
        {"1500us", 1500 * NS_PER_US, "1500us"},
        {"1000us", NS_PER_MS, "1ms"},
        {"90s", 90 * NS_PER_SECOND, "90s"},
        {"120s", 120 * NS_PER_SECOND, "2m"},
        {"120m", 7200 * NS_PER_SECOND, "2h"},
        {"0d", 0, "0s"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(right); i++) {
        assert_true(parse("xmpp.idle_time", right[i].text));
        assert_int_equal(config.xmpp_idle_time, right[i].ns);
        assert_string_equal(value("xmpp.idle_time"), right[i].printed);
    }
    config.xmpp_idle_time = 86400 * NS_PER_SECOND;
    assert_string_equal(value("xmpp.idle_time"), "1d");
    static const char *const wrong[] = {"",     "5",    "s",  "1S",      "1 s",
                                        "1sec", "1.5s", "9h", "213504d", "99999999999999999999s"};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++)
        if (parse("xmpp.idle_time", wrong[i]))
            fail_msg("took \"%s\" for a duration", wrong[i]);
}

/* true and false, spelt so; a fault leaves the field alone. */
static void parses_bools(void **state)
{
    (void)state;
    config_defaults(&config);
    assert_true(parse("nic.hugepages", "true"));
    assert_true(config.nic_hugepages);
    static const char *const wrong[] = {"yes", "on", "1", "True", "TRUE", ""};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++)
        assert_false(parse("nic.hugepages", wrong[i]));
    assert_true(config.nic_hugepages);
    assert_true(parse("nic.hugepages", "false"));
    assert_false(config.nic_hugepages);
}

/* Texts are short UTF-8 without controls; the unit may name words or an address. */
static void parses_texts(void **state)
{
    (void)state;
    config_defaults(&config);
    char text[CONFIG_TEXT_MAX + 1];
    memset(text, 'a', sizeof(text));
    text[CONFIG_TEXT_MAX] = '\0';
    assert_false(parse("server.user", text));
    text[CONFIG_TEXT_MAX - 1] = '\0';
    assert_true(parse("server.user", text));
    assert_string_equal(config.server_user, text);
    assert_true(parse("server.user", ""));
    assert_true(parse("xmpp.domain", "b\xc3\xbc"
                                     "cher.example"));
    static const char *const wrong[] = {"a\nb",     "a\tb",         "\x7f",        "\xff",
                                        "\xc2\x85", "\xe2\x80\xa8", "\xef\xbb\xbf"};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++)
        assert_false(parse("server.user", wrong[i]));

    assert_true(parse("log.level", "warning"));
    static const char *const levels[] = {"", "warn", "|", "debug|info", "INFO", "warning "};
    for (size_t i = 0; i < ARRAY_COUNT(levels); i++)
        assert_false(parse("log.level", levels[i]));
    assert_string_equal(config.log_level, "warning");

    assert_true(parse("net.address", "255.0.10.1"));
    assert_true(parse("net.gateway", ""));
    static const char *const addresses[] = {"",        "1.2.3",     "1.2.3.4.5", "1.2.3.256",
                                            "1.2.3.",  ".1.2.3",    "1..2.3",    "1.2.3.4/24",
                                            "a.b.c.d", "1.2.3.0004"};
    for (size_t i = 0; i < ARRAY_COUNT(addresses); i++)
        if (parse("net.address", addresses[i]))
            fail_msg("took \"%s\" for an address", addresses[i]);
}

/* A list grows by entries and prints as YAML. */
static void parses_lists(void **state)
{
    (void)state;
    config_defaults(&config);
    const struct option *option = row_of("nic.eal");
    struct config_list *list = option_list(&config, option);
    assert_string_equal(value("nic.eal"), "[]");
    assert_true(option_parse_entry(list, option, BYTES("--no-pci")));
    assert_true(option_parse_entry(list, option, BYTES("say \"\\\"")));
    assert_false(option_parse_entry(list, option, BYTES("a\nb")));
    assert_int_equal(config.nic_eal.count, 2);
    assert_string_equal(value("nic.eal"), "[\"--no-pci\", \"say \\\"\\\\\\\"\"]");
    assert_false(parse("nic.eal", "--no-pci"));
}

/* A misspelt name finds the option it is near to, and nothing when nothing is. */
static void guesses_names(void **state)
{
    (void)state;
    struct bytes tcp = BYTES("tcp");
    assert_string_equal(option_find_near(tcp, BYTES("hotmax"))->path, "tcp.hot_max");
    assert_string_equal(option_find_near(tcp, BYTES("recieve_window"))->path, "tcp.receive_window");
    assert_string_equal(option_find_near(tcp, BYTES("domain"))->path, "xmpp.domain");
    assert_null(option_find_near(tcp, BYTES("colour")));
    assert_null(option_find_near(tcp, BYTES("")));
    assert_true(bytes_equal(option_find_section_near(BYTES("xmp")), BYTES("xmpp")));
    assert_int_equal(option_find_section_near(BYTES("weather")).size, 0);
    char long_name[300];
    memset(long_name, 'a', sizeof(long_name));
    assert_null(option_find_near(tcp, bytes_of(long_name, sizeof(long_name))));
}

/* What is expected is said with type, range and unit. */
static void says_what_it_takes(void **state)
{
    (void)state;
    assert_string_equal(show(option_write_expected, "xmpp.port"), "a number of 1 to 65535 port");
    assert_string_equal(show(option_write_expected, "tcp.receive_window"),
                        "a size of 2K to 1M octets (K, M or G may follow)");
    assert_string_equal(show(option_write_expected, "xmpp.auth_time"),
                        "a duration of 1s to 10m (with ns, us, ms, s, m, h or d)");
    assert_string_equal(show(option_write_expected, "log.level"),
                        "one of debug, info, warning, error");
    assert_string_equal(show(option_write_expected, "nic.hugepages"), "true or false");
    assert_string_equal(show(option_write_range, "xmpp.auth_time"), "1s to 10m");
    assert_string_equal(show(option_write_range, "nic.descriptors"), "64 to 4096 packets");
    assert_string_equal(show(option_write_range, "server.user"), "a text");
    assert_string_equal(show(option_write_range, "net.address"), "an IPv4 address like 192.0.2.1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(has_legal_defaults), cmocka_unit_test(has_legal_rows),
        cmocka_unit_test(parses_counts),      cmocka_unit_test(parses_sizes),
        cmocka_unit_test(parses_durations),   cmocka_unit_test(parses_bools),
        cmocka_unit_test(parses_texts),       cmocka_unit_test(parses_lists),
        cmocka_unit_test(guesses_names),      cmocka_unit_test(says_what_it_takes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
