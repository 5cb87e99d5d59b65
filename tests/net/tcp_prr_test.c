/* SPDX-License-Identifier: Apache-2.0
 *
 * Proportional rate reduction against the worked examples of RFC 6937 section 4 and its own rules
 * (RFC 9937 section 6.1). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "stentor/random.h"

#include "tcp_prr.h"

#define MSS 1000u

/* A sender in recovery who always has something to send, in whole segments. */
struct sender {
    struct tcp_prr prr;
    uint32_t pipe;
    uint32_t ssthresh;
    uint32_t sent_count;
};

/* One duplicate acknowledgement that SACKs a segment; returns segments sent for it. */
static uint32_t deliver(struct sender *sender, uint32_t delivered, bool is_safe)
{
    sender->pipe -= delivered;
    struct tcp_prr_ack ack = {delivered, sender->pipe, sender->ssthresh, MSS, is_safe};
    uint32_t cwnd = tcp_prr_window(&sender->prr, &ack);
    uint32_t count = 0;
    while (sender->pipe + MSS <= cwnd) {
        sender->pipe += MSS;
        tcp_prr_sent(&sender->prr, MSS);
        count++;
    }
    sender->sent_count += count;
    return count;
}

/* RFC 6937 section 4, figure 1: twenty segments in flight, the first lost, ssthresh half: every
 * other acknowledgement sends, after the retransmission at the first; the window ends at ten. */
static void one_loss_halves_evenly(void **state)
{
    (void)state;
    struct sender sender = {.pipe = 19 * MSS, .ssthresh = 10 * MSS};
    tcp_prr_start(&sender.prr, 20 * MSS);
    uint32_t sent_at[20];
    for (uint32_t i = 0; i < 19; i++) {
        sent_at[i] = deliver(&sender, MSS, false);
        assert_true(sent_at[i] <= 1);
    }
    assert_int_equal(sent_at[0], 1); /* the retransmission, at once */
    assert_int_equal(sender.pipe, 10 * MSS);
    for (uint32_t i = 2; i < 14; i++) /* neither a silence nor a burst */
        assert_int_equal(sent_at[i] + sent_at[i + 1], 1);
}

/* Figure 2: fifteen of twenty lost. What is left in flight lies below ssthresh, so it is brought
 * back up by slow start, but only while acknowledgements are safe. */
static void heavy_loss_is_refilled(void **state)
{
    (void)state;
    struct sender sender = {.pipe = 5 * MSS, .ssthresh = 10 * MSS};
    tcp_prr_start(&sender.prr, 20 * MSS);
    for (uint32_t i = 0; i < 5; i++) /* conservative: what arrives is replaced, no more */
        assert_int_equal(deliver(&sender, MSS, false), 1);
    assert_int_equal(sender.pipe, 5 * MSS);
    for (uint32_t i = 0; i < 5; i++)
        assert_int_equal(deliver(&sender, MSS, true), 2);
    assert_int_equal(sender.pipe, 10 * MSS);
    assert_int_equal(deliver(&sender, MSS, true), 1); /* there, and it stays there */
    assert_int_equal(sender.pipe, 10 * MSS);
}

/* The fast retransmit goes out although everything else says no. */
static void the_first_segment_always_goes(void **state)
{
    (void)state;
    struct tcp_prr prr;
    tcp_prr_start(&prr, 100 * MSS);
    struct tcp_prr_ack ack = {1, 90 * MSS, 2 * MSS, MSS, false};
    assert_int_equal(tcp_prr_window(&prr, &ack), 91 * MSS);
    tcp_prr_sent(&prr, MSS);
    assert_int_equal(tcp_prr_window(&prr, &ack), 90 * MSS);
}

/* A stretch acknowledgement gets its share at once. */
static void a_stretch_is_counted_whole(void **state)
{
    (void)state;
    struct sender sender = {.pipe = 40 * MSS, .ssthresh = 28 * MSS};
    tcp_prr_start(&sender.prr, 40 * MSS);
    assert_int_equal(deliver(&sender, 10 * MSS, false), 7);
}

/* Whatever comes: in recovery no more leaves than max(delivered, ssthresh) and one segment for each
 * safe acknowledgement, and the flight never goes above the larger of itself and ssthresh. */
static void random_scripts_stay_in_bounds(void **state)
{
    (void)state;
    struct random random;
    random_init_seed(&random, 77);
    for (uint32_t round = 0; round < 20000; round++) {
        uint32_t flight = (2 + random_below(&random, 200)) * MSS;
        struct sender sender = {.ssthresh = (2 + random_below(&random, flight / MSS)) * MSS};
        sender.pipe = random_below(&random, flight / MSS + 1) * MSS;
        tcp_prr_start(&sender.prr, flight);
        uint32_t delivered = 0;
        uint32_t safe_count = 0;
        while (sender.pipe > 0 && delivered < 2 * flight) {
            uint32_t before = sender.pipe;
            uint32_t some = random_below(&random, 4) * MSS + 1;
            some = some < sender.pipe ? some : sender.pipe;
            bool is_safe = random_below(&random, 2) != 0;
            delivered += some;
            safe_count += is_safe;
            (void)deliver(&sender, some, is_safe);
            uint32_t most = before > sender.ssthresh ? before : sender.ssthresh;
            assert_true(sender.pipe <= most + MSS);
        }
        assert_true(sender.sent_count * MSS <= delivered + (safe_count + 1) * MSS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_loss_halves_evenly),
        cmocka_unit_test(heavy_loss_is_refilled),
        cmocka_unit_test(the_first_segment_always_goes),
        cmocka_unit_test(a_stretch_is_counted_whole),
        cmocka_unit_test(random_scripts_stay_in_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
