/* SPDX-License-Identifier: Apache-2.0
 *
 * Notes between workers: taken from the inbox, stepped by the router, its actions carried out. A
 * note to this worker itself goes through a ring of its own, so a chain of notes cannot grow the
 * stack, and one turn carries out a bounded number. */
#include "worker.h"

bool deliver_give(struct worker *worker, struct route_note *note)
{
    if (note == NULL) {
        metric_count(worker->metrics, METRIC_NOTES_LOST_MEMORY);
        return false;
    }
    void *item = note;
    bool is_given = note->to_worker == worker->index ? ring_give_spsc(worker->self, &item)
                                                     : server_give_note(worker->server, note);
    if (is_given)
        return true;
    metric_count(worker->metrics, METRIC_NOTES_LOST_FULL);
    note_destroy(worker->heap, &note);
    return false;
}

static void action_carry_out(struct worker *worker, struct route_action *action)
{
    switch (action->kind) {
    case ROUTE_SEND:
        if ((session_at(&worker->sessions, action->conn)->flags & SESSION_CLOSING) == 0)
            outbound_octets(worker, action->conn, action->octets);
        break;
    case ROUTE_CLOSE:
        effects_close(worker, action->conn, action->error);
        inbound_resume(worker, action->conn);
        break;
    case ROUTE_NOTE:
        deliver_give(worker, action->note);
        break;
    }
}

static void note_carry_out(struct worker *worker, struct route_note *note)
{
    worker->actions->count = 0;
    route_step(&worker->router, note, worker->actions);
    for (uint32_t i = 0; i < worker->actions->count; i++)
        action_carry_out(worker, &worker->actions->items[i]);
    note_destroy(worker->heap, &note);
}

bool deliver_notes(struct worker *worker)
{
    for (uint32_t i = 0; i < WORKER_NOTES_TURN; i++) {
        struct route_note *note = ring_take_spsc(worker->self);
        if (note == NULL)
            note = ring_take_mpsc(worker->inbox);
        if (note == NULL)
            return i != 0;
        note_carry_out(worker, note);
    }
    return true;
}
