/* SPDX-License-Identifier: Apache-2.0
 *
 * Twin of: server/judge, server/addresses.
 * What the parser cannot see: each fault is told with file, option and expectation, and all of them
 * at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "stentor/server.h"

static char text[4096];

static enum error judged(const struct config *config)
{
    struct writer message = writer_of(text, sizeof text - 1);
    enum error error = server_config_judge(config, "file.yml", &message);
    text[message.size] = '\0';
    return error;
}

static struct config config;

static int set_defaults(void **state)
{
    (void)state;
    config_defaults(&config);
    return 0;
}

/* The defaults make a server, and nothing is said about them. */
static void defaults_are_fit(void **state)
{
    (void)state;
    assert_int_equal(judged(&config), ERROR_NONE);
    assert_string_equal(text, "");
}

static void is_refused(char *field, const char *value, const char *option)
{
    char before[CONFIG_TEXT_MAX];
    strcpy(before, field);
    strcpy(field, value);
    assert_int_equal(judged(&config), ERROR_INVALID);
    assert_memory_equal(text, "file.yml: ", 10);
    assert_memory_equal(text + 10, option, strlen(option));
    assert_non_null(strstr(text, "expected "));
    strcpy(field, before);
    assert_int_equal(judged(&config), ERROR_NONE);
}

/* One value changed to what cannot be: its option is named, and only its. */
static void single_faults_are_named(void **state)
{
    (void)state;
    is_refused(config.net_address, "0.0.0.0", "net.address");
    is_refused(config.net_address, "127.0.0.1", "net.address");
    is_refused(config.net_address, "10.99.0.255", "net.address");
    is_refused(config.net_gateway, "10.98.0.1", "net.gateway");
    is_refused(config.net_gateway, "10.99.0.2", "net.gateway");
    is_refused(config.xmpp_domain, "a b", "xmpp.domain");
    is_refused(config.server_data_dir, "here", "server.data_dir");
    is_refused(config.nic_device, "tap:", "nic.device");
    is_refused(config.admin_listen, "300.1.1.1", "admin.listen");
}

static void set_list(struct config_list *list, const char *one, const char *other)
{
    list->count = other == NULL ? 1 : 2;
    strcpy(list->items[0], one);
    if (other != NULL)
        strcpy(list->items[1], other);
}

static void assert_refused(const char *option, const char *found)
{
    assert_int_equal(judged(&config), ERROR_INVALID);
    assert_memory_equal(text + 10, option, strlen(option));
    assert_non_null(strstr(text, found));
    assert_non_null(strstr(text, "expected "));
}

/* Lists of addresses and routers stand in place of the single options, and are judged together. */
static void address_lists_are_judged(void **state)
{
    (void)state;
    set_list(&config.net_addresses, "192.0.2.10/24", "2001:db8::10/64%7");
    strcpy(config.net_address, "nonsense");
    assert_int_equal(judged(&config), ERROR_NONE);
    set_list(&config.net_gateways, "192.0.2.1", "fe80::1%7");
    assert_int_equal(judged(&config), ERROR_NONE);
    set_list(&config.net_gateways, "192.0.2.1", "2001:db8::1%7");
    assert_int_equal(judged(&config), ERROR_NONE);
    set_list(&config.net_gateways, "fe80::1", NULL); /* no IPv6 untagged */
    assert_refused("net.gateways", "fe80::1");
    set_list(&config.net_gateways, "192.0.2.1%7", NULL);
    assert_refused("net.gateways", "192.0.2.1%7");
    set_list(&config.net_gateways, "192.0.3.1", NULL);
    assert_refused("net.gateways", "192.0.3.1");
    set_list(&config.net_gateways, "192.0.2.10", NULL);
    assert_refused("net.gateways", "192.0.2.10");
    config.net_gateways.count = 0;
    set_list(&config.net_addresses, "192.0.2.10/24", "192.0.2.10/25");
    assert_refused("net.addresses", "192.0.2.10/25");
    set_list(&config.net_addresses, "192.0.2.10/24", "192.0.2.10/25%3");
    assert_int_equal(judged(&config), ERROR_NONE);
    set_list(&config.net_addresses, "192.0.2.10", NULL);
    assert_refused("net.addresses", "192.0.2.10");
}

/* As many cores as workers, all different, or none. */
static void cores_fit_the_workers(void **state)
{
    (void)state;
    struct config_list *cores = &config.server_cores;
    config.server_workers = 2;
    assert_int_equal(judged(&config), ERROR_NONE);
    cores->count = 2;
    strcpy(cores->items[0], "3");
    strcpy(cores->items[1], "1");
    assert_int_equal(judged(&config), ERROR_NONE);
    is_refused(cores->items[1], "3", "server.cores");
    is_refused(cores->items[1], "one", "server.cores");
    is_refused(cores->items[1], "1024", "server.cores");
    cores->count = 1;
    assert_int_equal(judged(&config), ERROR_INVALID);
}

/* Two faults are two lines. */
static void all_faults_are_told(void **state)
{
    (void)state;
    strcpy(config.xmpp_domain, "");
    strcpy(config.admin_listen, "");
    assert_int_equal(judged(&config), ERROR_INVALID);
    assert_non_null(strstr(text, "xmpp.domain"));
    assert_non_null(strstr(text, "\nfile.yml: admin.listen"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(defaults_are_fit, set_defaults),
        cmocka_unit_test_setup(single_faults_are_named, set_defaults),
        cmocka_unit_test_setup(address_lists_are_judged, set_defaults),
        cmocka_unit_test_setup(cores_fit_the_workers, set_defaults),
        cmocka_unit_test_setup(all_faults_are_told, set_defaults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
