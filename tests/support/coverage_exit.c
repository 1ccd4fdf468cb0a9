/* SPDX-License-Identifier: MIT */
/*
 * Linked into a build with --coverage by -Wl,--wrap=_exit: who ends by _exit() writes its account first. Not
 * a child of vfork(), whose counters are its parent's.
 */
#include <pthread.h>
#include <unistd.h>

void __gcov_dump(void);
void __real__exit(int status) __attribute__((noreturn));
void __wrap__exit(int status) __attribute__((noreturn));

static pid_t own_pid;

/* Runs in a child of fork(), not of vfork(). */
static void note_pid(void)
{
    own_pid = getpid();
}

static void __attribute__((constructor)) start(void)
{
    note_pid();
    pthread_atfork(NULL, NULL, note_pid);
}

void __wrap__exit(int status)
{
    if (getpid() == own_pid)
        __gcov_dump();
    __real__exit(status);
}
