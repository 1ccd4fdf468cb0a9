/* SPDX-License-Identifier: MIT */
/* Moves poison records from the spool into their poison queue. */
#include "flow/mover.h"

#include <stdlib.h>

#include "azure/queue.h"
#include "base/alloc.h"
#include "base/err.h"
#include "base/log.h"
#include "base/unit.h"
#include "flow/storing.h"
#include "flow/trouble.h"
#include "loop/timer.h"
#include "net/retry.h"
#include "store/spool.h"

struct mover {
    struct mover_context context;
    struct timer timer; /* the next try */
    struct retry retry;
    struct spool_op *op; /* reads or removes */
    char *name, *text;   /* of the record that is claimed */
    struct storing *storing;
    unsigned moved; /* since there was nothing to move */
    bool draining;
};

static void step(struct mover *mover);

static const struct log_field *fields_of(const struct mover *mover,
                                         struct log_field fields[static 2])
{
    fields[0] = (struct log_field){"queue", mover->context.name};
    fields[1] = (struct log_field){NULL, NULL};
    return fields;
}

#define FIELDS_OF(mover) fields_of(mover, (struct log_field[2]){{0}})

bool mover_is_busy(const struct mover *mover)
{
    return mover->op != NULL || mover->storing != NULL;
}

static void drop_record(struct mover *mover)
{
    free(take(mover->name));
    free(take(mover->text));
}

/* Gives the record back to the spool, with its request given up. */
static void let_go(struct mover *mover)
{
    storing_cancel(take(mover->storing));
    if (mover->text != NULL)
        spool_release(mover->context.spool, mover->name, false);
    drop_record(mover);
}

static void rest(struct mover *mover)
{
    const struct mover_context *context = &mover->context;

    if (mover->moved > 0 && spool_count_of(context->spool, context->queue_url) == 0) {
        log_info(FIELDS_OF(mover), "poison records moved to %s: %u; %s holds no more of this queue",
                 queue_url(context->poison), mover->moved, spool_directory(context->spool));
        mover->moved = 0;
    }
    context->rested(context->arg);
}

static void fail(struct mover *mover, const struct err *err)
{
    const struct mover_context *context = &mover->context;
    bool passing = err->code == ERR_NETWORK || err->code == ERR_THROTTLED;
    enum log_level level = passing ? LOG_LEVEL_WARNING : LOG_LEVEL_ERR;
    char wait[UNIT_TEXT_MAX];
    int64_t delay_ms;

    (void)retry_after(&mover->retry, err, &delay_ms);
    if (!trouble_is_news(context->trouble, err, false))
        level = LOG_LEVEL_DEBUG;
    log_write(level, FIELDS_OF(mover),
              "poison records can not be moved to %s: %s; %u in %s, trying again in %s",
              queue_url(context->poison), err->text,
              spool_count_of(context->spool, context->queue_url), spool_directory(context->spool),
              unit_duration_human(delay_ms, wait));
    if (!mover->draining)
        timer_set(&mover->timer, delay_ms);
    rest(mover);
}

static void on_removed(void *arg, const struct err *err)
{
    struct mover *mover = arg;

    mover->op = NULL;
    drop_record(mover);
    if (err != NULL)
        log_err(FIELDS_OF(mover), "poison record was moved, but %s; it may be moved again",
                err->text);
    step(mover);
}

static void on_stored(void *arg, const struct err *err)
{
    struct mover *mover = arg;
    const struct mover_context *context = &mover->context;

    mover->storing = NULL;
    if (err != NULL) {
        /* What is refused for what it is must not hold up the others. */
        spool_release(context->spool, mover->name, err->code == ERR_REJECTED);
        drop_record(mover);
        fail(mover, err);
        return;
    }
    free(take(mover->text));
    mover->moved++;
    retry_reset(&mover->retry);
    mover->op = spool_remove(context->spool, mover->name, on_removed, mover);
    context->moved(context->arg);
}

static void on_read(void *arg, const struct spool_record *record, const struct err *err)
{
    struct mover *mover = arg;
    const struct mover_context *context = &mover->context;

    mover->op = NULL;
    if (err != NULL && err->code == ERR_HOST) {
        fail(mover, err);
        return;
    }
    if (err != NULL) {
        log_write(err->code == ERR_GONE ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERR, FIELDS_OF(mover),
                  "spool: %s", err->text);
        step(mover);
        return;
    }
    if (mover->draining) { /* it begins nothing more */
        spool_release(context->spool, record->name, false);
        rest(mover);
        return;
    }
    mover->name = xstrdup(record->name);
    mover->text = xstrdup(record->text);
    mover->storing =
        storing_start(context->poison, mover->text, context->timeout_ms, on_stored, mover);
}

/* Begins with the next record, unless there is none. */
static void step(struct mover *mover)
{
    const struct mover_context *context = &mover->context;

    if (!mover->draining)
        mover->op = spool_next(context->spool, context->queue_url, on_read, mover);
    if (mover->op == NULL)
        rest(mover);
}

static void on_timer(void *arg)
{
    struct mover *mover = arg;

    if (!mover_is_busy(mover))
        step(mover);
}

struct mover *mover_new(const struct mover_context *context)
{
    struct mover *mover = xcalloc(1, sizeof(*mover));

    mover->context = *context;
    timer_init(&mover->timer, context->loop, on_timer, mover);
    retry_init(&mover->retry);
    mover_look(mover);
    return mover;
}

void mover_free(struct mover *mover)
{
    if (mover == NULL)
        return;
    let_go(mover);
    spool_cancel(mover->op);
    timer_done(&mover->timer);
    free(mover);
}

/* Whether it could begin now. */
static bool is_free(const struct mover *mover)
{
    const struct mover_context *context = &mover->context;

    return !mover->draining && !mover_is_busy(mover) &&
           spool_count_of(context->spool, context->queue_url) > 0;
}

void mover_look(struct mover *mover)
{
    if (is_free(mover) && !timer_is_set(&mover->timer))
        timer_set(&mover->timer, 0);
}

void mover_wait(struct mover *mover, const struct err *err)
{
    int64_t delay_ms;

    if (!is_free(mover) || timer_is_set(&mover->timer))
        return;
    (void)retry_after(&mover->retry, err, &delay_ms);
    timer_set(&mover->timer, delay_ms);
}

void mover_hurry(struct mover *mover)
{
    retry_reset(&mover->retry);
    if (is_free(mover))
        timer_set(&mover->timer, 0);
}

void mover_drain(struct mover *mover)
{
    mover->draining = true;
    timer_clear(&mover->timer);
}

void mover_interrupt(struct mover *mover)
{
    bool gave_up = mover->storing != NULL;

    mover_drain(mover);
    let_go(mover);
    if (gave_up)
        rest(mover);
}
