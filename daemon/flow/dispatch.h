/* SPDX-License-Identifier: MIT */
/*
 * What is to be done with one message: which hooks, in which order, and what their results make of
 * the message. A plan and its verdicts, without I/O and without a clock of its own; flow/delivery
 * acts on them.
 */
#ifndef FLOW_DISPATCH_H
#define FLOW_DISPATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "store/ledger.h"

struct event;
struct hook;
struct hook_result;
struct queue_settings;

enum step_state {
    STEP_PENDING,  /* to be run in this delivery */
    STEP_DONE,     /* now, or in an earlier delivery */
    STEP_STALE,    /* older than max_age: done without a run */
    STEP_WAITING,  /* to be run again, not in this delivery: after delay_ms */
    STEP_REJECTED, /* never to be run again: poison */
};

struct step {
    struct hook *hook;
    enum step_state state;
    bool interrupted;          /* STEP_WAITING because its run was cut */
    int64_t delay_ms;          /* STEP_WAITING */
    struct ledger_step record; /* texts are the step's own, but for hook's */
};

struct dispatch {
    struct step *steps;
    unsigned count;
};

/* The hooks of a configuration that take this event, in the order written. */
void dispatch_init(struct dispatch *dispatch, struct hook *const *hooks, unsigned hook_count,
                   const struct event *event, const char *queue);
void dispatch_done(struct dispatch *dispatch);
/* Applies what the ledger knows: finished steps are skipped, and a step whose delay has not passed
 * waits on. */
void dispatch_recall(struct dispatch *dispatch, const struct ledger_message *known,
                     const struct queue_settings *settings, int64_t wall_ms);
/* How long the hooks that one message of that queue may need run at most, one after the other. */
int64_t dispatch_longest_ms(struct hook *const *hooks, unsigned hook_count, const char *queue);
/* Whether a step that is to run is past its hook's max_age; it is then STEP_STALE. */
bool dispatch_is_stale(struct step *step, int64_t age_ms);

enum verdict {
    VERDICT_RUN,    /* ret_step is to run now */
    VERDICT_DONE,   /* every step is done: delete */
    VERDICT_RETRY,  /* hide the message for ret_delay_ms; ret_step is the first that waits */
    VERDICT_REJECT, /* poison; ret_step is the first rejected one */
};

/* What to do next. */
enum verdict dispatch_next(const struct dispatch *dispatch, struct step **ret_step,
                           int64_t *ret_delay_ms);
/* Notes the end of a step's run: its record is then what the ledger is to hold. */
void dispatch_ended(struct step *step, const struct hook_result *result,
                    const struct queue_settings *settings, int64_t wall_ms);
/* The step can not run now, through no fault of the message: this machine's, or a stop. */
void dispatch_put_off(struct step *step, int64_t delay_ms);

#endif
