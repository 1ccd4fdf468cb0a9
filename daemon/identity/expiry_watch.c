/* SPDX-License-Identifier: MIT */
/* When to speak of a credential that will expire. */
#include "identity/expiry_watch.h"

#include "base/alloc.h"
#include "base/clock.h"

#define HOUR_MS ((int64_t)3600 * 1000)

/* How long before the expiry a warning is due, first to last. */
static const int64_t warnings_ms[] = {7 * 24 * HOUR_MS, 24 * HOUR_MS, HOUR_MS, 0};

void expiry_watch_begin(struct expiry_watch *watch, int64_t expiry_ms)
{
    watch->expiry_ms = expiry_ms;
    watch->warn_at_ms = expiry_ms == INT64_MAX ? INT64_MAX : expiry_ms - warnings_ms[0];
}

bool expiry_watch_is_stale(const struct expiry_watch *watch, int64_t read_ms)
{
    return clock_wall_ms() >= watch->warn_at_ms && read_ms < watch->warn_at_ms;
}

bool expiry_watch_is_due(struct expiry_watch *watch, int64_t *ret_left_ms)
{
    int64_t now_ms = clock_wall_ms();

    if (now_ms < watch->warn_at_ms)
        return false;
    *ret_left_ms = watch->expiry_ms - now_ms;
    watch->warn_at_ms = INT64_MAX;
    for (unsigned i = array_size(warnings_ms); i-- > 0;) {
        if (warnings_ms[i] < *ret_left_ms)
            watch->warn_at_ms = watch->expiry_ms - warnings_ms[i];
    }
    return true;
}
