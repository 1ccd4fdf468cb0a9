/* SPDX-License-Identifier: MIT */
/* Ending the runs that outlived their daemon. */
#include "loop/orphans.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/unit.h"
#include "loop/roster.h"
#include "loop/timer.h"

#define LOOK_MS 50 /* how often to look who lives: not our children, nobody tells us of their end */
#define KILL_WAIT_MS                                                                               \
    10000 /* how long a KILL may take: who hangs in a disk or network file system */

enum orphan_state {
    ORPHAN_ENDING, /* TERM was sent */
    ORPHAN_LEFT,   /* and the process ended, but others of its group live on, within the grace */
    ORPHAN_KILLED, /* KILL was sent */
    ORPHAN_OVER,   /* or given up */
};

struct orphan {
    struct orphans *orphans;
    const struct roster_run *run;
    enum orphan_state state;
    struct timer timer; /* the next look */
    int64_t until_ms;   /* the grace, then the wait after KILL */
};

struct orphans {
    struct loop *loop;
    struct roster *roster;
    struct orphan *all;
    unsigned count;
    unsigned left; /* of them, not over */
    struct timer timer;
    void (*done)(void *arg);
    void *arg;
};

static void tell(const struct orphan *orphan, enum log_level level, const char *what)
{
    const struct roster_record *record = &orphan->run->record;
    const struct log_field fields[] = {
        {"hook", record->hook[0] != '\0' ? record->hook : NULL},
        {"message_id", record->message_id[0] != '\0' ? record->message_id : NULL},
        {NULL, NULL},
    };

    log_write(level, fields, "process group %d of a run that outlived its daemon %s",
              (int)record->pid, what);
}

static void be_over(struct orphan *orphan)
{
    struct orphans *orphans = orphan->orphans;

    orphan->state = ORPHAN_OVER;
    timer_clear(&orphan->timer);
    if (--orphans->left == 0)
        timer_set(&orphans->timer, 0);
}

static void has_ended(struct orphan *orphan, const char *how)
{
    tell(orphan, LOG_LEVEL_INFO, how);
    roster_release(orphan->orphans->roster, orphan->run->slot);
    be_over(orphan);
}

/* Its slot stays taken: the next daemon tries again. */
static void give_up(struct orphan *orphan, const char *why)
{
    autofree char *text = xasprintf("can not be ended: %s; its hook may run twice at once", why);

    tell(orphan, LOG_LEVEL_ERR, text);
    be_over(orphan);
}

/* To the whole group, whose number is its leader's. False when it was given up. */
static bool signal_group(struct orphan *orphan, int signal_number)
{
    if (kill(-orphan->run->record.pid, signal_number) == 0 || errno == ESRCH)
        return true;
    autofree char *why =
        xasprintf("%s%s", strerror(errno), errno == EPERM ? " (root, or CAP_KILL, is needed)" : "");
    give_up(orphan, why);
    return false;
}

static bool group_lives(const struct orphan *orphan)
{
    return kill(-orphan->run->record.pid, 0) == 0 || errno == EPERM;
}

/* The process has ended; those whom it left in its group have the rest of the grace. */
static void await_group(struct orphan *orphan, int64_t left_ms)
{
    if (!group_lives(orphan)) {
        has_ended(orphan, "has ended");
    } else if (left_ms > 0) {
        orphan->state = ORPHAN_LEFT;
        timer_set(&orphan->timer, min_of(left_ms, LOOK_MS));
    } else if (signal_group(orphan, SIGKILL)) {
        has_ended(orphan, "has ended, what it left behind was killed");
    }
}

/* Until the process has ended, or the grace has passed. */
static void await_end(struct orphan *orphan, int64_t left_ms)
{
    if (!roster_lives(&orphan->run->record)) {
        await_group(orphan, left_ms);
    } else if (left_ms > 0) {
        timer_set(&orphan->timer, min_of(left_ms, LOOK_MS));
    } else if (signal_group(orphan, SIGKILL)) {
        orphan->state = ORPHAN_KILLED;
        orphan->until_ms = clock_mono_ms() + KILL_WAIT_MS;
        timer_set(&orphan->timer, LOOK_MS);
    }
}

static void await_death(struct orphan *orphan, int64_t left_ms)
{
    if (!roster_lives(&orphan->run->record))
        has_ended(orphan, "has been killed after its grace");
    else if (left_ms > 0)
        timer_set(&orphan->timer, min_of(left_ms, LOOK_MS));
    else
        give_up(orphan, "not even KILL helps");
}

static void on_timer(void *arg)
{
    struct orphan *orphan = arg;
    int64_t left_ms = orphan->until_ms - clock_mono_ms();

    switch (orphan->state) {
    case ORPHAN_ENDING:
        await_end(orphan, left_ms);
        break;
    case ORPHAN_LEFT:
        await_group(orphan, left_ms);
        break;
    case ORPHAN_KILLED:
        await_death(orphan, left_ms);
        break;
    case ORPHAN_OVER:
        break;
    }
}

static void begin(struct orphan *orphan)
{
    const struct roster_record *record = &orphan->run->record;
    char grace[UNIT_TEXT_MAX];

    if (!roster_lives(record)) {
        has_ended(orphan, "has ended by itself");
        return;
    }
    autofree char *what = xasprintf("is told to end, and killed after its grace of %s",
                                    unit_duration_text(record->grace_ms, grace));
    tell(orphan, LOG_LEVEL_WARNING, what);
    orphan->state = ORPHAN_ENDING;
    orphan->until_ms = clock_mono_ms() + record->grace_ms;
    if (signal_group(orphan, SIGTERM))
        timer_set(&orphan->timer, min_of(record->grace_ms, LOOK_MS));
}

static void on_done(void *arg)
{
    struct orphans *orphans = arg;

    orphans->done(orphans->arg);
}

struct orphans *orphans_start(struct loop *loop, struct roster *roster, void (*done)(void *arg),
                              void *arg)
{
    struct orphans *orphans = xcalloc(1, sizeof(*orphans));
    const struct roster_run *found = roster_found(roster, &orphans->count);

    orphans->loop = loop;
    orphans->roster = roster;
    orphans->done = done;
    orphans->arg = arg;
    timer_init(&orphans->timer, loop, on_done, orphans);
    orphans->all = xcalloc(orphans->count, sizeof(*orphans->all));
    orphans->left = orphans->count;
    for (unsigned i = 0; i < orphans->count; i++) {
        struct orphan *orphan = &orphans->all[i];
        *orphan = (struct orphan){.orphans = orphans, .run = &found[i]};
        timer_init(&orphan->timer, loop, on_timer, orphan);
        begin(orphan);
    }
    if (orphans->count == 0)
        timer_set(&orphans->timer, 0);
    return orphans;
}

void orphans_free(struct orphans *orphans)
{
    if (orphans == NULL)
        return;
    for (unsigned i = 0; i < orphans->count; i++)
        timer_done(&orphans->all[i].timer);
    timer_done(&orphans->timer);
    free(orphans->all);
    free(orphans);
}
