/* SPDX-License-Identifier: MIT */
/* One-shot timers on the loop, on the monotonic clock. Embedded where they belong. */
#ifndef LOOP_TIMER_H
#define LOOP_TIMER_H

#include <stdbool.h>
#include <stdint.h>

struct loop;

typedef void timer_fn(void *arg);

struct timer {
    void *handle; /* libevent's */
    timer_fn *fn;
    void *arg;
};

void timer_init(struct timer *timer, struct loop *loop, timer_fn *fn, void *arg);
void timer_done(struct timer *timer);
/* Fires once, delay_ms from now (0: before the loop sleeps again), instead of when it was set for. */
void timer_set(struct timer *timer, int64_t delay_ms);
void timer_clear(struct timer *timer);
bool timer_is_set(const struct timer *timer);

#endif
