/* SPDX-License-Identifier: MIT */
/*
 * One queue being polled: asks for as many messages as it has room for, at once after a hit, ever
 * more slowly while the queue is empty, and by cause when the service refuses or is away.
 */
#ifndef FLOW_LISTENER_H
#define FLOW_LISTENER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "flow/delivery.h"

struct generation;
struct lanes;
struct ledger;
struct listener;
struct loop;
struct queue_plan;
struct spool;

struct listener_context {
    struct loop *loop;
    struct ledger *ledger;
    struct lanes *lanes;
    struct spool *spool;
    /* An answer came, or a delivery ended. Without news it was one more answer as those before. */
    void (*changed)(void *arg, struct listener *listener, bool news);
    /* The delivery of a message of that queue that another listener still has in hand, taken from it
     * for us; NULL when there is none. */
    struct delivery *(*take_over)(void *arg, const char *url, const char *message_id);
    /* The one that another listener is settling, which keeps it; NULL when there is none. */
    struct delivery *(*find_settling)(void *arg, const char *url, const char *message_id);
    void *arg;
};

/* Keeps the generation. plan is of its snapshot. Starts polling. */
struct listener *listener_new(const struct listener_context *context, struct generation *generation,
                              const struct queue_plan *plan);
/* Drops whatever it holds without telling the service. No hook may run. NULL is fine. */
void listener_free(struct listener *listener);
const struct queue_plan *listener_plan(const struct listener *listener);

/* The delivery of a message that is being settled; NULL when there is none. */
struct delivery *listener_find_settling(const struct listener *listener, const char *message_id);
/* Gives up a delivery that is not settling, by its message's id; NULL when it has none such. */
struct delivery *listener_give_up(struct listener *listener, const char *message_id);
/* Takes over what waits with another listener of the same queue for its next try, which is to be let go;
 * and where it may not give messages back, those whose hooks have not begun. */
void listener_inherit(struct listener *listener, struct listener *from);
/* New messages get this configuration's hooks, and so do those that have not begun. */
void listener_use_hooks(struct listener *listener, struct generation *generation);
/* No Get while held; one that is under way is taken as it comes. The release polls at once. */
void listener_hold(struct listener *listener, bool held);
/* Polls now and forgets its back-offs. */
void listener_poll_now(struct listener *listener);
/* A reload that leaves the queue as it is: secrets in files are read again, and it polls now. */
void listener_refresh(struct listener *listener);
/* Another listener may have left poison records of this queue in the spool. */
void listener_look_at_spool(struct listener *listener);
/* Asks for no more messages, gives back what has not begun. Poison is told of to all who want to know. */
void listener_retire(struct listener *listener);
/* The same, for we end: who waits to be told of poison is not told. */
void listener_drain(struct listener *listener);
/* Stops running hooks too. */
void listener_interrupt(struct listener *listener);

/* Nothing in hand, nothing under way. */
bool listener_is_idle(const struct listener *listener);
/* Nothing in hand but what waits here for its next try; a Get may be under way. */
bool listener_has_nothing(const struct listener *listener);
/* The first answer came, good or bad. */
bool listener_has_answered(const struct listener *listener);
/* The last Get found nothing, and nothing is in hand but what waits here for its next try. */
bool listener_is_empty(const struct listener *listener);
/* How many Gets in a row failed, and how the last one did (NULL: it went well). */
unsigned listener_failures(const struct listener *listener, const struct err **ret_err);
/* What is wrong with its requests, a sentence; NULL when all is well. */
const char *listener_trouble(const struct listener *listener);
/* Whether it makes progress: a timer is armed, a request is under way, its places are taken, or
 * it is held. */
bool listener_is_alive(const struct listener *listener);

struct listener_counts {
    uint64_t received;
    uint64_t ended[DELIVERY_LOST + 1]; /* by enum delivery_end */
    unsigned in_hand;
};
void listener_count(const struct listener *listener, struct listener_counts *ret_counts);

#endif
