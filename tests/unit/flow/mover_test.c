/* SPDX-License-Identifier: MIT */
/* The mover and a stop. What it moves, and when, is seen from outside: tests/e2e/test_spool.py. */
#include "../loop/waiting.h"

#include <semaphore.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/err.h"
#include "flow/mover.h"
#include "flow/trouble.h"
#include "loop/worker.h"
#include "store/spool.h"

#define QUEUE "https://a.queue.core.windows.net/q"

struct fixture {
    struct loop *loop;
    struct worker *worker;
    struct spool *spool;
    char place[32];
    sem_t disk; /* answers once it is posted */
    unsigned stored, rested;
    char *claimed; /* the record that was read */
};

static int set_up(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));

    strcpy(fixture->place, "/tmp/cvn-mover-XXXXXX");
    assert_non_null(mkdtemp(fixture->place));
    assert_int_equal(sem_init(&fixture->disk, 0, 0), 0);
    fixture->loop = loop_new();
    fixture->worker = worker_new(fixture->loop);
    fixture->spool = spool_open(fixture->worker, fixture->place);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    autofree char *command = xasprintf("rm -r '%s'", fixture->place);

    worker_free(fixture->worker);
    spool_close(fixture->spool);
    loop_free(fixture->loop);
    sem_destroy(&fixture->disk);
    free(fixture->claimed);
    int status = system(command);
    free(fixture);
    return status;
}

static void on_stored(void *arg, const struct err *err)
{
    struct fixture *fixture = arg;

    assert_null(err);
    fixture->stored++;
}

static bool is_stored(void *arg)
{
    const struct fixture *fixture = arg;

    return fixture->stored > 0;
}

static void on_read(void *arg, const struct spool_record *record, const struct err *err)
{
    struct fixture *fixture = arg;

    assert_null(err);
    fixture->claimed = xstrdup(record->text);
}

static bool is_claimed(void *arg)
{
    const struct fixture *fixture = arg;

    return fixture->claimed != NULL;
}

static void on_rested(void *arg)
{
    struct fixture *fixture = arg;

    fixture->rested++;
}

static bool has_rested(void *arg)
{
    const struct fixture *fixture = arg;

    return fixture->rested > 0;
}

static bool is_busy(void *arg)
{
    return mover_is_busy(arg);
}

static void wait_for_disk(void *arg)
{
    struct fixture *fixture = arg;

    while (sem_wait(&fixture->disk) != 0)
        continue;
}

static void do_nothing(void *arg)
{
    (void)arg;
}

static void a_record_that_is_being_read_at_a_stop_is_not_put(void **state)
{
    struct fixture *fixture = *state;
    struct worker_job job = {.run = wait_for_disk, .done = do_nothing, .arg = fixture};
    struct trouble trouble = {0};

    assert_non_null(spool_put(fixture->spool, QUEUE, "id-1", "text", on_stored, fixture));
    run_until(fixture->loop, is_stored, fixture);
    worker_submit(fixture->worker, &job);
    struct mover *mover = mover_new(&(struct mover_context){
        .loop = fixture->loop,
        .spool = fixture->spool,
        .poison = NULL, /* to be left alone */
        .queue_url = QUEUE,
        .name = "events",
        .trouble = &trouble,
        .rested = on_rested,
        .arg = fixture,
    });
    run_until(fixture->loop, is_busy, mover);
    mover_drain(mover);
    sem_post(&fixture->disk);
    run_until(fixture->loop, has_rested, fixture);
    assert_false(mover_is_busy(mover));
    mover_free(mover);
    /* It is there for who comes next. */
    assert_non_null(spool_next(fixture->spool, QUEUE, on_read, fixture));
    run_until(fixture->loop, is_claimed, fixture);
    assert_string_equal(fixture->claimed, "text");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_record_that_is_being_read_at_a_stop_is_not_put, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
