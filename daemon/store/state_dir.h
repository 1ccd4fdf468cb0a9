/* SPDX-License-Identifier: MIT */
/*
 * The directory that holds what must outlive us, and belongs to one process at a time: whoever holds
 * the lock on its file `lock`, which tells its pid.
 */
#ifndef STORE_STATE_DIR_H
#define STORE_STATE_DIR_H

#include <stdbool.h>

#include "base/alloc.h"

struct err;

/* Makes the directory (0700) if it is missing, not its parents, and takes its lock. *lock_fd is -1 or a
 * lock that we hold; it is kept while it is the directory's, and replaced when the directory was made
 * anew. ERR_CONFIG when another process holds the lock, with its pid, and when the directory can not be
 * made where it is wanted; ERR_HOST for the rest. Blocks. */
bool state_dir_claim(const char *path, int *lock_fd, struct err *err) MUST_CHECK;
/* fsync of a directory, so that names in it outlive a crash of the machine. */
bool state_dir_sync(const char *path, struct err *err) MUST_CHECK;

#endif
