/* SPDX-License-Identifier: MIT */
/*
 * What stands in state_dir, kept in use: the ledger, the spool of poison records, and the list of runs
 * that may be alive. While ledger or list can not be used no queue is asked for messages; it is tried
 * again until it can, and told once.
 */
#ifndef STATE_H
#define STATE_H

#include <stdbool.h>

#include "base/err.h"

struct children;
struct flow;
struct ledger;
struct loop;
struct spool;
struct state;
struct worker;

struct state_context {
    struct loop *loop;
    struct worker *worker;
    struct children *children;
    /* state_trouble says something new. From the loop. */
    void (*changed)(void *arg);
    void *arg;
};

/* Blocks. NULL when the directory must not be used: another process has it, or a newer version wrote
 * what is in it (ERR_CONFIG). */
struct state *state_open(const struct state_context *context, const char *directory,
                         struct err *err) MUST_CHECK;
struct ledger *state_ledger(const struct state *state);
struct spool *state_spool(const struct state *state);
/* Lets the flow ask, once runs that an earlier daemon left are ended, and while all can be used. */
void state_begin(struct state *state, struct flow *flow);
/* How many tries have failed in a row, and of what; 0 when all can be used. */
unsigned state_trouble(const struct state *state, const char **ret_words);
/* What waits is written. The worker must have ended, and the flow too. NULL is fine. */
void state_close(struct state *state);

#endif
