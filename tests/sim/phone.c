/* SPDX-License-Identifier: Apache-2.0
 *
 * See phone.h. A phone that loses its connection connects again, as devices do. */
#include "phone.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stentor/clock.h"
#include "stentor/text.h"

#define PHONE_PORT 5222u

static const struct xml_limits limits = {
    .stanza_bytes_max = 65536, .nodes_max = 1024, .depth_max = 32, .attributes_max = 64};

static void die_unless(bool is_good, const char *what)
{
    if (is_good)
        return;
    fprintf(stderr, "phone: cannot make %s\n", what);
    exit(3);
}

void phone_open(struct phone *phone, const char *name, struct nic_sim *sim, uint8_t number,
                uint64_t seed, uint64_t now_ns)
{
    memset(phone, 0, sizeof *phone);
    snprintf(phone->name, sizeof phone->name, "%s", name);
    const uint8_t mac[6] = {2, 0, 0, 0, 1, number};
    char address[16];
    snprintf(address, sizeof address, "10.99.0.%u", 10u + number);
    heap_init(&phone->heap, 64u << 20);
    phone->metrics = aligned_alloc(64, sizeof *phone->metrics);
    die_unless(phone->metrics != NULL, "metrics");
    memset(phone->metrics, 0, sizeof *phone->metrics);
    random_init_seed(&phone->random, seed * 7919u + number);
    die_unless(trace_init(&phone->trace, &phone->heap, 256) == ERROR_NONE, "trace");
    die_unless(blob_table_init(&phone->blobs, &phone->heap, 256) == ERROR_NONE, "blobs");
    phone->nic = nic_sim_end(sim, mac, 1500, phone->metrics);
    die_unless(phone->nic != NULL, "wire end");
    struct net_options options = {
        .nic = phone->nic,
        .arena = &phone->arena,
        .heap = &phone->heap,
        .blobs = &phone->blobs,
        .metrics = phone->metrics,
        .trace = &phone->trace,
        .random = &phone->random,
        .key = {random_u64(&phone->random), random_u64(&phone->random)},
        .locals = {{.prefix_bits = 24}},
        .local_count = 1,
        .connections_max = 64,
        .hot_max = 16,
        .send_references_max = 256,
        .connections_per_address = 64,
        .accepts_per_second = 1000,
        .receive_window = 32768,
        .reorder_bytes_max = 1 << 20,
        .send_bytes_max = 1 << 20,
        .liveness = {{600 * NS_PER_SECOND, 10 * NS_PER_SECOND, 5, 60 * NS_PER_SECOND},
                     {600 * NS_PER_SECOND, 10 * NS_PER_SECOND, 5, 60 * NS_PER_SECOND}},
        .time_wait_ns = 10 * NS_PER_SECOND,
        .time_wait_max = 64,
    };
    die_unless(net_address_parse(bytes_of_string(address), &options.locals[0].address), "address");
    die_unless(net_address_parse(BYTES("10.99.0.2"), &phone->server), "address");
    die_unless(arena_create(&phone->arena, "phone", net_arena_bytes(&options) + 65536,
                            ARENA_PAGES_SMALL) == ERROR_NONE,
               "arena");
    die_unless(net_create(&phone->net, &options, now_ns) == ERROR_NONE, "net");
    phone->reader = xml_reader_create(&phone->heap, &limits);
    die_unless(phone->reader != NULL, "reader");
    phone->conn = POOL_NONE;
}

void phone_close(struct phone *phone)
{
    net_destroy(&phone->net);
    xml_reader_destroy(&phone->heap, phone->reader);
    blob_table_fini(&phone->blobs);
    trace_fini(&phone->trace, &phone->heap);
    arena_destroy(&phone->arena);
    free(phone->metrics);
}

static void blame(struct phone *phone, const char *what)
{
    if (phone->fault[0] == '\0')
        snprintf(phone->fault, sizeof phone->fault, "%s in state %d: %s", phone->name,
                 (int)phone->state, what);
}

static void send_text(struct phone *phone, const char *text)
{
    uint32_t size = (uint32_t)strlen(text);
    uint32_t blob = blob_create_copy(&phone->blobs, bytes_of(text, size));
    if (blob == BLOB_NONE || tcp_send(phone->net, phone->conn, blob, 0, size) != ERROR_NONE)
        blame(phone, "its own stack refuses to send");
}

static void greet(struct phone *phone, enum phone_state next)
{
    phone->state = next;
    phone->scope = XML_SCOPE_NONE;
    send_text(phone, "<?xml version='1.0'?><stream:stream to='stentor.local' version='1.0' "
                     "xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>");
}

static void authenticate(struct phone *phone)
{
    char secret[64];
    char text[256];
    uint8_t encoded[128];
    /* NUL user NUL password; the password of a simulated account is its name twice. */
    int size =
        snprintf(secret, sizeof secret, "%c%s%c%s%s", 0, phone->name, 0, phone->name, phone->name);
    struct writer writer = writer_of(encoded, sizeof encoded);
    write_base64(&writer, bytes_of(secret, (size_t)size));
    snprintf(text, sizeof text,
             "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>%.*s</auth>",
             (int)writer.size, (const char *)encoded);
    phone->state = PHONE_AUTHENTICATING;
    send_text(phone, text);
}

static void remember(struct phone *phone, const struct xml_item *item)
{
    char id[PHONE_ID_MAX] = "";
    const struct xml_node *node = xml_attribute(item, xml_root(item), BYTES("id"));
    struct writer writer = writer_of(id, sizeof id - 1);
    if (node != NULL)
        xml_decode(item, node, &writer);
    for (uint32_t i = 0; i < phone->message_count; i++) {
        if (strcmp(phone->messages[i].id, id) == 0) {
            phone->messages[i].copies++;
            return;
        }
    }
    if (phone->message_count == PHONE_MESSAGES_MAX) {
        blame(phone, "more messages than anyone sent");
        return;
    }
    struct phone_message *message = &phone->messages[phone->message_count++];
    memcpy(message->id, id, sizeof id);
    message->copies = 1;
}

static bool is_named(const struct xml_item *item, const char *name)
{
    return bytes_equal(xml_local_name(item, xml_root(item)), bytes_of_string(name));
}

static void stanza_taken(struct phone *phone, const struct xml_item *item)
{
    if (is_named(item, "features") && phone->state == PHONE_GREETING) {
        authenticate(phone);
    } else if (is_named(item, "success") && phone->state == PHONE_AUTHENTICATING) {
        greet(phone, PHONE_REGREETING);
    } else if (is_named(item, "features") && phone->state == PHONE_REGREETING) {
        phone->state = PHONE_BINDING;
        send_text(phone, "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
                         "<resource>sim</resource></bind></iq>");
    } else if (is_named(item, "iq") && phone->state == PHONE_BINDING) {
        if (!xml_attribute_is(item, xml_root(item), BYTES("type"), BYTES("result")))
            blame(phone, "binding was refused");
        phone->state = PHONE_APPEARING;
        send_text(phone, "<presence><priority>1</priority></presence>");
    } else if (is_named(item, "presence")) {
        if (phone->state == PHONE_APPEARING) {
            phone->state = PHONE_ONLINE;
            phone->logins++;
        }
    } else if (is_named(item, "message")) {
        remember(phone, item);
    } else if (phone->state != PHONE_LEAVING) {
        char what[96];
        struct bytes name = xml_local_name(item, xml_root(item));
        snprintf(what, sizeof what, "did not expect <%.*s/>", (int)name.size,
                 (const char *)name.at);
        blame(phone, what);
    }
}

/* Reads from the start each time: the judge may be slow, it must be plain. */
static void gathered_read(struct phone *phone)
{
    struct xml_input input = xml_input_of(bytes_of(phone->gathered, phone->gathered_size));
    struct xml_item item;
    xml_reader_reset(phone->reader);
    for (;;) {
        bool is_header = phone->scope == XML_SCOPE_NONE &&
                         (phone->state == PHONE_GREETING || phone->state == PHONE_REGREETING);
        enum xml_result result =
            is_header ? xml_read_header(phone->reader, &limits, &input, &item)
                      : xml_read(phone->reader, phone->scope, &limits, &input, &item);
        if (result == XML_NEED_MORE)
            break;
        if (result == XML_BAD) {
            blame(phone, xml_fault_text(item.fault));
            break;
        }
        if (item.kind == XML_ITEM_HEADER)
            phone->scope = item.scope;
        else if (item.kind == XML_ITEM_STANZA)
            stanza_taken(phone, &item);
        else if (item.kind == XML_ITEM_STREAM_END && phone->state != PHONE_LEAVING)
            blame(phone, "the server ended the stream");
    }
    memmove(phone->gathered, phone->gathered + input.at, phone->gathered_size - input.at);
    phone->gathered_size -= input.at;
}

static void octets_taken(struct phone *phone, struct bytes octets)
{
    if (octets.size > sizeof phone->gathered - phone->gathered_size) {
        blame(phone, "a stanza larger than a phone takes");
        return;
    }
    memcpy(phone->gathered + phone->gathered_size, octets.at, octets.size);
    phone->gathered_size += (uint32_t)octets.size;
    gathered_read(phone);
}

static void events_take(struct phone *phone, struct net_events *events)
{
    for (uint32_t i = 0; i < events->count; i++) {
        const struct net_event *event = &events->items[i];
        if (event->conn != phone->conn)
            continue;
        if (event->kind == NET_CONNECTED) {
            greet(phone, PHONE_GREETING);
        } else if (event->kind == NET_DATA) {
            octets_taken(phone, event->octets);
        } else if (event->kind == NET_END) {
            tcp_close(phone->net, phone->conn);
        } else if (event->kind == NET_CLOSED) {
            phone->is_done = phone->is_done || phone->state == PHONE_LEAVING;
            phone->state = PHONE_AWAY;
            phone->conn = POOL_NONE;
            phone->gathered_size = 0;
        }
    }
    events->count = 0;
}

void phone_turn(struct phone *phone, uint64_t now_ns)
{
    static struct net_events events;
    struct packet packets[NIC_BURST_MAX];
    uint32_t count = nic_receive(phone->nic, packets, NIC_BURST_MAX);
    for (uint32_t taken = 0; taken < count;) {
        taken += net_input(phone->net, packets + taken, count - taken, now_ns, &events);
        events_take(phone, &events);
    }
    net_timers(phone->net, now_ns, &events);
    events_take(phone, &events);
    net_release(phone->net, now_ns);
    if (phone->state == PHONE_AWAY && !phone->is_done) {
        phone->conn = tcp_connect(phone->net, phone->server, PHONE_PORT, now_ns);
        phone->state = phone->conn == POOL_NONE ? PHONE_AWAY : PHONE_CONNECTING;
        phone->connections++;
    }
    net_flush(phone->net, now_ns);
}

uint64_t phone_next_ns(const struct phone *phone, uint64_t now_ns)
{
    return phone->state == PHONE_AWAY && !phone->is_done ? now_ns : net_next_ns(phone->net, now_ns);
}

void phone_say(struct phone *phone, const char *to, const char *id, const char *body)
{
    char text[512];
    snprintf(text, sizeof text,
             "<message to='%s@stentor.local' id='%s' type='chat'><body>%s</body></message>", to, id,
             body);
    send_text(phone, text);
}

void phone_leave(struct phone *phone)
{
    phone->is_done = true;
    if (phone->state != PHONE_ONLINE)
        return;
    phone->state = PHONE_LEAVING;
    send_text(phone, "</stream:stream>");
}

uint32_t phone_copies(const struct phone *phone, const char *id)
{
    for (uint32_t i = 0; i < phone->message_count; i++)
        if (strcmp(phone->messages[i].id, id) == 0)
            return phone->messages[i].copies;
    return 0;
}
