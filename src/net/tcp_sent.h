/* SPDX-License-Identifier: Apache-2.0
 *
 * The scoreboard: what of a connection is in flight, as records in sequence order that cover
 * exactly [snd_una, row.snd_nxt). A record is one segment as it was sent; its place on the way:
 *
 *     sent --SACK block--> SACKED --cumulative ack--> gone
 *       \--judged lost--> LOST --sent again--> sent, RESENT
 *
 * Each extension owns one record (record k of extension k), so a connection with one segment in
 * flight needs no pool; more come from a pool of the worker, at most TCP_SENT_RECORDS_MAX a
 * connection. When there is none to be had the last record grows by the new segment: nothing is
 * ever not sent for want of a record, it is only known less exactly (RFC 2018, 2883, 6675; bounded
 * work: CVE-2019-11477 to -11479). Owner: one worker. */
#ifndef STENTOR_NET_TCP_SENT_H
#define STENTOR_NET_TCP_SENT_H

#include "tcp_hot.h"
#include "tcp_options.h"

struct net;

#define TCP_SENT_RECORDS_MAX 256u /* the largest send queue by default, in full segments */

#define TCP_SENT_SACKED 0x01u
#define TCP_SENT_LOST 0x02u   /* and not sent again yet */
#define TCP_SENT_RESENT 0x04u /* more than once: measures nothing (Karn) */
#define TCP_SENT_PART 0x08u   /* only its first segment was sent again, for want of a record */

struct tcp_sent {
    uint32_t seq;
    uint32_t size;       /* sequence numbers: the FIN counts */
    uint32_t sent_at_us; /* the last time, of its last segment; wrapping */
    uint32_t next;       /* POOL_NONE ends */
    uint16_t segments;   /* that it covers; saturating */
    uint8_t flags;       /* TCP_SENT_* */
    uint8_t spare;
};
static_assert(sizeof(struct tcp_sent) == 20, "docs/LIMITS.md counts on 20 octets");

/* What one acknowledgement says of what was sent. tcp_ack_begin() fills in the upper part, the
 * functions below the rest. */
struct tcp_ack_news {
    uint64_t now_ns;
    uint32_t now_us; /* wrapping */
    uint32_t ack;
    uint32_t echo_ms; /* now_ns in milliseconds when what the peer echoes was sent; wrapping */
    bool has_echo;

    bool has_end;
    uint32_t end;       /* of the last record delivered */
    uint32_t delivered; /* octets acknowledged or SACKed for the first time */
    uint32_t sample_us; /* round trip of the oldest acknowledged that was sent once */
    bool has_sample;
    bool is_ambiguous; /* something was acknowledged that was sent more than once: Karn */
    bool is_spurious;  /* by its timestamp, the peer acknowledges what we sent before resending */
    bool is_repairing; /* snd_una had not passed recover */
    bool has_dsack;
    struct tcp_sack_block dsack;
};

static inline uint32_t tcp_sent_end(const struct tcp_sent *record)
{
    return record->seq + record->size;
}

/* Octets [seq, seq + size) left for the first time; seq is row.snd_nxt of before. */
void tcp_sent_add(struct net *net, struct tcp_hot *hot, uint32_t seq, uint32_t size);
/* The first record at or after `index` that is LOST; POOL_NONE when there is none. */
uint32_t tcp_sent_find_lost(const struct net *net, uint32_t index);
/* Takes the LOST records that follow a LOST record into it until it has at least `size`. */
void tcp_sent_join_lost(struct net *net, struct tcp_hot *hot, uint32_t index, uint32_t size);
/* Cuts a record down to `size`, the rest becomes one of its own. False when there is no record for
 * it. */
bool tcp_sent_cut(struct net *net, struct tcp_hot *hot, uint32_t index, uint32_t size);
/* The record was sent again, just now: whole, or its first segment only. */
void tcp_sent_again(struct net *net, struct tcp_hot *hot, uint32_t index, uint8_t part);
/* Not a SACKED one. Sets TCP_SENDER_NEWLY_LOST. */
void tcp_sent_lose(struct tcp_hot *hot, struct tcp_sent *record);
/* Everything in flight, as after a timeout without SACK. Calls for no recovery. */
void tcp_sent_lose_all(struct net *net, struct tcp_hot *hot);
/* What was marked LOST is taken to be on its way after all. */
void tcp_sent_trust_all(struct net *net, struct tcp_hot *hot);
/* What is larger than a segment may be now, and did not arrive. Calls for no recovery. */
void tcp_sent_lose_large(struct net *net, struct tcp_hot *hot, uint32_t size_max);
/* SACKED is forgotten: the peer may have thrown those octets away (RFC 2018 8). */
void tcp_sent_renege(struct net *net, struct tcp_hot *hot);
/* The cumulative acknowledgement news->ack; before snd_una moves. */
void tcp_sent_acked(struct net *net, struct tcp_hot *hot, struct tcp_ack_news *news);
/* The SACK blocks of a segment; after tcp_sent_acked(). Those that make no sense are counted and
 * ignored. */
void tcp_sent_sacked(struct net *net, struct tcp_hot *hot, const struct tcp_sack_block *blocks,
                     uint32_t count, struct tcp_ack_news *news);
/* Gives all records back. */
void tcp_sent_drop(struct net *net, struct tcp_hot *hot);
/* For tcp_is_valid(). */
bool tcp_sent_is_valid(const struct net *net, const struct tcp_hot *hot);

#endif
