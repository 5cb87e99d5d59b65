/* SPDX-License-Identifier: Apache-2.0
 *
 * nic.device in words of the EAL. Pure text: nothing is opened or asked here. */
#ifndef NIC_DEVICE_H
#define NIC_DEVICE_H

#include "stentor/bytes.h"
#include "stentor/error.h"

enum nic_device_kind {
    NIC_DEVICE_TAP,
    NIC_DEVICE_AF_PACKET,
    NIC_DEVICE_AF_XDP,
    NIC_DEVICE_MEMIF,
    NIC_DEVICE_PCI
};

#define NIC_DEVICE_ARGUMENTS_MAX 320u

struct nic_device {
    enum nic_device_kind kind;
    bool is_client;                           /* memif that connects, to whom must be there */
    char interface[16];                       /* kernel interface; empty for memif and PCI */
    char arguments[NIC_DEVICE_ARGUMENTS_MAX]; /* what follows --vdev or --allow */
    uint32_t frame_max;                       /* longest frame the driver may be handed */
    uint32_t room_min; /* what the driver wants a buffer to hold whatever the frame; 0 = nothing */
};

struct nic_device_wish {
    uint32_t queue_count;
    uint32_t descriptor_count;
    uint32_t mtu;
};

/* tap:NAME, af_packet:IFACE, af_xdp:IFACE, memif:SOCKET[,role=server|client] or a PCI address
 * (03:00.0, 0000:03:00.0, driver arguments may follow a comma). On ERROR_INVALID a sentence. */
MUST_USE enum error nic_device_parse(struct nic_device *device, const char *text,
                                     const struct nic_device_wish *wish, struct writer *message);
const char *nic_device_kind_name(enum nic_device_kind kind);

#endif
