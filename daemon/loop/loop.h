/* SPDX-License-Identifier: MIT */
/*
 * The one event loop: libevent, fenced into this folder and net/. Everything that happens, happens
 * in a callback of this loop, on one thread; only loop/worker knows a second one.
 */
#ifndef LOOP_LOOP_H
#define LOOP_LOOP_H

struct event_base;
struct loop;

struct loop *loop_new(void);
void loop_free(struct loop *loop);
/* Runs until loop_stop. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);
/* For loop/ and net/ alone. */
struct event_base *loop_base(struct loop *loop);

/* Calls fn once, soon, from the loop itself: for what must not happen inside the present callback.
 * What is still due when the loop is freed is called then. */
void loop_defer(struct loop *loop, void (*fn)(void *arg), void *arg);

/* Calls fn on the loop each time the process gets the signal. Freed with the loop. */
typedef void loop_signal_fn(void *arg);
void loop_on_signal(struct loop *loop, int signal_number, loop_signal_fn *fn, void *arg);

/* Calls fn on the loop whenever fd can be read (or has ended). */
struct loop_watch;
struct loop_watch *loop_watch_read(struct loop *loop, int fd, void (*fn)(void *arg), void *arg);
struct loop_watch *loop_watch_write(struct loop *loop, int fd, void (*fn)(void *arg), void *arg);
/* Stops watching; fd stays open. NULL is fine. */
void loop_watch_free(struct loop_watch *watch);

#endif
