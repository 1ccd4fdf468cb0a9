/* SPDX-License-Identifier: MIT */
/* Tells when files in some directories may have changed. */
#include "loop/watch.h"

#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/str.h"
#include "loop/loop.h"
#include "loop/timer.h"

#define BURST_MS 300 /* how long it must be quiet before a change is told */

struct watch {
    int fd;
    struct loop_watch *read;
    struct timer timer;
    void (*changed)(void *arg);
    void *arg;
};

/* Whether a name is one that a configuration may have; editors leave others beside it. */
static bool matters(const char *name)
{
    return str_ends(name, ".yaml") || str_ends(name, ".yml") || str_ends(name, ".json") ||
           str_equal(name, "..data");
}

static void on_readable(void *arg)
{
    struct watch *watch = arg;
    char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    ssize_t got;

    while ((got = read(watch->fd, events, sizeof(events))) > 0) {
        for (char *at = events; at < events + got;) {
            const struct inotify_event *event = (const struct inotify_event *)(const void *)at;

            if (event->len > 0 && matters(event->name))
                timer_set(&watch->timer, BURST_MS);
            at += sizeof(*event) + event->len;
        }
    }
}

static void on_timer(void *arg)
{
    struct watch *watch = arg;

    watch->changed(watch->arg);
}

struct watch *watch_new(struct loop *loop, void (*changed)(void *arg), void *arg)
{
    struct watch *watch = xcalloc(1, sizeof(*watch));

    watch->changed = changed;
    watch->arg = arg;
    watch->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    timer_init(&watch->timer, loop, on_timer, watch);
    if (watch->fd >= 0)
        watch->read = loop_watch_read(loop, watch->fd, on_readable, watch);
    return watch;
}

void watch_free(struct watch *watch)
{
    if (watch == NULL)
        return;
    loop_watch_free(watch->read);
    if (watch->fd >= 0)
        close(watch->fd);
    timer_done(&watch->timer);
    free(watch);
}

void watch_directory(struct watch *watch, const char *path)
{
    (void)inotify_add_watch(watch->fd, path,
                            IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE |
                                IN_ONLYDIR);
}
