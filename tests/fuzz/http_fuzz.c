/* SPDX-License-Identifier: Apache-2.0
 *
 * Any request target and body, past the token: parsed into a request whose views are all inside
 * what the exchange holds, or refused with a problem that is JSON; nothing stays on the heap.
 *
 * Input: one octet for the method, the target up to the first line feed, the body. */
#include "admin_state.h"
#include "stentor/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size);

static struct config config;
static struct heap heap;
static struct metrics metrics;
static struct admin admin;

static void begin(void)
{
    if (admin.config != NULL)
        return;
    config_defaults(&config);
    heap_init(&heap, 64u << 20);
    const struct xml_limits limits = admin_xml_limits(&config);
    admin.config = &config;
    admin.heap = &heap;
    admin.metrics = &metrics;
    admin.reader = xml_reader_create(&heap, &limits);
    enum error error = digests_init(&admin.digests);
    ASSERT(error == ERROR_NONE);
    digest_hash(admin.digests.of[DIGEST_SHA256], BYTES("token"), admin.token_hash);
}

static void expect_text(struct bytes text)
{
    ASSERT(utf8_is_valid(text));
    for (size_t i = 0; i < text.size; i++)
        ASSERT(text.at[i] != 0);
}

/* What control may rely on. */
static void expect_request(const struct admin_request *request)
{
    expect_text(request->user);
    expect_text(request->password);
    expect_text(request->push.title);
    expect_text(request->push.body);
    expect_text(request->push.uri);
    expect_text(request->push.label);
    expect_text(request->push.xml);
    ASSERT(request->user.size <= ACCOUNT_LOCAL_SIZE_MAX);
    ASSERT(request->cursor.size <= ACCOUNT_LOCAL_SIZE_MAX);
    ASSERT(request->push.label.size <= PUSH_LABEL_MAX);
    ASSERT(request->user_count <= PUSH_USERS_MAX);
    ASSERT((request->user_count != 0) == (request->push.target == PUSH_USERS));
    for (uint32_t i = 0; i < request->user_count; i++) {
        expect_text(request->users[i]);
        ASSERT(request->users[i].size != 0);
    }
    bool is_list = request->kind == ADMIN_PUSH_LIST || request->kind == ADMIN_USER_LIST ||
                   request->kind == ADMIN_SESSION_LIST;
    ASSERT(!is_list || (request->limit >= 1 && request->limit <= ADMIN_PAGE_MAX));
}

static void expect_answer(const struct answer *answer)
{
    json_t *json = json_loadb(answer->octets, answer->size, 0, NULL);
    ASSERT(answer->status == MHD_HTTP_OK || json_is_object(json));
    json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size)
{
    static const char *const methods[] = {"POST", "GET", "PATCH", "DELETE"};
    char uri[2048];
    begin();
    uint64_t used = heap_used_bytes(&heap);
    struct bytes input = bytes_of(octets, size);
    if (size == 0)
        return 0;
    struct bytes rest = bytes_from(input, 1);
    size_t uri_size = bytes_find(rest, '\n');
    struct bytes body = bytes_from(rest, uri_size + 1);
    uri_size = uri_size < sizeof uri ? uri_size : sizeof uri - 1;
    if (uri_size != 0)
        memcpy(uri, rest.at, uri_size);
    uri[uri_size] = '\0';
    struct exchange *exchange = exchange_create(&admin, NULL, uri);
    exchange->method = methods[octets[0] % ARRAY_COUNT(methods)];
    route_admit(exchange, "Bearer token");
    if (!exchange_append(exchange, (const char *)body.at, body.size))
        ASSERT(body.size > 2 * config.admin_body_bytes);
    if (exchange->answer.status == 0 && route_parse(exchange))
        expect_request(&exchange->request);
    else
        expect_answer(&exchange->answer);
    exchange_destroy(exchange);
    ASSERT(heap_used_bytes(&heap) == used);
    return 0;
}
