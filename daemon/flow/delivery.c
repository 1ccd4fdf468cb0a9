/* SPDX-License-Identifier: MIT */
/* One message in our hands. */
#include "flow/delivery.h"

#include <stdlib.h>
#include <string.h>

#include "azure/queue.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "event/event.h"
#include "flow/delivery_own.h"
#include "flow/ending.h"
#include "flow/generation.h"
#include "flow/keeping.h"
#include "flow/notice.h"
#include "flow/run.h"
#include "flow/settings.h"
#include "store/ledger.h"

/* More receipts than the ledger can explain mean that readers die of this message. */
#define MAX_UNEXPLAINED 100

const char *delivery_end_name(enum delivery_end end)
{
    switch (end) {
    case DELIVERY_DONE:
        return "done";
    case DELIVERY_UNMATCHED:
        return "unmatched";
    case DELIVERY_POISONED:
        return "poisoned";
    case DELIVERY_RETRY:
        return "retry";
    case DELIVERY_RELEASED:
        return "released";
    case DELIVERY_LOST:
        return "lost";
    }
    return "?";
}

/* --- the hooks --- */

/* Whether no further hook may begin: we are stopping, and none has begun or it was interrupted. */
static bool must_let_go(const struct delivery *delivery)
{
    return delivery->interrupted || (delivery->draining && !delivery->has_begun);
}

/* A step that is too late is done without a run. */
static bool is_stale(struct delivery *delivery, struct step *step)
{
    if (!dispatch_is_stale(step, delivery_own_service_ms(delivery) - delivery->message.inserted_ms))
        return false;
    struct step *before = delivery->step;
    delivery->step = step;
    log_info(delivery_own_fields(delivery, "stale"),
             "message is older than the hook's max_age; not run");
    delivery->step = before;
    return true;
}

static const struct log_field *run_fields(void *arg, const char *outcome)
{
    return delivery_own_fields(arg, outcome);
}

/* Asked when they are needed: a reload may move the delivery to other settings. */
static const struct queue_settings *run_settings(void *arg)
{
    const struct delivery *delivery = arg;

    return delivery->context->plan->settings;
}

static bool may_begin(void *arg)
{
    struct delivery *delivery = arg;

    return !must_let_go(delivery) && !delivery_own_is_lost(delivery) &&
           !is_stale(delivery, delivery->step);
}

static void on_run_ended(void *arg, bool begun)
{
    struct delivery *delivery = arg;

    delivery->has_begun |= begun;
    delivery->run = NULL;
    delivery->step = NULL;
    delivery_next(delivery);
}

static void run_step(struct delivery *delivery, struct step *step)
{
    const struct delivery_context *context = delivery->context;

    delivery->step = step;
    delivery_own_set_state(delivery, DELIVERY_STEPPING);
    run_start(
        &(struct run_spec){
            .entry = delivery->entry,
            .lanes = context->lanes,
            .settings = run_settings,
            .message = &delivery->message,
            .step = step,
            .key = event_field(delivery->event, "project_id"),
            .fields = run_fields,
            .may_begin = may_begin,
            .ended = on_run_ended,
            .arg = delivery,
        },
        &delivery->run);
}

/* What to do next, past the steps that are too late. */
static enum verdict judge(struct delivery *delivery, struct step **ret_step, int64_t *ret_delay_ms)
{
    enum verdict verdict;

    do
        verdict = dispatch_next(&delivery->dispatch, ret_step, ret_delay_ms);
    while (verdict == VERDICT_RUN && is_stale(delivery, *ret_step));
    return verdict;
}

void delivery_next(struct delivery *delivery)
{
    struct step *step;
    int64_t delay_ms;

    enum verdict verdict = judge(delivery, &step, &delay_ms);
    if (verdict != VERDICT_DONE && delivery_own_is_lost(delivery) &&
        delivery_own_is_expired(delivery)) {
        ending_poison(delivery, verdict == VERDICT_REJECT ? step->record.reason : "expiring", step);
        return;
    }
    if (delivery->gone || (verdict == VERDICT_RUN && delivery_own_is_lost(delivery))) {
        ending_finish(delivery, DELIVERY_LOST);
        return;
    }
    if ((verdict == VERDICT_RUN && must_let_go(delivery)) ||
        (verdict == VERDICT_RETRY && delay_ms == 0)) {
        ending_release(delivery);
        return;
    }
    switch (verdict) {
    case VERDICT_RUN:
        run_step(delivery, step);
        break;
    case VERDICT_DONE:
        ending_settle(delivery, SETTLE_DELETE, 0, DELIVERY_DONE);
        break;
    case VERDICT_RETRY:
        ending_retry(delivery, delay_ms, step);
        break;
    case VERDICT_REJECT:
        ending_poison(delivery, step->record.reason, step);
        break;
    }
}

/* --- the beginning --- */

/* Nobody wants it. A message that is not known may be tomorrow's; it is kept in poison. */
static void unmatched(struct delivery *delivery)
{
    const char *name = delivery->event->name;

    if (strcmp(name, "unknown") == 0) {
        ending_poison(delivery, "unknown-event", NULL);
    } else if (strcmp(name, "connection.test") == 0) {
        ending_settle(delivery, SETTLE_DELETE, 0, DELIVERY_DONE);
    } else if (delivery->context->plan->settings->unmatched == UNMATCHED_POISON) {
        ending_poison(delivery, "unmatched", NULL);
    } else {
        ending_settle(delivery, SETTLE_DELETE, 0, DELIVERY_UNMATCHED);
    }
}

/* Whether nothing of it runs, and something is to be done: it waits for its turn, for its next try, or for
 * a disk that does not take what must be on record first. */
static bool is_held_up(const struct delivery *delivery)
{
    struct step *step;
    int64_t delay_ms;

    if (delivery->run != NULL && run_is_running(delivery->run))
        return false;
    return delivery->op != NULL || delivery->poisoning.record != NULL ||
           dispatch_next(&delivery->dispatch, &step, &delay_ms) != VERDICT_DONE;
}

/* Whether no step is to be run any more. */
static bool is_decided(enum verdict verdict)
{
    return verdict == VERDICT_DONE || verdict == VERDICT_REJECT;
}

bool delivery_expire(struct delivery *delivery)
{
    const bool is_known = delivery->op == NULL; /* what the ledger knows of the steps */
    struct step *step = delivery->step;
    int64_t delay_ms;

    if (!is_held_up(delivery))
        return false;
    ledger_cancel(take(delivery->op));
    waits_leave(&delivery->wait);
    delivery_own_leave_lane(delivery);
    if (delivery->poisoning.record != NULL)
        ending_settle(delivery, SETTLE_POISON, 0, DELIVERY_POISONED);
    else if (delivery->undecodable != NULL)
        ending_poison(delivery, delivery->undecodable, NULL);
    else if (delivery->dispatch.count == 0)
        unmatched(delivery);
    else if (is_known && is_decided(judge(delivery, &step, &delay_ms)))
        delivery_next(delivery);
    else
        ending_poison(delivery, "expiring", step);
    return true;
}

static void plan(struct delivery *delivery)
{
    unsigned count;
    struct hook *const *hooks = generation_hooks(delivery->generation, &count);

    dispatch_init(&delivery->dispatch, hooks, count, delivery->event, delivery->message.queue);
}

/* Its record is stored, and it came again. Hooks are told what that record says. */
static void delete_poison(struct delivery *delivery, const struct ledger_message *known)
{
    const struct queue_settings *settings = delivery->context->plan->settings;
    struct step *step;
    int64_t delay_ms;

    poisoning_recall(&delivery->poisoning, known->stored_reason);
    dispatch_recall(&delivery->dispatch, known, settings, clock_wall_ms());
    if (dispatch_next(&delivery->dispatch, &step, &delay_ms) == VERDICT_RUN)
        step = NULL; /* it was not this one that failed */
    ending_poison(delivery, delivery->poisoning.stored_reason, step);
}

static void on_ledger_read(void *arg, const struct ledger_message *known)
{
    struct delivery *delivery = arg;

    delivery->op = NULL;
    /* Who has it now sees to it, unless its life is over. */
    if (delivery->gone && !delivery_own_is_expired(delivery)) {
        ending_finish(delivery, DELIVERY_LOST);
        return;
    }
    if (known->stored_reason != NULL) {
        delete_poison(delivery, known);
        return;
    }
    if (delivery->undecodable != NULL) {
        ending_poison(delivery, delivery->undecodable, NULL);
        return;
    }
    if (delivery->dispatch.count == 0) {
        unmatched(delivery);
        return;
    }
    if (delivery->message.dequeue_count > known->receipts + MAX_UNEXPLAINED) {
        ending_poison(delivery, "unexplained-dequeues", NULL);
        return;
    }
    dispatch_recall(&delivery->dispatch, known, delivery->context->plan->settings, clock_wall_ms());
    delivery_next(delivery);
}

void delivery_begin(struct delivery *delivery)
{
    if (delivery->event != NULL)
        plan(delivery);
    if (delivery->event != NULL && strcmp(delivery->event->name, "connection.test") == 0)
        log_info(delivery_own_fields(delivery, NULL), "connection test received: the link works");
    renewal_start(&delivery->renewal);
    delivery->op = ledger_read(delivery->entry, on_ledger_read, delivery);
}

struct delivery *delivery_new(const struct delivery_context *context, struct generation *generation,
                              const struct queue_message *message, int64_t asked_ms)
{
    struct delivery *delivery = xcalloc(1, sizeof(*delivery));

    delivery->context = context;
    delivery->generation = generation_keep(generation);
    delivery->link.delivery = delivery;
    delivery->text = xstrndup(message->text, message->len);
    lease_init(&delivery->lease, context->lease_ms, message->expires_ms, message->pop_receipt,
               asked_ms);
    lease_heed_service(&delivery->lease, message->answered_ms, message->inserted_ms,
                       clock_mono_ms());
    delivery->lease.alert_ms = delivery_own_alert_ms(delivery);
    delivery->undecodable = event_decode(message->text, message->len, &delivery->event);
    delivery->message = (struct hook_message){
        .event = delivery->event,
        .id = xstrdup(message->id),
        .queue = context->plan->settings->name,
        .queue_url = context->plan->url,
        .inserted_ms = message->inserted_ms,
        .dequeue_count = message->dequeue_count,
    };
    poisoning_init(&delivery->poisoning, &delivery->message, delivery->text);
    autofree char *subject = delivery->event != NULL ? event_subject(delivery->event) : NULL;
    delivery->entry = ledger_entry_new(
        context->ledger, &(struct ledger_receipt){
                             .queue_url = context->plan->url,
                             .message_id = message->id,
                             .event = delivery->event != NULL ? delivery->event->name : NULL,
                             .subject = subject,
                             .inserted_ms = message->inserted_ms,
                             .expires_ms = message->expires_ms,
                             .dequeue_count = message->dequeue_count,
                         });
    renewal_init(&delivery->renewal, context->loop, context->queue, &delivery->lease,
                 delivery->message.id, delivery_own_request_timeout(delivery), &keeping_events,
                 delivery);
    log_debug(delivery_own_fields(delivery, NULL), "message received, dequeue count %u",
              message->dequeue_count);
    return delivery;
}

void delivery_free(struct delivery *delivery)
{
    settle_cancel(delivery->settle);
    waits_leave(&delivery->wait);
    notice_free(delivery->notice);
    renewal_done(&delivery->renewal);
    timer_done(&delivery->deadline);
    ledger_cancel(delivery->op);
    run_cancel(delivery->run);
    ledger_entry_free(delivery->entry);
    dispatch_done(&delivery->dispatch);
    event_discard(delivery->event);
    lease_done(&delivery->lease);
    generation_drop(delivery->generation);
    free((char *)(uintptr_t)delivery->message.id);
    poisoning_done(&delivery->poisoning);
    free(delivery->text);
    free(delivery);
}

/* --- what its owner asks --- */

const char *delivery_message_id(const struct delivery *delivery)
{
    return delivery->message.id;
}

unsigned delivery_dequeue_count(const struct delivery *delivery)
{
    return delivery->message.dequeue_count;
}

struct delivery_link *delivery_link(struct delivery *delivery)
{
    return &delivery->link;
}

bool delivery_has_put(const struct delivery *delivery)
{
    return delivery->poisoning.is_put;
}

bool delivery_is_settling(const struct delivery *delivery)
{
    return delivery->state == DELIVERY_SETTLING;
}

bool delivery_is_telling(const struct delivery *delivery)
{
    return delivery->notice != NULL;
}

bool delivery_has_place(const struct delivery *delivery)
{
    return delivery->state == DELIVERY_READING || delivery->state == DELIVERY_STEPPING;
}

/* --- what its owner does with it --- */

void delivery_adopt(struct delivery *delivery, const struct queue_message *message,
                    int64_t asked_ms)
{
    log_info(delivery_own_fields(delivery, NULL),
             "message was delivered to us again while we work on it; "
             "going on under its new receipt");
    delivery->message.dequeue_count = message->dequeue_count;
    delivery->gone = false;
    delivery->lease.length_ms = delivery->context->lease_ms;
    lease_renewed(&delivery->lease, message->pop_receipt, asked_ms, delivery->lease.length_ms);
    renewal_start(&delivery->renewal);
    ledger_received_again(delivery->entry);
}

void delivery_came_again(struct delivery *delivery, struct delivery *following)
{
    delivery->came_again = true;
    following->is_told = delivery->is_told || delivery->notice != NULL;
    if (delivery->settle != NULL)
        settle_came_again(delivery->settle);
}

void delivery_move(struct delivery *delivery, const struct delivery_context *context)
{
    delivery->context = context;
    delivery->draining = false; /* it was the former owner that stopped */
    delivery->lease.length_ms = context->lease_ms;
    delivery->lease.alert_ms = delivery_own_alert_ms(delivery);
    renewal_move(&delivery->renewal, context->queue, delivery_own_request_timeout(delivery));
    delivery->message.queue = context->plan->settings->name;
    delivery->message.queue_url = context->plan->url;
    renewal_start(&delivery->renewal);
    if (delivery->state == DELIVERY_WAITING)
        waits_move(&delivery->wait, context->waits);
}

/* Begins anew with that configuration's hooks and what the ledger knows. */
static void match(struct delivery *delivery, struct generation *generation)
{
    dispatch_done(&delivery->dispatch);
    generation_keep(generation);
    generation_drop(delivery->generation);
    delivery->generation = generation;
    if (delivery->event != NULL)
        plan(delivery);
    delivery_own_set_state(delivery, DELIVERY_READING);
    delivery->op = ledger_read(delivery->entry, on_ledger_read, delivery);
}

/* Whether nothing has happened to it yet but waiting: for the ledger, or for a turn. */
static bool is_idle(const struct delivery *delivery)
{
    return delivery->op != NULL || delivery_own_is_waiting(delivery);
}

bool delivery_is_untouched(const struct delivery *delivery)
{
    return is_idle(delivery) && !delivery->has_begun;
}

void delivery_rematch(struct delivery *delivery, struct generation *generation)
{
    if (!delivery_is_untouched(delivery))
        return;
    ledger_cancel(take(delivery->op));
    delivery_own_leave_lane(delivery);
    match(delivery, generation);
}

void delivery_resume(struct delivery *delivery, struct generation *generation)
{
    delivery->step = NULL;
    delivery->has_begun = false;
    poisoning_forget(&delivery->poisoning);
    match(delivery, generation);
}

/* Whether its first hook waits for what must be on record before. */
static bool is_on_hold(const struct delivery *delivery)
{
    return delivery->run != NULL && !delivery->has_begun && !run_has_begun(delivery->run);
}

/* No longer waits, and lets others have the message. */
static void give_back(struct delivery *delivery)
{
    ledger_cancel(take(delivery->op));
    delivery_own_leave_lane(delivery);
    ending_release(delivery);
}

/* Its next try will be another daemon's. */
static void stop_waiting(struct delivery *delivery)
{
    waits_leave(&delivery->wait);
    ending_leave(delivery, delivery->step);
}

void delivery_drain(struct delivery *delivery)
{
    delivery->draining = true;
    if (delivery->notice != NULL && delivery->context->stopping)
        notice_drain(delivery->notice);
    else if (delivery->state == DELIVERY_WAITING)
        stop_waiting(delivery);
    else if (delivery_is_untouched(delivery))
        give_back(delivery);
    else if (is_on_hold(delivery)) /* a disk that takes no record may do so for long */
        run_interrupt(delivery->run);
}

void delivery_interrupt(struct delivery *delivery)
{
    delivery->interrupted = true;
    if (delivery->notice != NULL) {
        notice_stop(delivery->notice);
    } else if (delivery->state == DELIVERY_SETTLING) {
        ending_hurry(delivery);
    } else if (delivery->state == DELIVERY_WAITING) {
        stop_waiting(delivery);
    } else if (is_idle(delivery)) {
        give_back(delivery);
    } else if (delivery->run != NULL) {
        run_interrupt(delivery->run);
    }
}
