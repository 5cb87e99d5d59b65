/* SPDX-License-Identifier: Apache-2.0
 *
 * The server on threads: worker k pinned to its core, control in the main thread. Idle policy of a
 * worker: poll on for a while after the last packet, then sleep until a packet, a bell or the next
 * timer, so that an idle server leaves the core to others. */
#include "server_state.h"

#include <poll.h>
#include <sched.h>

#include "stentor/text.h"

#define SPIN_NS (50 * NS_PER_US)
#define SLEEP_NS_MAX (500 * NS_PER_MS)
#define CONTROL_SLEEP_MS 100u
#define WALL_EVERY_NS NS_PER_SECOND

/* Two clocks, one reading a turn: the wall clock is carried along by the steady one. */
struct clocks {
    uint64_t now_ns;
    uint64_t wall_ms;
    uint64_t wall_read_at_ns;
    uint64_t wall_base_ms;
};

static void clocks_read(struct clocks *clocks)
{
    clocks->now_ns = clock_now_ns();
    if (clocks->wall_read_at_ns == 0 || clocks->now_ns - clocks->wall_read_at_ns >= WALL_EVERY_NS) {
        clocks->wall_base_ms = clock_wall_ms();
        clocks->wall_read_at_ns = clocks->now_ns;
    }
    clocks->wall_ms = clocks->wall_base_ms + (clocks->now_ns - clocks->wall_read_at_ns) / NS_PER_MS;
}

static void core_pin(const struct worker *worker)
{
    const struct config_list *cores = &worker->config->server_cores;
    uint64_t core = worker->index;
    if (worker->index < cores->count &&
        !decimal_parse(bytes_of_string(cores->items[worker->index]), CPU_SETSIZE - 1, &core))
        core = worker->index;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0)
        log_line(worker->log, LOG_LEVEL_WARNING, worker->wall_ms,
                 "event=unpinned worker=%u core=%u reason=\"no such core\"", worker->index,
                 (unsigned)core);
}

static void worker_sleep(struct worker *worker)
{
    bell_doze(&worker->bell);
    uint64_t next_ns = worker_next_ns(worker);
    if (next_ns > worker->now_ns) {
        uint64_t sleep_ns = next_ns - worker->now_ns;
        nic_wait(worker->nic, sleep_ns < SLEEP_NS_MAX ? sleep_ns : SLEEP_NS_MAX,
                 worker->bell.descriptor);
    }
    bell_rise(&worker->bell);
}

static void *worker_run(void *argument)
{
    struct worker *worker = argument;
    struct clocks clocks = {0};
    core_pin(worker);
    uint64_t busy_at_ns = clock_now_ns();
    while (flag_raised(&worker->server->is_over) == 0) {
        clocks_read(&clocks);
        if (worker_turn(worker, clocks.now_ns, clocks.wall_ms))
            busy_at_ns = clocks.now_ns;
        else if (clocks.now_ns - busy_at_ns > SPIN_NS)
            worker_sleep(worker);
        else
            __builtin_ia32_pause();
    }
    return NULL;
}

static void control_sleep(struct control *control)
{
    struct pollfd waits[] = {
        {.fd = control->bell.descriptor, .events = POLLIN},
        {.fd = admin_descriptor(control->admin), .events = POLLIN},
    };
    uint64_t admin_ms = admin_timeout_ms(control->admin);
    bell_doze(&control->bell);
    if (ring_count(control->reports) == 0 && ring_count(control->back) == 0)
        poll(waits, ARRAY_COUNT(waits),
             (int)(admin_ms < CONTROL_SLEEP_MS ? admin_ms : CONTROL_SLEEP_MS));
    bell_rise(&control->bell);
}

/* The drain: asked at the first stop; over when every worker is empty, when its time is over, or
 * at the second stop. */
static bool is_drained(struct server *server, uint64_t now_ns, uint64_t *drain_until_ns)
{
    if (flag_raised(&server->stops) == 0)
        return false;
    if (*drain_until_ns == 0) {
        *drain_until_ns = now_ns + server->config->server_drain;
        log_line(server->control.log, LOG_LEVEL_INFO, server->control.wall_ms,
                 "event=draining seconds=%u",
                 (unsigned)(server->config->server_drain / NS_PER_SECOND));
        control_drain(&server->control);
    }
    return server->control.drains_out == 0 || now_ns >= *drain_until_ns ||
           flag_raised(&server->stops) > 1;
}

static void control_run(struct server *server)
{
    struct clocks clocks = {0};
    uint64_t drain_until_ns = 0;
    do {
        clocks_read(&clocks);
        control_turn(&server->control, clocks.now_ns, clocks.wall_ms);
        control_sleep(&server->control);
    } while (!is_drained(server, clocks.now_ns, &drain_until_ns));
    log_line(server->control.log, LOG_LEVEL_INFO, clocks.wall_ms, "event=stopped");
    control_turn(&server->control, clocks.now_ns, clocks.wall_ms);
}

static void threads_end(struct server *server)
{
    flag_raise(&server->is_over);
    for (uint32_t i = 0; i < server->thread_count; i++)
        bell_wake_by_signal(&server->workers[i].bell);
    for (uint32_t i = 0; i < server->thread_count; i++)
        pthread_join(server->threads[i], NULL);
    server->thread_count = 0;
}

static const char *first_address(const struct config *config)
{
    return config->net_addresses.count != 0 ? config->net_addresses.items[0] : config->net_address;
}

enum error server_run(struct server *server)
{
    ASSERT(!server->is_by_hand);
    for (uint32_t i = 0; i < server->worker_count; i++) {
        if (pthread_create(&server->threads[i], NULL, worker_run, &server->workers[i]) != 0) {
            threads_end(server);
            return ERROR_SYSTEM;
        }
        server->thread_count = i + 1;
    }
    char described[256];
    struct writer writer = writer_of(described, sizeof described - 1);
    nic_describe(server->port, &writer);
    described[writer.size] = '\0';
    log_line(server->control.log, LOG_LEVEL_INFO, clock_wall_ms(),
             "event=started version=%s workers=%u address=%s port=%u domain=%s nic=\"%s\"",
             STENTOR_VERSION, server->worker_count, first_address(server->config),
             (unsigned)server->config->xmpp_port, server->config->xmpp_domain, described);
    control_run(server);
    threads_end(server);
    return ERROR_NONE;
}

void server_stop(struct server *server)
{
    flag_raise(&server->stops);
    bell_wake_by_signal(&server->control.bell);
}
