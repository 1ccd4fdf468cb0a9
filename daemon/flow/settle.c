/* SPDX-License-Identifier: MIT */
/* The last requests on a message. */
#include "flow/settle.h"

#include <stdlib.h>

#include "azure/queue.h"
#include "azure/storage_error.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "flow/lease.h"
#include "flow/poison.h"
#include "flow/storing.h"
#include "loop/timer.h"
#include "net/retry.h"
#include "store/spool.h"

enum settle_state {
    STATE_PUTTING,  /* the poison record into its queue */
    STATE_SPOOLING, /* or, where that is refused, into the spool */
    STATE_ENDING,   /* delete or hide */
};

struct settle {
    struct settle_spec spec;
    enum settle_state state;
    bool hurried;     /* no more tries */
    bool is_cut;      /* nor waits for answers */
    bool came_again;  /* while it was being hidden */
    unsigned deletes; /* sent */
    struct queue_call *call;
    struct storing *storing;
    struct spool_op *op;
    struct err refusal; /* why the poison queue did not take the record */
    struct retry retry;
    struct timer timer;
    settle_done_fn *done;
    void *arg;
};

static void settle_free(struct settle *settle)
{
    queue_call_cancel(settle->call);
    storing_cancel(settle->storing);
    spool_cancel(settle->op);
    timer_done(&settle->timer);
    free(settle);
}

static void finish(struct settle *settle, enum settle_end end, const struct err *err)
{
    settle_done_fn *done = settle->done;
    void *arg = settle->arg;

    settle->call = NULL;
    settle_free(settle);
    done(arg, end, err);
}

static void send_request(struct settle *settle);

static void lose(struct settle *settle)
{
    struct err err;

    err_set(&err, ERR_GONE, "it was hidden, and has come again");
    finish(settle, SETTLE_LOST, &err);
}

/* Again after a pause, if the message is still ours then. */
static void again(struct settle *settle, const struct err *err)
{
    int64_t delay_ms;
    bool helps = retry_after(&settle->retry, err, &delay_ms);

    if (settle->came_again) {
        lose(settle);
        return;
    }
    if (!helps || settle->hurried ||
        lease_is_over(settle->spec.lease, clock_mono_ms() + delay_ms)) {
        finish(settle, SETTLE_GIVEN_UP, err);
        return;
    }
    timer_set(&settle->timer, delay_ms);
    settle->spec.failed(settle->arg, err, delay_ms);
}

static void give_up(struct settle *settle)
{
    struct err err;

    err_set(&err, ERR_NETWORK, "no time left to %s",
            timer_is_set(&settle->timer) ? "try again" : "wait for an answer");
    queue_call_cancel(take(settle->call));
    finish(settle, SETTLE_GIVEN_UP, &err);
}

/* A delete that was sent twice and finds nothing has done its work the first time, unless another
 * reader can have had the message meanwhile, or the receipt is void: the service says the same then. */
static void found_gone(struct settle *settle)
{
    const struct lease *lease = settle->spec.lease;
    struct err err;

    if (!lease_is_over(lease, clock_mono_ms()) && !lease->is_doubtful) {
        finish(settle, SETTLE_DONE, NULL);
        return;
    }
    err_set(&err, ERR_GONE, "the delete was sent twice, and %s",
            lease->is_doubtful ? "its receipt may be void" : "the lease is over");
    finish(settle, SETTLE_LOST, &err);
}

static void ended(struct settle *settle, const struct queue_answer *answer, const struct err *err)
{
    bool repeated = settle->deletes > 1 && err != NULL && err->http_status == 404;

    if ((err == NULL && answer->was_gone) || (repeated && err->code == ERR_GONE))
        found_gone(settle);
    else if (err == NULL)
        finish(settle, SETTLE_DONE, NULL);
    else if (err->code == ERR_GONE)
        finish(settle, SETTLE_LOST, err);
    else if (settle->spec.what == SETTLE_HIDE && storage_error_lacks_right(err))
        finish(settle, SETTLE_FORBIDDEN, err);
    else
        again(settle, err);
}

/* Whether the record is to be kept here. One that is too large goes as the message's text first. */
static bool must_spool(const struct settle *settle, const struct err *err)
{
    if (poison_is_too_large(err) && !settle->spec.is_bare)
        return false;
    return settle->spec.expiring || poison_is_refused(err);
}

static void end(struct settle *settle)
{
    settle->state = STATE_ENDING;
    if (settle->is_cut)
        give_up(settle);
    else
        send_request(settle);
}

/* Nowhere to put it: both reasons count. */
static void unpoisoned(struct settle *settle, const struct err *err)
{
    struct err both = settle->refusal;

    err_set(&both, both.code, "%s; and it can not be kept here: %s", settle->refusal.text,
            err->text);
    both.http_status = settle->refusal.http_status;
    both.retry_after_ms = settle->refusal.retry_after_ms;
    finish(settle, SETTLE_UNPOISONED, &both);
}

static void on_spooled(void *arg, const struct err *err)
{
    struct settle *settle = arg;

    settle->op = NULL;
    if (err != NULL) {
        unpoisoned(settle, err);
        return;
    }
    settle->spec.stored(settle->arg, &settle->refusal);
    end(settle);
}

static void on_put(void *arg, const struct err *err)
{
    struct settle *settle = arg;

    settle->storing = NULL;
    if (err == NULL) {
        settle->spec.stored(settle->arg, NULL);
        end(settle);
    } else if (must_spool(settle, err)) {
        settle->refusal = *err;
        settle->state = STATE_SPOOLING;
        send_request(settle);
    } else {
        finish(settle, SETTLE_UNPOISONED, err);
    }
}

static void on_answer(void *arg, const struct queue_answer *answer, const struct err *err)
{
    struct settle *settle = arg;

    settle->call = NULL;
    ended(settle, answer, err);
}

static struct queue_call *end_request(struct settle *settle)
{
    const struct settle_spec *spec = &settle->spec;

    if (spec->what == SETTLE_HIDE)
        return queue_update(spec->queue, spec->message_id, spec->lease->receipt,
                            lease_visibility_s(spec->lease, spec->hide_ms,
                                               lease_service_ms(spec->lease, clock_mono_ms())),
                            spec->timeout_ms, on_answer, settle);
    settle->deletes++;
    return queue_delete(spec->queue, spec->message_id, spec->lease->receipt, spec->timeout_ms,
                        on_answer, settle);
}

static void send_request(struct settle *settle)
{
    const struct settle_spec *spec = &settle->spec;

    switch (settle->state) {
    case STATE_PUTTING:
        settle->storing =
            storing_start(spec->poison, spec->record, spec->timeout_ms, on_put, settle);
        break;
    case STATE_SPOOLING:
        settle->op = spool_put(spec->spool, queue_url(spec->queue), spec->message_id, spec->record,
                               on_spooled, settle);
        break;
    case STATE_ENDING:
        settle->call = end_request(settle);
        break;
    }
}

static void on_timer(void *arg)
{
    send_request(arg);
}

struct settle *settle_start(const struct settle_spec *spec, settle_done_fn *done, void *arg)
{
    struct settle *settle = xcalloc(1, sizeof(*settle));

    settle->spec = *spec;
    settle->state = spec->what == SETTLE_POISON ? STATE_PUTTING : STATE_ENDING;
    settle->done = done;
    settle->arg = arg;
    retry_init(&settle->retry);
    timer_init(&settle->timer, spec->loop, on_timer, settle);
    send_request(settle);
    return settle;
}

void settle_hurry(struct settle *settle)
{
    settle->hurried = true;
    if (timer_is_set(&settle->timer))
        give_up(settle);
}

void settle_cut(struct settle *settle)
{
    settle->hurried = settle->is_cut = true;
    switch (settle->state) {
    case STATE_PUTTING:
        if (!settle->spec.expiring) {
            give_up(settle);
            return;
        }
        storing_cancel(take(settle->storing));
        err_set(&settle->refusal, ERR_NETWORK, "no time left to wait for an answer");
        settle->state = STATE_SPOOLING;
        send_request(settle);
        return;
    case STATE_SPOOLING: /* a disk that does not answer keeps us anyway */
        return;
    case STATE_ENDING:
        give_up(settle);
        return;
    }
}

void settle_came_again(struct settle *settle)
{
    settle->came_again = settle->spec.what == SETTLE_HIDE;
    if (settle->came_again && timer_is_set(&settle->timer))
        lose(settle);
}

void settle_cancel(struct settle *settle)
{
    if (settle != NULL)
        settle_free(settle);
}
