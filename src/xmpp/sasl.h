/* SPDX-License-Identifier: Apache-2.0
 *
 * SASL on a stream (RFC 6120 section 6): PLAIN (RFC 4616) where the listener allows it, and
 * SCRAM-SHA-1, SCRAM-SHA-256 (RFC 5802, 7677). A user that does not exist costs the same work and
 * is told the same as a wrong password. */
#ifndef STENTOR_XMPP_SASL_H
#define STENTOR_XMPP_SASL_H

#include "machine.h"

enum sasl_error {
    SASL_ERROR_NONE,
#define SASL_ERROR(name, condition) SASL_ERROR_##name,
#include "sasl_error.def"
#undef SASL_ERROR
    SASL_ERROR_COUNT
};

void sasl_write_mechanisms(struct step *step);
/* An element in the SASL namespace on a stream in state OPEN. */
void sasl_step(struct step *step);
void sasl_account_found(struct step *step, enum error error, const struct account *account);
/* The account that the row names is no longer what was looked up. */
void sasl_account_changed(struct step *step);
void sasl_password_checked(struct step *step, enum error error);

#endif
