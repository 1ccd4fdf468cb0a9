/* SPDX-License-Identifier: MIT */
/* Versions of a schema: from each that there was to the newest, or not at all. */
#include "place.h"

#include <sqlite3.h>

#include "store/database.h"
#include "store/schema.h"

static const char *const steps[] = {
    "CREATE TABLE one (a INTEGER); INSERT INTO one VALUES (1);",
    "ALTER TABLE one ADD COLUMN b TEXT DEFAULT 'new';",
    "CREATE TABLE three (a INTEGER); INSERT INTO three SELECT a FROM one;",
};

struct fixture {
    struct place place;
    struct database *database;
    struct err err;
};

static int set_up(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));
    bool damaged;

    place_init(&fixture->place);
    make_state_dir(&fixture->place);
    autofree char *path = path_in(&fixture->place, "ledger.db");
    assert_true(database_open(path, &fixture->database, &damaged, &fixture->err));
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    database_close(fixture->database);
    int status = place_done(&fixture->place);
    free(fixture);
    return status;
}

static bool update(struct fixture *fixture, unsigned count)
{
    return schema_update(fixture->database, steps, count, &fixture->err);
}

static int64_t ask(struct fixture *fixture, const char *sql)
{
    sqlite3_stmt *statement;
    bool row;

    assert_true(database_prepare(fixture->database, sql, &statement, &fixture->err));
    assert_true(database_step(fixture->database, statement, &row, &fixture->err));
    int64_t value = row ? sqlite3_column_int64(statement, 0) : -1;
    sqlite3_finalize(statement);
    return value;
}

static void each_version_is_brought_to_the_newest(void **state)
{
    struct fixture *fixture = *state;

    for (unsigned from = 0; from <= 3; from++) {
        if (from > 0)
            assert_true(update(fixture, from));
        assert_int_equal(ask(fixture, "PRAGMA user_version"), from);
        assert_true(update(fixture, 3));
        assert_int_equal(ask(fixture, "PRAGMA user_version"), 3);
        assert_int_equal(ask(fixture, "SELECT count(*) FROM one WHERE b = 'new'"), 1);
        assert_int_equal(ask(fixture, "SELECT a FROM three"), 1);
        assert_true(update(fixture, 3)); /* nothing is to be done */
        tear_down(state);
        set_up(state);
        fixture = *state;
    }
}

static void a_newer_one_is_refused_and_left_as_it_is(void **state)
{
    struct fixture *fixture = *state;

    assert_true(update(fixture, 3));
    assert_false(update(fixture, 2));
    assert_int_equal(fixture->err.code, ERR_CONFIG);
    expect_text(fixture->err.text, "newer cvnotifyd (version 3, this one knows 2)");
    assert_int_equal(ask(fixture, "PRAGMA user_version"), 3);
    assert_int_equal(ask(fixture, "SELECT a FROM three"), 1);
    assert_false(fixture->database->damaged);
}

static void a_step_that_fails_leaves_the_old_version_whole(void **state)
{
    struct fixture *fixture = *state;
    const char *const bad[] = {steps[0], steps[1], "CREATE TABLE two (a); CREATE TABLE one (a)"};

    assert_true(update(fixture, 1));
    assert_false(schema_update(fixture->database, bad, 3, &fixture->err));
    assert_int_equal(fixture->err.code, ERR_HOST);
    assert_int_equal(ask(fixture, "PRAGMA user_version"), 1);
    assert_int_equal(ask(fixture, "SELECT count(*) FROM sqlite_schema"), 1);
    assert_int_equal(ask(fixture, "SELECT count(*) FROM pragma_table_info('one')"), 1);
    assert_int_equal(sqlite3_get_autocommit(fixture->database->handle), 1);
    assert_false(fixture->database->damaged); /* what it holds is ours */
}

static void a_file_of_somebody_else_is_damage(void **state)
{
    struct fixture *fixture = *state;

    assert_true(database_exec(fixture->database, "CREATE TABLE one (theirs)", &fixture->err));
    assert_false(update(fixture, 3));
    assert_true(fixture->database->damaged);
    assert_int_equal(ask(fixture, "PRAGMA user_version"), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_version_is_brought_to_the_newest),
        TEST(a_newer_one_is_refused_and_left_as_it_is),
        TEST(a_step_that_fails_leaves_the_old_version_whole),
        TEST(a_file_of_somebody_else_is_damage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
