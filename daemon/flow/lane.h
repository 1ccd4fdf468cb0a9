/* SPDX-License-Identifier: MIT */
/*
 * A hook's way through: how many runs at once, never two of one key when runs are serialised, and
 * whether the hook is broken (this machine's fault) and for how long to leave it alone. Lanes are
 * kept by hook name, so that a reload does not let a `parallel: 1` hook run twice, nor one that is
 * serialised from now on beside a run that was not.
 */
#ifndef FLOW_LANE_H
#define FLOW_LANE_H

#include <stdbool.h>
#include <stdint.h>

struct lane;
struct lanes;
struct loop;
struct ticket;

struct lanes *lanes_new(struct loop *loop);
typedef void lanes_forgot_fn(void *arg, const char *hook);
/* A broken hook that no message has asked for in ten minutes is not called broken any more: nobody knows
 * whether it is. forgot fires then, from the loop. */
void lanes_on_forgot(struct lanes *lanes, lanes_forgot_fn *forgot, void *arg);
/* Sees to that; happens by itself. */
void lanes_forget(struct lanes *lanes, int64_t now_ms);
/* Every ticket must have been handed back. */
void lanes_free(struct lanes *lanes);
/* The lane of a hook's name; made when it is new, kept until lanes_free. */
struct lane *lanes_get(struct lanes *lanes, const char *hook);
/* Forgets all faults, for a new configuration may have mended them. */
void lanes_mend(struct lanes *lanes);
/* Whether the hook of that name could not run when it was last tried. */
bool lanes_is_broken(const struct lanes *lanes, const char *hook);

typedef void lane_granted_fn(void *arg);

/* What a run asks for. Its key is told even if it does not mind company of that key now: after a reload another
 * may. */
struct lane_claim {
    unsigned parallel; /* beside fewer runs than this; 0: any number */
    const char *key;   /* copied; case does not matter; may be NULL */
    bool alone;        /* never beside another run of its key */
};

/* Asks for a turn. *ret_ticket is set at once; true means the turn is now, false that granted will fire later,
 * from the loop. */
bool lane_enter(struct lane *lane, const struct lane_claim *claim, lane_granted_fn *granted,
                void *arg, struct ticket **ret_ticket);
/* Hands a ticket back, whether its turn had come or not. NULL is fine. */
void lane_leave(struct ticket *ticket);

/* The hook could not run: leaves it alone for a while that grows. Returns for how long. */
int64_t lane_broke(struct lane *lane, int64_t now_ms, bool *ret_first);
/* It ran. True when it had been broken. */
bool lane_works(struct lane *lane);
/* How long the hook is still to be left alone; 0 when it may run. */
int64_t lane_broken_for(const struct lane *lane, int64_t now_ms);

#endif
