/* SPDX-License-Identifier: MIT */
/*
 * One message in our hands, from the Get that brought it to the request that lets it go. The delivery
 * alone renews, deletes, hides or poisons its message, one request at a time.
 */
#ifndef FLOW_DELIVERY_H
#define FLOW_DELIVERY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

struct delivery;
struct err;
struct generation;
struct lanes;
struct ledger;
struct loop;
struct queue;
struct queue_message;
struct queue_plan;
struct setbacks;
struct spool;
struct update_right;
struct waits;

/* How it ended, for counting and for `--once`. */
enum delivery_end {
    DELIVERY_DONE,
    DELIVERY_UNMATCHED, /* deleted, no hook wanted it */
    DELIVERY_POISONED,
    DELIVERY_RETRY,    /* put back, to come again after a delay */
    DELIVERY_RELEASED, /* put back at once: we are stopping */
    DELIVERY_LOST,     /* no longer ours, or not to be settled; it comes again by itself */
};

const char *delivery_end_name(enum delivery_end end);

/* What deliveries of one queue share. */
struct delivery_context {
    struct loop *loop;
    struct ledger *ledger;
    struct lanes *lanes;
    struct spool *spool;
    struct queue *queue;
    struct queue *poison;
    const struct queue_plan *plan;
    struct update_right *right;
    struct setbacks *setbacks; /* told of what fails */
    struct waits
        *waits;       /* of messages that can not be hidden for their next try: delivery_resume */
    int64_t lease_ms; /* that the last Get asked for */
    int64_t http_timeout_ms;
    bool stopping; /* we end: who waits to be told of poison is not told */
    /* Its hooks have ended, it is being settled or waits for a retry: a place is free. Fires at most
     * once, and once more after each delivery_resume. */
    void (*settling)(void *arg, struct delivery *delivery);
    /* It was being settled, and now waits for a retry, or for hooks that are told of poison: there may be room
     * for more. */
    void (*settled)(void *arg);
    /* It is over; the delivery is gone when this returns. Never from inside delivery_begin. */
    void (*ended)(void *arg, struct delivery *delivery, enum delivery_end end);
    void *arg;
};

/* A message that a Get sent at asked_ms (monotonic) has brought. context outlives it. The delivery
 * keeps the generation's hooks to its end. */
struct delivery *delivery_new(const struct delivery_context *context, struct generation *generation,
                              const struct queue_message *message, int64_t asked_ms);
/* Sets it going, once it is in the owner's list. */
void delivery_begin(struct delivery *delivery);
/* Forgets it without a word to the service: the message comes again. No hook may run. */
void delivery_free(struct delivery *delivery);
const char *delivery_message_id(const struct delivery *delivery);
/* How often the service had handed it out when it came to us the last time. */
unsigned delivery_dequeue_count(const struct delivery *delivery);
/* The same message was delivered to us again while we have it: a fresh receipt. */
void delivery_adopt(struct delivery *delivery, const struct queue_message *message,
                    int64_t asked_ms);
/* The same, while it is being settled: `following` has it from now on. This one does not try to hide it
 * again, which may end it; and hooks are told of its poison by one of the two. */
void delivery_came_again(struct delivery *delivery, struct delivery *following);
/* Hands a delivery that is not settling to another owner, whose configuration and clients it then
 * uses; running hooks go on. One that waits for a retry does so there then; the new owner must not have as
 * many that wait as may. */
void delivery_move(struct delivery *delivery, const struct delivery_context *context);
/* Matches a message whose hooks have not begun with another configuration's hooks. */
void delivery_rematch(struct delivery *delivery, struct generation *generation);
/* It waited, and its next try is due: begins again, as if the message had come again, with that
 * configuration's hooks. It has a place again. */
void delivery_resume(struct delivery *delivery, struct generation *generation);
/* Gives the message back if no hook has begun; else lets its hooks end. */
void delivery_drain(struct delivery *delivery);
/* Stops a running hook and gives the message back. */
void delivery_interrupt(struct delivery *delivery);
bool delivery_is_settling(const struct delivery *delivery);
/* Its message is gone, and hooks are being told of the poison: it settles still. */
bool delivery_is_telling(const struct delivery *delivery);
/* Nothing has happened to it yet but waiting: delivery_rematch does something. */
bool delivery_is_untouched(const struct delivery *delivery);
/* Whether it has put a record into the poison queue: not into the spool, nor in an earlier delivery. */
bool delivery_has_put(const struct delivery *delivery);
/* It neither settles nor waits for a retry: it counts among the messages at once. */
bool delivery_has_place(const struct delivery *delivery);

/* For the owner's lists. */
struct delivery_link {
    TAILQ_ENTRY(delivery_link) entry;
    LIST_ENTRY(delivery_link) neighbour; /* where its message id is looked for */
    struct delivery *delivery;
};
TAILQ_HEAD(delivery_list, delivery_link);
LIST_HEAD(delivery_bucket, delivery_link);
struct delivery_link *delivery_link(struct delivery *delivery);

#endif
