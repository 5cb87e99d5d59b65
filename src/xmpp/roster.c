/* SPDX-License-Identifier: Apache-2.0
 *
 * Roster (RFC 6121 2.1.3) and vCard (XEP-0054) of an account that has neither yet: clients ask at
 * login and wait, so they are told that both are empty. */
#include "iq.h"

enum stanza_error roster_answer(const struct iq *iq)
{
    iq_result_begin(iq);
    write_string(iq->step->out, "<query xmlns='jabber:iq:roster'/>");
    iq_result_end(iq);
    return STANZA_ERROR_NONE;
}

enum stanza_error vcard_answer(const struct iq *iq)
{
    iq_result_begin(iq);
    write_string(iq->step->out, "<vCard xmlns='vcard-temp'/>");
    iq_result_end(iq);
    return STANZA_ERROR_NONE;
}
