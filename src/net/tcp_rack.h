/* SPDX-License-Identifier: Apache-2.0
 *
 * RACK-TLP (RFC 8985), the part that is per connection and pure: which transmission is the newest
 * known to be delivered, how far reordering may reach, and the probe of the tail that is out. Times
 * in microseconds of a wrapping 32-bit clock, compared by signed distance. Lives in the extension,
 * all zero at first. Owner: one worker. */
#ifndef STENTOR_NET_TCP_RACK_H
#define STENTOR_NET_TCP_RACK_H

#include "stentor/bytes.h"

struct tcp_sent;
struct tcp_ack_news;

#define TCP_RACK_SEEN 0x01u        /* something was delivered: xmit_us and the rest hold */
#define TCP_RACK_REORDERED 0x02u   /* 6.2 step 3: the path reorders */
#define TCP_RACK_ROUND 0x04u       /* dsack_round holds */
#define TCP_RACK_PROBE 0x08u       /* a probe is out: probe_end holds */
#define TCP_RACK_PROBE_AGAIN 0x10u /* and it was a retransmission: TLP.is_retrans */
#define TCP_RACK_PROBE_ACKED 0x20u /* probe_delay_us holds, until it is known of which it was */

#define TCP_RACK_FACK 0x40u /* fack holds */

#define TCP_RACK_PERSIST 16u /* recoveries that a widened window lasts without a DSACK */

struct tcp_rack {
    uint32_t xmit_us; /* RACK.xmit_ts; of the SYN in SYN_SENT */
    uint32_t end_seq;
    uint32_t rtt_us;
    uint32_t min_rtt_us;
    uint32_t fack;           /* highest sequence number delivered */
    uint32_t dsack_round;    /* snd_nxt when reo_wnd_mult was last widened */
    uint32_t probe_end;      /* TLP.end_seq */
    uint32_t probe_delay_us; /* first sending of the probed segment; then how long its ACK took */
    uint8_t window_mult;     /* of min_rtt / 4, less 1 */
    uint8_t window_persist;
    uint8_t flags; /* TCP_RACK_* */
    uint8_t spare;
};
static_assert(sizeof(struct tcp_rack) == 36, "a place in line 2 of the extension");

/* Whether (a_us, a_end) was sent after (b_us, b_end): RACK_sent_after(). */
static inline bool tcp_rack_is_after(uint32_t a_us, uint32_t a_end, uint32_t b_us, uint32_t b_end)
{
    int32_t distance = (int32_t)(a_us - b_us);
    return distance > 0 || (distance == 0 && (int32_t)(a_end - b_end) > 0);
}

/* RFC 8985 6.2 steps 1 to 3 for a record that was just delivered. */
void tcp_rack_delivered(struct tcp_rack *rack, const struct tcp_sent *record,
                        struct tcp_ack_news *news);
/* After all records of an acknowledgement: what follows in one acknowledgement is not reordered
 * among itself. */
void tcp_rack_note(struct tcp_rack *rack, const struct tcp_ack_news *news);
/* Step 4, the DSACK's part: once a round trip the window is widened by a quarter of min_rtt. */
void tcp_rack_widen(struct tcp_rack *rack, uint32_t una, uint32_t snd_nxt);
/* A recovery is over: after sixteen without a DSACK the window is narrow again. */
void tcp_rack_recovered(struct tcp_rack *rack);

enum tcp_rack_evidence {
    TCP_RACK_WAIT,  /* fewer than three segments SACKED, and not recovering */
    TCP_RACK_PROMPT /* dup-thresh: without reordering nothing needs to be waited for */
};
/* Step 4: how long after RACK.rtt a segment counts as lost. */
uint32_t tcp_rack_window_us(const struct tcp_rack *rack, uint32_t srtt_us,
                            enum tcp_rack_evidence evidence);

#endif
