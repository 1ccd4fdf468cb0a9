/* SPDX-License-Identifier: MIT */
/* The loop: deferred calls, signals, watched files. */
#include "waiting.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct fixture {
    struct loop *loop;
    char order[64];
    unsigned again; /* how often a deferred call defers another */
    struct loop_watch *watch;
    int fds[2];
};

static int set_up(void **state)
{
    static struct fixture fixture;

    fixture = (struct fixture){.loop = loop_new()};
    *state = &fixture;
    return pipe(fixture.fds);
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    loop_watch_free(fixture->watch);
    loop_free(fixture->loop);
    close(fixture->fds[0]);
    close(fixture->fds[1]);
    return 0;
}

static void note(struct fixture *fixture, char c)
{
    fixture->order[strlen(fixture->order)] = c;
}

static void call_a(void *arg)
{
    note(arg, 'a');
}

static void call_b(void *arg)
{
    note(arg, 'b');
}

static void call_stop(void *arg)
{
    struct fixture *fixture = arg;

    note(fixture, 's');
    loop_stop(fixture->loop);
}

static void call_again(void *arg)
{
    struct fixture *fixture = arg;

    note(fixture, 'r');
    if (fixture->again-- > 0)
        loop_defer(fixture->loop, call_again, fixture);
}

static void deferred_calls_come_in_order_and_from_the_loop(void **state)
{
    struct fixture *fixture = *state;

    loop_defer(fixture->loop, call_a, fixture);
    loop_defer(fixture->loop, call_b, fixture);
    loop_defer(fixture->loop, call_a, fixture);
    loop_defer(fixture->loop, call_stop, fixture);
    assert_string_equal(fixture->order, "");
    run_until_stopped(fixture->loop);
    assert_string_equal(fixture->order, "abas");
    run_a_moment(fixture->loop);
    assert_string_equal(fixture->order, "abas");
}

static void a_deferred_call_may_defer(void **state)
{
    struct fixture *fixture = *state;

    fixture->again = 3;
    loop_defer(fixture->loop, call_again, fixture);
    run_a_moment(fixture->loop);
    assert_string_equal(fixture->order, "rrrr");
}

static void what_is_due_when_the_loop_is_freed_is_called(void **state)
{
    struct fixture *fixture = *state;

    fixture->again = 2;
    loop_defer(fixture->loop, call_a, fixture);
    loop_defer(fixture->loop, call_again, fixture); /* which defers while the loop is being freed */
    loop_free(fixture->loop);
    fixture->loop = NULL;
    assert_string_equal(fixture->order, "arrr");
}

static void freeing_nothing_is_fine(void **state)
{
    (void)state;
    loop_free(NULL);
    loop_watch_free(NULL);
}

static void a_loop_that_was_stopped_runs_again(void **state)
{
    struct fixture *fixture = *state;

    loop_defer(fixture->loop, call_stop, fixture);
    run_until_stopped(fixture->loop);
    loop_defer(fixture->loop, call_stop, fixture);
    run_until_stopped(fixture->loop);
    assert_string_equal(fixture->order, "ss");
}

static void every_signal_is_heard(void **state)
{
    struct fixture *fixture = *state;

    loop_on_signal(fixture->loop, SIGUSR1, call_a, fixture);
    loop_on_signal(fixture->loop, SIGUSR2, call_stop, fixture);
    raise(SIGUSR1);
    run_a_moment(fixture->loop);
    assert_string_equal(fixture->order, "a");
    raise(SIGUSR1);
    raise(SIGUSR2);
    run_until_stopped(fixture->loop);
    run_a_moment(fixture->loop);
    assert_int_equal(strlen(fixture->order), 3);
}

static void read_one(void *arg)
{
    struct fixture *fixture = arg;
    char c = '-';

    if (read(fixture->fds[0], &c, 1) == 1)
        note(fixture, c);
    else
        call_stop(fixture);
}

static void a_watch_tells_of_bytes_and_of_the_end(void **state)
{
    struct fixture *fixture = *state;

    fixture->watch = loop_watch_read(fixture->loop, fixture->fds[0], read_one, fixture);
    assert_int_equal(write(fixture->fds[1], "xyz", 3), 3);
    run_a_moment(fixture->loop);
    assert_string_equal(fixture->order, "xyz");
    close(fixture->fds[1]);
    fixture->fds[1] = -1;
    run_until_stopped(fixture->loop);
    assert_string_equal(fixture->order, "xyzs");
}

static void free_watch(void *arg)
{
    struct fixture *fixture = arg;

    note(fixture, 'f');
    loop_watch_free(fixture->watch);
    fixture->watch = NULL;
}

static void a_watch_may_be_freed_in_its_callback(void **state)
{
    struct fixture *fixture = *state;

    fixture->watch = loop_watch_read(fixture->loop, fixture->fds[0], free_watch, fixture);
    assert_int_equal(write(fixture->fds[1], "xyz", 3), 3);
    run_a_moment(fixture->loop);
    assert_string_equal(fixture->order, "f");
    assert_int_equal(write(fixture->fds[1], "x", 1), 1); /* still open */
}

static void room_to_write_is_told(void **state)
{
    struct fixture *fixture = *state;

    fixture->watch = loop_watch_write(fixture->loop, fixture->fds[1], free_watch, fixture);
    run_a_moment(fixture->loop);
    assert_string_equal(fixture->order, "f");
}

static int64_t cpu_ms(void)
{
    struct timespec used;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (int64_t)used.tv_sec * 1000 + used.tv_nsec / 1000000;
}

/* As a child holds one between fork and exec. */
static void a_copy_of_a_closed_descriptor_does_not_keep_the_loop_busy(void **state)
{
    struct fixture *fixture = *state;
    int copy = dup(fixture->fds[0]), null = open("/dev/null", O_RDWR);

    fixture->watch = loop_watch_read(fixture->loop, fixture->fds[0], NULL, NULL);
    run_a_moment(fixture->loop);
    loop_watch_free(fixture->watch);
    fixture->watch = NULL;
    /* Closes both; the copy's end of file is what would be told. */
    assert_int_equal(dup2(null, fixture->fds[0]), fixture->fds[0]);
    assert_int_equal(dup2(null, fixture->fds[1]), fixture->fds[1]);
    int64_t before_ms = cpu_ms();
    run_a_moment(fixture->loop);
    assert_true(cpu_ms() - before_ms < 10);
    close(copy);
    close(null);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(deferred_calls_come_in_order_and_from_the_loop),
        TEST(a_deferred_call_may_defer),
        TEST(what_is_due_when_the_loop_is_freed_is_called),
        TEST(freeing_nothing_is_fine),
        TEST(a_loop_that_was_stopped_runs_again),
        TEST(every_signal_is_heard),
        TEST(a_watch_tells_of_bytes_and_of_the_end),
        TEST(a_watch_may_be_freed_in_its_callback),
        TEST(room_to_write_is_told),
        TEST(a_copy_of_a_closed_descriptor_does_not_keep_the_loop_busy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
