/* SPDX-License-Identifier: MIT */
/* The worker thread: order, threads, and what a free completes. */
#include "waiting.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
    unsigned slow; /* how often a job was said to be */
    bool is_slow;
    bool works_again;      /* it may end */
    pthread_mutex_t mutex; /* of works_again */
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
    pthread_mutex_init(&fixture->mutex, NULL);
    fixture->in_order = fixture->good_threads = fixture->signals_blocked = true;
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    worker_free(fixture->worker);
    loop_free(fixture->loop);
    pthread_mutex_destroy(&fixture->mutex);
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

/* --- a job that takes long --- */

static bool may_end(struct fixture *fixture)
{
    pthread_mutex_lock(&fixture->mutex);
    bool works_again = fixture->works_again;
    pthread_mutex_unlock(&fixture->mutex);
    return works_again;
}

static void hang(void *arg)
{
    struct job *job = arg;

    while (!may_end(job->fixture))
        usleep(1000);
    job_run(arg);
}

static void on_slow(void *arg, bool is_slow)
{
    struct fixture *fixture = arg;

    assert_true(pthread_equal(pthread_self(), fixture->ours));
    fixture->is_slow = is_slow;
    fixture->slow += is_slow;
    if (is_slow)
        loop_stop(fixture->loop);
}

static void submit_one_that_hangs(struct fixture *fixture, unsigned number)
{
    struct job *job = xcalloc(1, sizeof(*job));

    fixture->works_again = false;
    *job = (struct job){.fixture = fixture, .number = number};
    job->job = (struct worker_job){.run = hang, .done = job_done, .arg = job};
    worker_submit(fixture->worker, &job->job);
}

static void let_it_end(struct fixture *fixture)
{
    pthread_mutex_lock(&fixture->mutex);
    fixture->works_again = true;
    pthread_mutex_unlock(&fixture->mutex);
    run_until_stopped(fixture->loop);
}

static void a_job_that_takes_long_is_told_once_and_when_it_has_ended(void **state)
{
    struct fixture *fixture = *state;

    worker_on_slow(fixture->worker, 20, on_slow, fixture);
    for (unsigned round = 1; round <= 2; round++) {
        fixture->stop_at = 2 * round;
        submit_one_that_hangs(fixture, 2 * round - 2);
        submit(fixture, 2 * round - 1);
        run_until_stopped(fixture->loop);
        assert_int_equal(fixture->slow, round);
        assert_true(fixture->is_slow);
        assert_int_equal(fixture->completed, 2 * round - 2);
        let_it_end(fixture);
        assert_int_equal(fixture->slow, round);
        assert_false(fixture->is_slow);
        assert_int_equal(fixture->completed, 2 * round);
    }
}

static void one_that_hangs_behind_quick_ones_is_told(void **state)
{
    struct fixture *fixture = *state;

    worker_on_slow(fixture->worker, 20, on_slow, fixture);
    for (unsigned i = 0; i < MANY; i++)
        submit(fixture, i);
    fixture->stop_at = MANY + 1;
    submit_one_that_hangs(fixture, MANY);
    run_until_stopped(fixture->loop);
    assert_int_equal(fixture->slow, 1);
    let_it_end(fixture);
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
        TEST(a_job_that_takes_long_is_told_once_and_when_it_has_ended),
        TEST(one_that_hangs_behind_quick_ones_is_told),
        TEST(freeing_runs_and_completes_what_was_submitted),
        TEST(freeing_completes_what_a_completion_submits),
        TEST(freeing_nothing_is_fine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
