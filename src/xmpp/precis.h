/* SPDX-License-Identifier: Apache-2.0
 *
 * PRECIS (RFC 8264, 8265) and IDNA for text that is not ASCII: the only file that calls ICU is
 * precis.c. jid.c asks here after its ASCII path declined. Any thread. */
#ifndef STENTOR_XMPP_PRECIS_H
#define STENTOR_XMPP_PRECIS_H

#include "stentor/bytes.h"
#include "stentor/error.h"

/* Octets of UTF-8 that go in at most. */
#define PRECIS_INPUT_SIZE_MAX 1023u

/* UsernameCaseMapped (RFC 8265 3.3). Does not know the characters a local part excludes besides. */
MUST_USE enum error precis_username(struct bytes text, struct writer *into);
/* OpaqueString (RFC 8265 4.2). */
MUST_USE enum error precis_opaque(struct bytes text, struct writer *into);
/* A domain name of U-labels and A-labels as U-labels (RFC 5891 with the mapping of UTS 46). */
MUST_USE enum error precis_domain(struct bytes text, struct writer *into);

#endif
