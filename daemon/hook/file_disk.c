/* SPDX-License-Identifier: MIT */
/* Bytes on their way to a disk. */
#include "hook/file_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/err.h"

bool file_disk_fail(struct err *err, const char *what, const char *path)
{
    return err_set_errno(err, ERR_HOST, errno, "can not %s %s", what, path);
}

bool file_disk_write(int fd, const char *data, size_t len, size_t *ret_wrote)
{
    size_t done = 0;
    bool good = true;

    while (done < len && good) {
        ssize_t wrote = write(fd, data + done, len - done);
        if (wrote > 0)
            done += (size_t)wrote;
        else
            good = wrote < 0 && errno == EINTR;
    }
    *ret_wrote = done;
    return good;
}

bool file_disk_sync_directory(const char *directory, int fd, struct err *err)
{
    autoclose int opened = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (opened < 0 && errno == EACCES && fd >= 0)
        return syncfs(fd) == 0 || file_disk_fail(err, "sync", directory);
    /* EINVAL: it is not for this file system to sync directories. */
    return (opened >= 0 && (fsync(opened) == 0 || errno == EINVAL)) ||
           file_disk_fail(err, "sync", directory);
}
