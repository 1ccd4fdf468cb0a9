/* SPDX-License-Identifier: MIT */
/* The one event loop. */
#include "loop/loop.h"

#include <event2/event.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "base/alloc.h"

struct signal_watch {
    struct event *event;
    loop_signal_fn *fn;
    void *arg;
    LIST_ENTRY(signal_watch) entry;
};

struct deferred {
    void (*fn)(void *arg);
    void *arg;
    STAILQ_ENTRY(deferred) entry;
};

struct loop {
    struct event_base *base;
    LIST_HEAD(, signal_watch) signals;
    STAILQ_HEAD(, deferred) deferred;
    struct event *deferred_event;
};

struct loop_watch {
    struct event *event;
    void (*fn)(void *arg);
    void *arg;
};

static void call_deferred(struct loop *loop)
{
    struct deferred *deferred;

    while ((deferred = STAILQ_FIRST(&loop->deferred)) != NULL) {
        STAILQ_REMOVE_HEAD(&loop->deferred, entry);
        deferred->fn(deferred->arg);
        free(deferred);
    }
}

static void on_deferred(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    call_deferred(arg);
}

struct loop *loop_new(void)
{
    struct loop *loop = xcalloc(1, sizeof(*loop));
    struct event_config *config = event_config_new();

    /* Without epoll's change list: it would take a descriptor out only after it is closed, and while a
     * child that has not called exec yet holds a copy, the loop would spin on it. */
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    loop->base = event_base_new_with_config(config);
    event_config_free(config);
    if (loop->base == NULL)
        fatal("libevent can not be used");
    LIST_INIT(&loop->signals);
    STAILQ_INIT(&loop->deferred);
    loop->deferred_event = evtimer_new(loop->base, on_deferred, loop);
    return loop;
}

void loop_free(struct loop *loop)
{
    struct signal_watch *watch;

    if (loop == NULL)
        return;
    call_deferred(loop);
    event_free(loop->deferred_event);
    while ((watch = LIST_FIRST(&loop->signals)) != NULL) {
        LIST_REMOVE(watch, entry);
        event_free(watch->event);
        free(watch);
    }
    event_base_free(loop->base);
    free(loop);
}

void loop_run(struct loop *loop)
{
    event_base_loop(loop->base, EVLOOP_NO_EXIT_ON_EMPTY);
}

void loop_stop(struct loop *loop)
{
    event_base_loopbreak(loop->base);
}

void loop_defer(struct loop *loop, void (*fn)(void *arg), void *arg)
{
    struct deferred *deferred = xmalloc(sizeof(*deferred));
    struct timeval now = {0, 0};

    *deferred = (struct deferred){.fn = fn, .arg = arg};
    STAILQ_INSERT_TAIL(&loop->deferred, deferred, entry);
    evtimer_add(loop->deferred_event, &now);
}

struct event_base *loop_base(struct loop *loop)
{
    return loop->base;
}

static void on_signal(evutil_socket_t number, short what, void *arg)
{
    struct signal_watch *watch = arg;

    (void)number;
    (void)what;
    watch->fn(watch->arg);
}

void loop_on_signal(struct loop *loop, int signal_number, loop_signal_fn *fn, void *arg)
{
    struct signal_watch *watch = xcalloc(1, sizeof(*watch));

    watch->fn = fn;
    watch->arg = arg;
    watch->event = evsignal_new(loop->base, signal_number, on_signal, watch);
    if (watch->event == NULL || event_add(watch->event, NULL) < 0)
        fatal("libevent can not be used");
    LIST_INSERT_HEAD(&loop->signals, watch, entry);
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
    struct loop_watch *watch = arg;

    (void)fd;
    (void)what;
    watch->fn(watch->arg);
}

static struct loop_watch *watch_new(struct loop *loop, int fd, short what, void (*fn)(void *arg),
                                    void *arg)
{
    struct loop_watch *watch = xcalloc(1, sizeof(*watch));

    watch->fn = fn;
    watch->arg = arg;
    watch->event = event_new(loop->base, fd, (short)(what | EV_PERSIST), on_ready, watch);
    if (watch->event == NULL || event_add(watch->event, NULL) < 0)
        fatal("libevent can not be used");
    return watch;
}

struct loop_watch *loop_watch_read(struct loop *loop, int fd, void (*fn)(void *arg), void *arg)
{
    return watch_new(loop, fd, EV_READ, fn, arg);
}

struct loop_watch *loop_watch_write(struct loop *loop, int fd, void (*fn)(void *arg), void *arg)
{
    return watch_new(loop, fd, EV_WRITE, fn, arg);
}

void loop_watch_free(struct loop_watch *watch)
{
    if (watch == NULL)
        return;
    event_free(watch->event);
    free(watch);
}
