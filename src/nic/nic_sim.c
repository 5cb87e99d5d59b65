/* SPDX-License-Identifier: Apache-2.0
 *
 * A simulated wire: a switch with up to NIC_SIM_ENDS_MAX ends on one segment, under a virtual
 * clock, with seeded faults. What a run does is decided by the seed and the calls alone.
 *
 *   nic_take -> nic_transmit -> end.staged -> nic_flush -> sim.flights -> advance -> end.arrived
 *            -> nic_receive -> nic_release
 *
 * A buffer is always in exactly one of these places (buffer.place): with its taker, staged, under
 * way or arrived; the sanitizers see a use after release, because a released buffer goes back to
 * the heap. It is stricter than a real port on purpose: nothing leaves before nic_flush(), nothing
 * arrives before nic_sim_advance(), nobody has verified a checksum.
 *
 * Each direction has its own faults and queue (nic_sim_path.h).
 * Flights are a binary heap ordered by (due_at_ns, serial), so equal instants keep their order.
 * One thread for the whole simulation. */
#include "stentor/nic.h"
#include "stentor/nic_checksum.h"
#include "nic_sim_path.h"
#include "nic_sim_trace.h"

#define ETHERNET_SIZE 14u
#define FRAME_EXTRA 18u /* Ethernet header and one VLAN tag */
#define FLIGHTS_FIRST 256u
#define SWAP_PATIENCE_NS UINT64_C(1000000000)
#define QUOTED_MAX 548u /* an ICMP error of 576 octets: RFC 1812 section 4.3.2.3 */
#define TOO_BIG_SIZE_MAX 1400u

enum place { PLACE_TAKEN = 0x7a6b, PLACE_STAGED, PLACE_FLIGHT, PLACE_ARRIVED };

struct sim_end;

struct buffer {
    struct buffer *next;   /* in end.arrived */
    struct sim_end *owner; /* PLACE_TAKEN, PLACE_STAGED: by whom; else: for whom */
    uint16_t size;
    uint16_t room;
    uint32_t place;
    uint64_t unused; /* octets start aligned to 16, as a port's do */
    uint8_t octets[];
};
static_assert(offsetof(struct buffer, octets) % 16 == 0, "octets start aligned");

struct sim_end {
    struct nic_queue queue; /* first: what the taker holds */
    struct nic_sim *sim;
    struct nic_sim_path path; /* what leaves it */
    struct buffer *arrived_first;
    struct buffer *arrived_last;
    uint64_t last_due_at_ns; /* jitter alone does not reorder */
    uint32_t staged_count;
    struct buffer *staged[NIC_BURST_MAX];
};
static_assert(offsetof(struct sim_end, queue) == 0, "a queue is its end");

struct flight {
    uint64_t due_at_ns;
    uint64_t serial;
    struct buffer *buffer;
};

/* A frame that waits to be overtaken by the next to its end. */
struct swapped {
    struct buffer *buffer; /* NULL = none */
    uint64_t due_at_ns;    /* when nothing overtakes it */
};

struct nic_sim {
    struct heap *heap;
    struct nic_sim_tracer tracer;
    uint64_t now_ns;
    uint64_t serial;
    uint64_t frame_count; /* that entered the wire */
    uint64_t strike_frame;
    uint64_t strike_delay_ns;
    enum nic_sim_strike strike;
    struct swapped swapped;
    struct nic_sim_faults faults; /* of ends to come */
    struct random random;
    struct flight *flights;
    uint32_t flight_count;
    uint32_t flight_capacity;
    uint32_t buffers_used; /* PLACE_TAKEN */
    uint32_t end_count;
    struct sim_end *ends[NIC_SIM_ENDS_MAX];
};

/* An end nobody counts (a phone of the simulation) has no metrics. */
static void count(struct sim_end *end, enum metric metric)
{
    if (end->queue.metrics != NULL)
        metric_count(end->queue.metrics, metric);
}

static struct buffer *buffer_take(struct sim_end *end, uint16_t room)
{
    struct buffer *buffer = heap_take(end->sim->heap, sizeof *buffer + room);
    if (buffer == NULL)
        return NULL;
    *buffer = (struct buffer){.owner = end, .room = room, .place = PLACE_TAKEN};
    return buffer;
}

static void buffer_give(struct nic_sim *sim, struct buffer *buffer)
{
    buffer->place = 0;
    heap_give(sim->heap, buffer);
}

/* ---- flights: what is under way, soonest first ---- */

static bool is_sooner(const struct flight *a, const struct flight *b)
{
    return a->due_at_ns != b->due_at_ns ? a->due_at_ns < b->due_at_ns : a->serial < b->serial;
}

static bool flights_grow(struct nic_sim *sim)
{
    uint32_t capacity = sim->flight_capacity == 0 ? FLIGHTS_FIRST : sim->flight_capacity * 2;
    struct flight *flights = heap_take(sim->heap, capacity * sizeof *flights);
    if (flights == NULL)
        return false;
    if (sim->flight_count != 0)
        memcpy(flights, sim->flights, sim->flight_count * sizeof *flights);
    heap_give(sim->heap, sim->flights);
    sim->flights = flights;
    sim->flight_capacity = capacity;
    return true;
}

static bool flights_add(struct nic_sim *sim, struct buffer *buffer, uint64_t due_at_ns)
{
    if (sim->flight_count == sim->flight_capacity && !flights_grow(sim))
        return false;
    buffer->place = PLACE_FLIGHT;
    struct flight flight = {due_at_ns, sim->serial++, buffer};
    uint32_t at = sim->flight_count++;
    while (at != 0 && is_sooner(&flight, &sim->flights[(at - 1) / 2])) {
        sim->flights[at] = sim->flights[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    sim->flights[at] = flight;
    return true;
}

static struct flight flights_take(struct nic_sim *sim)
{
    ASSERT(sim->flight_count > 0);
    struct flight first = sim->flights[0];
    struct flight last = sim->flights[--sim->flight_count];
    uint32_t at = 0;
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= sim->flight_count)
            break;
        if (child + 1 < sim->flight_count &&
            is_sooner(&sim->flights[child + 1], &sim->flights[child]))
            child++;
        if (!is_sooner(&sim->flights[child], &last))
            break;
        sim->flights[at] = sim->flights[child];
        at = child;
    }
    sim->flights[at] = last;
    return first;
}

/* ---- entering the wire ---- */

/* ARP has no checksum but the Ethernet frame's, which a corrupt frame would not have passed: a
 * bit that flips there is more than bad luck. */
static bool is_checked(const struct buffer *buffer)
{
    return buffer->octets[12] != 0x08 || buffer->octets[13] != 0x06;
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* When the frame arrives that left the queue at leaves_at_ns. */
static uint64_t draw_due(struct sim_end *from, struct sim_end *to, uint64_t leaves_at_ns,
                         enum nic_sim_fate *fate)
{
    struct nic_sim_path *path = &from->path;
    uint64_t due_at_ns = leaves_at_ns + nic_sim_path_delay_ns(path);
    if (path->until_ns[NIC_SIM_CLOG] > due_at_ns) {
        *fate |= NIC_SIM_HELD;
        due_at_ns = path->until_ns[NIC_SIM_CLOG];
    }
    if (nic_sim_path_happens(path, path->faults.reorder_ppm)) {
        *fate |= NIC_SIM_LATE;
        return due_at_ns + nic_sim_path_draw_ns(path, path->faults.reorder_ns);
    }
    to->last_due_at_ns = later(due_at_ns, to->last_due_at_ns);
    return to->last_due_at_ns;
}

/* Puts a buffer under way, or aside if it is to be swapped with the one after it. */
static void depart(struct sim_end *to, struct buffer *buffer, uint64_t due_at_ns, bool is_swapped,
                   enum nic_sim_fate *fate)
{
    struct nic_sim *sim = to->sim;
    struct swapped *swapped = &sim->swapped;
    if (is_swapped && swapped->buffer == NULL) {
        *fate |= NIC_SIM_LATE;
        buffer->place = PLACE_FLIGHT;
        *swapped = (struct swapped){buffer, due_at_ns + SWAP_PATIENCE_NS};
        return;
    }
    if (!flights_add(sim, buffer, due_at_ns)) {
        *fate |= NIC_SIM_LOST;
        count(to, METRIC_NIC_RX_NO_BUFFER);
        buffer_give(sim, buffer);
        return;
    }
    if (swapped->buffer == NULL || swapped->buffer->owner != to)
        return;
    if (!flights_add(sim, swapped->buffer, due_at_ns))
        buffer_give(sim, swapped->buffer);
    swapped->buffer = NULL;
}

static struct buffer *copy_for(struct sim_end *to, struct bytes frame, enum nic_sim_fate *fate)
{
    uint16_t room = (uint16_t)(to->queue.mtu + FRAME_EXTRA);
    if (frame.size > room) {
        *fate |= NIC_SIM_TOO_LONG;
        count(to, METRIC_NIC_RX_ERRORS);
        return NULL;
    }
    struct buffer *copy = buffer_take(to, room);
    if (copy == NULL) {
        *fate |= NIC_SIM_LOST;
        count(to, METRIC_NIC_RX_NO_BUFFER);
        return NULL;
    }
    memcpy(copy->octets, frame.at, frame.size);
    copy->size = (uint16_t)frame.size;
    return copy;
}

/* Puts one copy under way to one end. */
static void send_copy(struct sim_end *from, struct sim_end *to, struct bytes frame,
                      enum nic_sim_strike strike, enum nic_sim_fate *fate)
{
    struct nic_sim *sim = from->sim;
    struct nic_sim_path *path = &from->path;
    uint64_t leaves_at_ns;
    bool is_deep;
    if (!nic_sim_path_queue(path, sim->now_ns, frame.size, &leaves_at_ns, &is_deep)) {
        *fate |= NIC_SIM_FULL;
        return;
    }
    struct buffer *copy = copy_for(to, frame, fate);
    if (copy == NULL)
        return;
    if (is_deep && nic_sim_mark(copy->octets, copy->size))
        *fate |= NIC_SIM_MARKED;
    bool is_struck = strike == NIC_SIM_STRIKE_CORRUPT;
    if (is_checked(copy) && (is_struck || nic_sim_path_happens(path, path->faults.corrupt_ppm))) {
        *fate |= NIC_SIM_CORRUPT;
        nic_sim_path_corrupt(path, copy->octets, copy->size);
    }
    uint64_t due_at_ns = draw_due(from, to, leaves_at_ns, fate);
    if (strike == NIC_SIM_STRIKE_DELAY) {
        *fate |= NIC_SIM_LATE;
        due_at_ns += sim->strike_delay_ns;
    }
    depart(to, copy, due_at_ns, strike == NIC_SIM_STRIKE_SWAP, fate);
}

/* The router on the way tells the sender, unless it is a silent one. */
static enum nic_sim_fate refuse_too_big(struct sim_end *from, struct bytes frame)
{
    struct nic_sim *sim = from->sim;
    const struct nic_sim_faults *faults = &from->path.faults;
    uint8_t octets[TOO_BIG_SIZE_MAX];
    enum nic_sim_fate fate = 0;
    if (faults->is_path_silent)
        return NIC_SIM_TOO_BIG;
    size_t quoted_max = random_below(&sim->random, 2) == 0 ? 8 : QUOTED_MAX;
    size_t size = nic_sim_write_too_big(frame, faults->path_mtu, quoted_max, octets, sizeof octets);
    if (size == 0)
        return NIC_SIM_TOO_BIG;
    struct buffer *copy = copy_for(from, bytes_of(octets, size), &fate);
    if (copy != NULL)
        depart(from, copy, sim->now_ns + faults->delay_ns, false, &fate);
    return NIC_SIM_TOO_BIG | NIC_SIM_TOLD;
}

static enum nic_sim_fate send_to(struct sim_end *from, struct sim_end *to, struct bytes frame,
                                 enum nic_sim_strike strike)
{
    struct nic_sim *sim = from->sim;
    struct nic_sim_path *path = &from->path;
    enum nic_sim_fate fate = 0;
    if (path->until_ns[NIC_SIM_CUT] > sim->now_ns || strike == NIC_SIM_STRIKE_DROP ||
        nic_sim_path_loses(path))
        return NIC_SIM_LOST;
    if (path->faults.path_mtu != 0 && nic_sim_is_too_big(frame, path->faults.path_mtu))
        return refuse_too_big(from, frame);
    send_copy(from, to, frame, strike, &fate);
    if (strike == NIC_SIM_STRIKE_TWICE || nic_sim_path_happens(path, path->faults.duplicate_ppm)) {
        fate |= NIC_SIM_TWICE;
        send_copy(from, to, frame, NIC_SIM_STRIKE_NONE, &fate);
    }
    return fate;
}

/* A switch that knows every MAC: the owner, or all others for a group address. */
static void enter_wire(struct sim_end *from, struct bytes frame)
{
    struct nic_sim *sim = from->sim;
    bool is_group = (frame.at[0] & 1u) != 0;
    bool is_struck = sim->frame_count++ == sim->strike_frame;
    enum nic_sim_strike strike = is_struck ? sim->strike : NIC_SIM_STRIKE_NONE;
    nic_sim_trace_frame(&sim->tracer, sim->now_ns, from->queue.index, frame);
    for (uint32_t i = 0; i < sim->end_count; i++) {
        struct sim_end *to = sim->ends[i];
        if (to == from || (!is_group && memcmp(to->queue.mac, frame.at, 6) != 0))
            continue;
        enum nic_sim_fate fate = send_to(from, to, frame, strike);
        nic_sim_trace_fate(&sim->tracer, to->queue.index, fate);
        if (!is_group)
            break;
    }
    nic_sim_trace_end(&sim->tracer);
}

/* ---- what the taker calls ---- */

static struct sim_end *end_of(struct nic_queue *queue)
{
    return (struct sim_end *)queue;
}

static struct packet packet_of(struct buffer *buffer)
{
    return (struct packet){
        .frame = buffer->octets,
        .size = buffer->size,
        .room = buffer->room,
        .buffer = buffer,
    };
}

/* The packet's buffer, which this end must hold; the packet is cleared. */
static struct buffer *take_back(struct sim_end *end, struct packet *packet)
{
    struct buffer *buffer = packet->buffer;
    ASSERT(buffer != NULL);
    ASSERT(buffer->place == PLACE_TAKEN);
    ASSERT(buffer->owner == end);
    ASSERT(end->sim->buffers_used > 0);
    end->sim->buffers_used--;
    *packet = (struct packet){0};
    return buffer;
}

static uint32_t sim_receive(struct nic_queue *queue, struct packet *packets, uint32_t max)
{
    struct sim_end *end = end_of(queue);
    uint32_t taken = 0;
    for (; taken < max && end->arrived_first != NULL; taken++) {
        struct buffer *buffer = end->arrived_first;
        end->arrived_first = buffer->next;
        ASSERT(buffer->place == PLACE_ARRIVED);
        buffer->next = NULL;
        buffer->place = PLACE_TAKEN;
        end->sim->buffers_used++;
        packets[taken] = packet_of(buffer);
        if (end->path.faults.judges_checksums)
            packets[taken].flags = nic_checksum_judge(bytes_of(buffer->octets, buffer->size));
        count(end, METRIC_NIC_RX_PACKETS);
    }
    return taken;
}

static bool sim_take(struct nic_queue *queue, struct packet *packet)
{
    struct sim_end *end = end_of(queue);
    struct buffer *buffer = NULL;
    bool is_starved = end->path.until_ns[NIC_SIM_STARVE] > end->sim->now_ns;
    if (!is_starved && !nic_sim_path_happens(&end->path, end->path.faults.refuse_take_ppm))
        buffer = buffer_take(end, (uint16_t)(queue->mtu + FRAME_EXTRA));
    if (buffer == NULL) {
        count(end, METRIC_NIC_NO_BUFFER);
        return false;
    }
    end->sim->buffers_used++;
    *packet = packet_of(buffer);
    return true;
}

static void sim_release(struct nic_queue *queue, struct packet *packets, uint32_t packet_count)
{
    struct sim_end *end = end_of(queue);
    for (uint32_t i = 0; i < packet_count; i++)
        buffer_give(end->sim, take_back(end, &packets[i]));
}

static void sim_flush(struct nic_queue *queue)
{
    struct sim_end *end = end_of(queue);
    uint32_t staged_count = end->staged_count;
    end->staged_count = 0;
    for (uint32_t i = 0; i < staged_count; i++) {
        struct buffer *buffer = end->staged[i];
        ASSERT(buffer->place == PLACE_STAGED);
        enter_wire(end, bytes_of(buffer->octets, buffer->size));
        buffer_give(end->sim, buffer);
    }
}

static void transmit_one(struct sim_end *end, struct packet *packet)
{
    ASSERT(packet->size >= ETHERNET_SIZE);
    ASSERT(packet->size <= packet->room);
    nic_checksum_fill(packet);
    uint16_t size = packet->size;
    const uint8_t *frame = packet->frame;
    struct buffer *buffer = take_back(end, packet);
    ASSERT(frame >= buffer->octets);
    ASSERT(frame + size <= buffer->octets + buffer->room);

    bool is_oversize = size > end->queue.mtu + FRAME_EXTRA;
    bool is_jammed = end->path.until_ns[NIC_SIM_JAM] > end->sim->now_ns;
    if (is_oversize || is_jammed ||
        nic_sim_path_happens(&end->path, end->path.faults.refuse_transmit_ppm)) {
        count(end, is_oversize ? METRIC_NIC_DROP_TX_OVERSIZE : METRIC_NIC_DROP_TX_FULL);
        buffer_give(end->sim, buffer);
        return;
    }
    memmove(buffer->octets, frame, size); /* the taker may have moved the start of the frame */
    buffer->size = size;
    buffer->place = PLACE_STAGED;
    if (end->staged_count == NIC_BURST_MAX)
        sim_flush(&end->queue);
    end->staged[end->staged_count++] = buffer;
    count(end, METRIC_NIC_TX_PACKETS);
}

static void sim_transmit(struct nic_queue *queue, struct packet *packets, uint32_t packet_count)
{
    for (uint32_t i = 0; i < packet_count; i++)
        transmit_one(end_of(queue), &packets[i]);
}

/* Virtual time does not pass while one waits; nic_sim_advance() makes it. */
static void sim_wait(struct nic_queue *queue, uint64_t timeout_ns, int wake_descriptor)
{
    (void)queue;
    (void)timeout_ns;
    (void)wake_descriptor;
}

static const struct nic_ops sim_ops = {
    .receive = sim_receive,
    .take = sim_take,
    .release = sim_release,
    .transmit = sim_transmit,
    .flush = sim_flush,
    .wait = sim_wait,
};

/* ---- what the simulation calls ---- */

enum error nic_sim_create(struct nic_sim **sim, struct heap *heap, uint64_t seed)
{
    struct nic_sim *made = heap_take_zeroed(heap, sizeof *made);
    if (made == NULL)
        return ERROR_NO_MEMORY;
    made->heap = heap;
    random_init_seed(&made->random, seed);
    *sim = made;
    return ERROR_NONE;
}

void nic_sim_destroy(struct nic_sim **sim)
{
    struct nic_sim *gone = *sim;
    if (gone == NULL)
        return;
    *sim = NULL;
    ASSERT(gone->buffers_used == 0);
    while (gone->flight_count != 0)
        buffer_give(gone, flights_take(gone).buffer);
    if (gone->swapped.buffer != NULL)
        buffer_give(gone, gone->swapped.buffer);
    for (uint32_t i = 0; i < gone->end_count; i++) {
        struct sim_end *end = gone->ends[i];
        while (end->arrived_first != NULL) {
            struct buffer *next = end->arrived_first->next;
            buffer_give(gone, end->arrived_first);
            end->arrived_first = next;
        }
        for (uint32_t k = 0; k < end->staged_count; k++)
            buffer_give(gone, end->staged[k]);
        heap_give(gone->heap, end);
    }
    heap_give(gone->heap, gone->flights);
    heap_give(gone->heap, gone);
}

struct nic_queue *nic_sim_end(struct nic_sim *sim, const uint8_t mac[6], uint16_t mtu,
                              struct metrics *metrics)
{
    ASSERT((mac[0] & 1u) == 0);
    ASSERT(mtu <= UINT16_MAX - FRAME_EXTRA);
    if (sim->end_count == NIC_SIM_ENDS_MAX)
        return NULL;
    struct sim_end *end = heap_take_zeroed(sim->heap, sizeof *end);
    if (end == NULL)
        return NULL;
    end->queue = (struct nic_queue){
        .ops = &sim_ops, .metrics = metrics, .mtu = mtu, .index = (uint16_t)sim->end_count};
    memcpy(end->queue.mac, mac, 6);
    end->sim = sim;
    end->path = (struct nic_sim_path){.faults = sim->faults, .random = &sim->random};
    sim->ends[sim->end_count++] = end;
    return &end->queue;
}

void nic_sim_set_faults(struct nic_sim *sim, const struct nic_sim_faults *faults)
{
    sim->faults = *faults;
    for (uint32_t i = 0; i < sim->end_count; i++)
        sim->ends[i]->path.faults = *faults;
}

void nic_sim_set_end_faults(struct nic_queue *end, const struct nic_sim_faults *faults)
{
    end_of(end)->path.faults = *faults;
}

void nic_sim_stretch(struct nic_queue *end, enum nic_sim_stretch stretch, uint64_t until_ns)
{
    ASSERT(stretch < NIC_SIM_STRETCHES);
    end_of(end)->path.until_ns[stretch] = until_ns;
}

void nic_sim_set_strike(struct nic_sim *sim, uint64_t frame, enum nic_sim_strike strike,
                        uint64_t delay_ns)
{
    sim->strike_frame = frame;
    sim->strike = strike;
    sim->strike_delay_ns = delay_ns;
}

uint64_t nic_sim_frames(const struct nic_sim *sim)
{
    return sim->frame_count;
}

static void arrive(struct buffer *buffer)
{
    struct sim_end *end = buffer->owner;
    buffer->place = PLACE_ARRIVED;
    if (end->arrived_first == NULL)
        end->arrived_first = buffer;
    else
        end->arrived_last->next = buffer;
    end->arrived_last = buffer;
}

void nic_sim_advance(struct nic_sim *sim, uint64_t now_ns)
{
    ASSERT(now_ns >= sim->now_ns);
    sim->now_ns = now_ns;
    while (sim->flight_count != 0 && sim->flights[0].due_at_ns <= now_ns)
        arrive(flights_take(sim).buffer);
    if (sim->swapped.buffer == NULL || sim->swapped.due_at_ns > now_ns)
        return;
    arrive(sim->swapped.buffer);
    sim->swapped.buffer = NULL;
}

uint64_t nic_sim_next_ns(const struct nic_sim *sim)
{
    for (uint32_t i = 0; i < sim->end_count; i++) {
        if (sim->ends[i]->arrived_first != NULL)
            return sim->now_ns;
    }
    uint64_t next_ns = sim->swapped.buffer != NULL ? sim->swapped.due_at_ns : UINT64_MAX;
    if (sim->flight_count != 0 && sim->flights[0].due_at_ns < next_ns)
        next_ns = sim->flights[0].due_at_ns;
    return next_ns;
}

void nic_sim_trace(struct nic_sim *sim, struct writer *into)
{
    sim->tracer.into = into;
}

uint32_t nic_sim_buffers_used(const struct nic_sim *sim)
{
    return sim->buffers_used;
}
