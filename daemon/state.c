/* SPDX-License-Identifier: MIT */
/* What stands in state_dir, kept in use. */
#include "state.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/str.h"
#include "base/unit.h"
#include "flow/flow.h"
#include "loop/backoff.h"
#include "loop/child.h"
#include "loop/orphans.h"
#include "loop/roster.h"
#include "loop/timer.h"
#include "store/ledger.h"
#include "store/spool.h"

#define RETRY_FIRST_MS 1000
#define RETRY_CAP_MS   30000

struct state {
    struct state_context context;
    char *directory;
    struct ledger *ledger;
    struct spool *spool;
    struct flow *flow;
    struct roster *roster;
    struct orphans *orphans;
    struct timer timer; /* the next try to open the roster */
    struct backoff backoff;
    unsigned failures; /* in a row */
    struct err err;
};

/* Says a failure, unless it was said before. */
static void tell(struct state *state, const char *what, const struct err *err, int64_t delay_ms)
{
    bool news = state->failures == 0 || !str_equal(state->err.text, err->text);
    char wait[UNIT_TEXT_MAX];

    state->err = *err;
    state->failures++;
    log_write(news ? LOG_LEVEL_ERR : LOG_LEVEL_DEBUG, NULL,
              "%s: %s; no message is taken until it can be, next try in %s", what, err->text,
              unit_duration_human(delay_ms, wait));
    state->context.changed(state->context.arg);
}

static void all_well(struct state *state, const char *what)
{
    if (state->failures == 0)
        return;
    log_info(NULL, "%s", what);
    state->failures = 0;
    state->context.changed(state->context.arg);
}

/* --- the runs --- */

/* What an earlier daemon left running runs no more: its messages may come. */
static void on_orphans_ended(void *arg)
{
    const struct state *state = arg;

    flow_hold(state->flow, FLOW_HOLD_ORPHANS, false);
}

/* Only when the ledger stands: then the directory is ours. */
static void open_roster(struct state *state)
{
    struct err err;

    if (state->roster != NULL)
        return;
    if (!roster_open(state->directory, &state->roster, &err)) {
        int64_t delay_ms = backoff_next(&state->backoff);

        tell(state, "list of runs can not be used", &err, delay_ms);
        timer_set(&state->timer, delay_ms);
        return;
    }
    all_well(state, "list of runs can be used again");
    children_use(state->context.children, state->roster);
    state->orphans = orphans_start(state->context.loop, state->roster, on_orphans_ended, state);
}

static void on_timer(void *arg)
{
    struct state *state = arg;

    if (!ledger_is_broken(state->ledger))
        open_roster(state);
}

/* --- the ledger --- */

/* Nothing that a hook does can be put on record: no more is begun until it can be. */
static void on_broken(void *arg, const struct err *err, int64_t delay_ms)
{
    struct state *state = arg;

    if (delay_ms == 0) {
        log_err(NULL,
                "ledger can not be written at the end: %s; hooks that were done since it failed "
                "may run again",
                err->text);
        return;
    }
    tell(state, "ledger can not be written", err, delay_ms);
    flow_hold(state->flow, FLOW_HOLD_LEDGER, true);
}

static void on_spool_looked(void *arg, const struct err *err)
{
    const struct state *state = arg;

    if (err != NULL)
        log_warning(NULL, "spool: %s", err->text);
    if (spool_count(state->spool) > 0)
        flow_look_at_spool(state->flow);
}

static void on_works(void *arg)
{
    struct state *state = arg;

    all_well(state, "ledger can be written again");
    flow_hold(state->flow, FLOW_HOLD_LEDGER, false);
    open_roster(state);
    /* Records may be in reach that were not before. It ends with the worker, before the flow does. */
    (void)spool_look(state->spool, on_spool_looked, state);
}

static void on_mended(void *arg, const char *text)
{
    (void)arg;
    log_err(NULL, "%s", text);
}

static const struct ledger_events ledger_events = {
    .broken = on_broken,
    .works = on_works,
    .mended = on_mended,
};

/* --- life --- */

struct state *state_open(const struct state_context *context, const char *directory,
                         struct err *err)
{
    struct state *state = xcalloc(1, sizeof(*state));

    state->ledger =
        ledger_open(context->loop, context->worker, directory, &ledger_events, state, err);
    if (state->ledger == NULL) {
        free(state);
        return NULL;
    }
    state->context = *context;
    state->directory = xstrdup(directory);
    state->spool = spool_open(context->worker, directory);
    timer_init(&state->timer, context->loop, on_timer, state);
    backoff_init(&state->backoff, RETRY_FIRST_MS, RETRY_CAP_MS);
    return state;
}

struct ledger *state_ledger(const struct state *state)
{
    return state->ledger;
}

struct spool *state_spool(const struct state *state)
{
    return state->spool;
}

void state_begin(struct state *state, struct flow *flow)
{
    state->flow = flow;
    flow_hold(flow, FLOW_HOLD_ORPHANS, true);
    if (ledger_is_broken(state->ledger))
        flow_hold(flow, FLOW_HOLD_LEDGER, true);
    else
        open_roster(state);
}

unsigned state_trouble(const struct state *state, const char **ret_words)
{
    *ret_words = state->err.text;
    return state->failures;
}

void state_close(struct state *state)
{
    if (state == NULL)
        return;
    ledger_close(state->ledger);
    spool_close(state->spool);
    orphans_free(state->orphans);
    roster_close(state->roster);
    timer_done(&state->timer);
    free(state->directory);
    free(state);
}
