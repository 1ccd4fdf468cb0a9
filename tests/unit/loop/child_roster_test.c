/* SPDX-License-Identifier: MIT */
/* Children in the roster: the next daemon would find those that live, and nobody else. */
#include "children.h"

#include <fcntl.h>
#include <sys/resource.h>

#define SLEEPER "echo ready; exec sleep 60"

/* Whom a daemon that starts now would find. */
static unsigned found_now(const struct fixture *fixture, struct roster_run *ret_first)
{
    struct roster *roster;
    struct err err;
    unsigned count;

    assert_true(roster_open(fixture->directory, &roster, &err));
    const struct roster_run *found = roster_found(roster, &count);
    if (count > 0)
        *ret_first = found[0];
    roster_close(roster);
    return count;
}

static void start_sleeper(struct run *run, struct fixture *fixture)
{
    run_shell(run, fixture, SLEEPER);
    run->spec.grace_ms = 1234;
    run->spec.hook = "deploy";
    run->spec.message_id = "message-1";
    run_start(run);
    run_until(fixture->loop, has_line, run);
}

static void stop(struct run *run)
{
    child_stop(run->child);
    run_until_stopped(run->fixture->loop);
    run_done(run);
}

static void who_runs_would_be_found(void **state)
{
    struct fixture *fixture = *state;
    struct roster_run found;
    struct run run;

    start_sleeper(&run, fixture);
    assert_int_equal(found_now(fixture, &found), 1);
    assert_int_equal(found.record.pid, run.pid);
    assert_int_equal(found.record.grace_ms, 1234);
    assert_string_equal(found.record.hook, "deploy");
    assert_string_equal(found.record.message_id, "message-1");
    stop(&run);
    assert_int_equal(found_now(fixture, &found), 0);
}

/* Whatever the program does first, it is in the file by then. */
static void a_program_stands_in_the_roster_when_it_begins(void **state)
{
    struct fixture *fixture = *state;
    struct run run;

    autofree char *script = xasprintf("exec grep -c message-7 %s/runs", fixture->directory);
    run_shell(&run, fixture, script);
    run.spec.message_id = "message-7";
    run_whole(&run);
    assert_string_equal(run.lines.data, "1\n");
    run_done(&run);
}

static void another_users_stands_there_too(void **state)
{
    struct fixture *fixture = *state;
    struct roster_run found;
    struct run run;

    if (geteuid() != 0)
        skip();
    run_shell(&run, fixture, SLEEPER);
    run.spec.user = "nobody";
    run_start(&run);
    run_until(fixture->loop, has_line, &run);
    assert_int_equal(found_now(fixture, &found), 1);
    stop(&run);
}

static void two_at_once_would_both_be_found(void **state)
{
    struct fixture *fixture = *state;
    struct roster_run found;
    struct run runs[2];

    start_sleeper(&runs[0], fixture);
    start_sleeper(&runs[1], fixture);
    assert_int_equal(found_now(fixture, &found), 2);
    child_stop(runs[0].child);
    child_stop(runs[1].child);
    run_until_stopped(fixture->loop);
    run_done(&runs[0]);
    run_done(&runs[1]);
}

static void a_run_that_ended_leaves_its_slot_to_the_next(void **state)
{
    struct fixture *fixture = *state;
    struct roster_run found;
    struct run run;

    for (unsigned i = 0; i < 20; i++) {
        run_program(&run, fixture, "/bin/true");
        run_whole(&run);
        run_done(&run);
    }
    start_sleeper(&run, fixture);
    assert_int_equal(found_now(fixture, &found), 1);
    assert_int_equal(found.slot, 0);
    stop(&run);
}

static void a_run_that_could_not_begin_does_so_too(void **state)
{
    struct fixture *fixture = *state;
    struct roster_run found;
    struct run run;

    for (unsigned i = 0; i < 20; i++) {
        run_program(&run, fixture, "/nonexistent/program");
        expect_not_run(&run, "/nonexistent/program", ENOENT);
    }
    start_sleeper(&run, fixture);
    assert_int_equal(found_now(fixture, &found), 1);
    assert_int_equal(found.slot, 0);
    stop(&run);
}

/* A disk that is full is this machine's fault; when there is room again, all is well. */
static void without_room_for_its_slot_it_is_not_run(void **state)
{
    struct fixture *fixture = *state;
    struct rlimit limit, none;
    struct run run;

    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    none = (struct rlimit){0, limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    run_program(&run, fixture, "/bin/true");
    run_whole(&run);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(run.result.end, CHILD_NOT_RUN);
    assert_int_equal(run.err.code, ERR_HOST);
    assert_int_equal(run.err.os_errno, EFBIG);
    run_done(&run);
    run_program(&run, fixture, "/bin/true");
    run_whole(&run);
    assert_int_equal(run.result.end, CHILD_EXITED);
    run_done(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, children_set_up, children_tear_down)
        TEST(who_runs_would_be_found),
        TEST(a_program_stands_in_the_roster_when_it_begins),
        TEST(another_users_stands_there_too),
        TEST(two_at_once_would_both_be_found),
        TEST(a_run_that_ended_leaves_its_slot_to_the_next),
        TEST(a_run_that_could_not_begin_does_so_too),
        TEST(without_room_for_its_slot_it_is_not_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
