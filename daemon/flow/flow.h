/* SPDX-License-Identifier: MIT */
/*
 * All queues under the configuration in force: begins, reloads, drains, and answers how they are.
 */
#ifndef FLOW_FLOW_H
#define FLOW_FLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct children;
struct flow;
struct ledger;
struct loop;
struct snapshot;
struct spool;
struct worker;

/* Why nothing is asked for. */
enum flow_hold {
    FLOW_HOLD_ORPHANS = 1 << 0, /* runs of an earlier daemon are being ended */
    FLOW_HOLD_LEDGER = 1 << 1,  /* the ledger can not be written */
};

struct flow_context {
    struct loop *loop;
    struct worker *worker;
    struct children *children;
    struct ledger *ledger;
    struct spool *spool;
    /* An answer came, a message was settled: look again at what you wait for. Without news it was one
     * more answer as those before. From the loop, never from inside a call. */
    void (*changed)(void *arg, bool news);
    void *arg;
};

/* Starts polling. Takes the snapshot. */
struct flow *flow_new(const struct flow_context *context, struct snapshot *snapshot);
/* Drops whatever is in hand without telling the service. No hook may run any more. */
void flow_free(struct flow *flow);
const struct snapshot *flow_snapshot(const struct flow *flow);

/* Puts another configuration in force; takes the snapshot. Queues that did not change are left
 * undisturbed but for their hooks; running hooks end under what they began with. Back-offs and broken
 * hooks are forgotten. */
void flow_apply(struct flow *flow, struct snapshot *snapshot);
void flow_poll_now(struct flow *flow);
/* The spool may hold records that it did not hold before: they are moved. */
void flow_look_at_spool(struct flow *flow);
/* Puts a hold on all queues, those of later reloads too, or takes it away. While there is any, no Get is
 * sent, what is in hand goes on, and the flow is alive but not exhausted. Without the last, all queues
 * are polled at once. */
void flow_hold(struct flow *flow, enum flow_hold reason, bool held);
/* Asks for no more messages; what has begun goes on. flow_is_idle tells when it is over. */
void flow_drain(struct flow *flow);
/* Stops the running hooks and gives their messages back. */
void flow_interrupt(struct flow *flow);

bool flow_is_idle(const struct flow *flow);
/* Every queue had its first answer, good or bad. */
bool flow_has_answered(const struct flow *flow);
/* Nothing is in hand, and every queue was found empty or is hopeless: it refuses us, or failed `tries`
 * times in a row. *ret_err is then the worst of those failures, NULL when every queue was empty. */
bool flow_is_exhausted(const struct flow *flow, unsigned tries, const struct err **ret_err);
/* Every queue makes progress. */
bool flow_is_alive(const struct flow *flow);
/* One line on how things are, in fresh memory: how many queues answer, counts, what is wrong. */
char *flow_status(const struct flow *flow);

#endif
