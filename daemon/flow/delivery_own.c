/* SPDX-License-Identifier: MIT */
/* What the parts of a delivery share. */
#include "flow/delivery_own.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "event/event.h"
#include "flow/run.h"
#include "flow/settings.h"
#include "flow/update_right.h"

/* The last lease ends so long before its message at most, for it is granted in whole seconds. */
#define LAST_LEASE_MS 3000

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

const struct log_field *delivery_own_fields(struct delivery *delivery, const char *outcome)
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

void delivery_own_set_state(struct delivery *delivery, enum delivery_state state)
{
    if (delivery->state != state)
        log_debug(delivery_own_fields(delivery, NULL), "delivery: %s -> %s",
                  state_name(delivery->state), state_name(state));
    delivery->state = state;
}

int64_t delivery_own_request_timeout(const struct delivery *delivery)
{
    return min_of(delivery->context->http_timeout_ms, delivery->lease.length_ms / 4);
}

bool delivery_own_is_lost(const struct delivery *delivery)
{
    return delivery->gone || lease_is_over(&delivery->lease, clock_mono_ms());
}

int64_t delivery_own_service_ms(const struct delivery *delivery)
{
    return lease_service_ms(&delivery->lease, clock_mono_ms());
}

int64_t delivery_own_alert_ms(const struct delivery *delivery)
{
    return delivery->lease.expires_ms - delivery->context->plan->expiry_margin_ms;
}

bool delivery_own_is_expiring(const struct delivery *delivery, int64_t in_ms)
{
    return delivery_own_service_ms(delivery) + in_ms >= delivery_own_alert_ms(delivery);
}

bool delivery_own_is_expired(const struct delivery *delivery)
{
    return delivery_own_service_ms(delivery) + LAST_LEASE_MS >= delivery->lease.expires_ms;
}

void delivery_own_note_update(struct delivery *delivery)
{
    const struct log_field fields[] = {{"queue", delivery->message.queue}, {NULL, NULL}};

    if (update_right_works(delivery->context->right, clock_mono_ms()))
        log_info(fields, "the right to update is there: leases are renewed");
}

bool delivery_own_is_waiting(const struct delivery *delivery)
{
    return delivery->run != NULL && run_is_waiting(delivery->run);
}

void delivery_own_leave_lane(struct delivery *delivery)
{
    run_cancel(take(delivery->run));
    delivery->step = NULL;
}
