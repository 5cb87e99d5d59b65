/* SPDX-License-Identifier: Apache-2.0
 *
 * struct server: what startup.c makes, threads.c runs and by_hand.c steps. */
#ifndef STENTOR_SERVER_STATE_H
#define STENTOR_SERVER_STATE_H

#include <pthread.h>

#include "control.h"
#include "worker.h"

struct server {
    const struct config *config;
    struct heap first; /* what this very block was taken from */
    struct heap heap;
    struct siphash_key key;
    uint8_t install_key[XMPP_INSTALL_KEY_SIZE];
    char token[ADMIN_TOKEN_SIZE + 1];
    struct nic_port *port; /* NULL by hand */
    struct store *store;
    struct stretch *stretch;
    struct control control;
    struct metrics control_metrics;
    struct metrics worker_metrics[NIC_QUEUES_MAX];
    struct worker workers[NIC_QUEUES_MAX];
    pthread_t threads[NIC_QUEUES_MAX];
    uint32_t worker_count;
    uint32_t created_count; /* workers whose create was begun */
    uint32_t thread_count;
    bool is_by_hand;
    struct flag stops;   /* server_stop() */
    struct flag is_over; /* workers end */
};

/* data_folder.c: makes the folder if need be and reads or makes the installation's key. */
MUST_USE enum error data_folder_prepare(const struct config *config, struct writer *message);
MUST_USE enum error data_folder_key(const struct config *config, struct random *random,
                                    uint8_t key[XMPP_INSTALL_KEY_SIZE], struct writer *message);

#endif
