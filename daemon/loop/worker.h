/* SPDX-License-Identifier: MIT */
/*
 * The one worker thread, for what may block: disks and users. Jobs run in the order submitted; each
 * completes on the loop. A job owns its data while it runs and touches nothing else; who loses
 * interest marks its own data and lets done free it.
 */
#ifndef LOOP_WORKER_H
#define LOOP_WORKER_H

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct worker;

struct worker_job {
    void (*run)(void *arg);  /* on the worker thread */
    void (*done)(void *arg); /* on the loop, after run; exactly once */
    void *arg;
    struct worker_job *next; /* the worker's own */
};

struct worker *worker_new(struct loop *loop);
/* Asks to be told, from the loop, when one job takes longer than slow_ms: true then, false when it has
 * ended after all. */
void worker_on_slow(struct worker *worker, int64_t slow_ms, void (*slow)(void *arg, bool is_slow),
                    void *arg);
/* Ends the thread once what was submitted has run, and completes it: done fires from here. What a
 * done submits is run and completed here too. NULL is fine. */
void worker_free(struct worker *worker);
/* job lives in the caller's memory until done fires. */
void worker_submit(struct worker *worker, struct worker_job *job);

#endif
