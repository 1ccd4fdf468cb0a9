/* SPDX-License-Identifier: MIT */
/* What was done for which message: operations, and the batches that carry them to the disk. */
#include "store/ledger.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "base/err.h"
#include "loop/backoff.h"
#include "loop/timer.h"
#include "loop/worker.h"
#include "store/database.h"
#include "store/ledger_file.h"
#include "store/rows.h"

#define LAZY_MS        1000 /* what nobody waits for is written with the next batch, or so soon */
#define RETRY_FIRST_MS 1000
#define RETRY_CAP_MS   30000
#define PRUNE_EVERY_MS (INT64_C(24) * 3600 * 1000)
#define DAY_MS         (INT64_C(24) * 3600 * 1000)

enum op_kind {
    OP_NOTE, /* its receipts only, or nothing */
    OP_READ,
    OP_RECORD,
    OP_STORED,
    OP_DELETED,
};

/* What one call asks for. */
struct ledger_op {
    enum op_kind kind;
    struct ledger_entry *entry;
    unsigned receipts; /* of the entry, when it was asked */
    int64_t wall_ms;
    struct ledger_step step;     /* OP_RECORD; texts are the op's */
    char *reason;                /* OP_STORED; found by OP_READ; of OP_DELETED the outcome */
    char *hook;                  /* OP_STORED */
    struct ledger_message found; /* OP_READ */
    struct ledger_step *found_steps;
    ledger_read_fn *read_done;
    ledger_done_fn *done;
    void *arg;
    TAILQ_ENTRY(ledger_op) link;
};

TAILQ_HEAD(ops, ledger_op);

/* A message in hand. What `row` is, is the worker's. */
struct ledger_entry {
    struct ledger *ledger;
    struct ledger_receipt receipt; /* whose texts are ours */
    unsigned receipts;             /* seen since it is in hand */
    unsigned users;                /* its owner, and operations */
    bool has_news;                 /* what the ledger holds of it may be more than nothing */
    struct {
        unsigned generation;         /* of the file where it has this number */
        unsigned receipts;           /* of ours that the row counts */
        unsigned fresh;              /* the same, when the batch is committed */
        struct rows_message message; /* number 0: not known */
    } row;
};

struct ledger {
    struct loop *loop;
    struct worker *worker;
    struct ledger_file *file; /* the worker's while busy */
    const struct ledger_events *events;
    void *arg;
    struct ops todo;
    struct ops answers;         /* that need no disk */
    struct ops batch;           /* the worker's while busy */
    struct ledger_op **deleted; /* of the batch, while it is written: not marked yet */
    unsigned deleted_count;
    char *refused; /* the worker's while busy: a sentence for `mended` */
    struct worker_job job;
    struct timer timer; /* the next batch */
    struct timer answer_timer;
    struct timer prune_timer;
    struct backoff backoff;
    bool busy;
    bool urgent; /* somebody waits for what is in todo */
    bool broken;
    int64_t history_ms;
    int64_t prune_now_ms; /* the worker's while busy; 0: nothing to prune in this batch */
    int64_t prune_before_ms;
    int64_t prune_place;
    bool batch_good;
    struct err batch_err;
};

/* --- on the worker: a batch --- */

static int compare_deleted(const void *a, const void *b)
{
    const struct ledger_op *const *x = a, *const *y = b;
    int order = strcmp((*x)->reason, (*y)->reason);
    int64_t p = (*x)->entry->row.message.number, q = (*y)->entry->row.message.number;

    return order != 0 ? order : (p > q) - (p < q);
}

/* Messages that were received together have neighbouring rows: a run of them takes one statement. */
static bool mark_deleted(struct ledger *ledger, struct err *err)
{
    struct ledger_op **ops = ledger->deleted;
    unsigned count = ledger->deleted_count, next;

    qsort(ops, count, sizeof(struct ledger_op *), compare_deleted);
    for (unsigned i = 0; i < count; i = next) {
        int64_t first = ops[i]->entry->row.message.number, last = first;

        for (next = i + 1; next < count && ops[next]->entry->row.message.number <= last + 1 &&
                           strcmp(ops[next]->reason, ops[i]->reason) == 0;
             next++)
            last = ops[next]->entry->row.message.number;
        if (!rows_mark_deleted(ledger_file_rows(ledger->file), first, last, ops[i]->reason,
                               ops[i]->wall_ms, err))
            return false;
    }
    ledger->deleted_count = 0;
    return true;
}

/* The message's row, which counts what we have received. A message that is to be marked as deleted may
 * have the same name: it gives way first. */
static bool find_row(struct ledger *ledger, const struct ledger_op *op, struct err *err)
{
    struct ledger_entry *entry = op->entry;
    struct rows_message *message = &entry->row.message;
    struct rows *rows = ledger_file_rows(ledger->file);
    unsigned generation = ledger_file_generation(ledger->file);
    unsigned all = max_of(op->receipts, entry->row.fresh);
    bool known = message->number != 0 && entry->row.generation == generation;

    if (known && all == entry->row.fresh)
        return true;
    message->number = 0;
    if (!known && entry->receipt.dequeue_count == 1 &&
        !rows_insert(rows, &entry->receipt, all, op->wall_ms, message, err))
        return false;
    if (message->number == 0 && (!mark_deleted(ledger, err) ||
                                 !rows_receive(rows, &entry->receipt, all, all - entry->row.fresh,
                                               op->wall_ms, message, err)))
        return false;
    entry->row.generation = generation;
    entry->row.fresh = all;
    return true;
}

static bool read_message(struct rows *rows, struct ledger_op *op, struct err *err)
{
    const struct rows_message *message = &op->entry->row.message;

    rows_free_steps(take(op->found_steps), op->found.count);
    free(take(op->reason));
    op->found = (struct ledger_message){.receipts = message->receipts};
    if (message->is_stored && !rows_read_reason(rows, message->number, &op->reason, err))
        return false;
    op->found.stored_reason = op->reason;
    if (!rows_read_steps(rows, message->number, &op->found_steps, &op->found.count, err))
        return false;
    op->found.steps = op->found_steps;
    return true;
}

/* A step that the database refuses for what is in it must not keep all others waiting. */
static bool leave_out(struct ledger *ledger, const struct ledger_op *op, const struct err *err)
{
    if (!database_refused(ledger_file_database(ledger->file)))
        return false;
    free(ledger->refused);
    ledger->refused = xasprintf("step %s of message %s can not be put on record: %s; going on "
                                "without, it may run again",
                                op->step.hook, op->entry->receipt.message_id, err->text);
    return true;
}

static bool apply(struct ledger *ledger, struct ledger_op *op, struct err *err)
{
    struct rows *rows = ledger_file_rows(ledger->file);

    if (!find_row(ledger, op, err))
        return false;
    int64_t number = op->entry->row.message.number;
    switch (op->kind) {
    case OP_NOTE:
        return true;
    case OP_READ:
        return read_message(rows, op, err);
    case OP_RECORD:
        return rows_write_step(rows, number, &op->step, err) || leave_out(ledger, op, err);
    case OP_STORED:
        op->entry->row.message.is_stored = true;
        return rows_mark_stored(rows, number, op->reason, op->hook, op->wall_ms, err);
    case OP_DELETED:
        ledger->deleted[ledger->deleted_count++] = op;
        return true;
    }
    return true;
}

static bool prune(struct ledger *ledger, int64_t *place, struct err *err)
{
    return ledger->prune_now_ms == 0 ||
           rows_prune(ledger_file_rows(ledger->file), ledger->prune_before_ms, ledger->prune_now_ms,
                      place, err);
}

static bool write_batch(struct ledger *ledger, struct err *err)
{
    struct database *database = ledger_file_database(ledger->file);
    int64_t place = ledger->prune_place;
    struct ledger_op *op;
    unsigned count = 0;

    TAILQ_FOREACH (op, &ledger->batch, link)
        count += op->kind == OP_DELETED;
    autofree struct ledger_op **deleted = xcalloc(count + 1, sizeof(struct ledger_op *));
    ledger->deleted = deleted;
    ledger->deleted_count = 0;
    if (!database_exec(database, "BEGIN IMMEDIATE", err))
        return false;
    TAILQ_FOREACH (op, &ledger->batch, link) {
        if (!apply(ledger, op, err))
            return false;
    }
    if (!mark_deleted(ledger, err) || !prune(ledger, &place, err) ||
        !database_exec(database, "COMMIT", err))
        return false;
    ledger->prune_place = place;
    return true;
}

/* Whether the entries' rows are as the batch left them, or as they were. */
static void close_batch(struct ledger *ledger, bool good)
{
    struct ledger_op *op;

    TAILQ_FOREACH (op, &ledger->batch, link) {
        struct ledger_entry *entry = op->entry;

        if (good) {
            entry->row.receipts = entry->row.fresh;
        } else {
            entry->row.message.number = 0;
            entry->row.fresh = entry->row.receipts;
        }
    }
}

/* Nothing of it is written. Tables of ours refuse none of it (but steps, which are left out then). */
static void undo_batch(struct ledger *ledger)
{
    struct database *database = ledger_file_database(ledger->file);

    database->damaged |= database_refused(database);
    database_rollback(database);
    ledger_file_failed(ledger->file, &ledger->batch_err);
}

static void job_run(void *arg)
{
    struct ledger *ledger = arg;

    bool good = ledger_file_ready(ledger->file, &ledger->batch_err);
    if (good && (!TAILQ_EMPTY(&ledger->batch) || ledger->prune_now_ms != 0)) {
        good = write_batch(ledger, &ledger->batch_err);
        close_batch(ledger, good);
        if (!good)
            undo_batch(ledger);
    }
    ledger->batch_good = good;
}

/* --- on the loop --- */

static void entry_drop(struct ledger_entry *entry)
{
    if (--entry->users > 0)
        return;
    free((char *)(uintptr_t)entry->receipt.queue_url);
    free((char *)(uintptr_t)entry->receipt.message_id);
    free((char *)(uintptr_t)entry->receipt.event);
    free((char *)(uintptr_t)entry->receipt.subject);
    free(entry);
}

static void op_free(struct ledger_op *op)
{
    free((char *)(uintptr_t)op->step.hook);
    free((char *)(uintptr_t)op->step.reason);
    free((char *)(uintptr_t)op->step.tail);
    free((char *)(uintptr_t)op->step.published);
    rows_free_steps(op->found_steps, op->found.count);
    free(op->reason);
    free(op->hook);
    entry_drop(op->entry);
    free(op);
}

/* Fires the callbacks of what is finished. They may start and cancel operations. */
static void complete(struct ops *finished)
{
    struct ledger_op *op;

    while ((op = TAILQ_FIRST(finished)) != NULL) {
        TAILQ_REMOVE(finished, op, link);
        if (op->read_done != NULL)
            op->read_done(op->arg, &op->found);
        else if (op->done != NULL)
            op->done(op->arg);
        op_free(op);
    }
}

/* Puts what is to be done into the batch, behind what a failure has left there. */
static void gather(struct ledger *ledger)
{
    TAILQ_CONCAT(&ledger->batch, &ledger->todo, link);
}

/* Gives the worker what has gathered. */
static void flush(struct ledger *ledger)
{
    if (ledger->busy)
        return;
    timer_clear(&ledger->timer);
    ledger->busy = true;
    ledger->urgent = false;
    gather(ledger);
    worker_submit(ledger->worker, &ledger->job);
}

static void on_timer(void *arg)
{
    flush(arg);
}

/* Arms the next batch: soon if somebody waits for it. A broken ledger has its own time. */
static void plan(struct ledger *ledger)
{
    if (ledger->busy || ledger->broken)
        return;
    if (ledger->urgent)
        timer_set(&ledger->timer, 0);
    else if (!TAILQ_EMPTY(&ledger->todo) && !timer_is_set(&ledger->timer))
        timer_set(&ledger->timer, LAZY_MS);
}

static struct ledger_op *submit(struct ledger_op *op, bool urgent)
{
    struct ledger *ledger = op->entry->ledger;

    TAILQ_INSERT_TAIL(&ledger->todo, op, link);
    ledger->urgent |= urgent;
    plan(ledger);
    return op;
}

/* That the messages were received is noted soon. The callbacks may ask for more. */
static void on_answer_timer(void *arg)
{
    struct ledger *ledger = arg;
    struct ledger_op *op;

    while ((op = TAILQ_FIRST(&ledger->answers)) != NULL) {
        ledger_read_fn *done = op->read_done;

        TAILQ_REMOVE(&ledger->answers, op, link);
        op->read_done = NULL;
        submit(op, false);
        if (done != NULL)
            done(op->arg, &op->found);
    }
}

static void tell_news(struct ledger *ledger)
{
    autofree char *news = ledger_file_news(ledger->file);
    autofree char *refused = take(ledger->refused);

    if (news != NULL)
        ledger->events->mended(ledger->arg, news);
    if (refused != NULL)
        ledger->events->mended(ledger->arg, refused);
}

static void batch_failed(struct ledger *ledger)
{
    struct err err = ledger->batch_err;
    int64_t delay_ms = backoff_next(&ledger->backoff);

    ledger->broken = true;
    timer_set(&ledger->timer, delay_ms);
    ledger->events->broken(ledger->arg, &err, delay_ms);
}

static void batch_written(struct ledger *ledger)
{
    struct ops finished = TAILQ_HEAD_INITIALIZER(finished);

    TAILQ_CONCAT(&finished, &ledger->batch, link);
    ledger->prune_now_ms = 0;
    if (ledger->prune_place != 0)
        timer_set(&ledger->prune_timer, 0);
    backoff_reset(&ledger->backoff);
    if (ledger->broken) {
        ledger->broken = false;
        ledger->events->works(ledger->arg);
    }
    /* The worker goes on while the callbacks run. */
    if (ledger->urgent)
        flush(ledger);
    complete(&finished);
    plan(ledger);
}

static void job_done(void *arg)
{
    struct ledger *ledger = arg;

    ledger->busy = false;
    tell_news(ledger);
    if (ledger->batch_good)
        batch_written(ledger);
    else
        batch_failed(ledger);
}

/* --- history --- */

static void on_prune_timer(void *arg)
{
    struct ledger *ledger = arg;

    timer_set(&ledger->prune_timer, PRUNE_EVERY_MS);
    if (ledger->busy || ledger->broken) { /* soon, then */
        timer_set(&ledger->prune_timer, LAZY_MS);
        return;
    }
    ledger->prune_now_ms = clock_wall_ms();
    ledger->prune_before_ms = ledger->prune_now_ms - ledger->history_ms;
    flush(ledger);
}

void ledger_keep_history(struct ledger *ledger, int64_t days)
{
    ledger->history_ms = days * DAY_MS;
    timer_set(&ledger->prune_timer, LAZY_MS);
}

/* --- life --- */

struct ledger *ledger_open(struct loop *loop, struct worker *worker, const char *state_dir,
                           const struct ledger_events *events, void *arg, struct err *err)
{
    struct ledger *ledger = xcalloc(1, sizeof(*ledger));

    ledger->loop = loop;
    ledger->worker = worker;
    ledger->file = ledger_file_new(state_dir);
    ledger->events = events;
    ledger->arg = arg;
    TAILQ_INIT(&ledger->todo);
    TAILQ_INIT(&ledger->answers);
    TAILQ_INIT(&ledger->batch);
    ledger->job = (struct worker_job){.run = job_run, .done = job_done, .arg = ledger};
    timer_init(&ledger->timer, loop, on_timer, ledger);
    timer_init(&ledger->answer_timer, loop, on_answer_timer, ledger);
    timer_init(&ledger->prune_timer, loop, on_prune_timer, ledger);
    backoff_init(&ledger->backoff, RETRY_FIRST_MS, RETRY_CAP_MS);
    if (!ledger_file_ready(ledger->file, err)) {
        if (err->code == ERR_CONFIG) {
            ledger_close(ledger);
            return NULL;
        }
        ledger->broken = true;
    }
    /* Tried again if need be; what there is to tell is told from the loop. */
    timer_set(&ledger->timer, 0);
    return ledger;
}

static void forget(struct ops *ops)
{
    struct ledger_op *op;

    while ((op = TAILQ_FIRST(ops)) != NULL) {
        TAILQ_REMOVE(ops, op, link);
        op_free(op);
    }
}

/* What waits is written, if it can be; callbacks do not fire any more. */
static void write_rest(struct ledger *ledger)
{
    TAILQ_CONCAT(&ledger->todo, &ledger->answers, link);
    gather(ledger);
    if (TAILQ_EMPTY(&ledger->batch))
        return;
    job_run(ledger);
    tell_news(ledger);
    if (!ledger->batch_good)
        ledger->events->broken(ledger->arg, &ledger->batch_err, 0);
    forget(&ledger->batch);
}

void ledger_close(struct ledger *ledger)
{
    if (ledger == NULL)
        return;
    write_rest(ledger);
    ledger_file_free(ledger->file);
    timer_done(&ledger->timer);
    timer_done(&ledger->answer_timer);
    timer_done(&ledger->prune_timer);
    free(ledger);
}

bool ledger_is_broken(const struct ledger *ledger)
{
    return ledger->broken;
}

unsigned ledger_count_undeleted(struct ledger *ledger, int64_t since_wall_ms)
{
    unsigned count = 0;
    struct err err;

    write_rest(ledger);
    if (!ledger_file_ready(ledger->file, &err) ||
        !rows_count_undeleted(ledger_file_rows(ledger->file), since_wall_ms, &count, &err))
        return 0;
    return count;
}

/* --- messages --- */

struct ledger_entry *ledger_entry_new(struct ledger *ledger, const struct ledger_receipt *receipt)
{
    struct ledger_entry *entry = xcalloc(1, sizeof(*entry));

    entry->ledger = ledger;
    entry->receipt = *receipt;
    entry->receipt.queue_url = xstrdup(receipt->queue_url);
    entry->receipt.message_id = xstrdup(receipt->message_id);
    entry->receipt.event = xstrdup(receipt->event);
    entry->receipt.subject = xstrdup(receipt->subject);
    entry->receipts = 1;
    entry->users = 1;
    return entry;
}

void ledger_entry_free(struct ledger_entry *entry)
{
    if (entry != NULL)
        entry_drop(entry);
}

static struct ledger_op *op_new(struct ledger_entry *entry, enum op_kind kind)
{
    struct ledger_op *op = xcalloc(1, sizeof(*op));

    op->kind = kind;
    op->entry = entry;
    op->receipts = entry->receipts;
    op->wall_ms = clock_wall_ms();
    entry->users++;
    return op;
}

/* Nobody has received the message before: there is nothing to read. */
static struct ledger_op *answer_nothing(struct ledger_op *op)
{
    struct ledger *ledger = op->entry->ledger;

    op->kind = OP_NOTE;
    op->found = (struct ledger_message){.receipts = op->receipts};
    TAILQ_INSERT_TAIL(&ledger->answers, op, link);
    timer_set(&ledger->answer_timer, 0);
    return op;
}

struct ledger_op *ledger_read(struct ledger_entry *entry, ledger_read_fn *done, void *arg)
{
    struct ledger_op *op = op_new(entry, OP_READ);

    op->read_done = done;
    op->arg = arg;
    bool is_new = entry->receipt.dequeue_count == 1 && entry->receipts == 1 && !entry->has_news;
    return is_new ? answer_nothing(op) : submit(op, true);
}

void ledger_received_again(struct ledger_entry *entry)
{
    entry->receipts++;
    submit(op_new(entry, OP_NOTE), false);
}

struct ledger_op *ledger_record(struct ledger_entry *entry, const struct ledger_step *step,
                                ledger_done_fn *done, void *arg)
{
    struct ledger_op *op = op_new(entry, OP_RECORD);

    op->step = *step;
    op->step.hook = xstrdup(step->hook);
    op->step.reason = xstrdup(step->reason);
    op->step.tail = xstrdup(step->tail);
    op->step.published = xstrdup(step->published);
    op->done = done;
    op->arg = arg;
    entry->has_news = true;
    return submit(op, true);
}

void ledger_stored(struct ledger_entry *entry, const char *reason, const char *hook)
{
    struct ledger_op *op = op_new(entry, OP_STORED);

    op->reason = xstrdup(reason);
    op->hook = xstrdup(hook);
    entry->has_news = true;
    submit(op, true);
}

void ledger_deleted(struct ledger_entry *entry, const char *outcome)
{
    struct ledger_op *op = op_new(entry, OP_DELETED);

    op->reason = xstrdup(outcome);
    submit(op, false);
}

void ledger_cancel(struct ledger_op *op)
{
    if (op == NULL)
        return;
    op->read_done = NULL;
    op->done = NULL;
}
