/* SPDX-License-Identifier: MIT */
/*
 * The last requests on a message: delete it, hide it for a while, or put its record into the poison
 * queue and delete it then. A record that the poison queue refuses is kept in the spool, and the message
 * deleted. Repeats what failed while the message is ours; after that the message comes back by itself,
 * and nothing is lost.
 */
#ifndef FLOW_SETTLE_H
#define FLOW_SETTLE_H

#include <stdbool.h>
#include <stdint.h>

struct err;
struct lease;
struct loop;
struct queue;
struct settle;
struct spool;

enum settle_what {
    SETTLE_DELETE,
    SETTLE_HIDE,   /* for hide_ms; 0 gives it back at once */
    SETTLE_POISON, /* record, then delete */
};

struct settle_spec {
    struct loop *loop;
    struct queue *queue;
    struct queue *poison; /* SETTLE_POISON; made when it is not there */
    const struct lease *lease;
    const char *message_id;
    int64_t timeout_ms; /* of one request on the message */
    enum settle_what what;
    int64_t hide_ms;
    /* SETTLE_POISON: what is put; borrowed until done. */
    const char *record;
    bool is_bare;  /* it is the message's text alone */
    bool expiring; /* the message would be gone before long: any failure is a case for the spool */
    struct spool *spool;
    /* The record is stored: in the poison queue, or, when that failed as `refusal` says, in the spool.
     * The delete follows. */
    void (*stored)(void *arg, const struct err *refusal);
    /* A delete or a hide failed, and is tried again in delay_ms. */
    void (*failed)(void *arg, const struct err *err, int64_t delay_ms);
};

enum settle_end {
    SETTLE_DONE,
    SETTLE_LOST,       /* the message is no longer ours */
    SETTLE_UNPOISONED, /* the record could not be stored anywhere; the message is still ours */
    SETTLE_FORBIDDEN,  /* the credential may not hide it; the message is still ours */
    SETTLE_GIVEN_UP,   /* it could not be deleted or hidden while it was ours: it will be back */
};

/* Fires exactly once, never from inside the start, unless cancelled. err is NULL for SETTLE_DONE. */
typedef void settle_done_fn(void *arg, enum settle_end end, const struct err *err);

/* spec is copied; what it points at lives until done. */
struct settle *settle_start(const struct settle_spec *spec, settle_done_fn *done, void *arg);
/* Tries nothing again: what is under way decides. done fires still, perhaps from inside. */
void settle_hurry(struct settle *settle);
/* The message has come to us again: it was hidden, though no answer said so, and its receipt is void. A hide
 * is not tried again: one that waits for that ends as SETTLE_LOST, from inside. */
void settle_came_again(struct settle *settle);
/* Waits for no answer any more. A record that is to be put before its message expires goes into the spool
 * instead; else it ends as SETTLE_GIVEN_UP, from inside. */
void settle_cut(struct settle *settle);
void settle_cancel(struct settle *settle);

#endif
