/* SPDX-License-Identifier: Apache-2.0
 *
 * The door of the floor: open, turn, take, close. */
#include "admin_state.h"
#include "stentor/clock.h"

static enum error fault(struct writer *message, enum error error, const char *what)
{
    if (error != ERROR_NONE && message->size == 0) {
        write_string(message, what);
        write_string(message, ": ");
        write_string(message, error_text(error));
    }
    return error;
}

struct xml_limits admin_xml_limits(const struct config *config)
{
    return (struct xml_limits){
        .stanza_bytes_max = (uint32_t)config->push_body_bytes,
        .nodes_max = ADMIN_XML_NODES_MAX,
        .depth_max = ADMIN_XML_DEPTH_MAX,
        .attributes_max = ADMIN_XML_ATTRIBUTES_MAX,
    };
}

enum error admin_open(struct admin **opened, const struct admin_options *options,
                      char token_shown[ADMIN_TOKEN_SIZE + 1], struct writer *message)
{
    const struct xml_limits limits = admin_xml_limits(options->config);
    *opened = NULL;
    token_shown[0] = '\0';
    struct admin *admin = heap_take_zeroed(options->heap, sizeof *admin);
    if (admin == NULL)
        return fault(message, ERROR_NO_MEMORY, "cannot open the admin API");
    admin->config = options->config;
    admin->heap = options->heap;
    admin->metrics = options->metrics;
    admin->random = options->random;
    admin->log = options->log;
    admin->reader = xml_reader_create(admin->heap, &limits);
    *opened = admin;
    enum error error = admin->reader == NULL ? ERROR_NO_MEMORY : digests_init(&admin->digests);
    admin->has_digests = error == ERROR_NONE;
    if (error == ERROR_NONE)
        error = callers_open(admin);
    if (error == ERROR_NONE)
        error = http_open(admin, message);
    /* Last: a token made and kept, and then not shown because the port was taken, is lost. */
    if (error == ERROR_NONE)
        error = token_open(admin, token_shown, message);
    if (error != ERROR_NONE)
        admin_close(opened);
    return fault(message, error, "cannot open the admin API");
}

void admin_close(struct admin **closed)
{
    struct admin *admin = *closed;
    admin->is_closing = true;
    for (struct exchange *exchange = admin->exchanges; exchange != NULL;
         exchange = exchange->next) {
        if (exchange->place != EXCHANGE_QUEUED && exchange->place != EXCHANGE_TAKEN)
            continue;
        problem_answer(exchange, MHD_HTTP_SERVICE_UNAVAILABLE, "The server is stopping.");
        http_resume(exchange);
    }
    http_close(admin);
    if (admin->has_digests)
        digests_fini(&admin->digests);
    if (admin->reader != NULL)
        xml_reader_destroy(admin->heap, admin->reader);
    heap_give(admin->heap, admin->callers);
    heap_give(admin->heap, admin);
    *closed = NULL;
}

uint16_t admin_port(const struct admin *admin)
{
    return admin->port;
}

int admin_descriptor(const struct admin *admin)
{
    return admin->descriptor;
}

void admin_turn(struct admin *admin, uint64_t now_ns, uint64_t wall_ms)
{
    admin->now_ns = now_ns;
    admin->wall_ms = wall_ms;
    admin->has_resumed = false;
    callers_turn(admin);
    MHD_run(admin->daemon);
}

#define COMPLAIN_EVERY_NS NS_PER_SECOND

void admin_complain(struct admin *admin, const char *what)
{
    if (admin->complained_at_ns != 0 && admin->now_ns - admin->complained_at_ns < COMPLAIN_EVERY_NS)
        return;
    admin->complained_at_ns = admin->now_ns;
    log_line(admin->log, LOG_LEVEL_WARNING, admin->wall_ms, "admin reason=\"%s\"", what);
}

uint64_t admin_timeout_ms(const struct admin *admin)
{
    MHD_UNSIGNED_LONG_LONG timeout_ms;
    if (admin->has_resumed)
        return 0;
    uint64_t callers_ms = callers_timeout_ms(admin);
    if (MHD_get_timeout(admin->daemon, &timeout_ms) != MHD_YES)
        return callers_ms;
    return timeout_ms < callers_ms ? timeout_ms : callers_ms;
}

struct admin_request *admin_take(struct admin *admin)
{
    struct exchange *exchange = admin->queue_first;
    if (exchange == NULL)
        return NULL;
    admin->queue_first = exchange->queue_next;
    if (admin->queue_first == NULL)
        admin->queue_last = NULL;
    exchange->place = EXCHANGE_TAKEN;
    return &exchange->request;
}
