/* SPDX-License-Identifier: Apache-2.0
 *
 * Two stacks against each other over a faulty wire: whatever the wire does short of parting them
 * for good, each stream arrives whole and in order, both ends close, and nothing is left in a
 * pool. Every test says its seed on failure. */
#include "net_pair.h"

static bool both_closed(const struct pair *pair)
{
    return net_usage(pair->ends[0].net).connections == 0 &&
           net_usage(pair->ends[1].net).connections == 0;
}

static void assert_at_baseline(struct pair *pair)
{
    /* TIME_WAIT runs out, too. */
    pair_run_for(pair, 130 * NS_PER_SECOND);
    for (unsigned int which = 0; which < 2; which++) {
        struct net_usage usage = net_usage(pair->ends[which].net);
        assert_int_equal(usage.connections, 0);
        assert_int_equal(usage.hot, 0);
        assert_int_equal(usage.send_references, 0);
        assert_int_equal(usage.time_wait, 0);
        assert_int_equal(usage.reorder_bytes, 0);
    }
}

/* Opens, sends so many octets each way, closes from end 0 and waits for both to be gone. */
static void run_transfer(const struct pair_options *options, uint64_t up, uint64_t down)
{
    static struct pair pair;
    pair_open(&pair, options);
    pair.ends[1].accept_to_send = down;
    uint32_t accepted;
    uint32_t conn = pair_connect(&pair, &accepted);
    struct flow *near = &pair.ends[0].flows[conn];
    struct flow *far = &pair.ends[1].flows[accepted];
    near->to_send = up;
    uint64_t limit_ns = pair.now_ns + 3600 * NS_PER_SECOND;
    while (far->received != up || near->received != down) {
        assert_true(pair.now_ns < limit_ns);
        assert_int_equal(near->closed_count + far->closed_count, 0);
        pair_step(&pair);
    }
    tcp_close(pair.ends[0].net, conn);
    assert_true(pair_run_until(&pair, both_closed, 900 * NS_PER_SECOND));
    assert_int_equal(near->closed_count, 1);
    assert_int_equal(far->closed_count, 1);
    assert_int_equal(near->why, NET_CLOSE_DONE);
    assert_true(far->has_ended);
    assert_at_baseline(&pair);
    pair_close(&pair);
}

static void transfers_over_a_clean_wire(void **state)
{
    (void)state;
    struct pair_options options = pair_defaults();
    run_transfer(&options, 1 << 20, 1 << 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transfers_over_a_clean_wire),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
