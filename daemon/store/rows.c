/* SPDX-License-Identifier: MIT */
/* The ledger's tables. */
#include "store/rows.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "store/database.h"
#include "store/ledger.h"
#include "store/schema.h"

#define PRUNE_ROWS 500 /* a batch of them does not keep others waiting */

/* Appended to, never changed: what stands here is in files out there. */
static const char *const schema[] = {
    "CREATE TABLE message ("
    " id INTEGER PRIMARY KEY,"
    " queue TEXT NOT NULL," /* its URL */
    " message_id TEXT NOT NULL,"
    " event TEXT," /* NULL: undecodable */
    " subject TEXT,"
    " inserted_ms INTEGER NOT NULL,"
    " expires_ms INTEGER NOT NULL,"
    " received_ms INTEGER NOT NULL," /* the last time */
    " receipts INTEGER NOT NULL,"
    " stored_ms INTEGER,"  /* its poison record */
    " reason TEXT,"        /* of poison */
    " hook TEXT,"          /* that rejected it */
    " deleted_ms INTEGER," /* by us, confirmed */
    " outcome TEXT);"
    "CREATE UNIQUE INDEX message_in_queue ON message(message_id, queue) WHERE deleted_ms IS NULL;"
    "CREATE TABLE step ("
    " message INTEGER NOT NULL,"
    " hook TEXT NOT NULL,"
    " state TEXT NOT NULL,"
    " attempts INTEGER NOT NULL,"
    " delays INTEGER NOT NULL,"
    " interruptions INTEGER NOT NULL,"
    " exit_status INTEGER,"
    " started_ms INTEGER,"
    " ended_ms INTEGER,"
    " duration_ms INTEGER,"
    " reason TEXT,"
    " tail TEXT,"
    " published TEXT,"
    " PRIMARY KEY (message, hook)) WITHOUT ROWID;",
};

enum query {
    QUERY_INSERT,
    QUERY_RECEIVE,
    QUERY_READ_STEPS,
    QUERY_READ_REASON,
    QUERY_WRITE_STEP,
    QUERY_MARK_STORED,
    QUERY_MARK_DELETED,
    QUERY_PRUNE_END,
    QUERY_PRUNE_STEPS,
    QUERY_PRUNE_MESSAGES,
    QUERY_COUNT,
    QUERIES,
};

/* What is over: deleted, or expired without our seeing it. The last row stays, so that no number is
 * ever given twice. */
#define OVER                                                                                       \
    "id > ?1 AND id <= ?2 AND id < (SELECT max(id) FROM message) AND"                              \
    " CASE WHEN deleted_ms IS NULL"                                                                \
    " THEN max(expires_ms, received_ms) < ?3 AND expires_ms <"                                     \
    "  (SELECT inserted_ms FROM message ORDER BY id DESC LIMIT 1)"                                 \
    " ELSE deleted_ms < ?3 END"

static const char *const sql[QUERIES] = {
    [QUERY_INSERT] =
        "INSERT INTO message (queue, message_id, event, subject, inserted_ms, expires_ms,"
        " received_ms, receipts) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    [QUERY_RECEIVE] =
        "INSERT INTO message (queue, message_id, event, subject, inserted_ms, expires_ms,"
        " received_ms, receipts) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
        " ON CONFLICT (message_id, queue) WHERE deleted_ms IS NULL DO UPDATE SET"
        " receipts = receipts + ?9, received_ms = ?7, expires_ms = ?6"
        " RETURNING id, receipts, stored_ms IS NOT NULL",
    [QUERY_READ_STEPS] =
        "SELECT hook, state, attempts, delays, interruptions, exit_status, started_ms, ended_ms,"
        " duration_ms, reason, tail, published FROM step WHERE message = ?1",
    [QUERY_READ_REASON] = "SELECT coalesce(reason, '') FROM message WHERE id = ?1",
    [QUERY_WRITE_STEP] =
        "INSERT OR REPLACE INTO step (message, hook, state, attempts, delays, interruptions,"
        " exit_status, started_ms, ended_ms, duration_ms, reason, tail, published)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    [QUERY_MARK_STORED] = "UPDATE message SET stored_ms = ?2, reason = ?3, hook = ?4 WHERE id = ?1",
    [QUERY_MARK_DELETED] =
        "UPDATE message SET deleted_ms = ?3, outcome = ?4 WHERE id BETWEEN ?1 AND ?2",
    /* Rows are numbered in the order of their first receipts: when all that are looked at are young,
     * that ends it. What came when the clock was ahead tells nothing. */
    [QUERY_PRUNE_END] = "SELECT max(id), max(received_ms < ?2 OR received_ms > ?4) FROM"
                        " (SELECT id, received_ms FROM message WHERE id > ?1 ORDER BY id LIMIT ?3)",
    [QUERY_PRUNE_STEPS] =
        "DELETE FROM step WHERE message IN (SELECT id FROM message WHERE " OVER ")",
    [QUERY_PRUNE_MESSAGES] = "DELETE FROM message WHERE " OVER,
    [QUERY_COUNT] = "SELECT count(*) FROM message WHERE deleted_ms IS NULL AND received_ms >= ?1",
};

struct rows {
    struct database *database;
    sqlite3_stmt *statements[QUERIES];
};

void rows_close(struct rows *rows)
{
    if (rows == NULL)
        return;
    for (unsigned i = 0; i < QUERIES; i++)
        sqlite3_finalize(rows->statements[i]);
    free(rows);
}

static bool make_tables(struct database *database, struct err *err)
{
    return schema_update(database, schema, array_size(schema), err);
}

bool rows_make(const char *path, struct err *err)
{
    return database_make(path, make_tables, err);
}

bool rows_open(struct database *database, struct rows **ret_rows, struct err *err)
{
    if (!make_tables(database, err))
        return false;
    struct rows *rows = xcalloc(1, sizeof(*rows));
    rows->database = database;
    for (unsigned i = 0; i < QUERIES; i++) {
        if (database_prepare(database, sql[i], &rows->statements[i], err))
            continue;
        rows_close(rows);
        return false;
    }
    *ret_rows = rows;
    return true;
}

/* --- binding --- */

static void bind_int(sqlite3_stmt *statement, int at, int64_t value)
{
    sqlite3_bind_int64(statement, at, value);
}

/* Borrowed until the statement is reset. */
static void bind_text(sqlite3_stmt *statement, int at, const char *text)
{
    sqlite3_bind_text(statement, at, text, -1, SQLITE_STATIC);
}

/* Ends a statement: it keeps nothing borrowed, and can be used again. */
static bool end(sqlite3_stmt *statement, bool good)
{
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return good;
}

static bool run(struct rows *rows, sqlite3_stmt *statement, struct err *err)
{
    bool row;

    return end(statement, database_step(rows->database, statement, &row, err));
}

/* --- reading --- */

static char *text_at(sqlite3_stmt *statement, int at)
{
    return xstrdup((const char *)sqlite3_column_text(statement, at));
}

static const char *const state_names[] = {
    [LEDGER_STARTED] = "started",   [LEDGER_DONE] = "done",
    [LEDGER_FAILED] = "failed",     [LEDGER_LATER] = "later",
    [LEDGER_REJECTED] = "rejected", [LEDGER_INTERRUPTED] = "interrupted",
};

const char *ledger_state_name(enum ledger_state state)
{
    return state_names[state];
}

static bool read_state(sqlite3_stmt *statement, int at, enum ledger_state *ret_state)
{
    const char *name = (const char *)sqlite3_column_text(statement, at);

    for (unsigned i = 0; i < array_size(state_names); i++) {
        if (name != NULL && strcmp(name, state_names[i]) == 0) {
            *ret_state = (enum ledger_state)i;
            return true;
        }
    }
    return false;
}

static bool read_step(sqlite3_stmt *statement, struct ledger_step *step)
{
    *step = (struct ledger_step){
        .hook = text_at(statement, 0),
        .attempts = (unsigned)sqlite3_column_int64(statement, 2),
        .delays = (unsigned)sqlite3_column_int64(statement, 3),
        .interruptions = (unsigned)sqlite3_column_int64(statement, 4),
        .exit_status = sqlite3_column_type(statement, 5) == SQLITE_NULL
                           ? -1
                           : sqlite3_column_int(statement, 5),
        .started_ms = sqlite3_column_int64(statement, 6),
        .ended_ms = sqlite3_column_int64(statement, 7),
        .duration_ms = sqlite3_column_int64(statement, 8),
        .reason = text_at(statement, 9),
        .tail = text_at(statement, 10),
        .published = text_at(statement, 11),
    };
    return read_state(statement, 1, &step->state);
}

void rows_free_steps(struct ledger_step *steps, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        free((char *)(uintptr_t)steps[i].hook);
        free((char *)(uintptr_t)steps[i].reason);
        free((char *)(uintptr_t)steps[i].tail);
        free((char *)(uintptr_t)steps[i].published);
    }
    free(steps);
}

bool rows_read_steps(struct rows *rows, int64_t number, struct ledger_step **ret_steps,
                     unsigned *ret_count, struct err *err)
{
    sqlite3_stmt *statement = rows->statements[QUERY_READ_STEPS];
    struct ledger_step *steps = NULL;
    unsigned count = 0;
    bool row;

    bind_int(statement, 1, number);
    bool good = database_step(rows->database, statement, &row, err);
    while (good && row) {
        steps = xreallocarray(steps, count + 1, sizeof(*steps));
        if (read_step(statement, &steps[count++])) {
            good = database_step(rows->database, statement, &row, err);
        } else {
            rows->database->damaged = true;
            good = err_set(err, ERR_HOST, "%s: a step has no such state", rows->database->path);
        }
    }
    end(statement, good);
    if (!good) {
        rows_free_steps(steps, count);
        return false;
    }
    *ret_steps = steps;
    *ret_count = count;
    return true;
}

bool rows_read_reason(struct rows *rows, int64_t number, char **ret_reason, struct err *err)
{
    sqlite3_stmt *statement = rows->statements[QUERY_READ_REASON];
    bool row;

    bind_int(statement, 1, number);
    if (!database_step(rows->database, statement, &row, err))
        return end(statement, false);
    *ret_reason = row ? text_at(statement, 0) : NULL;
    return end(statement, true);
}

/* --- writing --- */

static void bind_receipt(sqlite3_stmt *statement, const struct ledger_receipt *receipt,
                         unsigned receipts, int64_t wall_ms)
{
    bind_text(statement, 1, receipt->queue_url);
    bind_text(statement, 2, receipt->message_id);
    bind_text(statement, 3, receipt->event);
    bind_text(statement, 4, receipt->subject);
    bind_int(statement, 5, receipt->inserted_ms);
    bind_int(statement, 6, receipt->expires_ms);
    bind_int(statement, 7, wall_ms);
    bind_int(statement, 8, receipts);
}

/* Cheaper than rows_receive, whose RETURNING costs as much as the rest. */
bool rows_insert(struct rows *rows, const struct ledger_receipt *receipt, unsigned receipts,
                 int64_t wall_ms, struct rows_message *ret_message, struct err *err)
{
    sqlite3_stmt *statement = rows->statements[QUERY_INSERT];

    bind_receipt(statement, receipt, receipts, wall_ms);
    int code = sqlite3_step(statement);
    *ret_message = (struct rows_message){.receipts = receipts};
    if (code == SQLITE_DONE)
        ret_message->number = sqlite3_last_insert_rowid(rows->database->handle);
    return end(statement, code == SQLITE_DONE || (code & 0xff) == SQLITE_CONSTRAINT ||
                              database_fail(rows->database, err));
}

bool rows_receive(struct rows *rows, const struct ledger_receipt *receipt, unsigned all,
                  unsigned more, int64_t wall_ms, struct rows_message *ret_message, struct err *err)
{
    sqlite3_stmt *statement = rows->statements[QUERY_RECEIVE];
    bool row;

    bind_receipt(statement, receipt, all, wall_ms);
    bind_int(statement, 9, more);
    if (!database_step(rows->database, statement, &row, err))
        return end(statement, false);
    *ret_message = (struct rows_message){
        .number = sqlite3_column_int64(statement, 0),
        .receipts = (unsigned)sqlite3_column_int64(statement, 1),
        .is_stored = sqlite3_column_int(statement, 2) != 0,
    };
    return end(statement, true);
}

bool rows_write_step(struct rows *rows, int64_t number, const struct ledger_step *step,
                     struct err *err)
{
    sqlite3_stmt *statement = rows->statements[QUERY_WRITE_STEP];

    bind_int(statement, 1, number);
    bind_text(statement, 2, step->hook);
    bind_text(statement, 3, ledger_state_name(step->state));
    bind_int(statement, 4, step->attempts);
    bind_int(statement, 5, step->delays);
    bind_int(statement, 6, step->interruptions);
    if (step->exit_status >= 0)
        bind_int(statement, 7, step->exit_status);
    bind_int(statement, 8, step->started_ms);
    bind_int(statement, 9, step->ended_ms);
    bind_int(statement, 10, step->duration_ms);
    bind_text(statement, 11, step->reason);
    bind_text(statement, 12, step->tail);
    bind_text(statement, 13, step->published);
    return run(rows, statement, err);
}

bool rows_mark_stored(struct rows *rows, int64_t number, const char *reason, const char *hook,
                      int64_t wall_ms, struct err *err)
{
    sqlite3_stmt *statement = rows->statements[QUERY_MARK_STORED];

    bind_int(statement, 1, number);
    bind_int(statement, 2, wall_ms);
    bind_text(statement, 3, reason);
    bind_text(statement, 4, hook);
    return run(rows, statement, err);
}

bool rows_mark_deleted(struct rows *rows, int64_t first, int64_t last, const char *outcome,
                       int64_t wall_ms, struct err *err)
{
    sqlite3_stmt *statement = rows->statements[QUERY_MARK_DELETED];

    bind_int(statement, 1, first);
    bind_int(statement, 2, last);
    bind_int(statement, 3, wall_ms);
    bind_text(statement, 4, outcome);
    return run(rows, statement, err);
}

/* --- history --- */

/* The last row of those to look at now. *ret_goes_on: there may be more behind it that is old. */
static bool find_end(struct rows *rows, int64_t before_ms, int64_t now_ms, int64_t place,
                     int64_t *ret_end, bool *ret_goes_on, struct err *err)
{
    sqlite3_stmt *statement = rows->statements[QUERY_PRUNE_END];
    bool row;

    bind_int(statement, 1, place);
    bind_int(statement, 2, before_ms);
    bind_int(statement, 3, PRUNE_ROWS);
    bind_int(statement, 4, now_ms);
    if (!database_step(rows->database, statement, &row, err))
        return end(statement, false);
    *ret_end = sqlite3_column_int64(statement, 0);
    *ret_goes_on = sqlite3_column_int(statement, 1) != 0;
    return end(statement, true);
}

static bool prune_until(struct rows *rows, enum query query, int64_t from, int64_t until,
                        int64_t before_ms, struct err *err)
{
    sqlite3_stmt *statement = rows->statements[query];

    bind_int(statement, 1, from);
    bind_int(statement, 2, until);
    bind_int(statement, 3, before_ms);
    return run(rows, statement, err);
}

bool rows_prune(struct rows *rows, int64_t before_ms, int64_t now_ms, int64_t *place,
                struct err *err)
{
    int64_t until;
    bool goes_on;

    if (!find_end(rows, before_ms, now_ms, *place, &until, &goes_on, err) ||
        !prune_until(rows, QUERY_PRUNE_STEPS, *place, until, before_ms, err) ||
        !prune_until(rows, QUERY_PRUNE_MESSAGES, *place, until, before_ms, err))
        return false;
    *place = goes_on ? until : 0;
    return true;
}

bool rows_count_undeleted(struct rows *rows, int64_t since_ms, unsigned *ret_count, struct err *err)
{
    sqlite3_stmt *statement = rows->statements[QUERY_COUNT];
    bool row;

    bind_int(statement, 1, since_ms);
    if (!database_step(rows->database, statement, &row, err))
        return end(statement, false);
    *ret_count = (unsigned)sqlite3_column_int64(statement, 0);
    return end(statement, true);
}
