/* SPDX-License-Identifier: Apache-2.0
 *
 * What the export writes and the import reads: the image, beside an arena that holds the rows. See
 * stentor/net.h for the contract. The image is for the same machine and the same layout of rows:
 * numbers as the processor has them, sizes of rows in the header. The body is tcp.recent_syns, then
 * the busy connections. Any thread that owns the net. */
#ifndef STENTOR_NET_UPGRADE_H
#define STENTOR_NET_UPGRADE_H

#include "net_state.h"

#define UPGRADE_MAGIC UINT64_C(0x31474d4954454e53) /* "SNETIMG1" */
#define UPGRADE_VERSION 1u

/* A stretch of rows in the arena. */
struct upgrade_stretch {
    uint64_t offset; /* from the arena's first octet */
    uint32_t row_size;
    uint32_t row_count;
};

enum upgrade_stretches {
    UPGRADE_ROWS,
    UPGRADE_GENERATIONS,
    UPGRADE_DEADLINES,
    UPGRADE_TIME_WAIT,
    UPGRADE_STRETCHES
};

struct upgrade_header {
    uint64_t magic;
    uint32_t version;
    uint32_t header_size;
    uint64_t body_size;
    uint64_t
        check; /* SipHash-2-4 under key of the header (this field 0), the body, all stretches */
    uint64_t exported_at_ns;
    struct siphash_key key;
    struct upgrade_stretch stretches[UPGRADE_STRETCHES];
    struct siphash_key cookie_keys[2];
    uint64_t cookie_epoch;
    uint64_t cookie_epoch_end_ns;
    uint32_t receive_window;
    uint32_t local_count;
    struct net_local locals[NET_LOCALS_MAX];
    uint32_t time_wait_first;
    uint32_t time_wait_count;
    uint32_t busy_count; /* connections in the body */
    uint32_t spare;
};

/* A connection that was busy: its row is in the arena, what it borrowed stands here, followed by
 * its references and, for each of them, its octets. */
struct upgrade_busy {
    uint32_t conn;
    uint32_t snd_una;
    uint32_t snd_end;
    uint32_t seq_start; /* of the first reference */
    uint32_t reference_count;
    uint32_t flags; /* TCP_HOT_FIN_QUEUED, TCP_HOT_REFUSED */
};

struct upgrade_reference {
    uint32_t size;
    uint32_t tag;
};

#endif
