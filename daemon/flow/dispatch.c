/* SPDX-License-Identifier: MIT */
/* What is to be done with one message. */
#include "flow/dispatch.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "event/event.h"
#include "flow/settings.h"
#include "hook/hook.h"

#define MAX_INTERRUPTIONS 20
/* The service counts in seconds: a message may be back a little before its delay has passed. */
#define DELAY_SLACK_MS 1500

void dispatch_init(struct dispatch *dispatch, struct hook *const *hooks, unsigned hook_count,
                   const struct event *event, const char *queue)
{
    *dispatch = (struct dispatch){.steps = xcalloc(hook_count, sizeof(struct step))};
    for (unsigned i = 0; i < hook_count; i++) {
        const struct hook_settings *settings = hook_settings(hooks[i]);

        if (!hook_matches(settings, event, queue))
            continue;
        dispatch->steps[dispatch->count++] = (struct step){
            .hook = hooks[i],
            .record = {.hook = settings->name, .exit_status = -1},
        };
    }
}

static void forget_texts(struct step *step)
{
    free((char *)(uintptr_t)step->record.reason);
    free((char *)(uintptr_t)step->record.tail);
    free((char *)(uintptr_t)step->record.published);
    step->record.reason = step->record.tail = step->record.published = NULL;
}

void dispatch_done(struct dispatch *dispatch)
{
    for (unsigned i = 0; i < dispatch->count; i++)
        forget_texts(&dispatch->steps[i]);
    free(dispatch->steps);
    *dispatch = (struct dispatch){0};
}

/* Delay number n, from 1. */
static int64_t delay_number(const struct queue_settings *settings, unsigned number)
{
    const struct config_durations *delays = &settings->retry_delay;

    return delays->items_ms[min_of(max_of(number, 1), delays->count) - 1];
}

static void reject(struct step *step, const char *reason)
{
    step->state = STEP_REJECTED;
    step->record.state = LEDGER_REJECTED;
    free((char *)(uintptr_t)step->record.reason);
    step->record.reason = xstrdup(reason);
}

/* A cut run costs no attempt, but a message that cuts every run of a hook must end somewhere. */
static void interrupt(struct step *step)
{
    step->record.state = LEDGER_INTERRUPTED;
    step->record.interruptions++;
    if (step->record.interruptions >= MAX_INTERRUPTIONS) {
        reject(step, "interrupted");
        return;
    }
    step->state = STEP_WAITING;
    step->interrupted = true;
    step->delay_ms = 0;
}

/* What is left of the delay that the step's last failure began. */
static int64_t delay_left(const struct step *step, const struct queue_settings *settings,
                          int64_t wall_ms)
{
    int64_t whole = delay_number(settings, step->record.delays);
    int64_t left = step->record.ended_ms + whole - wall_ms;

    /* Ended in the future: our clock was set back, and tells nothing. The service's kept the delay. */
    return left <= DELAY_SLACK_MS || left > whole ? 0 : left;
}

static void recall_step(struct step *step, const struct ledger_step *known,
                        const struct queue_settings *settings, int64_t wall_ms)
{
    const char *hook = step->record.hook;

    step->record = *known;
    step->record.hook = hook;
    step->record.reason = xstrdup(known->reason);
    step->record.tail = xstrdup(known->tail);
    step->record.published = xstrdup(known->published);
    switch (known->state) {
    case LEDGER_DONE:
        step->state = STEP_DONE;
        break;
    case LEDGER_REJECTED:
        step->state = STEP_REJECTED;
        break;
    case LEDGER_STARTED:
        /* Nothing of ours runs it any more: its end was never recorded. */
        interrupt(step);
        if (step->state == STEP_WAITING)
            step->state = STEP_PENDING;
        break;
    case LEDGER_FAILED:
    case LEDGER_LATER:
        step->delay_ms = delay_left(step, settings, wall_ms);
        step->state = step->delay_ms > 0 ? STEP_WAITING : STEP_PENDING;
        break;
    case LEDGER_INTERRUPTED:
        step->state = STEP_PENDING;
        break;
    }
}

void dispatch_recall(struct dispatch *dispatch, const struct ledger_message *known,
                     const struct queue_settings *settings, int64_t wall_ms)
{
    for (unsigned i = 0; i < dispatch->count; i++) {
        struct step *step = &dispatch->steps[i];

        for (unsigned j = 0; j < known->count; j++) {
            if (strcmp(known->steps[j].hook, step->record.hook) == 0)
                recall_step(step, &known->steps[j], settings, wall_ms);
        }
    }
}

int64_t dispatch_longest_ms(struct hook *const *hooks, unsigned hook_count, const char *queue)
{
    int64_t longest_ms = 0;

    for (const char *const *event = event_names(); *event != NULL; event++) {
        int64_t sum_ms = 0;

        for (unsigned i = 0; i < hook_count; i++) {
            if (hook_takes(hook_settings(hooks[i]), *event, queue))
                sum_ms += hook_longest_ms(hooks[i]);
        }
        longest_ms = max_of(longest_ms, sum_ms);
    }
    return longest_ms;
}

bool dispatch_is_stale(struct step *step, int64_t age_ms)
{
    int64_t max_age_ms = hook_settings(step->hook)->max_age_ms;

    if (step->state != STEP_PENDING || max_age_ms == 0 || age_ms <= max_age_ms)
        return false;
    step->state = STEP_STALE;
    return true;
}

/* Whether the steps after this one must not run in this delivery. */
static bool holds_back(const struct step *step)
{
    return hook_settings(step->hook)->on_failure == HOOK_FAILURE_STOP;
}

enum verdict dispatch_next(const struct dispatch *dispatch, struct step **ret_step,
                           int64_t *ret_delay_ms)
{
    struct step *rejected = NULL;

    *ret_step = NULL;
    *ret_delay_ms = 0;
    for (unsigned i = 0; i < dispatch->count; i++) {
        struct step *step = &dispatch->steps[i];

        if (step->state == STEP_DONE || step->state == STEP_STALE)
            continue;
        if (step->state == STEP_PENDING) {
            *ret_step = step;
            return VERDICT_RUN;
        }
        if (step->state == STEP_REJECTED && rejected == NULL)
            rejected = step;
        if (step->state == STEP_WAITING) {
            /* When the first of them is due; the others then wait on. */
            if (*ret_step == NULL || step->delay_ms < *ret_delay_ms)
                *ret_delay_ms = step->delay_ms;
            if (*ret_step == NULL)
                *ret_step = step;
        }
        if (holds_back(step))
            break;
    }
    if (*ret_step != NULL)
        return VERDICT_RETRY;
    *ret_step = rejected;
    return rejected != NULL ? VERDICT_REJECT : VERDICT_DONE;
}

/* The step is to be run again after its next delay. */
static void wait_more(struct step *step, enum ledger_state state,
                      const struct queue_settings *settings)
{
    step->record.state = state;
    step->record.delays++;
    step->state = STEP_WAITING;
    step->delay_ms = delay_number(settings, step->record.delays);
}

void dispatch_ended(struct step *step, const struct hook_result *result,
                    const struct queue_settings *settings, int64_t wall_ms)
{
    if (result->outcome == HOOK_HOST_FAULT) {
        /* It never began: what was known before stays true, as of a run that left no trace. */
        step->record.state = LEDGER_INTERRUPTED;
        return;
    }
    forget_texts(step);
    step->record.exit_status = result->exit_status;
    step->record.ended_ms = wall_ms;
    step->record.duration_ms = result->duration_ms;
    step->record.started_ms = wall_ms - result->duration_ms;
    step->record.tail = xstrdup(result->tail);
    step->record.published = xstrdup(result->published);
    switch (result->outcome) {
    case HOOK_DONE:
        step->state = STEP_DONE;
        step->record.state = LEDGER_DONE;
        break;
    case HOOK_LATER:
        wait_more(step, LEDGER_LATER, settings);
        break;
    case HOOK_REJECTED:
        reject(step, "rejected");
        break;
    case HOOK_FAILED:
        step->record.attempts++;
        wait_more(step, LEDGER_FAILED, settings);
        if (step->record.attempts >= (unsigned)settings->max_attempts)
            reject(step, "out-of-attempts");
        break;
    case HOOK_HOST_FAULT:
        break;
    case HOOK_INTERRUPTED:
        interrupt(step);
        break;
    }
}

void dispatch_put_off(struct step *step, int64_t delay_ms)
{
    step->state = STEP_WAITING;
    step->delay_ms = delay_ms;
}
