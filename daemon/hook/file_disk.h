/* SPDX-License-Identifier: MIT */
/*
 * Bytes on their way to a disk: what hook/file_append and hook/file_each have in common. For the worker
 * thread: every call blocks.
 */
#ifndef HOOK_FILE_DISK_H
#define HOOK_FILE_DISK_H

#include <stdbool.h>
#include <stddef.h>

struct err;

/* Writes all of it, however many writes that takes. *ret_wrote is what went out, on failure too; errno is
 * the system's then. */
bool file_disk_write(int fd, const char *data, size_t len, size_t *ret_wrote);
/* Makes the names in a directory safe. fd is a file in it, or -1: where the directory may be entered but
 * not read, that file's whole file system is synced. One that can not sync directories has no more to give. */
bool file_disk_sync_directory(const char *directory, int fd, struct err *err);
/* Sets "can not WHAT PATH" with errno's text, code ERR_HOST; returns false. */
bool file_disk_fail(struct err *err, const char *what, const char *path);

#endif
