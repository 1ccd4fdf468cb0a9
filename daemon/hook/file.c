/* SPDX-License-Identifier: MIT */
/*
 * The hook kind `file`: an event as one JSON line at the end of a file, or as one file in a directory.
 * All runs that wait when the worker is free go to the disk together, under one fdatasync, as far as
 * they go into one batch. The file is opened for each batch, so it may be renamed, rotated or deleted
 * at any time. How a line gets to the disk stands in hook/file_append.h, how a file in hook/file_each.h.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "base/clock.h"
#include "codec/template.h"
#include "config/mistakes.h"
#include "config/node.h"
#include "event/event.h"
#include "hook/file_append.h"
#include "hook/file_each.h"
#include "hook/hook.h"
#include "hook/kinds.h"
#include "hook/values.h"
#include "loop/timer.h"
#include "loop/worker.h"

#define NAME_BYTES 255 /* of a file's name, on every file system of note */

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
             "its own. With path, its owner reads and writes it."},
    {.name = NULL},
};

/* Each batch opens its file anew, and may look for its lines there. */
static void check_mode(const struct settings *settings, const struct node *map,
                       struct mistakes *mistakes)
{
    /* What is no mode was said already. */
    if (settings->mode != 0 && (settings->mode & 0600) != 0600)
        mistakes_at_key(mistakes, map, "mode",
                        "mode: with path, the owner reads and writes the file, as in \"0600\"");
}

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
    else
        check_mode(settings, map, mistakes);
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
    struct template *name;
    struct file_append append; /* the worker's, as `each` */
    struct file_each each;     /* with a name */
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

/* --- on the worker thread --- */

/* What has gone well so far has not. */
static void blame(const struct file *file, const struct err *err)
{
    struct run *run;

    STAILQ_FOREACH (run, &file->writing, entry) {
        if (run->outcome == HOOK_DONE) {
            run->outcome = HOOK_HOST_FAULT;
            run->err = *err;
        }
    }
}

static void append_lines(struct file *file)
{
    struct file_batch batch;
    struct run *run;
    struct err err;

    bool good = file_batch_open(&batch, &file->append, &err);
    STAILQ_FOREACH (run, &file->writing, entry) {
        if (good && !file_batch_add(&batch, &run->line, run->look_first, &run->err))
            run->outcome = HOOK_HOST_FAULT;
    }
    if (!good || !file_batch_write(&batch, &err))
        blame(file, &err);
    file_batch_close(&batch);
}

static void write_each(struct file *file)
{
    struct run *run;
    struct err err;

    file_each_sweep(&file->each);
    STAILQ_FOREACH (run, &file->writing, entry) {
        if (run->outcome == HOOK_DONE &&
            !file_each_write(&file->each, run->name, &run->line, &run->err))
            run->outcome = HOOK_HOST_FAULT;
    }
    if (!file_each_sync(&file->each, &err))
        blame(file, &err);
}

static void job_run(void *arg)
{
    struct file *file = arg;

    if (file->name != NULL)
        write_each(file);
    else
        append_lines(file);
}

/* --- on the loop --- */

static void finish(struct run *run)
{
    const struct hook_call *call = run->call;
    struct err err = run->err;
    struct hook_result result = {
        .outcome = run->outcome,
        .untried = run->outcome == HOOK_FAILED || run->outcome == HOOK_REJECTED, /* no name */
        .exit_status = -1,
        .duration_ms = clock_mono_ms() - run->started_ms,
        .text = run->outcome == HOOK_DONE ? NULL : err.text,
    };

    buf_done(&run->line);
    free(run->name);
    free(run);
    call->done(call->arg, &result);
}

/* Gives the worker what has gathered, as far as it goes into one batch. */
static void pump(struct file *file)
{
    size_t bytes = 0;
    struct run *run;

    if (file->busy || STAILQ_EMPTY(&file->waiting))
        return;
    file->busy = true;
    while ((run = STAILQ_FIRST(&file->waiting)) != NULL &&
           (bytes == 0 || bytes + run->line.len <= FILE_BATCH_BYTES)) {
        STAILQ_REMOVE_HEAD(&file->waiting, entry);
        STAILQ_INSERT_TAIL(&file->writing, run, entry);
        bytes += run->line.len;
    }
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
    const struct settings *settings = object;
    struct file *file = xcalloc(1, sizeof(*file));
    struct err err;

    (void)name;
    file->append = (struct file_append){.path = settings->path, .mode = (mode_t)settings->mode};
    file->each = (struct file_each){
        .directory = settings->directory, .mode = (mode_t)settings->mode, .fd = -1};
    file->worker = context->worker;
    file->job = (struct worker_job){.run = job_run, .done = job_done, .arg = file};
    timer_init(&file->gather, context->loop, on_gathered, file);
    STAILQ_INIT(&file->waiting);
    STAILQ_INIT(&file->writing);
    if (settings->name != NULL && !template_compile(settings->name, &file->name, &err))
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
