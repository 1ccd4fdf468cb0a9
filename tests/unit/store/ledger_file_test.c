/* SPDX-License-Identifier: MIT */
/* The ledger's file, kept usable: garbage, other versions, deletions and replacements under our hands. */
#include "place.h"

#include <signal.h>
#include <sys/ptrace.h>

#include "store/database.h"
#include "store/ledger.h"
#include "store/ledger_file.h"
#include "store/rows.h"

struct fixture {
    struct place place;
    struct ledger_file *file;
    struct err err;
};

static int set_up(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));

    place_init(&fixture->place);
    fixture->file = ledger_file_new(fixture->place.state_dir);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    ledger_file_free(fixture->file);
    int status = place_done(&fixture->place);
    free(fixture);
    return status;
}

static bool is_ready(struct fixture *fixture)
{
    return ledger_file_ready(fixture->file, &fixture->err);
}

static void start_anew(struct fixture *fixture)
{
    ledger_file_free(fixture->file);
    fixture->file = ledger_file_new(fixture->place.state_dir);
}

static void keep(struct fixture *fixture, const char *id)
{
    const struct ledger_receipt receipt = {
        .queue_url = "https://a/q", .message_id = id, .dequeue_count = 1};
    struct rows_message message;

    assert_true(
        rows_receive(ledger_file_rows(fixture->file), &receipt, 1, 1, 1, &message, &fixture->err));
}

static void expect_kept(struct fixture *fixture, const char *ids)
{
    ledger_file_free(fixture->file);
    expect_sql(&fixture->place, "SELECT group_concat(message_id) FROM message", ids);
    fixture->file = ledger_file_new(fixture->place.state_dir);
}

static void expect_news(struct fixture *fixture, const char *part)
{
    autofree char *news = ledger_file_news(fixture->file);

    if (part == NULL) {
        assert_null(news);
        return;
    }
    assert_non_null(news);
    expect_text(news, part);
    assert_null(ledger_file_news(fixture->file));
}

static void given_kept(struct fixture *fixture, const char *id)
{
    assert_true(is_ready(fixture));
    keep(fixture, id);
}

static void what_is_kept_outlives_us_without_a_word(void **state)
{
    struct fixture *fixture = *state;

    given_kept(fixture, "one");
    assert_int_equal(mode_in(&fixture->place, "ledger.db"), 0600);
    expect_news(fixture, NULL);
    start_anew(fixture);
    given_kept(fixture, "two");
    expect_news(fixture, NULL);
    expect_kept(fixture, "one,two");
}

static void garbage_is_moved_aside_before_we_start(void **state)
{
    struct fixture *fixture = *state;

    make_state_dir(&fixture->place);
    write_in(&fixture->place, "ledger.db",
             "not a database at all, not even one byte of it is, "
             "for it is this text of more than a hundred characters");
    given_kept(fixture, "one");
    expect_news(fixture, "is damaged: ");
    expect_news(fixture, NULL);
    autofree char *text = read_in(&fixture->place, "ledger.db.damaged");
    expect_text(text, "not a database at all");
    expect_kept(fixture, "one");
}

static void spoilt_pages_are_found_before_we_start(void **state)
{
    struct fixture *fixture = *state;

    char id[16];

    /* so many that some pages are not looked at when it is opened */
    assert_true(is_ready(fixture));
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(id, sizeof(id), "id-%u", i);
        keep(fixture, id);
    }
    start_anew(fixture);
    autofree char *pages = ask_sql(&fixture->place, "ledger.db", "PRAGMA page_count");
    spoil(&fixture->place, "ledger.db", 4096 * (atol(pages) - 2));
    given_kept(fixture, "two");
    expect_news(fixture, "is damaged: ");
    expect_kept(fixture, "two");
    assert_true(is_there(&fixture->place, "ledger.db.damaged"));
}

static void an_older_copys_log_does_not_stay_beside_a_new_copy(void **state)
{
    struct fixture *fixture = *state;

    make_state_dir(&fixture->place);
    write_in(&fixture->place, "ledger.db",
             "garbage, garbage, garbage, garbage, garbage, garbage, "
             "garbage, garbage, garbage, garbage, garbage, garbage");
    write_in(&fixture->place, "ledger.db.damaged-wal", "of another");
    assert_true(is_ready(fixture));
    assert_false(is_there(&fixture->place, "ledger.db.damaged-wal"));
}

static void damage_that_is_met_in_use_moves_the_file_aside(void **state)
{
    struct fixture *fixture = *state;
    const struct err why = {.code = ERR_HOST, .text = "a page contradicts another"};

    given_kept(fixture, "one");
    unsigned generation = ledger_file_generation(fixture->file);
    ledger_file_database(fixture->file)->damaged = true;
    ledger_file_failed(fixture->file, &why);
    given_kept(fixture, "two");
    expect_news(fixture, "a page contradicts another");
    assert_int_not_equal(ledger_file_generation(fixture->file), generation);
    expect_kept(fixture, "two");
    autofree char *old = ask_sql(&fixture->place, "ledger.db.damaged",
                                 "SELECT group_concat(message_id) FROM message");
    assert_string_equal(old, "one");
}

static void a_disk_that_failed_is_no_damage(void **state)
{
    struct fixture *fixture = *state;
    const struct err why = {.code = ERR_HOST, .text = "disk I/O error"};

    given_kept(fixture, "one");
    unsigned generation = ledger_file_generation(fixture->file);
    ledger_file_failed(fixture->file, &why);
    given_kept(fixture, "two");
    expect_news(fixture, NULL);
    assert_int_not_equal(ledger_file_generation(fixture->file), generation);
    expect_kept(fixture, "one,two");
}

static void a_newer_version_is_refused_and_left_as_it_is(void **state)
{
    struct fixture *fixture = *state;

    given_kept(fixture, "one");
    start_anew(fixture);
    run_sql(&fixture->place, "ledger.db", "PRAGMA user_version = 99");
    assert_false(is_ready(fixture));
    assert_int_equal(fixture->err.code, ERR_CONFIG);
    expect_text(fixture->err.text, "newer");
    ledger_file_free(take(fixture->file));
    expect_sql(&fixture->place, "PRAGMA user_version", "99");
    expect_sql(&fixture->place, "SELECT message_id FROM message", "one");
    assert_false(is_there(&fixture->place, "ledger.db.damaged"));
}

static void a_file_that_is_deleted_in_use_is_written_anew(void **state)
{
    struct fixture *fixture = *state;

    given_kept(fixture, "one");
    remove_in(&fixture->place, "ledger.db");
    remove_in(&fixture->place, "ledger.db-wal");
    given_kept(fixture, "two");
    expect_news(fixture, "was deleted or replaced while in use");
    assert_int_equal(mode_in(&fixture->place, "ledger.db"), 0600);
    expect_kept(fixture, "one,two");
}

static void a_directory_that_is_deleted_in_use_is_made_anew_with_its_lock(void **state)
{
    struct fixture *fixture = *state;
    autofree char *command = xasprintf("rm -r '%s'", fixture->place.state_dir);

    given_kept(fixture, "one");
    assert_int_equal(system(command), 0);
    given_kept(fixture, "two");
    assert_true(is_there(&fixture->place, "lock"));
    struct ledger_file *second = ledger_file_new(fixture->place.state_dir);
    assert_false(ledger_file_ready(second, &fixture->err));
    assert_int_equal(fixture->err.code, ERR_CONFIG);
    ledger_file_free(second);
    expect_kept(fixture, "one,two");
}

/* Another ledger, in directory/other, as a killed process leaves it: most is in its log. */
static void given_others(struct fixture *fixture)
{
    pid_t pid = fork();

    if (pid == 0) {
        snprintf(fixture->place.state_dir, sizeof(fixture->place.state_dir), "%s/other",
                 fixture->place.directory);
        fixture->file = ledger_file_new(fixture->place.state_dir);
        given_kept(fixture, "theirs");
        kill(getpid(), SIGKILL);
    }
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void a_file_that_is_replaced_in_use_gives_way_to_ours(void **state)
{
    struct fixture *fixture = *state;

    autofree char *command =
        xasprintf("rm '%s/'ledger* && cp '%s'/other/ledger* '%s'", fixture->place.state_dir,
                  fixture->place.directory, fixture->place.state_dir);

    given_kept(fixture, "one");
    given_others(fixture);
    assert_int_equal(system(command), 0);
    given_kept(fixture, "two");
    expect_news(fixture, "was deleted or replaced");
    expect_kept(fixture, "one,two");
}

static void what_can_not_be_written_anew_yet_is_kept_until_it_can(void **state)
{
    struct fixture *fixture = *state;
    autofree char *path = path_in(&fixture->place, "ledger.db");

    given_kept(fixture, "one");
    remove_in(&fixture->place, "ledger.db");
    assert_int_equal(mkdir(path, 0700), 0); /* which no file can replace */
    assert_false(is_ready(fixture));
    assert_int_equal(fixture->err.code, ERR_HOST);
    assert_false(is_ready(fixture));
    assert_int_equal(rmdir(path), 0);
    given_kept(fixture, "two");
    expect_kept(fixture, "one,two");
}

static void a_file_that_is_gone_when_it_is_opened_again_is_missed(void **state)
{
    struct fixture *fixture = *state;
    const struct err why = {.code = ERR_HOST, .text = "disk I/O error"};

    given_kept(fixture, "one");
    ledger_file_failed(fixture->file, &why);
    remove_in(&fixture->place, "ledger.db");
    given_kept(fixture, "two");
    expect_news(fixture, "was gone; a new one is begun");
    expect_kept(fixture, "two");
}

static void a_killed_process_leaves_what_was_committed(void **state)
{
    struct fixture *fixture = *state;

    pid_t pid = fork();
    if (pid == 0) {
        given_kept(fixture, "one");
        kill(getpid(), SIGKILL);
    }
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    given_kept(fixture, "two");
    expect_news(fixture, NULL);
    expect_kept(fixture, "one,two");
}

/* Makes a ledger in a process that is killed before its system call number `calls`; false when it has
 * ended before. */
static bool is_killed_making_it(struct fixture *fixture, unsigned calls)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        raise(SIGSTOP);
        _exit(is_ready(fixture) ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    /* Each call stops it twice: before and after. */
    for (unsigned stops = 0; stops < 2 * calls - 1 && WIFSTOPPED(status); stops++) {
        assert_int_equal(ptrace(PTRACE_SYSCALL, pid, NULL, NULL), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
    }
    if (!WIFSTOPPED(status)) {
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        return false;
    }
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    return true;
}

static void who_is_killed_making_it_leaves_nothing_in_the_way(void **state)
{
    struct fixture *fixture = *state;
    autofree char *command = xasprintf("rm -rf '%s'", fixture->place.state_dir);
    unsigned calls = 1, half_made = 0;

    for (; is_killed_making_it(fixture, calls); calls++) {
        half_made += is_there(&fixture->place, "ledger.db.new");
        given_kept(fixture, "one");
        expect_news(fixture, NULL);
        assert_true(database_check(ledger_file_database(fixture->file), &fixture->err));
        assert_false(is_there(&fixture->place, "ledger.db.new"));
        start_anew(fixture);
        assert_int_equal(system(command), 0);
    }
    assert_true(half_made > 10);
    given_kept(fixture, "one");
    expect_news(fixture, NULL);
    expect_kept(fixture, "one");
}

static void a_log_that_is_left_is_not_taken_for_a_new_ledgers(void **state)
{
    struct fixture *fixture = *state;
    autofree char *command =
        xasprintf("mkdir '%s' && cp '%s'/other/ledger.db-wal '%s'", fixture->place.state_dir,
                  fixture->place.directory, fixture->place.state_dir);

    given_others(fixture);
    assert_int_equal(system(command), 0);
    given_kept(fixture, "one");
    expect_news(fixture, NULL);
    expect_kept(fixture, "one");
}

static void what_is_left_of_one_that_was_being_made_is_replaced(void **state)
{
    struct fixture *fixture = *state;

    make_state_dir(&fixture->place);
    write_in(&fixture->place, "ledger.db.new", "cut short");
    given_kept(fixture, "one");
    expect_news(fixture, NULL);
    assert_false(is_there(&fixture->place, "ledger.db.new"));
    expect_kept(fixture, "one");
}

static void a_link_that_leads_nowhere_is_not_replaced(void **state)
{
    struct fixture *fixture = *state;
    autofree char *path = path_in(&fixture->place, "ledger.db");
    struct stat st;

    make_state_dir(&fixture->place);
    assert_int_equal(symlink("/nowhere/ledger.db", path), 0);
    assert_false(is_ready(fixture));
    assert_int_equal(fixture->err.code, ERR_HOST);
    assert_int_equal(lstat(path, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
}

static void a_full_disk_is_the_hosts_fault_and_mends(void **state)
{
    struct fixture *fixture = *state;

    make_state_dir(&fixture->place);
    if (!mount_small(&fixture->place, 256))
        skip();
    fill(&fixture->place);
    bool while_full = is_ready(fixture);
    struct err err = fixture->err;
    remove_in(&fixture->place, "filler");
    bool after = is_ready(fixture);
    autofree char *news = ledger_file_news(fixture->file);
    ledger_file_free(take(fixture->file));
    unmount_small(&fixture->place);
    assert_false(while_full);
    assert_int_equal(err.code, ERR_HOST);
    assert_true(after);
    assert_null(news);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_kept_outlives_us_without_a_word),
        TEST(garbage_is_moved_aside_before_we_start),
        TEST(spoilt_pages_are_found_before_we_start),
        TEST(an_older_copys_log_does_not_stay_beside_a_new_copy),
        TEST(damage_that_is_met_in_use_moves_the_file_aside),
        TEST(a_disk_that_failed_is_no_damage),
        TEST(a_newer_version_is_refused_and_left_as_it_is),
        TEST(a_file_that_is_deleted_in_use_is_written_anew),
        TEST(a_directory_that_is_deleted_in_use_is_made_anew_with_its_lock),
        TEST(a_file_that_is_replaced_in_use_gives_way_to_ours),
        TEST(what_can_not_be_written_anew_yet_is_kept_until_it_can),
        TEST(a_file_that_is_gone_when_it_is_opened_again_is_missed),
        TEST(a_killed_process_leaves_what_was_committed),
        TEST(who_is_killed_making_it_leaves_nothing_in_the_way),
        TEST(a_log_that_is_left_is_not_taken_for_a_new_ledgers),
        TEST(what_is_left_of_one_that_was_being_made_is_replaced),
        TEST(a_link_that_leads_nowhere_is_not_replaced),
        TEST(a_full_disk_is_the_hosts_fault_and_mends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
