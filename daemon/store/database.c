/* SPDX-License-Identifier: MIT */
/* SQLite as the store wants it. */
#include "store/database.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/err.h"

/* Of the log, before it goes into the file: each time is a sync more. */
#define LOG_MOST_PAGES  1000
#define LOG_LEAST_PAGES 100
#define PAGE_BYTES      4096

/* EXCLUSIVE comes before WAL: then there is no shared memory file, and no other process can look in
 * between. A log that was left goes into the file and is synced with it: it may hold what was
 * written but never synced, and counts as committed all the same. Half a megabyte of pages is far more
 * than a busy ledger touches. */
static const char pragmas[] = "PRAGMA locking_mode = EXCLUSIVE;"
                              "PRAGMA journal_mode = WAL;"
                              "PRAGMA synchronous = FULL;"
                              "PRAGMA wal_checkpoint = TRUNCATE;"
                              "PRAGMA cache_size = -512;"
                              "PRAGMA journal_size_limit = 8388608;"
                              "PRAGMA temp_store = MEMORY;";

/* Of a file that nothing relies on yet: it needs no journal, and one sync when it is whole. */
static const char making_pragmas[] = "PRAGMA locking_mode = EXCLUSIVE;"
                                     "PRAGMA journal_mode = OFF;"
                                     "PRAGMA synchronous = OFF;";

static bool is_damage(int code)
{
    return (code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB;
}

bool database_fail(struct database *database, struct err *err)
{
    int code = sqlite3_extended_errcode(database->handle);
    int last_errno = errno; /* which SQLite has not noted if it failed in a COMMIT */
    int os_errno = sqlite3_system_errno(database->handle);
    bool with_errno = (code & 0xff) == SQLITE_IOERR || (code & 0xff) == SQLITE_CANTOPEN;

    database->damaged |= is_damage(code);
    if (os_errno == 0)
        os_errno = last_errno;
    if (with_errno && os_errno != 0)
        return err_set_errno(err, ERR_HOST, os_errno, "%s: %s", database->path,
                             sqlite3_errmsg(database->handle));
    return err_set(err, ERR_HOST, "%s: %s", database->path, sqlite3_errmsg(database->handle));
}

bool database_exec(struct database *database, const char *sql, struct err *err)
{
    return sqlite3_exec(database->handle, sql, NULL, NULL, NULL) == SQLITE_OK ||
           database_fail(database, err);
}

/* SQLite would let others read it, and has fewer words for what stands in the way. */
static bool open_or_make(const char *path, int *ret_fd, struct err *err)
{
    *ret_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    return *ret_fd >= 0 || err_set_errno(err, ERR_HOST, errno, "can not open %s", path);
}

static bool make_file(const char *path, struct err *err)
{
    autoclose int fd = -1;

    return open_or_make(path, &fd, err);
}

/* A new file takes an older one's place. */
static bool remove_old(const char *path, struct err *err)
{
    return unlink(path) == 0 || errno == ENOENT ||
           err_set_errno(err, ERR_HOST, errno, "can not replace %s", path);
}

/* Of a file that is there. Whatever comes of it, *ret_database is to be closed. */
static bool open_with(const char *path, const char *set_up, struct database **ret_database,
                      struct err *err)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
    struct database *database = xcalloc(1, sizeof(*database));

    *ret_database = database;
    database->path = xstrdup(path);
    /* Counting what is allocated costs two locks each time. Refused once SQLite is in use: as well. */
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    if (sqlite3_open_v2(path, &database->handle, flags, NULL) != SQLITE_OK)
        return database_fail(database, err);
    sqlite3_extended_result_codes(database->handle, 1);
    sqlite3_busy_timeout(database->handle, 2000);
    return database_exec(database, set_up, err);
}

/* A long log would fill a small disk, and leave no room to put it into the file. */
static int log_pages(const char *path)
{
    struct statvfs disk;

    if (statvfs(path, &disk) < 0)
        return LOG_LEAST_PAGES;
    uint64_t pages = (uint64_t)disk.f_blocks * disk.f_frsize / 16 / PAGE_BYTES;
    return (int)min_of(max_of(pages, LOG_LEAST_PAGES), LOG_MOST_PAGES);
}

bool database_open(const char *path, struct database **ret_database, bool *ret_damaged,
                   struct err *err)
{
    struct database *database;

    *ret_damaged = false;
    if (!make_file(path, err))
        return false;
    if (open_with(path, pragmas, &database, err)) {
        sqlite3_wal_autocheckpoint(database->handle, log_pages(path));
        *ret_database = database;
        return true;
    }
    *ret_damaged = database->damaged;
    database_close(database);
    return false;
}

bool database_make(const char *path, database_fill_fn *fill, struct err *err)
{
    struct database *database;
    autoclose int fd = -1;

    if (!remove_old(path, err) || !open_or_make(path, &fd, err))
        return false;
    bool good = open_with(path, making_pragmas, &database, err) && fill(database, err) &&
                database_exec(database, "PRAGMA journal_mode = WAL", err);
    database_close(database);
    return good && (fsync(fd) == 0 || err_set_errno(err, ERR_HOST, errno, "can not sync %s", path));
}

void database_close(struct database *database)
{
    if (database == NULL)
        return;
    if (sqlite3_close(database->handle) != SQLITE_OK)
        fatal("a database is closed while its statements live");
    free(database->path);
    free(database);
}

bool database_prepare(struct database *database, const char *sql,
                      struct sqlite3_stmt **ret_statement, struct err *err)
{
    int code = sqlite3_prepare_v3(database->handle, sql, -1, SQLITE_PREPARE_PERSISTENT,
                                  ret_statement, NULL);

    if (code == SQLITE_OK)
        return true;
    database_fail(database, err);
    database->damaged |= code == SQLITE_ERROR;
    return false;
}

bool database_step(struct database *database, struct sqlite3_stmt *statement, bool *ret_row,
                   struct err *err)
{
    int code = sqlite3_step(statement);

    if (code != SQLITE_ROW && code != SQLITE_DONE)
        return database_fail(database, err);
    *ret_row = code == SQLITE_ROW;
    return true;
}

bool database_refused(const struct database *database)
{
    int code = sqlite3_errcode(database->handle) & 0xff;

    return code == SQLITE_CONSTRAINT || code == SQLITE_TOOBIG || code == SQLITE_MISMATCH;
}

void database_rollback(struct database *database)
{
    if (sqlite3_get_autocommit(database->handle) == 0)
        sqlite3_exec(database->handle, "ROLLBACK", NULL, NULL, NULL);
}

bool database_check(struct database *database, struct err *err)
{
    sqlite3_stmt *statement = NULL;
    bool good = false, row = false;

    if (database_prepare(database, "PRAGMA quick_check(1)", &statement, err) &&
        database_step(database, statement, &row, err)) {
        const char *text = row ? (const char *)sqlite3_column_text(statement, 0) : NULL;
        good = text != NULL && strcmp(text, "ok") == 0;
        if (!good) {
            database->damaged = true;
            err_set(err, ERR_HOST, "%s: %s", database->path, text != NULL ? text : "no check");
        }
    }
    sqlite3_finalize(statement);
    return good;
}

bool database_is_in_place(const struct database *database)
{
    int moved = 1;

    return sqlite3_file_control(database->handle, "main", SQLITE_FCNTL_HAS_MOVED, &moved) ==
               SQLITE_OK &&
           moved == 0;
}

bool database_copy(struct database *database, const char *path, struct err *err)
{
    sqlite3 *handle = NULL;
    bool good = false;

    if (!remove_old(path, err) || !make_file(path, err))
        return false;
    if (sqlite3_open_v2(path, &handle, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK) {
        sqlite3_backup *backup = sqlite3_backup_init(handle, "main", database->handle, "main");
        good = backup != NULL && sqlite3_backup_step(backup, -1) == SQLITE_DONE;
        int code = sqlite3_backup_finish(backup);
        database->damaged |= is_damage(code);
        good = good && code == SQLITE_OK;
    }
    if (!good)
        err_set(err, ERR_HOST, "%s: %s", path, sqlite3_errmsg(handle));
    sqlite3_close(handle);
    return good;
}
