/* SPDX-License-Identifier: MIT */
/* What was done for which message, in memory. */
#include "store/ledger.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/alloc.h"
#include "loop/timer.h"

/* All that is known of one message. */
struct record {
    char *queue_url;
    char *message_id;
    unsigned receipts;
    struct ledger_step *steps; /* whose texts are the record's */
    unsigned count;
};

/* A call whose callback is still to come. */
struct ledger_op {
    struct ledger *ledger;
    struct record *record; /* of a read; NULL when it was deleted meanwhile */
    ledger_read_fn *read_done;
    ledger_done_fn *write_done;
    void *arg;
    TAILQ_ENTRY(ledger_op) link;
};

struct ledger {
    void *tree; /* of struct record, by message id and queue URL */
    unsigned count;
    TAILQ_HEAD(, ledger_op) ops;
    struct timer timer;
};

const char *ledger_state_name(enum ledger_state state)
{
    switch (state) {
    case LEDGER_STARTED:
        return "started";
    case LEDGER_DONE:
        return "done";
    case LEDGER_FAILED:
        return "failed";
    case LEDGER_LATER:
        return "later";
    case LEDGER_REJECTED:
        return "rejected";
    case LEDGER_INTERRUPTED:
        return "interrupted";
    }
    return "?";
}

static int compare(const void *a, const void *b)
{
    const struct record *x = a, *y = b;
    int order = strcmp(x->message_id, y->message_id);

    return order != 0 ? order : strcmp(x->queue_url, y->queue_url);
}

static void step_done(struct ledger_step *step)
{
    free((char *)(uintptr_t)step->hook);
    free((char *)(uintptr_t)step->reason);
    free((char *)(uintptr_t)step->tail);
}

static void record_free(void *data)
{
    struct record *record = data;

    for (unsigned i = 0; i < record->count; i++)
        step_done(&record->steps[i]);
    free(record->steps);
    free(record->queue_url);
    free(record->message_id);
    free(record);
}

static void answer(const struct ledger_op *op)
{
    const struct record nothing = {.receipts = 1};
    const struct record *record = op->record != NULL ? op->record : &nothing;

    op->read_done(op->arg,
                  &(struct ledger_message){
                      .receipts = record->receipts, .steps = record->steps, .count = record->count},
                  NULL);
}

/* Fires what is due, and what the callbacks start meanwhile: an answer from memory is no wait. */
static void on_timer(void *arg)
{
    struct ledger *ledger = arg;
    struct ledger_op *op;

    while ((op = TAILQ_FIRST(&ledger->ops)) != NULL) {
        struct ledger_op now = *op;

        TAILQ_REMOVE(&ledger->ops, op, link);
        free(op);
        if (now.read_done == NULL)
            now.write_done(now.arg, NULL);
        else
            answer(&now);
    }
}

struct ledger *ledger_open(struct loop *loop)
{
    struct ledger *ledger = xcalloc(1, sizeof(*ledger));

    TAILQ_INIT(&ledger->ops);
    timer_init(&ledger->timer, loop, on_timer, ledger);
    return ledger;
}

void ledger_close(struct ledger *ledger)
{
    struct ledger_op *op;

    if (ledger == NULL)
        return;
    while ((op = TAILQ_FIRST(&ledger->ops)) != NULL)
        ledger_cancel(op);
    tdestroy(ledger->tree, record_free);
    timer_done(&ledger->timer);
    free(ledger);
}

static struct record *find(const struct ledger *ledger, const char *queue_url,
                           const char *message_id)
{
    struct record key = {
        .queue_url = (char *)(uintptr_t)queue_url,
        .message_id = (char *)(uintptr_t)message_id,
    };
    struct record **found = tfind(&key, &ledger->tree, compare);

    return found == NULL ? NULL : *found;
}

static struct record *find_or_add(struct ledger *ledger, const char *queue_url,
                                  const char *message_id)
{
    struct record *record = find(ledger, queue_url, message_id);

    if (record != NULL)
        return record;
    record = xcalloc(1, sizeof(*record));
    record->queue_url = xstrdup(queue_url);
    record->message_id = xstrdup(message_id);
    if (tsearch(record, &ledger->tree, compare) == NULL)
        fatal("out of memory");
    ledger->count++;
    return record;
}

static struct ledger_op *op_start(struct ledger *ledger, const struct ledger_op *what)
{
    struct ledger_op *op = xmalloc(sizeof(*op));

    *op = *what;
    op->ledger = ledger;
    TAILQ_INSERT_TAIL(&ledger->ops, op, link);
    timer_set(&ledger->timer, 0);
    return op;
}

struct ledger_op *ledger_receive(struct ledger *ledger, const char *queue_url,
                                 const char *message_id, ledger_read_fn *done, void *arg)
{
    find_or_add(ledger, queue_url, message_id)->receipts++;
    return ledger_read(ledger, queue_url, message_id, done, arg);
}

struct ledger_op *ledger_read(struct ledger *ledger, const char *queue_url, const char *message_id,
                              ledger_read_fn *done, void *arg)
{
    struct record *record = find(ledger, queue_url, message_id);

    return op_start(ledger, &(struct ledger_op){.record = record, .read_done = done, .arg = arg});
}

void ledger_received_again(struct ledger *ledger, const char *queue_url, const char *message_id)
{
    struct record *record = find(ledger, queue_url, message_id);

    if (record != NULL)
        record->receipts++;
}

static struct ledger_step *step_of(struct record *record, const char *hook)
{
    for (unsigned i = 0; i < record->count; i++) {
        if (strcmp(record->steps[i].hook, hook) == 0)
            return &record->steps[i];
    }
    record->steps = xreallocarray(record->steps, record->count + 1, sizeof(*record->steps));
    struct ledger_step *step = &record->steps[record->count++];
    *step = (struct ledger_step){0};
    return step;
}

struct ledger_op *ledger_record(struct ledger *ledger, const char *queue_url,
                                const char *message_id, const struct ledger_step *step,
                                ledger_done_fn *done, void *arg)
{
    struct record *record = find_or_add(ledger, queue_url, message_id);
    struct ledger_step fresh = *step;
    struct ledger_step *place = step_of(record, step->hook);

    fresh.hook = xstrdup(step->hook);
    fresh.reason = xstrdup(step->reason);
    fresh.tail = xstrdup(step->tail);
    step_done(place);
    *place = fresh;
    return op_start(ledger, &(struct ledger_op){.write_done = done, .arg = arg});
}

void ledger_deleted(struct ledger *ledger, const char *queue_url, const char *message_id)
{
    struct record *record = find(ledger, queue_url, message_id);
    struct ledger_op *op;

    if (record == NULL)
        return;
    TAILQ_FOREACH (op, &ledger->ops, link) {
        if (op->record == record)
            op->record = NULL;
    }
    tdelete(record, &ledger->tree, compare);
    record_free(record);
    ledger->count--;
}

void ledger_cancel(struct ledger_op *op)
{
    if (op == NULL)
        return;
    TAILQ_REMOVE(&op->ledger->ops, op, link);
    free(op);
}

unsigned ledger_count(const struct ledger *ledger)
{
    return ledger->count;
}
