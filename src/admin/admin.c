/* SPDX-License-Identifier: Apache-2.0
 *
 * The door of the floor: open, turn, take, close. */
#include "admin_state.h"

#define XML_BYTES_MAX 65536u

static enum error fault(struct writer *message, enum error error, const char *what)
{
    if (error != ERROR_NONE && message->size == 0) {
        write_string(message, what);
        write_string(message, ": ");
        write_string(message, error_text(error));
    }
    return error;
}

enum error admin_open(struct admin **opened, const struct admin_options *options,
                      char token_shown[ADMIN_TOKEN_SIZE + 1], struct writer *message)
{
    static const struct xml_limits limits = {
        .stanza_bytes_max = XML_BYTES_MAX,
        .nodes_max = 1024,
        .depth_max = 32,
        .attributes_max = 64,
    };
    *opened = NULL;
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
    enum error error = admin->reader == NULL ? ERROR_NO_MEMORY : ERROR_NONE;
    if (error == ERROR_NONE)
        error = token_open(admin, token_shown, message);
    if (error == ERROR_NONE)
        error = http_open(admin, message);
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
    if (admin->reader != NULL)
        xml_reader_destroy(admin->heap, admin->reader);
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

void admin_turn(struct admin *admin, uint64_t wall_ms)
{
    admin->wall_ms = wall_ms;
    MHD_run(admin->daemon);
}

uint64_t admin_timeout_ms(const struct admin *admin)
{
    MHD_UNSIGNED_LONG_LONG timeout_ms;
    return MHD_get_timeout(admin->daemon, &timeout_ms) == MHD_YES ? timeout_ms : UINT64_MAX;
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
