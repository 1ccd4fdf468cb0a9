/* SPDX-License-Identifier: MIT */
/* A database's schema by versions. */
#include "store/schema.h"

#include <sqlite3.h>

#include "base/err.h"
#include "store/database.h"

static bool read_version(struct database *database, unsigned *ret_version, struct err *err)
{
    sqlite3_stmt *statement = NULL;
    bool row = false;

    bool good = database_prepare(database, "PRAGMA user_version", &statement, err) &&
                database_step(database, statement, &row, err);
    if (good)
        *ret_version = row ? (unsigned)sqlite3_column_int(statement, 0) : 0;
    sqlite3_finalize(statement);
    return good;
}

static bool take_steps(struct database *database, const char *const *steps, unsigned from,
                       unsigned count, struct err *err)
{
    autofree char *version = xasprintf("PRAGMA user_version = %u; COMMIT", count);

    if (!database_exec(database, "BEGIN IMMEDIATE", err))
        return false;
    for (unsigned i = from; i < count; i++) {
        if (!database_exec(database, steps[i], err))
            return false;
    }
    return database_exec(database, version, err);
}

bool schema_update(struct database *database, const char *const *steps, unsigned count,
                   struct err *err)
{
    unsigned version;

    if (!read_version(database, &version, err))
        return false;
    if (version > count)
        return err_set(
            err, ERR_CONFIG,
            "%s was written by a newer cvnotifyd (version %u, this one knows %u): install "
            "that one again, or move the file away",
            database->path, version, count);
    if (version == count)
        return true;
    if (take_steps(database, steps, version, count, err))
        return true;
    database->damaged |= version == 0 && sqlite3_errcode(database->handle) == SQLITE_ERROR;
    database_rollback(database);
    return false;
}
