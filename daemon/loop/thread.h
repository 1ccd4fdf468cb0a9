/* SPDX-License-Identifier: MIT */
/* A thread that gets no signal: they are the loop's. */
#ifndef LOOP_THREAD_H
#define LOOP_THREAD_H

#include <pthread.h>

/* 0, or the errno. The thread is joined or detached by the caller. */
int thread_start(void *(*run)(void *arg), void *arg, pthread_t *ret_thread);

#endif
