/* SPDX-License-Identifier: MIT */
/* Starting a program. */
#include "loop/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"
#include "loop/account.h"
#include "loop/child.h"
#include "loop/roster.h"

/* glibc's wrappers change every thread's identity; in the child only the calling one exists. */
#ifdef SYS_setresuid32
#define SET_UID    SYS_setresuid32
#define SET_GID    SYS_setresgid32
#define SET_GROUPS SYS_setgroups32
#else
#define SET_UID    SYS_setresuid
#define SET_GID    SYS_setresgid
#define SET_GROUPS SYS_setgroups
#endif

/* What the child says through the status pipe when it can not become the program. Silence and the
 * end of the pipe mean that exec succeeded. */
enum step { STEP_SESSION, STEP_ROSTER, STEP_STDIO, STEP_USER, STEP_DIRECTORY, STEP_EXEC };

struct failure {
    enum step step;
    int os_errno;
};

/* Everything the child needs, prepared before the fork: it may not allocate. */
struct plan {
    const struct child_spec *spec;
    const struct rlimit *files;
    struct roster_slot *slot;
    struct account account;
    char **programs;  /* paths to try, ends with NULL */
    const char **env; /* spec's and HOME */
    char *home;       /* "HOME=..." */
    sigset_t mask;    /* to restore */
    int input[2];
    int output[2];
    int status[2];
};

static bool is_program(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* The value of "NAME=value", prefix being "NAME=". */
static const char *env_value(const char *const *env, const char *prefix)
{
    for (; *env != NULL; env++) {
        if (str_starts(*env, prefix))
            return *env + strlen(prefix);
    }
    return NULL;
}

/* The environment, with the user's HOME unless it holds one. */
static void plan_env(struct plan *plan)
{
    const char *const *env = plan->spec->env;
    size_t count = 0;

    while (env[count] != NULL)
        count++;
    plan->env = xcalloc(count + 2, sizeof(*plan->env));
    memcpy(plan->env, env, count * sizeof(*env));
    if (env_value(env, "HOME=") == NULL)
        plan->env[count] = plan->home = xasprintf("HOME=%s", plan->account.home);
}

/* The paths that argv[0] may mean, in order: itself when it holds a slash, else along PATH. */
static char **programs_for(const struct child_spec *spec)
{
    const char *name = spec->argv[0];
    size_t count = 0;
    char **paths = xcalloc(2, sizeof(*paths));

    if (strchr(name, '/') != NULL) {
        paths[0] = xstrdup(name);
        return paths;
    }
    const char *part = env_value(spec->env, "PATH=");
    while (part != NULL && *part != '\0') {
        size_t len = strcspn(part, ":");
        char *path = xasprintf("%.*s/%s", (int)len, part, name);

        part += len + (part[len] == ':');
        if (len == 0 || !is_program(path)) {
            free(path);
            continue;
        }
        paths = xreallocarray(paths, count + 2, sizeof(*paths));
        paths[count++] = path;
        paths[count] = NULL;
    }
    return paths;
}

static void programs_free(char **programs)
{
    for (char **path = programs; *path != NULL; path++)
        free(*path);
    free(programs);
}

static _Noreturn void give_up(const struct plan *plan, enum step step, int os_errno)
{
    struct failure failure = {step, os_errno};
    ssize_t ignored = write(plan->status[1], &failure, sizeof(failure));

    (void)ignored;
    _exit(127);
}

static void reset_signals(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    const unsigned long kernel_default[4] = {0};
    sigset_t none;

    for (int number = 1; number < NSIG; number++)
        sigaction(number, &action, NULL);
    /* libc keeps its own two from us; posix_spawn, which may have started us, leaves them ignored. */
    for (int number = 32; number <= 33; number++)
        syscall(SYS_rt_sigaction, number, kernel_default, NULL, (size_t)8);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* A process that is that user already may lack the right to set even the same groups. */
static bool become_user(const struct account *account)
{
    if (account->ours || (account->uid == geteuid() && account->gid == getegid() &&
                          syscall(SET_GROUPS, account->group_count, account->groups) != 0))
        return true;
    return syscall(SET_GROUPS, (size_t)account->group_count, account->groups) == 0 &&
           syscall(SET_GID, account->gid, account->gid, account->gid) == 0 &&
           syscall(SET_UID, account->uid, account->uid, account->uid) == 0;
}

/* In the child, which shares our memory until exec: nothing but system calls, and no return. */
static _Noreturn void become_program(const struct plan *plan)
{
    const struct child_spec *spec = plan->spec;

    if (setsid() < 0)
        give_up(plan, STEP_SESSION, errno);
    int reason = plan->slot != NULL ? roster_sign(plan->slot) : 0;
    if (reason != 0)
        give_up(plan, STEP_ROSTER, reason);
    if (dup2(plan->input[0], STDIN_FILENO) < 0 || dup2(plan->output[1], STDOUT_FILENO) < 0 ||
        dup2(plan->output[1], STDERR_FILENO) < 0)
        give_up(plan, STEP_STDIO, errno);
    syscall(SYS_close_range, 3U, UINT_MAX, CLOSE_RANGE_CLOEXEC);
    setrlimit(RLIMIT_NOFILE, plan->files);
    umask(spec->umask);
    /* What lets us become others, or bind and kill, is not for the program. */
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (!become_user(&plan->account))
        give_up(plan, STEP_USER, errno);
    if (spec->directory != NULL && chdir(spec->directory) < 0)
        give_up(plan, STEP_DIRECTORY, errno);
    reset_signals();
    reason = ENOENT;
    for (char **path = plan->programs; *path != NULL; path++) {
        execve(*path, (char *const *)(uintptr_t)spec->argv, (char *const *)(uintptr_t)plan->env);
        reason = errno;
        if (reason != EACCES && reason != ENOENT && reason != ENOTDIR)
            break;
    }
    give_up(plan, STEP_EXEC, reason);
}

/* vfork, for a daemon with much memory need not copy its page tables to start a script. Every signal
 * is blocked around it, so that no handler of ours runs in the child. */
static pid_t fork_program(struct plan *plan)
{
    sigset_t all;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &plan->mask);
    pid_t pid = vfork();
    if (pid == 0)
        become_program(plan);
    int fork_errno = errno;
    pthread_sigmask(SIG_SETMASK, &plan->mask, NULL);
    errno = fork_errno;
    return pid;
}

static bool explain(const struct plan *plan, const struct failure *failure, struct err *err)
{
    const struct child_spec *spec = plan->spec;
    const char *program = plan->programs[0] != NULL ? plan->programs[0] : spec->argv[0];

    switch (failure->step) {
    case STEP_SESSION:
    case STEP_STDIO:
        return err_set_errno(err, ERR_HOST, failure->os_errno, "can not set up %s", program);
    case STEP_ROSTER:
        return err_set_errno(err, ERR_HOST, failure->os_errno,
                             "can not note in state_dir that %s runs", program);
    case STEP_USER:
        return err_set_errno(err, ERR_HOST, failure->os_errno,
                             "can not become user %u, group %u (root, or CAP_SETUID and "
                             "CAP_SETGID, is needed)",
                             (unsigned)plan->account.uid, (unsigned)plan->account.gid);
    case STEP_DIRECTORY:
        return err_set_errno(err, ERR_HOST, failure->os_errno, "can not enter directory %s",
                             spec->directory);
    case STEP_EXEC:
        return err_set_errno(err, ERR_HOST, failure->os_errno, "can not run %s", program);
    }
    return false;
}

static void close_pair(int pair[2])
{
    for (int i = 0; i < 2; i++) {
        if (pair[i] >= 0)
            close(pair[i]);
        pair[i] = -1;
    }
}

/* Forks and waits for the status pipe to end: with words when the child failed. */
static bool run(struct plan *plan, struct spawned *ret_spawned, struct err *err)
{
    struct failure failure;
    ssize_t got;

    pid_t pid = fork_program(plan);
    if (pid < 0)
        return err_set_errno(err, ERR_HOST, errno, "can not start a process");
    close(plan->status[1]);
    plan->status[1] = -1;
    do {
        got = read(plan->status[0], &failure, sizeof(failure));
    } while (got < 0 && errno == EINTR);
    if (got == (ssize_t)sizeof(failure)) {
        waitpid(pid, NULL, 0);
        return explain(plan, &failure, err);
    }
    fcntl(plan->input[1], F_SETFL, O_NONBLOCK);
    fcntl(plan->output[0], F_SETFL, O_NONBLOCK);
    *ret_spawned = (struct spawned){pid, plan->input[1], plan->output[0]};
    plan->input[1] = plan->output[0] = -1;
    return true;
}

/* Prepares what the child can not, and runs it. */
static bool run_plan(struct plan *plan, struct spawned *ret_spawned, struct err *err)
{
    plan->programs = programs_for(plan->spec);
    plan_env(plan);
    bool good = run(plan, ret_spawned, err);
    programs_free(plan->programs);
    free(plan->env);
    free(plan->home);
    return good;
}

bool spawn(const struct child_spec *spec, const struct rlimit *files, struct roster_slot *slot,
           struct spawned *ret_spawned, struct err *err)
{
    struct plan plan = {.spec = spec,
                        .files = files,
                        .slot = slot,
                        .input = {-1, -1},
                        .output = {-1, -1},
                        .status = {-1, -1}};
    bool good;

    if (pipe2(plan.input, O_CLOEXEC) < 0 || pipe2(plan.output, O_CLOEXEC) < 0 ||
        pipe2(plan.status, O_CLOEXEC) < 0) {
        good = err_set_errno(err, ERR_HOST, errno, "can not make a pipe");
    } else {
        good = account_find(spec->user, spec->group, &plan.account, err) &&
               run_plan(&plan, ret_spawned, err);
    }
    account_done(&plan.account);
    close_pair(plan.input);
    close_pair(plan.output);
    close_pair(plan.status);
    return good;
}
