/* SPDX-License-Identifier: MIT */
/*
 * Whole lines at the end of a file. Once file_batch_write has said so, a batch's lines are on the disk, and
 * so is the file's name; if it fails, none of them is there. The crash in between is what the rest is for:
 *
 *  - A line that may have been written by an earlier run is looked for first, in the last 16 MiB of the file
 *    and in the last 16 MiB of what it was when this process first saw it: a message comes back only when its
 *    lease is over, behind all that was written meanwhile. What can not be read is a fault, not "not there".
 *  - A last line without its end is a write that was cut short. One of ours is taken away, for its message
 *    comes again; somebody else's gets its end, and so does one that can not be taken away (chattr +a).
 *  - After a sync that failed nobody knows what is on the disk: the lines are taken back. Where that fails
 *    too, lines in that part of the file are no longer found, and rather written twice than lost.
 *
 * Not covered: a rotation between a write and the crash, for rotated files are not searched; lines of other
 * processes in the same file, which may be mixed with ours, though they are never taken away; a reload or a
 * restart after a sync that failed and lines that could not be taken back: they are found then, and trusted.
 *
 * A pipe, terminal or other device has no disk: each line is one write, without search, sync or way back.
 *
 * For the worker thread: every call blocks.
 */
#ifndef HOOK_FILE_APPEND_H
#define HOOK_FILE_APPEND_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "hook/file_search.h"

struct err;

/* A batch is not to be longer: what is not on record yet, this batch and the one before it, must be within
 * the part that is searched. */
#define FILE_BATCH_BYTES (256L * 1024)

/* A file, and what is remembered of it between batches. Init with designated path and mode. */
struct file_append {
    const char *path; /* borrowed */
    mode_t mode;      /* of a file that we make, whatever the umask */
    bool is_known;    /* device and inode tell the file whose name is safe */
    dev_t device;
    ino_t inode;
    int64_t first_size;      /* when we first saw it */
    struct file_doubt doubt; /* the part that could neither be synced nor taken back */
    bool is_torn;            /* the last line of a pipe lacks its end */
};

/* The file opened for some lines. */
struct file_batch {
    struct file_append *file;
    int fd;
    bool has_disk;
    bool is_broken; /* a pipe that did not take a line gets no more */
    int64_t size;
    struct file_line *lines;
    unsigned count;
    unsigned room;
};

/* Opens or makes the file; its name is safe then. Whatever it returns, the batch is to be closed. */
bool file_batch_open(struct file_batch *batch, struct file_append *file, struct err *err);
/* Takes a line, which ends in a newline and is borrowed until the batch is closed; look_first: unless it is
 * there already. A line for a pipe or device is out when this returns; false: it is not, and that is no
 * matter of the other lines. */
bool file_batch_add(struct file_batch *batch, const struct buf *line, bool look_first,
                    struct err *err);
/* Makes what was taken safe, and what was found. */
bool file_batch_write(struct file_batch *batch, struct err *err);
void file_batch_close(struct file_batch *batch);

#endif
