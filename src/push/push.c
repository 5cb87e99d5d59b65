/* SPDX-License-Identifier: Apache-2.0
 *
 * The books of pushes, kept by the control thread. A row's life:
 *
 *   push_accept --> RUNNING --all workers walked--> DRAINING --all workers let go--> DONE
 *                                                                --> forgotten, oldest first
 *
 * Who is offline is known when the last worker has walked: the accounts of the audience that no
 * worker matched. The text and the sets go when the push is done; the figures stay until a new push
 * needs the place. `order` holds the places by id, ascending, which is the order of acceptance.
 *
 * Sets are CRoaring's and come from its own allocator; their size follows the number of accounts
 * (1.3 MB for ten million), not the number of pushes' copies. */
#include <roaring/roaring.h>

#include "push_render.h"
#include "stentor/push.h"

#define NS_PER_MS UINT64_C(1000000)

struct push_row {
    struct push_job job;
    enum push_state state;
    uint32_t walking_count; /* workers that may still match */
    uint32_t holding_count; /* workers that may still hold a reference */
    uint8_t *text;
    roaring_bitmap_t *accounts; /* the audience when accepted; NULL for `online` */
    roaring_bitmap_t *reached;  /* of the workers that have walked */
    struct push_counts counts;  /* pending and in_flight are computed when asked for */
    uint64_t created_at_ms;
    uint64_t accepted_at_ns;
    uint64_t first_write_at_ns;
    uint64_t last_write_at_ns;
    size_t label_size;
    uint8_t label[PUSH_LABEL_MAX];
};

struct push_table {
    struct push_options options;
    struct push_row **rows; /* by place; NULL = free */
    uint32_t *order;        /* places, ids ascending */
    uint32_t count;
    uint32_t running_count;
    struct push_id last_id;
    uint8_t *scratch; /* body_bytes_max, to render into */
    uint8_t domain[];
};

const char *push_state_name(enum push_state state)
{
    static const char *const names[] = {"running", "draining", "done"};
    ASSERT(state < ARRAY_COUNT(names));
    return names[state];
}

const char *push_failure_name(enum push_failure failure)
{
    static const char *const names[] = {"offline", "overflow", "closed", "no-memory"};
    static_assert(ARRAY_COUNT(names) == PUSH_FAILURE_COUNT, "a name each");
    ASSERT(failure < PUSH_FAILURE_COUNT);
    return names[failure];
}

/* ---- table ---- */

enum error push_table_create(struct push_table **into, const struct push_options *options)
{
    ASSERT(options->kept_max > 0);
    ASSERT(options->worker_count > 0);
    ASSERT(options->rate_default > 0);
    *into = NULL;
    struct heap *heap = options->heap;
    struct push_table *table = heap_take_zeroed(heap, sizeof *table + options->domain.size);
    if (table == NULL)
        return ERROR_NO_MEMORY;
    table->options = *options;
    memcpy(table->domain, options->domain.at, options->domain.size);
    table->options.domain = bytes_of(table->domain, options->domain.size);
    memset(table->last_id.text, '0', PUSH_ID_SIZE);
    table->rows = heap_take_zeroed(heap, options->kept_max * sizeof(struct push_row *));
    table->order = heap_take(heap, options->kept_max * sizeof *table->order);
    table->scratch = heap_take(heap, options->body_bytes_max);
    *into = table;
    if (table->rows != NULL && table->order != NULL && table->scratch != NULL)
        return ERROR_NONE;
    push_table_destroy(into);
    return ERROR_NO_MEMORY;
}

static void release_set(roaring_bitmap_t **set)
{
    if (*set != NULL)
        roaring_bitmap_free(*set);
    *set = NULL;
}

/* What only a push under way needs. */
static void release_content(struct push_table *table, struct push_row *row)
{
    release_set(&row->accounts);
    release_set(&row->reached);
    heap_give(table->options.heap, row->text);
    row->text = NULL;
    row->job.text = BYTES("");
    row->job.audience = NULL;
}

static void row_destroy(struct push_table *table, struct push_row *row)
{
    if (row == NULL)
        return;
    release_content(table, row);
    heap_give(table->options.heap, row);
}

void push_table_destroy(struct push_table **into)
{
    struct push_table *table = *into;
    struct heap *heap = table->options.heap;
    for (uint32_t i = 0; i < table->count; i++)
        row_destroy(table, table->rows[table->order[i]]);
    heap_give(heap, table->rows);
    heap_give(heap, table->order);
    heap_give(heap, table->scratch);
    heap_give(heap, table);
    *into = NULL;
}

static void count(const struct push_table *table, enum metric metric, uint64_t amount)
{
    if (table->options.metrics != NULL)
        metric_add(table->options.metrics, metric, (int64_t)amount);
}

static void count_running(struct push_table *table, uint32_t running_count)
{
    table->running_count = running_count;
    if (table->options.metrics != NULL)
        metric_set(table->options.metrics, METRIC_PUSH_RUNNING, running_count);
}

/* ---- accepting ---- */

/* Position in order of the oldest push that is done, or table->count. */
static uint32_t find_forgettable(const struct push_table *table)
{
    uint32_t at = 0;
    while (at < table->count && table->rows[table->order[at]]->state != PUSH_DONE)
        at++;
    return at;
}

/* A free place, made by forgetting when there is none; the caller knows there will be one. */
static uint32_t make_place(struct push_table *table)
{
    if (table->count < table->options.kept_max)
        return table->count;
    uint32_t at = find_forgettable(table);
    ASSERT(at < table->count);
    uint32_t place = table->order[at];
    row_destroy(table, table->rows[place]);
    table->rows[place] = NULL;
    table->count--;
    memmove(&table->order[at], &table->order[at + 1], (table->count - at) * sizeof *table->order);
    return place;
}

static enum error request_judge(const struct push_table *table, const struct push_request *request)
{
    size_t said = request->title.size + request->body.size + request->uri.size + request->xml.size;
    if (said == 0 || request->label.size > PUSH_LABEL_MAX)
        return ERROR_INVALID;
    bool is_full = table->count == table->options.kept_max;
    return is_full && find_forgettable(table) == table->count ? ERROR_LIMIT : ERROR_NONE;
}

/* Copies the rendered text out of the scratch; the row is the caller's to destroy on a fault. */
static enum error row_fill(struct push_table *table, struct push_row *row,
                           const struct push_request *request, const uint32_t *accounts,
                           uint32_t account_count)
{
    struct writer text = writer_of(table->scratch, table->options.body_bytes_max);
    push_render(&text, request, &row->job.id, table->options.domain);
    if (text.is_overflown)
        return ERROR_TOO_LARGE;
    row->text = heap_take(table->options.heap, text.size);
    if (row->text == NULL)
        return ERROR_NO_MEMORY;
    memcpy(row->text, text.at, text.size);
    row->job.text = bytes_of(row->text, text.size);
    if (request->target == PUSH_ONLINE)
        return ERROR_NONE;
    row->accounts = roaring_bitmap_of_ptr(account_count, accounts);
    if (row->accounts == NULL)
        return ERROR_NO_MEMORY;
    if (request->target == PUSH_USERS)
        row->job.audience = row->accounts;
    return ERROR_NONE;
}

static struct push_row *row_create(struct push_table *table, const struct push_request *request,
                                   uint64_t wall_ms, uint64_t now_ns)
{
    struct push_row *row = heap_take_zeroed(table->options.heap, sizeof *row);
    if (row == NULL)
        return NULL;
    row->job.target = request->target;
    row->job.rate = request->rate != 0 ? request->rate : table->options.rate_default;
    row->walking_count = table->options.worker_count;
    row->holding_count = table->options.worker_count;
    row->created_at_ms = wall_ms;
    row->accepted_at_ns = now_ns;
    row->label_size = request->label.size;
    if (request->label.size != 0)
        memcpy(row->label, request->label.at, request->label.size);
    push_id_make_after(&row->job.id, &table->last_id, wall_ms, table->options.random);
    return row;
}

enum error push_accept(struct push_table *table, const struct push_request *request,
                       const uint32_t *accounts, uint32_t account_count, uint64_t wall_ms,
                       uint64_t now_ns, const struct push_job **job)
{
    *job = NULL;
    enum error error = request_judge(table, request);
    if (error != ERROR_NONE)
        return error;
    struct push_row *row = row_create(table, request, wall_ms, now_ns);
    if (row == NULL)
        return ERROR_NO_MEMORY;
    error = row_fill(table, row, request, accounts, account_count);
    if (error != ERROR_NONE) {
        row_destroy(table, row);
        return error;
    }
    uint32_t place = make_place(table);
    row->job.slot = place;
    table->rows[place] = row;
    table->order[table->count++] = place;
    table->last_id = row->job.id;
    count(table, METRIC_PUSH_ACCEPTED, 1);
    count_running(table, table->running_count + 1);
    *job = &row->job;
    return ERROR_NONE;
}

uint32_t push_running_count(const struct push_table *table)
{
    return table->running_count;
}

/* ---- reports ---- */

static uint64_t failed_sum(const struct push_counts *counts)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < PUSH_FAILURE_COUNT; i++)
        sum += counts->failed[i];
    return sum;
}

static void add_failed(struct push_table *table, struct push_row *row, enum push_failure why,
                       uint64_t amount)
{
    static const enum metric metrics[PUSH_FAILURE_COUNT] = {
        [PUSH_FAILED_OFFLINE] = METRIC_PUSH_FAILED_OFFLINE,
        [PUSH_FAILED_OVERFLOW] = METRIC_PUSH_FAILED_OVERFLOW,
        [PUSH_FAILED_CLOSED] = METRIC_PUSH_FAILED_CLOSED,
        [PUSH_FAILED_NO_MEMORY] = METRIC_PUSH_FAILED_NO_MEMORY,
    };
    row->counts.failed[why] += amount;
    count(table, metrics[why], amount);
}

static void add_lost(struct push_table *table, struct push_row *row, uint64_t amount)
{
    row->counts.lost += amount;
    count(table, METRIC_PUSH_LOST, amount);
}

static void add_figures(struct push_table *table, struct push_row *row,
                        const struct push_report *report)
{
    row->counts.matched += report->matched;
    row->counts.written += report->written;
    row->counts.acked += report->acked;
    count(table, METRIC_PUSH_WRITTEN, report->written);
    count(table, METRIC_PUSH_ACKED, report->acked);
    add_lost(table, row, report->lost);
    for (uint32_t why = 0; why < PUSH_FAILURE_COUNT; why++)
        add_failed(table, row, (enum push_failure)why, report->failed[why]);
    uint64_t first = report->first_write_at_ns;
    if (first != 0 && (row->first_write_at_ns == 0 || first < row->first_write_at_ns))
        row->first_write_at_ns = first;
    if (report->last_write_at_ns > row->last_write_at_ns)
        row->last_write_at_ns = report->last_write_at_ns;
}

static void add_reached(struct push_row *row, struct push_report *report)
{
    roaring_bitmap_t *reached = report->reached;
    report->reached = NULL;
    if (reached == NULL)
        return;
    if (row->reached == NULL) {
        row->reached = reached;
        return;
    }
    roaring_bitmap_or_inplace(row->reached, reached);
    roaring_bitmap_free(reached);
}

static void close_walk(struct push_table *table, struct push_row *row)
{
    row->state = PUSH_DRAINING;
    if (row->accounts == NULL)
        return;
    uint64_t offline = row->reached == NULL
                           ? roaring_bitmap_get_cardinality(row->accounts)
                           : roaring_bitmap_andnot_cardinality(row->accounts, row->reached);
    row->counts.matched += offline;
    add_failed(table, row, PUSH_FAILED_OFFLINE, offline);
    release_set(&row->reached);
}

/* Nobody holds anything any more, so nothing can be pending or in flight. */
static void close_books(struct push_table *table, struct push_row *row)
{
    row->state = PUSH_DONE;
    uint64_t pending = row->counts.matched - row->counts.written - failed_sum(&row->counts);
    uint64_t in_flight = row->counts.written - row->counts.acked - row->counts.lost;
    add_failed(table, row, PUSH_FAILED_CLOSED, pending);
    add_lost(table, row, in_flight);
    count(table, METRIC_PUSH_UNACCOUNTED, pending + in_flight);
    count_running(table, table->running_count - 1);
    release_content(table, row);
}

void push_apply(struct push_table *table, struct push_report *report, uint64_t now_ns)
{
    (void)now_ns;
    ASSERT(report->job->slot < table->options.kept_max);
    struct push_row *row = table->rows[report->job->slot];
    ASSERT(row != NULL && report->job == &row->job);
    ASSERT(row->state != PUSH_DONE);
    add_figures(table, row, report);
    add_reached(row, report);
    ASSERT(row->counts.matched >= row->counts.written + failed_sum(&row->counts));
    ASSERT(row->counts.written >= row->counts.acked + row->counts.lost);
    if (report->is_walked) {
        ASSERT(row->walking_count > 0);
        if (--row->walking_count == 0)
            close_walk(table, row);
    }
    if (report->is_released) {
        ASSERT(row->holding_count > row->walking_count);
        if (--row->holding_count == 0)
            close_books(table, row);
    }
}

/* ---- reading ---- */

/* Since accepted; a write within the first millisecond is not "none". */
static uint64_t ms_since_accepted(const struct push_row *row, uint64_t at_ns)
{
    if (at_ns == 0)
        return 0;
    uint64_t passed_ns = at_ns > row->accepted_at_ns ? at_ns - row->accepted_at_ns : 0;
    uint64_t ms = (passed_ns + NS_PER_MS - 1) / NS_PER_MS;
    return ms == 0 ? 1 : ms;
}

static void fill_status(const struct push_row *row, struct push_status *status)
{
    *status = (struct push_status){
        .id = row->job.id,
        .target = row->job.target,
        .state = row->state,
        .counts = row->counts,
        .created_at_ms = row->created_at_ms,
        .first_write_ms = ms_since_accepted(row, row->first_write_at_ns),
        .last_write_ms = ms_since_accepted(row, row->last_write_at_ns),
        .label = bytes_of(row->label, row->label_size),
    };
    struct push_counts *counts = &status->counts;
    counts->pending = counts->matched - counts->written - failed_sum(counts);
    counts->in_flight = counts->written - counts->acked - counts->lost;
}

static const struct push_row *row_at(const struct push_table *table, uint32_t position)
{
    return table->rows[table->order[position]];
}

/* How many pushes have an id below this one: where it stands, if it is there. */
static uint32_t find_position(const struct push_table *table, const struct push_id *id)
{
    uint32_t low = 0;
    uint32_t high = table->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (memcmp(row_at(table, middle)->job.id.text, id->text, PUSH_ID_SIZE) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

enum error push_status(const struct push_table *table, const struct push_id *id,
                       struct push_status *status)
{
    uint32_t position = find_position(table, id);
    if (position == table->count ||
        memcmp(row_at(table, position)->job.id.text, id->text, PUSH_ID_SIZE) != 0)
        return ERROR_NOT_FOUND;
    fill_status(row_at(table, position), status);
    return ERROR_NONE;
}

uint32_t push_list(const struct push_table *table, const struct push_id *before,
                   struct push_status *statuses, uint32_t max)
{
    uint32_t position = before == NULL ? table->count : find_position(table, before);
    uint32_t filled = 0;
    while (position > 0 && filled < max)
        fill_status(row_at(table, --position), &statuses[filled++]);
    return filled;
}
