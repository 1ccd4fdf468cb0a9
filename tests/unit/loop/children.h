/* SPDX-License-Identifier: MIT */
/* What the tests of child processes share: a loop with a worker, and runs that note what happened. */
#ifndef TESTS_LOOP_CHILDREN_H
#define TESTS_LOOP_CHILDREN_H

#include "waiting.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "loop/child.h"
#include "loop/roster.h"
#include "loop/worker.h"

struct fixture {
    struct loop *loop;
    struct worker *worker;
    struct roster *roster;
    struct children *children;
    unsigned open; /* runs that have not ended */
    char directory[64];
};

/* One child and what was heard of it. */
struct run {
    struct fixture *fixture;
    const char *argv[8];
    const char *env[8];
    struct child_spec spec;
    struct child *child;
    bool stop_when_started;
    bool stop_at_line;
    unsigned starts, ends;
    pid_t pid;
    struct buf lines; /* each followed by a newline */
    unsigned line_count;
    unsigned parts; /* of them: lines that go on in the next */
    size_t longest;
    bool line_after_end;
    bool inside_start;
    struct child_result result;
    struct err err;
};

static void on_started(void *arg, pid_t pid)
{
    struct run *run = arg;

    assert_false(run->inside_start);
    run->starts++;
    run->pid = pid;
    if (run->stop_when_started)
        child_stop(run->child);
}

static void on_line(void *arg, char *text, size_t len, bool goes_on)
{
    struct run *run = arg;

    assert_int_equal(strlen(text), len);
    run->parts += goes_on;
    run->line_after_end |= run->ends > 0;
    run->line_count++;
    run->longest = max_of(run->longest, len);
    buf_append(&run->lines, text, len);
    buf_putc(&run->lines, '\n');
    if (run->stop_at_line)
        child_stop(run->child);
}

static void on_ended(void *arg, const struct child_result *result, const struct err *err)
{
    struct run *run = arg;

    run->ends++;
    run->result = *result;
    run->child = NULL;
    if (err != NULL)
        run->err = *err;
    if (--run->fixture->open == 0)
        loop_stop(run->fixture->loop);
}

static const struct child_events child_test_events = {on_started, on_line, on_ended};

static inline void run_init(struct run *run, struct fixture *fixture)
{
    *run = (struct run){
        .fixture = fixture,
        .env = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/", NULL},
        .spec = {.directory = "/",
                 .umask = 022,
                 .input = "",
                 .timeout_ms = DEADLINE_MS,
                 .grace_ms = DEADLINE_MS,
                 .output_limit = 64 << 20,
                 .line_limit = 4096},
    };
    run->spec.argv = run->argv;
    run->spec.env = run->env;
    buf_init(&run->lines, BUF_ANY_SIZE);
}

static inline void run_shell(struct run *run, struct fixture *fixture, const char *script)
{
    run_init(run, fixture);
    run->argv[0] = "/bin/sh";
    run->argv[1] = "-c";
    run->argv[2] = script;
}

static inline void run_program(struct run *run, struct fixture *fixture, const char *program)
{
    run_init(run, fixture);
    run->argv[0] = program;
}

static inline void run_start(struct run *run)
{
    run->fixture->open++;
    run->inside_start = true;
    run->child = child_start(run->fixture->children, &run->spec, &child_test_events, run);
    run->inside_start = false;
    assert_int_equal(run->starts + run->ends, 0);
}

static inline void run_wait(struct run *run)
{
    run_until_stopped(run->fixture->loop);
    assert_int_equal(run->ends, 1);
    assert_false(run->line_after_end);
}

static inline void run_whole(struct run *run)
{
    run_start(run);
    run_wait(run);
}

static inline void run_done(struct run *run)
{
    buf_done(&run->lines);
}

static inline bool has_started(void *arg)
{
    return ((struct run *)arg)->starts > 0;
}

static inline bool has_line(void *arg)
{
    return ((struct run *)arg)->line_count > 0;
}

static inline int children_set_up(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));

    signal(SIGPIPE, SIG_IGN);
    strcpy(fixture->directory, "/tmp/cvnotifyd-test-XXXXXX");
    if (mkdtemp(fixture->directory) == NULL)
        return -1;
    chmod(fixture->directory, 0755);
    fixture->loop = loop_new();
    fixture->worker = worker_new(fixture->loop);
    struct err err;
    if (!roster_open(fixture->directory, &fixture->roster, &err))
        return -1;
    fixture->children = children_new(fixture->loop, fixture->worker);
    children_use(fixture->children, fixture->roster);
    *state = fixture;
    return 0;
}

static inline int children_tear_down(void **state)
{
    struct fixture *fixture = *state;
    char *command = xasprintf("rm -rf '%s'", fixture->directory);

    worker_free(fixture->worker);
    children_free(fixture->children);
    roster_close(fixture->roster);
    loop_free(fixture->loop);
    int status = system(command);
    free(command);
    free(fixture);
    return status;
}

/* A file in the test's directory; the caller frees its path. */
static inline char *write_file(const struct fixture *fixture, const char *name, const char *text,
                               mode_t mode)
{
    char *path = xasprintf("%s/%s", fixture->directory, name);
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(path, mode), 0);
    return path;
}

static inline void expect_not_run(struct run *run, const char *word, int os_errno)
{
    run_whole(run);
    assert_int_equal(run->result.end, CHILD_NOT_RUN);
    assert_int_equal(run->starts, 0);
    assert_int_equal(run->line_count, 0);
    assert_int_equal(run->err.code, ERR_HOST);
    if (strstr(run->err.text, word) == NULL)
        assert_string_equal(run->err.text, word);
    if (os_errno != 0 && strstr(run->err.text, strerror(os_errno)) == NULL)
        assert_string_equal(run->err.text, strerror(os_errno));
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    run_done(run);
}

#endif
