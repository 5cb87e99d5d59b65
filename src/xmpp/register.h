/* SPDX-License-Identifier: Apache-2.0
 *
 * The answer to EFFECT_ACCOUNT_CREATE, on its way back to the client. */
#ifndef STENTOR_XMPP_REGISTER_H
#define STENTOR_XMPP_REGISTER_H

#include "machine.h"

void register_done(struct step *step, enum error error);

#endif
