/* SPDX-License-Identifier: Apache-2.0
 *
 * A simulated device: a TCP/IP stack of its own on the simulated wire, and as much of an XMPP
 * client as logging in by PLAIN, going online, saying something and remembering what arrived take.
 * It judges the server: anything it does not expect is a fault with a sentence. */
#ifndef STENTOR_SIM_PHONE_H
#define STENTOR_SIM_PHONE_H

#include "stentor/net.h"
#include "stentor/xml.h"

#define PHONE_GATHERED_MAX 65536u
#define PHONE_MESSAGES_MAX 64u
#define PHONE_ID_MAX 40u

enum phone_state {
    PHONE_AWAY, /* no connection */
    PHONE_CONNECTING,
    PHONE_GREETING, /* header sent, awaits features */
    PHONE_AUTHENTICATING,
    PHONE_REGREETING,
    PHONE_BINDING,
    PHONE_APPEARING, /* presence sent, awaits its reflection */
    PHONE_ONLINE,
    PHONE_LEAVING, /* </stream:stream> sent */
};

struct phone_message {
    char id[PHONE_ID_MAX];
    uint32_t copies;
};

struct phone {
    char name[16];
    enum phone_state state;
    struct heap heap;
    struct arena arena;
    struct blob_table blobs;
    struct metrics *metrics;
    struct trace trace;
    struct random random;
    struct nic_queue *nic;
    struct net *net;
    struct net_address server;
    uint32_t conn;
    struct xml_reader *reader;
    enum xml_scope scope;
    uint8_t gathered[PHONE_GATHERED_MAX];
    uint32_t gathered_size;
    uint32_t logins;      /* times it came online */
    uint32_t connections; /* times it connected */
    struct phone_message messages[PHONE_MESSAGES_MAX];
    uint32_t message_count;
    char fault[256]; /* what the server did wrong; "" so far */
    bool is_done;    /* do not connect again */
};

void phone_open(struct phone *phone, const char *name, struct nic_sim *sim, uint8_t number,
                uint64_t seed, uint64_t now_ns);
void phone_close(struct phone *phone);
void phone_turn(struct phone *phone, uint64_t now_ns);
uint64_t phone_next_ns(const struct phone *phone, uint64_t now_ns);
/* Once online. */
void phone_say(struct phone *phone, const char *to, const char *id, const char *body);
void phone_leave(struct phone *phone);
/* How often a message of that id arrived. */
uint32_t phone_copies(const struct phone *phone, const char *id);

#endif
