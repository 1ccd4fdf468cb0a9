/* SPDX-License-Identifier: MIT */
/* Runs that outlived their daemon, real ones: how they are ended, and what is told of it. */
#include "rosters.h"

#include <sys/wait.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "loop/orphans.h"

#define SLEEPER  "echo ready; exec sleep 60"
#define STUBBORN "trap '' TERM; echo ready; while [ -e /proc/$PPID ]; do sleep 1; done"

static struct buf logged; /* lines of level, sentence, fields */

static void note_log(enum log_level level, const char *text, const struct log_field *fields)
{
    buf_printf(&logged, "%s: %s", log_level_name(level), text);
    for (; fields != NULL && fields->name != NULL; fields++) {
        if (fields->value != NULL)
            buf_printf(&logged, " %s=%s", fields->name, fields->value);
    }
    buf_putc(&logged, '\n');
}

static void expect_logged(const char *text)
{
    if (logged.len == 0 || strstr(logged.data, text) == NULL)
        fail_msg("\"%s\" is not in the log:\n%s", text, logged.len == 0 ? "" : logged.data);
}

static unsigned lines_logged(void)
{
    unsigned count = 0;

    for (size_t i = 0; i < logged.len; i++)
        count += logged.data[i] == '\n';
    return count;
}

static int set_up(void **state)
{
    buf_init(&logged, BUF_ANY_SIZE);
    log_set_sink(note_log);
    return roster_set_up(state);
}

static int tear_down(void **state)
{
    log_set_sink(NULL);
    buf_done(&logged);
    return roster_tear_down(state);
}

/* The next daemon: ends what was left. */
struct ending {
    struct fixture *fixture;
    struct orphans *orphans;
    unsigned done;
    unsigned alive; /* of the runs, at that moment */
    int64_t began_ms, took_ms;
};

static void on_done(void *arg)
{
    struct ending *ending = arg;

    ending->done++;
    ending->took_ms = clock_mono_ms() - ending->began_ms;
    for (unsigned i = 0; i < ending->fixture->runs; i++)
        ending->alive += process_lives(ending->fixture->pids[i]);
    loop_stop(ending->fixture->loop);
}

static void start_ending(struct ending *ending, struct fixture *fixture)
{
    *ending = (struct ending){.fixture = fixture, .began_ms = clock_mono_ms()};
    if (fixture->after == NULL)
        fixture->after = open_roster(fixture);
    ending->orphans = orphans_start(fixture->loop, fixture->after, on_done, ending);
    assert_int_equal(ending->done, 0);
}

static void end_all(struct ending *ending, struct fixture *fixture)
{
    start_ending(ending, fixture);
    run_until_stopped(fixture->loop);
    run_a_moment(fixture->loop);
    assert_int_equal(ending->done, 1);
    orphans_free(ending->orphans);
}

static void with_nobody_there_it_is_done_at_once(void **state)
{
    struct ending ending;

    end_all(&ending, *state);
    assert_int_equal(logged.len, 0);
}

static void a_run_gets_term(void **state)
{
    struct fixture *fixture = *state;
    struct ending ending;

    leave_run(fixture, SLEEPER, DEADLINE_MS);
    end_all(&ending, fixture);
    assert_int_equal(ending.alive, 0);
    assert_true(ending.took_ms < DEADLINE_MS / 2);
    assert_int_equal(found_now(fixture), 0);
}

static void what_became_of_it_is_told(void **state)
{
    struct fixture *fixture = *state;
    struct ending ending;

    pid_t pid = leave_run(fixture, SLEEPER, 90000);
    end_all(&ending, fixture);
    autofree char *first =
        xasprintf("warning: process group %d of a run that outlived its daemon is told to end, and "
                  "killed after its grace of 90s hook=deploy message_id=message-1\n",
                  (int)pid);
    autofree char *last =
        xasprintf("info: process group %d of a run that outlived its daemon has ended hook=deploy "
                  "message_id=message-1\n",
                  (int)pid);
    expect_logged(first);
    expect_logged(last);
    assert_int_equal(lines_logged(), 2);
}

static void all_of_them_have_ended_then(void **state)
{
    struct fixture *fixture = *state;
    struct ending ending;

    leave_run(fixture, SLEEPER, DEADLINE_MS);
    leave_run(
        fixture,
        "trap 'sleep 0.3; exit' TERM; echo ready; while [ -e /proc/$PPID ]; do sleep 0.01; done",
        DEADLINE_MS);
    leave_run(fixture, SLEEPER, DEADLINE_MS);
    end_all(&ending, fixture);
    assert_int_equal(ending.alive, 0);
    assert_true(ending.took_ms >= 300 - GRAIN_MS);
    assert_int_equal(lines_logged(), 6);
}

static void its_slot_is_free_then(void **state)
{
    struct fixture *fixture = *state;
    struct roster_slot old, slot;
    struct ending ending;

    take_slot(fixture->before, &old);
    leave_run_in(fixture, SLEEPER, NULL, &old);
    end_all(&ending, fixture);
    take_slot(fixture->after, &slot);
    assert_int_equal(slot.number, old.number);
}

static void who_ignores_term_is_killed_after_the_grace(void **state)
{
    struct fixture *fixture = *state;
    struct ending ending;

    leave_run(fixture, STUBBORN, 200);
    end_all(&ending, fixture);
    assert_int_equal(ending.alive, 0);
    assert_true(ending.took_ms >= 200 - GRAIN_MS);
    expect_logged("has been killed after its grace");
}

static void without_grace_the_kill_comes_at_once(void **state)
{
    struct fixture *fixture = *state;
    struct ending ending;

    leave_run(fixture, STUBBORN, 0);
    end_all(&ending, fixture);
    assert_int_equal(ending.alive, 0);
    assert_true(ending.took_ms < 5000);
}

/* The pipe ends when nobody of the group holds it any more. */
static void expect_group_gone(const struct fixture *fixture)
{
    char c;

    assert_int_equal(read(fixture->outputs[0], &c, 1), 0);
}

static void its_children_are_ended_with_it(void **state)
{
    struct fixture *fixture = *state;
    struct ending ending;

    leave_run(fixture, "sleep 60 & sh -c 'sleep 60; :' & echo ready; wait", DEADLINE_MS);
    end_all(&ending, fixture);
    assert_int_equal(kill(-fixture->pids[0], 0), -1);
    expect_group_gone(fixture);
}

/* What the leader leaves in its group has what is left of the grace: here it needs some of it. */
static void who_is_left_in_the_group_has_the_grace(void **state)
{
    struct fixture *fixture = *state;
    struct ending ending;

    leave_run(fixture,
              "(trap 'sleep 0.2; echo cleaned; exit' TERM; echo ready; while [ -e /proc/$PPID ]; "
              "do sleep 0.01; "
              "done) & exec sleep 60",
              DEADLINE_MS);
    end_all(&ending, fixture);
    char said[64] = "";
    size_t len = 0;
    ssize_t got;
    while ((got = read(fixture->outputs[0], said + len, sizeof(said) - 1 - len)) > 0)
        len += (size_t)got;
    assert_non_null(strstr(said, "cleaned\n"));
    assert_true(ending.took_ms < DEADLINE_MS / 2);
}

static void who_is_left_and_ignores_term_is_killed(void **state)
{
    struct fixture *fixture = *state;
    struct ending ending;

    leave_run(fixture,
              "(trap '' TERM; echo ready; while [ -e /proc/$PPID ]; do sleep 1; done) & trap - "
              "TERM; wait; exit",
              300);
    end_all(&ending, fixture);
    assert_true(ending.took_ms >= 300 - GRAIN_MS);
    expect_group_gone(fixture);
    expect_logged("what it left behind was killed");
}

/* Between the look at the file and the end. */
static void one_that_ends_by_itself_meanwhile_is_no_trouble(void **state)
{
    struct fixture *fixture = *state;
    struct ending ending;

    pid_t pid = leave_run(fixture, SLEEPER, DEADLINE_MS);
    fixture->after = open_roster(fixture);
    kill(pid, SIGKILL);
    run_until(fixture->loop, process_is_gone, &pid);
    end_all(&ending, fixture);
    expect_logged("info: ");
    expect_logged("has ended by itself");
    assert_int_equal(lines_logged(), 1);
}

/* Nobody has reaped it: its group is there still, and must not be waited for. */
static void one_that_waits_to_be_reaped_is_no_trouble_either(void **state)
{
    struct fixture *fixture = *state;
    struct ending ending;

    signal(SIGCHLD, SIG_DFL);
    pid_t pid = leave_run(fixture, SLEEPER, DEADLINE_MS / 2);
    fixture->after = open_roster(fixture);
    kill(pid, SIGKILL);
    run_until(fixture->loop, process_is_gone, &pid);
    end_all(&ending, fixture);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    expect_logged("has ended by itself");
    assert_int_equal(lines_logged(), 1);
}

static void without_the_right_it_says_so_and_is_done(void **state)
{
    struct fixture *fixture = *state;
    struct ending ending;
    struct roster_slot slot;

    if (geteuid() != 0)
        skip();
    take_slot(fixture->before, &slot);
    leave_run_in(fixture, SLEEPER, "nobody", &slot);
    fixture->after = open_roster(fixture);
    assert_int_equal(setresuid(1, 1, 0), 0);
    start_ending(&ending, fixture);
    run_until_stopped(fixture->loop);
    assert_int_equal(setresuid(0, 0, 0), 0);
    assert_int_equal(ending.done, 1);
    assert_int_equal(ending.alive, 1);
    expect_logged("err: ");
    expect_logged("can not be ended: Operation not permitted (root, or CAP_KILL, is needed)");
    orphans_free(ending.orphans);
    /* The next daemon may have the right: nobody gets its slot. */
    for (unsigned i = 0; i < 40; i++) {
        struct roster_slot other;
        take_slot(fixture->after, &other);
        assert_int_not_equal(other.number, slot.number);
    }
    assert_int_equal(found_now(fixture), 1);
}

static void freed_it_never_tells(void **state)
{
    struct fixture *fixture = *state;
    struct ending ending;

    leave_run(fixture, STUBBORN, 50);
    start_ending(&ending, fixture);
    orphans_free(ending.orphans);
    (void)waiting_in_time(fixture->loop, NULL, NULL, 200);
    assert_int_equal(ending.done, 0);
    assert_true(process_lives(fixture->pids[0]));
    orphans_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(with_nobody_there_it_is_done_at_once),
        TEST(a_run_gets_term),
        TEST(what_became_of_it_is_told),
        TEST(all_of_them_have_ended_then),
        TEST(its_slot_is_free_then),
        TEST(who_ignores_term_is_killed_after_the_grace),
        TEST(without_grace_the_kill_comes_at_once),
        TEST(its_children_are_ended_with_it),
        TEST(who_is_left_in_the_group_has_the_grace),
        TEST(who_is_left_and_ignores_term_is_killed),
        TEST(one_that_ends_by_itself_meanwhile_is_no_trouble),
        TEST(one_that_waits_to_be_reaped_is_no_trouble_either),
        TEST(without_the_right_it_says_so_and_is_done),
        TEST(freed_it_never_tells),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
