/* SPDX-License-Identifier: Apache-2.0
 *
 * A stage for dialogues with the XMPP machine: one stream, a real XML reader, and a stand-in for
 * all that answers effects (accounts, password check, session). What the client sends goes in as
 * octets, in pieces of any size; what the server says, and each effect as a line in brackets,
 * comes out as one text to match against a pattern in which * stands for anything. All of it is
 * read as XML on the way: a stream of ours that a client could not read fails any test. */
#ifndef STENTOR_TESTS_XMPP_PLAY_H
#define STENTOR_TESTS_XMPP_PLAY_H

#include "stentor/xmpp.h"

#define PLAY_TEXT_MAX 262144u
#define PLAY_ACCOUNTS_MAX 4u

/* How the stand-in answers. */
enum play_store {
    PLAY_STORE_WORKS,
    PLAY_STORE_QUICK, /* compares with "pencil" instead of deriving keys; creates nothing */
    PLAY_STORE_FAILS,
    PLAY_STORE_SILENT, /* keeps the question in play->asked */
};

struct play {
    struct heap heap;
    struct config config;
    struct random random;
    struct metrics metrics;
    struct digests digests;
    struct trace trace;
    struct xmpp *xmpp;
    struct xml_reader *reader;
    struct xml_reader *listener; /* the client's: whatever the server says must be good XML */
    struct xml_limits listener_limits;
    bool expects_header;
    struct stream stream;
    struct jid own;
    uint8_t own_text[2 * JID_SIZE_MAX];
    struct account accounts[PLAY_ACCOUNTS_MAX];
    uint32_t account_count;
    enum play_store store;
    enum stanza_error bind_error; /* NONE: binding succeeds */
    uint32_t changed; /* an account that changes between SCRAM's challenge and its response */
    bool is_secure;
    bool is_closed; /* EFFECT_CLOSE was seen */
    enum stream_error close_error;
    struct effect asked; /* the last asking effect, of a silent store */
    uint64_t read_bytes; /* consumed by the reader */
    size_t piece_bytes;  /* octets fed at once; 0 = all */
    uint8_t *pending;    /* octets not yet an item */
    size_t pending_size;
    struct writer heard; /* what came out since the last look */
};

/* A server for stentor.test with users alice and bob, both "pencil", and carol, who is disabled. */
void play_begin(struct play *play);
/* As play_begin, after the test has changed the configuration. */
void play_begin_configured(struct play *play, const struct config *config);
void play_config(struct config *config);
void play_end(struct play *play);

/* A fresh connection to the same server. */
void play_reconnect(struct play *play);
/* The client's octets. */
void play_say(struct play *play, const char *text);
void play_say_bytes(struct play *play, struct bytes text);
/* What the server did since the last call, as text; valid until the next say. */
const char *play_heard(struct play *play);
/* Whether it matches; prints both when not. */
bool play_hears(struct play *play, const char *pattern);
bool play_matches(const char *text, const char *pattern);

/* Header, PLAIN, header, bind: alice (or another) at that resource. */
void play_login(struct play *play, const char *user, const char *resource);
/* SASL PLAIN or SCRAM of a real client up to success; false when it failed. The header must have
 * been said. */
void play_auth_plain(struct play *play, const char *user, const char *password);
bool play_auth_scram(struct play *play, enum digest_kind kind, const char *user,
                     const char *password);
struct xmpp_peer play_peer(struct play *play);
/* The account of that number was changed; what comes of it is heard. */
void play_change_account(struct play *play, uint32_t number);

#define PLAY_HEADER                                                                                \
    "<?xml version='1.0'?><stream:stream to='stentor.test' xmlns='jabber:client' "                 \
    "xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>"

/* One line of a dialogue: the client says, the server must answer. */
struct play_line {
    const char *say;
    const char *hear;
};

/* Plays the lines on a fresh server, whole, then octet by octet, then in pieces of 7. prepare may
 * be NULL. */
void play_script(const struct play_line *lines, size_t count, void (*prepare)(struct play *play));
#define PLAY_SCRIPT(lines, prepare) play_script(lines, ARRAY_COUNT(lines), prepare)

/* For play_script: a bound alice/phone. */
void play_prepare_bound(struct play *play);

#endif
