/* SPDX-License-Identifier: MIT */
/* Messages that wait here for their next try. */
#include "flow/waits.h"

#include "base/alloc.h"
#include "base/clock.h"

void waits_wake(struct waits *waits)
{
    const struct wait *first = TAILQ_FIRST(&waits->list);

    if (first == NULL)
        timer_clear(&waits->timer);
    else
        timer_set(&waits->timer, max_of(first->due_ms - clock_mono_ms(), 0));
}

static void on_timer(void *arg)
{
    waits_serve(arg);
}

void waits_init(struct waits *waits, struct loop *loop, const struct waits_events *events,
                void *arg)
{
    *waits = (struct waits){.events = events, .arg = arg};
    TAILQ_INIT(&waits->list);
    timer_init(&waits->timer, loop, on_timer, waits);
}

void waits_done(struct waits *waits)
{
    timer_done(&waits->timer);
}

bool waits_add(struct waits *waits, struct wait *wait, void *owner, int64_t delay_ms)
{
    struct wait *before = TAILQ_LAST(&waits->list, wait_list);

    if (waits->count >= WAITS_MAX)
        return false;
    *wait = (struct wait){
        .waits = waits, .owner = owner, .due_ms = clock_mono_ms() + max_of(delay_ms, 0)};
    while (before != NULL && before->due_ms > wait->due_ms)
        before = TAILQ_PREV(before, wait_list, entry);
    if (before == NULL)
        TAILQ_INSERT_HEAD(&waits->list, wait, entry);
    else
        TAILQ_INSERT_AFTER(&waits->list, before, wait, entry);
    waits->count++;
    if (before == NULL)
        waits_wake(waits);
    return true;
}

void waits_move(struct wait *wait, struct waits *to)
{
    int64_t delay_ms = wait->due_ms - clock_mono_ms();

    waits_leave(wait);
    if (!waits_add(to, wait, wait->owner, delay_ms))
        fatal("more messages wait than may");
}

void waits_leave(struct wait *wait)
{
    struct waits *waits = wait->waits;

    if (waits == NULL)
        return;
    TAILQ_REMOVE(&waits->list, wait, entry);
    waits->count--;
    wait->waits = NULL;
}

void waits_serve(struct waits *waits)
{
    struct wait *first;
    int64_t now_ms = clock_mono_ms();

    while ((first = TAILQ_FIRST(&waits->list)) != NULL && first->due_ms <= now_ms) {
        if (!waits->events->has_room(waits->arg))
            return;
        waits_leave(first);
        waits->events->due(waits->arg, first->owner);
    }
    waits_wake(waits);
}
