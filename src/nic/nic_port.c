/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening and closing a DPDK port: what the configuration asks for, cut down to what the port has,
 * or a sentence that says which option to change.
 *
 *   parse nic.device -> look at the kernel's interface -> EAL -> what can the port do -> buffers ->
 *   queues -> steering rings -> start -> descriptors to sleep on
 *
 * Offloads: a PCI port's checksum offloads are used; a virtual port's are its driver's own loops
 * over the same octets, so ours are used instead. Steering: docs/decisions/0002.
 * Main thread. */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_malloc.h>

#include "nic_eal.h"
#include "nic_port.h"

#define FRAME_EXTRA 18u
#define BUFFER_ROOM_MIN 2048u
#define BUFFER_ROOM_STEP 1024u /* some ports round a buffer down to whole kilobytes */
#define BUFFER_OVERHEAD 256u   /* struct rte_mbuf, the pool's header, alignment */
#define BURSTS_IN_HAND 8u      /* received in one turn and not yet released */
#define XDP_FILL_COUNT 8192u   /* net_af_xdp fills rings of its own size, whatever is asked */
#define RSS_KEY_SIZE_MAX 64u
#define MEMIF_TRIES 30u /* 6 s when turned away each time, 3 s when nobody listens */
#define MEMIF_LOOKS 10u
#define MEMIF_PAUSE_US 20000u

#define RX_CHECKSUMS (RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM)
#define TX_CHECKSUMS (RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM)

/* What nic_open_with() was asked, and where it tells. */
struct wish {
    const struct config *config;
    struct writer *message;
    uint32_t queue_count;
    enum nic_offload offload;
    uint8_t rss_key[RSS_KEY_SIZE_MAX];
};

static enum error refuse(const struct wish *wish, enum error error, const char *why, int reason)
{
    write_string(wish->message, "nic.device ");
    write_string(wish->message, wish->config->nic_device);
    write_string(wish->message, ": ");
    write_string(wish->message, why);
    if (reason != 0) {
        write_string(wish->message, ": ");
        write_string(wish->message, rte_strerror(reason < 0 ? -reason : reason));
    }
    return error;
}

static enum error refuse_number(const struct wish *wish, const char *option, uint64_t asked,
                                uint64_t allowed)
{
    write_string(wish->message, option);
    write_string(wish->message, " is ");
    write_decimal(wish->message, asked);
    write_string(wish->message, ", but ");
    write_string(wish->message, wish->config->nic_device);
    write_string(wish->message, " allows ");
    write_decimal(wish->message, allowed);
    return ERROR_LIMIT;
}

/* ---- before the EAL: what the kernel has ---- */

/* A driver on a kernel interface inherits that one's MTU, and its being down. */
static enum error check_interface(const struct wish *wish, const struct nic_device *device)
{
    struct ifreq request = {0};
    int descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0)
        return refuse(wish, ERROR_SYSTEM, "no socket to ask the kernel with", 0);
    memcpy(request.ifr_name, device->interface, sizeof device->interface);
    bool is_known = ioctl(descriptor, SIOCGIFMTU, &request) == 0;
    uint32_t mtu = (uint32_t)request.ifr_mtu;
    bool has_flags = ioctl(descriptor, SIOCGIFFLAGS, &request) == 0;
    bool is_up = has_flags && (request.ifr_flags & IFF_UP) != 0;
    (void)close(descriptor);
    if (!is_known)
        return refuse(wish, ERROR_NOT_FOUND, "the kernel has no such interface (see `ip link`)", 0);
    if (!is_up)
        return refuse(wish, ERROR_SYSTEM, "the interface is down: `ip link set NAME up`", 0);
    if (mtu < wish->config->net_mtu)
        return refuse_number(wish, "net.mtu", wish->config->net_mtu, mtu);
    return ERROR_NONE;
}

static enum error check_tap(const struct wish *wish)
{
    int descriptor = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    if (descriptor < 0)
        return refuse(wish, ERROR_SYSTEM, "cannot open /dev/net/tun (`modprobe tun`; run as root)",
                      0);
    (void)close(descriptor);
    /* net_tap learns of packets by a real-time signal to the process: with it blocked in every
     * thread it would receive nothing. */
    sigset_t signals;
    (void)sigemptyset(&signals);
    for (int number = SIGRTMIN; number <= SIGRTMAX; number++)
        (void)sigaddset(&signals, number);
    (void)pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
    /* When no more of those can be queued the kernel sends SIGIO in their place, which ends a
     * process that does not expect it; those that are queued already tell enough. */
    struct sigaction present;
    if (sigaction(SIGIO, NULL, &present) == 0 && present.sa_handler == SIG_DFL)
        (void)signal(SIGIO, SIG_IGN);
    return ERROR_NONE;
}

static enum error check_kernel(const struct wish *wish, const struct nic_device *device)
{
    if (device->kind == NIC_DEVICE_TAP)
        return check_tap(wish);
    if (device->kind == NIC_DEVICE_AF_PACKET || device->kind == NIC_DEVICE_AF_XDP)
        return check_interface(wish, device);
    return ERROR_NONE;
}

/* ---- what the port can do ---- */

static bool uses_offloads(const struct nic_port *port, const struct wish *wish)
{
    if (wish->offload == NIC_OFFLOAD_REAL)
        return port->device.kind == NIC_DEVICE_PCI;
    return wish->offload == NIC_OFFLOAD_ALL;
}

static enum error find_port(struct nic_port *port, const struct wish *wish,
                            struct rte_eth_dev_info *capable)
{
    uint16_t id = (uint16_t)rte_eth_find_next(0);
    if (id >= RTE_MAX_ETHPORTS)
        return refuse(wish, ERROR_NOT_FOUND,
                      "DPDK found no port there (is it bound to vfio-pci? `dpdk-devbind.py -s`)",
                      0);
    int result = rte_eth_dev_info_get(id, capable);
    if (result != 0)
        return refuse(wish, ERROR_SYSTEM, "the port does not say what it can do", result);
    uint32_t queues_max = capable->max_rx_queues < capable->max_tx_queues ? capable->max_rx_queues
                                                                          : capable->max_tx_queues;
    if (wish->queue_count > queues_max)
        return refuse_number(wish, "server.workers", wish->queue_count, queues_max);
    if (port->mtu > capable->max_mtu)
        return refuse_number(wish, "net.mtu", port->mtu, capable->max_mtu);
    port->id = id;
    (void)snprintf(port->driver, sizeof port->driver, "%s", capable->driver_name);
    return ERROR_NONE;
}

/* Whether the port's own RSS could decide ownership; confirm_rss() looks whether it does. */
static bool can_rss(const struct nic_port *port, const struct rte_eth_dev_info *capable)
{
    return port->device.kind == NIC_DEVICE_PCI && port->queue_count > 1 &&
           capable->reta_size != 0 && capable->hash_key_size != 0 &&
           capable->hash_key_size <= RSS_KEY_SIZE_MAX &&
           (capable->flow_type_rss_offloads & RTE_ETH_RSS_NONFRAG_IPV4_TCP) != 0 &&
           (capable->rx_offload_capa & RTE_ETH_RX_OFFLOAD_RSS_HASH) != 0;
}

/* net_af_packet and net_memif claim to know no frame above Ethernet's plain 1518 octets, and carry
 * whatever the slots hold that nic_device.c gave them; so they are not told of more. */
static uint32_t mtu_to_tell(const struct nic_port *port, const struct rte_eth_dev_info *capable)
{
    bool is_shy =
        port->device.kind == NIC_DEVICE_AF_PACKET || port->device.kind == NIC_DEVICE_MEMIF;
    uint32_t frame_max = capable->max_rx_pktlen;
    if (!is_shy || frame_max < RTE_ETHER_MAX_LEN || port->mtu + FRAME_EXTRA <= frame_max)
        return port->mtu;
    return frame_max - FRAME_EXTRA;
}

static struct rte_eth_conf conf_of(struct nic_port *port, struct wish *wish,
                                   const struct rte_eth_dev_info *capable)
{
    struct rte_eth_conf conf = {0};
    if (uses_offloads(port, wish)) {
        port->rx_offloads = RX_CHECKSUMS & capable->rx_offload_capa;
        port->tx_offloads = TX_CHECKSUMS & capable->tx_offload_capa;
        conf.txmode.offloads = RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE & capable->tx_offload_capa;
    }
    conf.rxmode.mtu = mtu_to_tell(port, capable);
    conf.rxmode.offloads = port->rx_offloads;
    conf.txmode.offloads |= port->tx_offloads;
    conf.intr_conf.rxq = port->has_interrupts;
    if (can_rss(port, capable)) {
        conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
        conf.rxmode.offloads |= RTE_ETH_RX_OFFLOAD_RSS_HASH;
        conf.rx_adv_conf.rss_conf = (struct rte_eth_rss_conf){
            .rss_key = wish->rss_key,
            .rss_key_len = capable->hash_key_size,
            .rss_hf = RTE_ETH_RSS_NONFRAG_IPV4_TCP,
        };
    }
    return conf;
}

/* The port's RSS is believed when it reads back with our key and our flow type. */
static void confirm_rss(struct nic_port *port, const struct wish *wish,
                        const struct rte_eth_dev_info *capable)
{
    uint8_t key[RSS_KEY_SIZE_MAX];
    struct rte_eth_rss_conf read_back = {.rss_key = key, .rss_key_len = sizeof key};
    port->steering = port->queue_count == 1 ? NIC_STEERING_NONE : NIC_STEERING_HASH;
    if (!port->has_rss)
        return;
    if (rte_eth_dev_rss_hash_conf_get(port->id, &read_back) == 0 &&
        (read_back.rss_hf & RTE_ETH_RSS_NONFRAG_IPV4_TCP) != 0 &&
        memcmp(key, wish->rss_key, capable->hash_key_size) == 0)
        port->steering = NIC_STEERING_PORT;
}

/* ---- buffers and queues ---- */

static uint32_t pool_count_of(const struct nic_port *port)
{
    uint32_t a_queue = port->descriptors_rx             /* in the port's receive ring */
                       + port->descriptors_tx           /* in its transmit ring */
                       + 2 * NIC_BURST_MAX              /* staged, early */
                       + BURSTS_IN_HAND * NIC_BURST_MAX /* received in this turn */
                       + NIC_CACHE_SIZE * 3 / 2;        /* in the worker's cache */
    if (port->queue_count > 1)
        a_queue += NIC_STEER_RING_SIZE; /* passed on, not yet taken */
    if (port->device.kind == NIC_DEVICE_TAP)
        a_queue += port->descriptors_rx; /* net_tap holds two sets */
    if (port->device.kind == NIC_DEVICE_AF_XDP)
        a_queue += XDP_FILL_COUNT;
    return port->queue_count * a_queue + NIC_CACHE_SIZE * 3 / 2; /* the main thread's cache */
}

static enum error make_pool(struct nic_port *port, const struct wish *wish)
{
    uint32_t room = port->mtu + FRAME_EXTRA;
    room = room < port->device.room_min ? port->device.room_min : room;
    room = (room + BUFFER_ROOM_STEP - 1) / BUFFER_ROOM_STEP * BUFFER_ROOM_STEP;
    room = (room < BUFFER_ROOM_MIN ? BUFFER_ROOM_MIN : room) + RTE_PKTMBUF_HEADROOM;
    port->pool_count = pool_count_of(port);
    port->pool_bytes = (uint64_t)port->pool_count * (room + BUFFER_OVERHEAD);
    /* A quarter is left to the driver's rings and to what allocation in pages wastes. */
    uint64_t needed = port->pool_bytes + port->pool_bytes / 3;
    if (needed > wish->config->nic_memory) {
        write_string(wish->message, "nic.memory must be at least ");
        write_decimal(wish->message, (needed >> 20) + 1);
        write_string(wish->message, "M for this many workers, descriptors and this MTU");
        return ERROR_LIMIT;
    }
    port->pool = rte_pktmbuf_pool_create("stentor", port->pool_count, NIC_CACHE_SIZE, 0,
                                         (uint16_t)room, rte_eth_dev_socket_id(port->id));
    if (port->pool == NULL)
        return refuse(wish, ERROR_NO_MEMORY, "no memory for packet buffers (raise nic.memory)",
                      rte_errno);
    return ERROR_NONE;
}

/* What a port may refuse without being useless is asked for first and then left out. */
static int configure_less(struct nic_port *port, struct rte_eth_conf *conf)
{
    uint16_t count = (uint16_t)port->queue_count;
    int result = rte_eth_dev_configure(port->id, count, count, conf);
    if (result != 0 && port->has_interrupts) {
        port->has_interrupts = false;
        conf->intr_conf.rxq = 0;
        result = rte_eth_dev_configure(port->id, count, count, conf);
    }
    if (result != 0 && conf->rxmode.mq_mode != RTE_ETH_MQ_RX_NONE) {
        conf->rxmode.mq_mode = RTE_ETH_MQ_RX_NONE;
        conf->rxmode.offloads &= ~RTE_ETH_RX_OFFLOAD_RSS_HASH;
        conf->rx_adv_conf.rss_conf = (struct rte_eth_rss_conf){0};
        result = rte_eth_dev_configure(port->id, count, count, conf);
    }
    return result;
}

static enum error configure(struct nic_port *port, struct wish *wish,
                            const struct rte_eth_dev_info *capable)
{
    port->has_interrupts =
        port->device.kind == NIC_DEVICE_TAP || port->device.kind == NIC_DEVICE_PCI;
    struct rte_eth_conf conf = conf_of(port, wish, capable);
    int result = configure_less(port, &conf);
    port->has_rss = conf.rxmode.mq_mode == RTE_ETH_MQ_RX_RSS;
    if (result != 0)
        return refuse(wish, ERROR_SYSTEM, "the port refuses this MTU or number of workers", result);
    /* Optional: drivers without the operation carry any frame their buffers take. */
    if (conf.rxmode.mtu == port->mtu)
        (void)rte_eth_dev_set_mtu(port->id, port->mtu);
    port->descriptors_rx = (uint16_t)wish->config->nic_descriptors;
    port->descriptors_tx = (uint16_t)wish->config->nic_descriptors;
    result =
        rte_eth_dev_adjust_nb_rx_tx_desc(port->id, &port->descriptors_rx, &port->descriptors_tx);
    if (result != 0)
        return refuse(wish, ERROR_SYSTEM, "the port refuses nic.descriptors", result);
    return ERROR_NONE;
}

static enum error set_up_queues(struct nic_port *port, const struct wish *wish)
{
    unsigned int node = (unsigned int)rte_eth_dev_socket_id(port->id);
    for (uint16_t i = 0; i < port->queue_count; i++) {
        int result =
            rte_eth_rx_queue_setup(port->id, i, port->descriptors_rx, node, NULL, port->pool);
        if (result == 0)
            result = rte_eth_tx_queue_setup(port->id, i, port->descriptors_tx, node, NULL);
        if (result != 0)
            return refuse(wish, ERROR_SYSTEM, "a queue cannot be set up", result);
    }
    return ERROR_NONE;
}

static enum error make_steering(struct nic_port *port, const struct wish *wish)
{
    char name[32];
    for (uint32_t i = 0; i < port->queue_count && port->queue_count > 1; i++) {
        (void)snprintf(name, sizeof name, "stentor-steer-%u", i);
        port->queues[i].steered =
            rte_ring_create(name, NIC_STEER_RING_SIZE, SOCKET_ID_ANY, RING_F_SC_DEQ);
        if (port->queues[i].steered == NULL)
            return refuse(wish, ERROR_NO_MEMORY, "no memory for the steering rings", rte_errno);
    }
    return ERROR_NONE;
}

/* net_tap tells us the kernel side's MAC; the two ends of a link need two. */
static void set_mac(const struct nic_port *port, uint8_t mac[6])
{
    struct rte_ether_addr address = {0};
    (void)rte_eth_macaddr_get(port->id, &address);
    memcpy(mac, address.addr_bytes, 6);
    if (port->device.kind == NIC_DEVICE_TAP)
        mac[5] ^= 1u;
}

static bool is_link_up(uint16_t id)
{
    struct rte_eth_link link = {0};
    return rte_eth_link_get_nowait(id, &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
}

/* A memif client connects when it starts, once, and a server that is itself just starting turns
 * it away: so it is tried again for a while. All other links may come up later, and traffic starts
 * when they do. */
static int start_client(uint16_t id)
{
    int result = -ENOTCONN;
    for (uint32_t try = 0; try < MEMIF_TRIES; try++) {
        result = rte_eth_dev_start(id);
        for (uint32_t look = 0; look < MEMIF_LOOKS && result == 0; look++) {
            if (is_link_up(id))
                return 0;
            rte_delay_us_sleep(MEMIF_PAUSE_US);
        }
        if (result == 0)
            (void)rte_eth_dev_stop(id);
        else
            rte_delay_us_sleep(5 * MEMIF_PAUSE_US);
        result = -ENOTCONN;
    }
    return result;
}

static enum error start(struct nic_port *port, const struct wish *wish)
{
    bool is_client = port->device.is_client;
    int result = is_client ? start_client(port->id) : rte_eth_dev_start(port->id);
    if (result != 0 && is_client)
        return refuse(wish, ERROR_UNAVAILABLE,
                      "no memif server listens there; start it first, or append ,role=server", 0);
    if (result != 0)
        return refuse(wish, ERROR_SYSTEM, "the port does not start", result);
    port->is_started = true;
    /* The groups of neighbour discovery; a port that knows no filter hands up all it gets. */
    if (rte_eth_allmulticast_enable(port->id) != 0)
        (void)rte_eth_promiscuous_enable(port->id);
    uint8_t mac[6];
    set_mac(port, mac);
    for (uint32_t i = 0; i < port->queue_count; i++) {
        struct dpdk_queue *queue = &port->queues[i];
        queue->queue.ops = &nic_dpdk_ops;
        queue->queue.mtu = port->mtu;
        queue->queue.index = (uint16_t)i;
        memcpy(queue->queue.mac, mac, 6);
        queue->port = port;
        queue->port_id = port->id;
        enum error error = nic_wait_init(queue);
        if (error)
            return refuse(wish, error, "no descriptors to sleep on (`ulimit -n`)", 0);
    }
    return ERROR_NONE;
}

/* ---- open and close ---- */

static struct nic_port *port_make(const struct nic_device *device, const struct wish *wish)
{
    size_t size = sizeof(struct nic_port) + wish->queue_count * sizeof(struct dpdk_queue);
    struct nic_port *port = rte_zmalloc("stentor port", size, CACHE_LINE);
    if (port == NULL)
        return NULL;
    port->device = *device;
    port->queue_count = wish->queue_count;
    port->mtu = (uint16_t)wish->config->net_mtu;
    port->has_hugepages = wish->config->nic_hugepages;
    port->id = RTE_MAX_ETHPORTS;
    for (uint32_t i = 0; i < wish->queue_count; i++) {
        port->queues[i].epoll_descriptor = -1;
        port->queues[i].steer_descriptor = -1;
    }
    return port;
}

static enum error port_open(struct nic_port *port, struct wish *wish)
{
    struct rte_eth_dev_info capable;
    enum error error = find_port(port, wish, &capable);
    if (!error)
        error = configure(port, wish, &capable);
    if (!error)
        error = make_pool(port, wish);
    if (!error)
        error = set_up_queues(port, wish);
    if (!error)
        error = make_steering(port, wish);
    if (!error)
        error = start(port, wish);
    if (!error)
        confirm_rss(port, wish, &capable);
    return error;
}

enum error nic_open_with(struct nic_port **port, const struct config *config, uint32_t queue_count,
                         enum nic_offload offload, struct writer *message)
{
    ASSERT(queue_count > 0);
    ASSERT(queue_count <= NIC_QUEUES_MAX);
    struct wish wish = {
        .config = config, .message = message, .queue_count = queue_count, .offload = offload};
    struct nic_device_wish shape = {queue_count, (uint32_t)config->nic_descriptors,
                                    (uint32_t)config->net_mtu};
    struct nic_device device;
    struct random random;
    enum error error = nic_device_parse(&device, config->nic_device, &shape, message);
    if (!error)
        error = check_kernel(&wish, &device);
    if (!error)
        error = nic_eal_start(config, &device, message);
    if (error)
        return error;

    struct nic_port *made = port_make(&device, &wish);
    if (made == NULL) {
        nic_eal_stop();
        return refuse(&wish, ERROR_NO_MEMORY, "no memory (raise nic.memory)", 0);
    }
    random_init_system(&random);
    random_fill(&random, &made->key, sizeof made->key);
    random_fill(&random, wish.rss_key, sizeof wish.rss_key);
    error = port_open(made, &wish);
    if (error)
        nic_close(&made);
    *port = made;
    return error;
}

enum error nic_config_judge(const struct config *config, struct writer *message)
{
    struct nic_device device;
    struct nic_device_wish shape = {(uint32_t)config->server_workers,
                                    (uint32_t)config->nic_descriptors, (uint32_t)config->net_mtu};
    return nic_device_parse(&device, config->nic_device, &shape, message);
}

enum error nic_open(struct nic_port **port, const struct config *config, uint32_t queue_count,
                    struct writer *message)
{
    return nic_open_with(port, config, queue_count, NIC_OFFLOAD_REAL, message);
}

static void queue_close(struct dpdk_queue *queue)
{
    struct rte_mbuf *mbuf;
    nic_wait_fini(queue);
    rte_pktmbuf_free_bulk(queue->staged, queue->staged_count);
    rte_pktmbuf_free_bulk(queue->early, queue->early_count);
    while (queue->steered != NULL && rte_ring_dequeue(queue->steered, (void **)&mbuf) == 0)
        rte_pktmbuf_free(mbuf);
    rte_ring_free(queue->steered);
}

void nic_close(struct nic_port **port)
{
    struct nic_port *gone = *port;
    if (gone == NULL)
        return;
    *port = NULL;
    for (uint32_t i = 0; i < gone->queue_count; i++)
        queue_close(&gone->queues[i]);
    if (gone->is_started)
        (void)rte_eth_dev_stop(gone->id);
    if (gone->id != RTE_MAX_ETHPORTS)
        (void)rte_eth_dev_close(gone->id);
    rte_mempool_free(gone->pool);
    rte_free(gone);
    nic_eal_stop();
}

struct nic_queue *nic_port_queue(struct nic_port *port, uint32_t index, struct metrics *metrics)
{
    ASSERT(index < port->queue_count);
    ASSERT(metrics != NULL);
    port->queues[index].queue.metrics = metrics;
    return &port->queues[index].queue;
}

static void write_pair(struct writer *into, const char *name, const char *value)
{
    write_string(into, name);
    write_string(into, value);
}

void nic_describe(const struct nic_port *port, struct writer *into)
{
    static const char *const steerings[] = {"none", "software", "port"};
    bool has_wait = port->queues[0].epoll_descriptor >= 0;
    write_pair(into, "device=", nic_device_kind_name(port->device.kind));
    write_pair(into, " driver=", port->driver);
    write_string(into, " queues=");
    write_decimal(into, port->queue_count);
    write_string(into, " descriptors=");
    write_decimal(into, port->descriptors_rx);
    write_string(into, " mtu=");
    write_decimal(into, port->mtu);
    write_pair(into, " checksums_in=", port->rx_offloads & RX_CHECKSUMS ? "port" : "software");
    write_pair(into, " checksums_out=", port->tx_offloads != 0 ? "port" : "software");
    write_pair(into, " steering=", steerings[port->steering]);
    write_pair(into, " sleep=", has_wait ? "interrupt" : "slices");
    write_string(into, " buffers=");
    write_decimal(into, port->pool_count);
    write_pair(into, " pages=", port->has_hugepages ? "huge" : "small");
    write_string(into, " mac=");
    for (uint32_t i = 0; i < 6; i++) {
        if (i != 0)
            write_u8(into, ':');
        write_hex(into, bytes_of(&port->queues[0].queue.mac[i], 1));
    }
}
