/* SPDX-License-Identifier: Apache-2.0
 *
 * The scoreboard against an oracle that keeps the state of every octet: whatever is sent, lost,
 * sent again, SACKED and acknowledged in whatever order, both agree, and the counters are the sums
 * of the records. When records run out it may know less than the oracle, never something else. */
#include "tcp_script.h"

#define OCTETS_MAX 400000u

enum octet { OCTET_SENT, OCTET_SACKED, OCTET_LOST };

struct board {
    struct tcp_row *row;
    struct tcp_hot *hot;
    struct random random;
    uint8_t octets[OCTETS_MAX]; /* enum octet, from snd_una on */
    uint32_t size;
    bool is_exact; /* no record was wanting */
};

static struct script script;
static struct board board;

static void open_board(uint64_t seed, uint32_t references)
{
    script_open(&script);
    script.options.send_references_max = references;
    script_start(&script);
    script_accept(&script);
    board.row = &script.net->rows[script.conn];
    board.row->flags |= TCP_ROW_SACK;
    random_init_seed(&board.random, seed);
    board.row->snd_nxt = 0u - random_below(&board.random, 5000); /* soon past 2^32 */
    board.hot = tcp_unpark(script.net, script.conn);
    assert_non_null(board.hot);
    board.size = 0;
    board.is_exact = true;
}

static void close_board(void)
{
    tcp_sent_drop(script.net, board.hot);
    assert_int_equal(script.net->tcp->sent_pool.used, 0);
    assert_int_equal(board.hot->sent_count, 0);
    board.row->snd_nxt = board.hot->snd_una;
    board.hot->snd_end = board.hot->snd_una;
    script_close(&script);
}

static struct tcp_sent *record_at(uint32_t index)
{
    return &script.net->tcp->sents[index];
}

static void check_record(const struct tcp_sent *record)
{
    uint32_t from = record->seq - board.hot->snd_una;
    for (uint32_t i = from; i < from + record->size; i++) {
        if ((record->flags & TCP_SENT_SACKED) != 0)
            assert_int_equal(board.octets[i], OCTET_SACKED);
        else if ((record->flags & TCP_SENT_LOST) != 0)
            assert_int_equal(board.octets[i], OCTET_LOST);
        else if (board.is_exact)
            assert_int_equal(board.octets[i], OCTET_SENT);
    }
}

static void check(void)
{
    assert_true(tcp_sent_is_valid(script.net, board.hot));
    for (uint32_t i = board.hot->sent_head; i != POOL_NONE; i = record_at(i)->next)
        check_record(record_at(i));
}

static void set_octets(uint32_t from, uint32_t size, enum octet state)
{
    memset(board.octets + from, (int)state, size);
}

static void add(uint32_t size)
{
    if (board.size + size > OCTETS_MAX)
        return;
    if (board.hot->sent_count >= TCP_SENT_RECORDS_MAX) { /* will grow, perhaps a SACKED one */
        board.is_exact = false;
        struct tcp_sent *tail = record_at(board.hot->sent_tail);
        if ((tail->flags & TCP_SENT_LOST) != 0)
            return; /* never done: what is lost goes first */
    }
    tcp_sent_add(script.net, board.hot, board.row->snd_nxt, size);
    board.row->snd_nxt += size;
    set_octets(board.size, size, OCTET_SENT);
    board.size += size;
}

static struct tcp_ack_news news_of(uint32_t ack)
{
    return (struct tcp_ack_news){.now_ns = script.now_ns,
                                 .now_us = (uint32_t)(script.now_ns / NS_PER_US),
                                 .ack = board.hot->snd_una + ack};
}

static uint32_t count_octets(uint32_t from, uint32_t to, enum octet state)
{
    uint32_t count = 0;
    for (uint32_t i = from; i < to; i++)
        count += board.octets[i] == state;
    return count;
}

static void ack(uint32_t size)
{
    struct tcp_ack_news news = news_of(size);
    uint32_t fresh = size - count_octets(0, size, OCTET_SACKED);
    tcp_sent_acked(script.net, board.hot, &news);
    if (board.is_exact)
        assert_int_equal(news.delivered, fresh);
    board.hot->snd_una += size;
    board.size -= size;
    memmove(board.octets, board.octets + size, board.size);
}

/* A block that lies ahead of snd_una and within what was sent is believed. */
static void sack_block(uint32_t from, uint32_t to)
{
    if (from == 0 || from >= to || to > board.size)
        return;
    set_octets(from, to - from, OCTET_SACKED);
}

static void sack(void)
{
    struct tcp_sack_block blocks[TCP_SACKS_MAX];
    uint32_t una = board.hot->snd_una;
    uint32_t count = 1 + random_below(&board.random, TCP_SACKS_MAX);
    uint32_t fresh = count_octets(0, board.size, OCTET_SACKED);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t from = random_below(&board.random, board.size + 100);
        uint32_t to = from + random_below(&board.random, 3000);
        blocks[i] = (struct tcp_sack_block){una + from, una + to};
        if (i == 0 && count > 1)
            blocks[0].end = blocks[0].start; /* no duplicate, in no case */
        if (blocks[i].end != blocks[i].start)
            sack_block(from, to);
    }
    fresh = count_octets(0, board.size, OCTET_SACKED) - fresh;
    struct tcp_ack_news news = news_of(0);
    tcp_sent_sacked(script.net, board.hot, blocks, count, &news);
    if (board.hot->sent_count >= TCP_SENT_RECORDS_MAX ||
        script_metric(&script, METRIC_TCP_RECORDS_REFUSED) != 0)
        board.is_exact = false;
    if (board.is_exact && count > 1)
        assert_int_equal(news.delivered, fresh);
}

static void lose_one(void)
{
    uint32_t left = random_below(&board.random, board.hot->sent_count);
    uint32_t index = board.hot->sent_head;
    while (left-- > 0)
        index = record_at(index)->next;
    struct tcp_sent *record = record_at(index);
    if ((record->flags & TCP_SENT_SACKED) != 0)
        return;
    tcp_sent_lose(board.hot, record);
    set_octets(record->seq - board.hot->snd_una, record->size, OCTET_LOST);
}

static void send_lost_again(uint32_t room)
{
    uint32_t index = tcp_sent_find_lost(script.net, board.hot->sent_head);
    if (index == POOL_NONE)
        return;
    tcp_sent_join_lost(script.net, board.hot, index, room);
    struct tcp_sent *record = record_at(index);
    bool is_cut = record->size > room && tcp_sent_cut(script.net, board.hot, index, room);
    if (record->size > room && !is_cut)
        board.is_exact = false;
    tcp_sent_again(script.net, board.hot, index, record->size > room ? TCP_SENT_PART : 0);
    set_octets(record->seq - board.hot->snd_una, record->size, OCTET_SENT);
    assert_int_equal(record->flags & TCP_SENT_RESENT, TCP_SENT_RESENT);
}

static void renege(void)
{
    tcp_sent_renege(script.net, board.hot);
    for (uint32_t i = 0; i < board.size; i++)
        if (board.octets[i] == OCTET_SACKED)
            board.octets[i] = OCTET_SENT;
}

static void act(void)
{
    uint32_t dice = random_below(&board.random, 20);
    script.now_ns += random_below(&board.random, 1000) * NS_PER_US;
    script.net->now_ns = script.now_ns;
    if (dice < 8)
        add(1 + random_below(&board.random, 1500));
    else if (board.size == 0)
        return;
    else if (dice < 12)
        ack(random_below(&board.random, board.size < 4000 ? board.size + 1 : 4000));
    else if (dice < 16)
        sack();
    else if (dice < 18)
        lose_one();
    else if (dice == 18)
        send_lost_again(700 + random_below(&board.random, 800));
    else if (random_below(&board.random, 8) == 0)
        renege();
}

/* PART: only what one segment holds was sent again, which the oracle does not know. */
static void scripts_agree_with_the_oracle(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        open_board(seed, 256);
        for (uint32_t i = 0; i < 400; i++) {
            act();
            check();
        }
        close_board();
    }
}

/* With four records in the pool nearly everything grows the last one; the counters hold. */
static void scripts_without_records_stay_sound(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        open_board(seed, 4);
        board.is_exact = false;
        for (uint32_t i = 0; i < 300; i++) {
            uint32_t dice = random_below(&board.random, 8);
            script.now_ns += NS_PER_MS;
            script.net->now_ns = script.now_ns;
            if (dice < 4) {
                tcp_sent_add(script.net, board.hot, board.row->snd_nxt, 1000);
                board.row->snd_nxt += 1000;
            } else if (board.hot->sent_head != POOL_NONE) {
                board.size = board.row->snd_nxt - board.hot->snd_una;
                if (dice == 4)
                    tcp_sent_lose(board.hot, record_at(board.hot->sent_head));
                else if (dice == 5)
                    ack(random_below(&board.random, board.size + 1));
                else if (dice == 6)
                    sack();
                else
                    send_lost_again(1000);
                uint32_t head = board.hot->sent_head;
                if (head != POOL_NONE && (record_at(head)->flags & TCP_SENT_SACKED) != 0)
                    tcp_sent_renege(script.net, board.hot);
            }
            assert_true(tcp_sent_is_valid(script.net, board.hot));
        }
        close_board();
    }
}

/* One segment in flight uses the extension's own record and no pool. */
static void one_segment_needs_no_pool(void **state)
{
    (void)state;
    open_board(1, 4);
    for (uint32_t i = 0; i < 100; i++) {
        add(100);
        assert_int_equal(script.net->tcp->sent_pool.used, 0);
        ack(100);
    }
    add(100);
    add(100);
    assert_int_equal(script.net->tcp->sent_pool.used, 1);
    close_board();
}

/* Blocks that make no sense are counted and change nothing: ahead of snd_nxt, backwards, empty,
 * from snd_una or below it on. Those below the acknowledgement, or within the second, are
 * duplicates; only the first can be one. */
static void lies_are_ignored(void **state)
{
    (void)state;
    open_board(1, 64);
    for (uint32_t i = 0; i < 10; i++)
        add(1000);
    uint32_t una = board.hot->snd_una;
    const struct tcp_sack_block bad[] = {
        {una + 9000, una + 10001},
        {una + 20000, una + 30000},
        {una + 3000, una + 2000},
        {una + 3000, una + 3000},
        {una, una + 1000},
        {una - 500, una + 500},
        {una + 0x40000000, una - 0x40000000},
    };
    for (uint32_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct tcp_ack_news news = news_of(0);
        tcp_sent_sacked(script.net, board.hot, &bad[i], 1, &news);
        assert_int_equal(news.delivered, 0);
        assert_false(news.has_dsack);
        assert_int_equal(script_metric(&script, METRIC_TCP_SACKS_BAD), i + 1);
    }
    const struct tcp_sack_block pairs[][2] = {
        {{una - 1000, una}, {una + 2000, una + 3000}},
        {{una + 2100, una + 2200}, {una + 2000, una + 3000}},
    };
    for (uint32_t i = 0; i < ARRAY_COUNT(pairs); i++) {
        struct tcp_ack_news news = news_of(0);
        tcp_sent_sacked(script.net, board.hot, pairs[i], 2, &news);
        assert_true(news.has_dsack);
        assert_int_equal(news.dsack.start, pairs[i][0].start);
    }
    assert_int_equal(board.hot->sacked, 1000);
    assert_int_equal(script_metric(&script, METRIC_TCP_DSACKS), 2);
    close_board();
}

/* CVE-2019-11477 and -11478: hundreds of thousands of one-octet blocks leave a bounded list, and
 * the counters of segments do not overflow. */
static void a_flood_of_small_blocks_is_bounded(void **state)
{
    (void)state;
    open_board(1, 4096);
    for (uint32_t i = 0; i < 120; i++)
        add(1460);
    for (uint32_t i = 0; i < 200000; i++) {
        uint32_t at = board.hot->snd_una + 1 + (i * 7919) % (board.size - 2);
        struct tcp_sack_block block = {at, at + 1};
        struct tcp_ack_news news = news_of(0);
        tcp_sent_sacked(script.net, board.hot, &block, 1, &news);
        assert_true(board.hot->sent_count <= TCP_SENT_RECORDS_MAX);
    }
    assert_true(tcp_sent_is_valid(script.net, board.hot));
    for (uint32_t i = 0; i < 100000; i++) {
        tcp_sent_add(script.net, board.hot, board.row->snd_nxt, 1);
        board.row->snd_nxt++;
    }
    assert_true(tcp_sent_is_valid(script.net, board.hot));
    struct tcp_sack_block all = {board.hot->snd_una + 1, board.row->snd_nxt};
    struct tcp_ack_news news = news_of(0);
    tcp_sent_sacked(script.net, board.hot, &all, 1, &news);
    assert_true(tcp_sent_is_valid(script.net, board.hot));
    close_board();
}

/* Karn: what was sent twice measures nothing, and spoils what is acknowledged with it; of the rest
 * the oldest counts. */
static void only_what_was_sent_once_measures(void **state)
{
    (void)state;
    open_board(1, 64);
    for (uint32_t i = 0; i < 3; i++) {
        add(1000);
        script.now_ns += NS_PER_MS;
        script.net->now_ns = script.now_ns;
    }
    struct tcp_ack_news news = news_of(2000);
    tcp_sent_acked(script.net, board.hot, &news);
    assert_true(news.has_sample);
    assert_false(news.is_ambiguous);
    assert_int_equal(news.sample_us, 3000);
    board.hot->snd_una += 2000;
    add(1000);
    tcp_sent_lose(board.hot, record_at(board.hot->sent_head));
    tcp_sent_again(script.net, board.hot, board.hot->sent_head, 0);
    news = news_of(2000);
    tcp_sent_acked(script.net, board.hot, &news);
    assert_true(news.is_ambiguous);
    board.hot->snd_una += 2000;
    close_board();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scripts_agree_with_the_oracle),
        cmocka_unit_test(scripts_without_records_stay_sound),
        cmocka_unit_test(one_segment_needs_no_pool),
        cmocka_unit_test(lies_are_ignored),
        cmocka_unit_test(a_flood_of_small_blocks_is_bounded),
        cmocka_unit_test(only_what_was_sent_once_measures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
