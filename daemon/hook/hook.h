/* SPDX-License-Identifier: MIT */
/*
 * What is done about an event: a hook is a name, filters, and one kind of doing. This header is for
 * the kinds (each one file, one const struct hook_kind, one row in kinds.c) and for flow/, which
 * never asks which kind it holds. Nothing here knows Custom Vision.
 */
#ifndef HOOK_HOOK_H
#define HOOK_HOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "config/table.h"

struct children;
struct event;
struct hook;
struct hook_run;
struct loop;
struct mistakes;
struct worker;

/* One entry of `hooks`. */
struct hook_settings {
    struct config_place place;
    char *name;
    struct config_texts on;
    struct config_texts queues;    /* empty: all */
    struct config_texts projects;  /* empty: all */
    struct config_texts platforms; /* empty: all */
    int64_t max_age_ms;            /* 0: none */
    int serialize;                 /* enum hook_serialize */
    int on_failure;                /* enum hook_on_failure */
    int on_lease_lost;             /* enum hook_on_lease_lost */
    struct config_one_of kind;     /* indexes hook_kinds */
};

enum hook_serialize { HOOK_SERIALIZE_NONE, HOOK_SERIALIZE_PROJECT };
enum hook_on_failure { HOOK_FAILURE_STOP, HOOK_FAILURE_CONTINUE };
enum hook_on_lease_lost { HOOK_LEASE_FINISH, HOOK_LEASE_STOP };

extern const struct config_table hook_table;
/* Looks at what the rows can not say: names, patterns, and what the kind's settings point at. Blocks.
 * Copes with a hook that was read with mistakes. */
void hook_check(const struct hook_settings *hook, struct mistakes *mistakes);

/* The message that a hook runs for. Borrowed; lives until the run has ended. */
struct hook_message {
    const struct event *event;
    const char *id;
    const char *queue; /* its name in the configuration */
    const char *queue_url;
    int64_t inserted_ms; /* wall clock */
    unsigned dequeue_count;
};

enum hook_outcome {
    HOOK_DONE,
    HOOK_LATER,       /* not now; no attempt spent */
    HOOK_REJECTED,    /* never; poison */
    HOOK_FAILED,      /* an attempt spent */
    HOOK_HOST_FAULT,  /* this machine is at fault; no attempt spent, the hook is broken for now */
    HOOK_INTERRUPTED, /* stopped by hook_run_stop; no attempt spent */
};

const char *hook_outcome_name(enum hook_outcome outcome);

struct hook_result {
    enum hook_outcome outcome;
    bool untried; /* this machine was not asked for anything: whether the hook is broken is open */
    int exit_status; /* -1 when there was none */
    int64_t duration_ms;
    const char *text; /* a sentence for the log when not done: "exit status 3"; NULL when done */
    const char *tail; /* the last output, masked; NULL when none */
    const char *published; /* values for later steps, a JSON object; NULL when none */
};

/* Fires exactly once, never from inside start. The run is gone then. */
typedef void hook_done_fn(void *arg, const struct hook_result *result);

/* What kinds may use. */
struct hook_context {
    struct loop *loop;
    struct worker *worker;
    struct children *children;
};

/* One run as a kind sees it. Embedded as the first member of the kind's own run. */
struct hook_call {
    const char *hook; /* its name */
    const struct hook_message *message;
    unsigned attempt; /* spent + 1 */
    hook_done_fn *done;
    void *arg;
};

struct hook_kind {
    const char *name;
    const char *doc;           /* one line */
    struct config_table table; /* of its settings, which begin with struct config_place */
    /* Looks at what the settings point at (users, rights). Blocks, as an identity kind's check does;
     * adds mistakes. May be NULL. */
    void (*check)(const void *settings, struct mistakes *mistakes);
    /* How many runs at once; 0: no bound of its own. */
    unsigned (*parallel)(const void *settings);
    /* How long a run may take at most; NULL: not long. */
    int64_t (*longest_ms)(const void *settings);
    /* Whether `started` must be recorded before a run begins: what can not be undone or found again. */
    bool record_start;
    void *(*create)(const struct hook_context *context, const char *name, const void *settings);
    void (*destroy)(void *self); /* no run is open then */
    void *(*start)(void *self, const struct hook_call *call);
    void (*stop)(
        void *run); /* ends it soon, its result being HOOK_INTERRUPTED if it was not done */
};

extern const struct hook_kind *const hook_kinds[];
extern const struct config_kind hook_kind_tables[];

/* A hook in use. settings is borrowed and outlives it. */
struct hook *hook_new(const struct hook_context *context, const struct hook_settings *settings);
void hook_free(struct hook *hook);
const struct hook_settings *hook_settings(const struct hook *hook);
const struct hook_kind *hook_kind(const struct hook *hook);
unsigned hook_parallel(const struct hook *hook);
/* How long one run may take at most; 0 when it never takes long. */
int64_t hook_longest_ms(const struct hook *hook);

/* Whether the hook takes events of that name on that queue, of one project or platform at least. */
bool hook_takes(const struct hook_settings *settings, const char *event_name, const char *queue);
/* Whether the hook's filters take this event on that queue. */
bool hook_matches(const struct hook_settings *settings, const struct event *event,
                  const char *queue);

struct hook_run *hook_run_start(struct hook *hook, const struct hook_message *message,
                                unsigned attempt, hook_done_fn *done, void *arg);
void hook_run_stop(struct hook_run *run);

#endif
