/* SPDX-License-Identifier: Apache-2.0
 *
 * Bodies and queries into struct admin_request. Every fault names its place by JSON pointer; an
 * unknown member is a fault too, because a misspelt option that is ignored is worse. */
#include <stdio.h>
#include <stdlib.h>

#include "admin_state.h"
#include "stentor/jid.h"
#include "stentor/text.h"

#define PAGE_DEFAULT 100u
#define RATE_MAX 100000000

/* ---- problems with a place ---- */

static bool fault_at(struct exchange *exchange, const char *pointer, const char *detail)
{
    struct problem_spot spot = {.detail = detail};
    snprintf(spot.pointer, sizeof spot.pointer, "%s", pointer);
    problem_answer_at(exchange, MHD_HTTP_BAD_REQUEST, "The body does not say what is needed.",
                      &spot, 1);
    return false;
}

bool exchange_keep(struct exchange *exchange, size_t capacity)
{
    ASSERT(exchange->prepared == NULL);
    exchange->prepared = heap_take(exchange->admin->heap, capacity);
    exchange->prepared_capacity = exchange->prepared == NULL ? 0 : capacity;
    if (exchange->prepared == NULL)
        problem_answer(exchange, MHD_HTTP_SERVICE_UNAVAILABLE, "The server is short of memory.");
    return exchange->prepared != NULL;
}

/* ---- JSON ---- */

/* Nesting is counted before the parser may recurse. */
static bool is_shallow(struct bytes body)
{
    uint32_t depth = 0;
    bool is_string = false;
    for (size_t i = 0; i < body.size; i++) {
        uint8_t octet = body.at[i];
        if (is_string) {
            if (octet == '\\')
                i++;
            else if (octet == '"')
                is_string = false;
        } else if (octet == '"') {
            is_string = true;
        } else if (octet == '{' || octet == '[') {
            if (++depth > ADMIN_JSON_DEPTH_MAX)
                return false;
        } else if ((octet == '}' || octet == ']') && depth > 0) {
            depth--;
        }
    }
    return true;
}

static bool object_parse(struct exchange *exchange)
{
    struct bytes body = bytes_of(exchange->body, exchange->body_size);
    if (!is_shallow(body))
        return fault_at(exchange, "", "JSON nested deeper than 16 levels");
    json_error_t error;
    exchange->json = json_loadb((const char *)body.at, body.size, JSON_REJECT_DUPLICATES, &error);
    if (exchange->json == NULL) {
        char detail[JSON_ERROR_TEXT_LENGTH + 32];
        snprintf(detail, sizeof detail, "not JSON: line %d: %s", error.line, error.text);
        return fault_at(exchange, "", detail);
    }
    return json_is_object(exchange->json) ||
           fault_at(exchange, "", "a JSON object was expected");
}

static bool members_known(struct exchange *exchange, json_t *object, const char *pointer,
                          const char *const *names)
{
    const char *key;
    json_t *value;
    json_object_foreach (object, key, value) {
        const char *const *name = names;
        while (*name != NULL && strcmp(*name, key) != 0)
            name++;
        if (*name == NULL) {
            char place[64];
            snprintf(place, sizeof place, "%s/%.40s", pointer, key);
            return fault_at(exchange, place, "no such member is known");
        }
    }
    return true;
}

/* An absent member leaves *text empty. JSON forbids no control characters once escaped; XML does,
 * and the XML writer replaces them. */
static bool string_member(struct exchange *exchange, json_t *object, const char *name,
                          const char *pointer, struct bytes *text)
{
    json_t *value = json_object_get(object, name);
    if (value == NULL)
        return true;
    if (!json_is_string(value))
        return fault_at(exchange, pointer, "a string was expected");
    *text = bytes_of(json_string_value(value), json_string_length(value));
    return true;
}

/* ---- pushes ---- */

static bool user_prepare(struct exchange *exchange, json_t *value, uint32_t index,
                         struct writer *into)
{
    char place[64];
    snprintf(place, sizeof place, "/target/users/%u", index);
    struct bytes *user = &exchange->request.users[index];
    if (!json_is_string(value))
        return fault_at(exchange, place, "a string was expected");
    struct bytes text = bytes_of(json_string_value(value), json_string_length(value));
    if (jid_prepare_local(text, into, user) != ERROR_NONE ||
        user->size > ACCOUNT_LOCAL_SIZE_MAX)
        return fault_at(exchange, place, "not a user name (the part before the @)");
    return true;
}

static int user_compare(const void *left, const void *right)
{
    const struct bytes *a = *(const struct bytes *const *)left;
    const struct bytes *b = *(const struct bytes *const *)right;
    size_t shorter = a->size < b->size ? a->size : b->size;
    int order = memcmp(a->at, b->at, shorter);
    return order != 0 ? order : (a->size > b->size) - (a->size < b->size);
}

static bool users_differ(struct exchange *exchange)
{
    uint32_t count = exchange->request.user_count;
    struct bytes *users = exchange->request.users;
    const struct bytes **order = heap_take(exchange->admin->heap, count * sizeof *order);
    if (order == NULL) {
        problem_answer(exchange, MHD_HTTP_SERVICE_UNAVAILABLE, "The server is short of memory.");
        return false;
    }
    for (uint32_t i = 0; i < count; i++)
        order[i] = &users[i];
    qsort(order, count, sizeof *order, user_compare);
    const struct bytes *twice = NULL;
    for (uint32_t i = 1; i < count && twice == NULL; i++)
        if (bytes_equal(*order[i - 1], *order[i]))
            twice = order[i] > order[i - 1] ? order[i] : order[i - 1];
    heap_give(exchange->admin->heap, order);
    if (twice == NULL)
        return true;
    char place[64];
    snprintf(place, sizeof place, "/target/users/%u", (unsigned)(twice - users));
    return fault_at(exchange, place, "this user is named twice");
}

static bool users_parse(struct exchange *exchange, json_t *list)
{
    size_t count = json_is_array(list) ? json_array_size(list) : 0;
    if (count == 0 || count > PUSH_USERS_MAX)
        return fault_at(exchange, "/target/users", "a list of 1 to 10000 user names was expected");
    /* Preparing may lengthen a name: NFC and case folding at most triple it. */
    if (!exchange_keep(exchange, 3 * exchange->body_size + JID_PART_SIZE_MAX))
        return false;
    exchange->request.users =
        heap_take_zeroed(exchange->admin->heap, count * sizeof *exchange->request.users);
    if (exchange->request.users == NULL) {
        problem_answer(exchange, MHD_HTTP_SERVICE_UNAVAILABLE, "The server is short of memory.");
        return false;
    }
    struct writer into = writer_of(exchange->prepared, exchange->prepared_capacity);
    for (uint32_t i = 0; i < count; i++)
        if (!user_prepare(exchange, json_array_get(list, i), i, &into))
            return false;
    exchange->request.user_count = (uint32_t)count;
    return users_differ(exchange);
}

static bool target_parse(struct exchange *exchange)
{
    static const char *const names[] = {"all", "online", "users", NULL};
    json_t *target = json_object_get(exchange->json, "target");
    if (!json_is_object(target) || json_object_size(target) != 1)
        return fault_at(exchange, "/target",
                        "an object with exactly one of all, online and users was expected");
    if (!members_known(exchange, target, "/target", names))
        return false;
    json_t *users = json_object_get(target, "users");
    if (users != NULL) {
        exchange->request.push.target = PUSH_USERS;
        return users_parse(exchange, users);
    }
    bool is_all = json_object_get(target, "all") != NULL;
    exchange->request.push.target = is_all ? PUSH_ALL : PUSH_ONLINE;
    return json_is_true(json_object_get(target, is_all ? "all" : "online")) ||
           fault_at(exchange, is_all ? "/target/all" : "/target/online", "true was expected");
}

static bool notification_parse(struct exchange *exchange)
{
    static const char *const names[] = {"title", "body", "uri", NULL};
    struct push_request *push = &exchange->request.push;
    json_t *notification = json_object_get(exchange->json, "notification");
    if (!json_is_object(notification))
        return fault_at(exchange, "/notification", "an object was expected");
    if (!members_known(exchange, notification, "/notification", names) ||
        !string_member(exchange, notification, "title", "/notification/title", &push->title) ||
        !string_member(exchange, notification, "body", "/notification/body", &push->body) ||
        !string_member(exchange, notification, "uri", "/notification/uri", &push->uri))
        return false;
    return push->title.size != 0 || push->body.size != 0 ||
           fault_at(exchange, "/notification", "a title or a body is needed");
}

/* One balanced element in a namespace of its own: it is copied into every stream as it is, so the
 * same reader judges it that judges what clients send. */
static bool extension_parse(struct exchange *exchange)
{
    struct bytes text = {0};
    if (!string_member(exchange, exchange->json, "xml", "/xml", &text) || text.size == 0)
        return exchange->response == NULL;
    static const struct xml_limits limits = {
        .stanza_bytes_max = 65536, .nodes_max = 1024, .depth_max = 32, .attributes_max = 64};
    struct xml_input input = xml_input_of(text);
    struct xml_item item;
    enum xml_result result =
        xml_read(exchange->admin->reader, XML_SCOPE_NONE, &limits, &input, &item);
    if (result == XML_NEED_MORE)
        xml_reader_reset(exchange->admin->reader);
    if (result != XML_DONE || item.kind != XML_ITEM_STANZA || input.at != text.size)
        return fault_at(exchange, "/xml", "exactly one balanced XML element was expected");
    if (xml_root(&item)->ns == XML_NS_NONE || xml_root(&item)->ns == XML_NS_CLIENT ||
        xml_root(&item)->ns == XML_NS_STREAMS)
        return fault_at(exchange, "/xml", "the element must declare a namespace of its own");
    exchange->request.push.xml = text;
    return true;
}

static bool rate_parse(struct exchange *exchange)
{
    json_t *rate = json_object_get(exchange->json, "rate");
    if (rate == NULL)
        return true;
    json_int_t value = json_is_integer(rate) ? json_integer_value(rate) : 0;
    if (value < 1 || value > RATE_MAX)
        return fault_at(exchange, "/rate", "1 to 100000000 streams a second was expected");
    exchange->request.push.rate = (uint32_t)value;
    return true;
}

bool parse_push(struct exchange *exchange)
{
    static const char *const names[] = {"target", "notification", "xml", "rate", "label", NULL};
    struct push_request *push = &exchange->request.push;
    if (!object_parse(exchange) || !members_known(exchange, exchange->json, "", names) ||
        !target_parse(exchange) || !notification_parse(exchange) || !extension_parse(exchange) ||
        !rate_parse(exchange) ||
        !string_member(exchange, exchange->json, "label", "/label", &push->label))
        return false;
    return push->label.size <= PUSH_LABEL_MAX ||
           fault_at(exchange, "/label", "at most 64 octets were expected");
}

/* ---- users ---- */

static bool name_prepare(struct exchange *exchange, struct bytes text)
{
    if (!exchange_keep(exchange, 3 * text.size + JID_PART_SIZE_MAX + 4 * PASSWORD_SIZE_MAX))
        return false;
    struct writer into = writer_of(exchange->prepared, exchange->prepared_capacity);
    return jid_prepare_local(text, &into, &exchange->request.user) == ERROR_NONE &&
           exchange->request.user.size <= ACCOUNT_LOCAL_SIZE_MAX;
}

bool parse_user_name(struct exchange *exchange, const char *text)
{
    if (name_prepare(exchange, bytes_of_string(text)))
        return true;
    if (exchange->response == NULL)
        problem_answer(exchange, MHD_HTTP_NOT_FOUND, "There is no such user.");
    return false;
}

/* Follows name_prepare(): the password stands behind the name in the same block. */
static bool password_parse(struct exchange *exchange)
{
    struct bytes text = {0};
    if (!string_member(exchange, exchange->json, "password", "/password", &text))
        return false;
    if (json_object_get(exchange->json, "password") == NULL)
        return true;
    size_t used = (size_t)(exchange->request.user.at - exchange->prepared) +
                  exchange->request.user.size;
    struct writer into =
        writer_of(exchange->prepared + used, exchange->prepared_capacity - used);
    exchange->request.has_password = true;
    return password_prepare(text, &into, &exchange->request.password) == ERROR_NONE ||
           fault_at(exchange, "/password", "1 to 255 octets without control characters");
}

bool parse_user_create(struct exchange *exchange)
{
    static const char *const names[] = {"username", "password", NULL};
    struct bytes name = {0};
    if (!object_parse(exchange) || !members_known(exchange, exchange->json, "", names) ||
        !string_member(exchange, exchange->json, "username", "/username", &name))
        return false;
    if (!name_prepare(exchange, name))
        return exchange->response != NULL
                   ? false
                   : fault_at(exchange, "/username", "not a user name (the part before the @)");
    if (!password_parse(exchange))
        return false;
    return exchange->request.has_password ||
           fault_at(exchange, "/password", "a password is needed");
}

bool parse_user_update(struct exchange *exchange)
{
    static const char *const names[] = {"password", "enabled", NULL};
    if (!object_parse(exchange) || !members_known(exchange, exchange->json, "", names) ||
        !password_parse(exchange))
        return false;
    json_t *enabled = json_object_get(exchange->json, "enabled");
    if (enabled != NULL && !json_is_boolean(enabled))
        return fault_at(exchange, "/enabled", "true or false was expected");
    exchange->request.has_enabled = enabled != NULL;
    exchange->request.is_enabled = json_is_true(enabled);
    return enabled != NULL || exchange->request.has_password ||
           fault_at(exchange, "", "password or enabled is needed");
}

/* ---- queries ---- */

bool parse_session_id(const char *text, struct handle *session)
{
    uint8_t octets[8];
    struct writer into = writer_of(octets, sizeof octets);
    struct bytes view = bytes_of_string(text);
    if (view.size != 16 || !hex_decode(view, &into))
        return false;
    session->value = 0;
    for (uint32_t i = 0; i < sizeof octets; i++)
        session->value = session->value << 8 | octets[i];
    return !handle_is_none(*session);
}

static const char *query(const struct exchange *exchange, const char *name)
{
    return MHD_lookup_connection_value(exchange->connection, MHD_GET_ARGUMENT_KIND, name);
}

static bool cursor_parse(struct exchange *exchange, const char *cursor)
{
    struct admin_request *request = &exchange->request;
    request->has_cursor = true;
    switch (request->kind) {
    case ADMIN_PUSH_LIST:
        return push_id_parse(bytes_of_string(cursor), &request->push_id);
    case ADMIN_SESSION_LIST:
        return parse_session_id(cursor, &request->session);
    default:
        request->cursor = bytes_of_string(cursor);
        return request->cursor.size != 0 && request->cursor.size <= ACCOUNT_LOCAL_SIZE_MAX;
    }
}

static bool page_fault(struct exchange *exchange, const char *detail)
{
    problem_answer(exchange, MHD_HTTP_BAD_REQUEST, detail);
    return false;
}

bool parse_page(struct exchange *exchange)
{
    const char *limit = query(exchange, "limit");
    const char *cursor = query(exchange, "cursor");
    const char *user = query(exchange, "user");
    uint64_t value = PAGE_DEFAULT;
    if (limit != NULL &&
        (!decimal_parse(bytes_of_string(limit), ADMIN_PAGE_MAX, &value) || value == 0))
        return page_fault(exchange, "limit must be 1 to 1000.");
    exchange->request.limit = (uint32_t)value;
    if (cursor != NULL && !cursor_parse(exchange, cursor))
        return page_fault(exchange, "cursor must be the 'next' of an earlier page.");
    if (exchange->request.kind == ADMIN_SESSION_LIST && user != NULL &&
        !name_prepare(exchange, bytes_of_string(user)))
        return page_fault(exchange, "user must be a user name.");
    return true;
}
