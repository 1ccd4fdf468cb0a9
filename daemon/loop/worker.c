/* SPDX-License-Identifier: MIT */
/* The one worker thread. */
#include "loop/worker.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "loop/loop.h"
#include "loop/thread.h"

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
    bool ending;
    int event_fd; /* tells the loop that `finished` is not empty */
    struct loop_watch *watch;
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
            pthread_mutex_unlock(&worker->mutex);
            job->run(job->arg);
            finish(worker, job);
            pthread_mutex_lock(&worker->mutex);
        }
        if (worker->ending)
            break;
        pthread_cond_wait(&worker->wake, &worker->mutex);
    }
    pthread_mutex_unlock(&worker->mutex);
    return NULL;
}

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
}
