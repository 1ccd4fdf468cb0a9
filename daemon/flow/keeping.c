/* SPDX-License-Identifier: MIT */
/* Keeping a delivery's message ours. */
#include "flow/keeping.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "flow/delivery_own.h"
#include "flow/ending.h"
#include "flow/run.h"
#include "flow/settings.h"
#include "flow/update_right.h"

/* Another reader may have the message from now on: a wait for a turn makes no sense any more, a run
 * does what it was told to do then. */
static void lose(struct delivery *delivery, const char *why)
{
    bool running = delivery->run != NULL && run_is_running(delivery->run);
    bool stop = running && hook_settings(delivery->step->hook)->on_lease_lost == HOOK_LEASE_STOP;

    if (!delivery->lease_lost)
        log_warning(delivery_own_fields(delivery, NULL), "lease lost: %s; %s", why,
                    stop      ? "the run is stopped"
                    : running ? "the run goes on"
                              : "the message is let go");
    delivery->lease_lost = true;
    if (stop)
        run_stop(delivery->run);
    if (delivery_own_is_waiting(delivery))
        delivery_own_leave_lane(delivery);
    else if (delivery->state != DELIVERY_WAITING)
        return;
    ending_finish(delivery, DELIVERY_LOST);
}

static bool on_renewal_due(void *arg)
{
    struct delivery *delivery = arg;

    return !delivery_own_is_expiring(delivery, 0) || !delivery_expire(delivery);
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
    delivery_own_note_update(delivery);
}

static void on_renewal_failed(void *arg, const struct err *err)
{
    struct delivery *delivery = arg;

    log_debug(delivery_own_fields(delivery, NULL), "renewal failed: %s", err->text);
    update_right_refused(delivery->context->right, err, clock_mono_ms());
    delivery->gone |= err->code == ERR_GONE;
    if (delivery_own_is_lost(delivery))
        lose(delivery, err->text);
}

static void on_renewal_stopped(void *arg, const struct err *err)
{
    ending_go_on(arg, err);
}

const struct renewal_events keeping_events = {
    .due = on_renewal_due,
    .may_renew = may_renew,
    .renewed = on_renewed,
    .failed = on_renewal_failed,
    .stopped = on_renewal_stopped,
};
