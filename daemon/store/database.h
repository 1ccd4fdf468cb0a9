/* SPDX-License-Identifier: MIT */
/*
 * SQLite as the store wants it: a WAL that is synced at each commit, one process, one thread at a time,
 * every failure as a struct err. What it can not be asked to do is in sqlite3.h; `handle` is open for
 * that to the files of store/.
 *
 * Errors are ERR_HOST, with SQLite's words and the path. Two kinds of them no mended disk mends:
 * `damaged`, the file is no database of ours, or its pages contradict each other; and what
 * database_refused tells, which is one row's fault and leaves the transaction as it was.
 */
#ifndef STORE_DATABASE_H
#define STORE_DATABASE_H

#include <stdbool.h>

#include "base/alloc.h"

struct err;
struct sqlite3;
struct sqlite3_stmt;

struct database {
    struct sqlite3 *handle;
    char *path;
    bool damaged; /* some call found it so */
};

/* Opens, or makes (0600), the file; it is ours alone while it is open. What an earlier process has
 * left in its log is brought into the file. A link is not followed. On failure nothing is open, and
 * *ret_damaged tells whether the file is to blame. */
bool database_open(const char *path, struct database **ret_database, bool *ret_damaged,
                   struct err *err) MUST_CHECK;
/* What a new database is to hold. */
typedef bool database_fill_fn(struct database *database, struct err *err);
/* Makes a new file (0600), which `fill` fills, and syncs it; one that is there is replaced. Until it has
 * succeeded the file may be anything: it gets its name when it is whole. */
bool database_make(const char *path, database_fill_fn *fill, struct err *err) MUST_CHECK;
/* Statements must be finalized. NULL is fine. */
void database_close(struct database *database);
/* Fills err with what the last call on the handle failed of. Returns false. */
bool database_fail(struct database *database, struct err *err);
/* Runs SQL without results. */
bool database_exec(struct database *database, const char *sql, struct err *err) MUST_CHECK;
/* A statement that lives as long as the database. The SQL is our own: if the schema has no place for it,
 * somebody else made the file, and it counts as damaged. */
bool database_prepare(struct database *database, const char *sql,
                      struct sqlite3_stmt **ret_statement, struct err *err) MUST_CHECK;
/* One step of a statement: *ret_row tells whether it has come to a row. */
bool database_step(struct database *database, struct sqlite3_stmt *statement, bool *ret_row,
                   struct err *err) MUST_CHECK;
/* Whether the call that failed last was refused for what is in its row: too big, against a constraint. */
bool database_refused(const struct database *database);
/* Undoes what is not committed. */
void database_rollback(struct database *database);
/* Looks at every page. */
bool database_check(struct database *database, struct err *err) MUST_CHECK;
/* Whether the open file is still the one at its path: somebody may have deleted or replaced it. */
bool database_is_in_place(const struct database *database);
/* Writes all of it into a new file (0600), synced; one that is there is replaced. */
bool database_copy(struct database *database, const char *path, struct err *err) MUST_CHECK;

#endif
