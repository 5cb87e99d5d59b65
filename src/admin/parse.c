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
    json_t *errors = json_array();
    problem_point(errors, pointer, detail);
    problem_answer_at(exchange, MHD_HTTP_BAD_REQUEST, "The body does not say what is needed.",
                      errors);
    return false;
}

static bool memory_fault(struct exchange *exchange)
{
    problem_answer(exchange, MHD_HTTP_SERVICE_UNAVAILABLE, "The server is short of memory.");
    return false;
}

/* ---- JSON ---- */

/* Nesting and values are counted before the parser may recurse and allocate; NULL = bearable. A
 * body that is not JSON is counted wrongly and then refused by the parser. */
static const char *shape_fault(struct bytes body)
{
    uint32_t depth = 0;
    uint32_t values = 1;
    bool is_string = false;
    for (size_t i = 0; i < body.size; i++) {
        uint8_t octet = body.at[i];
        if (is_string) {
            if (octet == '\\')
                i++;
            else if (octet == '"')
                is_string = false;
            continue;
        }
        is_string = octet == '"';
        if (octet == ',' || octet == ':' || octet == '[')
            values++;
        if (octet == '{' || octet == '[')
            depth++;
        else if ((octet == '}' || octet == ']') && depth > 0)
            depth--;
        if (depth > ADMIN_JSON_DEPTH_MAX)
            return "JSON nested deeper than 16 levels";
        if (values > ADMIN_JSON_VALUES_MAX)
            return "more than 20000 JSON values";
    }
    return NULL;
}

static bool object_parse(struct exchange *exchange)
{
    struct bytes body = bytes_of(exchange->body, exchange->body_size);
    if (body.size == 0)
        return fault_at(exchange, "", "a JSON object was expected");
    const char *shape = shape_fault(body);
    if (shape != NULL)
        return fault_at(exchange, "", shape);
    json_error_t error;
    exchange->json = json_loadb((const char *)body.at, body.size, JSON_REJECT_DUPLICATES, &error);
    if (exchange->json == NULL) {
        char detail[JSON_ERROR_TEXT_LENGTH + 64];
        /* The parser's text quotes the body and may cut a character in two. */
        bool is_shown = utf8_is_valid(bytes_of_string(error.text));
        snprintf(detail, sizeof detail, "not JSON: line %d column %d: %s", error.line, error.column,
                 is_shown ? error.text : "not UTF-8");
        return fault_at(exchange, "", detail);
    }
    return json_is_object(exchange->json) || fault_at(exchange, "", "a JSON object was expected");
}

/* One member's name as a reference token of RFC 6901, cut between characters when it is long. */
static void write_pointer_token(struct writer *into, const char *name)
{
    struct cursor cursor = cursor_of(bytes_of_string(name));
    uint32_t code_point;
    write_u8(into, '/');
    while (into->capacity - into->size > 4 && utf8_take(&cursor, &code_point)) {
        if (code_point == '~')
            write_string(into, "~0");
        else if (code_point == '/')
            write_string(into, "~1");
        else
            write_utf8(into, code_point);
    }
}

static bool members_known(struct exchange *exchange, json_t *object, const char *pointer,
                          const char *const *names)
{
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        const char *const *name = names;
        while (*name != NULL && strcmp(*name, key) != 0)
            name++;
        if (*name == NULL) {
            char place[ADMIN_POINTER_SIZE_MAX];
            struct writer into = writer_of(place, sizeof place - 1);
            write_string(&into, pointer);
            write_pointer_token(&into, key);
            place[into.size] = '\0';
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
    if (jid_prepare_local(text, into, user) != ERROR_NONE || user->size > ACCOUNT_LOCAL_SIZE_MAX)
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
    if (order == NULL)
        return memory_fault(exchange);
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
    if (exchange->request.users == NULL)
        return memory_fault(exchange);
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
    if (notification == NULL)
        return push->xml.size != 0 ||
               fault_at(exchange, "/notification", "a notification or xml is needed");
    if (!json_is_object(notification))
        return fault_at(exchange, "/notification", "an object was expected");
    if (!members_known(exchange, notification, "/notification", names) ||
        !string_member(exchange, notification, "title", "/notification/title", &push->title) ||
        !string_member(exchange, notification, "body", "/notification/body", &push->body) ||
        !string_member(exchange, notification, "uri", "/notification/uri", &push->uri))
        return false;
    return push->title.size != 0 || push->body.size != 0 || push->uri.size != 0 ||
           fault_at(exchange, "/notification", "a title, a body or a uri is needed");
}

/* One balanced element in a namespace of its own: it is copied into every stream as it is, so the
 * same reader judges it that judges what clients send. */
static bool xml_parse(struct exchange *exchange)
{
    struct bytes text = {0};
    if (!string_member(exchange, exchange->json, "xml", "/xml", &text))
        return false;
    if (json_object_get(exchange->json, "xml") == NULL)
        return true;
    struct xml_reader *reader = exchange->admin->reader;
    const struct xml_limits limits = admin_xml_limits(exchange->admin->config);
    struct xml_input input = xml_input_of(text);
    struct xml_item item;
    enum xml_result result = xml_read(reader, XML_SCOPE_NONE, &limits, &input, &item);
    if (result == XML_NEED_MORE)
        xml_reader_reset(reader);
    if (result == XML_BAD)
        return fault_at(exchange, "/xml", xml_fault_text(item.fault));
    if (result != XML_DONE || item.kind != XML_ITEM_STANZA || input.at != text.size)
        return fault_at(exchange, "/xml", "exactly one balanced XML element was expected");
    switch (xml_root(&item)->ns) {
    case XML_NS_NONE:
    case XML_NS_XML:
    case XML_NS_STREAMS:
    case XML_NS_CLIENT:
    case XML_NS_SERVER:
        return fault_at(exchange, "/xml", "the element must declare a namespace of its own");
    default:
        exchange->request.push.xml = text;
        return true;
    }
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
        !target_parse(exchange) || !xml_parse(exchange) || !notification_parse(exchange) ||
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

bool parse_user_name(struct exchange *exchange, struct bytes text)
{
    if (name_prepare(exchange, text))
        return true;
    if (exchange->answer.status == 0)
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
    size_t used =
        (size_t)(exchange->request.user.at - exchange->prepared) + exchange->request.user.size;
    struct writer into = writer_of(exchange->prepared + used, exchange->prepared_capacity - used);
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
        return exchange->answer.status == 0 &&
               fault_at(exchange, "/username", "not a user name (the part before the @)");
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

bool parse_session_id(struct bytes text, struct handle *session)
{
    uint8_t octets[8];
    struct writer into = writer_of(octets, sizeof octets);
    if (text.size != 2 * sizeof octets || !hex_decode(text, &into))
        return false;
    session->value = 0;
    for (uint32_t i = 0; i < sizeof octets; i++)
        session->value = session->value << 8 | octets[i];
    return !handle_is_none(*session);
}

static bool cursor_parse(struct admin_request *request, struct bytes cursor)
{
    request->has_cursor = true;
    switch (request->kind) {
    case ADMIN_PUSH_LIST:
        return push_id_parse(cursor, &request->push_id);
    case ADMIN_SESSION_LIST:
        return parse_session_id(cursor, &request->session);
    default:
        request->cursor = cursor;
        return cursor.size != 0 && cursor.size <= ACCOUNT_LOCAL_SIZE_MAX;
    }
}

static bool page_fault(struct exchange *exchange, const char *detail)
{
    if (exchange->answer.status == 0)
        problem_answer(exchange, MHD_HTTP_BAD_REQUEST, detail);
    return false;
}

struct page {
    struct bytes limit, cursor, user;
};

/* A parameter that is misspelt or given twice is a fault, as with members of a body. */
static bool page_read(struct exchange *exchange, struct page *page)
{
    char *rest = exchange->query;
    struct query_pair pair;
    while (query_take(&rest, &pair)) {
        bool is_user =
            exchange->request.kind == ADMIN_SESSION_LIST && bytes_equal(pair.name, BYTES("user"));
        struct bytes *value = bytes_equal(pair.name, BYTES("limit"))    ? &page->limit
                              : bytes_equal(pair.name, BYTES("cursor")) ? &page->cursor
                              : is_user                                 ? &page->user
                                                                        : NULL;
        if (value == NULL)
            return page_fault(exchange, "The query holds a parameter that this path has not.");
        if (value->at != NULL)
            return page_fault(exchange, "A parameter of the query is given twice.");
        *value = pair.value;
    }
    return !pair.is_bad || page_fault(exchange, "The query holds a % escape that is none.");
}

bool parse_page(struct exchange *exchange)
{
    struct page page = {0};
    uint64_t limit = PAGE_DEFAULT;
    if (!page_read(exchange, &page))
        return false;
    if (page.limit.at != NULL && (!decimal_parse(page.limit, ADMIN_PAGE_MAX, &limit) || limit == 0))
        return page_fault(exchange, "limit must be 1 to 1000.");
    exchange->request.limit = (uint32_t)limit;
    if (page.cursor.at != NULL && !cursor_parse(&exchange->request, page.cursor))
        return page_fault(exchange, "cursor must be the 'next' of an earlier page.");
    if (page.user.at != NULL && !name_prepare(exchange, page.user))
        return page_fault(exchange, "user must be a user name.");
    return true;
}
