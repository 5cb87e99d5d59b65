/* SPDX-License-Identifier: Apache-2.0
 *
 * A phone by libstrophe, driven by lines (clients.py has the protocol): commands on stdin, events
 * on stdout, fields apart by TAB. Built by clients.py. One thread: stdin is polled between turns
 * of the library. */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strophe.h>
#include <unistd.h>

#define LINE_SIZE_MAX 65536

struct phone {
    xmpp_ctx_t *library;
    xmpp_conn_t *conn;
    char line[LINE_SIZE_MAX];
    size_t line_size;
    int is_over;
};

static const char *const conditions[] = {
    [XMPP_SE_CONFLICT] = "conflict",
    [XMPP_SE_HOST_UNKNOWN] = "host-unknown",
    [XMPP_SE_NOT_AUTHORIZED] = "not-authorized",
    [XMPP_SE_POLICY_VIOLATION] = "policy-violation",
    [XMPP_SE_SYSTEM_SHUTDOWN] = "system-shutdown",
    [XMPP_SE_UNDEFINED_CONDITION] = "undefined-condition",
};

static void tell(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    fflush(stdout);
}

static char *child_text(xmpp_stanza_t *stanza, const char *name)
{
    xmpp_stanza_t *child = xmpp_stanza_get_child_by_name(stanza, name);
    return child == NULL ? NULL : xmpp_stanza_get_text(child);
}

static const char *or_empty(const char *text)
{
    return text == NULL ? "" : text;
}

static int message_arrived(xmpp_conn_t *conn, xmpp_stanza_t *stanza, void *user)
{
    struct phone *phone = user;
    char *subject = child_text(stanza, "subject");
    char *body = child_text(stanza, "body");
    (void)conn;
    tell("message\t%s\t%s\t%s\t%s", or_empty(xmpp_stanza_get_from(stanza)),
         or_empty(xmpp_stanza_get_id(stanza)), or_empty(subject), or_empty(body));
    xmpp_free(phone->library, subject);
    xmpp_free(phone->library, body);
    return 1;
}

static void features_tell(xmpp_stanza_t *query)
{
    printf("disco\t");
    for (xmpp_stanza_t *at = xmpp_stanza_get_children(query); at != NULL;
         at = xmpp_stanza_get_next(at))
        if (strcmp(or_empty(xmpp_stanza_get_name(at)), "feature") == 0)
            printf("%s ", or_empty(xmpp_stanza_get_attribute(at, "var")));
    tell("");
}

static int answer_arrived(xmpp_conn_t *conn, xmpp_stanza_t *stanza, void *user)
{
    struct phone *phone = user;
    const char *id = or_empty(xmpp_stanza_get_id(stanza));
    xmpp_stanza_t *query = xmpp_stanza_get_child_by_name(stanza, "query");
    (void)conn;
    if (strcmp(or_empty(xmpp_stanza_get_type(stanza)), "result") != 0) {
        tell("failed\t%s", id);
    } else if (strcmp(id, "ping") == 0) {
        tell("pong");
    } else if (strcmp(id, "disco") == 0 && query != NULL) {
        features_tell(query);
    } else if (strcmp(id, "version") == 0 && query != NULL) {
        char *name = child_text(query, "name");
        tell("version\t%s", or_empty(name));
        xmpp_free(phone->library, name);
    }
    return 0;
}

static void ask(struct phone *phone, const char *id, const char *element, const char *ns)
{
    xmpp_stanza_t *iq = xmpp_iq_new(phone->library, "get", id);
    xmpp_stanza_t *child = xmpp_stanza_new(phone->library);
    xmpp_stanza_set_name(child, element);
    xmpp_stanza_set_ns(child, ns);
    xmpp_stanza_add_child(iq, child);
    xmpp_stanza_release(child);
    char *domain = xmpp_jid_domain(phone->library, xmpp_conn_get_jid(phone->conn));
    xmpp_stanza_set_to(iq, domain);
    xmpp_free(phone->library, domain);
    xmpp_id_handler_add(phone->conn, answer_arrived, id, phone);
    xmpp_send(phone->conn, iq);
    xmpp_stanza_release(iq);
}

static void command_obey(struct phone *phone, char *line)
{
    char *rest = line;
    const char *verb = strsep(&rest, "\t");
    if (strcmp(verb, "send") == 0 && rest != NULL) {
        const char *to = strsep(&rest, "\t");
        xmpp_stanza_t *message = xmpp_message_new(phone->library, "chat", to, NULL);
        xmpp_message_set_body(message, or_empty(rest));
        xmpp_send(phone->conn, message);
        xmpp_stanza_release(message);
    } else if (strcmp(verb, "ping") == 0) {
        ask(phone, "ping", "ping", "urn:xmpp:ping");
    } else if (strcmp(verb, "disco") == 0) {
        ask(phone, "disco", "query", "http://jabber.org/protocol/disco#info");
    } else if (strcmp(verb, "version") == 0) {
        ask(phone, "version", "query", "jabber:iq:version");
    } else if (strcmp(verb, "quit") == 0) {
        xmpp_disconnect(phone->conn);
    }
}

static void connection_changed(xmpp_conn_t *conn, xmpp_conn_event_t event, int error,
                               xmpp_stream_error_t *stream_error, void *user)
{
    struct phone *phone = user;
    if (event == XMPP_CONN_CONNECT) {
        xmpp_handler_add(conn, message_arrived, NULL, "message", NULL, phone);
        xmpp_stanza_t *presence = xmpp_presence_new(phone->library);
        xmpp_send(conn, presence);
        xmpp_stanza_release(presence);
        tell("online\t%s", or_empty(xmpp_conn_get_bound_jid(conn)));
        return;
    }
    if (stream_error != NULL) {
        size_t kind = (size_t)stream_error->type;
        const char *name = kind < sizeof conditions / sizeof *conditions ? conditions[kind] : NULL;
        tell("stream-error\t%s", name == NULL ? "another" : name);
    }
    tell("closed\t%d", error);
    phone->is_over = 1;
}

/* Whatever stdin has now; 0 at its end. */
static int commands_read(struct phone *phone)
{
    ssize_t size = read(STDIN_FILENO, phone->line + phone->line_size,
                        sizeof phone->line - 1 - phone->line_size);
    if (size == 0)
        return 0;
    if (size < 0)
        return 1;
    phone->line_size += (size_t)size;
    char *end;
    while ((end = memchr(phone->line, '\n', phone->line_size)) != NULL) {
        *end = '\0';
        command_obey(phone, phone->line);
        size_t used = (size_t)(end + 1 - phone->line);
        phone->line_size -= used;
        memmove(phone->line, end + 1, phone->line_size);
    }
    return 1;
}

int main(int argc, char **argv)
{
    static struct phone phone;
    if (argc != 4) {
        fprintf(stderr, "usage: %s JID PASSWORD HOST\n", argv[0]);
        return 2;
    }
    xmpp_initialize();
    xmpp_log_t *log = getenv("STROPHE_DEBUG") != NULL ? xmpp_get_default_logger(XMPP_LEVEL_DEBUG)
                                                      : NULL;
    phone.library = xmpp_ctx_new(NULL, log);
    phone.conn = xmpp_conn_new(phone.library);
    xmpp_conn_set_flags(phone.conn, XMPP_CONN_FLAG_DISABLE_TLS);
    xmpp_conn_set_jid(phone.conn, argv[1]);
    xmpp_conn_set_pass(phone.conn, argv[2]);
    if (xmpp_connect_client(phone.conn, argv[3], 5222, connection_changed, &phone) != XMPP_EOK)
        return 1;
    fcntl(STDIN_FILENO, F_SETFL, fcntl(STDIN_FILENO, F_GETFL) | O_NONBLOCK);
    while (!phone.is_over) {
        xmpp_run_once(phone.library, 10);
        if (!phone.is_over && !commands_read(&phone))
            break;
    }
    xmpp_conn_release(phone.conn);
    xmpp_ctx_free(phone.library);
    xmpp_shutdown();
    return 0;
}
