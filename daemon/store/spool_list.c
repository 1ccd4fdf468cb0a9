/* SPDX-License-Identifier: MIT */
/* Which files the spool holds. */
#include "store/spool_list.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/str.h"
#include "store/spool_file.h"

void spool_list_init(struct spool_list *list)
{
    *list = (struct spool_list){.count = 0};
    TAILQ_INIT(&list->entries);
}

void spool_list_done(struct spool_list *list)
{
    while (!TAILQ_EMPTY(&list->entries))
        spool_list_remove(list, TAILQ_FIRST(&list->entries)->name);
}

struct spool_entry *spool_list_find(const struct spool_list *list, const char *name)
{
    struct spool_entry *entry;

    TAILQ_FOREACH (entry, &list->entries, link) {
        if (strcmp(entry->name, name) == 0)
            return entry;
    }
    return NULL;
}

/* Whether the file is of the queue whose files' names begin so. */
static bool is_of(const struct spool_entry *entry, const char *queue)
{
    return strncmp(entry->name, queue, SPOOL_FILE_QUEUE_LEN) == 0;
}

struct spool_entry *spool_list_oldest(const struct spool_list *list, const char *queue_url)
{
    struct spool_entry *entry;
    char queue[SPOOL_FILE_NAME_MAX];

    spool_file_name(queue_url, "", queue);
    TAILQ_FOREACH (entry, &list->entries, link) {
        if (!entry->claimed && is_of(entry, queue))
            return entry;
    }
    return NULL;
}

unsigned spool_list_count_of(const struct spool_list *list, const char *queue_url)
{
    const struct spool_entry *entry;
    char queue[SPOOL_FILE_NAME_MAX];
    unsigned count = 0;

    if (list->count == 0)
        return 0;
    spool_file_name(queue_url, "", queue);
    TAILQ_FOREACH (entry, &list->entries, link)
        count += is_of(entry, queue);
    return count;
}

static struct spool_entry *entry_new(const char *name, int64_t bytes, int64_t written_ns)
{
    struct spool_entry *entry = xcalloc(1, sizeof(*entry));

    entry->name = xstrdup(name);
    entry->bytes = bytes;
    entry->written_ns = written_ns;
    return entry;
}

static void add(struct spool_list *list, struct spool_entry *entry)
{
    TAILQ_INSERT_TAIL(&list->entries, entry, link);
    list->count++;
    list->bytes += entry->bytes;
}

static void entry_free(struct spool_entry *entry)
{
    free(entry->name);
    free(entry);
}

void spool_list_add(struct spool_list *list, const char *name, int64_t bytes)
{
    spool_list_remove(list, name);
    add(list, entry_new(name, bytes, 0));
}

void spool_list_remove(struct spool_list *list, const char *name)
{
    struct spool_entry *entry = spool_list_find(list, name);

    if (entry == NULL)
        return;
    TAILQ_REMOVE(&list->entries, entry, link);
    list->count--;
    list->bytes -= entry->bytes;
    entry_free(entry);
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(struct spool_entry *const *)a)->name, (*(struct spool_entry *const *)b)->name);
}

void spool_list_merge(struct spool_list *list, struct spool_list *from)
{
    autofree struct spool_entry **known = xcalloc(list->count + 1, sizeof(struct spool_entry *));
    const unsigned known_count = list->count;
    struct spool_entry *entry;
    unsigned count = 0;

    TAILQ_FOREACH (entry, &list->entries, link)
        known[count++] = entry;
    qsort(known, known_count, sizeof(struct spool_entry *), by_name);
    while ((entry = TAILQ_FIRST(&from->entries)) != NULL) {
        TAILQ_REMOVE(&from->entries, entry, link);
        if (bsearch(&entry, known, known_count, sizeof(struct spool_entry *), by_name) == NULL)
            add(list, entry);
        else
            entry_free(entry);
    }
    spool_list_init(from);
}

void spool_list_put_last(struct spool_list *list, struct spool_entry *entry)
{
    TAILQ_REMOVE(&list->entries, entry, link);
    TAILQ_INSERT_TAIL(&list->entries, entry, link);
}

/* --- the directory --- */

struct found {
    struct spool_entry **entries;
    unsigned count, room;
    unsigned strays;
    char *stray; /* one of them */
};

static int by_age(const void *a, const void *b)
{
    const struct spool_entry *x = *(struct spool_entry *const *)a;
    const struct spool_entry *y = *(struct spool_entry *const *)b;

    if (x->written_ns != y->written_ns)
        return x->written_ns < y->written_ns ? -1 : 1;
    return strcmp(x->name, y->name);
}

static void found_stray(struct found *found, const char *name)
{
    found->strays++;
    if (found->stray == NULL)
        found->stray = xstrdup(name);
}

static void found_record(struct found *found, const char *name, const struct stat *st)
{
    int64_t written_ns = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;

    if (found->count == found->room) {
        found->room = max_of(2 * found->room, 64U);
        found->entries = xreallocarray(found->entries, found->room, sizeof(struct spool_entry *));
    }
    found->entries[found->count++] = entry_new(name, st->st_size, written_ns);
}

/* The message of a file that a crash has cut short comes again. */
static void look_at(int fd, const char *name, struct found *found)
{
    struct stat st;

    if (str_equal(name, ".") || str_equal(name, ".."))
        return;
    if (name[0] == '.' && str_ends(name, ".json.tmp"))
        unlinkat(fd, name, 0);
    else if (spool_file_is_name(name) && fstatat(fd, name, &st, 0) == 0 && S_ISREG(st.st_mode))
        found_record(found, name, &st);
    else
        found_stray(found, name);
}

void spool_list_scan(struct spool_list *list, const char *directory, struct err *ret_trouble)
{
    DIR *open_directory = opendir(directory);
    struct found found = {.entries = NULL};
    const struct dirent *item;

    *ret_trouble = (struct err){.code = ERR_NONE};
    if (open_directory == NULL && errno != ENOENT)
        err_set_errno(ret_trouble, ERR_HOST, errno, "can not read %s", directory);
    if (open_directory == NULL)
        return;
    while ((item = readdir(open_directory)) != NULL)
        look_at(dirfd(open_directory), item->d_name, &found);
    closedir(open_directory);
    if (found.count > 0)
        qsort(found.entries, found.count, sizeof(struct spool_entry *), by_age);
    for (unsigned i = 0; i < found.count; i++)
        add(list, found.entries[i]);
    if (found.strays > 0)
        err_set(ret_trouble, ERR_HOST, "%s holds %u file%s that %s no poison record, as %s",
                directory, found.strays, str_plural(found.strays), found.strays == 1 ? "is" : "are",
                found.stray);
    free(found.stray);
    free(found.entries);
}
