/* SPDX-License-Identifier: MIT */
/*
 * Tells when files in some directories may have changed: written, replaced by rename, made, deleted,
 * or swapped behind a symbolic link as Kubernetes does. A burst of changes is told once.
 */
#ifndef LOOP_WATCH_H
#define LOOP_WATCH_H

struct loop;
struct watch;

struct watch *watch_new(struct loop *loop, void (*changed)(void *arg), void *arg);
/* NULL is fine. */
void watch_free(struct watch *watch);
/* A directory that does not exist is passed over. */
void watch_directory(struct watch *watch, const char *path);

#endif
