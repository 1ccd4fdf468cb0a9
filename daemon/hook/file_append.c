/* SPDX-License-Identifier: MIT */
/* Whole lines at the end of a file. */
#include "hook/file_append.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "hook/file_disk.h"

#define SEARCH_BYTES (16L * 1024 * 1024) /* how far back a repeated line is looked for */
#define PIPE_WAIT_MS 1000                /* for a pipe's reader to make room */
#define OPEN_FLAGS   (O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)

/* --- opening --- */

/* What has no disk need not be readable to us; a file must be, for lines to be looked for. */
static int open_to_write(const struct file_append *file)
{
    struct stat st;
    int fd = open(file->path, O_WRONLY | OPEN_FLAGS);

    if (fd < 0 || (fstat(fd, &st) == 0 && !S_ISREG(st.st_mode)))
        return fd;
    close(fd);
    errno = EACCES;
    return -1;
}

static int open_or_make(const struct file_append *file, bool *ret_made)
{
    const int flags = O_RDWR | OPEN_FLAGS;
    int fd = open(file->path, flags);

    *ret_made = fd < 0 && errno == ENOENT;
    if (fd < 0 && errno == EACCES)
        return open_to_write(file);
    if (!*ret_made)
        return fd;
    fd = open(file->path, flags | O_CREAT | O_EXCL, file->mode);
    if (fd >= 0)
        fchmod(fd, file->mode);
    else if (errno == EEXIST) /* somebody was faster, or it is a link to nowhere yet */
        fd = open(file->path, flags | O_CREAT, file->mode);
    return fd;
}

/* A pipe is opened anew, for with us as its reader one that nobody reads would swallow lines. In this order,
 * so that who reads it does not find it without a writer meanwhile. */
static bool open_pipe(struct file_batch *batch)
{
    int fd = open(batch->file->path, O_WRONLY | OPEN_FLAGS);

    if (fd < 0)
        return false;
    close(batch->fd);
    batch->fd = fd;
    return true;
}

/* The name is safe before a line is. A file that is new to us may be one that somebody else has made, or that
 * we made before a crash. */
static bool keep_name(struct file_batch *batch, const struct stat *st, bool made, struct err *err)
{
    struct file_append *file = batch->file;

    if (file->is_known && !made && file->device == st->st_dev && file->inode == st->st_ino)
        return true;
    file->is_known = false;
    autofree char *path = realpath(file->path, NULL); /* a link's own directory does not matter */
    if (path == NULL && errno != ENOENT) /* standard output may be a file without a name */
        return file_disk_fail(err, "find", file->path);
    if (path != NULL && !file_disk_sync_directory(dirname(path), batch->fd, err))
        return false;
    file->is_known = true;
    file->device = st->st_dev;
    file->inode = st->st_ino;
    file->first_size = st->st_size;
    file->doubt = (struct file_doubt){0};
    return true;
}

bool file_batch_open(struct file_batch *batch, struct file_append *file, struct err *err)
{
    struct stat st;
    bool made;

    *batch = (struct file_batch){.file = file, .fd = -1};
    batch->fd = open_or_make(file, &made);
    if (batch->fd < 0 || fstat(batch->fd, &st) < 0)
        return file_disk_fail(err, "open", file->path);
    batch->has_disk = S_ISREG(st.st_mode);
    batch->size = st.st_size;
    if (batch->has_disk)
        return keep_name(batch, &st, made, err);
    return !S_ISFIFO(st.st_mode) || open_pipe(batch) || file_disk_fail(err, "open", file->path);
}

void file_batch_close(struct file_batch *batch)
{
    alloc_close_slot(&batch->fd);
    free(take(batch->lines));
}

/* --- taking lines --- */

/* As much as the pipe has room for, and room is waited for a while. */
static bool write_pipe(struct file_batch *batch, const char *data, size_t len, size_t *ret_wrote)
{
    struct pollfd wait = {.fd = batch->fd, .events = POLLOUT};
    size_t wrote;

    *ret_wrote = 0;
    for (;;) {
        bool good = file_disk_write(batch->fd, data + *ret_wrote, len - *ret_wrote, &wrote);
        *ret_wrote += wrote;
        if (good || errno != EAGAIN)
            return good;
        if (poll(&wait, 1, PIPE_WAIT_MS) != 1) {
            errno = EAGAIN;
            return false;
        }
    }
}

/* A line for a pipe or a device. What has gone out can not be taken back: only its end is made up for. */
static bool send_line(struct file_batch *batch, const struct buf *line, struct err *err)
{
    struct file_append *file = batch->file;
    size_t wrote = 0;

    bool good = !batch->is_broken && (!file->is_torn || write_pipe(batch, "\n", 1, &wrote));
    if (good) {
        file->is_torn = false;
        good = write_pipe(batch, line->data, line->len, &wrote);
        file->is_torn = !good && wrote > 0;
    }
    if (batch->is_broken)
        errno = EAGAIN;
    batch->is_broken |= !good;
    return good || file_disk_fail(err, "write", file->path);
}

bool file_batch_add(struct file_batch *batch, const struct buf *line, bool look_first,
                    struct err *err)
{
    if (!batch->has_disk)
        return send_line(batch, line, err);
    if (batch->count == batch->room) {
        batch->room = max_of(batch->room * 2, 16);
        batch->lines = xreallocarray(batch->lines, batch->room, sizeof(*batch->lines));
    }
    batch->lines[batch->count++] = (struct file_line){.text = line, .look_first = look_first};
    return true;
}

/* --- writing --- */

/* The last line has no end. */
static bool mend_tail(struct file_batch *batch, const struct file_tail *tail, struct err *err)
{
    const char *path = batch->file->path;

    if (tail->is_ours) {
        if (ftruncate(batch->fd, tail->torn_at) == 0) {
            batch->size = tail->torn_at;
            return true;
        }
        if (errno != EPERM)
            return file_disk_fail(err, "take a torn line from", path);
    }
    if (write(batch->fd, "\n", 1) != 1)
        return file_disk_fail(err, "write", path);
    batch->size++;
    return true;
}

/* Whether the file ends as it should, as far as its last byte tells. */
static bool ends_well(const struct file_batch *batch)
{
    char last;

    return batch->size == 0 || (pread(batch->fd, &last, 1, batch->size - 1) == 1 && last == '\n');
}

/* Finds out which lines are there already, and whether the last one lacks its end. */
static bool look(struct file_batch *batch, struct err *err)
{
    const struct file_append *file = batch->file;
    int64_t end_from = max_of(batch->size - SEARCH_BYTES, 0);
    int64_t start_upto = min_of(file->first_size, batch->size);
    int64_t start_from = max_of(start_upto - SEARCH_BYTES, 0);
    autofree struct file_line **wanted = xcalloc(batch->count + 1, sizeof(struct file_line *));
    struct file_tail tail;
    unsigned count = 0;

    if (start_upto >= end_from) /* one part, that no line is cut in two */
        start_upto = end_from = start_from;
    for (unsigned i = 0; i < batch->count; i++) {
        if (batch->lines[i].look_first)
            wanted[count++] = &batch->lines[i];
    }
    if (count == 0 && ends_well(batch))
        return true;
    if ((count > 0 &&
         !file_search(batch->fd, start_from, start_upto, &file->doubt, wanted, count, &tail)) ||
        !file_search(batch->fd, end_from, batch->size, &file->doubt, wanted, count, &tail))
        return file_disk_fail(err, "read", file->path);
    batch->size = tail.upto;
    return tail.torn_at == tail.upto || mend_tail(batch, &tail, err);
}

/* Takes back what was written, unless somebody else has written since, or emptied the file. */
static bool take_back(const struct file_batch *batch, size_t wrote)
{
    struct stat st;

    return fstat(batch->fd, &st) == 0 && st.st_size == batch->size + (int64_t)wrote &&
           ftruncate(batch->fd, batch->size) == 0;
}

/* Nobody knows how much of it is on the disk: it counts as not written, so it must not be found at the next
 * try. */
static bool doubt(const struct file_batch *batch, size_t wrote, struct err *err)
{
    struct file_doubt *doubt = &batch->file->doubt;

    if (take_back(batch, wrote))
        return false;
    doubt->from = doubt->upto > 0 ? min_of(doubt->from, batch->size) : batch->size;
    doubt->upto = batch->size + (int64_t)wrote;
    return err_prefix(err, "lines that are not safe are left");
}

static bool write_text(const struct file_batch *batch, const struct buf *text, struct err *err)
{
    const char *path = batch->file->path;
    size_t wrote;

    if (!file_disk_write(batch->fd, text->data, text->len, &wrote)) {
        file_disk_fail(err, "write", path);
        return (wrote == 0 || take_back(batch, wrote)) ? false
                                                       : err_prefix(err, "a torn line is left");
    }
    if (fdatasync(batch->fd) == 0)
        return true;
    file_disk_fail(err, "sync", path);
    return doubt(batch, wrote, err);
}

bool file_batch_write(struct file_batch *batch, struct err *err)
{
    autobuf text;

    buf_init(&text, BUF_ANY_SIZE);
    if (!batch->has_disk)
        return true;
    if (!look(batch, err))
        return false;
    for (unsigned i = 0; i < batch->count; i++) {
        const struct file_line *line = &batch->lines[i];
        if (!line->is_there)
            buf_append(&text, line->text->data, line->text->len);
    }
    return write_text(batch, &text, err);
}
