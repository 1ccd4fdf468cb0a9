/* SPDX-License-Identifier: MIT */
/*
 * Keeps a message hidden from other readers: Update Message at half of its lease, each answer bringing
 * a new pop receipt, one request at a time. Embedded in the delivery, which alone decides what a
 * failure means.
 */
#ifndef FLOW_RENEWAL_H
#define FLOW_RENEWAL_H

#include <stdbool.h>
#include <stdint.h>

#include "loop/timer.h"
#include "net/retry.h"

struct err;
struct lease;
struct loop;
struct queue;
struct queue_call;

struct renewal_events {
    /* It is time to renew. False: do not, the owner has something else to do with the message. */
    bool (*due)(void *arg);
    /* Whether the credential may renew at all. While it may not, nothing is sent; `due` is asked now and
     * then all the same, and the end of the lease is `failed`. */
    bool (*may_renew)(void *arg);
    void (*renewed)(void *arg);
    /* It will be tried again, unless the message is gone (ERR_GONE) or its lease over without a renewal.
     * The owner may be gone after it. */
    void (*failed)(void *arg, const struct err *err);
    /* After renewal_stop returned false: nothing is under way any more. err as in a completion. */
    void (*stopped)(void *arg, const struct err *err);
};

struct renewal {
    struct queue *queue;
    struct lease *lease;
    const char *message_id;
    int64_t timeout_ms; /* of one request */
    const struct renewal_events *events;
    void *arg;
    struct timer timer;
    struct retry retry;
    struct queue_call *call;
    int64_t asked_ms;
    int64_t span_ms;
    bool stopping;
};

/* queue, lease, message_id and arg are borrowed. */
void renewal_init(struct renewal *renewal, struct loop *loop, struct queue *queue,
                  struct lease *lease, const char *message_id, int64_t timeout_ms,
                  const struct renewal_events *events, void *arg);
void renewal_done(struct renewal *renewal);
/* Renews from now on. Also after renewal_stop, and after the lease was taken anew: a request under way,
 * whose receipt is void then, is forgotten. */
void renewal_start(struct renewal *renewal);
/* Renews no more. True when nothing is under way; else `stopped` fires when that has ended, for the
 * receipt may change until then. */
bool renewal_stop(struct renewal *renewal);
/* Goes on through another client; a request under way is forgotten, though it may be done, and renewal_start
 * is due. */
void renewal_move(struct renewal *renewal, struct queue *queue, int64_t timeout_ms);

#endif
