/* SPDX-License-Identifier: MIT */
/* A child process as an operation. */
#include "loop/child.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "loop/loop.h"
#include "loop/roster.h"
#include "loop/spawn.h"
#include "loop/timer.h"
#include "loop/worker.h"

/* The most that is read once the child has ended: a background job may go on writing for ever. */
#define DRAIN_LIMIT ((size_t)1024 * 1024)

/* How often to look whether a group that was told to end is empty. */
#define GROUP_LOOK_MS 50

enum child_state {
    CHILD_SPAWNING, /* on the worker thread */
    CHILD_RUNNING,
    CHILD_ENDING, /* TERM was sent */
    CHILD_LEFT,   /* and the process ended, but others of its group live on, within the grace */
    CHILD_KILLED, /* KILL was sent */
};

struct child {
    struct children *children;
    enum child_state state;
    enum child_end reason; /* why we ended it, in CHILD_ENDING and CHILD_KILLED */
    bool stop_wanted;      /* child_stop came while it was spawning */
    struct child_spec spec;
    struct child_events events;
    void *arg;
    struct worker_job job;
    struct roster_slot slot;
    bool has_slot;
    struct spawned process;
    bool spawned;
    struct err err;
    int64_t started_ms; /* monotonic */
    int64_t grace_until_ms;
    int status;         /* of waitpid */
    struct timer timer; /* the time-out, then the grace */
    struct loop_watch *input_watch;
    struct loop_watch *output_watch;
    size_t input_sent;
    int64_t output_seen;
    struct buf line;
    LIST_ENTRY(child) entry;
};

struct children {
    struct loop *loop;
    struct worker *worker;
    struct roster *roster;
    struct rlimit files; /* as we were started with */
    LIST_HEAD(, child) all;
    unsigned spawning; /* how many of them have no pid that we know yet */
};

static char **copy_texts(const char *const *texts)
{
    size_t count = 0;

    while (texts != NULL && texts[count] != NULL)
        count++;
    char **copy = xcalloc(count + 1, sizeof(*copy));
    for (size_t i = 0; i < count; i++)
        copy[i] = xstrdup(texts[i]);
    return copy;
}

static void free_texts(const char *const *texts)
{
    char **own = (char **)(uintptr_t)texts;

    for (char **text = own; *text != NULL; text++)
        free(*text);
    free(own);
}

static void copy_spec(struct child_spec *copy, const struct child_spec *spec)
{
    *copy = *spec;
    copy->argv = (const char *const *)copy_texts(spec->argv);
    copy->env = (const char *const *)copy_texts(spec->env);
    copy->directory = xstrdup(spec->directory);
    copy->input = memcpy(xmalloc(spec->input_len + 1), spec->input, spec->input_len);
    copy->user = xstrdup(spec->user);
    copy->group = xstrdup(spec->group);
    copy->hook = xstrdup(spec->hook);
    copy->message_id = xstrdup(spec->message_id);
}

static void free_spec(struct child_spec *spec)
{
    free_texts(spec->argv);
    free_texts(spec->env);
    free((void *)(uintptr_t)spec->directory);
    free((void *)(uintptr_t)spec->input);
    free((void *)(uintptr_t)spec->user);
    free((void *)(uintptr_t)spec->group);
    free((void *)(uintptr_t)spec->hook);
    free((void *)(uintptr_t)spec->message_id);
}

static void close_input(struct child *child)
{
    loop_watch_free(child->input_watch);
    child->input_watch = NULL;
    if (child->process.input_fd >= 0)
        close(child->process.input_fd);
    child->process.input_fd = -1;
}

static void close_output(struct child *child)
{
    loop_watch_free(child->output_watch);
    child->output_watch = NULL;
    if (child->process.output_fd >= 0)
        close(child->process.output_fd);
    child->process.output_fd = -1;
}

static void child_free(struct child *child)
{
    LIST_REMOVE(child, entry);
    if (child->has_slot)
        roster_release(child->children->roster, child->slot.number);
    close_input(child);
    close_output(child);
    timer_done(&child->timer);
    buf_done(&child->line);
    free_spec(&child->spec);
    free(child);
}

/* Writes what the pipe takes; closes it at the end, or when the child does not want it. */
static void feed(struct child *child)
{
    while (child->input_sent < child->spec.input_len) {
        ssize_t sent = write(child->process.input_fd, child->spec.input + child->input_sent,
                             child->spec.input_len - child->input_sent);
        if (sent < 0 && errno == EAGAIN)
            return;
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            break;
        child->input_sent += (size_t)sent;
    }
    close_input(child);
}

static void pass_line(struct child *child)
{
    child->events.line(child->arg, child->line.data, child->line.len, false);
    buf_reset(&child->line);
}

/* Passes on the beginning of a line that is too long: up to a blank or the like near its end, so that a
 * word, or a parameter of a URL, stays whole if that is possible. */
static void pass_part(struct child *child)
{
    struct buf *line = &child->line;
    size_t cut = line->len;

    while (cut > line->len * 3 / 4 && strchr(" \t\"'&?,;<>", line->data[cut - 1]) == NULL)
        cut--;
    if (cut <= line->len * 3 / 4)
        cut = line->len;
    autofree char *part = xstrndup(line->data, cut);
    buf_consume(line, cut);
    child->events.line(child->arg, part, cut, true);
}

/* Cuts output into lines. What is over output_limit is dropped here. */
static void take_output(struct child *child, const char *data, size_t len)
{
    int64_t room = max_of(child->spec.output_limit - child->output_seen, 0);

    child->output_seen += (int64_t)len;
    len = (size_t)min_of((int64_t)len, room);
    for (size_t i = 0; i < len; i++) {
        if (data[i] == '\n') {
            pass_line(child);
            continue;
        }
        if (child->line.len >= child->spec.line_limit)
            pass_part(child);
        buf_putc(&child->line, data[i] == '\0' ? '?' : data[i]);
    }
}

/* Reads what is there, at most limit bytes. */
static void read_output(struct child *child, size_t limit)
{
    char chunk[16384];

    while (child->process.output_fd >= 0 && limit > 0) {
        ssize_t got = read(child->process.output_fd, chunk, min_of(sizeof(chunk), limit));

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == EAGAIN)
            return;
        if (got <= 0) {
            close_output(child);
            return;
        }
        limit -= (size_t)got;
        take_output(child, chunk, (size_t)got);
    }
}

static void on_input(void *arg)
{
    feed(arg);
}

/* Tells the owner and is gone. */
static void end(struct child *child, const struct child_result *result, const struct err *err)
{
    struct child_events events = child->events;
    void *arg = child->arg;

    child_free(child);
    events.ended(arg, result, err);
}

/* What a wait status means, given what we did to the process ourselves. */
static struct child_result judge(const struct child *child, int status)
{
    bool ours = child->state != CHILD_RUNNING;
    struct child_result result = {
        .end = WIFEXITED(status) ? CHILD_EXITED : CHILD_SIGNALLED,
        .value = WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status),
        .duration_ms = clock_mono_ms() - child->started_ms,
        .output_cut = child->output_seen > child->spec.output_limit,
    };

    /* A script that answers a stop's TERM with status 0 says that its work is done. */
    if (ours &&
        (child->reason == CHILD_TIMED_OUT || result.end == CHILD_SIGNALLED || result.value != 0))
        result.end = child->reason;
    return result;
}

static void child_exited(struct child *child, int status)
{
    read_output(child, DRAIN_LIMIT);
    if (child->line.len > 0)
        pass_line(child);
    struct child_result result = judge(child, status);
    end(child, &result, NULL);
}

/* Whether a group has members still. Its number can not be taken by another before it is empty, and
 * then not for as long as it takes to hand out all others. */
static bool group_lives(const struct child *child)
{
    return kill(-child->process.pid, 0) == 0 || errno == EPERM;
}

/* KILL to what is left of its group. Another user's processes, as those of sudo, may be beyond our reach. */
static void kill_group(const struct child *child)
{
    const struct log_field fields[] = {
        {"hook", child->spec.hook}, {"message_id", child->spec.message_id}, {NULL, NULL}};

    if (kill(-child->process.pid, SIGKILL) == 0 || errno == ESRCH)
        return;
    log_err(fields,
            "process group %d can not be ended: %s (root, or CAP_KILL, is needed); it lives on "
            "past its time",
            (int)child->process.pid, strerror(errno));
}

/* The process that we told to end has ended, and is reaped. Those whom it left in its group have the
 * rest of the grace. */
static void await_group(struct child *child)
{
    int64_t left_ms = child->grace_until_ms - clock_mono_ms();

    if (group_lives(child) && left_ms > 0) {
        child->state = CHILD_LEFT;
        timer_set(&child->timer, min_of(left_ms, GROUP_LOOK_MS));
        return;
    }
    kill_group(child);
    child->state = CHILD_KILLED;
    child_exited(child, child->status);
}

/* Whether its process is there to be reaped. */
static bool is_running(const struct child *child)
{
    return child->state != CHILD_SPAWNING && child->state != CHILD_LEFT;
}

static struct child *find(const struct children *children, pid_t pid)
{
    struct child *child;

    LIST_FOREACH (child, &children->all, entry) {
        if (is_running(child) && child->process.pid == pid)
            return child;
    }
    return NULL;
}

/* Reaps one ended process. */
static void reap(struct children *children, pid_t pid)
{
    struct child *child = find(children, pid);
    int status;

    if (waitpid(pid, &status, 0) != pid || child == NULL)
        return;
    child->status = status;
    if (child->state == CHILD_ENDING)
        await_group(child);
    else
        child_exited(child, status);
}

/* Whether an ended process waits to be reaped: any, or that one. */
static pid_t ended_process(idtype_t which, pid_t pid)
{
    siginfo_t info = {.si_pid = 0};

    if (waitid(which, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
        return 0;
    return info.si_pid;
}

/* While a spawn is under way, an unknown pid may be the one that is about to be told to us: then only
 * the known are reaped, and the rest when the spawn is told. */
static void reap_all(struct children *children)
{
    struct child *child, *next;
    pid_t pid;

    while (children->spawning == 0 && (pid = ended_process(P_ALL, 0)) > 0)
        reap(children, pid);
    if (children->spawning == 0)
        return;
    for (child = LIST_FIRST(&children->all); child != NULL; child = next) {
        next = LIST_NEXT(child, entry);
        if (is_running(child) && ended_process(P_PID, child->process.pid) > 0)
            reap(children, child->process.pid);
    }
}

static void on_output(void *arg)
{
    read_output(arg, 65536);
}

static void on_sigchld(void *arg)
{
    reap_all(arg);
}

/* TERM now and KILL after the grace. */
static void begin_end(struct child *child, enum child_end reason)
{
    child->state = CHILD_ENDING;
    child->reason = reason;
    child->grace_until_ms = clock_mono_ms() + child->spec.grace_ms;
    kill(-child->process.pid, SIGTERM);
    timer_set(&child->timer, child->spec.grace_ms);
}

static void on_timer(void *arg)
{
    struct child *child = arg;

    switch (child->state) {
    case CHILD_RUNNING:
        begin_end(child, CHILD_TIMED_OUT);
        break;
    case CHILD_ENDING:
        child->state = CHILD_KILLED;
        kill_group(child);
        break;
    case CHILD_LEFT:
        await_group(child);
        break;
    case CHILD_SPAWNING:
    case CHILD_KILLED:
        break;
    }
}

/* True without a roster, too. */
static bool take_slot(struct child *child)
{
    const struct child_spec *spec = &child->spec;
    struct roster *roster = child->children->roster;

    child->has_slot = roster != NULL && roster_take(roster, spec->grace_ms, spec->hook,
                                                    spec->message_id, &child->slot, &child->err);
    return child->has_slot || roster == NULL;
}

/* On the worker thread. */
static void job_run(void *arg)
{
    struct child *child = arg;

    child->spawned = take_slot(child) &&
                     spawn(&child->spec, &child->children->files,
                           child->has_slot ? &child->slot : NULL, &child->process, &child->err);
}

static void watch(struct child *child)
{
    struct loop *loop = child->children->loop;

    child->state = CHILD_RUNNING;
    child->output_watch = loop_watch_read(loop, child->process.output_fd, on_output, child);
    feed(child);
    if (child->process.input_fd >= 0)
        child->input_watch = loop_watch_write(loop, child->process.input_fd, on_input, child);
    timer_set(&child->timer, child->spec.timeout_ms);
}

static void job_done(void *arg)
{
    struct child *child = arg;
    struct children *children = child->children;

    children->spawning--;
    if (!child->spawned) {
        struct child_result result = {.end = CHILD_NOT_RUN, .value = -1};
        struct err err = child->err;

        end(child, &result, &err);
    } else {
        watch(child);
        if (child->events.started != NULL)
            child->events.started(child->arg, child->process.pid);
        if (child->stop_wanted)
            begin_end(child, CHILD_STOPPED);
    }
    /* It, or others that waited for this spawn to be told, may have ended already. */
    reap_all(children);
}

void children_kill(struct children *children)
{
    struct child *child;

    LIST_FOREACH (child, &children->all, entry) {
        if (child->state != CHILD_SPAWNING)
            kill(-child->process.pid, SIGKILL);
    }
}

int64_t children_grace_ms(const struct children *children)
{
    const struct child *child;
    int64_t grace_ms = 0;

    LIST_FOREACH (child, &children->all, entry)
        grace_ms = max_of(grace_ms, child->spec.grace_ms);
    return grace_ms;
}

/* Programs keep the old limit: where it is high, some fail (select) or crawl (closing all). */
static void raise_files(struct children *children)
{
    getrlimit(RLIMIT_NOFILE, &children->files);
    struct rlimit raised = {children->files.rlim_max, children->files.rlim_max};
    setrlimit(RLIMIT_NOFILE, &raised);
}

struct children *children_new(struct loop *loop, struct worker *worker)
{
    struct children *children = xcalloc(1, sizeof(*children));

    children->loop = loop;
    children->worker = worker;
    LIST_INIT(&children->all);
    raise_files(children);
    loop_on_signal(loop, SIGCHLD, on_sigchld, children);
    return children;
}

void children_use(struct children *children, struct roster *roster)
{
    children->roster = roster;
}

void children_free(struct children *children)
{
    struct child *child;

    if (children == NULL)
        return;
    while ((child = LIST_FIRST(&children->all)) != NULL) {
        if (child->process.pid > 0) {
            kill(-child->process.pid, SIGKILL);
            waitpid(child->process.pid, NULL, 0);
        }
        child_free(child);
    }
    setrlimit(RLIMIT_NOFILE, &children->files);
    free(children);
}

struct child *child_start(struct children *children, const struct child_spec *spec,
                          const struct child_events *events, void *arg)
{
    struct child *child = xcalloc(1, sizeof(*child));

    child->children = children;
    child->state = CHILD_SPAWNING;
    child->events = *events;
    child->arg = arg;
    child->started_ms = clock_mono_ms();
    child->process = (struct spawned){-1, -1, -1};
    copy_spec(&child->spec, spec);
    buf_init(&child->line, spec->line_limit + 1);
    timer_init(&child->timer, children->loop, on_timer, child);
    child->job = (struct worker_job){.run = job_run, .done = job_done, .arg = child};
    LIST_INSERT_HEAD(&children->all, child, entry);
    children->spawning++;
    worker_submit(children->worker, &child->job);
    return child;
}

void child_stop(struct child *child)
{
    switch (child->state) {
    case CHILD_SPAWNING:
        child->stop_wanted = true;
        break;
    case CHILD_RUNNING:
        begin_end(child, CHILD_STOPPED);
        break;
    case CHILD_ENDING:
    case CHILD_LEFT:
    case CHILD_KILLED:
        break;
    }
}
