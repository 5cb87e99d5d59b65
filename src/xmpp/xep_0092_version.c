/* SPDX-License-Identifier: Apache-2.0
 *
 * Software version (XEP-0092). The operating system is nobody's business. */
#include "iq.h"

enum stanza_error version_answer(const struct iq *iq)
{
    iq_result_begin(iq);
    write_string(iq->step->out, "<query xmlns='jabber:iq:version'><name>Stentor</name>"
                                "<version>" STENTOR_VERSION "</version></query>");
    iq_result_end(iq);
    return STANZA_ERROR_NONE;
}
