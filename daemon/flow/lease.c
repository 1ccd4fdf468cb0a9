/* SPDX-License-Identifier: MIT */
/* How long a message is ours. */
#include "flow/lease.h"

#include <stdlib.h>

#include "azure/queue.h"
#include "base/alloc.h"
#include "base/clock.h"

void lease_init(struct lease *lease, int64_t length_ms, int64_t expires_ms, const char *receipt,
                int64_t asked_ms)
{
    *lease = (struct lease){.length_ms = length_ms, .expires_ms = expires_ms};
    lease->ahead_ms = clock_wall_ms() - clock_mono_ms();
    lease_renewed(lease, receipt, asked_ms, length_ms);
}

int64_t lease_service_ms(const struct lease *lease, int64_t now_ms)
{
    return now_ms + lease->ahead_ms;
}

void lease_heed_service(struct lease *lease, int64_t service_ms, int64_t inserted_ms,
                        int64_t now_ms)
{
    /* Dates are whole seconds. */
    if (service_ms + 1000 >= inserted_ms && service_ms <= lease->expires_ms)
        lease->ahead_ms = service_ms - now_ms;
}

void lease_done(struct lease *lease)
{
    free(take(lease->receipt));
}

void lease_renewed(struct lease *lease, const char *receipt, int64_t asked_ms, int64_t span_ms)
{
    char *copy = xstrdup(receipt);

    free(lease->receipt);
    lease->receipt = copy;
    lease->is_doubtful = false;
    lease->span_ms = min_of(span_ms, lease->length_ms);
    lease->until_ms = asked_ms + lease->span_ms;
}

void lease_doubt(struct lease *lease)
{
    lease->is_doubtful = true;
}

/* A Get may lease a message for longer than it lives: no more than half of its life passes unseen. */
static int64_t while_it_lives(const struct lease *lease, int64_t wait_ms, int64_t service_ms)
{
    int64_t life_ms = lease->expires_ms - service_ms;

    return life_ms > 0 ? min_of(wait_ms, max_of(life_ms / 2, 1000)) : wait_ms;
}

int64_t lease_renew_in(const struct lease *lease, int64_t now_ms, int64_t service_ms)
{
    int64_t least_ms = min_of(1000, lease->length_ms / 4);
    int64_t wait_ms = max_of(lease->until_ms - lease->span_ms / 2 - now_ms, least_ms);

    return while_it_lives(lease, wait_ms, service_ms);
}

int64_t lease_watch_in(const struct lease *lease, int64_t now_ms, int64_t service_ms)
{
    int64_t left_ms = max_of(lease->until_ms - now_ms, 0);
    int64_t wait_ms = left_ms > 2000 ? left_ms / 2 : left_ms;

    if (lease->alert_ms > service_ms)
        wait_ms = min_of(wait_ms, lease->alert_ms - service_ms);
    return while_it_lives(lease, wait_ms, service_ms);
}

bool lease_is_over(const struct lease *lease, int64_t now_ms)
{
    return now_ms >= lease->until_ms;
}

int64_t lease_visibility_s(const struct lease *lease, int64_t wanted_ms, int64_t service_ms)
{
    int64_t seconds = (wanted_ms + 999) / 1000;
    /* A second less than is left, for the two clocks may differ in rounding. */
    int64_t left = (lease->expires_ms - service_ms) / 1000 - 1;

    return max_of(min_of(min_of(seconds, left), QUEUE_MAX_VISIBILITY_S), 0);
}
