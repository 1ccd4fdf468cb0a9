/* SPDX-License-Identifier: MIT */
/* Keeps a message hidden from other readers. */
#include "flow/renewal.h"

#include "azure/queue.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "flow/lease.h"

static void arm(struct renewal *renewal)
{
    const struct lease *lease = renewal->lease;
    int64_t now_ms = clock_mono_ms(), service_ms = lease_service_ms(lease, now_ms);

    timer_set(&renewal->timer, renewal->events->may_renew(renewal->arg)
                                   ? lease_renew_in(lease, now_ms, service_ms)
                                   : lease_watch_in(lease, now_ms, service_ms));
}

/* At least three tries before the lease is over, at most one a second. */
static void arm_again(struct renewal *renewal, const struct err *err)
{
    int64_t least_ms = max_of(renewal->lease->length_ms / 8, 250);
    int64_t delay_ms;

    (void)retry_after(&renewal->retry, err, &delay_ms);
    timer_set(&renewal->timer, min_of(max_of(delay_ms, 1000), least_ms));
}

static void on_answer(void *arg, const struct queue_answer *answer, const struct err *err)
{
    struct renewal *renewal = arg;

    renewal->call = NULL;
    if (err == NULL) {
        lease_renewed(renewal->lease, answer->pop_receipt, renewal->asked_ms, renewal->span_ms);
        retry_reset(&renewal->retry);
    } else {
        lease_doubt(renewal->lease);
    }
    if (renewal->stopping) {
        renewal->events->stopped(renewal->arg, err);
    } else if (err == NULL) {
        arm(renewal);
        renewal->events->renewed(renewal->arg);
    } else {
        if (err->code != ERR_GONE)
            arm_again(renewal, err);
        renewal->events->failed(renewal->arg, err);
    }
}

/* The lease ends when it ends: waits on, or says that it is over, for want of what. */
static void watch(struct renewal *renewal, const char *lack)
{
    struct err err;

    if (!lease_is_over(renewal->lease, clock_mono_ms())) {
        arm(renewal);
        return;
    }
    err_set(&err, ERR_AUTH, "its time is over, and there is no %s to renew it", lack);
    renewal->events->failed(renewal->arg, &err);
}

static void on_timer(void *arg)
{
    struct renewal *renewal = arg;
    struct lease *lease = renewal->lease;
    int64_t visibility_s =
        lease_visibility_s(lease, lease->length_ms, lease_service_ms(lease, clock_mono_ms()));

    if (!renewal->events->due(renewal->arg))
        return;
    if (!renewal->events->may_renew(renewal->arg)) {
        watch(renewal, "right");
        return;
    }
    /* Never beyond the message's expiry: the service refuses that. */
    if (visibility_s < 1) {
        watch(renewal, "life left");
        return;
    }
    renewal->asked_ms = clock_mono_ms();
    renewal->span_ms = visibility_s * 1000;
    renewal->call = queue_update(renewal->queue, renewal->message_id, lease->receipt, visibility_s,
                                 renewal->timeout_ms, on_answer, renewal);
}

void renewal_init(struct renewal *renewal, struct loop *loop, struct queue *queue,
                  struct lease *lease, const char *message_id, int64_t timeout_ms,
                  const struct renewal_events *events, void *arg)
{
    *renewal = (struct renewal){
        .queue = queue,
        .lease = lease,
        .message_id = message_id,
        .timeout_ms = timeout_ms,
        .events = events,
        .arg = arg,
    };
    timer_init(&renewal->timer, loop, on_timer, renewal);
    retry_init(&renewal->retry);
}

void renewal_done(struct renewal *renewal)
{
    queue_call_cancel(take(renewal->call));
    timer_done(&renewal->timer);
}

void renewal_start(struct renewal *renewal)
{
    queue_call_cancel(take(renewal->call));
    renewal->stopping = false;
    arm(renewal);
}

bool renewal_stop(struct renewal *renewal)
{
    renewal->stopping = true;
    timer_clear(&renewal->timer);
    return renewal->call == NULL;
}

void renewal_move(struct renewal *renewal, struct queue *queue, int64_t timeout_ms)
{
    if (renewal->call != NULL)
        lease_doubt(renewal->lease);
    queue_call_cancel(take(renewal->call));
    renewal->queue = queue;
    renewal->timeout_ms = timeout_ms;
}
