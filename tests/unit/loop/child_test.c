/* SPDX-License-Identifier: MIT */
/* Real child processes: how they end, what they say, what they get, and what is left of them. */
#include "children.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/log.h"

#define BIG_BYTES (200 * 1024)

/* What kill fails with; 0: nothing. */
static int kill_errno;

int kill(pid_t pid, int number)
{
    if (kill_errno == 0)
        return (int)syscall(SYS_kill, pid, number);
    errno = kill_errno;
    return -1;
}

/* --- how it ends --- */

static void expect_exit(struct run *run, int status)
{
    run_whole(run);
    assert_int_equal(run->result.end, CHILD_EXITED);
    assert_int_equal(run->result.value, status);
}

static void an_exit_status_is_told(void **state)
{
    struct run run;

    run_shell(&run, *state, "exit 3");
    expect_exit(&run, 3);
    assert_int_equal(run.starts, 1);
    assert_int_equal(run.line_count, 0);
    assert_false(run.result.output_cut);
    assert_int_equal(run.err.code, ERR_NONE);
    run_done(&run);
}

static void a_signal_that_we_did_not_send_is_told(void **state)
{
    struct run run;

    run_shell(&run, *state, "kill -SEGV $$");
    run_whole(&run);
    assert_int_equal(run.result.end, CHILD_SIGNALLED);
    assert_int_equal(run.result.value, SIGSEGV);
    run_done(&run);
}

static void a_term_from_elsewhere_is_a_signal_and_no_stop(void **state)
{
    struct run run;

    run_shell(&run, *state, "kill -TERM $$");
    run_whole(&run);
    assert_int_equal(run.result.end, CHILD_SIGNALLED);
    assert_int_equal(run.result.value, SIGTERM);
    run_done(&run);
}

static void a_timeout_ends_it(void **state)
{
    struct run run;

    run_shell(&run, *state, "exec sleep 60");
    run.spec.timeout_ms = 50;
    run_whole(&run);
    assert_int_equal(run.result.end, CHILD_TIMED_OUT);
    assert_true(run.result.duration_ms >= 50 - GRAIN_MS);
    assert_true(run.result.duration_ms < 10000);
    run_done(&run);
}

/* Runs a script whose time is over soon, but not before it has said something: a busy machine gets more. */
static void run_timed_out(struct run *run, struct fixture *fixture, const char *script,
                          int64_t output_limit)
{
    for (int64_t timeout_ms = 100;; timeout_ms *= 2) {
        run_shell(run, fixture, script);
        run->spec.timeout_ms = timeout_ms;
        run->spec.grace_ms = 200;
        run->spec.output_limit = output_limit;
        run_whole(run);
        assert_int_equal(run->result.end, CHILD_TIMED_OUT);
        assert_true(run->result.duration_ms >= timeout_ms - GRAIN_MS);
        if (run->line_count > 0)
            return;
        assert_true(timeout_ms < DEADLINE_MS / 4);
        run_done(run);
    }
}

static unsigned errors_logged;

static void note_error(enum log_level level, const char *text, const struct log_field *fields)
{
    assert_int_equal(level, LOG_LEVEL_ERR);
    assert_non_null(strstr(text, "can not be ended: Operation not permitted"));
    assert_string_equal(fields[0].value, "deploy");
    errors_logged++;
}

static void who_may_not_be_killed_is_told_of(void **state)
{
    struct run run;

    errors_logged = 0;
    log_set_sink(note_error);
    run_shell(&run, *state, "exec sleep 0.4");
    run.spec.hook = "deploy";
    run.spec.timeout_ms = 50;
    run.spec.grace_ms = 50;
    kill_errno = EPERM;
    run_whole(&run);
    kill_errno = 0;
    log_set_sink(NULL);
    assert_int_equal(run.result.end, CHILD_TIMED_OUT);
    assert_true(run.result.duration_ms >= 400 - GRAIN_MS);
    assert_int_equal(errors_logged, 1);
    run_done(&run);
}

static void who_ignores_term_is_killed_after_the_grace(void **state)
{
    struct run run;

    run_timed_out(&run, *state,
                  "trap '' TERM; echo ready; while [ -e /proc/$PPID ]; do sleep 1; done", 1000);
    assert_true(run.result.duration_ms >= run.spec.timeout_ms + run.spec.grace_ms - 2 * GRAIN_MS);
    run_done(&run);
}

static void a_timeout_stays_one_when_the_script_answers_with_zero(void **state)
{
    struct run run;

    run_shell(&run, *state, "trap 'exit 0' TERM; while [ -e /proc/$PPID ]; do sleep 0.02; done");
    run.spec.timeout_ms = 200;
    run_whole(&run);
    assert_int_equal(run.result.end, CHILD_TIMED_OUT);
    run_done(&run);
}

static void a_stop_that_the_script_answers_with_zero_is_an_exit(void **state)
{
    struct run run;

    run_shell(&run, *state,
              "trap 'exit 0' TERM; echo ready; while [ -e /proc/$PPID ]; do sleep 0.02; done");
    run.stop_at_line = true;
    run_whole(&run);
    assert_int_equal(run.result.end, CHILD_EXITED);
    assert_int_equal(run.result.value, 0);
    run_done(&run);
}

static void a_stop_that_the_script_answers_otherwise_is_a_stop(void **state)
{
    struct run run;

    run_shell(&run, *state,
              "trap 'exit 65' TERM; echo ready; while [ -e /proc/$PPID ]; do sleep 0.02; done");
    run.stop_at_line = true;
    run_whole(&run);
    assert_int_equal(run.result.end, CHILD_STOPPED);
    run_done(&run);
}

static void a_stopped_sleeper_is_stopped(void **state)
{
    struct run run;

    run_shell(&run, *state, "exec sleep 60");
    run.stop_when_started = true;
    run_whole(&run);
    assert_int_equal(run.result.end, CHILD_STOPPED);
    run_done(&run);
}

static void a_stop_kills_who_ignores_it(void **state)
{
    struct run run;

    run_shell(&run, *state, "trap '' TERM; echo ready; while [ -e /proc/$PPID ]; do sleep 1; done");
    run.stop_at_line = true;
    run.spec.grace_ms = 50;
    run_whole(&run);
    assert_int_equal(run.result.end, CHILD_STOPPED);
    run_done(&run);
}

static void without_grace_the_kill_comes_at_once(void **state)
{
    struct run run;

    run_shell(&run, *state, "trap '' TERM; echo ready; while [ -e /proc/$PPID ]; do sleep 1; done");
    run.stop_at_line = true;
    run.spec.grace_ms = 0;
    run_whole(&run);
    assert_int_equal(run.result.end, CHILD_STOPPED);
    run_done(&run);
}

static void a_stop_while_it_is_being_spawned_counts(void **state)
{
    struct run run;

    run_shell(&run, *state, "exec sleep 60");
    run_start(&run);
    child_stop(run.child);
    child_stop(run.child);
    run_wait(&run);
    assert_int_equal(run.result.end, CHILD_STOPPED);
    run_done(&run);
}

static void what_can_not_be_spawned_is_not_stopped(void **state)
{
    struct run run;

    run_program(&run, *state, "/nonexistent/program");
    run_start(&run);
    child_stop(run.child);
    run_wait(&run);
    assert_int_equal(run.result.end, CHILD_NOT_RUN);
    run_done(&run);
}

static void stopping_again_changes_nothing(void **state)
{
    struct run run;

    run_shell(&run, *state,
              "trap 'exit 7' TERM; echo a; echo b; while [ -e /proc/$PPID ]; do sleep 0.02; done");
    run.stop_at_line = true; /* twice */
    run_whole(&run);
    assert_int_equal(run.result.end, CHILD_STOPPED);
    run_done(&run);
}

/* --- what can not begin --- */

static void a_missing_program_is_named(void **state)
{
    struct run run;

    run_program(&run, *state, "/nonexistent/program");
    expect_not_run(&run, "/nonexistent/program", ENOENT);
}

static void a_name_that_is_not_in_path_is_named(void **state)
{
    struct run run;

    run_program(&run, *state, "no-such-program-at-all");
    expect_not_run(&run, "no-such-program-at-all", ENOENT);
}

static void without_path_nothing_is_found(void **state)
{
    struct run run;

    run_program(&run, *state, "true");
    run.env[0] = "A=b";
    expect_not_run(&run, "true", ENOENT);
}

static void a_file_without_the_right_to_run_is_named(void **state)
{
    struct run run;

    autofree char *path = write_file(*state, "script", "#!/bin/sh\n", 0644);
    run_program(&run, *state, path);
    expect_not_run(&run, path, EACCES);
}

static void a_directory_is_no_program(void **state)
{
    struct run run;

    run_program(&run, *state, "/usr");
    expect_not_run(&run, "/usr", EACCES);
}

static void a_file_that_is_no_program_is_named(void **state)
{
    struct run run;

    autofree char *path = write_file(*state, "text", "hello\n", 0755);
    run_program(&run, *state, path);
    expect_not_run(&run, path, ENOEXEC);
}

static void an_empty_file_is_no_program(void **state)
{
    struct run run;

    autofree char *path = write_file(*state, "empty", "", 0755);
    run_program(&run, *state, path);
    expect_not_run(&run, path, ENOEXEC);
}

static void a_missing_directory_is_named(void **state)
{
    struct run run;

    run_shell(&run, *state, "exit 0");
    run.spec.directory = "/nonexistent/directory";
    expect_not_run(&run, "/nonexistent/directory", ENOENT);
}

static void an_unknown_user_is_named(void **state)
{
    struct run run;

    run_shell(&run, *state, "exit 0");
    run.spec.user = "no-such-user-here";
    expect_not_run(&run, "no-such-user-here", 0);
}

static void an_unknown_group_is_named(void **state)
{
    struct run run;

    run_shell(&run, *state, "exit 0");
    run.spec.group = "no-such-group-here";
    expect_not_run(&run, "no-such-group-here", 0);
}

static void the_next_in_path_is_tried(void **state)
{
    struct fixture *fixture = *state;
    struct run run;

    free(write_file(fixture, "true", "not for running", 0644));
    autofree char *path = xasprintf("PATH=/nonexistent:%s:/bin", fixture->directory);
    run_program(&run, fixture, "true");
    run.env[0] = path;
    expect_exit(&run, 0);
    run_done(&run);
}

/* --- its input --- */

static char *big_text(void)
{
    char *text = xmalloc(BIG_BYTES + 1);

    for (unsigned i = 0; i < BIG_BYTES; i++)
        text[i] = i % 100 == 99 ? '\n' : (char)('a' + i % 26);
    text[BIG_BYTES] = '\0';
    return text;
}

static void an_input_larger_than_a_pipe_comes_whole(void **state)
{
    struct run run;
    autofree char *text = big_text();

    run_program(&run, *state, "cat");
    run.spec.input = text;
    run.spec.input_len = BIG_BYTES;
    expect_exit(&run, 0);
    text[BIG_BYTES - 1] = '\n'; /* every line has got its end */
    assert_true(run.lines.len >= BIG_BYTES);
    assert_memory_equal(run.lines.data, text, BIG_BYTES - 1);
    run_done(&run);
}

static void an_input_that_nobody_reads_is_no_error(void **state)
{
    struct run run;
    autofree char *text = big_text();

    run_program(&run, *state, "true");
    run.spec.input = text;
    run.spec.input_len = BIG_BYTES;
    expect_exit(&run, 0);
    run_done(&run);
}

static void an_input_that_is_closed_half_way_is_no_error(void **state)
{
    struct run run;
    autofree char *text = big_text();

    run_shell(&run, *state, "head -c 5; exec <&-; sleep 0.05; exit 4");
    run.spec.input = text;
    run.spec.input_len = BIG_BYTES;
    expect_exit(&run, 4);
    assert_string_equal(run.lines.data, "abcde\n");
    run_done(&run);
}

static void an_empty_input_ends_at_once(void **state)
{
    struct run run;

    run_shell(&run, *state, "wc -c");
    expect_exit(&run, 0);
    assert_string_equal(run.lines.data, "0\n");
    run_done(&run);
}

static void the_input_is_copied(void **state)
{
    struct run run;
    char text[] = "before";

    run_program(&run, *state, "cat");
    run.spec.input = text;
    run.spec.input_len = strlen(text);
    run_start(&run);
    strcpy(text, "after!");
    run_wait(&run);
    assert_string_equal(run.lines.data, "before\n");
    run_done(&run);
}

/* --- its output --- */

static void expect_lines(void **state, const char *script, size_t line_limit, const char *lines)
{
    struct run run;

    run_shell(&run, *state, script);
    run.spec.line_limit = line_limit;
    expect_exit(&run, 0);
    assert_string_equal(run.lines.data, lines);
    run_done(&run);
}

static void both_streams_come_line_by_line(void **state)
{
    expect_lines(state, "echo one; echo two >&2; echo three", 100, "one\ntwo\nthree\n");
}

static void a_last_line_without_end_comes_too(void **state)
{
    expect_lines(state, "printf 'one\\ntwo'", 100, "one\ntwo\n");
}

static void an_empty_line_is_a_line(void **state)
{
    expect_lines(state, "echo; echo; echo x", 100, "\n\nx\n");
}

static void a_long_line_comes_in_parts(void **state)
{
    expect_lines(state, "echo 0123456789abcdefghijKLM", 10, "0123456789\nabcdefghij\nKLM\n");
}

static void a_line_of_just_the_limit_is_one(void **state)
{
    expect_lines(state, "echo 0123456789; echo x", 10, "0123456789\nx\n");
}

static void nul_bytes_become_question_marks(void **state)
{
    expect_lines(state, "printf 'a\\0b\\0\\n\\0'", 100, "a?b?\n?\n");
}

static void other_bytes_come_as_they_are(void **state)
{
    expect_lines(state, "printf '\\377\\001\\033[2J\\r\\n'", 100, "\377\001\033[2J\r\n");
}

static void a_long_line_is_parted_between_words_if_it_can_be(void **state)
{
    expect_lines(state, "echo aaaaaaaaaaaaaaaaa bbbbbbbb; echo aaaaa bbbbbbbbbbbbbbbbbbbbbbbbb", 20,
                 "aaaaaaaaaaaaaaaaa \nbbbbbbbb\naaaaa bbbbbbbbbbbbbb\nbbbbbbbbbbb\n");
}

static void a_line_longer_than_every_buffer_comes_whole_in_parts(void **state)
{
    struct run run;

    run_shell(&run, *state, "head -c 100000 /dev/zero | tr '\\0' x; echo");
    expect_exit(&run, 0);
    assert_int_equal(run.line_count, 25);
    assert_int_equal(run.parts, 24);
    assert_int_equal(run.longest, 4096);
    assert_int_equal(run.lines.len, 100000 + 25);
    run_done(&run);
}

static void much_output_comes_whole(void **state)
{
    struct run run;

    run_shell(&run, *state, "seq 1 300000");
    expect_exit(&run, 0);
    assert_int_equal(run.line_count, 300000);
    assert_false(run.result.output_cut);
    run_done(&run);
}

static void output_beyond_the_limit_is_dropped_and_told(void **state)
{
    struct run run;

    run_shell(&run, *state, "printf 0123456789abc; echo more");
    run.spec.output_limit = 10;
    expect_exit(&run, 0);
    assert_string_equal(run.lines.data, "0123456789\n");
    assert_true(run.result.output_cut);
    run_done(&run);
}

static void output_of_just_the_limit_is_not_cut(void **state)
{
    struct run run;

    run_shell(&run, *state, "echo 012345678");
    run.spec.output_limit = 10;
    expect_exit(&run, 0);
    assert_string_equal(run.lines.data, "012345678\n");
    assert_false(run.result.output_cut);
    run_done(&run);
}

static void no_output_is_wanted_at_all(void **state)
{
    struct run run;

    run_shell(&run, *state, "echo x");
    run.spec.output_limit = 0;
    expect_exit(&run, 0);
    assert_int_equal(run.line_count, 0);
    assert_true(run.result.output_cut);
    run_done(&run);
}

static void endless_output_does_not_hold_back_the_timeout(void **state)
{
    struct run run;

    run_timed_out(&run, *state, "exec yes", 1000);
    assert_int_equal(run.lines.len, 1000);
    assert_true(run.result.output_cut);
    run_done(&run);
}

static void who_closes_its_output_may_still_exit(void **state)
{
    struct run run;

    run_shell(&run, *state, "echo x; exec >&- 2>&-; sleep 0.1; exit 5");
    expect_exit(&run, 5);
    assert_string_equal(run.lines.data, "x\n");
    run_done(&run);
}

static void a_background_job_that_holds_the_pipe_does_not_hold_the_end(void **state)
{
    struct run run;

    run_shell(&run, *state, "sleep 60 & echo done");
    expect_exit(&run, 0);
    assert_string_equal(run.lines.data, "done\n");
    assert_true(run.result.duration_ms < 10000);
    kill(-run.pid, SIGKILL);
    run_done(&run);
}

static void a_background_job_that_writes_for_ever_does_not_hold_the_end(void **state)
{
    struct run run;

    run_shell(&run, *state, "yes & exit 6");
    expect_exit(&run, 6);
    kill(-run.pid, SIGKILL);
    run_done(&run);
}

static void a_background_job_lives_on_after_a_good_end(void **state)
{
    struct run run;

    run_shell(&run, *state, "sleep 60 >/dev/null 2>&1 & echo $!");
    expect_exit(&run, 0);
    pid_t job = atoi(run.lines.data);
    assert_true(process_lives(job));
    kill(-run.pid, SIGKILL);
    run_until(run.fixture->loop, process_is_gone, &job);
    run_done(&run);
}

/* --- what is left of it --- */

static void a_stop_kills_grandchildren_that_ignore_it(void **state)
{
    struct run run;

    run_shell(&run, *state, "(trap '' TERM; exec sleep 60) & sleep 0.1; echo $!; wait");
    run.stop_at_line = true;
    run.spec.grace_ms = 200;
    run_whole(&run);
    assert_int_equal(run.result.end, CHILD_STOPPED);
    pid_t grandchild = atoi(run.lines.data);
    assert_true(grandchild > 0);
    run_until(run.fixture->loop, process_is_gone, &grandchild);
    run_done(&run);
}

static void a_timeout_kills_grandchildren_that_ignore_it(void **state)
{
    struct run run;

    run_timed_out(&run, *state, "(trap '' TERM; exec sleep 60) & echo $!; wait", 1000);
    pid_t grandchild = atoi(run.lines.data);
    assert_true(grandchild > 0);
    run_until(run.fixture->loop, process_is_gone, &grandchild);
    run_done(&run);
}

static void a_script_that_ends_well_after_a_stop_leaves_nobody(void **state)
{
    struct run run;

    run_shell(&run, *state,
              "trap 'exit 0' TERM; (trap '' TERM; exec sleep 60) & sleep 0.1; echo $!;"
              "while [ -e /proc/$PPID ]; do sleep 0.02; done");
    run.stop_at_line = true;
    run.spec.grace_ms = 200;
    run_whole(&run);
    assert_int_equal(run.result.end, CHILD_EXITED);
    pid_t grandchild = atoi(run.lines.data);
    run_until(run.fixture->loop, process_is_gone, &grandchild);
    run_done(&run);
}

static void freeing_kills_what_still_runs(void **state)
{
    struct fixture *fixture = *state;
    struct run run;

    run_shell(&run, fixture, "trap '' TERM; sleep 60 & echo $!; wait");
    run_start(&run);
    run_until(fixture->loop, has_line, &run);
    pid_t child = run.pid, grandchild = atoi(run.lines.data);
    worker_free(take(fixture->worker));
    children_free(take(fixture->children));
    assert_int_equal(run.ends, 0);
    assert_false(process_lives(child));
    struct loop *other = loop_new(); /* the children's own loop is not to be turned any more */
    run_until(other, process_is_gone, &grandchild);
    loop_free(other);
    run_done(&run);
}

static bool no_child_is_left(void *arg)
{
    siginfo_t info;

    (void)arg;
    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 && errno == ECHILD;
}

static void orphans_that_became_ours_are_reaped(void **state)
{
    struct run run;

    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
    run_shell(&run, *state,
              "for i in 1 2 3; do sleep 0.1 & done; (sh -c 'sleep 0.2 & exit 0' &) ; exit 0");
    expect_exit(&run, 0);
    run_until(run.fixture->loop, no_child_is_left, NULL);
    prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
    run_done(&run);
}

/* A grandchild that becomes ours ends within the grace that a stop leaves it. */
static void what_a_stop_leaves_is_reaped_when_it_ends(void **state)
{
    struct run run;

    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
    run_shell(
        &run, *state,
        "(trap '' TERM; echo ready; sleep 0.2; echo last; exit 3) & trap 'exit 1' TERM; wait");
    run.stop_at_line = true;
    run_whole(&run);
    assert_int_equal(run.result.end, CHILD_STOPPED);
    assert_string_equal(run.lines.data, "ready\nlast\n");
    run_until(run.fixture->loop, no_child_is_left, NULL);
    prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
    run_done(&run);
}

static void killing_all_ends_each(void **state)
{
    struct fixture *fixture = *state;
    struct run runs[3];

    for (unsigned i = 0; i < array_size(runs); i++) {
        run_shell(&runs[i], fixture, "trap '' TERM; echo x; sleep 60");
        run_start(&runs[i]);
        run_until(fixture->loop, has_line, &runs[i]);
    }
    children_kill(fixture->children);
    run_until_stopped(fixture->loop);
    for (unsigned i = 0; i < array_size(runs); i++) {
        assert_int_equal(runs[i].ends, 1);
        run_done(&runs[i]);
    }
}

static void orphans_do_not_confuse_spawns(void **state)
{
    struct fixture *fixture = *state;
    static struct run runs[40];

    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
    for (unsigned i = 0; i < array_size(runs); i++) {
        if (i % 3 == 0)
            run_program(&runs[i], fixture, "/nonexistent");
        else
            run_shell(&runs[i], fixture, "(sh -c 'true & true & exit 0' &); (true &); exit 9");
        run_start(&runs[i]);
    }
    run_until_stopped(fixture->loop);
    for (unsigned i = 0; i < array_size(runs); i++) {
        assert_int_equal(runs[i].ends, 1);
        assert_int_equal(runs[i].result.end, i % 3 == 0 ? CHILD_NOT_RUN : CHILD_EXITED);
        if (i % 3 != 0)
            assert_int_equal(runs[i].result.value, 9);
        run_done(&runs[i]);
    }
    run_until(fixture->loop, no_child_is_left, NULL);
    prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
}

static void two_hundred_at_once_all_end(void **state)
{
    struct fixture *fixture = *state;
    static struct run runs[200];
    static char scripts[200][64];

    for (unsigned i = 0; i < array_size(runs); i++) {
        snprintf(scripts[i], sizeof(scripts[i]), "read x; echo $x %u; exit %u", i, i % 7);
        run_shell(&runs[i], fixture, scripts[i]);
        runs[i].spec.input = "hi\n";
        runs[i].spec.input_len = 3;
        run_start(&runs[i]);
    }
    run_until_stopped(fixture->loop);
    for (unsigned i = 0; i < array_size(runs); i++) {
        autofree char *said = xasprintf("hi %u\n", i);
        assert_int_equal(runs[i].ends, 1);
        assert_int_equal(runs[i].result.end, CHILD_EXITED);
        assert_int_equal(runs[i].result.value, i % 7);
        assert_string_equal(runs[i].lines.data, said);
        run_done(&runs[i]);
    }
    run_until(fixture->loop, no_child_is_left, NULL);
}

/* Starts the next when one has ended, as a hook's retry does. */
struct chain {
    struct run run; /* first */
    unsigned left;
};

static void chain_ended(void *arg, const struct child_result *result, const struct err *err)
{
    static const struct child_events events = {.line = on_line, .ended = chain_ended};
    struct chain *chain = arg;

    assert_null(err);
    assert_int_equal(result->end, CHILD_EXITED);
    if (chain->left-- == 0)
        loop_stop(chain->run.fixture->loop);
    else
        child_start(chain->run.fixture->children, &chain->run.spec, &events, chain);
}

static void a_child_may_be_started_when_another_ends(void **state)
{
    static const struct child_events events = {.line = on_line, .ended = chain_ended};
    struct chain chain = {.left = 20};

    run_shell(&chain.run, *state, "echo x");
    child_start(chain.run.fixture->children, &chain.run.spec, &events, &chain);
    run_until_stopped(chain.run.fixture->loop);
    assert_int_equal(chain.run.line_count, 21);
    run_done(&chain.run);
}

/* --- what it gets --- */

static void the_environment_is_what_was_given(void **state)
{
    struct run run;

    run_program(&run, *state, "/usr/bin/env");
    run.env[0] = "A=b c";
    run.env[1] = "HOME=/somewhere";
    run.env[2] = "EMPTY=";
    run.env[3] = NULL;
    expect_exit(&run, 0);
    assert_string_equal(run.lines.data, "A=b c\nHOME=/somewhere\nEMPTY=\n");
    run_done(&run);
}

static void the_home_is_added(void **state)
{
    struct run run;

    run_program(&run, *state, "/usr/bin/env");
    run.env[0] = "A=b";
    run.env[1] = NULL;
    expect_exit(&run, 0);
    assert_memory_equal(run.lines.data, "A=b\nHOME=/", 10);
    assert_int_equal(run.line_count, 2);
    run_done(&run);
}

static void the_umask_and_the_directory_are_set(void **state)
{
    struct fixture *fixture = *state;
    struct run run;

    run_shell(&run, fixture, "umask; pwd -P");
    run.spec.umask = 0137;
    run.spec.directory = fixture->directory;
    expect_exit(&run, 0);
    autofree char *lines = xasprintf("0137\n%s\n", fixture->directory);
    assert_string_equal(run.lines.data, lines);
    run_done(&run);
}

static void our_umask_stays_ours(void **state)
{
    struct run run;
    mode_t before = umask(027);

    run_shell(&run, *state, "umask");
    run.spec.umask = 0;
    expect_exit(&run, 0);
    assert_int_equal(umask(before), 027);
    run_done(&run);
}

static void it_leads_a_session_and_a_group(void **state)
{
    struct run run;

    run_shell(&run, *state, "cut -d' ' -f1,5,6 /proc/$$/stat");
    expect_exit(&run, 0);
    autofree char *line = xasprintf("%d %d %d\n", run.pid, run.pid, run.pid);
    assert_string_equal(run.lines.data, line);
    run_done(&run);
}

static void no_file_of_ours_leaks(void **state)
{
    struct run run;
    int open_fd = dup(STDERR_FILENO); /* without FD_CLOEXEC, as a library might */
    int high_fd = dup2(STDERR_FILENO, 200);

    run_program(&run, *state, "/bin/ls");
    run.argv[1] = "/proc/self/fd";
    expect_exit(&run, 0);
    assert_string_equal(run.lines.data, "0\n1\n2\n3\n"); /* 3 is ls's own */
    close(open_fd);
    close(high_fd);
    run_done(&run);
}

static void no_signal_is_blocked_or_ignored(void **state)
{
    struct run run;
    sigset_t blocked, before;

    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigprocmask(SIG_BLOCK, &blocked, &before);
    signal(SIGUSR2, SIG_IGN);
    run_program(&run, *state, "grep");
    run.argv[1] = "-E";
    run.argv[2] = "^Sig(Blk|Ign)";
    run.argv[3] = "/proc/self/status";
    expect_exit(&run, 0);
    signal(SIGUSR2, SIG_DFL);
    sigprocmask(SIG_SETMASK, &before, NULL);
    assert_string_equal(run.lines.data, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
    run_done(&run);
}

static void another_user_is_become_with_its_groups(void **state)
{
    struct run run;

    if (geteuid() != 0)
        skip();
    run_shell(&run, *state, "id -un; id -u; id -g; id -G; echo $HOME");
    run.env[1] = NULL;
    run.spec.user = "nobody";
    expect_exit(&run, 0);
    assert_string_equal(run.lines.data, "nobody\n65534\n65534\n65534\n/nonexistent\n");
    run_done(&run);
}

static void a_user_is_known_by_number_too(void **state)
{
    struct run run;

    if (geteuid() != 0)
        skip();
    run_shell(&run, *state, "id -u; id -g; id -G");
    run.spec.user = "65534";
    run.spec.group = "0";
    expect_exit(&run, 0);
    assert_memory_equal(run.lines.data, "65534\n0\n", 8);
    run_done(&run);
}

static void what_the_user_may_not_enter_is_a_fault(void **state)
{
    struct fixture *fixture = *state;
    struct run run;

    if (geteuid() != 0)
        skip();
    assert_int_equal(chmod(fixture->directory, 0700), 0);
    run_shell(&run, fixture, "exit 0");
    run.spec.user = "nobody";
    run.spec.directory = fixture->directory;
    expect_not_run(&run, fixture->directory, EACCES);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, children_set_up, children_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_exit_status_is_told),
        TEST(a_signal_that_we_did_not_send_is_told),
        TEST(a_term_from_elsewhere_is_a_signal_and_no_stop),
        TEST(a_timeout_ends_it),
        TEST(who_may_not_be_killed_is_told_of),
        TEST(who_ignores_term_is_killed_after_the_grace),
        TEST(a_timeout_stays_one_when_the_script_answers_with_zero),
        TEST(a_stop_that_the_script_answers_with_zero_is_an_exit),
        TEST(a_stop_that_the_script_answers_otherwise_is_a_stop),
        TEST(a_stopped_sleeper_is_stopped),
        TEST(a_stop_kills_who_ignores_it),
        TEST(without_grace_the_kill_comes_at_once),
        TEST(a_stop_while_it_is_being_spawned_counts),
        TEST(what_can_not_be_spawned_is_not_stopped),
        TEST(stopping_again_changes_nothing),
        TEST(a_missing_program_is_named),
        TEST(a_name_that_is_not_in_path_is_named),
        TEST(without_path_nothing_is_found),
        TEST(a_file_without_the_right_to_run_is_named),
        TEST(a_directory_is_no_program),
        TEST(a_file_that_is_no_program_is_named),
        TEST(an_empty_file_is_no_program),
        TEST(a_missing_directory_is_named),
        TEST(an_unknown_user_is_named),
        TEST(an_unknown_group_is_named),
        TEST(the_next_in_path_is_tried),
        TEST(an_input_larger_than_a_pipe_comes_whole),
        TEST(an_input_that_nobody_reads_is_no_error),
        TEST(an_input_that_is_closed_half_way_is_no_error),
        TEST(an_empty_input_ends_at_once),
        TEST(the_input_is_copied),
        TEST(both_streams_come_line_by_line),
        TEST(a_last_line_without_end_comes_too),
        TEST(an_empty_line_is_a_line),
        TEST(a_long_line_comes_in_parts),
        TEST(a_line_of_just_the_limit_is_one),
        TEST(nul_bytes_become_question_marks),
        TEST(other_bytes_come_as_they_are),
        TEST(a_long_line_is_parted_between_words_if_it_can_be),
        TEST(a_line_longer_than_every_buffer_comes_whole_in_parts),
        TEST(much_output_comes_whole),
        TEST(output_beyond_the_limit_is_dropped_and_told),
        TEST(output_of_just_the_limit_is_not_cut),
        TEST(no_output_is_wanted_at_all),
        TEST(endless_output_does_not_hold_back_the_timeout),
        TEST(who_closes_its_output_may_still_exit),
        TEST(a_background_job_that_holds_the_pipe_does_not_hold_the_end),
        TEST(a_background_job_that_writes_for_ever_does_not_hold_the_end),
        TEST(a_background_job_lives_on_after_a_good_end),
        TEST(a_stop_kills_grandchildren_that_ignore_it),
        TEST(a_timeout_kills_grandchildren_that_ignore_it),
        TEST(a_script_that_ends_well_after_a_stop_leaves_nobody),
        TEST(freeing_kills_what_still_runs),
        TEST(orphans_that_became_ours_are_reaped),
        TEST(what_a_stop_leaves_is_reaped_when_it_ends),
        TEST(killing_all_ends_each),
        TEST(orphans_do_not_confuse_spawns),
        TEST(two_hundred_at_once_all_end),
        TEST(a_child_may_be_started_when_another_ends),
        TEST(the_environment_is_what_was_given),
        TEST(the_home_is_added),
        TEST(the_umask_and_the_directory_are_set),
        TEST(our_umask_stays_ours),
        TEST(it_leads_a_session_and_a_group),
        TEST(no_file_of_ours_leaks),
        TEST(no_signal_is_blocked_or_ignored),
        TEST(another_user_is_become_with_its_groups),
        TEST(a_user_is_known_by_number_too),
        TEST(what_the_user_may_not_enter_is_a_fault),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
