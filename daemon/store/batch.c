/* SPDX-License-Identifier: MIT */
/* A batch of the ledger's operations: one transaction. */
#include "store/batch.h"

#include <stdlib.h>
#include <string.h>

#include "store/database.h"
#include "store/ledger_file.h"

static int compare_deleted(const void *a, const void *b)
{
    const struct batch_op *const *x = a, *const *y = b;
    int order = strcmp((*x)->reason, (*y)->reason);
    int64_t p = (*x)->message->row.number, q = (*y)->message->row.number;

    return order != 0 ? order : (p > q) - (p < q);
}

/* Messages that were received together have neighbouring rows: a run of them takes one statement. */
static bool mark_deleted(struct batch *batch, struct err *err)
{
    struct batch_op **ops = batch->deleted;
    unsigned count = batch->deleted_count, next;

    qsort(ops, count, sizeof(struct batch_op *), compare_deleted);
    for (unsigned i = 0; i < count; i = next) {
        int64_t first = ops[i]->message->row.number, last = first;

        for (next = i + 1; next < count && ops[next]->message->row.number <= last + 1 &&
                           strcmp(ops[next]->reason, ops[i]->reason) == 0;
             next++)
            last = ops[next]->message->row.number;
        if (!rows_mark_deleted(ledger_file_rows(batch->file), first, last, ops[i]->reason,
                               ops[i]->wall_ms, err))
            return false;
    }
    batch->deleted_count = 0;
    return true;
}

/* The message's row, which counts what we have received. A message that is to be marked as deleted may
 * have the same name: it gives way first. */
static bool find_row(struct batch *batch, const struct batch_op *op, struct err *err)
{
    struct batch_message *message = op->message;
    struct rows_message *row = &message->row;
    struct rows *rows = ledger_file_rows(batch->file);
    unsigned generation = ledger_file_generation(batch->file);
    unsigned all = max_of(op->receipts, message->fresh);
    bool known = row->number != 0 && message->generation == generation;

    if (known && all == message->fresh)
        return true;
    row->number = 0;
    if (!known && message->receipt.dequeue_count == 1 &&
        !rows_insert(rows, &message->receipt, all, op->wall_ms, row, err))
        return false;
    if (row->number == 0 &&
        (!mark_deleted(batch, err) ||
         !rows_receive(rows, &message->receipt, all, all - message->fresh, op->wall_ms, row, err)))
        return false;
    message->generation = generation;
    message->fresh = all;
    return true;
}

static bool read_message(struct rows *rows, struct batch_op *op, struct err *err)
{
    const struct rows_message *row = &op->message->row;

    rows_free_steps(take(op->found_steps), op->found.count);
    free(take(op->reason));
    op->found = (struct ledger_message){.receipts = row->receipts};
    if (row->is_stored && !rows_read_reason(rows, row->number, &op->reason, err))
        return false;
    op->found.stored_reason = op->reason;
    if (!rows_read_steps(rows, row->number, &op->found_steps, &op->found.count, err))
        return false;
    op->found.steps = op->found_steps;
    return true;
}

/* A step that the database refuses for what is in it must not keep all others waiting. */
static bool leave_out(struct batch *batch, const struct batch_op *op, const struct err *err)
{
    if (!database_refused(ledger_file_database(batch->file)))
        return false;
    free(batch->refused);
    batch->refused = xasprintf("step %s of message %s can not be put on record: %s; going on "
                               "without, it may run again",
                               op->step.hook, op->message->receipt.message_id, err->text);
    return true;
}

static bool apply(struct batch *batch, struct batch_op *op, struct err *err)
{
    struct rows *rows = ledger_file_rows(batch->file);

    if (!find_row(batch, op, err))
        return false;
    int64_t number = op->message->row.number;
    switch (op->kind) {
    case BATCH_NOTE:
        return true;
    case BATCH_READ:
        return read_message(rows, op, err);
    case BATCH_RECORD:
        return rows_write_step(rows, number, &op->step, err) || leave_out(batch, op, err);
    case BATCH_STORED:
        op->message->row.is_stored = true;
        return rows_mark_stored(rows, number, op->reason, op->hook, op->wall_ms, err);
    case BATCH_DELETED:
        batch->deleted[batch->deleted_count++] = op;
        return true;
    }
    return true;
}

static bool prune(struct batch *batch, int64_t *place, struct err *err)
{
    return batch->prune_now_ms == 0 ||
           rows_prune(ledger_file_rows(batch->file), batch->prune_before_ms, batch->prune_now_ms,
                      place, err);
}

static bool write_batch(struct batch *batch, struct err *err)
{
    struct database *database = ledger_file_database(batch->file);
    int64_t place = batch->prune_place;
    struct batch_op *op;
    unsigned count = 0;

    TAILQ_FOREACH (op, &batch->ops, link)
        count += op->kind == BATCH_DELETED;
    autofree struct batch_op **deleted = xcalloc(count + 1, sizeof(struct batch_op *));
    batch->deleted = deleted;
    batch->deleted_count = 0;
    if (!database_exec(database, "BEGIN IMMEDIATE", err))
        return false;
    TAILQ_FOREACH (op, &batch->ops, link) {
        if (!apply(batch, op, err))
            return false;
    }
    if (!mark_deleted(batch, err) || !prune(batch, &place, err) ||
        !database_exec(database, "COMMIT", err))
        return false;
    batch->prune_place = place;
    return true;
}

/* Whether the messages' rows are as the batch left them, or as they were. */
static void close_batch(struct batch *batch, bool good)
{
    struct batch_op *op;

    TAILQ_FOREACH (op, &batch->ops, link) {
        struct batch_message *message = op->message;

        if (good) {
            message->receipts = message->fresh;
        } else {
            message->row.number = 0;
            message->fresh = message->receipts;
        }
    }
}

/* Nothing of it is written. Tables of ours refuse none of it (but steps, which are left out then). */
static void undo_batch(struct batch *batch)
{
    struct database *database = ledger_file_database(batch->file);

    database->damaged |= database_refused(database);
    database_rollback(database);
    ledger_file_failed(batch->file, &batch->err);
}

void batch_init(struct batch *batch, struct ledger_file *file)
{
    *batch = (struct batch){.file = file};
    TAILQ_INIT(&batch->ops);
}

void batch_run(struct batch *batch)
{
    bool good = ledger_file_ready(batch->file, &batch->err);

    if (good && (!TAILQ_EMPTY(&batch->ops) || batch->prune_now_ms != 0)) {
        good = write_batch(batch, &batch->err);
        close_batch(batch, good);
        if (!good)
            undo_batch(batch);
    }
    batch->good = good;
}
