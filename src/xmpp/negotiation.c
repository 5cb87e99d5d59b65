/* SPDX-License-Identifier: Apache-2.0
 *
 * The pool of negotiation rows: what a stream needs between its first header and its binding, a
 * few kilobytes that no bound stream keeps. The pool's size bounds the memory that strangers can
 * make us hold; when it is empty a new stream is told resource-constraint. Rows hold secrets and
 * are wiped when they come back. Rows above the high-water mark were never touched. */
#include "machine.h"

struct negotiation *negotiation_take(struct xmpp *xmpp, struct stream *stream)
{
    ASSERT(stream->negotiation == 0);
    uint32_t row = xmpp->row_free;
    if (row != 0)
        xmpp->row_free = xmpp->rows[row - 1].next_free;
    else if (xmpp->row_high_water < xmpp->row_count)
        row = ++xmpp->row_high_water;
    else
        return NULL;
    xmpp->row_used++;
    metric_set(xmpp->metrics, METRIC_XMPP_NEGOTIATIONS, xmpp->row_used);
    stream->negotiation = row;
    struct negotiation *negotiation = &xmpp->rows[row - 1];
    memset(negotiation, 0, sizeof(*negotiation));
    return negotiation;
}

struct negotiation *negotiation_find(struct xmpp *xmpp, const struct stream *stream)
{
    if (stream->negotiation == 0)
        return NULL;
    ASSERT(stream->negotiation <= xmpp->row_high_water);
    return &xmpp->rows[stream->negotiation - 1];
}

void negotiation_give(struct xmpp *xmpp, struct stream *stream)
{
    struct negotiation *negotiation = negotiation_find(xmpp, stream);
    if (negotiation == NULL)
        return;
    ASSERT(xmpp->row_used > 0);
    bytes_wipe(negotiation, sizeof(*negotiation));
    negotiation->next_free = xmpp->row_free;
    xmpp->row_free = stream->negotiation;
    xmpp->row_used--;
    metric_set(xmpp->metrics, METRIC_XMPP_NEGOTIATIONS, xmpp->row_used);
    stream->negotiation = 0;
}
