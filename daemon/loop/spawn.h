/* SPDX-License-Identifier: MIT */
/*
 * Starting a program: fork, set up, exec, and the truth about what failed. Blocks until the program
 * has begun or could not; runs on the worker thread, for loop/child alone.
 */
#ifndef LOOP_SPAWN_H
#define LOOP_SPAWN_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

struct child_spec;
struct rlimit;
struct roster_slot;

struct spawned {
    pid_t pid;     /* its session and process group too */
    int input_fd;  /* writes to its stdin, non-blocking */
    int output_fd; /* reads its stdout and stderr, non-blocking */
};

/* files is the program's limit of open files, slot its place in the roster, or NULL. ERR_HOST with what could not be done and why; no
 * process is left then. */
bool spawn(const struct child_spec *spec, const struct rlimit *files, struct roster_slot *slot,
           struct spawned *ret_spawned, struct err *err) MUST_CHECK;

#endif
