/* SPDX-License-Identifier: MIT */
/* The ledger's file, kept usable. */
#include "store/ledger_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "store/database.h"
#include "store/rows.h"
#include "store/state_dir.h"

/* A larger one is not looked through before it is used: damage is found when it is met. */
#define CHECK_MAX_BYTES (INT64_C(256) << 20)

struct ledger_file {
    char *state_dir;
    char *path;
    int lock_fd;
    struct database *database; /* NULL: not open */
    struct rows *rows;
    bool was_open;   /* in this process: it is missed when it is gone */
    bool is_damaged; /* it is to be moved aside */
    struct err damage;
    unsigned generation;
    char *news;
};

struct ledger_file *ledger_file_new(const char *state_dir)
{
    struct ledger_file *file = xcalloc(1, sizeof(*file));

    file->state_dir = xstrdup(state_dir);
    file->path = xasprintf("%s/ledger.db", state_dir);
    file->lock_fd = -1;
    return file;
}

static void close_file(struct ledger_file *file)
{
    rows_close(take(file->rows));
    database_close(take(file->database));
}

void ledger_file_free(struct ledger_file *file)
{
    if (file == NULL)
        return;
    close_file(file);
    if (file->lock_fd >= 0)
        close(file->lock_fd);
    free(file->news);
    free(file->path);
    free(file->state_dir);
    free(file);
}

/* The sentence's last word wins: each mishap is told before the next can happen. */
static void tell(struct ledger_file *file, char *news)
{
    free(file->news);
    file->news = news;
}

static bool rename_if_there(const char *from, const char *to, struct err *err)
{
    return rename(from, to) == 0 || errno == ENOENT ||
           err_set_errno(err, ERR_HOST, errno, "can not rename %s", from);
}

/* The names are such that the file can still be looked at with its log. One copy is kept. */
static bool move_aside(struct ledger_file *file, struct err *err)
{
    autofree char *aside = xasprintf("%s.damaged", file->path);
    autofree char *log = xasprintf("%s-wal", file->path);
    autofree char *log_aside = xasprintf("%s.damaged-wal", file->path);

    /* Never an older copy's log beside it. */
    if (unlink(log_aside) < 0 && errno != ENOENT)
        return err_set_errno(err, ERR_HOST, errno, "can not replace %s", log_aside);
    if (!rename_if_there(log, log_aside, err) || !rename_if_there(file->path, aside, err))
        return false;
    tell(file,
         xasprintf("the ledger is damaged: %s; it is moved to %s and a new one is begun: hooks "
                   "that were done may run again for messages still in their queue",
                   file->damage.text, aside));
    file->is_damaged = file->was_open = false;
    return true;
}

static bool note_damage(struct ledger_file *file, bool damaged, const struct err *why)
{
    file->is_damaged = damaged;
    file->damage = *why;
    return false;
}

/* Gives the ledger's name to a file that is whole and synced. Who is killed before the name is synced has it
 * synced by the first commit: SQLite syncs the directory with the first sync of each log that it opens. */
static bool put_in_place(struct ledger_file *file, const char *fresh, struct err *err)
{
    autofree char *log = xasprintf("%s-wal", file->path);

    /* A log that is left is not its own. */
    if ((unlink(log) < 0 && errno != ENOENT) || rename(fresh, file->path) < 0)
        return err_set_errno(err, ERR_HOST, errno, "can not replace %s", file->path);
    return state_dir_sync(file->state_dir, err);
}

/* One that is cut short has another name, and is made anew. */
static bool make_file(struct ledger_file *file, struct err *err)
{
    autofree char *fresh = xasprintf("%s.new", file->path);

    return rows_make(fresh, err) && put_in_place(file, fresh, err);
}

/* Opens what is there, or makes it. */
static bool open_file(struct ledger_file *file, struct err *err)
{
    struct stat st = {0};
    bool fresh = lstat(file->path, &st) < 0 && errno == ENOENT;
    bool check = !fresh && !file->was_open && st.st_size <= CHECK_MAX_BYTES;
    bool damaged;

    if (fresh && !make_file(file, err))
        return false;
    if (!database_open(file->path, &file->database, &damaged, err))
        return note_damage(file, damaged, err);
    if (!rows_open(file->database, &file->rows, err) ||
        (check && !database_check(file->database, err))) {
        note_damage(file, file->database->damaged, err);
        close_file(file);
        return false;
    }
    if (fresh && file->was_open)
        tell(file, xasprintf("the ledger %s was gone; a new one is begun: hooks that were done may "
                             "run again for messages still in their queue",
                             file->path));
    file->was_open = true;
    file->generation++;
    return true;
}

/* Somebody deleted or replaced the file that we hold: what we hold is what happened. It stays open
 * until the copy is in its place, but for one that is past copying. */
static bool write_anew(struct ledger_file *file, struct err *err)
{
    autofree char *fresh = xasprintf("%s.new", file->path);

    if (!database_copy(file->database, fresh, err)) {
        if (!file->database->damaged)
            return false;
        close_file(file);
        return true;
    }
    if (!put_in_place(file, fresh, err))
        return false;
    close_file(file);
    tell(file,
         xasprintf("the ledger %s was deleted or replaced while in use; it is written anew from "
                   "what was in it",
                   file->path));
    return true;
}

bool ledger_file_ready(struct ledger_file *file, struct err *err)
{
    if (file->database != NULL && database_is_in_place(file->database))
        return true;
    if (!state_dir_claim(file->state_dir, &file->lock_fd, err) ||
        (file->database != NULL && !write_anew(file, err)) ||
        (file->is_damaged && !move_aside(file, err)))
        return false;
    return open_file(file, err) ||
           (file->is_damaged && move_aside(file, err) && open_file(file, err));
}

struct database *ledger_file_database(const struct ledger_file *file)
{
    return file->database;
}

struct rows *ledger_file_rows(const struct ledger_file *file)
{
    return file->rows;
}

void ledger_file_failed(struct ledger_file *file, const struct err *why)
{
    /* One that is not in its place is copied from what is open. */
    if (file->database == NULL || !database_is_in_place(file->database))
        return;
    note_damage(file, file->database->damaged, why);
    close_file(file);
}

unsigned ledger_file_generation(const struct ledger_file *file)
{
    return file->generation;
}

char *ledger_file_news(struct ledger_file *file)
{
    return take(file->news);
}
