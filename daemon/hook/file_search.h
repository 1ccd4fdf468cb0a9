/* SPDX-License-Identifier: MIT */
/*
 * Lines that may stand in a file already, looked for whole: what a crash cut short is no line. Reads the file
 * once for any number of lines, and keeps no more of it than one line. For the worker thread: it blocks.
 */
#ifndef HOOK_FILE_SEARCH_H
#define HOOK_FILE_SEARCH_H

#include <stdbool.h>
#include <stdint.h>

struct buf;

struct file_line {
    const struct buf *text; /* with its newline; borrowed */
    bool look_first;
    bool is_there;
};

/* What the file ends in. */
struct file_tail {
    int64_t
        upto; /* the end of what was read: less than asked for when the file has become shorter */
    int64_t torn_at; /* where a last line without its end begins; else upto */
    bool is_ours;    /* that line, as far as it goes */
};

/* A part of a file in which nothing counts as there. */
struct file_doubt {
    int64_t from, upto;
};

/* wanted: pointers to the lines, which it sorts. Sets is_there of those that stand between `from` and `upto`.
 * False with errno if that could not be read. */
bool file_search(int fd, int64_t from, int64_t upto, const struct file_doubt *doubt,
                 struct file_line **wanted, unsigned count, struct file_tail *ret_tail);

#endif
