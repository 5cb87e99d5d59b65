/* SPDX-License-Identifier: Apache-2.0
 *
 * XMPP addresses (RFC 7622): local@domain/resource, split, judged and prepared.
 *
 * A prepared JID is in the one form in which octets compare: local part by the PRECIS profile
 * UsernameCaseMapped (RFC 8265 3.3), domain lower-case without trailing dot (labels by IDNA),
 * resource and passwords by OpaqueString (RFC 8265 4.2). Everything that is stored, routed by or
 * compared is prepared first, exactly once, at the border. ASCII never reaches ICU.
 *
 * Views only: a struct jid names octets of the buffer it was made from. Any thread, no allocation
 * of ours (ICU may allocate for a domain that is not ASCII). Sizes in octets. */
#ifndef STENTOR_JID_H
#define STENTOR_JID_H

#include "stentor/bytes.h"
#include "stentor/error.h"

#define JID_PART_SIZE_MAX 1023u                    /* RFC 7622 3.2 to 3.4 */
#define JID_SIZE_MAX (3u * JID_PART_SIZE_MAX + 2u) /* with @ and / */
#define PASSWORD_SIZE_MAX 255u                     /* ours: prepared, what SASL PLAIN takes */

/* An empty part is an absent one. The domain is never empty in a JID that a function here made. */
struct jid {
    struct bytes local;
    struct bytes domain;
    struct bytes resource;
};

/* Splits at the first '/' and the first '@' before it (RFC 7622 3.2). Judges sizes and empty
 * parts only, changes nothing: for text that is known to be prepared. */
MUST_USE enum error jid_split(struct bytes text, struct jid *jid);

/* Splits and prepares; the prepared octets go into the writer (JID_SIZE_MAX always suffice) and
 * *jid names them there. ERROR_INVALID: not a JID; ERROR_TOO_LARGE: a part over the limit, or no
 * room in the writer. On a fault *jid is all empty. */
MUST_USE enum error jid_prepare(struct bytes text, struct writer *into, struct jid *jid);

/* One part alone, appended to the writer; *prepared names it there. An empty part is invalid. */
MUST_USE enum error jid_prepare_local(struct bytes text, struct writer *into,
                                      struct bytes *prepared);
MUST_USE enum error jid_prepare_domain(struct bytes text, struct writer *into,
                                       struct bytes *prepared);
MUST_USE enum error jid_prepare_resource(struct bytes text, struct writer *into,
                                         struct bytes *prepared);
/* OpaqueString, at most PASSWORD_SIZE_MAX octets: for everyone who makes or checks SCRAM keys. */
MUST_USE enum error password_prepare(struct bytes text, struct writer *into,
                                     struct bytes *prepared);

static inline bool jid_is_bare(const struct jid *jid)
{
    return jid->resource.size == 0;
}
/* Only of the domain, or of a resource at the domain: names the server, not a user. */
static inline bool jid_is_domain(const struct jid *jid)
{
    return jid->local.size == 0;
}
static inline struct jid jid_bare(const struct jid *jid)
{
    return (struct jid){.local = jid->local, .domain = jid->domain};
}
/* Octet for octet: both sides must be prepared. */
bool jid_equal(const struct jid *a, const struct jid *b);
bool jid_equal_bare(const struct jid *a, const struct jid *b);

/* As text, unescaped: for logs and for values that are escaped later. */
void jid_write(struct writer *into, const struct jid *jid);
/* As it stands in an XML attribute value or text (a resource may hold & < ' "). */
void jid_write_xml(struct writer *into, const struct jid *jid);

#endif
