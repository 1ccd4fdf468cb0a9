/* SPDX-License-Identifier: MIT */
/* The worker thread: order, threads, and what a free completes. */
#include "waiting.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "loop/worker.h"

#define MANY 1000

struct fixture {
    struct loop *loop;
    struct worker *worker;
    pthread_t ours;
    unsigned ran, completed;
    unsigned stop_at;
    unsigned more; /* jobs that a completion submits */
    bool in_order;
    bool good_threads;
    bool signals_blocked;
};

struct job {
    struct worker_job job;
    struct fixture *fixture;
    unsigned number;
};

static int set_up(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));

    fixture->loop = loop_new();
    fixture->worker = worker_new(fixture->loop);
    fixture->ours = pthread_self();
    fixture->in_order = fixture->good_threads = fixture->signals_blocked = true;
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    worker_free(fixture->worker);
    loop_free(fixture->loop);
    free(fixture);
    return 0;
}

static void submit(struct fixture *fixture, unsigned number);

static void job_run(void *arg)
{
    struct job *job = arg;
    struct fixture *fixture = job->fixture;
    sigset_t mask;

    fixture->in_order &= fixture->ran++ == job->number;
    fixture->good_threads &= !pthread_equal(pthread_self(), fixture->ours);
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    fixture->signals_blocked &= sigismember(&mask, SIGTERM) && sigismember(&mask, SIGCHLD);
}

static void job_done(void *arg)
{
    struct job *job = arg;
    struct fixture *fixture = job->fixture;

    fixture->in_order &= fixture->completed++ == job->number;
    fixture->good_threads &= pthread_equal(pthread_self(), fixture->ours);
    free(job);
    if (fixture->more > 0) {
        fixture->more--;
        submit(fixture, fixture->completed);
    } else if (fixture->completed == fixture->stop_at) {
        loop_stop(fixture->loop);
    }
}

static void submit(struct fixture *fixture, unsigned number)
{
    struct job *job = xcalloc(1, sizeof(*job));

    job->fixture = fixture;
    job->number = number;
    job->job = (struct worker_job){.run = job_run, .done = job_done, .arg = job};
    worker_submit(fixture->worker, &job->job);
}

static void jobs_run_in_order_there_and_complete_here(void **state)
{
    struct fixture *fixture = *state;

    fixture->stop_at = MANY;
    for (unsigned i = 0; i < MANY; i++)
        submit(fixture, i);
    run_until_stopped(fixture->loop);
    assert_int_equal(fixture->ran, MANY);
    assert_int_equal(fixture->completed, MANY);
    assert_true(fixture->in_order);
    assert_true(fixture->good_threads);
}

static void signals_are_the_loops(void **state)
{
    struct fixture *fixture = *state;
    sigset_t mask;

    fixture->stop_at = 1;
    submit(fixture, 0);
    run_until_stopped(fixture->loop);
    assert_true(fixture->signals_blocked);
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    assert_false(sigismember(&mask, SIGTERM));
}

static void nothing_completes_from_inside_submit(void **state)
{
    struct fixture *fixture = *state;

    fixture->stop_at = MANY;
    for (unsigned i = 0; i < MANY; i++) {
        submit(fixture, i);
        assert_int_equal(fixture->completed, 0);
    }
    run_until_stopped(fixture->loop);
}

static void a_completion_may_submit(void **state)
{
    struct fixture *fixture = *state;

    fixture->more = 50;
    fixture->stop_at = 51;
    submit(fixture, 0);
    run_until_stopped(fixture->loop);
    assert_int_equal(fixture->completed, 51);
    assert_true(fixture->in_order);
}

static void freeing_runs_and_completes_what_was_submitted(void **state)
{
    struct fixture *fixture = *state;

    for (unsigned i = 0; i < MANY; i++)
        submit(fixture, i);
    worker_free(fixture->worker);
    fixture->worker = NULL;
    assert_int_equal(fixture->ran, MANY);
    assert_int_equal(fixture->completed, MANY);
    assert_true(fixture->in_order);
}

static void freeing_completes_what_a_completion_submits(void **state)
{
    struct fixture *fixture = *state;

    fixture->more = 5;
    submit(fixture, 0);
    worker_free(fixture->worker);
    fixture->worker = NULL;
    assert_int_equal(fixture->ran, 6);
    assert_int_equal(fixture->completed, 6);
}

static void freeing_nothing_is_fine(void **state)
{
    (void)state;
    worker_free(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(jobs_run_in_order_there_and_complete_here),
        TEST(signals_are_the_loops),
        TEST(nothing_completes_from_inside_submit),
        TEST(a_completion_may_submit),
        TEST(freeing_runs_and_completes_what_was_submitted),
        TEST(freeing_completes_what_a_completion_submits),
        TEST(freeing_nothing_is_fine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
