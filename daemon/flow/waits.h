/* SPDX-License-Identifier: MIT */
/*
 * Messages that wait here for their next try, where the queue can not keep them hidden for it: a list
 * by the moment when each is due, one timer, and a ceiling, for what waits is kept from other readers.
 * Whose turn comes is taken out before its owner is told.
 */
#ifndef FLOW_WAITS_H
#define FLOW_WAITS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "loop/timer.h"

struct loop;
struct waits;

#define WAITS_MAX 256

/* Embedded in what waits; begins as zeroes. */
struct wait {
    struct waits *waits; /* NULL while it does not wait */
    void *owner;
    int64_t due_ms; /* monotonic */
    TAILQ_ENTRY(wait) entry;
};

struct waits_events {
    /* Whether one more may go on now. While not, what is due waits for waits_serve. */
    bool (*has_room)(void *arg);
    void (*due)(void *arg, void *owner);
};

struct waits {
    const struct waits_events *events;
    void *arg;
    struct timer timer;
    unsigned count;
    TAILQ_HEAD(wait_list, wait) list;
};

void waits_init(struct waits *waits, struct loop *loop, const struct waits_events *events,
                void *arg);
/* Nothing waits any more. */
void waits_done(struct waits *waits);
/* False, and nothing is done, when as many wait as may. due never fires from inside. */
bool waits_add(struct waits *waits, struct wait *wait, void *owner, int64_t delay_ms);
/* Waits on in another list, which has a place for it. */
void waits_move(struct wait *wait, struct waits *to);
/* due will not fire. Fine for what does not wait. */
void waits_leave(struct wait *wait);
/* A place may be free: waits_serve is due, from the loop, if anything is. */
void waits_wake(struct waits *waits);
/* Tells those that are due, first those that were due first, while there is room. */
void waits_serve(struct waits *waits);

#endif
