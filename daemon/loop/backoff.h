/* SPDX-License-Identifier: MIT */
/*
 * Exponential back-off with jitter: each wait is drawn between half and the whole of a span that
 * doubles from first_ms to cap_ms, so that replicas that failed together do not come back together.
 */
#ifndef LOOP_BACKOFF_H
#define LOOP_BACKOFF_H

#include <stdint.h>

struct backoff {
    int64_t first_ms;
    int64_t cap_ms;
    int64_t span_ms; /* of the next wait; 0 before the first */
};

void backoff_init(struct backoff *backoff, int64_t first_ms, int64_t cap_ms);
/* The next wait in milliseconds; never 0 when first_ms is not. */
int64_t backoff_next(struct backoff *backoff);
void backoff_reset(struct backoff *backoff);
/* A number from 0 to bound, drawn anew each time: the jitter of who has waits of its own. */
int64_t backoff_draw(int64_t bound);

#endif
