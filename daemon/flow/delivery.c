/* SPDX-License-Identifier: MIT */
/* One message in our hands. */
#include "flow/delivery.h"

#include <stdlib.h>
#include <string.h>

#include "azure/queue.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/unit.h"
#include "event/event.h"
#include "flow/dispatch.h"
#include "flow/generation.h"
#include "flow/lane.h"
#include "flow/lease.h"
#include "flow/notice.h"
#include "flow/poison.h"
#include "flow/settings.h"
#include "flow/settle.h"
#include "hook/hook.h"
#include "loop/timer.h"
#include "net/retry.h"
#include "store/ledger.h"

/* More receipts than the ledger can explain mean that readers die of this message. */
#define MAX_UNEXPLAINED 100

enum delivery_state {
    DELIVERY_READING,   /* what the ledger knows */
    DELIVERY_QUEUEING,  /* for a turn of the next hook */
    DELIVERY_RECORDING, /* a step's beginning or end */
    DELIVERY_RUNNING,   /* a hook */
    DELIVERY_SETTLING,  /* the last requests, or the wait for a renewal before them */
};

struct delivery {
    const struct delivery_context *context;
    struct generation *generation;
    enum delivery_state state;
    struct delivery_link link;

    char *text;
    struct event *event;     /* NULL when undecodable */
    const char *undecodable; /* then why */
    struct hook_message message;
    struct lease lease;
    bool gone;       /* the service said that it is not ours any more */
    bool lease_lost; /* said once */
    bool draining;
    bool interrupted; /* give it back as soon as nothing runs */
    bool has_begun;   /* a hook has run in this delivery */

    struct dispatch dispatch;
    struct step *step; /* the one that queues, runs or is recorded */
    struct ledger_op *op;
    struct ticket *ticket;
    struct hook_run *run;

    struct timer timer; /* the next renewal */
    struct queue_call *renewal;
    int64_t renewal_asked_ms;
    int64_t renewal_span_ms;
    struct retry retry;

    struct settle *settle;
    struct settle_spec settle_spec; /* what to do once no renewal is under way */
    char *record;
    const char *reason;      /* of poison; the step's, or static */
    const char *rejected_by; /* a hook; NULL */
    struct notice *notice;   /* after the poison record is stored */
    enum delivery_end end;
};

static void next(struct delivery *delivery);

static const char *state_name(enum delivery_state state)
{
    switch (state) {
    case DELIVERY_READING:
        return "reading";
    case DELIVERY_QUEUEING:
        return "queueing";
    case DELIVERY_RECORDING:
        return "recording";
    case DELIVERY_RUNNING:
        return "running";
    case DELIVERY_SETTLING:
        return "settling";
    }
    return "?";
}

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

/* --- the log --- */

#define FIELDS 8

/* Fills the fields that tell which message, and which hook, a line is about. */
static const struct log_field *fields_of(const struct delivery *delivery, const char *outcome,
                                         struct log_field fields[static FIELDS])
{
    const struct event *event = delivery->event;
    const struct log_field all[FIELDS] = {
        {"queue", delivery->message.queue},
        {"message_id", delivery->message.id},
        {"event", event != NULL ? event->name : NULL},
        {"project_id", event != NULL ? event_field(event, "project_id") : NULL},
        {"iteration_id", event != NULL ? event_field(event, "iteration_id") : NULL},
        {"hook", delivery->step != NULL ? delivery->step->record.hook : NULL},
        {"outcome", outcome},
        {NULL, NULL},
    };

    memcpy(fields, all, sizeof(all));
    return fields;
}

#define FIELDS_OF(delivery, outcome) fields_of(delivery, outcome, (struct log_field[FIELDS]){{0}})

static void set_state(struct delivery *delivery, enum delivery_state state)
{
    if (delivery->state != state)
        log_debug(FIELDS_OF(delivery, NULL), "delivery: %s -> %s", state_name(delivery->state),
                  state_name(state));
    delivery->state = state;
}

/* --- the end --- */

void delivery_free(struct delivery *delivery)
{
    settle_cancel(delivery->settle);
    notice_free(delivery->notice);
    queue_call_cancel(delivery->renewal);
    ledger_cancel(delivery->op);
    lane_leave(delivery->ticket);
    timer_done(&delivery->timer);
    dispatch_done(&delivery->dispatch);
    event_discard(delivery->event);
    lease_done(&delivery->lease);
    generation_drop(delivery->generation);
    free((char *)(uintptr_t)delivery->message.id);
    free(delivery->record);
    free(delivery->text);
    free(delivery);
}

static void finish(struct delivery *delivery, enum delivery_end end)
{
    const struct delivery_context *context = delivery->context;

    if (end == DELIVERY_DONE || end == DELIVERY_UNMATCHED || end == DELIVERY_POISONED)
        ledger_deleted(context->ledger, context->plan->url, delivery->message.id);
    context->ended(context->arg, delivery, end);
    delivery_free(delivery);
}

/* --- settling --- */

static int64_t request_timeout(const struct delivery *delivery)
{
    return min_of(delivery->context->http_timeout_ms, delivery->lease.length_ms / 4);
}

static void settle(struct delivery *delivery, enum settle_what what, int64_t hide_ms,
                   enum delivery_end end);
static bool is_expiring(const struct delivery *delivery, int64_t in_ms);

/* The record could not be stored: the message comes again, and is tried again. */
static void unpoisoned(struct delivery *delivery, const struct err *err)
{
    const struct delivery_context *context = delivery->context;

    settle(delivery, SETTLE_HIDE, context->poison_failed(context->arg, err), DELIVERY_RETRY);
}

static void on_notice_done(void *arg)
{
    struct delivery *delivery = arg;

    delivery->notice = NULL;
    finish(delivery, delivery->end);
}

static void log_end(const struct delivery *delivery)
{
    const struct log_field *fields = FIELDS_OF(delivery, delivery_end_name(delivery->end));

    if (delivery->end == DELIVERY_DONE)
        log_info(fields, "message done");
    else if (delivery->end == DELIVERY_UNMATCHED)
        log_info(fields, "no hook matches; message deleted");
    else if (delivery->end == DELIVERY_POISONED)
        log_warning(fields, "message put into the poison queue: %s%s%s", delivery->reason,
                    delivery->rejected_by != NULL ? ", hook " : "",
                    delivery->rejected_by != NULL ? delivery->rejected_by : "");
}

/* Poison is told to those who want to know; all else is over. */
static void settled(struct delivery *delivery)
{
    log_end(delivery);
    const char *record = delivery->record;

    if (delivery->end == DELIVERY_POISONED)
        delivery->notice =
            notice_start(delivery->context->lanes, delivery->generation, &delivery->message,
                         record[0] == '{' ? record : NULL, on_notice_done, delivery);
    if (delivery->notice == NULL)
        finish(delivery, delivery->end);
}

static void on_settled(void *arg, enum settle_end end, const struct err *err)
{
    struct delivery *delivery = arg;
    bool is_delete = delivery->settle_spec.what != SETTLE_HIDE;

    delivery->settle = NULL;
    switch (end) {
    case SETTLE_DONE:
        settled(delivery);
        return;
    case SETTLE_UNPOISONED:
        unpoisoned(delivery, err);
        return;
    case SETTLE_LOST:
        log_debug(FIELDS_OF(delivery, "lost"), "message is no longer ours: %s", err->text);
        break;
    case SETTLE_GIVEN_UP:
        log_warning(FIELDS_OF(delivery, "lost"), "message could not be %s: %s; it will come again",
                    is_delete ? "deleted" : "put back", err->text);
        break;
    }
    finish(delivery, DELIVERY_LOST);
}

static void send_settlement(struct delivery *delivery)
{
    delivery->settle = settle_start(&delivery->settle_spec, on_settled, delivery);
}

/* Lets the message go. Waits for a renewal that is under way, for it brings a new receipt. */
static void settle(struct delivery *delivery, enum settle_what what, int64_t hide_ms,
                   enum delivery_end end)
{
    const struct delivery_context *context = delivery->context;
    bool first = delivery->state != DELIVERY_SETTLING;

    delivery->settle_spec = (struct settle_spec){
        .loop = context->loop,
        .queue = context->queue,
        .poison = context->poison,
        .lease = &delivery->lease,
        .message_id = delivery->message.id,
        .timeout_ms = request_timeout(delivery),
        .what = what,
        .hide_ms = hide_ms,
        .record = delivery->record,
    };
    delivery->end = end;
    timer_clear(&delivery->timer);
    set_state(delivery, DELIVERY_SETTLING);
    if (delivery->renewal == NULL)
        send_settlement(delivery);
    if (first)
        context->settling(context->arg, delivery);
}

/* The names of the hooks that are done, ending with NULL; borrowed names in fresh memory. */
static const char **done_hooks(const struct delivery *delivery)
{
    const struct dispatch *dispatch = &delivery->dispatch;
    const char **names = xcalloc(dispatch->count + 1, sizeof(*names));
    unsigned count = 0;

    for (unsigned i = 0; i < dispatch->count; i++) {
        if (dispatch->steps[i].state == STEP_DONE)
            names[count++] = dispatch->steps[i].record.hook;
    }
    return names;
}

static const char *encoding_of(const struct event *event)
{
    if (event == NULL)
        return NULL;
    return event->encoding == EVENT_BASE64 ? "base64" : "plain";
}

static void poison(struct delivery *delivery, const char *reason, const struct step *step)
{
    const struct ledger_step *last = step != NULL ? &step->record : NULL;
    const char **done = done_hooks(delivery);
    struct poison_record record = {
        .reason = reason,
        .hook = last != NULL ? last->hook : NULL,
        .done = done,
        .attempts = last != NULL ? last->attempts : 0,
        .exit_status = last != NULL ? last->exit_status : -1,
        .tail = last != NULL ? last->tail : NULL,
        .message_id = delivery->message.id,
        .queue_url = delivery->message.queue_url,
        .inserted_ms = delivery->message.inserted_ms,
        .dequeue_count = delivery->message.dequeue_count,
        .encoding = encoding_of(delivery->event),
        .text = delivery->text,
    };

    free(delivery->record);
    delivery->record = poison_text(&record);
    free(done);
    delivery->reason = reason;
    delivery->rejected_by = record.hook;
    settle(delivery, SETTLE_POISON, 0, DELIVERY_POISONED);
}

/* Hides the message until its next try, unless too little of its life would be left then. */
static void retry_later(struct delivery *delivery, int64_t delay_ms, const struct step *step)
{
    char text[UNIT_TEXT_MAX];

    if (is_expiring(delivery, delay_ms)) {
        poison(delivery, "expiring", step);
        return;
    }
    log_debug(FIELDS_OF(delivery, "retry"), "message comes again in %s",
              unit_duration_human(delay_ms, text));
    settle(delivery, SETTLE_HIDE, delay_ms, DELIVERY_RETRY);
}

static void release(struct delivery *delivery)
{
    log_debug(FIELDS_OF(delivery, "released"), "message is given back");
    settle(delivery, SETTLE_HIDE, 0, DELIVERY_RELEASED);
}

/* --- the lease --- */

static void arm_renewal(struct delivery *delivery)
{
    if (delivery->state != DELIVERY_SETTLING && !delivery->gone)
        timer_set(&delivery->timer, lease_renew_in(&delivery->lease, clock_mono_ms()));
}

/* Another reader may have the message from now on. */
static void lose(struct delivery *delivery, const char *why)
{
    const struct hook_settings *hook =
        delivery->step != NULL ? hook_settings(delivery->step->hook) : NULL;
    bool stop = hook != NULL && hook->on_lease_lost == HOOK_LEASE_STOP;

    if (delivery->lease_lost)
        return;
    delivery->lease_lost = true;
    log_warning(FIELDS_OF(delivery, NULL), "lease lost: %s; %s", why,
                delivery->run == NULL ? "the message is let go"
                : stop                ? "the run is stopped"
                                      : "the run goes on");
    if (delivery->run != NULL && stop)
        hook_run_stop(delivery->run);
}

/* A wait for a turn makes no sense for a message that is not ours. */
static void let_go_if_queueing(struct delivery *delivery)
{
    if (delivery->state != DELIVERY_QUEUEING)
        return;
    lane_leave(take(delivery->ticket));
    finish(delivery, DELIVERY_LOST);
}

static void renewal_failed(struct delivery *delivery, const struct err *err)
{
    int64_t delay_ms;

    if (err->code == ERR_GONE) {
        delivery->gone = true;
        lose(delivery, err->text);
        let_go_if_queueing(delivery);
        return;
    }
    if (lease_is_over(&delivery->lease, clock_mono_ms())) {
        lose(delivery, err->text);
        if (delivery->state == DELIVERY_QUEUEING) {
            let_go_if_queueing(delivery);
            return;
        }
    }
    (void)retry_after(&delivery->retry, err, &delay_ms);
    log_debug(FIELDS_OF(delivery, NULL), "renewal failed: %s", err->text);
    /* At least three tries before the lease is over, at most one a second. */
    timer_set(&delivery->timer,
              min_of(max_of(delay_ms, 1000), max_of(delivery->lease.length_ms / 8, 250)));
}

static void on_renewed(void *arg, const struct queue_answer *answer, const struct err *err)
{
    struct delivery *delivery = arg;

    delivery->renewal = NULL;
    if (err == NULL) {
        lease_renewed(&delivery->lease, answer->pop_receipt, delivery->renewal_asked_ms,
                      delivery->renewal_span_ms);
        delivery->lease_lost = false;
        retry_reset(&delivery->retry);
    }
    if (delivery->state == DELIVERY_SETTLING)
        send_settlement(delivery);
    else if (err != NULL)
        renewal_failed(delivery, err);
    else
        arm_renewal(delivery);
}

/* Whether so little of the message's life is left that it must be kept safe in poison. */
static bool is_expiring(const struct delivery *delivery, int64_t in_ms)
{
    return clock_wall_ms() + in_ms >=
           delivery->lease.expires_ms - delivery->context->plan->expiry_margin_ms;
}

static void renew(struct delivery *delivery)
{
    struct lease *lease = &delivery->lease;
    int64_t visibility_s = lease_visibility_s(lease, lease->length_ms, clock_wall_ms());

    visibility_s = max_of(visibility_s, 1);
    delivery->renewal_asked_ms = clock_mono_ms();
    delivery->renewal_span_ms = visibility_s * 1000;
    delivery->renewal = queue_update(delivery->context->queue, delivery->message.id, lease->receipt,
                                     visibility_s, request_timeout(delivery), on_renewed, delivery);
}

static void on_timer(void *arg)
{
    struct delivery *delivery = arg;

    if (delivery->renewal != NULL)
        return;
    if (delivery->state == DELIVERY_QUEUEING && is_expiring(delivery, 0)) {
        lane_leave(take(delivery->ticket));
        poison(delivery, "expiring", delivery->step);
        return;
    }
    renew(delivery);
}

void delivery_adopt(struct delivery *delivery, const struct queue_message *message,
                    int64_t asked_ms)
{
    const struct delivery_context *context = delivery->context;

    log_info(FIELDS_OF(delivery, NULL), "message was delivered to us again while we work on it; "
                                        "going on under its new receipt");
    /* A renewal that is under way bears a receipt that is void now. */
    queue_call_cancel(take(delivery->renewal));
    delivery->message.dequeue_count = message->dequeue_count;
    delivery->gone = delivery->lease_lost = false;
    lease_renewed(&delivery->lease, message->pop_receipt, asked_ms, delivery->lease.length_ms);
    ledger_received_again(context->ledger, context->plan->url, delivery->message.id);
    arm_renewal(delivery);
}

void delivery_move(struct delivery *delivery, const struct delivery_context *context)
{
    queue_call_cancel(take(delivery->renewal));
    delivery->context = context;
    delivery->message.queue = context->plan->settings->name;
    delivery->message.queue_url = context->plan->url;
}

/* --- running the hooks --- */

static void on_recorded(void *arg, const struct err *err);

static void record_step(struct delivery *delivery, ledger_done_fn *done)
{
    const struct delivery_context *context = delivery->context;

    set_state(delivery, DELIVERY_RECORDING);
    delivery->op = ledger_record(context->ledger, context->plan->url, delivery->message.id,
                                 &delivery->step->record, done, delivery);
}

/* This machine can not run the hook: the message waits, and no attempt is spent. */
static void host_fault(struct delivery *delivery, const struct hook_result *result)
{
    struct lane *lane = lanes_get(delivery->context->lanes, delivery->step->record.hook);
    char wait[UNIT_TEXT_MAX];
    bool first;

    int64_t delay_ms = lane_broke(lane, clock_mono_ms(), &first);
    dispatch_put_off(delivery->step, delay_ms);
    if (first)
        log_err(FIELDS_OF(delivery, "host-fault"),
                "hook is broken: %s; its messages wait, next try in %s", result->text,
                unit_duration_human(delay_ms, wait));
    else
        log_debug(FIELDS_OF(delivery, "host-fault"), "hook is still broken: %s", result->text);
}

/* Says how a run ended, with what follows from it. */
static void log_run(const struct delivery *delivery, const struct hook_result *result)
{
    const struct step *step = delivery->step;
    const struct log_field *fields = FIELDS_OF(delivery, hook_outcome_name(result->outcome));
    char took[UNIT_TEXT_MAX], wait[UNIT_TEXT_MAX];

    unit_duration_human(result->duration_ms, took);
    if (result->outcome == HOOK_DONE)
        log_info(fields, "hook done in %s", took);
    else if (step->state == STEP_REJECTED)
        log_warning(fields, "hook %s after %s: %s; %s", hook_outcome_name(result->outcome), took,
                    result->text, step->record.reason);
    else if (result->outcome == HOOK_INTERRUPTED)
        log_info(fields, "hook interrupted after %s: %s", took, result->text);
    else
        log_warning(fields, "hook %s after %s: %s; again in %s", hook_outcome_name(result->outcome),
                    took, result->text, unit_duration_human(step->delay_ms, wait));
}

static void on_run_done(void *arg, const struct hook_result *result)
{
    struct delivery *delivery = arg;
    struct step *step = delivery->step;
    struct lane *lane = lanes_get(delivery->context->lanes, step->record.hook);

    delivery->run = NULL;
    delivery->has_begun |= result->outcome != HOOK_HOST_FAULT;
    lane_leave(take(delivery->ticket));
    dispatch_ended(step, result, delivery->context->plan->settings, clock_wall_ms());
    if (result->outcome == HOOK_HOST_FAULT) {
        host_fault(delivery, result);
    } else {
        if (lane_works(lane))
            log_info(FIELDS_OF(delivery, NULL), "hook works again");
        log_run(delivery, result);
    }
    record_step(delivery, on_recorded);
}

static void on_recorded(void *arg, const struct err *err)
{
    struct delivery *delivery = arg;

    (void)err; /* a ledger in memory always answers */
    delivery->op = NULL;
    delivery->step = NULL;
    next(delivery);
}

/* Whether no further hook may begin: we are stopping, and it has not begun or was interrupted. */
static bool must_let_go(const struct delivery *delivery)
{
    return delivery->interrupted || (delivery->draining && !delivery->has_begun);
}

/* Whether the message may be another reader's by now. */
static bool is_lost(const struct delivery *delivery)
{
    return delivery->gone || lease_is_over(&delivery->lease, clock_mono_ms());
}

/* A step that is too late is done without a run. */
static bool is_stale(struct delivery *delivery, struct step *step)
{
    if (!dispatch_is_stale(step, clock_wall_ms() - delivery->message.inserted_ms))
        return false;
    delivery->step = step;
    log_info(FIELDS_OF(delivery, "stale"), "message is older than the hook's max_age; not run");
    delivery->step = NULL;
    return true;
}

static void start_run(struct delivery *delivery)
{
    set_state(delivery, DELIVERY_RUNNING);
    delivery->run = hook_run_start(delivery->step->hook, &delivery->message,
                                   delivery->step->record.attempts + 1, on_run_done, delivery);
}

static void on_start_recorded(void *arg, const struct err *err)
{
    struct delivery *delivery = arg;

    (void)err;
    delivery->op = NULL;
    if (!must_let_go(delivery) && !is_lost(delivery)) {
        start_run(delivery);
        return;
    }
    /* It does not begin after all. */
    lane_leave(take(delivery->ticket));
    delivery->step->record.state = LEDGER_INTERRUPTED;
    record_step(delivery, on_recorded);
}

/* Whether something stands in the way of the step whose turn has come: much may have changed while it
 * waited. */
static bool is_held_up(struct delivery *delivery, struct step *step)
{
    struct lane *lane = lanes_get(delivery->context->lanes, step->record.hook);
    int64_t broken_ms = lane_broken_for(lane, clock_mono_ms());

    if (broken_ms > 0)
        dispatch_put_off(step, broken_ms);
    return broken_ms > 0 || is_stale(delivery, step) || is_lost(delivery);
}

static void take_turn(struct delivery *delivery)
{
    struct step *step = delivery->step;

    if (is_held_up(delivery, step)) {
        lane_leave(take(delivery->ticket));
        delivery->step = NULL;
        next(delivery);
        return;
    }
    if (!hook_kind(step->hook)->record_start) {
        start_run(delivery);
        return;
    }
    step->record.state = LEDGER_STARTED;
    record_step(delivery, on_start_recorded);
}

static void on_turn(void *arg)
{
    take_turn(arg);
}

static void enter_lane(struct delivery *delivery, struct step *step)
{
    const struct hook_settings *hook = hook_settings(step->hook);
    const char *key = hook->serialize == HOOK_SERIALIZE_PROJECT
                          ? event_field(delivery->event, "project_id")
                          : NULL;

    delivery->step = step;
    set_state(delivery, DELIVERY_QUEUEING);
    if (lane_enter(lanes_get(delivery->context->lanes, hook->name), hook_parallel(step->hook), key,
                   on_turn, delivery, &delivery->ticket))
        take_turn(delivery);
}

/* Does what is to be done next with the message. Nothing of it runs now. */
static void next(struct delivery *delivery)
{
    struct step *step;
    int64_t delay_ms;

    enum verdict verdict = dispatch_next(&delivery->dispatch, &step, &delay_ms);
    while (verdict == VERDICT_RUN && is_stale(delivery, step))
        verdict = dispatch_next(&delivery->dispatch, &step, &delay_ms);
    if (delivery->gone || (verdict == VERDICT_RUN && is_lost(delivery))) {
        finish(delivery, DELIVERY_LOST);
        return;
    }
    if ((verdict == VERDICT_RUN && must_let_go(delivery)) ||
        (verdict == VERDICT_RETRY && delay_ms == 0)) {
        release(delivery);
        return;
    }
    switch (verdict) {
    case VERDICT_RUN:
        enter_lane(delivery, step);
        break;
    case VERDICT_DONE:
        settle(delivery, SETTLE_DELETE, 0, DELIVERY_DONE);
        break;
    case VERDICT_RETRY:
        retry_later(delivery, delay_ms, step);
        break;
    case VERDICT_REJECT:
        poison(delivery, step->record.reason, step);
        break;
    }
}

/* --- the beginning --- */

/* Nobody wants it. A message that is not known may be tomorrow's; it is kept in poison. */
static void unmatched(struct delivery *delivery)
{
    const char *name = delivery->event->name;

    if (strcmp(name, "unknown") == 0) {
        poison(delivery, "unknown-event", NULL);
    } else if (strcmp(name, "connection.test") == 0) {
        settle(delivery, SETTLE_DELETE, 0, DELIVERY_DONE);
    } else if (delivery->context->plan->settings->unmatched == UNMATCHED_POISON) {
        poison(delivery, "unmatched", NULL);
    } else {
        settle(delivery, SETTLE_DELETE, 0, DELIVERY_UNMATCHED);
    }
}

static void plan(struct delivery *delivery)
{
    unsigned count;
    struct hook *const *hooks = generation_hooks(delivery->generation, &count);

    dispatch_init(&delivery->dispatch, hooks, count, delivery->event, delivery->message.queue);
}

static void on_ledger_read(void *arg, const struct ledger_message *known, const struct err *err)
{
    struct delivery *delivery = arg;

    (void)err;
    delivery->op = NULL;
    if (delivery->undecodable != NULL) {
        poison(delivery, delivery->undecodable, NULL);
        return;
    }
    if (delivery->dispatch.count == 0) {
        unmatched(delivery);
        return;
    }
    if (delivery->message.dequeue_count > known->receipts + MAX_UNEXPLAINED) {
        poison(delivery, "unexplained-dequeues", NULL);
        return;
    }
    dispatch_recall(&delivery->dispatch, known, delivery->context->plan->settings, clock_wall_ms());
    next(delivery);
}

void delivery_begin(struct delivery *delivery)
{
    const struct delivery_context *context = delivery->context;

    if (delivery->event != NULL)
        plan(delivery);
    if (delivery->event != NULL && strcmp(delivery->event->name, "connection.test") == 0)
        log_info(FIELDS_OF(delivery, NULL), "connection test received: the link works");
    arm_renewal(delivery);
    delivery->op = ledger_receive(context->ledger, context->plan->url, delivery->message.id,
                                  on_ledger_read, delivery);
}

struct delivery *delivery_new(const struct delivery_context *context, struct generation *generation,
                              const struct queue_message *message, int64_t asked_ms)
{
    struct delivery *delivery = xcalloc(1, sizeof(*delivery));

    delivery->context = context;
    delivery->generation = generation_keep(generation);
    delivery->link.delivery = delivery;
    delivery->text = xstrndup(message->text, message->len);
    lease_init(&delivery->lease, context->plan->settings->lease_ms, message->expires_ms,
               message->pop_receipt, asked_ms);
    timer_init(&delivery->timer, context->loop, on_timer, delivery);
    retry_init(&delivery->retry);
    delivery->undecodable = event_decode(message->text, message->len, &delivery->event);
    delivery->message = (struct hook_message){
        .event = delivery->event,
        .id = xstrdup(message->id),
        .queue = context->plan->settings->name,
        .queue_url = context->plan->url,
        .inserted_ms = message->inserted_ms,
        .dequeue_count = message->dequeue_count,
    };
    log_debug(FIELDS_OF(delivery, NULL), "message received, dequeue count %u",
              message->dequeue_count);
    return delivery;
}

const char *delivery_message_id(const struct delivery *delivery)
{
    return delivery->message.id;
}

struct delivery_link *delivery_link(struct delivery *delivery)
{
    return &delivery->link;
}

bool delivery_is_settling(const struct delivery *delivery)
{
    return delivery->state == DELIVERY_SETTLING;
}

bool delivery_is_running(const struct delivery *delivery)
{
    return delivery->state == DELIVERY_RUNNING;
}

void delivery_rematch(struct delivery *delivery, struct generation *generation)
{
    const struct delivery_context *context = delivery->context;

    if (delivery->state != DELIVERY_QUEUEING || delivery->has_begun)
        return;
    lane_leave(take(delivery->ticket));
    delivery->step = NULL;
    dispatch_done(&delivery->dispatch);
    generation_keep(generation);
    generation_drop(delivery->generation);
    delivery->generation = generation;
    plan(delivery);
    set_state(delivery, DELIVERY_READING);
    delivery->op = ledger_read(context->ledger, context->plan->url, delivery->message.id,
                               on_ledger_read, delivery);
}

void delivery_drain(struct delivery *delivery)
{
    delivery->draining = true;
    if (delivery->notice != NULL)
        notice_drain(delivery->notice);
    if (delivery->state != DELIVERY_QUEUEING || delivery->has_begun)
        return;
    lane_leave(take(delivery->ticket));
    delivery->step = NULL;
    release(delivery);
}

void delivery_interrupt(struct delivery *delivery)
{
    delivery->interrupted = true;
    if (delivery->notice != NULL) {
        notice_stop(delivery->notice);
    } else if (delivery->settle != NULL) {
        settle_hurry(delivery->settle);
    } else if (delivery->run != NULL) {
        hook_run_stop(delivery->run);
    } else if (delivery->state == DELIVERY_QUEUEING) {
        lane_leave(take(delivery->ticket));
        delivery->step = NULL;
        release(delivery);
    }
}
