/* SPDX-License-Identifier: Apache-2.0
 *
 * The stage of play.h. The stand-in derives the accounts' keys once a process: 4096 rounds each
 * are the slowest thing here. */
#include "play.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "stentor/scram_verifier.h"
#include "stentor/text.h"

static struct account known[3];

static void make_account(struct play *play, struct account *account, struct bytes name,
                         struct bytes password)
{
    *account = (struct account){.is_enabled = true};
    memcpy(account->local, name.at, name.size);
    account->local_size = (uint16_t)name.size;
    for (uint32_t kind = 0; kind < DIGEST_KIND_COUNT; kind++)
        assert_int_equal(scram_verifier_make(play->digests.of[kind], password, 4096, &play->random,
                                             &account->scram[kind]),
                         ERROR_NONE);
}

void play_config(struct config *config)
{
    config_defaults(config);
    snprintf(config->xmpp_domain, sizeof(config->xmpp_domain), "stentor.test");
}

void play_begin(struct play *play)
{
    struct config config;
    play_config(&config);
    play_begin_configured(play, &config);
}

void play_begin_configured(struct play *play, const struct config *config)
{
    memset(play, 0, sizeof(*play));
    play->config = *config;
    heap_init(&play->heap, UINT64_C(1) << 30);
    random_init_seed(&play->random, 7);
    assert_int_equal(digests_init(&play->digests), ERROR_NONE);
    assert_int_equal(trace_init(&play->trace, &play->heap, 64), ERROR_NONE);
    struct xmpp_options options = {
        .heap = &play->heap,
        .config = &play->config,
        .random = &play->random,
        .metrics = &play->metrics,
        .trace = &play->trace,
        .digests = &play->digests,
        .negotiation_count = 2,
        .install_key = "a key of thirty-two octets here",
    };
    assert_int_equal(xmpp_create(&play->xmpp, &options), ERROR_NONE);
    play->reader = xml_reader_create(&play->heap, xmpp_limits_max(play->xmpp));
    assert_non_null(play->reader);
    play->listener_limits = *xmpp_limits_max(play->xmpp);
    play->listener_limits.stanza_bytes_max += STANZA_REPLY_BYTES_MAX(0);
    play->listener_limits.nodes_max += 2; /* stamped from and to */
    play->listener_limits.attributes_max += 2;
    play->listener = xml_reader_create(&play->heap, &play->listener_limits);
    assert_non_null(play->listener);
    play->expects_header = true;
    if (known[0].number == 0) {
        make_account(play, &known[0], BYTES("alice"), BYTES("pencil"));
        known[0].number = 1;
        make_account(play, &known[1], BYTES("bob"), BYTES("pencil"));
        known[1].number = 2;
        make_account(play, &known[2], BYTES("carol"), BYTES("pencil"));
        known[2].number = 3;
        known[2].is_enabled = false;
    }
    memcpy(play->accounts, known, sizeof(known));
    play->account_count = 3;
    play->pending = heap_take(&play->heap, 2 * PLAY_TEXT_MAX);
    play->heard = writer_of(heap_take(&play->heap, PLAY_TEXT_MAX), PLAY_TEXT_MAX);
    assert_non_null(play->pending);
    assert_non_null(play->heard.at);
}

void play_reconnect(struct play *play)
{
    xmpp_forget(play->xmpp, &play->stream);
    xml_reader_reset(play->reader);
    play->own = (struct jid){0};
    play->is_closed = false;
    play->expects_header = true;
    play->pending_size = 0;
    play->heard.size = 0;
}

/* Everything must have come back: rows of the pool and memory. */
void play_end(struct play *play)
{
    xmpp_forget(play->xmpp, &play->stream);
    assert_int_equal(xmpp_negotiation_count(play->xmpp), 0);
    assert_int_equal(metric_get(&play->metrics, METRIC_XMPP_NEGOTIATIONS), 0);
    heap_give(&play->heap, play->pending);
    heap_give(&play->heap, play->heard.at);
    xml_reader_destroy(&play->heap, play->reader);
    xml_reader_destroy(&play->heap, play->listener);
    xmpp_destroy(play->xmpp);
    trace_fini(&play->trace, &play->heap);
    digests_fini(&play->digests);
    assert_int_equal(heap_used_bytes(&play->heap), 0);
}

struct xmpp_peer play_peer(struct play *play)
{
    return (struct xmpp_peer){.stream = &play->stream,
                              .own = play->own,
                              .conn = handle_of(0, 1, 1),
                              .now_ns = 1000,
                              .is_secure = play->is_secure};
}

/* ---- effects ---- */

static const struct account *find_account(const struct play *play, struct bytes local)
{
    for (uint32_t i = 0; i < play->account_count; i++)
        if (bytes_equal(account_local(&play->accounts[i]), local))
            return &play->accounts[i];
    return NULL;
}

static void note(struct play *play, const char *word, struct bytes text)
{
    write_u8(&play->heard, '[');
    write_string(&play->heard, word);
    write_u8(&play->heard, ' ');
    write_bytes(&play->heard, text);
    write_u8(&play->heard, ']');
}

static enum error check_password(struct play *play, const struct effect *effect)
{
    const struct scram_keys *keys = &effect->password_check.keys;
    if (play->store == PLAY_STORE_FAILS)
        return ERROR_UNAVAILABLE;
    if (play->store == PLAY_STORE_QUICK)
        return bytes_equal(effect->password_check.password, BYTES("pencil")) ? ERROR_NONE
                                                                             : ERROR_INVALID;
    return scram_verifier_check_password(play->digests.of[keys->kind], keys,
                                         effect->password_check.password)
               ? ERROR_NONE
               : ERROR_INVALID;
}

static enum error create_account(struct play *play, const struct effect *effect)
{
    if (play->store != PLAY_STORE_WORKS)
        return ERROR_STORE_FULL;
    if (find_account(play, effect->account_create.local) != NULL)
        return ERROR_EXISTS;
    assert_true(play->account_count < PLAY_ACCOUNTS_MAX);
    struct account *account = &play->accounts[play->account_count++];
    make_account(play, account, effect->account_create.local, effect->account_create.password);
    account->number = play->account_count;
    return ERROR_NONE;
}

static void take_own(struct play *play, const struct effect *effect)
{
    struct writer into = writer_of(play->own_text, sizeof(play->own_text));
    write_bytes(&into, effect->bind.local);
    write_bytes(&into, effect->bind.resource);
    play->own = (struct jid){
        .local = bytes_slice(writer_bytes(&into), 0, effect->bind.local.size),
        .domain = xmpp_domain(play->xmpp),
        .resource = bytes_from(writer_bytes(&into), effect->bind.local.size),
    };
}

static void hear(struct play *play, struct xmpp_output *output);

static void answer(struct play *play, const struct effect *effect)
{
    struct xmpp_output output;
    struct xmpp_peer peer = play_peer(play);
    if (play->store == PLAY_STORE_SILENT) {
        play->asked = *effect;
        return;
    }
    if (effect->kind == EFFECT_ACCOUNT_GET) {
        const struct account *account = find_account(play, effect->account_get.local);
        enum error error = play->store == PLAY_STORE_FAILS ? ERROR_SYSTEM
                           : account == NULL               ? ERROR_NOT_FOUND
                                                           : ERROR_NONE;
        xmpp_account_found(play->xmpp, &peer, error, account, &output);
    } else if (effect->kind == EFFECT_PASSWORD_CHECK) {
        xmpp_password_checked(play->xmpp, &peer, check_password(play, effect), &output);
    } else if (effect->kind == EFFECT_ACCOUNT_CREATE) {
        note(play, "create", effect->account_create.local);
        xmpp_account_created(play->xmpp, &peer, create_account(play, effect), &output);
    } else if (play->bind_error != STANZA_ERROR_NONE) {
        xmpp_bind_refused(play->xmpp, &peer, play->bind_error, &output);
    } else {
        take_own(play, effect);
        peer = play_peer(play);
        xmpp_bound(play->xmpp, &peer, &output);
    }
    hear(play, &output);
}

/* What is handed on must be one stanza that says who sent it, to any client's reader. */
static void listen_rendered(struct play *play, struct bytes rendered)
{
    struct xml_input input = xml_input_of(rendered);
    struct xml_item item;
    uint8_t room[2 * JID_SIZE_MAX];
    uint8_t own_room[2 * JID_SIZE_MAX];
    struct writer from = writer_of(room, sizeof(room));
    struct writer own = writer_of(own_room, sizeof(own_room));
    assert_int_equal(
        xml_read(play->listener, XML_SCOPE_CLIENT, &play->listener_limits, &input, &item),
        XML_DONE);
    assert_int_equal(item.kind, XML_ITEM_STANZA);
    assert_int_equal(item.size, rendered.size);
    jid_write(&own, &play->own);
    assert_true(
        bytes_equal(xml_value(&item, xml_attribute(&item, xml_root(&item), BYTES("from")), &from),
                    writer_bytes(&own)));
}

/* What the server says reads as a stream: a header first, and again after success. */
static void listen(struct play *play, struct bytes said)
{
    struct xml_input input = xml_input_of(said);
    while (input.at < said.size) {
        struct xml_item item;
        enum xml_result result =
            play->expects_header
                ? xml_read_header(play->listener, &play->listener_limits, &input, &item)
                : xml_read(play->listener, XML_SCOPE_CLIENT, &play->listener_limits, &input, &item);
        if (result != XML_DONE)
            fail_msg("not XML: %.*s", (int)said.size, (const char *)said.at);
        play->expects_header = item.kind == XML_ITEM_STANZA &&
                               xml_name_is(&item, xml_root(&item), XML_NS_SASL, BYTES("success"));
    }
}

static void hear_effect(struct play *play, const struct effect *effect)
{
    switch (effect->kind) {
    case EFFECT_CLOSE:
        play->is_closed = true;
        play->close_error = effect->close.error;
        note(play, "close", bytes_of_string(stream_error_condition(effect->close.error)));
        break;
    case EFFECT_PRESENCE: {
        listen_rendered(play, effect->presence.rendered);
        char head[64];
        snprintf(head, sizeof(head), "presence %d %u%s '%s'", effect->presence.priority,
                 (unsigned int)effect->presence.show, effect->presence.says_more ? " more" : "",
                 stanza_type_name(effect->presence.type));
        note(play, head, effect->presence.rendered);
        break;
    }
    case EFFECT_ROUTE:
        listen_rendered(play, effect->route.rendered);
        write_string(&play->heard, "[route ");
        write_string(&play->heard, stanza_kind_name(effect->route.stanza.kind));
        write_u8(&play->heard, ' ');
        write_string(&play->heard, stanza_type_name(effect->route.stanza.type));
        write_u8(&play->heard, ' ');
        jid_write(&play->heard, &effect->route.stanza.to);
        note(play, "", effect->route.rendered);
        write_u8(&play->heard, ']');
        break;
    default: {
        struct effect copy = *effect; /* the answer overwrites the output it came in */
        answer(play, &copy);
    }
    }
}

static void hear(struct play *play, struct xmpp_output *output)
{
    listen(play, writer_bytes(&output->out));
    write_bytes(&play->heard, writer_bytes(&output->out));
    for (uint32_t i = 0; i < output->effect_count; i++)
        hear_effect(play, &output->effects[i]);
    assert_false(play->heard.is_overflown);
}

/* ---- the client's octets ---- */

/* Reads as far as the pending octets go. */
static void turn(struct play *play)
{
    struct xml_input input = xml_input_of(bytes_of(play->pending, play->pending_size));
    while (!play->is_closed && !stream_is_waiting(&play->stream)) {
        struct xml_item item;
        const struct xml_limits *limits = xmpp_limits(play->xmpp, &play->stream);
        enum xml_result result =
            stream_awaits_header(&play->stream)
                ? xml_read_header(play->reader, limits, &input, &item)
                : xml_read(play->reader, stream_scope(&play->stream), limits, &input, &item);
        if (result == XML_NEED_MORE)
            break;
        struct xmpp_output output;
        struct xmpp_peer peer = play_peer(play);
        xmpp_step(play->xmpp, &peer, result, &item, &output);
        hear(play, &output);
    }
    memmove(play->pending, play->pending + input.at, play->pending_size - input.at);
    play->pending_size -= input.at;
}

void play_say_bytes(struct play *play, struct bytes text)
{
    size_t piece = play->piece_bytes == 0 ? text.size : play->piece_bytes;
    for (size_t at = 0; at < text.size && !play->is_closed; at += piece) {
        struct bytes part = bytes_slice(text, at, text.size - at < piece ? text.size - at : piece);
        assert_true(play->pending_size + part.size <= 2 * PLAY_TEXT_MAX);
        memcpy(play->pending + play->pending_size, part.at, part.size);
        play->pending_size += part.size;
        turn(play);
    }
}

void play_say(struct play *play, const char *text)
{
    play_say_bytes(play, bytes_of_string(text));
}

const char *play_heard(struct play *play)
{
    write_u8(&play->heard, 0);
    assert_false(play->heard.is_overflown);
    play->heard.size = 0;
    return (const char *)play->heard.at;
}

bool play_matches(const char *text, const char *pattern)
{
    const char *star = NULL;
    const char *back = NULL;
    while (*text != '\0') {
        if (*pattern == '*') {
            star = pattern++;
            back = text;
        } else if (*pattern == *text) {
            pattern++;
            text++;
        } else if (star != NULL) {
            pattern = star + 1;
            text = ++back;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

bool play_hears(struct play *play, const char *pattern)
{
    const char *text = play_heard(play);
    bool is_match = play_matches(text, pattern);
    if (!is_match)
        print_error("heard:    %s\nexpected: %s\n", text, pattern);
    return is_match;
}

/* ---- a real client ---- */

static void say_base64(struct play *play, const char *before, struct bytes text, const char *after)
{
    uint8_t room[8192];
    struct writer into = writer_of(room, sizeof(room));
    write_string(&into, before);
    write_base64(&into, text);
    write_string(&into, after);
    assert_false(into.is_overflown);
    play_say_bytes(play, writer_bytes(&into));
}

void play_change_account(struct play *play, uint32_t number)
{
    struct xmpp_peer peer = play_peer(play);
    struct xmpp_output output;
    xmpp_account_changed(play->xmpp, &peer, number, &output);
    hear(play, &output);
}

void play_auth_plain(struct play *play, const char *user, const char *password)
{
    uint8_t room[1024];
    struct writer text = writer_of(room, sizeof(room));
    write_u8(&text, 0);
    write_string(&text, user);
    write_u8(&text, 0);
    write_string(&text, password);
    say_base64(play, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>",
               writer_bytes(&text), "</auth>");
}

/* The decoded text of the one element heard. */
static struct bytes heard_base64(struct play *play, const char *element, struct writer *into)
{
    const char *text = play_heard(play);
    if (strncmp(text + 1, element, strlen(element)) != 0)
        return (struct bytes){0};
    const char *start = strchr(text, '>') + 1;
    const char *end = strchr(start, '<');
    assert_true(base64_decode(bytes_of(start, (size_t)(end - start)), into));
    return writer_bytes(into);
}

static struct bytes attribute_of(struct bytes message, char name)
{
    while (message.size > 2) {
        size_t comma = bytes_find(message, ',');
        if (message.at[0] == (uint8_t)name && message.at[1] == '=')
            return bytes_slice(message, 2, comma - 2);
        message = bytes_from(message, comma + 1);
    }
    return (struct bytes){0};
}

static void client_proof(struct digest *digest, const char *password, struct bytes first,
                         struct bytes auth_message, uint8_t *proof)
{
    uint8_t salt_room[64];
    uint8_t salted[DIGEST_SIZE_MAX];
    uint8_t stored[DIGEST_SIZE_MAX];
    uint8_t signature[DIGEST_SIZE_MAX];
    struct writer salt = writer_of(salt_room, sizeof(salt_room));
    uint64_t rounds = 0;
    size_t size = digest_size(digest_kind_of(digest));
    assert_true(base64_decode(attribute_of(first, 's'), &salt));
    assert_true(decimal_parse(attribute_of(first, 'i'), 1000000, &rounds));
    digest_pbkdf2(digest, bytes_of_string(password), writer_bytes(&salt), (uint32_t)rounds, salted);
    digest_hmac(digest, bytes_of(salted, size), BYTES("Client Key"), proof);
    digest_hash(digest, bytes_of(proof, size), stored);
    digest_hmac(digest, bytes_of(stored, size), auth_message, signature);
    for (size_t i = 0; i < size; i++)
        proof[i] ^= signature[i];
}

bool play_auth_scram(struct play *play, enum digest_kind kind, const char *user,
                     const char *password)
{
    uint8_t first_room[1024];
    uint8_t server_room[1024];
    uint8_t message_room[4096];
    struct writer first = writer_of(first_room, sizeof(first_room));
    struct writer server = writer_of(server_room, sizeof(server_room));
    struct writer message = writer_of(message_room, sizeof(message_room));
    write_string(&first, "n,,n=");
    write_string(&first, user);
    write_string(&first, ",r=fyko+d2lbbFgONRv9qkxdawL");
    say_base64(play,
               kind == DIGEST_SHA1
                   ? "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-1'>"
                   : "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-256'>",
               writer_bytes(&first), "</auth>");
    struct bytes challenge = heard_base64(play, "challenge", &server);
    if (challenge.size == 0)
        return false;
    if (play->changed != 0)
        play_change_account(play, play->changed);
    write_bytes(&message, bytes_from(writer_bytes(&first), 3));
    write_u8(&message, ',');
    write_bytes(&message, challenge);
    write_u8(&message, ',');
    size_t final_at = message.size;
    write_string(&message, "c=biws,r=");
    write_bytes(&message, attribute_of(challenge, 'r'));
    uint8_t proof[DIGEST_SIZE_MAX];
    client_proof(play->digests.of[kind], password, challenge, writer_bytes(&message), proof);
    write_string(&message, ",p=");
    write_base64(&message, bytes_of(proof, digest_size(kind)));
    say_base64(play, "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>",
               bytes_from(writer_bytes(&message), final_at), "</response>");
    return stream_state(&play->stream) == STREAM_AUTHENTICATED;
}

void play_login(struct play *play, const char *user, const char *resource)
{
    char text[512];
    play_say(play, PLAY_HEADER);
    play_auth_plain(play, user, "pencil");
    play_say(play, PLAY_HEADER);
    snprintf(text, sizeof(text),
             "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
             "<resource>%s</resource></bind></iq>",
             resource);
    play_say(play, text);
    assert_true(stream_is_bound(&play->stream));
    play_heard(play);
}

void play_prepare_bound(struct play *play)
{
    play_login(play, "alice", "phone");
}

void play_script(const struct play_line *lines, size_t count, void (*prepare)(struct play *play))
{
    static const size_t pieces[] = {0, 1, 7};
    for (size_t i = 0; i < ARRAY_COUNT(pieces); i++) {
        struct play play;
        play_begin(&play);
        if (prepare != NULL)
            prepare(&play);
        play.piece_bytes = pieces[i];
        for (size_t line = 0; line < count; line++) {
            play_say(&play, lines[line].say);
            if (!play_hears(&play, lines[line].hear))
                fail_msg("line %zu, pieces of %zu: %s", line, pieces[i], lines[line].say);
        }
        play_end(&play);
    }
}
