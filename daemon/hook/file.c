/* SPDX-License-Identifier: MIT */
/*
 * The hook kind `file`: an event as one JSON line at the end of a file, or as one file in a directory.
 * All runs that wait when the worker is free go to the disk together, under one fdatasync. The file
 * is opened for each batch, so it may be renamed, rotated or deleted at any time.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "codec/template.h"
#include "codec/uuid.h"
#include "config/mistakes.h"
#include "config/node.h"
#include "event/event.h"
#include "hook/hook.h"
#include "hook/kinds.h"
#include "hook/values.h"
#include "loop/timer.h"
#include "loop/worker.h"

#define SEARCH_BYTES (1024 * 1024) /* how far back a repeated message is looked for */
#define NAME_BYTES   255           /* of a file's name, on every file system of note */

struct settings {
    struct config_place place;
    char *path;
    char *directory;
    char *name;
    int64_t mode;
};

#define OFFSET(member) offsetof(struct settings, member)

static const struct config_row rows[] = {
    {.name = "path",
     .type = CONFIG_TEXT,
     .absolute = true,
     .offset = OFFSET(path),
     .min = 1,
     .max = 4095,
     .help = "The file that gets one line an event."},
    {.name = "directory",
     .type = CONFIG_TEXT,
     .absolute = true,
     .offset = OFFSET(directory),
     .min = 1,
     .max = 4000,
     .help = "Instead of path: the directory that gets one file an event; it must "
             "exist."},
    {.name = "name",
     .type = CONFIG_TEMPLATE,
     .offset = OFFSET(name),
     .min = 1,
     .max = 1024,
     .help = "With directory: the file's name. No / and no {model_uri}; "
             "{message_id} in it keeps events apart."},
    {.name = "mode",
     .type = CONFIG_OCTAL,
     .offset = OFFSET(mode),
     .text = "0640",
     .min = 0200,
     .max = 0777,
     .help = "Permissions of a new file, whatever the umask; an old file keeps "
             "its own."},
    {.name = NULL},
};

/* A name that leaves its directory, or may, would send every message to poison. */
static void check_name(const struct settings *settings, const struct node *at,
                       struct mistakes *mistakes)
{
    struct template *name = values_compile(settings->name, "name", at, mistakes);
    bool has_uri = false;

    for (unsigned i = 0; name != NULL && template_name(name, i) != NULL; i++)
        has_uri |= strcmp(template_name(name, i), "model_uri") == 0;
    if (name != NULL && (has_uri || strchr(settings->name, '/') != NULL))
        mistakes_at(mistakes, at,
                    "name: is a file's name in the directory; it may hold no / and no %s",
                    "{model_uri}");
    template_free(name);
}

static void check_table(void *object, const struct node *map, struct mistakes *mistakes)
{
    const struct settings *settings = object;
    bool one = node_member(map, "path") != NULL, each = node_member(map, "directory") != NULL;
    const struct node *name = node_member(map, "name");

    if (one == each)
        mistakes_at(mistakes, map, "file: write either path, or directory and name");
    else if (each != (name != NULL))
        mistakes_at(mistakes, map,
                    "file: directory and name go together, as in "
                    "name: \"{event}-{message_id}.json\"");
    else if (each)
        check_name(settings, name, mistakes);
}

struct run {
    const struct hook_call *call;
    struct buf line; /* the document and its newline */
    char *name;      /* in a directory */
    bool look_first; /* it was delivered before: its line may be there already */
    int64_t started_ms;
    enum hook_outcome outcome;
    struct err err;
    STAILQ_ENTRY(run) entry;
};

STAILQ_HEAD(runs, run);

struct file {
    const struct settings *settings;
    struct template *name;
    struct worker *worker;
    struct worker_job job;
    struct timer gather; /* runs that begin in one turn of the loop go to the disk together */
    bool busy;
    struct runs waiting;
    struct runs writing; /* the worker's while busy */
};

static unsigned parallel(const void *settings)
{
    (void)settings;
    return 0;
}

/* --- on the worker thread: one file --- */

static bool fail(struct err *err, const char *what, const char *path)
{
    return err_set_errno(err, ERR_HOST, errno, "can not %s %s", what, path);
}

/* Opens for appending. Only a file that we make gets our mode. */
static int open_file(const struct settings *settings)
{
    int flags = O_RDWR | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    int fd = open(settings->path, flags);

    if (fd >= 0 || errno != ENOENT)
        return fd;
    fd = open(settings->path, flags | O_CREAT | O_EXCL, (mode_t)settings->mode);
    if (fd >= 0)
        fchmod(fd, (mode_t)settings->mode);
    else if (errno == EEXIST) /* somebody was faster, or it is a link to nowhere yet */
        fd = open(settings->path, flags | O_CREAT, (mode_t)settings->mode);
    return fd;
}

/* The last part of the file, at most SEARCH_BYTES. */
static bool read_end(int fd, int64_t size, struct buf *end)
{
    int64_t from = max_of(size - SEARCH_BYTES, 0);
    char chunk[16384];

    while (from < size) {
        ssize_t got = pread(fd, chunk, (size_t)min_of((int64_t)sizeof(chunk), size - from), from);
        if (got <= 0)
            return got == 0;
        buf_append(end, chunk, (size_t)got);
        from += got;
    }
    return true;
}

/* A line that a crash cut short is taken away again, if it is one of ours; its message comes again.
 * Somebody else's gets its end of line. Returns the file's new size, -1 on failure. */
static int64_t mend_end(int fd, int64_t size, struct buf *end)
{
    static const char ours[] = "{\"specversion\"";
    const char *newline = memrchr(end->data, '\n', end->len);
    size_t torn = end->len - (newline == NULL ? 0 : (size_t)(newline - end->data) + 1);

    if (torn == 0)
        return size;
    if (strncmp(end->data + end->len - torn, ours, min_of(torn, sizeof(ours) - 1)) != 0)
        return write(fd, "\n", 1) == 1 ? size + 1 : -1;
    end->len -= torn;
    end->data[end->len] = '\0';
    return ftruncate(fd, size - (int64_t)torn) == 0 ? size - (int64_t)torn : -1;
}

static bool is_there(const struct run *run, const struct buf *end)
{
    autofree char *id = xasprintf("\"id\":\"%s\"", run->call->message->id);

    return memmem(end->data, end->len, id, strlen(id)) != NULL;
}

/* Appends the text, whole or not at all. */
static bool append(int fd, int64_t size, const struct buf *text, const char *path, struct err *err)
{
    size_t done = 0;

    while (done < text->len) {
        ssize_t wrote = write(fd, text->data + done, text->len - done);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0) {
            fail(err, "write", path);
            /* No half line stays behind. */
            if (done > 0 && ftruncate(fd, size) < 0)
                return err_prefix(err, "a torn line is left");
            return false;
        }
        done += (size_t)wrote;
    }
    /* EINVAL: a pipe or a terminal, which has no disk behind it. */
    if (fdatasync(fd) == 0 || errno == EINVAL)
        return true;
    fail(err, "sync", path);
    /* It counts as not written, so it must not be there at the next try. */
    if (ftruncate(fd, size) < 0)
        err_prefix(err, "a line that is not safe is left");
    return false;
}

/* Whether the file's end must be looked at: a line may be there already, or the last one is torn. */
static bool needs_end(const struct file *file, int fd, int64_t size)
{
    const struct run *run;
    char last = '\n';

    STAILQ_FOREACH (run, &file->writing, entry) {
        if (run->look_first)
            return true;
    }
    return size > 0 && (pread(fd, &last, 1, size - 1) != 1 || last != '\n');
}

static bool write_lines(struct file *file, struct err *err)
{
    const char *path = file->settings->path;
    autoclose int fd = open_file(file->settings);
    autobuf end, text;
    struct stat st;
    struct run *run;

    buf_init(&end, SEARCH_BYTES);
    buf_init(&text, BUF_ANY_SIZE);
    if (fd < 0 || fstat(fd, &st) < 0)
        return fail(err, "open", path);
    int64_t size = S_ISREG(st.st_mode) ? st.st_size : 0;
    if (needs_end(file, fd, size) &&
        (!read_end(fd, size, &end) || (size = mend_end(fd, size, &end)) < 0))
        return fail(err, "read", path);
    STAILQ_FOREACH (run, &file->writing, entry) {
        if (!run->look_first || !is_there(run, &end))
            buf_append(&text, run->line.data, run->line.len);
    }
    return append(fd, size, &text, path, err);
}

/* --- on the worker thread: one file an event --- */

static bool sync_directory(const char *path, struct err *err)
{
    autoclose int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return (fd >= 0 && fsync(fd) == 0) || fail(err, "sync", path);
}

/* Writes a temporary file beside the name, then takes the name. */
static bool write_one(const struct settings *settings, const struct run *run, struct err *err)
{
    char unique[UUID_TEXT_MAX];

    uuid_new(unique);
    autofree char *path = xasprintf("%s/%s", settings->directory, run->name);
    autofree char *temporary = xasprintf("%s/.%.36s.tmp", settings->directory, unique);
    autoclose int fd =
        open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, (mode_t)settings->mode);
    if (fd < 0)
        return fail(err, "make", temporary);
    if (fchmod(fd, (mode_t)settings->mode) == 0 && append(fd, 0, &run->line, path, err) &&
        rename(temporary, path) == 0)
        return true;
    fail(err, "write", path);
    unlink(temporary);
    return false;
}

static void write_each(struct file *file)
{
    const struct settings *settings = file->settings;
    struct run *run;
    struct err err;

    STAILQ_FOREACH (run, &file->writing, entry) {
        if (run->outcome == HOOK_DONE && !write_one(settings, run, &run->err))
            run->outcome = HOOK_HOST_FAULT;
    }
    if (sync_directory(settings->directory, &err))
        return;
    STAILQ_FOREACH (run, &file->writing, entry) {
        if (run->outcome == HOOK_DONE) {
            run->outcome = HOOK_HOST_FAULT;
            run->err = err;
        }
    }
}

static void job_run(void *arg)
{
    struct file *file = arg;
    struct run *run;
    struct err err;

    if (file->settings->directory != NULL) {
        write_each(file);
        return;
    }
    if (write_lines(file, &err))
        return;
    STAILQ_FOREACH (run, &file->writing, entry) {
        run->outcome = HOOK_HOST_FAULT;
        run->err = err;
    }
}

/* --- on the loop --- */

static void finish(struct run *run)
{
    const struct hook_call *call = run->call;
    struct err err = run->err;
    struct hook_result result = {
        .outcome = run->outcome,
        .exit_status = -1,
        .duration_ms = clock_mono_ms() - run->started_ms,
        .text = run->outcome == HOOK_DONE ? NULL : err.text,
    };

    buf_done(&run->line);
    free(run->name);
    free(run);
    call->done(call->arg, &result);
}

/* Gives the worker what has gathered. */
static void pump(struct file *file)
{
    if (file->busy || STAILQ_EMPTY(&file->waiting))
        return;
    file->busy = true;
    STAILQ_CONCAT(&file->writing, &file->waiting);
    worker_submit(file->worker, &file->job);
}

static void on_gathered(void *arg)
{
    pump(arg);
}

static void job_done(void *arg)
{
    struct file *file = arg;
    struct runs ended = STAILQ_HEAD_INITIALIZER(ended);
    struct run *run;

    STAILQ_CONCAT(&ended, &file->writing);
    file->busy = false;
    pump(file);
    while ((run = STAILQ_FIRST(&ended)) != NULL) {
        STAILQ_REMOVE_HEAD(&ended, entry);
        finish(run);
    }
}

static void *create(const struct hook_context *context, const char *name, const void *object)
{
    struct file *file = xcalloc(1, sizeof(*file));
    struct err err;

    (void)name;
    file->settings = object;
    file->worker = context->worker;
    file->job = (struct worker_job){.run = job_run, .done = job_done, .arg = file};
    timer_init(&file->gather, context->loop, on_gathered, file);
    STAILQ_INIT(&file->waiting);
    STAILQ_INIT(&file->writing);
    if (file->settings->name != NULL && !template_compile(file->settings->name, &file->name, &err))
        fatal("a template that was checked does not compile");
    return file;
}

static void destroy(void *self)
{
    struct file *file = self;

    timer_done(&file->gather);
    template_free(file->name);
    free(file);
}

/* A name may come from a message: it must stay a name. */
static bool make_name(const struct file *file, struct run *run)
{
    autobuf name;

    buf_init(&name, NAME_BYTES);
    if (!values_render(file->name, run->call, true, &name, &run->err)) {
        run->outcome = HOOK_FAILED;
        return err_prefix(&run->err, "name");
    }
    run->name = buf_take(&name);
    if (run->name[0] == '\0' || run->name[0] == '.' || strchr(run->name, '/') != NULL) {
        run->outcome = HOOK_REJECTED;
        return err_set(&run->err, ERR_REJECTED,
                       "\"%s\" is no name for a file: empty, hidden, or leaving its directory",
                       run->name);
    }
    return true;
}

static void *start(void *self, const struct hook_call *call)
{
    struct file *file = self;
    const struct hook_message *message = call->message;
    struct run *run = xcalloc(1, sizeof(*run));

    run->call = call;
    run->started_ms = clock_mono_ms();
    run->outcome = HOOK_DONE;
    run->look_first = message->dequeue_count > 1;
    buf_init(&run->line, BUF_ANY_SIZE);
    event_document(message->event, message->id, message->queue_url, message->inserted_ms,
                   &run->line);
    buf_putc(&run->line, '\n');
    /* One that has no name goes the same way, so that its result comes from the loop too. */
    if (file->name != NULL)
        (void)make_name(file, run);
    STAILQ_INSERT_TAIL(&file->waiting, run, entry);
    if (!file->busy && !timer_is_set(&file->gather))
        timer_set(&file->gather, 0);
    return run;
}

/* A write is short; it ends by itself. */
static void stop(void *run)
{
    (void)run;
}

const struct hook_kind hook_kind_file = {
    .name = "file",
    .doc = "Writes the event to a file, one line or one file each.",
    .table = {.name = "file hook",
              .size = sizeof(struct settings),
              .rows = rows,
              .check = check_table},
    .parallel = parallel,
    .create = create,
    .destroy = destroy,
    .start = start,
    .stop = stop,
};
