/* SPDX-License-Identifier: MIT */
/*
 * A child process as an operation: its own process group, a text on its stdin, its stdout and stderr
 * line by line, its end. The loop waits for none of it: exec happens on the worker thread, pipes do
 * not block. A background job that outlives the child and holds the pipe does not hold us: what is
 * in the pipe when the child ends is read, then the pipe is closed.
 */
#ifndef LOOP_CHILD_H
#define LOOP_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/alloc.h"

struct child;
struct children;
struct err;
struct loop;
struct roster;
struct worker;

struct child_spec {
    const char *const
        *argv; /* argv[0] with a slash is a path, else it is looked up in PATH of env */
    const char *const *env; /* "NAME=value"; HOME of the user is added when it is not there */
    const char *directory;
    mode_t umask;
    const char *user;  /* NULL: ours. Name or number; its groups come with it */
    const char *group; /* NULL: the user's */
    const char *input; /* for stdin; a child that does not read it is no error */
    size_t input_len;
    const char *hook; /* for the roster: what runs it, and for which message; both may be NULL */
    const char *message_id;
    int64_t timeout_ms;   /* then the group gets TERM */
    int64_t grace_ms;     /* from TERM to KILL; a group that may not be killed is logged */
    int64_t output_limit; /* bytes of output passed on; the rest is read and dropped */
    size_t line_limit;    /* a longer line is passed on in parts */
};

enum child_end {
    CHILD_EXITED,    /* value is the exit status */
    CHILD_SIGNALLED, /* value is a signal that we did not send */
    CHILD_TIMED_OUT, /* we ended it: timeout_ms */
    CHILD_STOPPED,   /* we ended it: child_stop; status 0 all the same is CHILD_EXITED */
    CHILD_NOT_RUN,   /* it never began: err says why, ERR_HOST */
};

struct child_result {
    enum child_end end;
    int value;
    int64_t duration_ms;
    bool output_cut; /* more than output_limit came */
};

struct child_events {
    /* The process exists now; pid is its group's too. May be NULL. */
    void (*started)(void *arg, pid_t pid);
    /* One line without its end; text is borrowed and may hold any byte but NUL ('?' stands for it).
     * goes_on: it was longer than line_limit, and the next call has more of it. */
    void (*line)(void *arg, char *text, size_t len, bool goes_on);
    /* Exactly once, never from inside child_start, after the last line. The child is gone then. */
    void (*ended)(void *arg, const struct child_result *result, const struct err *err);
};

/* Reaps every child of the process, ours or, as PID 1, anybody's. One per process. Raises the soft
 * limit of open files to the hard one, for each child takes some; the children get the old one. */
struct children *children_new(struct loop *loop, struct worker *worker);
/* From now on each child is entered in the roster before its program begins; borrowed. */
void children_use(struct children *children, struct roster *roster);
/* Kills (KILL) the groups that still live. The worker must be gone already. */
void children_free(struct children *children);
/* The longest grace of those that live, 0 when none does. */
int64_t children_grace_ms(const struct children *children);
/* KILL to every group now, and nothing more: the program is about to end. */
void children_kill(struct children *children);
/* Copies what it needs of spec. events and arg must live until ended. */
struct child *child_start(struct children *children, const struct child_spec *spec,
                          const struct child_events *events, void *arg);
/* TERM to the group now, KILL after the grace. ended still fires. */
void child_stop(struct child *child);

#endif
