/* SPDX-License-Identifier: MIT */
/* Poison records that wait in files. */
#include "store/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/str.h"
#include "loop/worker.h"
#include "store/spool_file.h"

/* A file that is there. */
struct entry {
    char *name;
    int64_t bytes;
    int64_t written_ns; /* when it was found at the start; else 0 */
    bool claimed;
    TAILQ_ENTRY(entry) link;
};

TAILQ_HEAD(entries, entry);

struct spool {
    struct worker *worker;
    char *directory;
    struct err trouble;
    struct entries entries; /* the oldest first */
    unsigned count;
    int64_t bytes;
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
    struct err err;
    bool cancelled;
    spool_done_fn *done;
    spool_read_fn *read_done;
    void *arg;
};

/* --- what is there --- */

static struct entry *find(const struct spool *spool, const char *name)
{
    struct entry *entry;

    TAILQ_FOREACH (entry, &spool->entries, link) {
        if (strcmp(entry->name, name) == 0)
            return entry;
    }
    return NULL;
}

static struct entry *entry_new(const char *name, int64_t bytes, int64_t written_ns)
{
    struct entry *entry = xcalloc(1, sizeof(*entry));

    entry->name = xstrdup(name);
    entry->bytes = bytes;
    entry->written_ns = written_ns;
    return entry;
}

static void entry_free(struct entry *entry)
{
    free(entry->name);
    free(entry);
}

static void add(struct spool *spool, struct entry *entry)
{
    TAILQ_INSERT_TAIL(&spool->entries, entry, link);
    spool->count++;
    spool->bytes += entry->bytes;
}

static void forget(struct spool *spool, const char *name)
{
    struct entry *entry = find(spool, name);

    if (entry == NULL)
        return;
    TAILQ_REMOVE(&spool->entries, entry, link);
    spool->count--;
    spool->bytes -= entry->bytes;
    entry_free(entry);
}

static int by_age(const void *a, const void *b)
{
    const struct entry *x = *(struct entry *const *)a, *y = *(struct entry *const *)b;

    if (x->written_ns != y->written_ns)
        return x->written_ns < y->written_ns ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* --- the start --- */

struct found {
    struct entry **entries;
    unsigned count, room;
    unsigned strays;
    char *stray; /* one of them */
};

/* What a crash has cut short is taken away; its message comes again. */
static void look_at(int fd, const char *name, struct found *found)
{
    struct stat st;

    if (str_equal(name, ".") || str_equal(name, ".."))
        return;
    if (name[0] == '.' && str_ends(name, ".json.tmp")) {
        unlinkat(fd, name, 0);
    } else if (!spool_file_is_name(name) || fstatat(fd, name, &st, 0) < 0 || !S_ISREG(st.st_mode)) {
        found->strays++;
        if (found->stray == NULL)
            found->stray = xstrdup(name);
    } else {
        if (found->count == found->room) {
            found->room = max_of(2 * found->room, 64U);
            found->entries = xreallocarray(found->entries, found->room, sizeof(found->entries[0]));
        }
        found->entries[found->count++] = entry_new(
            name, st.st_size, (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec);
    }
}

static void look(struct spool *spool)
{
    DIR *directory = opendir(spool->directory);
    struct found found = {.entries = NULL};
    const struct dirent *item;

    if (directory == NULL && errno != ENOENT)
        err_set_errno(&spool->trouble, ERR_HOST, errno, "can not read %s", spool->directory);
    if (directory == NULL)
        return;
    while ((item = readdir(directory)) != NULL)
        look_at(dirfd(directory), item->d_name, &found);
    closedir(directory);
    if (found.count > 0)
        qsort(found.entries, found.count, sizeof(found.entries[0]), by_age);
    for (unsigned i = 0; i < found.count; i++)
        add(spool, found.entries[i]);
    if (found.strays > 0)
        err_set(&spool->trouble, ERR_HOST, "%s holds %u file%s that %s no poison record, as %s",
                spool->directory, found.strays, str_plural(found.strays),
                found.strays == 1 ? "is" : "are", found.stray);
    free(found.stray);
    free(found.entries);
}

struct spool *spool_open(struct worker *worker, const char *state_dir)
{
    struct spool *spool = xcalloc(1, sizeof(*spool));
    bool slash = str_ends(state_dir, "/");

    spool->worker = worker;
    spool->directory = xasprintf("%s%sspool", state_dir, slash ? "" : "/");
    TAILQ_INIT(&spool->entries);
    look(spool);
    return spool;
}

void spool_close(struct spool *spool)
{
    struct entry *entry;

    if (spool == NULL)
        return;
    while ((entry = TAILQ_FIRST(&spool->entries)) != NULL) {
        TAILQ_REMOVE(&spool->entries, entry, link);
        entry_free(entry);
    }
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
    return spool->count;
}

int64_t spool_bytes(const struct spool *spool)
{
    return spool->bytes;
}

/* Whether the file is of the queue whose files' names begin so. */
static bool is_of(const struct entry *entry, const char *queue)
{
    return strncmp(entry->name, queue, SPOOL_FILE_QUEUE_LEN) == 0;
}

unsigned spool_count_of(const struct spool *spool, const char *queue_url)
{
    const struct entry *entry;
    char queue[SPOOL_FILE_NAME_MAX];
    unsigned count = 0;

    if (spool->count == 0)
        return 0;
    spool_file_name(queue_url, "", queue);
    TAILQ_FOREACH (entry, &spool->entries, link)
        count += is_of(entry, queue);
    return count;
}

/* --- operations --- */

static struct spool_op *op_new(struct spool *spool, const char *name, void (*run)(void *arg),
                               void (*done)(void *arg), void *arg)
{
    struct spool_op *op = xcalloc(1, sizeof(*op));

    op->spool = spool;
    op->name = xstrdup(name);
    op->job = (struct worker_job){.run = run, .done = done, .arg = op};
    op->arg = arg;
    return op;
}

static void op_free(struct spool_op *op)
{
    free(op->name);
    free(op->content);
    free(op->message_id);
    free(op->text);
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
    if (err_of(op) == NULL) {
        forget(spool, op->name);
        add(spool, entry_new(op->name, (int64_t)op->len, 0));
    }
    tell(op);
}

/* Whether a record of that length has no room. What it would replace is not counted off: it is rare. */
static bool is_full(const struct spool *spool, size_t len)
{
    return len > SPOOL_FILE_MAX_BYTES || spool->count + spool->writing >= SPOOL_MAX_COUNT ||
           spool->bytes + spool->writing_bytes + (int64_t)len > SPOOL_MAX_BYTES;
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
                spool->count);
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
        forget(op->spool, op->name);
    else if (err != NULL || op->cancelled)
        spool_release(op->spool, op->name, err != NULL);
    if (!op->cancelled)
        op->read_done(op->arg, err == NULL ? &record : NULL, err);
    op_free(op);
}

struct spool_op *spool_next(struct spool *spool, const char *queue_url, spool_read_fn *done,
                            void *arg)
{
    struct entry *entry;
    char queue[SPOOL_FILE_NAME_MAX];

    spool_file_name(queue_url, "", queue);
    TAILQ_FOREACH (entry, &spool->entries, link) {
        if (!entry->claimed && is_of(entry, queue))
            break;
    }
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
    struct entry *entry = find(spool, name);

    if (entry == NULL)
        return;
    entry->claimed = false;
    if (!last)
        return;
    TAILQ_REMOVE(&spool->entries, entry, link);
    TAILQ_INSERT_TAIL(&spool->entries, entry, link);
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

    forget(op->spool, op->name);
    tell(op);
}

struct spool_op *spool_remove(struct spool *spool, const char *name, spool_done_fn *done, void *arg)
{
    struct spool_op *op = op_new(spool, name, run_remove, remove_done, arg);

    op->done = done;
    worker_submit(spool->worker, &op->job);
    return op;
}
