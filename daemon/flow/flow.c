/* SPDX-License-Identifier: MIT */
/* All queues under the configuration in force. */
#include "flow/flow.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/str.h"
#include "flow/generation.h"
#include "flow/lane.h"
#include "flow/listener.h"
#include "flow/settings.h"
#include "hook/hook.h"
#include "loop/timer.h"
#include "store/spool.h"

/* A listener in use, or one that a reload has retired and that still holds messages. */
struct station {
    struct listener *listener;
    bool retired, drained;
    TAILQ_ENTRY(station) entry;
};

TAILQ_HEAD(stations, station);

struct flow {
    struct flow_context context;
    struct generation *generation;
    struct lanes *lanes;
    struct stations stations;
    unsigned retired;            /* stations */
    unsigned holds;              /* of enum flow_hold */
    struct timer sweep_timer;    /* frees the retired, from the loop */
    struct listener_counts gone; /* of the listeners that are no more */
};

static struct generation_context generation_context(const struct flow *flow)
{
    return (struct generation_context){.loop = flow->context.loop,
                                       .worker = flow->context.worker,
                                       .children = flow->context.children};
}

static void on_changed(void *arg, struct listener *listener, bool news)
{
    struct flow *flow = arg;

    /* Not here: the listener that speaks may be the one to free. What a retired one has spooled is its
     * successor's to move. */
    if (flow->retired > 0 && (listener_is_idle(listener) || spool_count(flow->context.spool) > 0))
        timer_set(&flow->sweep_timer, 0);
    flow->context.changed(flow->context.arg, news);
}

/* A listener that a reload has retired may still work on a message that comes to its successor. */
static struct delivery *take_over(void *arg, const char *url, const char *message_id)
{
    struct flow *flow = arg;
    struct station *station;

    TAILQ_FOREACH (station, &flow->stations, entry) {
        struct delivery *delivery = NULL;

        if (station->retired && str_equal(listener_plan(station->listener)->url, url))
            delivery = listener_give_up(station->listener, message_id);
        if (delivery != NULL) {
            timer_set(&flow->sweep_timer, 0);
            return delivery;
        }
    }
    return NULL;
}

static struct delivery *find_settling(void *arg, const char *url, const char *message_id)
{
    struct flow *flow = arg;
    struct delivery *delivery = NULL;
    struct station *station;

    TAILQ_FOREACH (station, &flow->stations, entry) {
        if (station->retired && str_equal(listener_plan(station->listener)->url, url))
            delivery = listener_find_settling(station->listener, message_id);
        if (delivery != NULL)
            break;
    }
    return delivery;
}

static void add_station(struct flow *flow, const struct queue_plan *plan)
{
    struct station *station = xcalloc(1, sizeof(*station));
    struct listener_context context = {.loop = flow->context.loop,
                                       .ledger = flow->context.ledger,
                                       .lanes = flow->lanes,
                                       .spool = flow->context.spool,
                                       .changed = on_changed,
                                       .take_over = take_over,
                                       .find_settling = find_settling,
                                       .arg = flow};

    station->listener = listener_new(&context, flow->generation, plan);
    listener_hold(station->listener, flow->holds != 0);
    TAILQ_INSERT_TAIL(&flow->stations, station, entry);
}

static void remove_station(struct flow *flow, struct station *station)
{
    struct listener_counts counts;

    listener_count(station->listener, &counts);
    flow->gone.received += counts.received;
    for (unsigned end = 0; end < array_size(counts.ended); end++)
        flow->gone.ended[end] += counts.ended[end];
    TAILQ_REMOVE(&flow->stations, station, entry);
    listener_free(station->listener);
    free(station);
}

static void look_at_spool(struct flow *flow)
{
    struct station *station;

    TAILQ_FOREACH (station, &flow->stations, entry)
        listener_look_at_spool(station->listener);
}

/* Frees retired listeners that hold nothing any more. */
static void sweep(void *arg)
{
    struct flow *flow = arg;
    struct station *station, *following;

    for (station = TAILQ_FIRST(&flow->stations); station != NULL; station = following) {
        following = TAILQ_NEXT(station, entry);
        if (!station->retired || !listener_is_idle(station->listener))
            continue;
        flow->retired--;
        remove_station(flow, station);
    }
    look_at_spool(flow);
}

/* Says what of the spool nobody will move over. */
static void tell_of_spool(const struct flow *flow)
{
    const struct spool *spool = flow->context.spool;
    const struct snapshot *snapshot = flow_snapshot(flow);
    unsigned known = 0;

    for (unsigned i = 0; i < snapshot->queue_count; i++)
        known += spool_count_of(spool, snapshot->queues[i].url);
    unsigned others = spool_count(spool) - min_of(known, spool_count(spool));
    if (others > 0)
        log_warning(
            NULL,
            "poison records of queues that the configuration does not name: %u; they stay in %s",
            others, spool_directory(spool));
}

/* Its cause may be gone; the next message will tell. */
static void on_hook_forgotten(void *arg, const char *hook)
{
    struct flow *flow = arg;
    const struct log_field fields[] = {{"hook", hook}, {NULL, NULL}};

    log_info(fields, "no message has asked for the broken hook in ten minutes; it counts as well");
    flow->context.changed(flow->context.arg, true);
}

struct flow *flow_new(const struct flow_context *context, struct snapshot *snapshot)
{
    struct flow *flow = xcalloc(1, sizeof(*flow));
    struct generation_context generation = {
        .loop = context->loop, .worker = context->worker, .children = context->children};

    flow->context = *context;
    flow->lanes = lanes_new(context->loop);
    lanes_on_forgot(flow->lanes, on_hook_forgotten, flow);
    TAILQ_INIT(&flow->stations);
    timer_init(&flow->sweep_timer, context->loop, sweep, flow);
    flow->generation = generation_new(&generation, snapshot, NULL);
    for (unsigned i = 0; i < snapshot->queue_count; i++)
        add_station(flow, &snapshot->queues[i]);
    if (spool_trouble(context->spool) != NULL)
        log_warning(NULL, "spool: %s", spool_trouble(context->spool)->text);
    tell_of_spool(flow);
    return flow;
}

void flow_free(struct flow *flow)
{
    struct station *station;

    if (flow == NULL)
        return;
    while ((station = TAILQ_FIRST(&flow->stations)) != NULL)
        remove_station(flow, station);
    timer_done(&flow->sweep_timer);
    generation_drop(flow->generation);
    lanes_free(flow->lanes);
    free(flow);
}

const struct snapshot *flow_snapshot(const struct flow *flow)
{
    return generation_snapshot(flow->generation);
}

/* Whether the new configuration says the same of its queue. */
static bool is_kept(const struct station *station, const struct snapshot *snapshot)
{
    for (unsigned i = 0; i < snapshot->queue_count; i++) {
        if (queue_plan_equal(listener_plan(station->listener), &snapshot->queues[i]))
            return true;
    }
    return false;
}

static bool is_polled(const struct flow *flow, const struct queue_plan *plan)
{
    const struct station *station;

    TAILQ_FOREACH (station, &flow->stations, entry) {
        if (!station->retired && queue_plan_equal(listener_plan(station->listener), plan))
            return true;
    }
    return false;
}

/* Lets a listener end. What waits for a retry with it goes on with its successor, if there is one. */
static void retire(struct flow *flow, struct station *old)
{
    const char *url = listener_plan(old->listener)->url;
    struct station *station;

    TAILQ_FOREACH (station, &flow->stations, entry) {
        if (!station->retired && str_equal(listener_plan(station->listener)->url, url))
            listener_inherit(station->listener, old->listener);
    }
    old->drained = true;
    listener_retire(old->listener);
}

void flow_apply(struct flow *flow, struct snapshot *snapshot)
{
    struct generation_context context = generation_context(flow);
    struct generation *previous = flow->generation;
    struct generation *generation = generation_new(&context, snapshot, previous);
    bool same_http = generation_http(generation) == generation_http(previous);
    struct station *station;

    flow->generation = generation;
    lanes_mend(flow->lanes);
    TAILQ_FOREACH (station, &flow->stations, entry) {
        if (!station->retired && same_http && is_kept(station, snapshot)) {
            listener_use_hooks(station->listener, generation);
            listener_refresh(station->listener);
        } else if (!station->retired) {
            station->retired = true;
            flow->retired++;
        }
    }
    for (unsigned i = 0; i < snapshot->queue_count; i++) {
        if (!is_polled(flow, &snapshot->queues[i]))
            add_station(flow, &snapshot->queues[i]);
    }
    TAILQ_FOREACH (station, &flow->stations, entry) {
        if (station->retired && !station->drained)
            retire(flow, station);
    }
    generation_drop(previous);
    tell_of_spool(flow);
    sweep(flow);
}

void flow_poll_now(struct flow *flow)
{
    struct station *station;

    TAILQ_FOREACH (station, &flow->stations, entry)
        listener_poll_now(station->listener);
}

void flow_look_at_spool(struct flow *flow)
{
    tell_of_spool(flow);
    look_at_spool(flow);
}

void flow_hold(struct flow *flow, enum flow_hold reason, bool held)
{
    struct station *station;

    flow->holds = held ? flow->holds | reason : flow->holds & ~(unsigned)reason;
    TAILQ_FOREACH (station, &flow->stations, entry)
        listener_hold(station->listener, flow->holds != 0);
}

void flow_drain(struct flow *flow)
{
    struct station *station;

    TAILQ_FOREACH (station, &flow->stations, entry)
        listener_drain(station->listener);
}

void flow_interrupt(struct flow *flow)
{
    struct station *station;

    TAILQ_FOREACH (station, &flow->stations, entry)
        listener_interrupt(station->listener);
}

bool flow_is_idle(const struct flow *flow)
{
    const struct station *station;

    TAILQ_FOREACH (station, &flow->stations, entry) {
        if (!listener_is_idle(station->listener))
            return false;
    }
    return true;
}

bool flow_has_answered(const struct flow *flow)
{
    const struct station *station;

    TAILQ_FOREACH (station, &flow->stations, entry) {
        if (!listener_has_answered(station->listener))
            return false;
    }
    return true;
}

bool flow_is_exhausted(const struct flow *flow, unsigned tries, const struct err **ret_err)
{
    const struct station *station;

    *ret_err = NULL;
    if (flow->holds != 0)
        return false;
    TAILQ_FOREACH (station, &flow->stations, entry) {
        const struct err *err;
        unsigned failures = listener_failures(station->listener, &err);
        bool hopeless = failures >= tries || (err != NULL && err->code == ERR_AUTH);

        if (!listener_is_empty(station->listener) &&
            !(hopeless && listener_has_nothing(station->listener)))
            return false;
        if (err != NULL && (*ret_err == NULL || err->code == ERR_AUTH))
            *ret_err = err;
    }
    return true;
}

static void sum(const struct flow *flow, struct listener_counts *total)
{
    const struct station *station;

    *total = flow->gone;
    TAILQ_FOREACH (station, &flow->stations, entry) {
        struct listener_counts counts;

        listener_count(station->listener, &counts);
        total->received += counts.received;
        total->in_hand += counts.in_hand;
        for (unsigned end = 0; end < array_size(counts.ended); end++)
            total->ended[end] += counts.ended[end];
    }
}

bool flow_is_alive(const struct flow *flow)
{
    const struct station *station;

    TAILQ_FOREACH (station, &flow->stations, entry) {
        if (!listener_is_alive(station->listener))
            return false;
    }
    return true;
}

/* Why nothing is asked for, as the status tells it; NULL when nothing holds. */
static const char *hold_text(const struct flow *flow)
{
    if ((flow->holds & FLOW_HOLD_LEDGER) != 0) /* then nobody looks for runs either */
        return "the ledger can not be written";
    if ((flow->holds & FLOW_HOLD_ORPHANS) != 0)
        return "runs that outlived an earlier daemon have to end first";
    return NULL;
}

/* The hooks in force that are broken. One that a reload has taken away may have been found broken since: nobody
 * would ever see it work again. */
static void tell_broken(const struct flow *flow, struct buf *out)
{
    unsigned count;
    struct hook *const *hooks = generation_hooks(flow->generation, &count);
    const char *before = "; broken hooks: ";

    for (unsigned i = 0; i < count; i++) {
        const char *name = hook_settings(hooks[i])->name;

        if (!lanes_is_broken(flow->lanes, name))
            continue;
        buf_printf(out, "%s%s", before, name);
        before = ", ";
    }
}

char *flow_status(const struct flow *flow)
{
    const struct station *station;
    struct listener_counts counts;
    unsigned queues = 0, good = 0;
    autobuf troubles;

    sum(flow, &counts);
    buf_init(&troubles, BUF_ANY_SIZE);
    if (hold_text(flow) != NULL)
        buf_printf(&troubles, "; not polling: %s", hold_text(flow));
    TAILQ_FOREACH (station, &flow->stations, entry) {
        if (station->retired)
            continue;
        const struct err *err;
        const struct listener *listener = station->listener;
        const char *trouble = listener_trouble(listener);
        bool answered = listener_has_answered(listener);
        queues++;
        good += answered && listener_failures(listener, &err) == 0;
        if (trouble != NULL || !answered)
            buf_printf(&troubles, "; %s: %s", listener_plan(listener)->settings->name,
                       trouble != NULL ? trouble : "no answer yet");
    }
    unsigned spooled = spool_count(flow->context.spool);
    autofree char *kept = spooled > 0 ? xasprintf(", %u spooled", spooled) : xstrdup("");
    tell_broken(flow, &troubles);
    return xasprintf("queues answering: %u of %u; %" PRIu64 " received, %" PRIu64 " done, %" PRIu64
                     " poisoned, %u in hand%s%s",
                     good, queues, counts.received, counts.ended[DELIVERY_DONE],
                     counts.ended[DELIVERY_POISONED], counts.in_hand, kept,
                     troubles.len > 0 ? troubles.data : "");
}
