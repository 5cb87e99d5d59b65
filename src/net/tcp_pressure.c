/* SPDX-License-Identifier: Apache-2.0
 *
 * See tcp_pressure.h. Newcomers are remembered in a ring, handle and second of accept; who has
 * been authenticated or is gone since is recognised when the walk meets him, so being known costs
 * nothing. Slow readers are found by passes over the extensions in slices: a pass learns the worst
 * score, the next one sheds whoever comes up to half of it, and no list has to be kept in order.
 * Nothing here is carried over an upgrade: a new process begins calm. */
#include "tcp_pressure.h"

#include "tcp.h"

struct marks {
    uint8_t tight; /* percent */
    uint8_t short_;
};

#define NEVER_PERCENT 101u
#define DRAIN_PASS_NS (4 * NS_PER_SECOND)

static const struct marks marks_of[TCP_CLASS_COUNT] = {
    [TCP_CLASS_ROWS] = {100, 100}, /* and only while somebody wants one */
    [TCP_CLASS_HOT] = {85, 95},
    [TCP_CLASS_REORDER] = {85, 95},
    [TCP_CLASS_REFERENCES] = {85, 95},
    [TCP_CLASS_SENT] = {NEVER_PERCENT, NEVER_PERCENT},
    [TCP_CLASS_TIME_WAIT] = {NEVER_PERCENT, NEVER_PERCENT},
};

static const enum metric gauges[TCP_CLASS_COUNT] = {
    [TCP_CLASS_ROWS] = METRIC_TCP_FILL_ROWS,
    [TCP_CLASS_HOT] = METRIC_TCP_FILL_HOT,
    [TCP_CLASS_REORDER] = METRIC_TCP_FILL_REORDER,
    [TCP_CLASS_REFERENCES] = METRIC_TCP_FILL_REFERENCES,
    [TCP_CLASS_SENT] = METRIC_TCP_FILL_SENT,
    [TCP_CLASS_TIME_WAIT] = METRIC_TCP_FILL_TIME_WAIT,
};

static struct tcp_pressure *pressure_of(const struct net *net)
{
    return &net->tcp->pressure;
}

static bool is_shedding(const struct net *net)
{
    return net->options.shed_after_ns != 0;
}

/* ---- life ---- */

enum error tcp_pressure_init(struct net *net, struct tcp_pressure *pressure)
{
    struct heap *heap = net->options.heap;
    uint32_t rows = net->options.connections_max;
    *pressure = (struct tcp_pressure){0};
    for (uint32_t i = 0; i < TCP_CLASS_COUNT; i++)
        pressure->calm_at_ns[i] = net->now_ns;
    pressure->newcomer_max = rows < TCP_NEWCOMERS_MAX ? rows : TCP_NEWCOMERS_MAX;
    pressure->newcomers = heap_take(heap, pressure->newcomer_max * sizeof *pressure->newcomers);
    pressure->drains = heap_take_zeroed(heap, net->options.hot_max * sizeof *pressure->drains);
    enum error error = tcp_sketch_init(&pressure->accepts, heap, net->options.random,
                                       net->options.accepts_per_second_address);
    if (error == ERROR_NONE && (pressure->newcomers == NULL || pressure->drains == NULL))
        error = ERROR_NO_MEMORY;
    if (error != ERROR_NONE)
        tcp_pressure_fini(net, pressure);
    return error;
}

void tcp_pressure_fini(struct net *net, struct tcp_pressure *pressure)
{
    heap_give(net->options.heap, pressure->newcomers);
    heap_give(net->options.heap, pressure->drains);
    tcp_sketch_fini(&pressure->accepts, net->options.heap);
    pressure->newcomers = NULL;
    pressure->drains = NULL;
}

/* ---- how full ---- */

static uint32_t percent_of(uint64_t used, uint64_t max)
{
    return max == 0 ? 0 : (uint32_t)(used * 100 / max);
}

uint32_t tcp_pressure_fill(const struct net *net, enum tcp_class class)
{
    const struct tcp *tcp = net->tcp;
    switch (class) {
    case TCP_CLASS_ROWS:
        return percent_of(net->pool.used, net->pool.count);
    case TCP_CLASS_HOT:
        return percent_of(tcp->hot_pool.used, tcp->hot_pool.count);
    case TCP_CLASS_REORDER:
        return percent_of(tcp->reorder_bytes, net->options.reorder_bytes_max);
    case TCP_CLASS_REFERENCES:
        return percent_of(tcp->reference_pool.used, tcp->reference_pool.count);
    case TCP_CLASS_SENT:
        return percent_of(tcp->sent_pool.used, tcp->sent_pool.count);
    case TCP_CLASS_TIME_WAIT:
        return percent_of(tcp->time_wait_count, net->options.time_wait_max);
    case TCP_CLASS_COUNT:
        break;
    }
    return 0;
}

static enum tcp_level level_of(const struct net *net, enum tcp_class class, uint32_t fill)
{
    if (class == TCP_CLASS_ROWS && !pressure_of(net)->is_row_wanted)
        return TCP_LEVEL_CALM;
    if (fill >= marks_of[class].short_)
        return TCP_LEVEL_SHORT;
    return fill >= marks_of[class].tight ? TCP_LEVEL_TIGHT : TCP_LEVEL_CALM;
}

/* Who keeps a class just below short must not keep newcomers out for ever. */
static enum tcp_level escalate(struct net *net, enum tcp_class class, enum tcp_level level)
{
    struct tcp_pressure *pressure = pressure_of(net);
    if (level == TCP_LEVEL_CALM)
        pressure->calm_at_ns[class] = net->now_ns;
    bool is_lasting = net->now_ns - pressure->calm_at_ns[class] >= net->options.shed_after_ns;
    return level == TCP_LEVEL_TIGHT && is_lasting ? TCP_LEVEL_SHORT : level;
}

static void look(struct net *net)
{
    struct tcp_pressure *pressure = pressure_of(net);
    pressure->level = TCP_LEVEL_CALM;
    for (uint32_t i = 0; i < TCP_CLASS_COUNT; i++) {
        enum tcp_class class = (enum tcp_class)i;
        uint32_t fill = tcp_pressure_fill(net, class);
        metric_set(net->options.metrics, gauges[class], fill);
        pressure->levels[class] = escalate(net, class, level_of(net, class, fill));
        /* Octets out of order are no reason to turn anybody away. */
        if (class != TCP_CLASS_REORDER && pressure->levels[class] > pressure->level)
            pressure->level = pressure->levels[class];
    }
    pressure->is_row_wanted = false;
}

/* ---- who may come ---- */

bool tcp_pressure_admits(struct net *net)
{
    struct tcp_pressure *pressure = pressure_of(net);
    if (net->pool.used == net->pool.count) {
        pressure->is_row_wanted = true;
        net_count(net, METRIC_TCP_DROP_ROWS_FULL);
        return false;
    }
    if (!is_shedding(net) || pressure->level == TCP_LEVEL_CALM)
        return true;
    net_count(net, METRIC_TCP_SHED_SYN);
    return false;
}

bool tcp_pressure_admits_from(struct net *net, const struct net_address *address)
{
    if (tcp_sketch_take(&pressure_of(net)->accepts, address, net->now_ns))
        return true;
    net_count(net, METRIC_NET_REFUSED_ADDRESS_RATE);
    return false;
}

bool tcp_pressure_challenges(struct net *net)
{
    if (tcp_budget_take(&pressure_of(net)->challenges, net->options.random, net->now_ns,
                        TCP_CHALLENGES_PER_SECOND))
        return true;
    net_count(net, METRIC_TCP_CHALLENGES_LIMITED);
    return false;
}

bool tcp_pressure_takes(struct net *net, uint32_t conn, const struct tcp_segment *segment)
{
    uint32_t per_second = net->options.tiny_segments_per_second;
    if (per_second == 0)
        return true;
    struct tcp_row *row = &net->rows[conn];
    uint32_t elapsed = tcp_now_s(net) - row->active_at_s;
    if (elapsed != 0) {
        bool is_paid = elapsed >= TCP_TINY_BURST || row->tiny_debt <= elapsed * per_second;
        row->tiny_debt = is_paid ? 0 : (uint8_t)(row->tiny_debt - elapsed * per_second);
    }
    bool is_tiny = segment->payload.size != 0 && segment->payload.size < TCP_TINY_SIZE;
    if (!is_tiny)
        return true;
    if (row->tiny_debt >= TCP_TINY_BURST)
        return false;
    row->tiny_debt++;
    return true;
}

/* ---- newcomers ---- */

static struct tcp_newcomer *newcomer_at(const struct tcp_pressure *pressure, uint32_t offset)
{
    return &pressure->newcomers[(pressure->newcomer_first + offset) % pressure->newcomer_max];
}

/* Still there, and still unknown. */
static bool is_new(const struct net *net, const struct tcp_newcomer *newcomer)
{
    return pool_is_live(&net->pool, newcomer->conn) &&
           net->pool.generations[newcomer->conn] == newcomer->generation &&
           net->rows[newcomer->conn].state != TCP_FREE &&
           net->rows[newcomer->conn].liveness == NET_LIVENESS_NEW;
}

static bool is_of_age(const struct net *net, const struct tcp_newcomer *newcomer)
{
    uint16_t age_s = (uint16_t)(tcp_now_s(net) - newcomer->at_s);
    return age_s * NS_PER_SECOND >= net->options.shed_after_ns;
}

static void forget_first(struct tcp_pressure *pressure)
{
    pressure->newcomer_first = (pressure->newcomer_first + 1) % pressure->newcomer_max;
    pressure->newcomer_count--;
    if (pressure->newcomer_at > 0)
        pressure->newcomer_at--;
}

static void shed(struct net *net, uint32_t conn, enum metric metric)
{
    net_count(net, metric);
    tcp_abort(net, conn);
}

void tcp_pressure_accepted(struct net *net, uint32_t conn)
{
    struct tcp_pressure *pressure = pressure_of(net);
    if (!is_shedding(net))
        return;
    if (pressure->newcomer_count == pressure->newcomer_max) {
        const struct tcp_newcomer *first = newcomer_at(pressure, 0);
        if (is_new(net, first) && is_of_age(net, first))
            shed(net, first->conn, METRIC_TCP_SHED_NEWCOMERS);
        forget_first(pressure);
    }
    *newcomer_at(pressure, pressure->newcomer_count++) =
        (struct tcp_newcomer){conn, net->pool.generations[conn], (uint16_t)tcp_now_s(net)};
}

/* A slice of the walk; true when there is nobody (more) to be shed. */
static bool shed_newcomers(struct net *net)
{
    struct tcp_pressure *pressure = pressure_of(net);
    bool is_any = pressure->levels[TCP_CLASS_ROWS] == TCP_LEVEL_SHORT;
    uint32_t shed_count = 0;
    while (pressure->newcomer_count != 0 && !is_new(net, newcomer_at(pressure, 0)))
        forget_first(pressure);
    for (uint32_t i = 0; i < TCP_SLICE && shed_count < TCP_SHED_MAX; i++) {
        if (pressure->newcomer_at >= pressure->newcomer_count) {
            pressure->newcomer_at = 0;
            return shed_count == 0;
        }
        const struct tcp_newcomer *newcomer = newcomer_at(pressure, pressure->newcomer_at);
        if (!is_of_age(net, newcomer)) {
            pressure->newcomer_at = 0;
            return shed_count == 0;
        }
        pressure->newcomer_at++;
        if (!is_new(net, newcomer) || (!is_any && net->rows[newcomer->conn].hot == TCP_HOT_NONE))
            continue;
        shed(net, newcomer->conn, METRIC_TCP_SHED_NEWCOMERS);
        shed_count++;
    }
    return false;
}

/* ---- slow readers and hoarders ---- */

static uint64_t seconds_since(const struct net *net, uint64_t at_ns)
{
    return at_ns < net->now_ns ? (net->now_ns - at_ns) / NS_PER_SECOND : 0;
}

/* Octets times seconds without an acknowledgement; 0 = not slow. */
static uint64_t slowness_of(const struct net *net, const struct tcp_hot *hot)
{
    if (net->rows[hot->conn].state == TCP_SYN_SENT || !seq_is_after(hot->snd_end, hot->snd_una) ||
        net->now_ns - hot->progress_at_ns < net->options.shed_after_ns)
        return 0;
    return (hot->snd_end - hot->snd_una) * seconds_since(net, hot->progress_at_ns);
}

static uint64_t hoard_of(const struct net *net, const struct tcp_hot *hot)
{
    uint64_t octets = 0;
    for (uint32_t index = hot->range_head; index != POOL_NONE;) {
        octets += net->tcp->ranges[index].room;
        index = net->tcp->ranges[index].next;
    }
    return octets;
}

static void end_pass(struct tcp_pressure *pressure)
{
    pressure->slice_at = 0;
    pressure->worst = pressure->worst_so_far;
    pressure->worst_so_far = 0;
}

/* True when it was bad enough, compared with the worst of the pass before. */
static bool judge_hot(struct net *net, struct tcp_hot *hot, enum tcp_pass pass)
{
    struct tcp_pressure *pressure = pressure_of(net);
    uint64_t score = pass == TCP_PASS_HOARDERS ? hoard_of(net, hot) : slowness_of(net, hot);
    if (score > pressure->worst_so_far)
        pressure->worst_so_far = score;
    if (score == 0 || pressure->worst == 0 || score < pressure->worst / 2)
        return false;
    if (pass == TCP_PASS_HOARDERS) {
        net_count(net, METRIC_TCP_SHED_REORDER);
        tcp_reorder_drop(net, hot);
    } else {
        shed(net, hot->conn, METRIC_TCP_SHED_SLOW);
    }
    return true;
}

/* One slice of a pass over the extensions. */
static void shed_slice(struct net *net, enum tcp_pass pass)
{
    struct tcp *tcp = net->tcp;
    struct tcp_pressure *pressure = &tcp->pressure;
    if (pressure->pass != pass) { /* scores of two kinds do not compare */
        end_pass(pressure);
        pressure->worst = 0;
        pressure->pass = pass;
    }
    uint32_t shed_count = 0;
    for (uint32_t i = 0; i < TCP_SLICE && shed_count < TCP_SHED_MAX; i++) {
        if (pressure->slice_at >= tcp->hot_pool.high_water) {
            end_pass(pressure);
            return;
        }
        uint32_t index = pressure->slice_at++;
        if (pool_is_live(&tcp->hot_pool, index))
            shed_count += judge_hot(net, &tcp->hots[index], pass);
    }
}

static bool is_short(const struct tcp_pressure *pressure, enum tcp_class class)
{
    return pressure->levels[class] == TCP_LEVEL_SHORT;
}

static void relieve(struct net *net)
{
    struct tcp_pressure *pressure = pressure_of(net);
    bool is_hot_short = is_short(pressure, TCP_CLASS_HOT);
    bool is_sending = is_hot_short || is_short(pressure, TCP_CLASS_REFERENCES);
    bool has_hoarders = is_hot_short && net->tcp->reorder_bytes != 0;
    if (is_short(pressure, TCP_CLASS_REORDER))
        shed_slice(net, TCP_PASS_HOARDERS);
    else if (pressure->level == TCP_LEVEL_SHORT && shed_newcomers(net) && is_sending)
        shed_slice(net, has_hoarders ? TCP_PASS_HOARDERS : TCP_PASS_SLOW);
}

uint64_t tcp_pressure_next_ns(const struct net *net)
{
    const struct tcp_pressure *pressure = pressure_of(net);
    bool is_calm = pressure->level == TCP_LEVEL_CALM && !pressure->is_row_wanted &&
                   pressure->levels[TCP_CLASS_REORDER] == TCP_LEVEL_CALM;
    return is_shedding(net) && !is_calm ? pressure->look_at_ns : UINT64_MAX;
}

/* ---- a minute's drain ---- */

static void open_window(struct net *net, struct tcp_drain *drain, const struct tcp_hot *hot)
{
    *drain = (struct tcp_drain){
        .conn = hot->conn,
        .generation = net->pool.generations[hot->conn],
        .is_open = hot->snd_una != hot->snd_end,
        .una = hot->snd_una,
        .end = hot->snd_end,
        .since_s = tcp_now_s(net),
    };
}

static bool is_slow(struct net *net, uint32_t index)
{
    const struct tcp_hot *hot = &net->tcp->hots[index];
    const struct tcp_row *row = &net->rows[hot->conn];
    struct tcp_drain *drain = &pressure_of(net)->drains[index];
    bool is_same = drain->is_open != 0 && drain->conn == hot->conn &&
                   drain->generation == net->pool.generations[hot->conn];
    if (!is_same || !seq_is_before(hot->snd_una, drain->end)) {
        open_window(net, drain, hot); /* all that was pending then is gone: no case */
        return false;
    }
    if (tcp_now_s(net) - drain->since_s < TCP_DRAIN_SECONDS)
        return false;
    bool is_alive = tcp_now_s(net) - row->active_at_s < TCP_DRAIN_SECONDS;
    uint32_t taken = hot->snd_una - drain->una;
    open_window(net, drain, hot);
    return is_alive && taken < net->options.drain_bytes_per_second * TCP_DRAIN_SECONDS;
}

/* A slice by the time since the last one, so that all are passed in DRAIN_PASS_NS. */
static void watch_drains(struct net *net)
{
    struct tcp *tcp = net->tcp;
    struct tcp_pressure *pressure = &tcp->pressure;
    uint64_t elapsed_ns = net->now_ns - pressure->drained_at_ns;
    uint32_t end = tcp->hot_pool.high_water;
    pressure->drained_at_ns = net->now_ns;
    if (net->options.drain_bytes_per_second == 0 || end == 0)
        return;
    uint64_t count = elapsed_ns < DRAIN_PASS_NS ? end * elapsed_ns / DRAIN_PASS_NS + 1 : end;
    for (uint64_t i = 0; i < count && i < TCP_SLICE; i++) {
        if (pressure->drain_at >= end)
            pressure->drain_at = 0;
        uint32_t index = pressure->drain_at++;
        if (pool_is_live(&tcp->hot_pool, index) &&
            net->rows[tcp->hots[index].conn].state != TCP_SYN_SENT && is_slow(net, index))
            shed(net, tcp->hots[index].conn, METRIC_TCP_SLOW_READERS);
    }
}

void tcp_pressure_turn(struct net *net)
{
    struct tcp_pressure *pressure = pressure_of(net);
    if (net->now_ns < pressure->look_at_ns)
        return;
    pressure->look_at_ns = net->now_ns + TCP_PRESSURE_PERIOD_NS;
    watch_drains(net);
    look(net);
    if (is_shedding(net))
        relieve(net);
}
