/* SPDX-License-Identifier: Apache-2.0
 *
 * Neighbour discovery as a polite and as a lying link sees it, under a clock set by hand. Messages
 * come in through frame_read(), so its judgement counts too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "stentor/random.h"

#include "fake_nic.h"
#include "frames.h"
#include "net_state.h"

#define SECOND UINT64_C(1000000000)
#define US 1u     /* index of our_ipv6, untagged */
#define SCOPED 3u /* of our link-local address, untagged */

static const struct net_address all_nodes = {{0xff, 0x02, [15] = 1}};
static const struct net_address our_group = {{0xff, 0x02, [11] = 1, [12] = 0xff, [15] = 1}};
static const struct net_address router_scoped = {{0xfe, 0x80, [15] = 0xfe}};
static const uint8_t all_nodes_mac[6] = {0x33, 0x33, 0, 0, 0, 1};
static const uint8_t our_group_mac[6] = {0x33, 0x33, 0xff, 0, 0, 1};

static struct fake_nic nic;
static struct net net;
static struct random dice;
static struct heap heap;
static struct trace trace;

static int set_up(void **state)
{
    (void)state;
    fake_nic_init(&nic);
    heap_init(&heap, 1u << 20);
    random_init_seed(&dice, 4);
    if (trace_init(&trace, &heap, 64) != ERROR_NONE)
        return 1;
    memset(&net, 0, sizeof net);
    net.options.nic = &nic.queue;
    net.options.metrics = &nic.metrics;
    net.options.random = &dice;
    net.options.trace = &trace;
    net.options.key = (struct siphash_key){11, 12};
    net.link = test_link6();
    net.now_ns = 1000 * SECOND;
    net.ndp.next_at_ns = NDP_NEVER;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    net_packets_flush(&net);
    trace_fini(&trace, &heap);
    return nic.buffers_out == 0 ? 0 : 1;
}

static int64_t count_of(enum metric metric)
{
    return metric_get(&nic.metrics, metric);
}

/* ---- messages in ---- */

struct said {
    struct net_address from; /* none = peer_ipv6 */
    struct net_address to;   /* none = our_ipv6 */
    struct net_address target;
    const uint8_t *to_mac; /* NULL = ours */
    struct bytes options;
    uint32_t rest;
    uint16_t vlan;
    uint8_t type;
    uint8_t code;
    bool is_from_nobody;
    bool is_own_mac;
};

/* Hands it in as the worker would; true when it went back as an answer. */
static bool hear(const struct said *said)
{
    uint8_t octets[1024];
    uint8_t message[512];
    struct writer body = writer_of(message, sizeof message);
    write_u8(&body, said->type);
    write_u8(&body, said->code);
    write_be16(&body, 0);
    write_be32(&body, said->rest);
    if (said->type == NDP_ROUTER_ADVERTISEMENT)
        write_bytes(&body, bytes_of((const uint8_t[8]){0}, 8));
    else if (said->type != NDP_ROUTER_SOLICITATION)
        write_bytes(&body, bytes_of(&said->target, 16));
    write_bytes(&body, said->options);
    struct writer into = writer_of(octets, sizeof octets);
    write_ip6_frame(&into, &(struct ip6_frame){.source = said->from,
                                               .destination = said->to,
                                               .to = said->to_mac,
                                               .vlan = said->vlan,
                                               .hops = 255,
                                               .next = IP_PROTOCOL_ICMP6,
                                               .inside = writer_bytes(&body),
                                               .is_from_nobody = said->is_from_nobody});
    if (said->is_own_mac)
        memcpy(octets + 6, our_mac, 6);
    struct packet packet = fake_nic_frame(&nic, writer_bytes(&into), 0);
    struct frame frame;
    frame_read(&net.link, &packet, &frame);
    assert_int_equal(frame.kind, FRAME_NDP);
    ndp_input(&net, &packet, &frame);
    bool is_answered = packet.frame == NULL;
    fake_nic_done(&nic, &packet);
    net_packets_flush(&net);
    return is_answered;
}

static const uint8_t peer_source[] = {NDP_OPTION_SOURCE_MAC, 1, 0x02, 0, 0, 0, 0, 0x09};
static const uint8_t peer_target[] = {NDP_OPTION_TARGET_MAC, 1, 0x02, 0, 0, 0, 0, 0x09};
static const uint8_t other_target[] = {NDP_OPTION_TARGET_MAC, 1, 0x02, 0, 0, 0, 0, 0x66};
#define PEER_SOURCE_MAC bytes_of(peer_source, sizeof peer_source)
#define PEER_TARGET_MAC bytes_of(peer_target, sizeof peer_target)
#define OTHER_TARGET_MAC bytes_of(other_target, sizeof other_target)

static struct said solicitation(void)
{
    return (struct said){.type = NDP_SOLICITATION,
                         .to = our_group,
                         .to_mac = our_group_mac,
                         .target = our_ipv6,
                         .options = PEER_SOURCE_MAC};
}

static struct said advertisement(const struct net_address *target, struct bytes mac)
{
    return (struct said){.type = NDP_ADVERTISEMENT,
                         .rest = NDP_FLAG_SOLICITED | NDP_FLAG_OVERRIDE,
                         .target = *target,
                         .options = mac};
}

static struct said router_says(uint16_t lifetime_s)
{
    return (struct said){.type = NDP_ROUTER_ADVERTISEMENT,
                         .from = router_scoped,
                         .to = all_nodes,
                         .to_mac = all_nodes_mac,
                         .rest = lifetime_s};
}

/* ---- messages out ---- */

static const struct fake_frame *last_sent(void)
{
    assert_true(nic.sent_count > 0);
    return &nic.sent[(nic.sent_count - 1) % FAKE_SENT_MAX];
}

/* Sound headers and checksum; returns the message. */
static const struct ndp_neighbour *assert_message(const struct fake_frame *frame, uint8_t type,
                                                  uint32_t tag_size)
{
    const struct ip6_header *ip = (const void *)(frame->octets + 14 + tag_size);
    const struct ndp_neighbour *message = (const void *)(ip + 1);
    assert_memory_equal(frame->octets + 6, our_mac, 6);
    assert_int_equal(frame->flags, 0);
    assert_int_equal(be32_get(ip->version_flow), 6u << 28);
    assert_int_equal(ip->next, IP_PROTOCOL_ICMP6);
    assert_int_equal(ip->hops, 255);
    assert_int_equal(frame->size, 54 + tag_size + be16_get(ip->payload_size));
    assert_true(checksum_is_good_ipv6(ip, IP_PROTOCOL_ICMP6,
                                      bytes_of(message, be16_get(ip->payload_size))));
    assert_int_equal(message->icmp.type, type);
    return message;
}

static void assert_addresses(const struct fake_frame *frame, const struct net_address *from,
                             const struct net_address *to, const uint8_t *mac)
{
    const struct ip6_header *ip = (const void *)(frame->octets + 14);
    assert_memory_equal(&ip->source, from, 16);
    assert_memory_equal(&ip->destination, to, 16);
    assert_memory_equal(frame->octets, mac, 6);
}

static const uint8_t *resolve(const struct net_address *to)
{
    uint16_t hint = NEIGHBOUR_NONE;
    const uint8_t *mac = neighbour_resolve(&net, US, to, &hint);
    net_packets_flush(&net);
    return mac;
}

/* Lets the clocks of the floor run for that long. */
static void run(uint64_t duration_ns)
{
    uint64_t end_ns = net.now_ns + duration_ns;
    for (;;) {
        uint64_t ndp_ns = ndp_next_ns(&net);
        uint64_t next_ns = neighbour_next_ns(&net);
        next_ns = ndp_ns < next_ns ? ndp_ns : next_ns;
        if (next_ns > end_ns)
            break;
        net.now_ns = next_ns > net.now_ns ? next_ns : net.now_ns;
        neighbour_timers(&net);
        ndp_timers(&net);
        net_packets_flush(&net);
    }
    net.now_ns = end_ns;
}

static void become_tentative(void)
{
    for (uint32_t i = 1; i < net.link.local_count; i++)
        net.link.locals[i].state = LINK_TENTATIVE;
    ndp_start(&net);
}

/* ---- duplicate address detection ---- */

/* Within a second each address is probed from nobody in its group; a second later it is ready and
 * announced to all. Nothing is sent from it before. */
static void detects_at_start(void **state)
{
    (void)state;
    const struct net_address nobody = {0};
    net.link.local_count = 2; /* no link-local ones, no VLAN */
    become_tentative();
    assert_int_equal(nic.sent_count, 0);
    uint64_t probe_at_ns = ndp_next_ns(&net);
    assert_true(probe_at_ns <= net.now_ns + SECOND);
    run(SECOND);
    assert_int_equal(nic.sent_count, 2); /* the report of its group first */
    const struct ndp_neighbour *message = assert_message(&nic.sent[1], NDP_SOLICITATION, 0);
    assert_addresses(&nic.sent[1], &nobody, &our_group, our_group_mac);
    assert_memory_equal(&message->target, &our_ipv6, 16);
    assert_int_equal(nic.sent[1].size, 54 + 24); /* no option */
    assert_null(resolve(&peer_ipv6));
    assert_int_equal(nic.sent_count, 2);
    assert_int_equal(net.link.locals[US].state, LINK_TENTATIVE);

    run(probe_at_ns + SECOND - net.now_ns);
    assert_int_equal(net.link.locals[US].state, LINK_READY);
    assert_int_equal(nic.sent_count, 4);
    message = assert_message(&nic.sent[3], NDP_ADVERTISEMENT, 0);
    assert_addresses(&nic.sent[3], &our_ipv6, &all_nodes, all_nodes_mac);
    assert_memory_equal(&message->target, &our_ipv6, 16);
    assert_int_equal(be32_get(message->icmp.rest), NDP_FLAG_OVERRIDE);
    assert_int_equal(ndp_next_ns(&net), NDP_NEVER);
}

/* Other queues keep the same states and send nothing. */
static void other_queues_are_silent(void **state)
{
    (void)state;
    nic.queue.index = 1;
    become_tentative();
    run(2 * SECOND); /* as long as queue 0 may take */
    assert_int_equal(net.link.locals[US].state, LINK_TENTATIVE);
    run(SECOND);
    for (uint32_t i = 0; i < net.link.local_count; i++)
        assert_int_equal(net.link.locals[i].state, LINK_READY);
    struct said said = solicitation();
    assert_false(hear(&said));
    assert_int_equal(nic.sent_count, 0);
    said = advertisement(&our_ipv6, OTHER_TARGET_MAC);
    hear(&said);
    assert_int_equal(nic.sent_count, 0);
}

/* Somebody has the address, or wants it at the same time: it stays unused, its neighbours live. */
static void gives_way_to_an_owner(void **state)
{
    (void)state;
    for (uint32_t way = 0; way < 3; way++) {
        become_tentative();
        run(SECOND);
        struct said said = advertisement(&our_ipv6, OTHER_TARGET_MAC);
        said.to = all_nodes;
        said.to_mac = all_nodes_mac;
        said.rest = NDP_FLAG_OVERRIDE;
        if (way == 1)
            said = solicitation(), said.is_from_nobody = true, said.options = (struct bytes){0};
        if (way == 2)
            said = solicitation(), said.from = our_ipv6, said.target = peer_ipv6;
        hear(&said);
        assert_int_equal(net.link.locals[US].state, LINK_DUPLICATE);
        assert_int_equal(net.link.locals[2].state, LINK_TENTATIVE); /* VLAN 7 is another link */
        assert_int_equal(count_of(METRIC_NET_DROP_NDP_CONFLICT), way + 1);
        run(3 * SECOND);
        assert_int_equal(net.link.locals[US].state, LINK_DUPLICATE);
        assert_int_equal(net.link.locals[2].state, LINK_READY);
        assert_int_equal(net.link.locals[SCOPED].state, LINK_READY);
        said = solicitation();
        assert_false(hear(&said));
    }
}

/* Our own probe, brought back by the link, is no owner; nor is who asks for a tentative address. */
static void is_not_its_own_duplicate(void **state)
{
    (void)state;
    become_tentative();
    run(SECOND);
    struct said said = solicitation();
    said.is_from_nobody = true;
    said.options = (struct bytes){0};
    said.is_own_mac = true;
    hear(&said);
    assert_int_equal(count_of(METRIC_NET_DROP_NDP_LOOP), 1);
    said = solicitation();
    assert_false(hear(&said));
    assert_int_equal(count_of(METRIC_NET_DROP_NDP_OTHER), 1);
    run(2 * SECOND);
    assert_int_equal(net.link.locals[US].state, LINK_READY);
}

/* No buffer for the probe: it is sent later, and the address is not ready before. */
static void waits_for_a_buffer(void **state)
{
    (void)state;
    nic.refuses_take = true;
    become_tentative();
    run(5 * SECOND);
    assert_int_equal(net.link.locals[US].state, LINK_TENTATIVE);
    nic.refuses_take = false;
    run(3 * SECOND);
    assert_int_equal(net.link.locals[US].state, LINK_READY);
}

/* A claim on an address that is ready is counted and answered once in ten seconds. */
static void defends_our_address(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 20; i++) {
        struct said said = advertisement(&our_ipv6, OTHER_TARGET_MAC);
        hear(&said);
        net.now_ns += SECOND;
    }
    assert_int_equal(count_of(METRIC_NET_DROP_NDP_CONFLICT), 20);
    assert_int_equal(nic.sent_count, 2);
    assert_message(last_sent(), NDP_ADVERTISEMENT, 0);
    assert_addresses(last_sent(), &our_ipv6, &all_nodes, all_nodes_mac);
    assert_int_equal(net.link.locals[US].state, LINK_READY);
}

/* ---- neighbours ---- */

/* A solicitation is answered in its own packet, to who asked, whom we know from then on. */
static void answers_for_us(void **state)
{
    (void)state;
    struct said said = solicitation();
    assert_true(hear(&said));
    const struct ndp_neighbour *message = assert_message(last_sent(), NDP_ADVERTISEMENT, 0);
    assert_addresses(last_sent(), &our_ipv6, &peer_ipv6, peer_mac);
    assert_int_equal(be32_get(message->icmp.rest), NDP_FLAG_SOLICITED | NDP_FLAG_OVERRIDE);
    assert_memory_equal(&message->target, &our_ipv6, 16);
    assert_memory_equal(message + 1, ((const uint8_t[]){2, 1, 0x02, 0, 0, 0, 0, 1}), 8);
    assert_memory_equal(resolve(&peer_ipv6), peer_mac, 6);

    said.to = our_ipv6; /* is it still there? without an option, to the MAC it came from */
    said.to_mac = NULL;
    said.options = (struct bytes){0};
    assert_true(hear(&said));
    assert_addresses(last_sent(), &our_ipv6, &peer_ipv6, peer_mac);
    said.target = peer_ipv6;
    assert_false(hear(&said));
    assert_int_equal(count_of(METRIC_NET_DROP_NDP_OTHER), 1);
}

/* On a VLAN the answer is tagged, and what is learned there is not known elsewhere. */
static void keeps_vlans_apart(void **state)
{
    (void)state;
    struct said said = solicitation();
    said.vlan = 7;
    assert_true(hear(&said));
    const struct fake_frame *sent = last_sent();
    assert_message(sent, NDP_ADVERTISEMENT, 4);
    assert_memory_equal(sent->octets + 12, ((const uint8_t[]){0x81, 0, 0, 7, 0x86, 0xdd}), 6);
    assert_null(resolve(&peer_ipv6));
    uint16_t hint = NEIGHBOUR_NONE;
    assert_memory_equal(neighbour_resolve(&net, 2, &peer_ipv6, &hint), peer_mac, 6);
    assert_null(neighbour_resolve(&net, US, &peer_ipv6, &hint)); /* the same hint */
}

/* Who tests whether our address is free is told by all that it is not. */
static void answers_probes(void **state)
{
    (void)state;
    struct said said = solicitation();
    said.is_from_nobody = true;
    said.options = (struct bytes){0};
    assert_false(hear(&said));
    assert_message(last_sent(), NDP_ADVERTISEMENT, 0);
    assert_addresses(last_sent(), &our_ipv6, &all_nodes, all_nodes_mac);
    assert_int_equal(net.link.locals[US].state, LINK_READY);
}

/* Unknown: asked of its group with our MAC; only a solicited answer with a MAC counts. */
static void asks_and_learns(void **state)
{
    (void)state;
    const struct net_address peer_group = {{0xff, 0x02, [11] = 1, [12] = 0xff, [15] = 9}};
    const uint8_t peer_group_mac[6] = {0x33, 0x33, 0xff, 0, 0, 9};
    struct said said = advertisement(&peer_ipv6, PEER_TARGET_MAC);
    hear(&said); /* not asked yet */
    assert_int_equal(count_of(METRIC_NET_DROP_NDP_UNSOLICITED), 1);
    assert_null(resolve(&peer_ipv6));
    const struct ndp_neighbour *message = assert_message(last_sent(), NDP_SOLICITATION, 0);
    assert_addresses(last_sent(), &our_ipv6, &peer_group, peer_group_mac);
    assert_memory_equal(&message->target, &peer_ipv6, 16);
    assert_memory_equal(message + 1, ((const uint8_t[]){1, 1, 0x02, 0, 0, 0, 0, 1}), 8);

    said.rest = NDP_FLAG_OVERRIDE;
    hear(&said);
    assert_null(resolve(&peer_ipv6));
    said.rest = NDP_FLAG_SOLICITED;
    said.options = (struct bytes){0};
    hear(&said);
    assert_null(resolve(&peer_ipv6));
    said.options = PEER_TARGET_MAC;
    hear(&said);
    assert_memory_equal(resolve(&peer_ipv6), peer_mac, 6);
    int64_t before = count_of(METRIC_NET_DROP_NDP_UNSOLICITED);
    hear(&said); /* once more: nobody asked again, so it confirms nothing */
    assert_int_equal(count_of(METRIC_NET_DROP_NDP_UNSOLICITED), before + 1);
}

/* A known neighbour is asked in unicast when somebody else claims its address, and stays; an answer
 * without a MAC confirms. */
static void is_not_taken_over(void **state)
{
    (void)state;
    assert_null(resolve(&peer_ipv6));
    struct said said = advertisement(&peer_ipv6, PEER_TARGET_MAC);
    hear(&said);
    net.now_ns += 10 * SECOND;
    uint32_t before = nic.sent_count;
    struct said claim = advertisement(&peer_ipv6, OTHER_TARGET_MAC);
    for (uint32_t i = 0; i < 10; i++) {
        claim.rest = i % 2 == 0 ? NDP_FLAG_OVERRIDE : NDP_FLAG_OVERRIDE | NDP_FLAG_SOLICITED;
        hear(&claim);
    }
    assert_int_equal(nic.sent_count, before + 1);
    assert_message(last_sent(), NDP_SOLICITATION, 0);
    assert_addresses(last_sent(), &our_ipv6, &peer_ipv6, peer_mac);
    said.options = (struct bytes){0};
    hear(&said);
    net.now_ns += 30 * SECOND;
    assert_memory_equal(resolve(&peer_ipv6), peer_mac, 6);
    assert_int_equal(nic.sent_count, before + 1);
}

/* ---- routers ---- */

/* Solicited from the link-local address at growing intervals until one advertises itself; used when
 * it has answered; let go when its time is over, and solicited again. */
static void finds_a_router(void **state)
{
    (void)state;
    net.link.locals[2].vlan = net.link.locals[4].vlan = 0; /* untagged only */
    net.link.local_count = 4;
    become_tentative();
    run(3 * SECOND);
    int64_t before = count_of(METRIC_NET_NDP_SOLICITATIONS);
    const struct net_address all_routers = {{0xff, 0x02, [15] = 2}};
    const uint8_t all_routers_mac[6] = {0x33, 0x33, 0, 0, 0, 2};
    run(61 * SECOND); /* at 4, 12, 28 and 60 after the first */
    assert_in_range(count_of(METRIC_NET_NDP_SOLICITATIONS) - before, 3, 5);
    assert_message(last_sent(), NDP_ROUTER_SOLICITATION, 0);
    assert_addresses(last_sent(), &our_link_local, &all_routers, all_routers_mac);
    assert_int_equal(last_sent()->size, 54 + 8 + 8);
    assert_null(resolve(&far_ipv6));

    struct said said = router_says(30);
    hear(&said);
    assert_null(resolve(&far_ipv6));
    assert_message(last_sent(), NDP_SOLICITATION, 0);
    struct said answer = advertisement(&router_scoped, OTHER_TARGET_MAC);
    answer.rest |= NDP_FLAG_ROUTER;
    answer.to = our_link_local;
    hear(&answer);
    assert_memory_equal(resolve(&far_ipv6), other_mac, 6);
    run(20 * SECOND);
    hear(&said); /* again: its time starts over */
    run(20 * SECOND);
    assert_memory_equal(resolve(&far_ipv6), other_mac, 6);
    before = count_of(METRIC_NET_NDP_SOLICITATIONS);
    run(60 * SECOND);
    assert_null(resolve(&far_ipv6));
    assert_int_equal(net.link.locals[US].router, LINK_ROUTER_NONE);
    assert_int_equal(net.router_count, 0);
    assert_true(count_of(METRIC_NET_NDP_SOLICITATIONS) > before);
}

/* A router that leaves says so by a lifetime of 0, or by answering as a host. */
static void lets_a_router_go(void **state)
{
    (void)state;
    for (uint32_t way = 0; way < 2; way++) {
        struct said said = router_says(1800);
        hear(&said);
        struct said answer = advertisement(&router_scoped, OTHER_TARGET_MAC);
        answer.rest |= NDP_FLAG_ROUTER;
        answer.to = our_link_local;
        hear(&answer);
        assert_memory_equal(resolve(&far_ipv6), other_mac, 6);
        if (way == 0) {
            said = router_says(0);
            hear(&said);
        } else {
            run(NEIGHBOUR_CONFIRM_NS); /* asked again */
            answer.rest = NDP_FLAG_SOLICITED;
            hear(&answer);
        }
        assert_null(resolve(&far_ipv6));
        assert_int_equal(net.router_count, 0);
    }
}

/* Advertised routers are bounded, one VLAN cannot take all places, and a router of the options
 * keeps all of them out. */
static void bounds_routers(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 40; i++) {
        struct said said = router_says(1800);
        said.from.octets[15] = (uint8_t)(100 + i);
        said.vlan = i < 20 ? 0 : 7;
        hear(&said);
    }
    assert_int_equal(net.router_count, 2 * NEIGHBOUR_LEARNED_VLAN_MAX);
    assert_true(neighbour_has_learned(&net, 0));
    assert_true(neighbour_has_learned(&net, 7));
    assert_int_equal(count_of(METRIC_NET_DROP_NDP_ROUTERS_FULL),
                     40 - 2 * NEIGHBOUR_LEARNED_VLAN_MAX);
    struct said said = router_says(1800);
    net.options.routers[0] = (struct net_router){gateway_ipv6, 0};
    net.options.router_count = 1;
    hear(&said);
    assert_int_equal(count_of(METRIC_NET_DROP_NDP_OTHER), 1);
    said.from = peer_ipv6; /* not a link-local one */
    hear(&said);
    assert_int_equal(count_of(METRIC_NET_DROP_NDP_MALFORMED), 1);
}

/* A router of the options is asked for as soon as an address can ask, and off-link peers use it. */
static void uses_a_named_router(void **state)
{
    (void)state;
    net.options.routers[0] = (struct net_router){gateway_ipv6, 0};
    net.options.router_count = 1;
    become_tentative();
    neighbour_start(&net);
    run(SECOND / 1000);
    assert_null(resolve(&far_ipv6));
    run(4 * SECOND);
    struct said answer = advertisement(&gateway_ipv6, OTHER_TARGET_MAC);
    hear(&answer);
    assert_memory_equal(resolve(&far_ipv6), other_mac, 6);
    assert_int_equal(net.link.locals[SCOPED].router, LINK_ROUTER_NONE);
}

/* ---- bad input ---- */

/* Each rule of RFC 4861 6.1 and 7.1 broken once. */
static void refuses_malformed(void **state)
{
    (void)state;
    struct said good = solicitation();
    struct said bad[10];
    for (uint32_t i = 0; i < ARRAY_COUNT(bad); i++)
        bad[i] = good;
    bad[0].code = 1;
    bad[1].target = our_group;
    bad[2].options = BYTES("\1\0xxxxxx");       /* no size */
    bad[3].options = BYTES("\1\2xxxxxx");       /* cut */
    bad[4].options = BYTES("\1\1\3xxxxx");      /* a group's MAC */
    bad[5].options = BYTES("\1\1\0\0\0\0\0\0"); /* nobody's */
    bad[6].is_from_nobody = true;               /* with a MAC */
    bad[7].options = BYTES("\1");
    bad[8].is_from_nobody = true; /* not to a group */
    bad[8].options = (struct bytes){0};
    bad[8].to = our_ipv6;
    bad[8].to_mac = NULL;
    bad[9].type = NDP_ADVERTISEMENT; /* solicited, to a group */
    bad[9].rest = NDP_FLAG_SOLICITED;
    for (uint32_t i = 0; i < ARRAY_COUNT(bad); i++) {
        assert_false(hear(&bad[i]));
        assert_int_equal(count_of(METRIC_NET_DROP_NDP_MALFORMED), i + 1);
    }
    uint8_t many[(NDP_OPTIONS_MAX + 1) * 8] = {0};
    for (uint32_t i = 0; i <= NDP_OPTIONS_MAX; i++)
        memcpy(many + i * 8, "\xfe\1", 2);
    struct said lengthy = solicitation();
    lengthy.options = bytes_of(many, sizeof many);
    assert_false(hear(&lengthy));
    assert_int_equal(count_of(METRIC_NET_DROP_NDP_MALFORMED), ARRAY_COUNT(bad) + 1);
    struct said said = {.type = NDP_REDIRECT, .target = our_ipv6};
    hear(&said);
    assert_int_equal(count_of(METRIC_NET_DROP_NDP_REDIRECT), 1);
    said.type = NDP_ROUTER_SOLICITATION;
    hear(&said);
    assert_int_equal(count_of(METRIC_NET_DROP_NDP_OTHER), 1);
    assert_int_equal(nic.sent_count, 0);
}

/* Noise in every field changes no state for good: we stay ready, bounded and without leaks. */
static void survives_noise(void **state)
{
    (void)state;
    for (uint32_t round = 0; round < 50000; round++) {
        uint8_t options[16];
        for (uint32_t i = 0; i < sizeof options; i++)
            options[i] = (uint8_t)(random_u32(&dice) >> 28);
        struct said said = {
            .type = (uint8_t)(NDP_ROUTER_SOLICITATION + random_below(&dice, 5)),
            .from = peer_ipv6,
            .to = random_below(&dice, 2) == 0 ? our_ipv6 : all_nodes,
            .target = our_ipv6,
            .rest = random_u32(&dice),
            .vlan = random_below(&dice, 4) == 0 ? 7 : 0,
            .options = bytes_of(options, random_below(&dice, 3) * 8),
        };
        said.from.octets[14] = (uint8_t)random_u32(&dice);
        if (random_below(&dice, 4) == 0)
            said.from = router_scoped, said.from.octets[14] = (uint8_t)random_u32(&dice);
        said.target.octets[15] = (uint8_t)(random_u32(&dice) >> 30);
        hear(&said);
        run(random_below(&dice, 100000000));
    }
    assert_true(net.router_count <= NEIGHBOUR_LEARNED_MAX);
    assert_int_equal(net.link.locals[US].state, LINK_READY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(detects_at_start, set_up, tear_down),
        cmocka_unit_test_setup_teardown(other_queues_are_silent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(gives_way_to_an_owner, set_up, tear_down),
        cmocka_unit_test_setup_teardown(is_not_its_own_duplicate, set_up, tear_down),
        cmocka_unit_test_setup_teardown(waits_for_a_buffer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(defends_our_address, set_up, tear_down),
        cmocka_unit_test_setup_teardown(answers_for_us, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keeps_vlans_apart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(answers_probes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(asks_and_learns, set_up, tear_down),
        cmocka_unit_test_setup_teardown(is_not_taken_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(finds_a_router, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lets_a_router_go, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bounds_routers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(uses_a_named_router, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_malformed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(survives_noise, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
