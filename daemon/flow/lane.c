/* SPDX-License-Identifier: MIT */
/* A hook's way through. */
#include "flow/lane.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/str.h"
#include "loop/backoff.h"
#include "loop/timer.h"

#define BROKEN_FIRST_MS 1000
#define BROKEN_CAP_MS   60000
#define FORGET_MS       600000
#define FORGET_EVERY_MS 60000

struct ticket {
    struct lane *lane;
    unsigned parallel;
    bool alone; /* of its key */
    char *key;
    lane_granted_fn *granted;
    void *arg;
    bool has_turn;
    TAILQ_ENTRY(ticket) entry;
};

TAILQ_HEAD(tickets, ticket);

struct lane {
    struct lanes *lanes;
    char *hook;
    unsigned running;
    struct tickets turns;   /* those that run */
    struct tickets waiting; /* in the order they came */
    bool broken;
    int64_t broken_until_ms;
    struct backoff backoff;
    SLIST_ENTRY(lane) entry;
};

struct lanes {
    SLIST_HEAD(, lane) all;
    struct timer timer; /* grants what became free, from the loop */
    struct timer forget_timer;
    lanes_forgot_fn *forgot;
    void *arg;
};

/* Whether another run of the same key is under way, and that matters. */
static bool key_is_taken(const struct lane *lane, const struct ticket *ticket)
{
    const struct ticket *other;

    if (!ticket->alone || ticket->key == NULL)
        return false;
    TAILQ_FOREACH (other, &lane->turns, entry) {
        if (str_equal_nocase(other->key, ticket->key))
            return true;
    }
    return false;
}

static bool may_run(const struct lane *lane, const struct ticket *ticket)
{
    return (ticket->parallel == 0 || lane->running < ticket->parallel) &&
           !key_is_taken(lane, ticket);
}

static void give_turn(struct ticket *ticket)
{
    ticket->has_turn = true;
    ticket->lane->running++;
    TAILQ_INSERT_TAIL(&ticket->lane->turns, ticket, entry);
}

/* The first that waits for a place, past those that wait for their key. */
static struct ticket *next_in_line(const struct lane *lane)
{
    struct ticket *ticket;

    TAILQ_FOREACH (ticket, &lane->waiting, entry) {
        if (!key_is_taken(lane, ticket))
            return ticket;
    }
    return NULL;
}

static void on_timer(void *arg)
{
    struct lanes *lanes = arg;
    struct lane *lane;
    struct ticket *ticket;

    SLIST_FOREACH (lane, &lanes->all, entry) {
        while ((ticket = next_in_line(lane)) != NULL && may_run(lane, ticket)) {
            TAILQ_REMOVE(&lane->waiting, ticket, entry);
            give_turn(ticket);
            ticket->granted(ticket->arg);
        }
    }
}

/* Whether it was left alone for long, and nobody wants it. */
static bool is_forgotten(const struct lane *lane, int64_t now_ms)
{
    return lane->broken && TAILQ_EMPTY(&lane->turns) && TAILQ_EMPTY(&lane->waiting) &&
           now_ms - lane->broken_until_ms >= FORGET_MS;
}

void lanes_forget(struct lanes *lanes, int64_t now_ms)
{
    bool are_left = false;
    struct lane *lane;

    SLIST_FOREACH (lane, &lanes->all, entry) {
        if (is_forgotten(lane, now_ms)) {
            (void)lane_works(lane);
            if (lanes->forgot != NULL)
                lanes->forgot(lanes->arg, lane->hook);
        }
        are_left |= lane->broken;
    }
    if (are_left)
        timer_set(&lanes->forget_timer, FORGET_EVERY_MS);
}

static void on_forget_timer(void *arg)
{
    lanes_forget(arg, clock_mono_ms());
}

void lanes_on_forgot(struct lanes *lanes, lanes_forgot_fn *forgot, void *arg)
{
    lanes->forgot = forgot;
    lanes->arg = arg;
}

struct lanes *lanes_new(struct loop *loop)
{
    struct lanes *lanes = xcalloc(1, sizeof(*lanes));

    SLIST_INIT(&lanes->all);
    timer_init(&lanes->timer, loop, on_timer, lanes);
    timer_init(&lanes->forget_timer, loop, on_forget_timer, lanes);
    return lanes;
}

void lanes_free(struct lanes *lanes)
{
    struct lane *lane;

    if (lanes == NULL)
        return;
    while ((lane = SLIST_FIRST(&lanes->all)) != NULL) {
        SLIST_REMOVE_HEAD(&lanes->all, entry);
        free(lane->hook);
        free(lane);
    }
    timer_done(&lanes->timer);
    timer_done(&lanes->forget_timer);
    free(lanes);
}

struct lane *lanes_get(struct lanes *lanes, const char *hook)
{
    struct lane *lane;

    SLIST_FOREACH (lane, &lanes->all, entry) {
        if (strcmp(lane->hook, hook) == 0)
            return lane;
    }
    lane = xcalloc(1, sizeof(*lane));
    lane->lanes = lanes;
    lane->hook = xstrdup(hook);
    TAILQ_INIT(&lane->turns);
    TAILQ_INIT(&lane->waiting);
    backoff_init(&lane->backoff, BROKEN_FIRST_MS, BROKEN_CAP_MS);
    SLIST_INSERT_HEAD(&lanes->all, lane, entry);
    return lane;
}

void lanes_mend(struct lanes *lanes)
{
    struct lane *lane;

    SLIST_FOREACH (lane, &lanes->all, entry)
        lane_works(lane);
}

bool lanes_is_broken(const struct lanes *lanes, const char *hook)
{
    const struct lane *lane;

    SLIST_FOREACH (lane, &lanes->all, entry) {
        if (strcmp(lane->hook, hook) == 0)
            return lane->broken;
    }
    return false;
}

bool lane_enter(struct lane *lane, const struct lane_claim *claim, lane_granted_fn *granted,
                void *arg, struct ticket **ret_ticket)
{
    struct ticket *ticket = xcalloc(1, sizeof(*ticket));

    *ticket = (struct ticket){.lane = lane,
                              .parallel = claim->parallel,
                              .alone = claim->alone,
                              .granted = granted,
                              .arg = arg};
    ticket->key = xstrdup(claim->key);
    *ret_ticket = ticket;
    /* Nobody overtakes those who wait for a free place; who waits for a key only is overtaken. */
    if (may_run(lane, ticket) && next_in_line(lane) == NULL) {
        give_turn(ticket);
        return true;
    }
    TAILQ_INSERT_TAIL(&lane->waiting, ticket, entry);
    return false;
}

void lane_leave(struct ticket *ticket)
{
    if (ticket == NULL)
        return;
    struct lane *lane = ticket->lane;
    if (ticket->has_turn) {
        TAILQ_REMOVE(&lane->turns, ticket, entry);
        lane->running--;
    } else {
        TAILQ_REMOVE(&lane->waiting, ticket, entry);
    }
    free(ticket->key);
    free(ticket);
    if (!TAILQ_EMPTY(&lane->waiting))
        timer_set(&lane->lanes->timer, 0);
}

int64_t lane_broke(struct lane *lane, int64_t now_ms, bool *ret_first)
{
    *ret_first = !lane->broken;
    lane->broken = true;
    if (!timer_is_set(&lane->lanes->forget_timer))
        timer_set(&lane->lanes->forget_timer, FORGET_EVERY_MS);
    /* Several runs that fail together are one failure. */
    if (lane->broken_until_ms <= now_ms)
        lane->broken_until_ms = now_ms + backoff_next(&lane->backoff);
    return lane->broken_until_ms - now_ms;
}

bool lane_works(struct lane *lane)
{
    bool was_broken = lane->broken;

    lane->broken = false;
    lane->broken_until_ms = 0;
    backoff_reset(&lane->backoff);
    return was_broken;
}

int64_t lane_broken_for(const struct lane *lane, int64_t now_ms)
{
    return lane->broken ? max_of(lane->broken_until_ms - now_ms, 0) : 0;
}
