/* SPDX-License-Identifier: Apache-2.0
 *
 * Giving up what only the start needed: user, groups and capabilities (docs/OPERATIONS.md). Called
 * once by the main thread after the NIC, the store and the admin socket are open and before any
 * other thread of ours starts, so every thread inherits the reduced set. */
#ifndef STENTOR_SERVER_PRIVILEGES_H
#define STENTOR_SERVER_PRIVILEGES_H

#include "stentor/config.h"

/* Keeps only the capabilities the running NIC driver needs, sets no_new_privs and makes the
 * process undumpable. On a fault writes a sentence; the server must not go on. */
MUST_USE enum error privileges_drop(const struct config *config, struct writer *message);

#endif
