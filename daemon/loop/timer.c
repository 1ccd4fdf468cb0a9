/* SPDX-License-Identifier: MIT */
/* One-shot timers on the loop. */
#include "loop/timer.h"

#include <event2/event.h>
#include <stdlib.h>

#include "loop/loop.h"
#include "base/alloc.h"

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
    struct timer *timer = arg;

    (void)fd;
    (void)what;
    timer->fn(timer->arg);
}

void timer_init(struct timer *timer, struct loop *loop, timer_fn *fn, void *arg)
{
    timer->fn = fn;
    timer->arg = arg;
    timer->handle = evtimer_new(loop_base(loop), on_timeout, timer);
    if (timer->handle == NULL)
        fatal("libevent can not be used");
}

void timer_done(struct timer *timer)
{
    if (timer->handle != NULL)
        event_free(timer->handle);
    timer->handle = NULL;
}

void timer_set(struct timer *timer, int64_t delay_ms)
{
    struct timeval delay;

    if (delay_ms < 0)
        delay_ms = 0;
    delay.tv_sec = (time_t)(delay_ms / 1000);
    delay.tv_usec = (suseconds_t)(delay_ms % 1000 * 1000);
    evtimer_add(timer->handle, &delay);
}

void timer_clear(struct timer *timer)
{
    evtimer_del(timer->handle);
}

bool timer_is_set(const struct timer *timer)
{
    return evtimer_pending(timer->handle, NULL);
}
