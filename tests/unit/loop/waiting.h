/* SPDX-License-Identifier: MIT */
/*
 * Waiting in tests: the loop is turned until what is waited for has come, or until a deadline fails the
 * test. Nothing sleeps a fixed while.
 */
#ifndef TESTS_LOOP_WAITING_H
#define TESTS_LOOP_WAITING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <cmocka.h>

#include "loop/loop.h"
#include "loop/timer.h"

#define DEADLINE_MS 20000
#define LOOK_MS     5

/* libevent reads the kernel's coarse clock: a timer may be early by a tick of that, which is 10 ms at the most. */
#define GRAIN_MS 10

struct waiting {
    struct loop *loop;
    struct timer deadline;
    struct timer look;
    bool (*is_so)(void *arg);
    void *arg;
    bool late;
};

static void waiting_on_deadline(void *arg)
{
    struct waiting *waiting = arg;

    waiting->late = true;
    loop_stop(waiting->loop);
}

static void waiting_on_look(void *arg)
{
    struct waiting *waiting = arg;

    if (waiting->is_so(waiting->arg))
        loop_stop(waiting->loop);
    else
        timer_set(&waiting->look, LOOK_MS);
}

/* Whether it came in time. A NULL is_so: somebody else stops the loop. */
static inline bool waiting_in_time(struct loop *loop, bool (*is_so)(void *arg), void *arg,
                                   int64_t limit_ms)
{
    struct waiting waiting = {.loop = loop, .is_so = is_so, .arg = arg};

    timer_init(&waiting.deadline, loop, waiting_on_deadline, &waiting);
    timer_init(&waiting.look, loop, waiting_on_look, &waiting);
    timer_set(&waiting.deadline, limit_ms);
    if (is_so != NULL)
        timer_set(&waiting.look, 0);
    loop_run(loop);
    timer_done(&waiting.deadline);
    timer_done(&waiting.look);
    return !waiting.late;
}

/* Turns the loop until somebody stops it. */
static inline void run_until_stopped(struct loop *loop)
{
    if (!waiting_in_time(loop, NULL, NULL, DEADLINE_MS))
        fail_msg("nothing has stopped the loop within %d ms", DEADLINE_MS);
}

static inline void run_until(struct loop *loop, bool (*is_so)(void *arg), void *arg)
{
    if (!waiting_in_time(loop, is_so, arg, DEADLINE_MS))
        fail_msg("what was waited for has not come within %d ms", DEADLINE_MS);
}

static inline bool moment_is_over(void *arg)
{
    unsigned *left = arg;

    return (*left)-- == 0;
}

/* Lets everything that is due now happen: for showing that something does not. Counted in turns of the loop, so
 * that a machine that stands still meanwhile has not used it up. */
static inline void run_a_moment(struct loop *loop)
{
    unsigned left = 30 / LOOK_MS;

    (void)waiting_in_time(loop, moment_is_over, &left, DEADLINE_MS);
}

/* Whether a process still does something: a zombie does not. */
static inline bool process_lives(pid_t pid)
{
    char path[64], text[512] = "";
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");

    if (file == NULL)
        return false;
    size_t len = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    text[len] = '\0';
    const char *state = strrchr(text, ')');
    return state != NULL && state[2] != 'Z' && state[2] != 'X';
}

static inline bool process_is_gone(void *arg)
{
    return !process_lives(*(pid_t *)arg);
}

#endif
