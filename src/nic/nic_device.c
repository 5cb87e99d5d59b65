/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads nic.device and spells it as the driver's own arguments. A form is a row of forms[]; what
 * has no known prefix must be a PCI address.
 *
 * Two numbers are fixed here because the drivers do not defend themselves:
 *  - net_af_packet frees a frame longer than its ring's slot without telling the caller which, so
 *    the slot is made large enough for the MTU and frame_max is what fits it;
 *  - net_memif splits what exceeds its buffer and peers differ in how they join: one buffer holds
 *    a whole frame. */
#include <stdio.h>

#include "nic_device.h"

#define ETHERNET_SIZE 14u
#define FRAME_EXTRA 18u           /* Ethernet header and one VLAN tag */
#define AF_PACKET_SLOT_HEADER 52u /* TPACKET2_HDRLEN: what the kernel puts before a frame */
#define AF_PACKET_SLOT_MIN 2048u
#define AF_PACKET_BLOCK_MIN 4096u
#define MEMIF_BUFFER_MIN 2048u
#define MEMIF_SOCKET_MAX 107u /* sun_path */
#define MEMIF_RING_LOG2_MAX 14u
#define XDP_FRAME_MAX 3072u /* a page less headroom and what the kernel keeps for itself */

static enum error refuse(struct writer *message, const char *text, const char *why)
{
    write_string(message, "nic.device: \"");
    write_string(message, text);
    write_string(message, "\": ");
    write_string(message, why);
    return ERROR_INVALID;
}

static uint32_t power_of_two_above(uint32_t value, uint32_t least)
{
    while (least < value)
        least *= 2;
    return least;
}

/* The kernel's rule for interface names (dev_valid_name), and no comma: arguments end at it. */
static bool is_interface_name(struct bytes name)
{
    if (name.size == 0 || name.size >= sizeof((struct nic_device *)0)->interface)
        return false;
    if (bytes_equal(name, BYTES(".")) || bytes_equal(name, BYTES("..")))
        return false;
    for (size_t i = 0; i < name.size; i++) {
        uint8_t octet = name.at[i];
        if (octet <= ' ' || octet >= 0x7f || octet == '/' || octet == ':' || octet == ',')
            return false;
    }
    return true;
}

static bool take_interface(struct nic_device *device, struct bytes rest)
{
    if (!is_interface_name(rest))
        return false;
    memcpy(device->interface, rest.at, rest.size);
    device->interface[rest.size] = 0;
    return true;
}

static const char *parse_tap(struct nic_device *device, struct bytes rest,
                             const struct nic_device_wish *wish)
{
    (void)wish;
    if (!take_interface(device, rest))
        return "after tap: give an interface name of 1 to 15 letters, as in tap:stn0";
    (void)snprintf(device->arguments, sizeof device->arguments, "net_tap0,iface=%s",
                   device->interface);
    return NULL;
}

static const char *parse_af_packet(struct nic_device *device, struct bytes rest,
                                   const struct nic_device_wish *wish)
{
    if (!take_interface(device, rest))
        return "after af_packet: give the name of a kernel interface, as in af_packet:eth1";
    uint32_t slot =
        power_of_two_above(wish->mtu + FRAME_EXTRA + AF_PACKET_SLOT_HEADER, AF_PACKET_SLOT_MIN);
    uint32_t block = slot > AF_PACKET_BLOCK_MIN ? slot : AF_PACKET_BLOCK_MIN;
    uint32_t frames = power_of_two_above(wish->descriptor_count, block / slot);
    (void)snprintf(device->arguments, sizeof device->arguments,
                   "net_af_packet0,iface=%s,qpairs=%u,framesz=%u,blocksz=%u,framecnt=%u",
                   device->interface, wish->queue_count, slot, block, frames);
    /* What the kernel takes untagged; a longer frame would stand in the ring as refused. */
    device->frame_max = wish->mtu + ETHERNET_SIZE;
    device->room_min = slot;
    return NULL;
}

static const char *parse_af_xdp(struct nic_device *device, struct bytes rest,
                                const struct nic_device_wish *wish)
{
    if (!take_interface(device, rest))
        return "after af_xdp: give the name of a kernel interface, as in af_xdp:eth1";
    if (wish->mtu + FRAME_EXTRA > XDP_FRAME_MAX)
        return "af_xdp carries frames within one page: net.mtu must be at most 3054";
    (void)snprintf(device->arguments, sizeof device->arguments,
                   "net_af_xdp0,iface=%s,start_queue=0,queue_count=%u", device->interface,
                   wish->queue_count);
    return NULL;
}

static const char *parse_memif(struct nic_device *device, struct bytes rest,
                               const struct nic_device_wish *wish)
{
    size_t path_size = bytes_find(rest, ',');
    struct bytes path = bytes_slice(rest, 0, path_size);
    struct bytes option = bytes_from(rest, path_size);
    const char *role = "client";
    if (path.size == 0 || path.at[0] != '/' || path.size > MEMIF_SOCKET_MAX)
        return "after memif: give the absolute path of a socket, as in memif:/run/memif.sock";
    if (bytes_equal(option, BYTES(",role=server")))
        role = "server";
    else if (option.size != 0 && !bytes_equal(option, BYTES(",role=client")))
        return "after the socket of memif only ,role=server or ,role=client may follow";
    device->is_client = role[0] == 'c';
    uint32_t buffer = power_of_two_above(wish->mtu + FRAME_EXTRA, MEMIF_BUFFER_MIN);
    uint32_t ring_log2 = 0;
    while (ring_log2 < MEMIF_RING_LOG2_MAX && 1u << ring_log2 < wish->descriptor_count)
        ring_log2++;
    /* No zero-copy: its offsets hold for one memory region only. */
    (void)snprintf(device->arguments, sizeof device->arguments,
                   "net_memif0,role=%s,id=0,socket=%.*s,socket-abstract=no,bsize=%u,rsize=%u", role,
                   (int)path.size, (const char *)path.at, buffer, ring_log2);
    return NULL;
}

static bool take_hex(struct cursor *at, size_t digits)
{
    struct bytes taken;
    if (!cursor_take(at, digits, &taken))
        return false;
    for (size_t i = 0; i < taken.size; i++) {
        uint8_t octet = taken.at[i];
        bool is_hex = (octet >= '0' && octet <= '9') || (octet >= 'a' && octet <= 'f') ||
                      (octet >= 'A' && octet <= 'F');
        if (!is_hex)
            return false;
    }
    return true;
}

static bool take_octet(struct cursor *at, uint8_t wanted)
{
    uint8_t octet;
    return cursor_u8(at, &octet) && octet == wanted;
}

/* [dddd:]bb:dd.f, the function 0 to 7. */
static bool is_pci_address(struct bytes address)
{
    struct cursor at = cursor_of(address);
    if (address.size == 12 && (!take_hex(&at, 4) || !take_octet(&at, ':')))
        return false;
    uint8_t function;
    return take_hex(&at, 2) && take_octet(&at, ':') && take_hex(&at, 2) && take_octet(&at, '.') &&
           cursor_u8(&at, &function) && function >= '0' && function <= '7' && cursor_left(&at) == 0;
}

static const char *parse_pci(struct nic_device *device, struct bytes rest,
                             const struct nic_device_wish *wish)
{
    (void)wish;
    struct bytes address = bytes_slice(rest, 0, bytes_find(rest, ','));
    if (!is_pci_address(address))
        return "expected tap:NAME, af_packet:IFACE, af_xdp:IFACE, memif:SOCKET or a PCI address";
    memcpy(device->arguments, rest.at, rest.size);
    device->arguments[rest.size] = 0;
    return NULL;
}

struct form {
    const char *name;
    const char *prefix;
    const char *(*parse)(struct nic_device *device, struct bytes rest,
                         const struct nic_device_wish *wish);
};

/* By enum nic_device_kind; the last one takes what no prefix claimed. */
static const struct form forms[] = {
    [NIC_DEVICE_TAP] = {"tap", "tap:", parse_tap},
    [NIC_DEVICE_AF_PACKET] = {"af_packet", "af_packet:", parse_af_packet},
    [NIC_DEVICE_AF_XDP] = {"af_xdp", "af_xdp:", parse_af_xdp},
    [NIC_DEVICE_MEMIF] = {"memif", "memif:", parse_memif},
    [NIC_DEVICE_PCI] = {"pci", "", parse_pci},
};

enum error nic_device_parse(struct nic_device *device, const char *text,
                            const struct nic_device_wish *wish, struct writer *message)
{
    struct bytes whole = bytes_of_string(text);
    *device = (struct nic_device){.frame_max = wish->mtu + FRAME_EXTRA};
    if (whole.size >= sizeof device->arguments / 2 + 96)
        return refuse(message, "...", "longer than any device's name");
    for (uint32_t kind = 0; kind < ARRAY_COUNT(forms); kind++) {
        struct bytes prefix = bytes_of_string(forms[kind].prefix);
        if (!bytes_starts_with(whole, prefix))
            continue;
        device->kind = (enum nic_device_kind)kind;
        const char *why = forms[kind].parse(device, bytes_from(whole, prefix.size), wish);
        return why == NULL ? ERROR_NONE : refuse(message, text, why);
    }
    return refuse(message, text, "no such form");
}

const char *nic_device_kind_name(enum nic_device_kind kind)
{
    ASSERT(kind < ARRAY_COUNT(forms));
    return forms[kind].name;
}
