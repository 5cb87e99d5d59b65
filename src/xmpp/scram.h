/* SPDX-License-Identifier: Apache-2.0
 *
 * SCRAM's messages (RFC 5802 section 7) as text in and out, and the server's part of the proof.
 * Knows nothing of streams; no allocation. Views are into the message that was read. */
#ifndef STENTOR_XMPP_SCRAM_H
#define STENTOR_XMPP_SCRAM_H

#include "sasl.h"

#define SCRAM_CLIENT_NONCE_SIZE_MAX 256u
#define SCRAM_SERVER_NONCE_SIZE 18u /* octets of randomness, written as base64 */

struct scram_client_first {
    struct bytes gs2;      /* header with both commas: what the c= of the final message repeats */
    struct bytes authzid;  /* still as saslname; empty when absent */
    struct bytes username; /* still as saslname */
    struct bytes nonce;
    struct bytes bare; /* client-first-message-bare */
};

struct scram_client_final {
    struct bytes binding; /* base64 */
    struct bytes nonce;
    struct bytes proof;         /* base64 */
    struct bytes without_proof; /* client-final-message-without-proof */
};

enum sasl_error scram_read_client_first(struct bytes message, struct scram_client_first *first);
enum sasl_error scram_read_client_final(struct bytes message, struct scram_client_final *final);
/* =2C and =3D replaced; false for any other =. */
MUST_USE bool scram_decode_name(struct bytes name, struct writer *into);

/* server-first-message: r=client nonce and ours, s=salt, i=rounds. */
void scram_write_server_first(struct writer *into, struct bytes client_nonce,
                              struct bytes server_nonce, const struct scram_keys *keys);

/* The messages that a proof is about. */
struct scram_exchange {
    struct bytes gs2;
    struct bytes client_first_bare;
    struct bytes server_first;
};

/* Checks binding, nonce and proof; on SASL_ERROR_NONE the server-final-message (v=...) is appended
 * to the writer. The computation is done in full whatever the keys are. */
enum sasl_error scram_finish(struct digest *digest, const struct scram_keys *keys,
                             const struct scram_exchange *exchange,
                             const struct scram_client_final *final, struct writer *into);

/* Keys of a user that does not exist: the salt is always the same for one name, as a real one's
 * would be; no proof fits them. secret is HMAC key. digest must be SHA-256. */
void scram_invent_keys(struct digest *digest, struct bytes secret, struct bytes local,
                       enum digest_kind kind, uint32_t rounds, struct scram_keys *keys);

#endif
