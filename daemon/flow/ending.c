/* SPDX-License-Identifier: MIT */
/* How a delivery ends. */
#include "flow/ending.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/unit.h"
#include "flow/delivery_own.h"
#include "flow/notice.h"
#include "flow/poison.h"
#include "flow/setbacks.h"
#include "flow/update_right.h"
#include "store/ledger.h"

/* At a stop: what all requests on a message may take together. Less than what main.c asks the service manager
 * for. */
#define LAST_LEAST_MS 2000
#define LAST_MOST_MS  40000

void ending_finish(struct delivery *delivery, enum delivery_end end)
{
    const struct delivery_context *context = delivery->context;

    if (end == DELIVERY_DONE || end == DELIVERY_UNMATCHED ||
        (end == DELIVERY_POISONED && !delivery->is_left))
        ledger_deleted(delivery->entry, delivery_end_name(end));
    context->ended(context->arg, delivery, end);
    delivery_free(delivery);
}

/* The service says that it is gone, or that the receipt is void: the ledger keeps what it knows. */
static void let_go(struct delivery *delivery, const struct err *err)
{
    log_debug(delivery_own_fields(delivery, "lost"), "message is no longer ours: %s", err->text);
    ending_finish(delivery, DELIVERY_LOST);
}

/* How long it stays ours without a word to the service. */
static int64_t lease_left_ms(const struct delivery *delivery)
{
    return delivery->lease.until_ms - clock_mono_ms();
}

static void leave(struct delivery *delivery)
{
    log_debug(delivery_own_fields(delivery, "lost"), "message comes again when its lease ends");
    ending_finish(delivery, DELIVERY_LOST);
}

void ending_leave(struct delivery *delivery, const struct step *step)
{
    bool too_late = delivery_own_is_lost(delivery)
                        ? delivery_own_is_expired(delivery)
                        : delivery_own_is_expiring(delivery, lease_left_ms(delivery));

    if (too_late && delivery->poisoning.record == NULL)
        ending_poison(delivery, "expiring", step);
    else
        leave(delivery);
}

/* --- another try --- */

/* Keeps a message that can not be hidden, out of the way of others, while it is ours. */
static bool stay(struct delivery *delivery, int64_t delay_ms)
{
    const struct delivery_context *context = delivery->context;
    bool had_place = delivery_has_place(delivery);
    char text[UNIT_TEXT_MAX];

    if (delivery->draining || delivery->interrupted ||
        lease_is_over(&delivery->lease, clock_mono_ms() + delay_ms) ||
        !waits_add(context->waits, &delivery->wait, delivery, delay_ms))
        return false;
    log_debug(delivery_own_fields(delivery, "retry"), "message is kept here and tried again in %s",
              unit_duration_human(delay_ms, text));
    delivery_own_set_state(delivery, DELIVERY_WAITING);
    renewal_start(&delivery->renewal);
    if (had_place)
        context->settling(context->arg, delivery);
    else
        context->settled(context->arg);
    return true;
}

/* Hides the message until its next try, or keeps it here where that is not allowed. False when neither
 * can be: it comes again when its lease ends. */
static bool retry_in(struct delivery *delivery, int64_t delay_ms)
{
    char text[UNIT_TEXT_MAX];

    if (!update_right_may_try(delivery->context->right, clock_mono_ms()))
        return stay(delivery, delay_ms);
    log_debug(delivery_own_fields(delivery, "retry"), "message comes again in %s",
              unit_duration_human(delay_ms, text));
    ending_settle(delivery, SETTLE_HIDE, delay_ms, DELIVERY_RETRY);
    return true;
}

void ending_retry(struct delivery *delivery, int64_t delay_ms, struct step *step)
{
    if (delivery_own_is_expiring(delivery, delay_ms))
        ending_poison(delivery, "expiring", step);
    else if (retry_in(delivery, delay_ms))
        delivery->step = delivery->state == DELIVERY_WAITING ? step : NULL;
    else
        ending_leave(delivery, step);
}

/* Its record could not be stored now. The next try comes while there is time for the spool. */
static void keep_poisonous(struct delivery *delivery, int64_t delay_ms)
{
    int64_t safe_ms = delivery_own_alert_ms(delivery) - delivery_own_service_ms(delivery);

    if (!retry_in(delivery, min_of(delay_ms, max_of(safe_ms, 1000))))
        leave(delivery);
}

/* --- what came of the last requests --- */

static bool is_delete(const struct delivery *delivery)
{
    return delivery->settle_spec.what != SETTLE_HIDE;
}

/* Says that it could not be settled, if that is news, and what comes of it. */
static void unsettled(struct delivery *delivery, const struct err *err, bool is_final,
                      const char *then)
{
    const struct delivery_context *context = delivery->context;
    bool passing = err->code == ERR_NETWORK || err->code == ERR_THROTTLED;
    enum log_level level = passing ? LOG_LEVEL_WARNING : LOG_LEVEL_ERR;

    if (!setbacks_settle_failed(context->setbacks, is_delete(delivery), err, is_final))
        level = LOG_LEVEL_DEBUG;
    log_write(level, delivery_own_fields(delivery, is_final ? "lost" : NULL),
              "message can not be %s: %s; %s", is_delete(delivery) ? "deleted" : "put back",
              err->text, then);
}

static void on_settle_failed(void *arg, const struct err *err, int64_t delay_ms)
{
    struct delivery *delivery = arg;
    char text[UNIT_TEXT_MAX], then[UNIT_TEXT_MAX + 32];

    if (!is_delete(delivery)) /* it may be hidden, under another receipt */
        lease_doubt(&delivery->lease);
    snprintf(then, sizeof(then), "trying again in %s", unit_duration_human(delay_ms, text));
    unsettled(delivery, err, false, then);
}

static void give_up(struct delivery *delivery, const struct err *err)
{
    unsettled(delivery, err, true, "it will come again");
    ending_finish(delivery, DELIVERY_LOST);
}

/* Should the message come again, it is deleted without a second record. */
static void on_stored(void *arg, const struct err *refusal)
{
    struct delivery *delivery = arg;

    ledger_stored(delivery->entry, delivery->poisoning.reason, delivery->poisoning.rejected_by);
    delivery->poisoning.spooled = refusal != NULL;
    delivery->poisoning.is_put = refusal == NULL;
    if (refusal != NULL)
        setbacks_spooled(delivery->context->setbacks, refusal);
}

/* The record could not be stored: the message comes again, and is tried again. One that the service
 * finds too large goes as the message's text alone, which it took before. */
static void unpoisoned(struct delivery *delivery, const struct err *err)
{
    const struct delivery_context *context = delivery->context;

    if (poison_is_too_large(err) && !delivery->poisoning.is_bare) {
        log_debug(delivery_own_fields(delivery, NULL), "poison record is not taken: %s", err->text);
        poisoning_strip(&delivery->poisoning);
        ending_settle(delivery, SETTLE_POISON, 0, DELIVERY_POISONED);
        return;
    }
    if (delivery->is_cut)
        give_up(delivery, err);
    else
        keep_poisonous(delivery, setbacks_poison_failed(context->setbacks, err));
}

/* The service does not let us hide it. If that is all that it does not, there is another way. */
static void unhidden(struct delivery *delivery, const struct err *err)
{
    struct update_right *right = delivery->context->right;

    update_right_refused(right, err, clock_mono_ms());
    if (!update_right_is_missing(right)) {
        give_up(delivery, err);
        return;
    }
    log_debug(delivery_own_fields(delivery, NULL), "message can not be hidden: %s", err->text);
    /* It may be hidden by now, and come again too soon; or the ledger has not told what to do with it. */
    if (delivery->lease.is_doubtful || delivery->end == DELIVERY_RELEASED)
        ending_leave(delivery, delivery->step);
    else if (delivery->poisoning.record != NULL)
        keep_poisonous(delivery, delivery->settle_spec.hide_ms);
    else
        delivery_next(delivery);
}

static void on_notice_done(void *arg)
{
    struct delivery *delivery = arg;

    delivery->notice = NULL;
    ending_finish(delivery, delivery->end);
}

static void log_end(struct delivery *delivery)
{
    const struct log_field *fields =
        delivery_own_fields(delivery, delivery_end_name(delivery->end));
    const struct poisoning *poisoning = &delivery->poisoning;

    if (delivery->end == DELIVERY_DONE)
        log_info(fields, "message done");
    else if (delivery->end == DELIVERY_UNMATCHED)
        log_info(fields, "no hook matches; message deleted");
    else if (delivery->end == DELIVERY_POISONED && poisoning->stored_reason != NULL)
        log_info(fields, "message deleted; it was put into poison before: %s", poisoning->reason);
    else if (delivery->end == DELIVERY_POISONED)
        log_warning(fields, "message put into the poison %s: %s%s%s%s",
                    poisoning->spooled ? "spool" : "queue", poisoning->reason,
                    poisoning->rejected_by != NULL ? ", hook " : "",
                    poisoning->rejected_by != NULL ? poisoning->rejected_by : "",
                    poisoning->is_bare ? "; its text alone, for with its record it is too large"
                                       : "");
}

/* Poison is told to those who want to know; all else is over. */
static void settled(struct delivery *delivery)
{
    if (delivery->settle_spec.what == SETTLE_HIDE)
        delivery_own_note_update(delivery);
    log_end(delivery);
    if (delivery->end == DELIVERY_POISONED && delivery->interrupted)
        log_warning(delivery_own_fields(delivery, NULL),
                    "no hook is told of the poison: we are stopping");
    else if (delivery->end == DELIVERY_POISONED && !delivery->is_told)
        delivery->notice =
            notice_start(delivery->context->lanes, delivery->generation, &delivery->message,
                         delivery->poisoning.is_bare ? NULL : delivery->poisoning.record,
                         on_notice_done, delivery);
    if (delivery->notice == NULL)
        ending_finish(delivery, delivery->end);
    else if (delivery->context->stopping)
        notice_drain(delivery->notice);
    else
        delivery->context->settled(delivery->context->arg);
}

/* By this delivery. */
static bool is_stored(const struct delivery *delivery)
{
    return delivery->poisoning.is_put || delivery->poisoning.spooled;
}

static void on_settled(void *arg, enum settle_end end, const struct err *err)
{
    struct delivery *delivery = arg;

    delivery->settle = NULL;
    switch (end) {
    case SETTLE_DONE:
        settled(delivery);
        return;
    case SETTLE_UNPOISONED:
        unpoisoned(delivery, err);
        return;
    case SETTLE_LOST:
        delivery->is_left = is_stored(delivery) && delivery_own_is_expired(delivery);
        if (delivery->is_left && !delivery->came_again)
            settled(delivery);
        else
            let_go(delivery, err);
        return;
    case SETTLE_FORBIDDEN:
        unhidden(delivery, err);
        return;
    case SETTLE_GIVEN_UP:
        give_up(delivery, err);
        return;
    }
}

/* --- the last requests --- */

static void send_settlement(struct delivery *delivery)
{
    delivery->settle = settle_start(&delivery->settle_spec, on_settled, delivery);
    if (delivery->interrupted)
        settle_hurry(delivery->settle);
}

/* The time for it is over. */
static void on_deadline(void *arg)
{
    struct delivery *delivery = arg;
    struct err err;

    delivery->is_cut = true;
    if (delivery->settle != NULL) {
        settle_cut(delivery->settle);
        return;
    }
    err_set(&err, ERR_NETWORK, "no time left to wait for its renewal");
    give_up(delivery, &err);
}

/* One for all requests that are still to come, and for a renewal that is waited for. */
static void set_deadline(struct delivery *delivery)
{
    int64_t two_ms = 2 * delivery_own_request_timeout(delivery);

    if (delivery->deadline.handle != NULL)
        return;
    timer_init(&delivery->deadline, delivery->context->loop, on_deadline, delivery);
    timer_set(&delivery->deadline, min_of(max_of(two_ms, LAST_LEAST_MS), LAST_MOST_MS));
}

void ending_hurry(struct delivery *delivery)
{
    set_deadline(delivery);
    if (delivery->settle != NULL)
        settle_hurry(delivery->settle);
}

/* Whether the message's life is about to end, or ends with a lease that can not be cut short. */
static bool is_last_try(const struct delivery *delivery)
{
    bool is_stuck = update_right_is_missing(delivery->context->right);

    return delivery_own_is_expiring(delivery, is_stuck ? max_of(lease_left_ms(delivery), 0) : 0);
}

void ending_settle(struct delivery *delivery, enum settle_what what, int64_t hide_ms,
                   enum delivery_end end)
{
    const struct delivery_context *context = delivery->context;
    bool first = delivery_has_place(delivery);

    delivery->settle_spec = (struct settle_spec){
        .loop = context->loop,
        .queue = context->queue,
        .poison = context->poison,
        .lease = &delivery->lease,
        .message_id = delivery->message.id,
        .timeout_ms = delivery_own_request_timeout(delivery),
        .what = what,
        .hide_ms = hide_ms,
        .record = delivery->poisoning.record,
        .stored = on_stored,
        .is_bare = delivery->poisoning.is_bare,
        .expiring = is_last_try(delivery),
        .spool = context->spool,
        .failed = on_settle_failed,
    };
    delivery->end = end;
    delivery_own_set_state(delivery, DELIVERY_SETTLING);
    if (delivery->interrupted)
        set_deadline(delivery);
    if (renewal_stop(&delivery->renewal))
        send_settlement(delivery);
    if (first)
        context->settling(context->arg, delivery);
}

/* A message that is not ours any more gets no poison record: who has it makes one. */
void ending_go_on(struct delivery *delivery, const struct err *err)
{
    if (err != NULL && err->code == ERR_GONE)
        let_go(delivery, err);
    else
        send_settlement(delivery);
}

void ending_poison(struct delivery *delivery, const char *reason, const struct step *step)
{
    struct poisoning *poisoning = &delivery->poisoning;

    poisoning_write(poisoning, reason, &delivery->dispatch, step);
    ending_settle(delivery, poisoning->stored_reason != NULL ? SETTLE_DELETE : SETTLE_POISON, 0,
                  DELIVERY_POISONED);
}

void ending_release(struct delivery *delivery)
{
    if (update_right_is_missing(delivery->context->right)) {
        ending_leave(delivery, delivery->step);
        return;
    }
    log_debug(delivery_own_fields(delivery, "released"), "message is given back");
    ending_settle(delivery, SETTLE_HIDE, 0, DELIVERY_RELEASED);
}
