/* SPDX-License-Identifier: MIT */
/* One file an event. */
#include "hook/file_each.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"
#include "codec/uuid.h"
#include "hook/file_disk.h"

#define TEMPORARY_PREFIX ".cvnotifyd-"
#define TEMPORARY_SUFFIX ".tmp"
#define LEFT_BEHIND_MS   (60LL * 60 * 1000)

/* Whether a name is one of temporary_name. */
static bool is_temporary(const char *name)
{
    char unique[UUID_TEXT_MAX];

    if (!str_starts(name, TEMPORARY_PREFIX))
        return false;
    snprintf(unique, sizeof(unique), "%s", name + strlen(TEMPORARY_PREFIX));
    return uuid_is_valid(unique) &&
           strcmp(name + strlen(TEMPORARY_PREFIX) + UUID_TEXT_MAX - 1, TEMPORARY_SUFFIX) == 0;
}

static char *temporary_name(void)
{
    char unique[UUID_TEXT_MAX];

    uuid_new(unique);
    return xasprintf(TEMPORARY_PREFIX "%.36s" TEMPORARY_SUFFIX, unique);
}

static void sweep_one(int directory, const char *name)
{
    struct stat st;

    if (fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
        (int64_t)st.st_mtime * 1000 < clock_wall_ms() - LEFT_BEHIND_MS)
        unlinkat(directory, name, 0);
}

void file_each_sweep(struct file_each *each)
{
    const struct dirent *entry;

    if (clock_mono_ms() < each->sweep_ms)
        return;
    each->sweep_ms = clock_mono_ms() + LEFT_BEHIND_MS;
    DIR *directory = opendir(each->directory);
    if (directory == NULL)
        return;
    while ((entry = readdir(directory)) != NULL) {
        if (is_temporary(entry->d_name))
            sweep_one(dirfd(directory), entry->d_name);
    }
    closedir(directory);
}

/* Everything but the name. */
static bool fill(int fd, mode_t mode, const struct buf *text)
{
    size_t wrote;

    return fchmod(fd, mode) == 0 && file_disk_write(fd, text->data, text->len, &wrote) &&
           fsync(fd) == 0;
}

bool file_each_write(struct file_each *each, const char *name, const struct buf *text,
                     struct err *err)
{
    autofree char *hidden = temporary_name();
    autofree char *temporary = xasprintf("%s/%s", each->directory, hidden);
    autofree char *path = xasprintf("%s/%s", each->directory, name);
    autoclose int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, each->mode);

    if (fd < 0)
        return file_disk_fail(err, "make", temporary);
    if (fill(fd, each->mode, text) && rename(temporary, path) == 0) {
        alloc_close_slot(&each->fd);
        each->fd = fd;
        fd = -1; /* NOLINT: given away, so that its cleanup leaves it open */
        return true;
    }
    file_disk_fail(err, "write", path);
    unlink(temporary);
    return false;
}

bool file_each_sync(struct file_each *each, struct err *err)
{
    bool good = file_disk_sync_directory(each->directory, each->fd, err);

    alloc_close_slot(&each->fd);
    each->fd = -1;
    return good;
}
