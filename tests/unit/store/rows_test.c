/* SPDX-License-Identifier: MIT */
/* The ledger's tables, row by row: what is counted, kept, found again, and taken away when it is old. */
#include "place.h"

#include "store/database.h"
#include "store/ledger.h"
#include "store/rows.h"

#define QUEUE "https://a.queue.core.windows.net/q"
#define DAY   INT64_C(86400000)
#define NOW   INT64_C(1795231417000)

struct fixture {
    struct place place;
    struct database *database;
    struct rows *rows;
    struct err err;
};

static void open_rows(struct fixture *fixture)
{
    autofree char *path = path_in(&fixture->place, "ledger.db");
    bool damaged;

    assert_true(database_open(path, &fixture->database, &damaged, &fixture->err));
    assert_true(rows_open(fixture->database, &fixture->rows, &fixture->err));
}

static void close_rows(struct fixture *fixture)
{
    rows_close(take(fixture->rows));
    database_close(take(fixture->database));
}

static int set_up(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));

    place_init(&fixture->place);
    make_state_dir(&fixture->place);
    open_rows(fixture);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    close_rows(fixture);
    int status = place_done(&fixture->place);
    free(fixture);
    return status;
}

/* --- what the tests do --- */

static struct rows_message receive_at(struct fixture *fixture, const char *queue, const char *id,
                                      unsigned more, int64_t wall_ms)
{
    const struct ledger_receipt receipt = {.queue_url = queue,
                                           .message_id = id,
                                           .event = "export.completed",
                                           .subject = "project/iteration",
                                           .inserted_ms = wall_ms - 1000,
                                           .expires_ms = wall_ms + 7 * DAY,
                                           .dequeue_count = 2};
    struct rows_message message;

    assert_true(rows_receive(fixture->rows, &receipt, 5, more, wall_ms, &message, &fixture->err));
    return message;
}

static struct rows_message receive(struct fixture *fixture, const char *id, unsigned more)
{
    return receive_at(fixture, QUEUE, id, more, NOW);
}

static void record(struct fixture *fixture, int64_t number, const char *hook)
{
    assert_true(rows_write_step(fixture->rows, number,
                                &(struct ledger_step){.hook = hook, .state = LEDGER_DONE},
                                &fixture->err));
}

static void delete_at(struct fixture *fixture, int64_t first, int64_t last, int64_t wall_ms)
{
    assert_true(rows_mark_deleted(fixture->rows, first, last, "done", wall_ms, &fixture->err));
}

/* Prunes all that there is, as the ledger does, and returns in how many goes. */
static unsigned prune(struct fixture *fixture, int64_t before_ms, int64_t now_ms)
{
    int64_t place = 0;
    unsigned goes = 0;

    do
        assert_true(rows_prune(fixture->rows, before_ms, now_ms, &place, &fixture->err));
    while (goes++ < 100 && place != 0);
    return goes;
}

/* Looks into the file, closed for the while. */
static void expect(struct fixture *fixture, const char *query, const char *wanted)
{
    close_rows(fixture);
    expect_sql(&fixture->place, query, wanted);
    open_rows(fixture);
}

/* --- messages --- */

static void a_new_message_gets_a_row_that_counts_all_and_a_known_one_more(void **state)
{
    struct fixture *fixture = *state;

    struct rows_message first = receive(fixture, "id-1", 1);
    assert_int_equal(first.receipts, 5);
    struct rows_message again = receive(fixture, "id-1", 1);
    assert_int_equal(again.number, first.number);
    assert_int_equal(again.receipts, 6);
    again = receive(fixture, "id-1", 0);
    assert_int_equal(again.receipts, 6);
    assert_int_not_equal(receive(fixture, "id-2", 1).number, first.number);
    assert_int_not_equal(receive_at(fixture, "https://b/q", "id-1", 1, NOW).number, first.number);
}

static void an_insertion_finds_out_that_there_is_a_row(void **state)
{
    struct fixture *fixture = *state;
    const struct ledger_receipt receipt = {.queue_url = QUEUE, .message_id = "id-1"};
    struct rows_message message;

    assert_true(rows_insert(fixture->rows, &receipt, 1, NOW, &message, &fixture->err));
    int64_t number = message.number;
    assert_int_not_equal(number, 0);
    assert_int_equal(message.receipts, 1);
    assert_true(rows_insert(fixture->rows, &receipt, 1, NOW, &message, &fixture->err));
    assert_int_equal(message.number, 0);
    delete_at(fixture, number, number, NOW);
    assert_true(rows_insert(fixture->rows, &receipt, 1, NOW, &message, &fixture->err));
    assert_int_not_equal(message.number, 0);
    assert_int_not_equal(message.number, number);
}

static void a_receipt_is_kept_whole(void **state)
{
    struct fixture *fixture = *state;

    receive(fixture, "id-1", 1);
    expect(
        fixture,
        "SELECT queue, message_id, event, subject, inserted_ms, expires_ms, received_ms, receipts"
        " FROM message",
        QUEUE "|id-1|export.completed|project/iteration|1795231416000|1795836217000|"
              "1795231417000|5");
}

static void a_deleted_message_that_comes_again_is_another(void **state)
{
    struct fixture *fixture = *state;
    struct ledger_step *steps;
    unsigned count;

    int64_t first = receive(fixture, "id-1", 1).number;
    record(fixture, first, "a");
    delete_at(fixture, first, first, NOW);
    struct rows_message again = receive(fixture, "id-1", 1);
    assert_int_not_equal(again.number, first);
    assert_int_equal(again.receipts, 5);
    assert_true(rows_read_steps(fixture->rows, again.number, &steps, &count, &fixture->err));
    assert_int_equal(count, 0);
    rows_free_steps(steps, count);
}

static void a_deletion_marks_the_range_and_no_other(void **state)
{
    struct fixture *fixture = *state;
    char id[16];

    for (unsigned i = 1; i <= 5; i++) {
        snprintf(id, sizeof(id), "id-%u", i);
        assert_int_equal(receive(fixture, id, 1).number, i);
    }
    delete_at(fixture, 2, 4, NOW + 7);
    unsigned count;
    assert_true(rows_count_undeleted(fixture->rows, NOW, &count, &fixture->err));
    assert_int_equal(count, 2);
    assert_true(rows_count_undeleted(fixture->rows, NOW + 1, &count, &fixture->err));
    assert_int_equal(count, 0);
    expect(fixture,
           "SELECT group_concat(id), deleted_ms, outcome FROM message WHERE deleted_ms NOTNULL",
           "2,3,4|1795231417007|done");
}

static void why_it_is_poison_is_kept(void **state)
{
    struct fixture *fixture = *state;

    int64_t number = receive(fixture, "id-1", 1).number;
    assert_true(rows_mark_stored(fixture->rows, number, "rejected", "deploy", NOW, &fixture->err));
    assert_true(receive(fixture, "id-1", 1).is_stored);
    assert_false(receive(fixture, "id-2", 1).is_stored);
    char *reason;
    assert_true(rows_read_reason(fixture->rows, number, &reason, &fixture->err));
    assert_string_equal(reason, "rejected");
    free(reason);
    expect(fixture, "SELECT stored_ms, reason, hook FROM message WHERE id = 1",
           "1795231417000|rejected|deploy");
}

/* --- steps --- */

static void a_step_is_kept_whole(void **state)
{
    struct fixture *fixture = *state;
    const struct ledger_step whole = {.hook = "deploy",
                                      .state = LEDGER_REJECTED,
                                      .attempts = 1,
                                      .delays = 2,
                                      .interruptions = 3,
                                      .exit_status = 65,
                                      .started_ms = NOW,
                                      .ended_ms = NOW + 5,
                                      .duration_ms = 5,
                                      .reason = "rejected",
                                      .tail = "it's \"over\"\n",
                                      .published = "{\"model_path\": \"/m\"}"};
    struct ledger_step *steps;
    unsigned count;

    int64_t number = receive(fixture, "id-1", 1).number;
    assert_true(rows_write_step(fixture->rows, number, &whole, &fixture->err));
    close_rows(fixture);
    open_rows(fixture);
    assert_true(rows_read_steps(fixture->rows, number, &steps, &count, &fixture->err));
    assert_int_equal(count, 1);
    assert_string_equal(steps[0].hook, whole.hook);
    assert_int_equal(steps[0].state, whole.state);
    assert_int_equal(steps[0].attempts, 1);
    assert_int_equal(steps[0].delays, 2);
    assert_int_equal(steps[0].interruptions, 3);
    assert_int_equal(steps[0].exit_status, 65);
    assert_int_equal(steps[0].started_ms, NOW);
    assert_int_equal(steps[0].ended_ms, NOW + 5);
    assert_int_equal(steps[0].duration_ms, 5);
    assert_string_equal(steps[0].reason, whole.reason);
    assert_string_equal(steps[0].tail, whole.tail);
    assert_string_equal(steps[0].published, whole.published);
    rows_free_steps(steps, count);
}

static void a_step_replaces_what_was_known_of_it_and_of_no_other(void **state)
{
    struct fixture *fixture = *state;
    struct ledger_step *steps;
    unsigned count;

    int64_t number = receive(fixture, "id-1", 1).number;
    int64_t other = receive(fixture, "id-2", 1).number;
    record(fixture, other, "a");
    assert_true(rows_write_step(
        fixture->rows, number,
        &(struct ledger_step){
            .hook = "a", .state = LEDGER_FAILED, .attempts = 1, .exit_status = 3, .tail = "old"},
        &fixture->err));
    assert_true(rows_write_step(
        fixture->rows, number,
        &(struct ledger_step){.hook = "a", .state = LEDGER_STARTED, .exit_status = -1},
        &fixture->err));
    assert_true(rows_read_steps(fixture->rows, number, &steps, &count, &fixture->err));
    assert_int_equal(count, 1);
    assert_int_equal(steps[0].state, LEDGER_STARTED);
    assert_int_equal(steps[0].attempts, 0);
    assert_int_equal(steps[0].exit_status, -1);
    assert_null(steps[0].tail);
    rows_free_steps(steps, count);
    expect(fixture, "SELECT count(*) FROM step", "2");
}

static void each_state_is_kept_by_its_name(void **state)
{
    struct fixture *fixture = *state;
    struct ledger_step *steps;
    unsigned count;

    for (enum ledger_state each = LEDGER_STARTED; each <= LEDGER_INTERRUPTED; each++) {
        int64_t number = receive(fixture, ledger_state_name(each), 1).number;
        assert_true(rows_write_step(fixture->rows, number,
                                    &(struct ledger_step){.hook = "a", .state = each},
                                    &fixture->err));
        assert_true(rows_read_steps(fixture->rows, number, &steps, &count, &fixture->err));
        assert_int_equal(steps[0].state, each);
        rows_free_steps(steps, count);
    }
    expect(fixture, "SELECT group_concat(state) FROM step",
           "started,done,failed,later,rejected,interrupted");
}

static void a_state_that_there_is_not_is_damage(void **state)
{
    struct fixture *fixture = *state;
    struct ledger_step *steps;
    unsigned count;

    int64_t number = receive(fixture, "id-1", 1).number;
    record(fixture, number, "a");
    close_rows(fixture);
    run_sql(&fixture->place, "ledger.db", "UPDATE step SET state = 'dnoe'");
    open_rows(fixture);
    assert_false(rows_read_steps(fixture->rows, number, &steps, &count, &fixture->err));
    assert_true(fixture->database->damaged);
}

/* --- history --- */

static void what_is_deleted_goes_when_it_is_old_with_its_steps(void **state)
{
    struct fixture *fixture = *state;

    record(fixture, receive_at(fixture, QUEUE, "old", 1, NOW - 40 * DAY).number, "a");
    record(fixture, receive_at(fixture, QUEUE, "young", 1, NOW - 20 * DAY).number, "a");
    record(fixture, receive_at(fixture, QUEUE, "last", 1, NOW).number, "a");
    delete_at(fixture, 1, 1, NOW - 31 * DAY);
    delete_at(fixture, 2, 2, NOW - 20 * DAY);
    prune(fixture, NOW - 30 * DAY, NOW);
    expect(fixture, "SELECT group_concat(message_id), (SELECT count(*) FROM step) FROM message",
           "young,last|2");
}

static void what_is_not_deleted_stays_until_it_has_expired(void **state)
{
    struct fixture *fixture = *state;
    struct ledger_receipt receipt = {.queue_url = QUEUE,
                                     .message_id = "for ever",
                                     .inserted_ms = NOW - 400 * DAY,
                                     .expires_ms = NOW + 3000 * 365 * DAY};
    struct rows_message message;

    assert_true(rows_insert(fixture->rows, &receipt, 1, NOW - 400 * DAY, &message, &fixture->err));
    receive_at(fixture, QUEUE, "expired", 1, NOW - 40 * DAY);
    receive_at(fixture, QUEUE, "last", 1, NOW);
    prune(fixture, NOW - 30 * DAY, NOW);
    expect(fixture, "SELECT group_concat(message_id) FROM message", "for ever,last");
}

static void a_clock_that_is_far_ahead_takes_nothing_that_may_come_again(void **state)
{
    struct fixture *fixture = *state;

    receive_at(fixture, QUEUE, "may come again", 1, NOW - DAY);
    receive_at(fixture, QUEUE, "last", 1, NOW);
    prune(fixture, NOW + 335 * DAY, NOW + 365 * DAY);
    expect(fixture, "SELECT group_concat(message_id) FROM message", "may come again,last");
}

static void rows_of_a_clock_that_was_ahead_do_not_keep_the_others(void **state)
{
    struct fixture *fixture = *state;
    char id[16];

    assert_true(database_exec(fixture->database, "BEGIN", &fixture->err));
    for (unsigned i = 1; i <= 1000; i++) {
        snprintf(id, sizeof(id), "ahead-%u", i);
        receive_at(fixture, QUEUE, id, 1, NOW + 1000 * DAY);
    }
    delete_at(fixture, 1, 1000, NOW + 1000 * DAY);
    receive_at(fixture, QUEUE, "old", 1, NOW - 40 * DAY);
    delete_at(fixture, 1001, 1001, NOW - 40 * DAY);
    receive_at(fixture, QUEUE, "last", 1, NOW);
    assert_true(database_exec(fixture->database, "COMMIT", &fixture->err));
    prune(fixture, NOW - 30 * DAY, NOW);
    expect(fixture, "SELECT count(*), sum(message_id = 'old') FROM message", "1001|0");
}

static void much_history_goes_in_bounded_goes_that_end_at_the_young(void **state)
{
    struct fixture *fixture = *state;
    char id[16];

    assert_true(database_exec(fixture->database, "BEGIN", &fixture->err));
    for (unsigned i = 1; i <= 4000; i++) {
        snprintf(id, sizeof(id), "id-%u", i);
        receive_at(fixture, QUEUE, id, 1, i <= 1300 ? NOW - 40 * DAY : NOW);
    }
    delete_at(fixture, 1, 1300, NOW - 40 * DAY);
    assert_true(database_exec(fixture->database, "COMMIT", &fixture->err));
    unsigned goes = prune(fixture, NOW - 30 * DAY, NOW);
    assert_in_range(goes, 3, 4);
    expect(fixture, "SELECT count(*), min(id) FROM message", "2700|1301");
}

static void no_number_is_given_twice(void **state)
{
    struct fixture *fixture = *state;

    receive_at(fixture, QUEUE, "old", 1, NOW - 50 * DAY);
    int64_t last = receive_at(fixture, QUEUE, "older", 1, NOW - 50 * DAY).number;
    delete_at(fixture, 1, last, NOW - 50 * DAY);
    prune(fixture, NOW, NOW);
    prune(fixture, NOW, NOW);
    assert_true(receive(fixture, "new", 1).number > last);
}

static void tables_of_somebody_else_are_damage(void **state)
{
    struct fixture *fixture = *state;

    close_rows(fixture);
    run_sql(&fixture->place, "ledger.db", "DROP TABLE message; CREATE TABLE message (a, b)");
    autofree char *path = path_in(&fixture->place, "ledger.db");
    bool damaged;
    assert_true(database_open(path, &fixture->database, &damaged, &fixture->err));
    assert_false(rows_open(fixture->database, &fixture->rows, &fixture->err));
    assert_true(fixture->database->damaged);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_message_gets_a_row_that_counts_all_and_a_known_one_more),
        TEST(an_insertion_finds_out_that_there_is_a_row),
        TEST(a_receipt_is_kept_whole),
        TEST(a_deleted_message_that_comes_again_is_another),
        TEST(a_deletion_marks_the_range_and_no_other),
        TEST(why_it_is_poison_is_kept),
        TEST(a_step_is_kept_whole),
        TEST(a_step_replaces_what_was_known_of_it_and_of_no_other),
        TEST(each_state_is_kept_by_its_name),
        TEST(a_state_that_there_is_not_is_damage),
        TEST(what_is_deleted_goes_when_it_is_old_with_its_steps),
        TEST(what_is_not_deleted_stays_until_it_has_expired),
        TEST(a_clock_that_is_far_ahead_takes_nothing_that_may_come_again),
        TEST(rows_of_a_clock_that_was_ahead_do_not_keep_the_others),
        TEST(much_history_goes_in_bounded_goes_that_end_at_the_young),
        TEST(no_number_is_given_twice),
        TEST(tables_of_somebody_else_are_damage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
