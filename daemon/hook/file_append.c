/* SPDX-License-Identifier: MIT */
/* Whole lines at the end of a file. */
#include "hook/file_append.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "hook/file_disk.h"

#define SEARCH_BYTES (1024L * 1024) /* how far back a repeated line is looked for */
#define PIPE_WAIT_MS 1000           /* for a pipe's reader to make room */
#define OPEN_FLAGS   (O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)

/* --- opening --- */

static int open_or_make(const struct file_append *file, bool *ret_made)
{
    const int flags = O_RDWR | OPEN_FLAGS;
    int fd = open(file->path, flags);

    *ret_made = fd < 0 && errno == ENOENT;
    if (!*ret_made)
        return fd;
    fd = open(file->path, flags | O_CREAT | O_EXCL, file->mode);
    if (fd >= 0)
        fchmod(fd, file->mode);
    else if (errno == EEXIST) /* somebody was faster, or it is a link to nowhere yet */
        fd = open(file->path, flags | O_CREAT, file->mode);
    return fd;
}

/* A pipe is opened anew, for with us as its reader one that nobody reads would swallow lines. */
static bool open_pipe(struct file_batch *batch)
{
    close(batch->fd);
    batch->fd = open(batch->file->path, O_WRONLY | OPEN_FLAGS);
    return batch->fd >= 0;
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
    file->doubt_from = file->doubt_upto = 0;
    return true;
}

bool file_batch_open(struct file_batch *batch, struct file_append *file, struct err *err)
{
    struct stat st;
    bool made;

    *batch = (struct file_batch){.file = file, .fd = -1};
    buf_init(&batch->text, BUF_ANY_SIZE);
    buf_init(&batch->end.text, SEARCH_BYTES);
    buf_init(&batch->start.text, SEARCH_BYTES);
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
    buf_done(&batch->text);
    buf_done(&batch->end.text);
    buf_done(&batch->start.text);
}

/* --- reading --- */

/* The file from `from` to `upto`; less when it has become shorter. */
static bool read_part(int fd, int64_t from, int64_t upto, struct file_part *part)
{
    char chunk[16384];

    part->from = from;
    while (from < upto) {
        ssize_t got = pread(fd, chunk, (size_t)min_of((int64_t)sizeof(chunk), upto - from), from);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got == 0;
        buf_append(&part->text, chunk, (size_t)got);
        from += got;
    }
    return true;
}

static bool read_end(struct file_batch *batch, struct err *err)
{
    const struct file_append *file = batch->file;
    int64_t from = max_of(batch->size - SEARCH_BYTES, 0);
    int64_t start_upto = min_of(file->first_size, from);

    if (batch->has_end)
        return true;
    buf_reset(&batch->end.text);
    buf_reset(&batch->start.text);
    batch->has_end =
        read_part(batch->fd, from, batch->size, &batch->end) &&
        read_part(batch->fd, max_of(start_upto - SEARCH_BYTES, 0), start_upto, &batch->start);
    if (!batch->has_end)
        return file_disk_fail(err, "read", file->path);
    batch->size = from + (int64_t)batch->end.text.len;
    return true;
}

/* Whether the whole line is there, where the file can be trusted. */
static bool part_has(const struct file_part *part, const struct buf *line,
                     const struct file_append *file)
{
    const char *at = part->text.data, *end = at + part->text.len;

    while ((at = memmem(at, (size_t)(end - at), line->data, line->len)) != NULL) {
        int64_t offset = part->from + (at - part->text.data);

        if (offset < file->doubt_from || offset >= file->doubt_upto)
            return true;
        at++;
    }
    return false;
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
    if (look_first) {
        if (!read_end(batch, err))
            return false;
        if (part_has(&batch->end, line, batch->file) || part_has(&batch->start, line, batch->file))
            return true;
    }
    buf_append(&batch->text, line->data, line->len);
    return true;
}

/* --- writing --- */

/* How many bytes of the last line are there without its end. */
static size_t torn_bytes(const struct buf *end)
{
    const char *newline = memrchr(end->data, '\n', end->len);

    return end->len - (newline == NULL ? 0 : (size_t)(newline - end->data) + 1);
}

/* Whether the torn line is one of ours, as far as it goes. */
static bool torn_is_ours(const struct file_part *end, size_t torn)
{
    static const char ours[] = "{\"specversion\"";
    bool from_its_start = torn < end->text.len || end->from == 0;

    return from_its_start && strncmp(end->text.data + end->text.len - torn, ours,
                                     min_of(torn, sizeof(ours) - 1)) == 0;
}

static bool mend_end(struct file_batch *batch, struct err *err)
{
    const char *path = batch->file->path;
    char last = '\n';

    if (batch->size == 0)
        return true;
    if (!batch->has_end && pread(batch->fd, &last, 1, batch->size - 1) == 1 && last == '\n')
        return true;
    if (!read_end(batch, err))
        return false;
    size_t torn = torn_bytes(&batch->end.text);
    if (torn == 0)
        return true;
    if (torn_is_ours(&batch->end, torn)) {
        if (ftruncate(batch->fd, batch->size - (int64_t)torn) == 0) {
            batch->size -= (int64_t)torn;
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

/* Takes back what was written, unless somebody else has written since, or emptied the file. */
static bool take_back(const struct file_batch *batch, size_t wrote)
{
    struct stat st;

    return fstat(batch->fd, &st) == 0 && st.st_size == batch->size + (int64_t)wrote &&
           ftruncate(batch->fd, batch->size) == 0;
}

bool file_batch_write(struct file_batch *batch, struct err *err)
{
    struct file_append *file = batch->file;
    size_t wrote;

    if (!batch->has_disk)
        return true;
    if (!mend_end(batch, err))
        return false;
    if (!file_disk_write(batch->fd, batch->text.data, batch->text.len, &wrote)) {
        file_disk_fail(err, "write", file->path);
        return (wrote == 0 || take_back(batch, wrote)) ? false
                                                       : err_prefix(err, "a torn line is left");
    }
    if (fdatasync(batch->fd) == 0)
        return true;
    file_disk_fail(err, "sync", file->path);
    /* It counts as not written, so it must not be found at the next try. */
    if (take_back(batch, wrote))
        return false;
    file->doubt_from = file->doubt_upto > 0 ? min_of(file->doubt_from, batch->size) : batch->size;
    file->doubt_upto = batch->size + (int64_t)wrote;
    return err_prefix(err, "lines that are not safe are left");
}
