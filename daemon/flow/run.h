/* SPDX-License-Identifier: MIT */
/*
 * One step of one message: a turn in its hook's lane, `started` on record, the run, its end on record.
 * What the end means for the step is noted in the step; what it means for the message is the
 * delivery's to say.
 */
#ifndef FLOW_RUN_H
#define FLOW_RUN_H

#include <stdbool.h>

struct hook_message;
struct lanes;
struct ledger_entry;
struct log_field;
struct queue_settings;
struct run;
struct step;

struct run_spec {
    struct ledger_entry *entry; /* of the message */
    struct lanes *lanes;
    const struct hook_message *message;
    struct step *step;
    const char *key; /* the project: a hook may be serialised by it; may be NULL */
    /* Fields that tell which message and hook a line of the log is about. */
    const struct log_field *(*fields)(void *arg, const char *outcome);
    /* The queue's settings, asked for when the hook has ended. */
    const struct queue_settings *(*settings)(void *arg);
    /* Asked when the turn has come, and again when `started` is on record: may it begin still? */
    bool (*may_begin)(void *arg);
    /* Exactly once, the last thing that the run does; it is gone then. begun: the hook has run. */
    void (*ended)(void *arg, bool begun);
    void *arg;
};

/* spec is copied; what it points at lives until ended. ended may fire from inside when the turn comes
 * at once and must not be taken. */
void run_start(const struct run_spec *spec, struct run **ret_run);
/* Whether it waits for its turn: nothing has happened yet. */
bool run_is_waiting(const struct run *run);
/* Whether the hook runs now. */
bool run_is_running(const struct run *run);
/* Whether it runs, or has run. */
bool run_has_begun(const struct run *run);
/* Stops the hook, if it runs; ended fires once that is on record. */
void run_stop(struct run *run);
/* The same, and waits for no record from now on, for the disk may take none; ended still fires, perhaps
 * from inside. */
void run_interrupt(struct run *run);
/* Forgets a run that is not running; ended will not fire. NULL is fine. */
void run_cancel(struct run *run);

#endif
