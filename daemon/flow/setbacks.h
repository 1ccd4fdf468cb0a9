/* SPDX-License-Identifier: MIT */
/*
 * What goes wrong when the messages of one queue are deleted, put back or poisoned, and what comes of it:
 * what of it is logged, how long poison waits, and the mover of what had to go into the spool. The
 * deliveries tell.
 */
#ifndef FLOW_SETBACKS_H
#define FLOW_SETBACKS_H

#include <stdbool.h>
#include <stdint.h>

#include "flow/delivery.h"
#include "flow/trouble.h"
#include "net/retry.h"

struct err;
struct loop;
struct mover;
struct queue;
struct queue_plan;
struct spool;

struct setbacks_context {
    struct loop *loop;
    struct spool *spool;
    struct queue *poison;
    const struct queue_plan *plan;
    int64_t timeout_ms; /* of one request */
    /* The status may be different, or what is under way. */
    void (*changed)(void *arg);
    void *arg;
};

struct setbacks {
    struct setbacks_context context;
    struct trouble poisoning, deleting, hiding;
    struct retry poison_retry;
    int64_t poison_until_ms; /* the wait that its last failure asked for */
    struct mover *mover;     /* of records in the spool */
};

/* Begins to move what is in the spool. What context points at outlives it. */
void setbacks_init(struct setbacks *setbacks, const struct setbacks_context *context);
void setbacks_done(struct setbacks *setbacks);

/* A poison record could not be stored; returns for how long to hide its message. */
int64_t setbacks_poison_failed(struct setbacks *setbacks, const struct err *err);
/* A poison record is safe in the spool; err says why its queue did not take it. */
void setbacks_spooled(struct setbacks *setbacks, const struct err *err);
/* A delete, or a hide, failed, for good or for this time. Whether that is worth a line. */
bool setbacks_settle_failed(struct setbacks *setbacks, bool is_delete, const struct err *err,
                            bool is_final);
/* A delivery has ended so, which tells of the requests behind it; has_put as delivery_has_put. */
void setbacks_ended(struct setbacks *setbacks, enum delivery_end end, bool has_put);

/* Forgets its back-offs. */
void setbacks_hurry(struct setbacks *setbacks);
/* What is wrong, a sentence; NULL when all is well. */
const char *setbacks_trouble(const struct setbacks *setbacks);

#endif
