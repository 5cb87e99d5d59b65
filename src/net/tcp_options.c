/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading and writing TCP options. The layout everybody sends in a data segment (NOP NOP
 * timestamps, RFC 7323 appendix A) is read without a walk. Any thread. */
#include "tcp_options.h"

#include "stentor/byteorder.h"

#include "wire.h"

static uint32_t be32_at(const uint8_t *at)
{
    struct be32 value;
    memcpy(&value, at, sizeof value);
    return be32_get(value);
}

static void read_timestamps(const uint8_t *body, struct tcp_options *read)
{
    read->has_timestamps = true;
    read->ts_value = be32_at(body);
    read->ts_echo = be32_at(body + 4);
}

static void read_sacks(struct bytes body, struct tcp_options *read)
{
    while (body.size >= 8 && read->sack_count < TCP_SACKS_MAX) {
        read->sacks[read->sack_count++] =
            (struct tcp_sack_block){be32_at(body.at), be32_at(body.at + 4)};
        body = bytes_from(body, 8);
    }
}

static void read_mss(const uint8_t *body, struct tcp_options *read)
{
    read->has_mss = true;
    read->offer.mss = (uint16_t)(body[0] << 8 | body[1]);
}

static void read_option(uint8_t kind, struct bytes body, struct tcp_options *read)
{
    if (kind == TCP_OPTION_MSS && body.size == 2)
        read_mss(body.at, read);
    else if (kind == TCP_OPTION_WINDOW_SCALE && body.size == 1)
        read->offer.scale = body.at[0] > TCP_SCALE_MAX ? TCP_SCALE_MAX : body.at[0];
    else if (kind == TCP_OPTION_SACK_PERMITTED && body.size == 0)
        read->offer.has_sack = true;
    else if (kind == TCP_OPTION_TIMESTAMPS && body.size == 8)
        read_timestamps(body.at, read);
    else if (kind == TCP_OPTION_SACK && body.size % 8 == 0)
        read_sacks(body, read);
}

static const uint8_t plain_start[4] = {TCP_OPTION_NOP, TCP_OPTION_NOP, TCP_OPTION_TIMESTAMPS, 10};

void tcp_options_read(struct bytes options, struct tcp_options *read)
{
    read->has_timestamps = false;
    read->has_mss = false;
    read->offer = (struct tcp_offer){.mss = TCP_MSS_DEFAULT, .scale = TCP_SCALE_NONE};
    read->sack_count = 0;
    if (IS_LIKELY(options.size == TCP_TIMESTAMPS_SIZE) &&
        memcmp(options.at, plain_start, sizeof plain_start) == 0) {
        read_timestamps(options.at + sizeof plain_start, read);
        return;
    }
    struct cursor cursor = cursor_of(options);
    uint8_t kind;
    while (cursor_u8(&cursor, &kind) && kind != TCP_OPTION_END) {
        if (kind == TCP_OPTION_NOP)
            continue;
        uint8_t size;
        struct bytes body;
        if (!cursor_u8(&cursor, &size) || size < 2 || !cursor_take(&cursor, size - 2u, &body))
            return;
        read_option(kind, body, read);
    }
}

void tcp_options_write_timestamps(uint8_t *at, uint32_t value, uint32_t echo)
{
    struct be32 words[2] = {be32_of(value), be32_of(echo)};
    memcpy(at, plain_start, sizeof plain_start);
    memcpy(at + sizeof plain_start, words, sizeof words);
}

uint32_t tcp_options_write_syn(uint8_t *at, const struct tcp_offer *ours,
                               const struct tcp_options *timestamps)
{
    uint32_t size = 4;
    at[0] = TCP_OPTION_MSS;
    at[1] = 4;
    at[2] = (uint8_t)(ours->mss >> 8);
    at[3] = (uint8_t)ours->mss;
    if (ours->scale != TCP_SCALE_NONE) {
        uint8_t option[4] = {TCP_OPTION_NOP, TCP_OPTION_WINDOW_SCALE, 3, ours->scale};
        memcpy(at + size, option, sizeof option);
        size += (uint32_t)sizeof option;
    }
    uint8_t permitted[4] = {TCP_OPTION_SACK_PERMITTED, 2, TCP_OPTION_NOP, TCP_OPTION_NOP};
    if (timestamps != NULL) {
        tcp_options_write_timestamps(at + size, timestamps->ts_value, timestamps->ts_echo);
        if (ours->has_sack)
            memcpy(at + size, permitted, 2); /* in place of the padding */
        size += TCP_TIMESTAMPS_SIZE;
    } else if (ours->has_sack) {
        memcpy(at + size, permitted, sizeof permitted);
        size += (uint32_t)sizeof permitted;
    }
    return size;
}

uint32_t tcp_options_write_sack(uint8_t *at, const struct tcp_sack_block *blocks, uint32_t count)
{
    ASSERT(count <= TCP_SACKS_MAX);
    if (count == 0)
        return 0;
    uint8_t start[4] = {TCP_OPTION_NOP, TCP_OPTION_NOP, TCP_OPTION_SACK,
                        (uint8_t)(2 + 8 * count)};
    memcpy(at, start, sizeof start);
    for (uint32_t i = 0; i < count; i++) {
        struct be32 edges[2] = {be32_of(blocks[i].start), be32_of(blocks[i].end)};
        memcpy(at + 4 + 8 * (size_t)i, edges, sizeof edges);
    }
    return 4 + 8 * count;
}
