/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the roster and of orphans share: a state_dir, and runs that stand in its roster as a
 * daemon's do. The test is the daemon that leaves them; it opens the roster once more to be the next one.
 */
#ifndef TESTS_LOOP_ROSTERS_H
#define TESTS_LOOP_ROSTERS_H

#include "waiting.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "loop/child.h"
#include "loop/roster.h"
#include "loop/spawn.h"

#define SLOT_BYTES ((off_t)sizeof(struct roster_record))
#define MAX_RUNS   8

struct fixture {
    char directory[64];
    char path[80]; /* of the file */
    struct loop *loop;
    struct roster *before; /* the daemon's that leaves runs */
    struct roster *after;  /* the next one's */
    pid_t pids[MAX_RUNS];
    int outputs[MAX_RUNS];
    unsigned runs;
};

static inline struct roster *open_roster(const struct fixture *fixture)
{
    struct roster *roster;
    struct err err;

    if (!roster_open(fixture->directory, &roster, &err))
        fail_msg("%s", err.text);
    return roster;
}

static inline void take_slot(struct roster *roster, struct roster_slot *ret_slot)
{
    struct err err;

    if (!roster_take(roster, 20000, "deploy", "message-1", ret_slot, &err))
        fail_msg("%s", err.text);
}

/* Runs a shell script that says "ready" when it is; its slot is the one given, or a new one. */
static inline pid_t leave_run_in(struct fixture *fixture, const char *script, const char *user,
                                 struct roster_slot *slot)
{
    static const char *const env[] = {"PATH=/usr/bin:/bin", "HOME=/", NULL};
    static const struct rlimit files = {100, 200};
    const char *const argv[] = {"/bin/sh", "-c", script, NULL};
    struct child_spec spec = {
        .argv = argv, .env = env, .directory = "/", .umask = 022, .user = user};
    struct spawned spawned;
    struct err err;
    char said[8] = "";

    if (!spawn(&spec, &files, slot, &spawned, &err))
        fail_msg("%s", err.text);
    close(spawned.input_fd);
    fcntl(spawned.output_fd, F_SETFL, 0);
    assert_int_equal(read(spawned.output_fd, said, 6), 6);
    assert_string_equal(said, "ready\n");
    fixture->outputs[fixture->runs] = spawned.output_fd;
    fixture->pids[fixture->runs++] = spawned.pid;
    return spawned.pid;
}

static inline pid_t leave_run(struct fixture *fixture, const char *script, int64_t grace_ms)
{
    struct roster_slot slot;
    struct err err;

    if (!roster_take(fixture->before, grace_ms, "deploy", "message-1", &slot, &err))
        fail_msg("%s", err.text);
    return leave_run_in(fixture, script, NULL, &slot);
}

static inline unsigned found_in(const struct roster *roster)
{
    unsigned count;

    (void)roster_found(roster, &count);
    return count;
}

/* How many a daemon that starts now finds alive. */
static inline unsigned found_now(const struct fixture *fixture)
{
    struct roster *roster = open_roster(fixture);
    unsigned count = found_in(roster);

    roster_close(roster);
    return count;
}

static inline int roster_set_up(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));

    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_IGN); /* who ends is gone at once, as with init */
    strcpy(fixture->directory, "/tmp/cvnotifyd-test-XXXXXX");
    if (mkdtemp(fixture->directory) == NULL)
        return -1;
    snprintf(fixture->path, sizeof(fixture->path), "%s/runs", fixture->directory);
    fixture->loop = loop_new();
    fixture->before = open_roster(fixture);
    *state = fixture;
    return 0;
}

static inline int roster_tear_down(void **state)
{
    struct fixture *fixture = *state;

    for (unsigned i = 0; i < fixture->runs; i++) {
        kill(-fixture->pids[i], SIGKILL);
        close(fixture->outputs[i]);
        run_until(fixture->loop, process_is_gone, &fixture->pids[i]);
    }
    roster_close(fixture->before);
    roster_close(fixture->after);
    loop_free(fixture->loop);
    unlink(fixture->path);
    rmdir(fixture->path);
    rmdir(fixture->directory);
    signal(SIGCHLD, SIG_DFL);
    free(fixture);
    return 0;
}

#endif
