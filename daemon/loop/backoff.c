/* SPDX-License-Identifier: MIT */
/* Exponential back-off with jitter. */
#include "loop/backoff.h"

#include <event2/util.h>

#include "base/alloc.h"

void backoff_init(struct backoff *backoff, int64_t first_ms, int64_t cap_ms)
{
    *backoff = (struct backoff){.first_ms = first_ms, .cap_ms = max_of(first_ms, cap_ms)};
}

int64_t backoff_draw(int64_t bound)
{
    uint32_t random;

    evutil_secure_rng_get_bytes(&random, sizeof(random));
    return bound * (int64_t)(random >> 1) / INT32_MAX;
}

int64_t backoff_next(struct backoff *backoff)
{
    int64_t span = backoff->span_ms == 0 ? backoff->first_ms : backoff->span_ms;
    int64_t half = (span + 1) / 2;

    backoff->span_ms = min_of(span * 2, backoff->cap_ms);
    return half + backoff_draw(span - half);
}

void backoff_reset(struct backoff *backoff)
{
    backoff->span_ms = 0;
}
