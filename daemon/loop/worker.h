/* SPDX-License-Identifier: MIT */
/*
 * The one worker thread, for what may block: disks and names. Jobs run in the order submitted; each
 * completes on the loop. A job owns its data while it runs and touches nothing else.
 */
#ifndef LOOP_WORKER_H
#define LOOP_WORKER_H

#include <stdbool.h>

struct loop;
struct worker;

struct worker_job {
    void (*run)(void *arg);  /* on the worker thread */
    void (*done)(void *arg); /* on the loop, after run; exactly once, unless abandoned */
    void *arg;
    struct worker_job *next; /* the worker's */
    bool abandoned;          /* the worker's */
};

struct worker *worker_new(struct loop *loop);
/* Waits for the jobs that were submitted, calls no done, and ends the thread. */
void worker_free(struct worker *worker);
/* job lives in the caller's memory until done fires. */
void worker_submit(struct worker *worker, struct worker_job *job);

#endif
