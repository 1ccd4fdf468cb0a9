/* SPDX-License-Identifier: MIT */
/* The directory that belongs to one process at a time. */
#include "store/state_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/str.h"

/* Whether the lock that we hold is on the file that is there now. */
static bool is_current(int fd, const char *path)
{
    struct stat ours, there;

    return fd >= 0 && fstat(fd, &ours) == 0 && stat(path, &there) == 0 &&
           ours.st_ino == there.st_ino && ours.st_dev == there.st_dev;
}

static bool refuse(int fd, const char *path, struct err *err)
{
    char text[32] = "";

    ssize_t got = pread(fd, text, sizeof(text) - 1, 0);
    str_trim(text);
    return err_set(err, ERR_CONFIG,
                   "state_dir %s is in use by another cvnotifyd, pid %s; each needs its own", path,
                   got > 0 && text[0] != '\0' ? text : "unknown");
}

/* The lock does not need the pid: a full disk must not stand in its way. Cut to its length afterwards, so
 * that the file keeps its block. */
static void write_pid(int fd)
{
    char text[32];

    int len = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    bool ignored = pwrite(fd, text, (size_t)len, 0) == len && ftruncate(fd, len) == 0;
    (void)ignored;
}

/* Whether no disk that mends itself would help. */
static bool is_wrong_place(int error)
{
    return error == ENOENT || error == ENOTDIR || error == EACCES || error == EPERM;
}

/* Makes the directory, durably: what is in it is worth no more than its name. One whose name is not safe
 * is taken back, so that the next try sees to it. */
static bool make(const char *path, struct err *err)
{
    autofree char *above = xasprintf("%s/..", path);

    if (mkdir(path, 0700) < 0)
        return errno == EEXIST ||
               err_set(err, is_wrong_place(errno) ? ERR_CONFIG : ERR_HOST,
                       "can not make state_dir %s: %s%s", path, strerror(errno),
                       errno == ENOENT ? "; make the directory above it first" : "");
    /* Above may be for making and not for reading. */
    if (state_dir_sync(above, err) || err->os_errno == EACCES)
        return true;
    rmdir(path);
    return false;
}

bool state_dir_claim(const char *path, int *lock_fd, struct err *err)
{
    autofree char *lock = xasprintf("%s/lock", path);

    if (is_current(*lock_fd, lock))
        return true;
    if (!make(path, err))
        return false;
    autoclose int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_set_errno(err, ERR_HOST, errno, "can not write in state_dir: %s", lock);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? refuse(fd, path, err)
                                    : err_set_errno(err, ERR_HOST, errno, "can not lock %s", lock);
    write_pid(fd);
    if (*lock_fd >= 0)
        close(*lock_fd);
    *lock_fd = fd;
    fd = -1; /* NOLINT: given away, so that its cleanup leaves it open */
    return true;
}

bool state_dir_sync(const char *path, struct err *err)
{
    autoclose int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || fsync(fd) < 0)
        return err_set_errno(err, ERR_HOST, errno, "can not sync %s", path);
    return true;
}
