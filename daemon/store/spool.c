/* SPDX-License-Identifier: MIT */
/* Poison records that wait in files. */
#include "store/spool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/str.h"
#include "loop/worker.h"
#include "store/spool_file.h"
#include "store/spool_list.h"

struct spool {
    struct worker *worker;
    char *directory;
    struct err trouble;
    struct spool_list list;
    unsigned writing; /* records that are on their way to the disk, and their bytes */
    int64_t writing_bytes;
};

/* Only the completions on the loop change what the spool knows; the worker runs them in the order in
 * which the files change. */
struct spool_op {
    struct spool *spool;
    struct worker_job job;
    char *name;
    char *content; /* to be written */
    size_t len;
    char *message_id, *text; /* that were read */
    struct spool_list found;
    struct err err;
    bool cancelled;
    spool_done_fn *done;
    spool_read_fn *read_done;
    void *arg;
};

struct spool *spool_open(struct worker *worker, const char *state_dir)
{
    struct spool *spool = xcalloc(1, sizeof(*spool));
    bool slash = str_ends(state_dir, "/");

    spool->worker = worker;
    spool->directory = xasprintf("%s%sspool", state_dir, slash ? "" : "/");
    spool_list_init(&spool->list);
    spool_list_scan(&spool->list, spool->directory, &spool->trouble);
    return spool;
}

void spool_close(struct spool *spool)
{
    if (spool == NULL)
        return;
    spool_list_done(&spool->list);
    free(spool->directory);
    free(spool);
}

const char *spool_directory(const struct spool *spool)
{
    return spool->directory;
}

const struct err *spool_trouble(const struct spool *spool)
{
    return spool->trouble.code != ERR_NONE ? &spool->trouble : NULL;
}

unsigned spool_count(const struct spool *spool)
{
    return spool->list.count;
}

int64_t spool_bytes(const struct spool *spool)
{
    return spool->list.bytes;
}

unsigned spool_count_of(const struct spool *spool, const char *queue_url)
{
    return spool_list_count_of(&spool->list, queue_url);
}

/* --- operations --- */

static struct spool_op *op_new(struct spool *spool, const char *name, void (*run)(void *arg),
                               void (*done)(void *arg), void *arg)
{
    struct spool_op *op = xcalloc(1, sizeof(*op));

    op->spool = spool;
    op->name = name != NULL ? xstrdup(name) : NULL;
    op->job = (struct worker_job){.run = run, .done = done, .arg = op};
    op->arg = arg;
    spool_list_init(&op->found);
    return op;
}

static void op_free(struct spool_op *op)
{
    free(op->name);
    free(op->content);
    free(op->message_id);
    free(op->text);
    spool_list_done(&op->found);
    free(op);
}

void spool_cancel(struct spool_op *op)
{
    if (op != NULL)
        op->cancelled = true;
}

static const struct err *err_of(const struct spool_op *op)
{
    return op->err.code != ERR_NONE ? &op->err : NULL;
}

/* Tells how a write or a removal went. */
static void tell(struct spool_op *op)
{
    if (!op->cancelled)
        op->done(op->arg, err_of(op));
    op_free(op);
}

static void run_put(void *arg)
{
    struct spool_op *op = arg;

    if (err_of(op) == NULL)
        (void)spool_file_write(op->spool->directory, op->name, op->content, op->len, &op->err);
}

static void put_done(void *arg)
{
    struct spool_op *op = arg;
    struct spool *spool = op->spool;

    spool->writing--;
    spool->writing_bytes -= (int64_t)op->len;
    if (err_of(op) == NULL)
        spool_list_add(&spool->list, op->name, (int64_t)op->len);
    tell(op);
}

/* Whether a record of that length has no room. What it would replace is not counted off: it is rare. */
static bool is_full(const struct spool *spool, size_t len)
{
    return len > SPOOL_FILE_MAX_BYTES || spool->list.count + spool->writing >= SPOOL_MAX_COUNT ||
           spool->list.bytes + spool->writing_bytes + (int64_t)len > SPOOL_MAX_BYTES;
}

struct spool_op *spool_put(struct spool *spool, const char *queue_url, const char *message_id,
                           const char *text, spool_done_fn *done, void *arg)
{
    char name[SPOOL_FILE_NAME_MAX];

    spool_file_name(queue_url, message_id, name);
    struct spool_op *op = op_new(spool, name, run_put, put_done, arg);
    op->content = spool_file_content(queue_url, message_id, text, &op->len);
    op->done = done;
    if (is_full(spool, op->len))
        err_set(&op->err, ERR_HOST, "%s is full: it holds %u records", spool->directory,
                spool->list.count);
    spool->writing++;
    spool->writing_bytes += (int64_t)op->len;
    worker_submit(spool->worker, &op->job);
    return op;
}

static void run_next(void *arg)
{
    struct spool_op *op = arg;
    const char *directory = op->spool->directory;

    if (spool_file_read(directory, op->name, &op->message_id, &op->text, &op->err) ||
        op->err.code != ERR_REJECTED)
        return;
    autofree char *path = xasprintf("%s/%s", directory, op->name);
    autofree char *aside = xasprintf("%s.bad", path);
    if (rename(path, aside) == 0)
        err_prefix(&op->err, "set aside as %s.bad", op->name);
}

static void next_done(void *arg)
{
    struct spool_op *op = arg;
    const struct spool_record record = {
        .name = op->name, .message_id = op->message_id, .text = op->text};
    const struct err *err = err_of(op);

    if (err != NULL && err->code != ERR_HOST)
        spool_list_remove(&op->spool->list, op->name);
    else if (err != NULL || op->cancelled)
        spool_release(op->spool, op->name, err != NULL);
    if (!op->cancelled)
        op->read_done(op->arg, err == NULL ? &record : NULL, err);
    op_free(op);
}

struct spool_op *spool_next(struct spool *spool, const char *queue_url, spool_read_fn *done,
                            void *arg)
{
    struct spool_entry *entry = spool_list_oldest(&spool->list, queue_url);

    if (entry == NULL)
        return NULL;
    entry->claimed = true;
    struct spool_op *op = op_new(spool, entry->name, run_next, next_done, arg);
    op->read_done = done;
    worker_submit(spool->worker, &op->job);
    return op;
}

void spool_release(struct spool *spool, const char *name, bool last)
{
    struct spool_entry *entry = spool_list_find(&spool->list, name);

    if (entry == NULL)
        return;
    entry->claimed = false;
    if (last)
        spool_list_put_last(&spool->list, entry);
}

static void run_remove(void *arg)
{
    struct spool_op *op = arg;
    autofree char *path = xasprintf("%s/%s", op->spool->directory, op->name);

    if (unlink(path) < 0 && errno != ENOENT)
        err_set_errno(&op->err, ERR_HOST, errno, "can not remove %s", path);
}

static void remove_done(void *arg)
{
    struct spool_op *op = arg;

    spool_list_remove(&op->spool->list, op->name);
    tell(op);
}

struct spool_op *spool_remove(struct spool *spool, const char *name, spool_done_fn *done, void *arg)
{
    struct spool_op *op = op_new(spool, name, run_remove, remove_done, arg);

    op->done = done;
    worker_submit(spool->worker, &op->job);
    return op;
}

static void run_look(void *arg)
{
    struct spool_op *op = arg;

    spool_list_scan(&op->found, op->spool->directory, &op->err);
}

static void look_done(void *arg)
{
    struct spool_op *op = arg;
    struct spool *spool = op->spool;
    const struct err trouble = op->err;

    spool_list_merge(&spool->list, &op->found);
    if (str_equal(trouble.text, spool->trouble.text))
        op->err = (struct err){.code = ERR_NONE};
    spool->trouble = trouble;
    tell(op);
}

struct spool_op *spool_look(struct spool *spool, spool_done_fn *done, void *arg)
{
    struct spool_op *op = op_new(spool, NULL, run_look, look_done, arg);

    op->done = done;
    worker_submit(spool->worker, &op->job);
    return op;
}
