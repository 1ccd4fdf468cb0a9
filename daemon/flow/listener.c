/* SPDX-License-Identifier: MIT */
/* One queue being polled. */
#include "flow/listener.h"

#include <stdlib.h>

#include "azure/queue.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/unit.h"
#include "flow/dispatch.h"
#include "flow/generation.h"
#include "flow/in_hand.h"
#include "flow/mover.h"
#include "flow/setbacks.h"
#include "flow/settings.h"
#include "flow/trouble.h"
#include "flow/update_right.h"
#include "flow/waits.h"
#include "identity/identity.h"
#include "loop/backoff.h"
#include "loop/timer.h"
#include "net/retry.h"

struct listener {
    struct listener_context context;
    struct generation *generation;       /* of the plan, the clients and the identities */
    struct generation *hooks_generation; /* of the hooks for new messages */
    const struct queue_plan *plan;
    struct identity *identity; /* the queue's */
    struct queue *queue;
    struct queue *poison;
    struct update_right right;
    struct delivery_context delivery_context;

    struct in_hand in_hand;
    struct setbacks setbacks;
    struct listener_counts counts;

    struct timer timer; /* the next poll */
    struct queue_call *get;
    int64_t get_asked_ms;
    struct backoff idle; /* poll_min to poll_max */
    struct retry retry;
    struct err failure; /* of the last Get */
    struct trouble getting;
    bool answered;
    bool empty; /* the last Get found nothing */
    bool held;
    bool draining;
    bool left_said;     /* that messages are left to their leases */
    bool repeated_said; /* that answers are repeated */
    bool is_doubtful; /* the identity's trouble was told: its credential will not serve for ever */
};

static const struct log_field *fields_of(const struct listener *listener,
                                         struct log_field fields[static 2])
{
    fields[0] = (struct log_field){"queue", listener->plan->settings->name};
    fields[1] = (struct log_field){NULL, NULL};
    return fields;
}

#define FIELDS_OF(listener) fields_of(listener, (struct log_field[2]){{0}})

static void changed(struct listener *listener, bool news)
{
    listener->context.changed(listener->context.arg, listener, news);
}

static int64_t long_lease_ms(const struct listener *listener)
{
    const struct queue_settings *settings = listener->plan->settings;
    unsigned count;
    struct hook *const *hooks = generation_hooks(listener->hooks_generation, &count);

    return update_right_lease_ms(settings->lease_ms,
                                 dispatch_longest_ms(hooks, count, settings->name));
}

/* How many more messages may be taken now. */
static unsigned room(const struct listener *listener)
{
    return in_hand_room(&listener->in_hand, (unsigned)listener->plan->settings->parallel);
}

/* --- deliveries --- */

/* There may be room for more messages. */
static void poll_on(struct listener *listener)
{
    waits_wake(&listener->in_hand.waits);
    if (listener->get == NULL && !timer_is_set(&listener->timer))
        timer_set(&listener->timer, 0);
}

/* A place is free: the next Get need not wait for the delete. */
static void on_settling(void *arg, struct delivery *delivery)
{
    struct listener *listener = arg;

    (void)delivery;
    in_hand_leave_place(&listener->in_hand);
    poll_on(listener);
}

/* There is a bound on those that are being settled. */
static void on_settled(void *arg)
{
    poll_on(arg);
}

/* At a stop, messages are given back; without the right to, they are left to their leases. */
static void note_left(struct listener *listener)
{
    char span[UNIT_TEXT_MAX];

    if (!listener->draining || listener->left_said || !update_right_is_missing(&listener->right))
        return;
    listener->left_said = true;
    log_warning(FIELDS_OF(listener),
                "messages that are not done come again when their leases end, within %s: without "
                "the right to update they can not be given back",
                unit_duration_human(listener->delivery_context.lease_ms, span));
}

static void on_ended(void *arg, struct delivery *delivery, enum delivery_end end)
{
    struct listener *listener = arg;

    if (end == DELIVERY_LOST)
        note_left(listener);
    in_hand_take_out(&listener->in_hand, delivery);
    listener->counts.ended[end]++;
    setbacks_ended(&listener->setbacks, end, delivery_has_put(delivery));
    poll_on(listener);
    changed(listener, true);
}

static bool has_room(void *arg)
{
    return room(arg) > 0;
}

static void on_due(void *arg, void *owner)
{
    struct listener *listener = arg;

    in_hand_take_place(&listener->in_hand);
    delivery_resume(owner, listener->hooks_generation);
}

static const struct waits_events waits_events = {.has_room = has_room, .due = on_due};

/* The same message in our hands already, here or with a listener that a reload has retired. */
static struct delivery *find_in_hand(struct listener *listener, const char *message_id)
{
    struct delivery *delivery = in_hand_find(&listener->in_hand, message_id);

    if (delivery != NULL)
        return delivery;
    delivery = listener->context.take_over(listener->context.arg, listener->plan->url, message_id);
    if (delivery != NULL) {
        delivery_move(delivery, &listener->delivery_context);
        in_hand_add(&listener->in_hand, delivery);
    }
    return delivery;
}

struct delivery *listener_find_settling(const struct listener *listener, const char *message_id)
{
    return in_hand_find_settling(&listener->in_hand, message_id);
}

/* Here, or with a listener that a reload has retired. */
static struct delivery *find_settling(const struct listener *listener, const char *message_id)
{
    struct delivery *delivery = listener_find_settling(listener, message_id);

    if (delivery != NULL)
        return delivery;
    return listener->context.find_settling(listener->context.arg, listener->plan->url, message_id);
}

struct delivery *listener_give_up(struct listener *listener, const char *message_id)
{
    struct delivery *delivery = in_hand_find(&listener->in_hand, message_id);

    if (delivery != NULL)
        in_hand_take_out(&listener->in_hand, delivery);
    return delivery;
}

static void inherit(struct listener *listener, struct listener *from, struct delivery *delivery)
{
    in_hand_take_out(&from->in_hand, delivery);
    delivery_move(delivery, &listener->delivery_context);
    in_hand_add(&listener->in_hand, delivery);
}

void listener_inherit(struct listener *listener, struct listener *from)
{
    struct delivery_link *link, *following;
    struct wait *wait;

    while ((wait = TAILQ_FIRST(&from->in_hand.waits.list)) != NULL)
        inherit(listener, from, wait->owner);
    if (!update_right_is_missing(&from->right))
        return;
    for (link = TAILQ_FIRST(&from->in_hand.deliveries); link != NULL; link = following) {
        following = TAILQ_NEXT(link, entry);
        if (!delivery_is_untouched(link->delivery))
            continue;
        inherit(listener, from, link->delivery);
        delivery_rematch(link->delivery, listener->hooks_generation);
    }
}

/* A new delivery of a message, whose former one may still be trying to hide it. */
static void begin(struct listener *listener, const struct queue_message *message)
{
    struct delivery *delivery = delivery_new(
        &listener->delivery_context, listener->hooks_generation, message, listener->get_asked_ms);
    struct delivery *former = NULL;

    in_hand_add(&listener->in_hand, delivery);
    if (message->dequeue_count != 1)
        former = find_settling(listener, message->id);
    if (former != NULL)
        delivery_came_again(former, delivery);
    if (listener->draining)
        delivery_drain(delivery);
    delivery_begin(delivery);
}

/* Once: whoever repeats answers does so often. */
static void note_repeated(struct listener *listener)
{
    log_write(
        listener->repeated_said ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARNING, FIELDS_OF(listener),
        "an old answer has come again, with messages that are in hand; it is left alone: does a "
        "proxy cache what the queue answers?");
    listener->repeated_said = true;
}

/* False when it is in hand already. */
static bool take_message(struct listener *listener, const struct queue_message *message)
{
    struct delivery *delivery;

    listener->counts.received++;
    if (in_hand_has_seen(&listener->in_hand, message->id, message->dequeue_count)) {
        note_repeated(listener);
        return false;
    }
    /* Elsewhere it can not be in hand when this is its first receipt. */
    delivery = message->dequeue_count != 1 ? find_in_hand(listener, message->id) : NULL;
    if (delivery != NULL) {
        delivery_adopt(delivery, message, listener->get_asked_ms);
        if (listener->draining) /* what was taken over from another may have begun to wait anew */
            delivery_drain(delivery);
        return false;
    }
    begin(listener, message);
    return true;
}

/* --- polling --- */

/* Once, and only when a Get has shown that the credential is good for that. */
static void note_right(struct listener *listener)
{
    char span[UNIT_TEXT_MAX];

    if (update_right_is_news(&listener->right))
        log_warning(FIELDS_OF(listener),
                    "no right to update messages: they are leased for %s, which is not renewed, "
                    "and wait for a retry in this daemon; if it is killed, they come again only "
                    "after that; give the SAS the permission u, or the identity the role Storage "
                    "Queue Data Contributor",
                    unit_duration_human(long_lease_ms(listener), span));
}

static void get_succeeded(struct listener *listener, const struct queue_answer *answer)
{
    unsigned fresh = 0;

    if (trouble_is_over(&listener->getting))
        log_info(FIELDS_OF(listener), "queue answers again");
    retry_reset(&listener->retry);
    update_right_got(&listener->right, false);
    note_right(listener);
    listener->empty = answer->count == 0;
    for (unsigned i = 0; i < answer->count; i++)
        fresh += take_message(listener, &answer->messages[i]);
    if (fresh > 0) {
        backoff_reset(&listener->idle);
        timer_set(&listener->timer, 0);
    } else {
        timer_set(&listener->timer, backoff_next(&listener->idle));
    }
}

static void get_failed(struct listener *listener, const struct err *err)
{
    bool passing = err->code == ERR_NETWORK || err->code == ERR_THROTTLED;
    enum log_level level = passing ? LOG_LEVEL_WARNING : LOG_LEVEL_ERR;
    char wait[UNIT_TEXT_MAX];
    int64_t delay_ms;

    (void)retry_after(&listener->retry, err, &delay_ms);
    listener->empty = false;
    listener->failure = *err;
    update_right_got(&listener->right, err->code == ERR_AUTH);
    if (!trouble_is_news(&listener->getting, err, false))
        level = LOG_LEVEL_DEBUG;
    log_write(level, FIELDS_OF(listener), "queue can not be read: %s; retrying in %s", err->text,
              unit_duration_human(delay_ms, wait));
    timer_set(&listener->timer, delay_ms);
}

/* Whether the identity's trouble has begun, or is over, since this was asked last. */
static bool identity_has_news(struct listener *listener)
{
    bool was_doubtful = listener->is_doubtful;

    listener->is_doubtful = identity_trouble(listener->identity) != NULL;
    return listener->is_doubtful != was_doubtful;
}

static void on_messages(void *arg, const struct queue_answer *answer, const struct err *err)
{
    struct listener *listener = arg;
    bool news = identity_has_news(listener) || !listener->answered || err != NULL ||
                listener->getting.failures > 0 || answer->count > 0;

    listener->get = NULL;
    listener->answered = true;
    if (err == NULL)
        get_succeeded(listener, answer);
    else
        get_failed(listener, err);
    if (listener->draining)
        timer_clear(&listener->timer);
    changed(listener, news);
}

/* Asks for messages, hidden for as long as what the credential may do with them asks for. */
static void send_get(struct listener *listener)
{
    struct delivery_context *context = &listener->delivery_context;

    update_right_look(&listener->right, identity_lacks(listener->identity, 'u'),
                      identity_version(listener->identity));
    context->lease_ms = update_right_is_missing(&listener->right)
                            ? long_lease_ms(listener)
                            : listener->plan->settings->lease_ms;
    listener->get_asked_ms = clock_mono_ms();
    listener->get = queue_get(listener->queue, room(listener), (context->lease_ms + 999) / 1000,
                              context->http_timeout_ms, on_messages, listener);
}

static void on_prepared(void *arg, const struct queue_answer *answer, const struct err *err)
{
    struct listener *listener = arg;

    if (err != NULL) {
        on_messages(arg, answer, err);
        return;
    }
    listener->get = NULL;
    if (!listener->draining && !listener->held && room(listener) > 0)
        send_get(listener);
    else
        changed(listener, false);
}

static void poll_queue(struct listener *listener)
{
    /* When held, the release polls again. */
    if (listener->draining || listener->held)
        return;
    /* What was here before goes first. */
    waits_serve(&listener->in_hand.waits);
    /* Without room, the end of a delivery sets the timer. */
    if (listener->get != NULL || room(listener) == 0)
        return;
    if (update_right_wants_reread(&listener->right, clock_mono_ms()))
        identity_look_again(listener->identity);
    if (queue_is_ready(listener->queue))
        send_get(listener);
    else
        listener->get = queue_prepare(listener->queue, listener->delivery_context.http_timeout_ms,
                                      on_prepared, listener);
}

static void on_timer(void *arg)
{
    poll_queue(arg);
}

/* --- life --- */

static void on_setback(void *arg)
{
    changed(arg, true);
}

static void make_clients(struct listener *listener)
{
    const struct queue_plan *plan = listener->plan;
    struct generation *generation = listener->generation;
    struct loop *loop = listener->context.loop;
    struct http *http = generation_http(generation);
    const char *name = plan->settings->name;
    autofree char *poison_name = xasprintf("%s.poison", name);

    listener->identity = generation_identity(generation, plan->identity, name);
    listener->queue = queue_new(loop, http, listener->identity, plan->url);
    listener->poison =
        queue_new(loop, http, generation_identity(generation, plan->poison_identity, poison_name),
                  plan->poison_url);
}

struct listener *listener_new(const struct listener_context *context, struct generation *generation,
                              const struct queue_plan *plan)
{
    struct listener *listener = xcalloc(1, sizeof(*listener));

    listener->context = *context;
    listener->generation = generation_keep(generation);
    listener->hooks_generation = generation_keep(generation);
    listener->plan = plan;
    make_clients(listener);
    listener->delivery_context = (struct delivery_context){
        .loop = context->loop,
        .ledger = context->ledger,
        .lanes = context->lanes,
        .spool = context->spool,
        .queue = listener->queue,
        .poison = listener->poison,
        .plan = plan,
        .right = &listener->right,
        .setbacks = &listener->setbacks,
        .waits = &listener->in_hand.waits,
        .lease_ms = plan->settings->lease_ms,
        .http_timeout_ms = generation_snapshot(generation)->settings->http->timeout_ms,
        .settling = on_settling,
        .settled = on_settled,
        .ended = on_ended,
        .arg = listener,
    };
    in_hand_init(&listener->in_hand, context->loop, &waits_events, listener);
    timer_init(&listener->timer, context->loop, on_timer, listener);
    backoff_init(&listener->idle, plan->settings->poll_min_ms, plan->settings->poll_max_ms);
    retry_init(&listener->retry);
    setbacks_init(&listener->setbacks, &(struct setbacks_context){
                                           .loop = context->loop,
                                           .spool = context->spool,
                                           .poison = listener->poison,
                                           .plan = plan,
                                           .timeout_ms = listener->delivery_context.http_timeout_ms,
                                           .changed = on_setback,
                                           .arg = listener,
                                       });
    timer_set(&listener->timer, 0);
    return listener;
}

void listener_free(struct listener *listener)
{
    if (listener == NULL)
        return;
    in_hand_done(&listener->in_hand);
    queue_call_cancel(listener->get);
    setbacks_done(&listener->setbacks);
    queue_free(listener->queue);
    queue_free(listener->poison);
    timer_done(&listener->timer);
    generation_drop(listener->hooks_generation);
    generation_drop(listener->generation);
    free(listener);
}

const struct queue_plan *listener_plan(const struct listener *listener)
{
    return listener->plan;
}

void listener_use_hooks(struct listener *listener, struct generation *generation)
{
    generation_keep(generation);
    generation_drop(listener->hooks_generation);
    listener->hooks_generation = generation;
    in_hand_rematch(&listener->in_hand, generation);
}

void listener_hold(struct listener *listener, bool held)
{
    bool released = listener->held && !held;

    listener->held = held;
    if (released)
        timer_set(&listener->timer, 0);
}

void listener_poll_now(struct listener *listener)
{
    identity_hurry(listener->identity);
    retry_reset(&listener->retry);
    setbacks_hurry(&listener->setbacks);
    backoff_reset(&listener->idle);
    timer_set(&listener->timer, 0);
}

void listener_refresh(struct listener *listener)
{
    update_right_forget(&listener->right);
    generation_reload_identities(listener->generation);
    listener_poll_now(listener);
}

void listener_look_at_spool(struct listener *listener)
{
    mover_look(listener->setbacks.mover);
}

void listener_retire(struct listener *listener)
{
    listener->draining = true;
    timer_clear(&listener->timer);
    /* A Get that waits for a credential brings nothing. */
    if (listener->get != NULL && !queue_call_is_sent(listener->get))
        queue_call_cancel(take(listener->get));
    mover_drain(listener->setbacks.mover);
    in_hand_each(&listener->in_hand, delivery_drain);
}

void listener_drain(struct listener *listener)
{
    listener->delivery_context.stopping = true;
    listener_retire(listener);
}

void listener_interrupt(struct listener *listener)
{
    listener_drain(listener);
    /* What it may have taken comes again after its lease. */
    queue_call_cancel(take(listener->get));
    mover_interrupt(listener->setbacks.mover);
    in_hand_each(&listener->in_hand, delivery_interrupt);
}

bool listener_is_idle(const struct listener *listener)
{
    return listener->in_hand.count == 0 && listener->get == NULL &&
           !mover_is_busy(listener->setbacks.mover);
}

bool listener_has_nothing(const struct listener *listener)
{
    return listener->in_hand.count == listener->in_hand.waits.count;
}

bool listener_has_answered(const struct listener *listener)
{
    return listener->answered;
}

bool listener_is_empty(const struct listener *listener)
{
    return listener->empty && listener->get == NULL && listener_has_nothing(listener) &&
           !mover_is_busy(listener->setbacks.mover);
}

unsigned listener_failures(const struct listener *listener, const struct err **ret_err)
{
    *ret_err = listener->getting.failures > 0 ? &listener->failure : NULL;
    return listener->getting.failures;
}

const char *listener_trouble(const struct listener *listener)
{
    const char *trouble;

    if (listener->getting.failures > 0)
        return listener->failure.text;
    trouble = setbacks_trouble(&listener->setbacks);
    if (trouble == NULL)
        trouble = update_right_trouble(&listener->right);
    return trouble != NULL ? trouble : identity_trouble(listener->identity);
}

bool listener_is_alive(const struct listener *listener)
{
    return listener->get != NULL || timer_is_set(&listener->timer) || room(listener) == 0 ||
           listener->draining || listener->held;
}

void listener_count(const struct listener *listener, struct listener_counts *ret_counts)
{
    *ret_counts = listener->counts;
    ret_counts->in_hand = listener->in_hand.count;
}
