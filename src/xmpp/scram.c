/* SPDX-License-Identifier: Apache-2.0
 *
 * SCRAM on the server's side. The grammar of RFC 5802 section 7 is read by hand from the front,
 * attribute by attribute, because order is fixed; what comes after the known attributes is an
 * extension and is ignored, but a mandatory one (m=) is refused. */
#include "scram.h"

#include "stentor/scram_verifier.h"
#include "stentor/text.h"

#define BINDING_SIZE_MAX (2u * SCRAM_FIRST_SIZE_MAX)
#define AUTH_MESSAGE_SIZE_MAX 8192u

/* The part before the next comma; *rest is what follows it. False when there is no comma. */
static bool take_part(struct bytes *rest, struct bytes *part)
{
    size_t comma = bytes_find(*rest, ',');
    if (comma == rest->size)
        return false;
    *part = bytes_slice(*rest, 0, comma);
    *rest = bytes_from(*rest, comma + 1);
    return true;
}

/* As take_part, but the last part needs no comma. */
static struct bytes take_last(struct bytes *rest)
{
    size_t comma = bytes_find(*rest, ',');
    struct bytes part = bytes_slice(*rest, 0, comma);
    *rest = bytes_from(*rest, comma + 1);
    return part;
}

/* The value of an attribute of that name; false when the part is another one. */
static bool value_of(struct bytes part, char name, struct bytes *value)
{
    if (part.size < 2 || part.at[0] != (uint8_t)name || part.at[1] != '=')
        return false;
    *value = bytes_from(part, 2);
    return true;
}

/* nonce = 1*printable: visible ASCII without the comma. */
static bool is_nonce(struct bytes nonce)
{
    for (size_t i = 0; i < nonce.size; i++)
        if (nonce.at[i] < 0x21 || nonce.at[i] > 0x7e || nonce.at[i] == ',')
            return false;
    return nonce.size != 0 && nonce.size <= SCRAM_CLIENT_NONCE_SIZE_MAX;
}

/* "n" and "y" mean no channel binding; "y" says that the client would bind but believes that we
 * cannot, which is so: no -PLUS is offered. "p" belongs to -PLUS only. */
static bool is_binding_flag(struct bytes flag)
{
    return bytes_equal(flag, BYTES("n")) || bytes_equal(flag, BYTES("y"));
}

enum sasl_error scram_read_client_first(struct bytes message, struct scram_client_first *first)
{
    *first = (struct scram_client_first){0};
    struct bytes rest = message;
    struct bytes part;
    if (!utf8_is_valid(message) || !take_part(&rest, &part) || !is_binding_flag(part))
        return SASL_ERROR_MALFORMED_REQUEST;
    if (!take_part(&rest, &part) || (part.size != 0 && !value_of(part, 'a', &first->authzid)))
        return SASL_ERROR_MALFORMED_REQUEST;
    first->gs2 = bytes_slice(message, 0, message.size - rest.size);
    first->bare = rest;
    if (!take_part(&rest, &part) || !value_of(part, 'n', &first->username))
        return SASL_ERROR_MALFORMED_REQUEST;
    if (!value_of(take_last(&rest), 'r', &first->nonce) || !is_nonce(first->nonce))
        return SASL_ERROR_MALFORMED_REQUEST;
    return first->username.size != 0 ? SASL_ERROR_NONE : SASL_ERROR_MALFORMED_REQUEST;
}

enum sasl_error scram_read_client_final(struct bytes message, struct scram_client_final *final)
{
    *final = (struct scram_client_final){0};
    struct bytes rest = message;
    struct bytes part;
    if (!take_part(&rest, &part) || !value_of(part, 'c', &final->binding))
        return SASL_ERROR_MALFORMED_REQUEST;
    if (!take_part(&rest, &part) || !value_of(part, 'r', &final->nonce))
        return SASL_ERROR_MALFORMED_REQUEST;
    while (take_part(&rest, &part)) /* extensions */
        if (part.size < 2 || part.at[1] != '=' || part.at[0] == 'm' || part.at[0] == 'p')
            return SASL_ERROR_MALFORMED_REQUEST;
    if (!value_of(rest, 'p', &final->proof))
        return SASL_ERROR_MALFORMED_REQUEST;
    final->without_proof = bytes_slice(message, 0, message.size - rest.size - 1);
    return SASL_ERROR_NONE;
}

bool scram_decode_name(struct bytes name, struct writer *into)
{
    for (size_t i = 0; i < name.size; i++) {
        if (name.at[i] != '=') {
            write_u8(into, name.at[i]);
            continue;
        }
        struct bytes code = bytes_slice(name, i, name.size - i < 3 ? name.size - i : 3);
        if (!bytes_equal(code, BYTES("=2C")) && !bytes_equal(code, BYTES("=3D")))
            return false;
        write_u8(into, code.at[1] == '2' ? ',' : '=');
        i += 2;
    }
    return !into->is_overflown;
}

void scram_write_server_first(struct writer *into, struct bytes client_nonce,
                              struct bytes server_nonce, const struct scram_keys *keys)
{
    write_string(into, "r=");
    write_bytes(into, client_nonce);
    write_bytes(into, server_nonce);
    write_string(into, ",s=");
    write_base64(into, bytes_of(keys->salt, keys->salt_size));
    write_string(into, ",i=");
    write_decimal(into, keys->rounds);
}

/* The whole nonce stands in server-first-message between "r=" and the comma. */
static bool repeats_nonce(const struct scram_exchange *exchange, struct bytes nonce)
{
    struct bytes rest = exchange->server_first;
    struct bytes part;
    struct bytes sent;
    return take_part(&rest, &part) && value_of(part, 'r', &sent) && bytes_equal_secret(sent, nonce);
}

static bool repeats_binding(const struct scram_exchange *exchange, struct bytes binding)
{
    uint8_t room[BINDING_SIZE_MAX];
    struct writer expected = writer_of(room, sizeof(room));
    write_base64(&expected, exchange->gs2);
    return !expected.is_overflown && bytes_equal(writer_bytes(&expected), binding);
}

enum sasl_error scram_finish(struct digest *digest, const struct scram_keys *keys,
                             const struct scram_exchange *exchange,
                             const struct scram_client_final *final, struct writer *into)
{
    uint8_t room[AUTH_MESSAGE_SIZE_MAX];
    struct writer message = writer_of(room, sizeof(room));
    write_bytes(&message, exchange->client_first_bare);
    write_u8(&message, ',');
    write_bytes(&message, exchange->server_first);
    write_u8(&message, ',');
    write_bytes(&message, final->without_proof);
    uint8_t proof_room[2 * DIGEST_SIZE_MAX];
    struct writer proof = writer_of(proof_room, sizeof(proof_room));
    if (!base64_decode(final->proof, &proof) || proof.is_overflown || message.is_overflown)
        return SASL_ERROR_MALFORMED_REQUEST;
    bool is_right =
        scram_verifier_check_proof(digest, keys, writer_bytes(&message), writer_bytes(&proof));
    if (!repeats_binding(exchange, final->binding) || !repeats_nonce(exchange, final->nonce) ||
        !is_right)
        return SASL_ERROR_NOT_AUTHORIZED;
    uint8_t signature[DIGEST_SIZE_MAX];
    scram_verifier_sign(digest, keys, writer_bytes(&message), signature);
    write_string(into, "v=");
    write_base64(into, bytes_of(signature, digest_size((enum digest_kind)keys->kind)));
    return SASL_ERROR_NONE;
}

void scram_invent_keys(struct digest *digest, struct bytes secret, struct bytes local,
                       enum digest_kind kind, uint32_t rounds, struct scram_keys *keys)
{
    ASSERT(digest_kind_of(digest) == DIGEST_SHA256);
    ASSERT(rounds != 0);
    uint8_t name[ACCOUNT_LOCAL_SIZE_MAX + 2];
    uint8_t made[DIGEST_SIZE_MAX];
    struct writer input = writer_of(name, sizeof(name));
    write_u8(&input, (uint8_t)kind); /* a real account has its own salt for each kind */
    write_bytes(&input, local);
    ASSERT(!input.is_overflown);
    digest_hmac(digest, secret, writer_bytes(&input), made);
    *keys = (struct scram_keys){
        .rounds = rounds, .kind = (uint8_t)kind, .salt_size = SCRAM_SALT_SIZE_MAX};
    memcpy(keys->salt, made, SCRAM_SALT_SIZE_MAX);
    /* A hash that nobody knows a source of; the server key is never used. */
    digest_hmac(digest, secret, bytes_of(made, sizeof(made)), made);
    memcpy(keys->stored_key, made, digest_size(kind));
    bytes_wipe(made, sizeof(made));
}
