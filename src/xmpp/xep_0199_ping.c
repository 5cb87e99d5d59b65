/* SPDX-License-Identifier: Apache-2.0
 *
 * Ping (XEP-0199): an empty result says that both directions live. */
#include "iq.h"

enum stanza_error ping_answer(const struct iq *iq)
{
    iq_result_empty(iq);
    return STANZA_ERROR_NONE;
}
