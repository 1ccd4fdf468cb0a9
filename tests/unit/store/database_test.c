/* SPDX-License-Identifier: MIT */
/* SQLite as the store wants it: whose file it is, what is damage and what is the disk's fault. */
#include "place.h"

#include <sqlite3.h>
#include <sys/resource.h>
#include <signal.h>

#include "store/database.h"

struct fixture {
    struct place place;
    char *path;
    struct database *database;
    bool damaged;
    struct err err;
};

static int set_up(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));

    place_init(&fixture->place);
    make_state_dir(&fixture->place);
    fixture->path = path_in(&fixture->place, "ledger.db");
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    database_close(fixture->database);
    int status = place_done(&fixture->place);
    free(fixture->path);
    free(fixture);
    return status;
}

static bool open_it(struct fixture *fixture)
{
    return database_open(fixture->path, &fixture->database, &fixture->damaged, &fixture->err);
}

static void close_it(struct fixture *fixture)
{
    database_close(take(fixture->database));
}

static bool exec(struct fixture *fixture, const char *sql)
{
    return database_exec(fixture->database, sql, &fixture->err);
}

static void given_rows(struct fixture *fixture)
{
    assert_true(open_it(fixture));
    assert_true(exec(fixture,
                     "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT NOT NULL);"
                     "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
                     " WHERE i < 500) INSERT INTO t SELECT i, hex(randomblob(50)) FROM n"));
}

static int64_t count_rows(struct fixture *fixture)
{
    sqlite3_stmt *statement;
    bool row;

    assert_true(
        database_prepare(fixture->database, "SELECT count(*) FROM t", &statement, &fixture->err));
    assert_true(database_step(fixture->database, statement, &row, &fixture->err));
    assert_true(row);
    int64_t count = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return count;
}

static void what_is_made_is_for_us_alone(void **state)
{
    struct fixture *fixture = *state;
    mode_t before = umask(022);

    given_rows(fixture);
    umask(before);
    assert_int_equal(mode_in(&fixture->place, "ledger.db"), 0600);
    assert_int_equal(mode_in(&fixture->place, "ledger.db-wal"), 0600);
    assert_false(is_there(&fixture->place, "ledger.db-shm"));
}

static void no_program_that_we_start_inherits_it(void **state)
{
    struct fixture *fixture = *state;
    unsigned seen = 0;

    given_rows(fixture);
    for (int fd = 3; fd < 100; fd++) {
        char link[64], target[512] = "";
        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        if (readlink(link, target, sizeof(target) - 1) <= 0 ||
            strstr(target, fixture->path) == NULL)
            continue;
        seen++;
        assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    }
    assert_true(seen >= 2);
}

static void nobody_looks_in_while_it_is_open(void **state)
{
    struct fixture *fixture = *state;
    autofree char *command =
        xasprintf("sqlite3 '%s' 'SELECT count(*) FROM t' >/dev/null 2>&1", fixture->path);

    given_rows(fixture);
    assert_int_not_equal(system(command), 0);
    close_it(fixture);
    assert_int_equal(system(command), 0);
    assert_false(is_there(&fixture->place, "ledger.db-wal"));
}

/* As one that is killed leaves it. */
static void given_a_log_that_is_left(struct fixture *fixture)
{
    pid_t pid = fork();

    if (pid == 0) {
        given_rows(fixture);
        kill(getpid(), SIGKILL);
    }
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_true(is_there(&fixture->place, "ledger.db-wal"));
}

static void what_a_killed_process_left_in_the_log_is_in_the_file_once_it_is_open(void **state)
{
    struct fixture *fixture = *state;
    struct stat st;
    autofree char *log = path_in(&fixture->place, "ledger.db-wal");

    given_a_log_that_is_left(fixture);
    assert_true(open_it(fixture));
    assert_int_equal(stat(log, &st), 0);
    assert_int_equal(st.st_size, 0);
    assert_int_equal(count_rows(fixture), 500);
}

static void a_log_without_its_file_is_not_believed(void **state)
{
    struct fixture *fixture = *state;

    given_a_log_that_is_left(fixture);
    remove_in(&fixture->place, "ledger.db");
    assert_true(open_it(fixture));
    assert_true(exec(fixture, "CREATE TABLE t (a)"));
    assert_int_equal(count_rows(fixture), 0);
}

static void what_is_no_database_is_damage(void **state)
{
    struct fixture *fixture = *state;

    write_in(&fixture->place, "ledger.db",
             "this is a shopping list, and much longer than a hundred bytes: "
             "milk, butter, bread, eggs, cheese, apples, pears, plums");
    assert_false(open_it(fixture));
    assert_true(fixture->damaged);
    assert_int_equal(fixture->err.code, ERR_HOST);
    expect_text(fixture->err.text, fixture->path);
    expect_text(fixture->err.text, "not a database");
}

static void the_check_finds_spoilt_pages(void **state)
{
    struct fixture *fixture = *state;

    given_rows(fixture);
    assert_true(database_check(fixture->database, &fixture->err));
    close_it(fixture);
    spoil(&fixture->place, "ledger.db", 4096 * 3);
    bool good = open_it(fixture) && database_check(fixture->database, &fixture->err);
    assert_false(good);
    assert_true(fixture->database == NULL ? fixture->damaged : fixture->database->damaged);
}

static void sql_for_which_the_file_has_no_place_is_damage(void **state)
{
    struct fixture *fixture = *state;
    sqlite3_stmt *statement;

    assert_true(open_it(fixture));
    assert_false(database_prepare(fixture->database, "SELECT a FROM t", &statement, &fixture->err));
    assert_true(fixture->database->damaged);
    expect_text(fixture->err.text, "no such table");
}

static void what_a_row_is_refused_for_is_no_damage_and_undoes_nothing(void **state)
{
    struct fixture *fixture = *state;

    given_rows(fixture);
    assert_true(exec(fixture, "BEGIN IMMEDIATE; INSERT INTO t VALUES (501, 'x')"));
    assert_false(database_refused(fixture->database));
    assert_false(exec(fixture, "INSERT INTO t VALUES (502, NULL)"));
    assert_true(database_refused(fixture->database));
    sqlite3_limit(fixture->database->handle, SQLITE_LIMIT_LENGTH, 1000);
    assert_false(exec(fixture, "INSERT INTO t VALUES (502, hex(zeroblob(600)))"));
    assert_true(database_refused(fixture->database));
    assert_false(fixture->database->damaged);
    assert_true(exec(fixture, "COMMIT"));
    assert_int_equal(count_rows(fixture), 501);
}

static void a_rollback_undoes(void **state)
{
    struct fixture *fixture = *state;

    given_rows(fixture);
    database_rollback(fixture->database); /* there is nothing to undo */
    assert_true(exec(fixture, "BEGIN IMMEDIATE; DELETE FROM t"));
    database_rollback(fixture->database);
    assert_int_equal(count_rows(fixture), 500);
}

static void a_link_is_not_followed(void **state)
{
    struct fixture *fixture = *state;
    autofree char *target = path_in(&fixture->place, "target");

    assert_int_equal(symlink(target, fixture->path), 0);
    assert_false(open_it(fixture));
    assert_false(fixture->damaged);
    assert_false(is_there(&fixture->place, "target"));
}

static void a_directory_in_its_place_is_the_hosts_fault(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(mkdir(fixture->path, 0700), 0);
    assert_false(open_it(fixture));
    assert_false(fixture->damaged);
    assert_int_equal(fixture->err.code, ERR_HOST);
    assert_int_equal(fixture->err.os_errno, EISDIR);
}

static void a_failed_write_tells_the_systems_words_and_is_no_damage(void **state)
{
    struct fixture *fixture = *state;
    struct rlimit before, small;

    given_rows(fixture);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = (struct rlimit){.rlim_cur = 1024, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    bool good = exec(fixture, "INSERT INTO t VALUES (501, 'x')");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_false(good);
    assert_int_equal(fixture->err.code, ERR_HOST);
    expect_text(fixture->err.text, "File too large");
    assert_false(fixture->database->damaged);
    assert_false(database_refused(fixture->database));
    assert_int_equal(count_rows(fixture), 500);
}

static void a_full_disk_is_no_damage(void **state)
{
    struct fixture *fixture = *state;

    if (!mount_small(&fixture->place, 400))
        skip();
    given_rows(fixture);
    fill(&fixture->place);
    bool good = exec(fixture, "UPDATE t SET b = hex(randomblob(400))");
    bool damaged = fixture->database->damaged;
    database_rollback(fixture->database);
    remove_in(&fixture->place, "filler");
    int64_t count = count_rows(fixture);
    bool again = exec(fixture, "INSERT INTO t VALUES (501, 'x')");
    close_it(fixture);
    unmount_small(&fixture->place);
    assert_false(good);
    assert_false(damaged);
    expect_text(fixture->err.text, "full");
    assert_int_equal(count, 500);
    assert_true(again);
}

static void a_file_that_is_gone_or_another_is_not_in_place(void **state)
{
    struct fixture *fixture = *state;

    given_rows(fixture);
    assert_true(database_is_in_place(fixture->database));
    remove_in(&fixture->place, "ledger.db");
    assert_false(database_is_in_place(fixture->database));
    write_in(&fixture->place, "ledger.db", "another");
    assert_false(database_is_in_place(fixture->database));
}

static void a_copy_holds_all_also_of_a_file_that_is_gone(void **state)
{
    struct fixture *fixture = *state;
    autofree char *copy = path_in(&fixture->place, "copy");

    given_rows(fixture);
    remove_in(&fixture->place, "ledger.db");
    remove_in(&fixture->place, "ledger.db-wal");
    write_in(&fixture->place, "copy", "what was there before");
    assert_true(database_copy(fixture->database, copy, &fixture->err));
    assert_int_equal(mode_in(&fixture->place, "copy") & 077, 0);
    close_it(fixture);
    autofree char *count = ask_sql(&fixture->place, "copy", "SELECT count(*) FROM t");
    assert_string_equal(count, "500");
}

static void a_copy_that_can_not_be_made_says_so(void **state)
{
    struct fixture *fixture = *state;

    given_rows(fixture);
    assert_false(database_copy(fixture->database, "/nowhere/copy", &fixture->err));
    expect_text(fixture->err.text, "/nowhere/copy");
    assert_false(fixture->database->damaged);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_made_is_for_us_alone),
        TEST(no_program_that_we_start_inherits_it),
        TEST(nobody_looks_in_while_it_is_open),
        TEST(what_a_killed_process_left_in_the_log_is_in_the_file_once_it_is_open),
        TEST(a_log_without_its_file_is_not_believed),
        TEST(what_is_no_database_is_damage),
        TEST(the_check_finds_spoilt_pages),
        TEST(sql_for_which_the_file_has_no_place_is_damage),
        TEST(what_a_row_is_refused_for_is_no_damage_and_undoes_nothing),
        TEST(a_rollback_undoes),
        TEST(a_link_is_not_followed),
        TEST(a_directory_in_its_place_is_the_hosts_fault),
        TEST(a_failed_write_tells_the_systems_words_and_is_no_damage),
        TEST(a_full_disk_is_no_damage),
        TEST(a_file_that_is_gone_or_another_is_not_in_place),
        TEST(a_copy_holds_all_also_of_a_file_that_is_gone),
        TEST(a_copy_that_can_not_be_made_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
