/* SPDX-License-Identifier: MIT */
/* One step of one message. */
#include "flow/run.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/unit.h"
#include "flow/dispatch.h"
#include "flow/lane.h"
#include "hook/hook.h"
#include "store/ledger.h"

struct run {
    struct run_spec spec;
    struct lane *lane;
    struct ticket *ticket;
    struct ledger_op *op;
    struct hook_run *hook_run;
    bool has_turn;
    bool begun;
    bool interrupted; /* no record is waited for */
};

static void finish(struct run *run)
{
    struct run_spec spec = run->spec;
    bool begun = run->begun;

    run_cancel(run);
    spec.ended(spec.arg, begun);
}

static void record(struct run *run, ledger_done_fn *done)
{
    const struct run_spec *spec = &run->spec;

    run->op = ledger_record(spec->entry, &spec->step->record, done, run);
}

/* The step's end is durable: the next one may begin. */
static void on_end_recorded(void *arg)
{
    struct run *run = arg;

    run->op = NULL;
    finish(run);
}

/* This machine can not run the hook: the message waits, and no attempt is spent. */
static void host_fault(struct run *run, const struct hook_result *result)
{
    const struct log_field *fields = run->spec.fields(run->spec.arg, "host-fault");
    char wait[UNIT_TEXT_MAX];
    bool first;

    int64_t delay_ms = lane_broke(run->lane, clock_mono_ms(), &first);
    dispatch_put_off(run->spec.step, delay_ms);
    if (first)
        log_err(fields, "hook is broken: %s; its messages wait, next try in %s", result->text,
                unit_duration_human(delay_ms, wait));
    else
        log_debug(fields, "hook is still broken: %s", result->text);
}

/* Says how a run ended, with what follows from it. */
static void log_result(struct run *run, const struct hook_result *result)
{
    const char *outcome = hook_outcome_name(result->outcome);
    const struct log_field *fields = run->spec.fields(run->spec.arg, outcome);
    const struct step *step = run->spec.step;
    char took[UNIT_TEXT_MAX], wait[UNIT_TEXT_MAX];

    if (!result->untried && lane_works(run->lane))
        log_info(fields, "hook works again");
    unit_duration_human(result->duration_ms, took);
    if (result->outcome == HOOK_DONE)
        log_info(fields, "hook done in %s", took);
    else if (step->state == STEP_REJECTED)
        log_warning(fields, "hook %s after %s: %s; to poison, reason %s", outcome, took,
                    result->text, step->record.reason);
    else if (result->outcome == HOOK_INTERRUPTED)
        log_info(fields, "hook interrupted after %s: %s", took, result->text);
    else if (result->outcome == HOOK_LATER)
        log_warning(fields, "hook said later after %s: %s; again in %s", took, result->text,
                    unit_duration_human(step->delay_ms, wait));
    else
        log_warning(fields, "hook %s after %s: %s; again in %s", outcome, took, result->text,
                    unit_duration_human(step->delay_ms, wait));
}

static void on_hook_done(void *arg, const struct hook_result *result)
{
    struct run *run = arg;

    run->hook_run = NULL;
    run->begun = result->outcome != HOOK_HOST_FAULT;
    lane_leave(take(run->ticket));
    dispatch_ended(run->spec.step, result, run->spec.settings(run->spec.arg), clock_wall_ms());
    if (run->begun)
        log_result(run, result);
    else
        host_fault(run, result);
    record(run, on_end_recorded);
    if (run->interrupted)
        finish(run);
}

static void start_hook(struct run *run)
{
    struct step *step = run->spec.step;

    run->hook_run =
        hook_run_start(step->hook, run->spec.message, step->record.attempts + 1, on_hook_done, run);
}

/* It does not begin after all. */
static void take_back(struct run *run)
{
    run->spec.step->record.state = LEDGER_INTERRUPTED;
    record(run, on_end_recorded);
}

static void on_start_recorded(void *arg)
{
    struct run *run = arg;

    run->op = NULL;
    if (run->spec.may_begin(run->spec.arg)) {
        start_hook(run);
        return;
    }
    take_back(run);
}

/* Whether something stands in the way now that the turn has come: much may have changed meanwhile. */
static bool is_held_up(struct run *run)
{
    int64_t broken_ms = lane_broken_for(run->lane, clock_mono_ms());

    if (broken_ms > 0)
        dispatch_put_off(run->spec.step, broken_ms);
    return broken_ms > 0 || !run->spec.may_begin(run->spec.arg);
}

static void take_turn(void *arg)
{
    struct run *run = arg;

    run->has_turn = true;
    if (is_held_up(run)) {
        finish(run);
    } else if (!hook_kind(run->spec.step->hook)->record_start) {
        start_hook(run);
    } else {
        run->spec.step->record.state = LEDGER_STARTED;
        run->spec.step->record.started_ms = clock_wall_ms();
        record(run, on_start_recorded);
    }
}

void run_start(const struct run_spec *spec, struct run **ret_run)
{
    struct run *run = xcalloc(1, sizeof(*run));
    struct hook *hook = spec->step->hook;
    const struct lane_claim claim = {
        .parallel = hook_parallel(hook),
        .key = spec->key,
        .alone = hook_settings(hook)->serialize == HOOK_SERIALIZE_PROJECT,
    };

    run->spec = *spec;
    run->lane = lanes_get(spec->lanes, hook_settings(hook)->name);
    *ret_run = run;
    if (lane_enter(run->lane, &claim, take_turn, run, &run->ticket))
        take_turn(run);
}

bool run_is_waiting(const struct run *run)
{
    return !run->has_turn;
}

bool run_is_running(const struct run *run)
{
    return run->hook_run != NULL;
}

bool run_has_begun(const struct run *run)
{
    return run->hook_run != NULL || run->begun;
}

void run_stop(struct run *run)
{
    if (run->hook_run != NULL)
        hook_run_stop(run->hook_run);
}

void run_interrupt(struct run *run)
{
    run->interrupted = true;
    if (run->hook_run != NULL) {
        run_stop(run);
        return;
    }
    if (run->op == NULL)
        return;
    /* What is to be written is written all the same, if the disk still does that. */
    ledger_cancel(take(run->op));
    if (!run->begun && run->spec.step->record.state == LEDGER_STARTED) {
        take_back(run);
        ledger_cancel(take(run->op));
    }
    finish(run);
}

void run_cancel(struct run *run)
{
    if (run == NULL)
        return;
    ledger_cancel(run->op);
    lane_leave(run->ticket);
    free(run);
}
