/* SPDX-License-Identifier: MIT */
/*
 * Moves a queue's poison records from the spool into its poison queue, the oldest first, one at a time,
 * as soon as that takes them: at once when it is told to, else after waits by the cause of the last
 * failure (net/retry). A record's file goes after the Put: a crash in between doubles the record.
 */
#ifndef FLOW_MOVER_H
#define FLOW_MOVER_H

#include <stdbool.h>
#include <stdint.h>

struct err;
struct loop;
struct mover;
struct queue;
struct spool;
struct trouble;

struct mover_context {
    struct loop *loop;
    struct spool *spool;
    struct queue *poison;
    const char *queue_url;   /* whose records */
    const char *name;        /* the queue's, for the log */
    int64_t timeout_ms;      /* of one request */
    struct trouble *trouble; /* of putting poison records, shared with who puts them elsewhere */
    /* The poison queue took a record. */
    void (*moved)(void *arg);
    /* Nothing is under way any more, for now. */
    void (*rested)(void *arg);
    void *arg;
};

/* Begins to move what is there. What context points at outlives it. */
struct mover *mover_new(const struct mover_context *context);
/* Cancels what is under way. NULL is fine. */
void mover_free(struct mover *mover);
/* There may be something to move; a wait after a failure goes on. */
void mover_look(struct mover *mover);
/* A record was spooled, for its Put failed so: nothing is tried before the wait that this forces. */
void mover_wait(struct mover *mover, const struct err *err);
/* Forgets the failures and begins at once, if there is something to move. */
void mover_hurry(struct mover *mover);
/* Begins with no other record; the one under way goes on. */
void mover_drain(struct mover *mover);
/* Gives up the request that is under way, too. */
void mover_interrupt(struct mover *mover);
/* A request or a disk is under way. */
bool mover_is_busy(const struct mover *mover);

#endif
