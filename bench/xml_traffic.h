/* SPDX-License-Identifier: Apache-2.0
 *
 * A made-up but honest client stream: what phones and desktop clients send and get on an ordinary
 * day, in the spelling of real clients (some with ', some with "), with identifiers, names and
 * texts that vary. The same seed gives the same octets. */
#ifndef STENTOR_XML_TRAFFIC_H
#define STENTOR_XML_TRAFFIC_H

#include <stdint.h>

#include "stentor/bytes.h"

/* Appends the stream header. */
void xml_traffic_header(struct writer *into);
/* Appends one stanza; *seed moves on. Never more than XML_TRAFFIC_STANZA_MAX octets. */
void xml_traffic_stanza(struct writer *into, uint64_t *seed);

#define XML_TRAFFIC_STANZA_MAX 4096u

#endif
