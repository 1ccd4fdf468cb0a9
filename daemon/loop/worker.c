/* SPDX-License-Identifier: MIT */
/* The one worker thread. */
#include "loop/worker.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "loop/loop.h"
#include "loop/thread.h"
#include "loop/timer.h"

/* A chain of jobs, first in, first out. */
struct jobs {
    struct worker_job *first;
    struct worker_job **last;
};

struct worker {
    pthread_t thread;
    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t wake;
    struct jobs todo;
    struct jobs finished;
    int64_t began_ms; /* the job that runs; 0: none does */
    bool ending;
    int event_fd; /* tells the loop that `finished` is not empty */
    struct loop_watch *watch;
    struct timer
        slow_timer; /* runs on while there are jobs, for arming it costs more than most of them */
    int64_t slow_ms;
    bool is_slow; /* and somebody was told */
    void (*slow)(void *arg, bool is_slow);
    void *slow_arg;
};

static void jobs_init(struct jobs *jobs)
{
    jobs->first = NULL;
    jobs->last = &jobs->first;
}

static void jobs_put(struct jobs *jobs, struct worker_job *job)
{
    job->next = NULL;
    *jobs->last = job;
    jobs->last = &job->next;
}

static struct worker_job *jobs_take(struct jobs *jobs)
{
    struct worker_job *job = jobs->first;

    if (job != NULL && (jobs->first = job->next) == NULL)
        jobs->last = &jobs->first;
    return job;
}

/* Hands a job that has run to the loop. The mutex is free when the other thread is woken, here and in
 * worker_submit: else it would run into it and sleep again. */
static void finish(struct worker *worker, struct worker_job *job)
{
    uint64_t one = 1;

    pthread_mutex_lock(&worker->mutex);
    bool first = worker->finished.first == NULL;
    jobs_put(&worker->finished, job);
    pthread_mutex_unlock(&worker->mutex);
    if (first) {
        ssize_t ignored = write(worker->event_fd, &one, sizeof(one));
        (void)ignored; /* it can only fail by counting to 2^64 */
    }
}

static void *thread_main(void *arg)
{
    struct worker *worker = arg;
    struct worker_job *job;

    pthread_mutex_lock(&worker->mutex);
    for (;;) {
        while ((job = jobs_take(&worker->todo)) != NULL) {
            worker->began_ms = clock_mono_ms();
            pthread_mutex_unlock(&worker->mutex);
            job->run(job->arg);
            finish(worker, job);
            pthread_mutex_lock(&worker->mutex);
            worker->began_ms = 0;
        }
        if (worker->ending)
            break;
        pthread_cond_wait(&worker->wake, &worker->mutex);
    }
    pthread_mutex_unlock(&worker->mutex);
    return NULL;
}

/* --- one that takes long --- */

static void look_again(struct worker *worker, int64_t delay_ms)
{
    if (worker->slow != NULL && !timer_is_set(&worker->slow_timer))
        timer_set(&worker->slow_timer, delay_ms);
}

static void on_slow_timer(void *arg)
{
    struct worker *worker = arg;

    pthread_mutex_lock(&worker->mutex);
    int64_t began_ms = worker->began_ms;
    pthread_mutex_unlock(&worker->mutex);
    if (began_ms == 0 || worker->is_slow)
        return;
    int64_t left_ms = began_ms + worker->slow_ms - clock_mono_ms();
    if (left_ms > 0) {
        look_again(worker, left_ms);
        return;
    }
    worker->is_slow = true;
    worker->slow(worker->slow_arg, true);
}

static void slow_is_over(struct worker *worker)
{
    if (!worker->is_slow)
        return;
    worker->is_slow = false;
    look_again(worker, worker->slow_ms); /* others wait behind it */
    worker->slow(worker->slow_arg, false);
}

void worker_on_slow(struct worker *worker, int64_t slow_ms, void (*slow)(void *arg, bool is_slow),
                    void *arg)
{
    worker->slow_ms = slow_ms;
    worker->slow = slow;
    worker->slow_arg = arg;
}

/* --- on the loop --- */

/* Tells the owners of the jobs that have run. */
static void on_finished(void *arg)
{
    struct worker *worker = arg;
    struct jobs finished;
    struct worker_job *job;
    uint64_t count;

    pthread_mutex_lock(&worker->mutex);
    ssize_t ignored = read(worker->event_fd, &count, sizeof(count));
    (void)ignored;
    finished.first = worker->finished.first;
    jobs_init(&worker->finished);
    pthread_mutex_unlock(&worker->mutex);
    if (finished.first != NULL)
        slow_is_over(worker);
    while ((job = finished.first) != NULL) {
        finished.first = job->next; /* done may free the job */
        job->done(job->arg);
    }
}

struct worker *worker_new(struct loop *loop)
{
    struct worker *worker = xcalloc(1, sizeof(*worker));

    pthread_mutex_init(&worker->mutex, NULL);
    pthread_cond_init(&worker->wake, NULL);
    jobs_init(&worker->todo);
    jobs_init(&worker->finished);
    worker->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (worker->event_fd < 0)
        fatal("no worker thread");
    worker->watch = loop_watch_read(loop, worker->event_fd, on_finished, worker);
    timer_init(&worker->slow_timer, loop, on_slow_timer, worker);
    if (thread_start(thread_main, worker, &worker->thread) != 0)
        fatal("no worker thread");
    return worker;
}

void worker_free(struct worker *worker)
{
    struct worker_job *job;

    if (worker == NULL)
        return;
    pthread_mutex_lock(&worker->mutex);
    worker->ending = true;
    pthread_cond_signal(&worker->wake);
    pthread_mutex_unlock(&worker->mutex);
    pthread_join(worker->thread, NULL);
    on_finished(worker);
    while ((job = jobs_take(&worker->todo)) != NULL) {
        job->run(job->arg);
        job->done(job->arg);
    }
    timer_done(&worker->slow_timer);
    loop_watch_free(worker->watch);
    close(worker->event_fd);
    pthread_cond_destroy(&worker->wake);
    pthread_mutex_destroy(&worker->mutex);
    free(worker);
}

void worker_submit(struct worker *worker, struct worker_job *job)
{
    pthread_mutex_lock(&worker->mutex);
    jobs_put(&worker->todo, job);
    pthread_mutex_unlock(&worker->mutex);
    pthread_cond_signal(&worker->wake);
    look_again(worker, worker->slow_ms);
}
