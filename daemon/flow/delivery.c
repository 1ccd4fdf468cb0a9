/* SPDX-License-Identifier: MIT */
/* One message in our hands. */
#include "flow/delivery.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "azure/queue.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/str.h"
#include "base/unit.h"
#include "event/event.h"
#include "flow/dispatch.h"
#include "flow/generation.h"
#include "flow/lease.h"
#include "flow/notice.h"
#include "flow/poison.h"
#include "flow/renewal.h"
#include "flow/run.h"
#include "flow/settings.h"
#include "flow/settle.h"
#include "flow/update_right.h"
#include "flow/waits.h"
#include "hook/hook.h"
#include "store/ledger.h"

/* More receipts than the ledger can explain mean that readers die of this message. */
#define MAX_UNEXPLAINED 100

enum delivery_state {
    DELIVERY_READING,  /* what the ledger knows */
    DELIVERY_STEPPING, /* a hook waits for its turn, runs, or is put on record */
    DELIVERY_WAITING,  /* for its next try, where the queue can not hide it */
    DELIVERY_SETTLING, /* the last requests, or the wait for a renewal before them */
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
    struct renewal renewal;
    bool gone;       /* the service said that it is not ours any more */
    bool lease_lost; /* said once, until a renewal goes well */
    bool draining;
    bool interrupted; /* give it back as soon as nothing runs */
    bool has_begun;   /* a hook has run in this delivery */

    struct dispatch dispatch;
    struct step *step; /* the one that `run` is about */
    struct run *run;
    struct wait wait;
    struct ledger_entry *entry;
    struct ledger_op *op;       /* what the ledger knows is being asked */
    struct log_field fields[8]; /* for the line of the log that is being written */

    struct settle *settle;
    struct settle_spec settle_spec; /* what to do once no renewal is under way */
    char *stored_reason;            /* its poison record is stored already */
    char *record;                   /* of poison; the message's text where that goes alone */
    bool spooled;                   /* it is in the spool */
    const char *reason;             /* of poison; the step's, or static */
    const char *rejected_by;        /* a hook; NULL */
    struct notice *notice;          /* after the poison record is stored */
    enum delivery_end end;
};

static void next(struct delivery *delivery);

static const char *state_name(enum delivery_state state)
{
    switch (state) {
    case DELIVERY_READING:
        return "reading";
    case DELIVERY_STEPPING:
        return "stepping";
    case DELIVERY_WAITING:
        return "waiting";
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

/* The fields that tell which message, and which hook, a line is about. */
static const struct log_field *fields_of(struct delivery *delivery, const char *outcome)
{
    const struct event *event = delivery->event;
    const struct log_field fields[] = {
        {"queue", delivery->message.queue},
        {"message_id", delivery->message.id},
        {"event", event != NULL ? event->name : NULL},
        {"project_id", event != NULL ? event_field(event, "project_id") : NULL},
        {"iteration_id", event != NULL ? event_field(event, "iteration_id") : NULL},
        {"hook", delivery->step != NULL ? delivery->step->record.hook : NULL},
        {"outcome", outcome},
        {NULL, NULL},
    };

    memcpy(delivery->fields, fields, sizeof(fields));
    return delivery->fields;
}

static void set_state(struct delivery *delivery, enum delivery_state state)
{
    if (delivery->state != state)
        log_debug(fields_of(delivery, NULL), "delivery: %s -> %s", state_name(delivery->state),
                  state_name(state));
    delivery->state = state;
}

/* --- the end --- */

void delivery_free(struct delivery *delivery)
{
    settle_cancel(delivery->settle);
    waits_leave(&delivery->wait);
    notice_free(delivery->notice);
    renewal_done(&delivery->renewal);
    ledger_cancel(delivery->op);
    run_cancel(delivery->run);
    ledger_entry_free(delivery->entry);
    dispatch_done(&delivery->dispatch);
    event_discard(delivery->event);
    lease_done(&delivery->lease);
    generation_drop(delivery->generation);
    free((char *)(uintptr_t)delivery->message.id);
    free(delivery->stored_reason);
    free(delivery->record);
    free(delivery->text);
    free(delivery);
}

static void finish(struct delivery *delivery, enum delivery_end end)
{
    const struct delivery_context *context = delivery->context;

    if (end == DELIVERY_DONE || end == DELIVERY_UNMATCHED || end == DELIVERY_POISONED)
        ledger_deleted(delivery->entry, delivery_end_name(end));
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
static void unhidden(struct delivery *delivery, const struct err *err);
static void note_update(struct delivery *delivery);
static void keep_poisonous(struct delivery *delivery, int64_t delay_ms);

/* Whether the message's text goes into poison alone. */
static bool is_bare(const struct delivery *delivery)
{
    return str_equal(delivery->record, delivery->text);
}

/* The record could not be stored: the message comes again, and is tried again. One that the service
 * finds too large goes as the message's text alone, which it took before. */
static void unpoisoned(struct delivery *delivery, const struct err *err)
{
    const struct delivery_context *context = delivery->context;

    if (poison_is_too_large(err) && !is_bare(delivery)) {
        log_debug(fields_of(delivery, NULL), "poison record is not taken: %s", err->text);
        free(delivery->record);
        delivery->record = xstrdup(delivery->text);
        settle(delivery, SETTLE_POISON, 0, DELIVERY_POISONED);
        return;
    }
    keep_poisonous(delivery, context->poison_failed(context->arg, err));
}

static void on_notice_done(void *arg)
{
    struct delivery *delivery = arg;

    delivery->notice = NULL;
    finish(delivery, delivery->end);
}

static void log_end(struct delivery *delivery)
{
    const struct log_field *fields = fields_of(delivery, delivery_end_name(delivery->end));

    if (delivery->end == DELIVERY_DONE)
        log_info(fields, "message done");
    else if (delivery->end == DELIVERY_UNMATCHED)
        log_info(fields, "no hook matches; message deleted");
    else if (delivery->end == DELIVERY_POISONED)
        log_warning(fields, "message put into the poison %s: %s%s%s%s",
                    delivery->spooled ? "spool" : "queue", delivery->reason,
                    delivery->rejected_by != NULL ? ", hook " : "",
                    delivery->rejected_by != NULL ? delivery->rejected_by : "",
                    is_bare(delivery) ? "; its text alone, for with its record it is too large"
                                      : "");
}

/* Poison is told to those who want to know; all else is over. */
static void settled(struct delivery *delivery)
{
    if (delivery->settle_spec.what == SETTLE_HIDE)
        note_update(delivery);
    log_end(delivery);
    if (delivery->end == DELIVERY_POISONED && delivery->interrupted)
        log_warning(fields_of(delivery, NULL), "no hook is told of the poison: we are stopping");
    else if (delivery->end == DELIVERY_POISONED)
        delivery->notice =
            notice_start(delivery->context->lanes, delivery->generation, &delivery->message,
                         is_bare(delivery) ? NULL : delivery->record, on_notice_done, delivery);
    if (delivery->notice == NULL)
        finish(delivery, delivery->end);
    else if (delivery->draining)
        notice_drain(delivery->notice);
}

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

    if (!context->settle_failed(context->arg, is_delete(delivery), err, is_final))
        level = LOG_LEVEL_DEBUG;
    log_write(level, fields_of(delivery, is_final ? "lost" : NULL), "message can not be %s: %s; %s",
              is_delete(delivery) ? "deleted" : "put back", err->text, then);
}

static void on_settle_failed(void *arg, const struct err *err, int64_t delay_ms)
{
    char text[UNIT_TEXT_MAX], then[UNIT_TEXT_MAX + 32];

    snprintf(then, sizeof(then), "trying again in %s", unit_duration_human(delay_ms, text));
    unsettled(arg, err, false, then);
}

static void give_up(struct delivery *delivery, const struct err *err)
{
    unsettled(delivery, err, true, "it will come again");
    finish(delivery, DELIVERY_LOST);
}

/* The service says that it is gone, or that the receipt is void: the ledger keeps what it knows. */
static void let_go(struct delivery *delivery, const struct err *err)
{
    log_debug(fields_of(delivery, "lost"), "message is no longer ours: %s", err->text);
    finish(delivery, DELIVERY_LOST);
}

/* Should the message come again, it is deleted without a second record. */
static void on_stored(void *arg, const struct err *refusal)
{
    struct delivery *delivery = arg;

    ledger_stored(delivery->entry, delivery->reason, delivery->rejected_by);
    delivery->spooled = refusal != NULL;
    if (refusal != NULL)
        delivery->context->spooled(delivery->context->arg, refusal);
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

static void send_settlement(struct delivery *delivery)
{
    delivery->settle = settle_start(&delivery->settle_spec, on_settled, delivery);
    if (delivery->interrupted)
        settle_hurry(delivery->settle);
}

/* Lets the message go. Waits for a renewal that is under way, for it brings a new receipt. */
static void settle(struct delivery *delivery, enum settle_what what, int64_t hide_ms,
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
        .timeout_ms = request_timeout(delivery),
        .what = what,
        .hide_ms = hide_ms,
        .record = delivery->record,
        .stored = on_stored,
        .is_bare = is_bare(delivery),
        .expiring = is_expiring(delivery, 0),
        .spool = context->spool,
        .failed = on_settle_failed,
    };
    delivery->end = end;
    set_state(delivery, DELIVERY_SETTLING);
    if (renewal_stop(&delivery->renewal))
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
    settle(delivery, delivery->stored_reason != NULL ? SETTLE_DELETE : SETTLE_POISON, 0,
           DELIVERY_POISONED);
}

/* Without a word to the service: the message comes again when its lease ends. */
static void leave(struct delivery *delivery)
{
    log_debug(fields_of(delivery, "lost"), "message comes again when its lease ends");
    finish(delivery, DELIVERY_LOST);
}

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
    log_debug(fields_of(delivery, "retry"), "message is kept here and tried again in %s",
              unit_duration_human(delay_ms, text));
    set_state(delivery, DELIVERY_WAITING);
    renewal_start(&delivery->renewal);
    if (had_place)
        context->settling(context->arg, delivery);
    return true;
}

/* Hides the message until its next try, or keeps it here where that is not allowed. False when neither
 * can be: it comes again when its lease ends. */
static bool retry_in(struct delivery *delivery, int64_t delay_ms)
{
    char text[UNIT_TEXT_MAX];

    if (!update_right_may_try(delivery->context->right, clock_mono_ms()))
        return stay(delivery, delay_ms);
    log_debug(fields_of(delivery, "retry"), "message comes again in %s",
              unit_duration_human(delay_ms, text));
    settle(delivery, SETTLE_HIDE, delay_ms, DELIVERY_RETRY);
    return true;
}

/* A step is to be tried again, unless too little of the message's life would be left then. */
static void retry_later(struct delivery *delivery, int64_t delay_ms, struct step *step)
{
    int64_t next_ms = delay_ms;

    if (!is_expiring(delivery, delay_ms)) {
        if (retry_in(delivery, delay_ms)) {
            delivery->step = delivery->state == DELIVERY_WAITING ? step : NULL;
            return;
        }
        next_ms = delivery->lease.until_ms - clock_mono_ms();
    }
    if (is_expiring(delivery, next_ms))
        poison(delivery, "expiring", step);
    else
        leave(delivery);
}

/* Its record could not be stored now. */
static void keep_poisonous(struct delivery *delivery, int64_t delay_ms)
{
    if (!retry_in(delivery, delay_ms))
        leave(delivery);
}

static void release(struct delivery *delivery)
{
    if (update_right_is_missing(delivery->context->right)) {
        leave(delivery);
        return;
    }
    log_debug(fields_of(delivery, "released"), "message is given back");
    settle(delivery, SETTLE_HIDE, 0, DELIVERY_RELEASED);
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
    log_debug(fields_of(delivery, NULL), "message can not be hidden: %s", err->text);
    if (delivery->record != NULL)
        keep_poisonous(delivery, delivery->settle_spec.hide_ms);
    else
        next(delivery);
}

/* --- the lease --- */

static void note_update(struct delivery *delivery)
{
    const struct log_field fields[] = {{"queue", delivery->message.queue}, {NULL, NULL}};

    if (update_right_works(delivery->context->right))
        log_info(fields, "the right to update is there: leases are renewed");
}

/* Whether the message may be another reader's by now. */
static bool is_lost(const struct delivery *delivery)
{
    return delivery->gone || lease_is_over(&delivery->lease, clock_mono_ms());
}

static int64_t alert_ms(const struct delivery *delivery)
{
    return delivery->lease.expires_ms - delivery->context->plan->expiry_margin_ms;
}

/* Whether so little of the message's life is left that it must be kept safe in poison. */
static bool is_expiring(const struct delivery *delivery, int64_t in_ms)
{
    return clock_wall_ms() + in_ms >= alert_ms(delivery);
}

static bool is_waiting(const struct delivery *delivery)
{
    return delivery->run != NULL && run_is_waiting(delivery->run);
}

/* Gives up the wait for a turn. */
static void leave_lane(struct delivery *delivery)
{
    run_cancel(take(delivery->run));
    delivery->step = NULL;
}

/* Another reader may have the message from now on: a wait for a turn makes no sense any more, a run
 * does what it was told to do then. */
static void lose(struct delivery *delivery, const char *why)
{
    bool running = delivery->run != NULL && run_is_running(delivery->run);
    bool stop = running && hook_settings(delivery->step->hook)->on_lease_lost == HOOK_LEASE_STOP;

    if (!delivery->lease_lost)
        log_warning(fields_of(delivery, NULL), "lease lost: %s; %s", why,
                    stop      ? "the run is stopped"
                    : running ? "the run goes on"
                              : "the message is let go");
    delivery->lease_lost = true;
    if (stop)
        run_stop(delivery->run);
    if (is_waiting(delivery))
        leave_lane(delivery);
    else if (delivery->state != DELIVERY_WAITING)
        return;
    finish(delivery, DELIVERY_LOST);
}

static bool on_renewal_due(void *arg)
{
    struct delivery *delivery = arg;
    const struct step *step = delivery->step;
    bool waits = is_waiting(delivery) || delivery->state == DELIVERY_WAITING;

    if (!waits || !is_expiring(delivery, 0))
        return true;
    waits_leave(&delivery->wait);
    leave_lane(delivery);
    poison(delivery, "expiring", step);
    return false;
}

/* A message that was taken before the right was known to lack has a short lease, so a refusal that
 * passes must not cost it; one that stays ends with the lease. */
static bool may_renew(void *arg)
{
    const struct delivery *delivery = arg;
    const struct delivery_context *context = delivery->context;
    bool is_short = delivery->lease.length_ms <= context->plan->settings->lease_ms;

    return update_right_may_try(context->right, clock_mono_ms()) ||
           (is_short && !context->right->lacking);
}

static void on_renewed(void *arg)
{
    struct delivery *delivery = arg;

    delivery->lease_lost = false;
    note_update(delivery);
}

static void on_renewal_failed(void *arg, const struct err *err)
{
    struct delivery *delivery = arg;

    log_debug(fields_of(delivery, NULL), "renewal failed: %s", err->text);
    update_right_refused(delivery->context->right, err, clock_mono_ms());
    delivery->gone |= err->code == ERR_GONE;
    if (is_lost(delivery))
        lose(delivery, err->text);
}

/* A message that is not ours any more gets no poison record: who has it makes one. */
static void on_renewal_stopped(void *arg, const struct err *err)
{
    struct delivery *delivery = arg;

    if (err != NULL && err->code == ERR_GONE)
        let_go(delivery, err);
    else
        send_settlement(delivery);
}

static const struct renewal_events renewal_events = {
    .due = on_renewal_due,
    .may_renew = may_renew,
    .renewed = on_renewed,
    .failed = on_renewal_failed,
    .stopped = on_renewal_stopped,
};

void delivery_adopt(struct delivery *delivery, const struct queue_message *message,
                    int64_t asked_ms)
{
    log_info(fields_of(delivery, NULL), "message was delivered to us again while we work on it; "
                                        "going on under its new receipt");
    delivery->message.dequeue_count = message->dequeue_count;
    delivery->gone = false;
    delivery->lease.length_ms = delivery->context->lease_ms;
    lease_renewed(&delivery->lease, message->pop_receipt, asked_ms, delivery->lease.length_ms);
    renewal_start(&delivery->renewal);
    ledger_received_again(delivery->entry);
}

void delivery_move(struct delivery *delivery, const struct delivery_context *context)
{
    delivery->context = context;
    delivery->draining = false; /* it was the former owner that stopped */
    delivery->lease.length_ms = context->lease_ms;
    delivery->lease.alert_ms = alert_ms(delivery);
    renewal_move(&delivery->renewal, context->queue, request_timeout(delivery));
    delivery->message.queue = context->plan->settings->name;
    delivery->message.queue_url = context->plan->url;
    if (delivery->state == DELIVERY_WAITING) {
        waits_move(&delivery->wait, context->waits);
        renewal_start(&delivery->renewal);
    }
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
    if (!dispatch_is_stale(step, clock_wall_ms() - delivery->message.inserted_ms))
        return false;
    struct step *before = delivery->step;
    delivery->step = step;
    log_info(fields_of(delivery, "stale"), "message is older than the hook's max_age; not run");
    delivery->step = before;
    return true;
}

static const struct log_field *run_fields(void *arg, const char *outcome)
{
    return fields_of(arg, outcome);
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

    return !must_let_go(delivery) && !is_lost(delivery) && !is_stale(delivery, delivery->step);
}

static void on_run_ended(void *arg, bool begun)
{
    struct delivery *delivery = arg;

    delivery->has_begun |= begun;
    delivery->run = NULL;
    delivery->step = NULL;
    next(delivery);
}

static void run_step(struct delivery *delivery, struct step *step)
{
    const struct delivery_context *context = delivery->context;
    bool by_project = hook_settings(step->hook)->serialize == HOOK_SERIALIZE_PROJECT;

    delivery->step = step;
    set_state(delivery, DELIVERY_STEPPING);
    run_start(
        &(struct run_spec){
            .entry = delivery->entry,
            .lanes = context->lanes,
            .settings = run_settings,
            .message = &delivery->message,
            .step = step,
            .key = by_project ? event_field(delivery->event, "project_id") : NULL,
            .fields = run_fields,
            .may_begin = may_begin,
            .ended = on_run_ended,
            .arg = delivery,
        },
        &delivery->run);
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
        run_step(delivery, step);
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

static void on_ledger_read(void *arg, const struct ledger_message *known)
{
    struct delivery *delivery = arg;

    delivery->op = NULL;
    if (known->stored_reason != NULL) {
        delivery->stored_reason = xstrdup(known->stored_reason);
        poison(delivery, delivery->stored_reason, NULL);
        return;
    }
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
    if (delivery->event != NULL)
        plan(delivery);
    if (delivery->event != NULL && strcmp(delivery->event->name, "connection.test") == 0)
        log_info(fields_of(delivery, NULL), "connection test received: the link works");
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
    delivery->lease.alert_ms = alert_ms(delivery);
    delivery->undecodable = event_decode(message->text, message->len, &delivery->event);
    delivery->message = (struct hook_message){
        .event = delivery->event,
        .id = xstrdup(message->id),
        .queue = context->plan->settings->name,
        .queue_url = context->plan->url,
        .inserted_ms = message->inserted_ms,
        .dequeue_count = message->dequeue_count,
    };
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
                 delivery->message.id, request_timeout(delivery), &renewal_events, delivery);
    log_debug(fields_of(delivery, NULL), "message received, dequeue count %u",
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

bool delivery_was_spooled(const struct delivery *delivery)
{
    return delivery->spooled;
}

bool delivery_is_settling(const struct delivery *delivery)
{
    return delivery->state == DELIVERY_SETTLING;
}

bool delivery_has_place(const struct delivery *delivery)
{
    return delivery->state == DELIVERY_READING || delivery->state == DELIVERY_STEPPING;
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
    set_state(delivery, DELIVERY_READING);
    delivery->op = ledger_read(delivery->entry, on_ledger_read, delivery);
}

void delivery_rematch(struct delivery *delivery, struct generation *generation)
{
    if (!is_waiting(delivery) || delivery->has_begun)
        return;
    leave_lane(delivery);
    match(delivery, generation);
}

void delivery_resume(struct delivery *delivery, struct generation *generation)
{
    delivery->step = NULL;
    delivery->has_begun = false;
    free(take(delivery->record));
    match(delivery, generation);
}

/* Whether nothing has happened to it yet but waiting: for the ledger, or for a turn. */
static bool is_idle(const struct delivery *delivery)
{
    return delivery->op != NULL || is_waiting(delivery);
}

/* No longer waits, and lets others have the message. */
static void give_back(struct delivery *delivery)
{
    ledger_cancel(take(delivery->op));
    leave_lane(delivery);
    release(delivery);
}

void delivery_drain(struct delivery *delivery)
{
    delivery->draining = true;
    if (delivery->notice != NULL)
        notice_drain(delivery->notice);
    else if (delivery->state == DELIVERY_WAITING)
        leave(delivery);
    else if (is_idle(delivery) && !delivery->has_begun)
        give_back(delivery);
}

void delivery_interrupt(struct delivery *delivery)
{
    delivery->interrupted = true;
    if (delivery->notice != NULL) {
        notice_stop(delivery->notice);
    } else if (delivery->settle != NULL) {
        settle_hurry(delivery->settle);
    } else if (delivery->state == DELIVERY_WAITING) {
        leave(delivery);
    } else if (is_idle(delivery)) {
        give_back(delivery);
    } else if (delivery->run != NULL) {
        run_stop(delivery->run);
    }
}
