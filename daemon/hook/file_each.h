/* SPDX-License-Identifier: MIT */
/*
 * One file an event: whole under its name, or not there. Written under a hidden temporary name, synced, and
 * renamed; a crash may leave a temporary file behind, which is swept away later. For the worker thread: every
 * call blocks.
 */
#ifndef HOOK_FILE_EACH_H
#define HOOK_FILE_EACH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct buf;
struct err;

/* A directory. Init with designated directory and mode, and fd -1. */
struct file_each {
    const char *directory; /* borrowed */
    mode_t mode;           /* of the files, whatever the umask */
    int64_t sweep_ms;      /* when to sweep again, monotonic */
    int fd;                /* of a file that is to be synced with its name; -1: none */
};

/* Removes temporary files that are older than an hour, at the first call and then hourly. A writer that is
 * still at one, of another process, finds it gone and has failed; nothing is lost. */
void file_each_sweep(struct file_each *each);
/* Writes a file and gives it its name, taking the place of one that has it. The name is safe after
 * file_each_sync. On failure nothing has changed. */
bool file_each_write(struct file_each *each, const char *name, const struct buf *text,
                     struct err *err);
/* Makes the names safe. */
bool file_each_sync(struct file_each *each, struct err *err);

#endif
