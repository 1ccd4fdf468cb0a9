/* SPDX-License-Identifier: MIT */
/* A thread that gets no signal. */
#include "loop/thread.h"

#include <signal.h>

int thread_start(void *(*run)(void *arg), void *arg, pthread_t *ret_thread)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(ret_thread, NULL, run, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}
