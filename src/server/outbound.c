/* SPDX-License-Identifier: Apache-2.0
 *
 * Octets of one stream on their way to TCP. What was rendered for one stream becomes a private
 * blob; TCP holds the reference until the peer has acknowledged it. A stream whose peer does not
 * read reaches xmpp.outbox_bytes and is shed: its queue is lost anyway, a reset says so plainly. */
#include "worker.h"

static void shed(struct worker *worker, uint32_t conn, enum error error)
{
    session_at(&worker->sessions, conn)->flags |= SESSION_CLOSING;
    metric_count(worker->metrics,
                 error == ERROR_LIMIT ? METRIC_STREAMS_SHED_OUTBOX : METRIC_STREAMS_SHED_MEMORY);
    trace_add(&worker->trace, worker->now_ns, net_handle(worker->net, conn), TRACE_CLOSE,
              (uint32_t)error, 0);
    tcp_abort(worker->net, conn);
}

void outbound_octets(struct worker *worker, uint32_t conn, struct bytes octets)
{
    uint32_t blob = blob_create_copy(&worker->blobs, octets);
    if (blob == BLOB_NONE) {
        shed(worker, conn, ERROR_NO_MEMORY);
        return;
    }
    enum error error = tcp_send(worker->net, conn, blob, 0, (uint32_t)octets.size);
    if (error == ERROR_NONE)
        return;
    blob_put(&worker->blobs, blob);
    if (error != ERROR_STALE) /* closing already: nobody is left to hear it */
        shed(worker, conn, error);
}
