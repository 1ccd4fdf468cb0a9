/* SPDX-License-Identifier: MIT */
/* What was done for which message: operations, and when they go to the disk. */
#include "store/ledger.h"

#include <stdlib.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "base/err.h"
#include "loop/backoff.h"
#include "loop/timer.h"
#include "loop/worker.h"
#include "store/batch.h"
#include "store/ledger_file.h"
#include "store/rows.h"

#define LAZY_MS        1000 /* what nobody waits for is written with the next batch, or so soon */
#define RETRY_FIRST_MS 1000
#define RETRY_CAP_MS   30000
#define PRUNE_EVERY_MS (INT64_C(24) * 3600 * 1000)
#define DAY_MS         (INT64_C(24) * 3600 * 1000)

struct ledger_op {
    struct batch_op work; /* the worker's while in the batch */
    ledger_read_fn *read_done;
    ledger_done_fn *done;
    void *arg;
};

/* A message in hand. */
struct ledger_entry {
    struct batch_message message; /* whose texts are ours, whose row is the worker's */
    struct ledger *ledger;
    unsigned receipts; /* seen since it is in hand */
    unsigned users;    /* its owner, and operations */
    bool has_news;     /* what the ledger holds of it may be more than nothing */
};

struct ledger {
    struct loop *loop;
    struct worker *worker;
    struct ledger_file *file; /* the worker's while busy */
    const struct ledger_events *events;
    void *arg;
    struct batch_ops todo;
    struct batch_ops answers; /* that need no disk */
    struct batch batch;       /* the worker's while busy */
    struct worker_job job;
    struct timer timer; /* the next batch */
    struct timer answer_timer;
    struct timer prune_timer;
    struct backoff backoff;
    bool busy;
    bool urgent; /* somebody waits for what is in todo */
    bool broken;
    int64_t history_ms;
};

/* --- entries and operations --- */

static struct ledger_entry *entry_of(const struct ledger_op *op)
{
    return container_of(op->work.message, struct ledger_entry, message);
}

static void entry_drop(struct ledger_entry *entry)
{
    if (--entry->users > 0)
        return;
    free((char *)(uintptr_t)entry->message.receipt.queue_url);
    free((char *)(uintptr_t)entry->message.receipt.message_id);
    free((char *)(uintptr_t)entry->message.receipt.event);
    free((char *)(uintptr_t)entry->message.receipt.subject);
    free(entry);
}

static void op_free(struct ledger_op *op)
{
    struct batch_op *work = &op->work;

    free((char *)(uintptr_t)work->step.hook);
    free((char *)(uintptr_t)work->step.reason);
    free((char *)(uintptr_t)work->step.tail);
    free((char *)(uintptr_t)work->step.published);
    rows_free_steps(work->found_steps, work->found.count);
    free(work->reason);
    free(work->hook);
    entry_drop(entry_of(op));
    free(op);
}

/* The first of them, taken out; NULL: there is none. */
static struct ledger_op *pop(struct batch_ops *ops)
{
    struct batch_op *work = TAILQ_FIRST(ops);

    if (work == NULL)
        return NULL;
    TAILQ_REMOVE(ops, work, link);
    return container_of(work, struct ledger_op, work);
}

/* --- batches --- */

/* Fires the callbacks of what is finished. They may start and cancel operations. */
static void complete(struct batch_ops *finished)
{
    struct ledger_op *op;

    while ((op = pop(finished)) != NULL) {
        if (op->read_done != NULL)
            op->read_done(op->arg, &op->work.found);
        else if (op->done != NULL)
            op->done(op->arg);
        op_free(op);
    }
}

/* Puts what is to be done into the batch, behind what a failure has left there. */
static void gather(struct ledger *ledger)
{
    TAILQ_CONCAT(&ledger->batch.ops, &ledger->todo, link);
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
    struct ledger *ledger = entry_of(op)->ledger;

    TAILQ_INSERT_TAIL(&ledger->todo, &op->work, link);
    ledger->urgent |= urgent;
    plan(ledger);
    return op;
}

/* That the messages were received is noted soon. The callbacks may ask for more. */
static void on_answer_timer(void *arg)
{
    struct ledger *ledger = arg;
    struct ledger_op *op;

    while ((op = pop(&ledger->answers)) != NULL) {
        ledger_read_fn *done = op->read_done;

        op->read_done = NULL;
        submit(op, false);
        if (done != NULL)
            done(op->arg, &op->work.found);
    }
}

static void tell_news(struct ledger *ledger)
{
    autofree char *news = ledger_file_news(ledger->file);
    autofree char *refused = take(ledger->batch.refused);

    if (news != NULL)
        ledger->events->mended(ledger->arg, news);
    if (refused != NULL)
        ledger->events->mended(ledger->arg, refused);
}

static void batch_failed(struct ledger *ledger)
{
    struct err err = ledger->batch.err;
    int64_t delay_ms = backoff_next(&ledger->backoff);

    ledger->broken = true;
    timer_set(&ledger->timer, delay_ms);
    ledger->events->broken(ledger->arg, &err, delay_ms);
}

static void batch_written(struct ledger *ledger)
{
    struct batch_ops finished = TAILQ_HEAD_INITIALIZER(finished);

    TAILQ_CONCAT(&finished, &ledger->batch.ops, link);
    ledger->batch.prune_now_ms = 0;
    if (ledger->batch.prune_place != 0)
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

/* On the worker, the only one here. */
static void job_run(void *arg)
{
    struct ledger *ledger = arg;

    batch_run(&ledger->batch);
}

static void job_done(void *arg)
{
    struct ledger *ledger = arg;

    ledger->busy = false;
    tell_news(ledger);
    if (ledger->batch.good)
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
    ledger->batch.prune_now_ms = clock_wall_ms();
    ledger->batch.prune_before_ms = ledger->batch.prune_now_ms - ledger->history_ms;
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
    batch_init(&ledger->batch, ledger->file);
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

static void forget(struct batch_ops *ops)
{
    struct ledger_op *op;

    while ((op = pop(ops)) != NULL)
        op_free(op);
}

/* What waits is written, if it can be: whether it could. Callbacks do not fire any more. */
static bool write_rest(struct ledger *ledger)
{
    TAILQ_CONCAT(&ledger->todo, &ledger->answers, link);
    gather(ledger);
    if (TAILQ_EMPTY(&ledger->batch.ops))
        return true;
    batch_run(&ledger->batch);
    tell_news(ledger);
    if (!ledger->batch.good)
        ledger->events->broken(ledger->arg, &ledger->batch.err, 0);
    forget(&ledger->batch.ops);
    return ledger->batch.good;
}

void ledger_close(struct ledger *ledger)
{
    if (ledger == NULL)
        return;
    (void)write_rest(ledger);
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

bool ledger_count_undeleted(struct ledger *ledger, int64_t since_wall_ms, unsigned *ret_count)
{
    struct err err;

    return write_rest(ledger) && ledger_file_ready(ledger->file, &err) &&
           rows_count_undeleted(ledger_file_rows(ledger->file), since_wall_ms, ret_count, &err);
}

/* --- messages --- */

struct ledger_entry *ledger_entry_new(struct ledger *ledger, const struct ledger_receipt *receipt)
{
    struct ledger_entry *entry = xcalloc(1, sizeof(*entry));
    struct ledger_receipt *ours = &entry->message.receipt;

    *ours = *receipt;
    ours->queue_url = xstrdup(receipt->queue_url);
    ours->message_id = xstrdup(receipt->message_id);
    ours->event = xstrdup(receipt->event);
    ours->subject = xstrdup(receipt->subject);
    entry->ledger = ledger;
    entry->receipts = 1;
    entry->users = 1;
    return entry;
}

void ledger_entry_free(struct ledger_entry *entry)
{
    if (entry != NULL)
        entry_drop(entry);
}

static struct ledger_op *op_new(struct ledger_entry *entry, enum batch_kind kind)
{
    struct ledger_op *op = xcalloc(1, sizeof(*op));

    op->work.kind = kind;
    op->work.message = &entry->message;
    op->work.receipts = entry->receipts;
    op->work.wall_ms = clock_wall_ms();
    entry->users++;
    return op;
}

/* Nobody has received the message before: there is nothing to read. */
static struct ledger_op *answer_nothing(struct ledger_op *op)
{
    struct ledger *ledger = entry_of(op)->ledger;

    op->work.kind = BATCH_NOTE;
    op->work.found = (struct ledger_message){.receipts = op->work.receipts};
    TAILQ_INSERT_TAIL(&ledger->answers, &op->work, link);
    timer_set(&ledger->answer_timer, 0);
    return op;
}

struct ledger_op *ledger_read(struct ledger_entry *entry, ledger_read_fn *done, void *arg)
{
    struct ledger_op *op = op_new(entry, BATCH_READ);

    op->read_done = done;
    op->arg = arg;
    bool is_new =
        entry->message.receipt.dequeue_count == 1 && entry->receipts == 1 && !entry->has_news;
    return is_new ? answer_nothing(op) : submit(op, true);
}

void ledger_received_again(struct ledger_entry *entry)
{
    entry->receipts++;
    submit(op_new(entry, BATCH_NOTE), false);
}

struct ledger_op *ledger_record(struct ledger_entry *entry, const struct ledger_step *step,
                                ledger_done_fn *done, void *arg)
{
    struct ledger_op *op = op_new(entry, BATCH_RECORD);

    op->work.step = *step;
    op->work.step.hook = xstrdup(step->hook);
    op->work.step.reason = xstrdup(step->reason);
    op->work.step.tail = xstrdup(step->tail);
    op->work.step.published = xstrdup(step->published);
    op->done = done;
    op->arg = arg;
    entry->has_news = true;
    return submit(op, true);
}

void ledger_stored(struct ledger_entry *entry, const char *reason, const char *hook)
{
    struct ledger_op *op = op_new(entry, BATCH_STORED);

    op->work.reason = xstrdup(reason);
    op->work.hook = xstrdup(hook);
    entry->has_news = true;
    submit(op, true);
}

void ledger_deleted(struct ledger_entry *entry, const char *outcome)
{
    struct ledger_op *op = op_new(entry, BATCH_DELETED);

    op->work.reason = xstrdup(outcome);
    submit(op, false);
}

void ledger_cancel(struct ledger_op *op)
{
    if (op == NULL)
        return;
    op->read_done = NULL;
    op->done = NULL;
}
