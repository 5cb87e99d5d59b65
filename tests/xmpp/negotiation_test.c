/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows lent to unbound streams: they run out with an answer, come back wiped at binding, closing
 * and forgetting, and bound what a stranger may send. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>

#include <cmocka.h>

#include "machine.h"
#include "play.h"

/* The stage has two rows: a third stream is told so, and a row given back serves again. */
static void test_exhaustion(void **state)
{
    (void)state;
    struct play play;
    play_begin(&play);
    struct stream held[2] = {{0}, {0}};
    assert_non_null(negotiation_take(play.xmpp, &held[0]));
    assert_non_null(negotiation_take(play.xmpp, &held[1]));
    play_say(&play, PLAY_HEADER);
    assert_true(play_hears(&play, "<?xml *<stream:error><resource-constraint *</stream:error>"
                                  "</stream:stream>[close resource-constraint]"));
    assert_int_equal(metric_get(&play.metrics, METRIC_XMPP_NEGOTIATIONS_REFUSED), 1);
    xmpp_forget(play.xmpp, &held[0]);
    play_reconnect(&play);
    play_say(&play, PLAY_HEADER);
    assert_true(play_hears(&play, "*</stream:features>"));
    xmpp_forget(play.xmpp, &held[1]);
    play_end(&play);
}

/* A row is all zero when it comes out and when it went back. */
static void test_wiped(void **state)
{
    (void)state;
    struct play play;
    static const struct negotiation zero;
    play_begin(&play);
    struct stream stream = {0};
    struct negotiation *row = negotiation_take(play.xmpp, &stream);
    assert_memory_equal(row, &zero, sizeof(zero));
    assert_ptr_equal(negotiation_find(play.xmpp, &stream), row);
    memset((uint8_t *)row + sizeof(row->next_free), 0xaa, sizeof(*row) - sizeof(row->next_free));
    negotiation_give(play.xmpp, &stream);
    assert_int_equal(stream.negotiation, 0);
    assert_memory_equal((uint8_t *)row + sizeof(row->next_free),
                        (const uint8_t *)&zero + sizeof(row->next_free),
                        sizeof(zero) - sizeof(row->next_free));
    assert_null(negotiation_find(play.xmpp, &stream));
    negotiation_give(play.xmpp, &stream); /* a stream without a row is left alone */
    play_end(&play);
}

/* A thousand connections come and go in every state; nothing is kept of any. */
static void test_no_leak(void **state)
{
    (void)state;
    struct play play;
    play_begin(&play);
    uint64_t used = heap_used_bytes(&play.heap);
    for (uint32_t i = 0; i < 1000; i++) {
        play_reconnect(&play);
        play.store = i % 3 == 0 ? PLAY_STORE_SILENT : PLAY_STORE_FAILS;
        play_say(&play, PLAY_HEADER);
        if (i % 2 == 0)
            play_auth_plain(&play, "alice", "pencil");
        assert_true(xmpp_negotiation_count(play.xmpp) <= 1);
    }
    play_reconnect(&play);
    play.store = PLAY_STORE_WORKS;
    assert_int_equal(xmpp_negotiation_count(play.xmpp), 0);
    assert_int_equal(heap_used_bytes(&play.heap), used);
    play_login(&play, "alice", "phone");
    assert_int_equal(xmpp_negotiation_count(play.xmpp), 0); /* at rest it holds no row */
    assert_int_equal(play.stream.negotiation, 0);
    play_end(&play);
}

/* Octets before binding are bounded one by one and in all; white space counts too. */
static void test_budget(void **state)
{
    (void)state;
    struct play play;
    static char text[16384];
    play_begin(&play);
    uint64_t budget = play.config.xmpp_auth_bytes;
    assert_true(budget < sizeof(text));
    memset(text, ' ', sizeof(text));
    text[budget - strlen(PLAY_HEADER)] = '\0';
    play_say(&play, PLAY_HEADER);
    play_heard(&play);
    play_say(&play, text);
    assert_true(play_hears(&play, ""));
    play_say(&play, " ");
    assert_true(play_hears(&play, "<stream:error><policy-violation *[close policy-violation]"));
    /* One element over the limit is refused before it is whole. */
    play_reconnect(&play);
    play_say(&play, PLAY_HEADER);
    play_heard(&play);
    memset(text, 'x', sizeof(text));
    memcpy(text, "<a>", 3);
    text[budget + 1] = '\0';
    play_say(&play, text);
    assert_true(play_hears(&play, "<stream:error><policy-violation *[close policy-violation]"));
    /* Attributes and depth as well. */
    play_reconnect(&play);
    play_say(&play, PLAY_HEADER);
    play_heard(&play);
    play_say(&play, "<a><a><a><a><a><a><a><a><a>");
    assert_true(play_hears(&play, "<stream:error><policy-violation *[close policy-violation]"));
    play_end(&play);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exhaustion),
        cmocka_unit_test(test_wiped),
        cmocka_unit_test(test_no_leak),
        cmocka_unit_test(test_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
