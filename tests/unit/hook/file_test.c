/* SPDX-License-Identifier: MIT */
/* The file hook with real files: what it appends, what it repeats, and what a bad disk leaves. */
#include "runs.h"

#include <sys/mount.h>

#define LINES_HOOK "file: {path: '@/events.jsonl'}"

static mode_t mode_of(const struct fixture *fixture, const char *name)
{
    autofree char *path = path_of(fixture, name);
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}

/* --- one file --- */

static void a_line_is_appended_for_each(void **state)
{
    struct fixture *fixture = *state;

    given_hook(fixture, LINES_HOOK);
    assert_int_equal(hook_parallel(fixture->hook), 0);
    expect_run(fixture, HOOK_DONE, NULL);
    autofree char *first = line_of(fixture, "message-1");
    expect_file(fixture, first);
    fixture->message.id = "message-2";
    expect_run(fixture, HOOK_DONE, NULL);
    autofree char *second = line_of(fixture, "message-2");
    autofree char *both = xasprintf("%s%s", first, second);
    expect_file(fixture, both);
    expect_contains(first, SIGNED_URI); /* whole, for the file has a mode of its own */
}

static void many_at_once_are_each_one_line(void **state)
{
    struct fixture *fixture = *state;
    static struct outcome outcomes[200];
    static struct hook_message messages[200];
    static char ids[200][16];

    given_hook(fixture, LINES_HOOK);
    for (unsigned i = 0; i < array_size(outcomes); i++) {
        snprintf(ids[i], sizeof(ids[i]), "id-%u", i);
        messages[i] = fixture->message;
        messages[i].id = ids[i];
        start_run(fixture, &messages[i], &outcomes[i]);
    }
    run_until_stopped(fixture->loop);
    autofree char *text = read_named(fixture, "events.jsonl");
    const char *at = text;
    for (unsigned i = 0; i < array_size(outcomes); i++) {
        autofree char *line = line_of(fixture, ids[i]);
        assert_int_equal(outcomes[i].result.outcome, HOOK_DONE);
        assert_int_equal(strncmp(at, line, strlen(line)), 0);
        at += strlen(line);
        outcome_done(&outcomes[i]);
    }
    assert_string_equal(at, "");
}

static void a_new_file_gets_the_mode_whatever_the_umask(void **state)
{
    struct fixture *fixture = *state;
    mode_t before = umask(077);

    given_hook(fixture, "file: {path: '@/events.jsonl', mode: '0664'}");
    expect_run(fixture, HOOK_DONE, NULL);
    umask(before);
    assert_int_equal(mode_of(fixture, "events.jsonl"), 0664);
}

static void the_default_mode_is_0640(void **state)
{
    struct fixture *fixture = *state;

    given_hook(fixture, LINES_HOOK);
    expect_run(fixture, HOOK_DONE, NULL);
    assert_int_equal(mode_of(fixture, "events.jsonl"), 0640);
}

static void a_file_that_is_there_keeps_its_mode(void **state)
{
    struct fixture *fixture = *state;

    write_named(fixture, "events.jsonl", "");
    autofree char *path = path_of(fixture, "events.jsonl");
    assert_int_equal(chmod(path, 0600), 0);
    given_hook(fixture, "file: {path: '@/events.jsonl', mode: '0666'}");
    expect_run(fixture, HOOK_DONE, NULL);
    assert_int_equal(mode_of(fixture, "events.jsonl"), 0600);
}

static void a_rotated_file_is_made_anew(void **state)
{
    struct fixture *fixture = *state;

    given_hook(fixture, LINES_HOOK);
    expect_run(fixture, HOOK_DONE, NULL);
    autofree char *path = path_of(fixture, "events.jsonl");
    autofree char *old = path_of(fixture, "events.jsonl.1");
    assert_int_equal(rename(path, old), 0);
    expect_run(fixture, HOOK_DONE, NULL);
    autofree char *line = line_of(fixture, "message-1");
    expect_file(fixture, line);
}

static void a_missing_directory_is_the_hosts_fault_and_mends(void **state)
{
    struct fixture *fixture = *state;

    given_hook(fixture, "file: {path: '@/later/events.jsonl'}");
    expect_run(fixture, HOOK_HOST_FAULT, "later/events.jsonl");
    autofree char *path = path_of(fixture, "later");
    assert_int_equal(mkdir(path, 0755), 0);
    expect_run(fixture, HOOK_DONE, NULL);
    autofree char *text = read_named(fixture, "later/events.jsonl");
    autofree char *line = line_of(fixture, "message-1");
    assert_string_equal(text, line);
}

static void a_directory_in_the_files_place_is_the_hosts_fault(void **state)
{
    struct fixture *fixture = *state;

    given_hook(fixture, "file: {path: '@'}");
    expect_run(fixture, HOOK_HOST_FAULT, fixture->directory);
}

static void a_full_device_is_the_hosts_fault(void **state)
{
    struct fixture *fixture = *state;

    given_hook(fixture, "file: {path: /dev/full}");
    expect_run(fixture, HOOK_HOST_FAULT, "/dev/full: No space left");
}

static void a_device_without_disk_takes_it(void **state)
{
    struct fixture *fixture = *state;

    given_hook(fixture, "file: {path: /dev/null}");
    expect_run(fixture, HOOK_DONE, NULL);
}

/* --- delivered again --- */

static void a_repeated_message_is_not_doubled(void **state)
{
    struct fixture *fixture = *state;

    given_hook(fixture, LINES_HOOK);
    expect_run(fixture, HOOK_DONE, NULL);
    fixture->message.dequeue_count = 2;
    expect_run(fixture, HOOK_DONE, NULL);
    autofree char *line = line_of(fixture, "message-1");
    expect_file(fixture, line);
}

static void a_repeated_message_that_is_not_there_is_written(void **state)
{
    struct fixture *fixture = *state;

    given_hook(fixture, LINES_HOOK);
    fixture->message.id = "message-12"; /* which begins alike */
    expect_run(fixture, HOOK_DONE, NULL);
    fixture->message.id = "message-1";
    fixture->message.dequeue_count = 2;
    expect_run(fixture, HOOK_DONE, NULL);
    autofree char *first = line_of(fixture, "message-12");
    autofree char *second = line_of(fixture, "message-1");
    autofree char *both = xasprintf("%s%s", first, second);
    expect_file(fixture, both);
}

static void a_repeated_message_is_found_far_back(void **state)
{
    struct fixture *fixture = *state;
    autofree char *line = line_of(fixture, "message-1");
    struct buf text;

    buf_init(&text, BUF_ANY_SIZE);
    buf_puts(&text, line);
    while (text.len < 1000 * 1024)
        buf_puts(&text, "{\"something\":\"else\"}\n");
    write_named(fixture, "events.jsonl", text.data);
    given_hook(fixture, LINES_HOOK);
    fixture->message.dequeue_count = 2;
    expect_run(fixture, HOOK_DONE, NULL);
    expect_file(fixture, text.data);
    buf_done(&text);
}

static void a_repeated_message_in_an_empty_file_is_written(void **state)
{
    struct fixture *fixture = *state;

    write_named(fixture, "events.jsonl", "");
    given_hook(fixture, LINES_HOOK);
    fixture->message.dequeue_count = 2;
    expect_run(fixture, HOOK_DONE, NULL);
    autofree char *line = line_of(fixture, "message-1");
    expect_file(fixture, line);
}

/* --- torn lines --- */

/* For each length of what a crash left of message-1's line. */
static void a_torn_last_line_is_mended(void **state)
{
    struct fixture *fixture = *state;
    autofree char *first = line_of(fixture, "message-0");
    autofree char *torn = line_of(fixture, "message-1");
    autofree char *second = line_of(fixture, "message-2");
    autofree char *wanted = xasprintf("%s%s", first, second);

    given_hook(fixture, LINES_HOOK);
    fixture->message.id = "message-2";
    for (size_t len = 1; len < strlen(torn); len += 37) {
        autofree char *text = xasprintf("%s%.*s", first, (int)len, torn);
        write_named(fixture, "events.jsonl", text);
        expect_run(fixture, HOOK_DONE, NULL);
        expect_file(fixture, wanted);
    }
}

static void the_torn_message_itself_is_written_whole(void **state)
{
    struct fixture *fixture = *state;
    autofree char *line = line_of(fixture, "message-1");

    given_hook(fixture, LINES_HOOK);
    fixture->message.dequeue_count = 2;
    for (size_t len = 1; len < strlen(line); len += 41) {
        autofree char *text = xasprintf("%.*s", (int)len, line);
        write_named(fixture, "events.jsonl", text);
        expect_run(fixture, HOOK_DONE, NULL);
        expect_file(fixture, line);
    }
}

static void only_the_newline_was_lost(void **state)
{
    struct fixture *fixture = *state;
    autofree char *line = line_of(fixture, "message-1");
    autofree char *text = xstrndup(line, strlen(line) - 1);

    write_named(fixture, "events.jsonl", text);
    given_hook(fixture, LINES_HOOK);
    fixture->message.dequeue_count = 2;
    expect_run(fixture, HOOK_DONE, NULL);
    expect_file(fixture, line);
}

static void somebody_elses_unfinished_line_is_left(void **state)
{
    struct fixture *fixture = *state;
    autofree char *line = line_of(fixture, "message-1");
    autofree char *wanted = xasprintf("# a comment by hand\n%s", line);

    write_named(fixture, "events.jsonl", "# a comment by hand");
    given_hook(fixture, LINES_HOOK);
    expect_run(fixture, HOOK_DONE, NULL);
    expect_file(fixture, wanted);
}

static void a_huge_line_of_somebody_else_is_left(void **state)
{
    struct fixture *fixture = *state;
    autofree char *line = line_of(fixture, "message-1");
    autofree char *huge = xcalloc(1, 3 * 1024 * 1024 + 1);

    memset(huge, 'h', 3 * 1024 * 1024);
    write_named(fixture, "events.jsonl", huge);
    given_hook(fixture, LINES_HOOK);
    fixture->message.dequeue_count = 2;
    expect_run(fixture, HOOK_DONE, NULL);
    autofree char *wanted = xasprintf("%s\n%s", huge, line);
    expect_file(fixture, wanted);
}

/* --- a full disk --- */

static void a_full_disk_leaves_no_half_line_and_mends(void **state)
{
    struct fixture *fixture = *state;
    autofree char *mount_point = path_of(fixture, "small");
    unsigned written = 0;

    assert_int_equal(mkdir(mount_point, 0755), 0);
    if (mount("none", mount_point, "tmpfs", 0, "size=16k") < 0)
        skip();
    given_hook(fixture, "file: {path: '@/small/events.jsonl'}");
    struct outcome outcome = {0};
    do {
        outcome_done(&outcome);
        run_hook(fixture, &outcome);
        written++;
    } while (outcome.result.outcome == HOOK_DONE && written < 1000);
    autofree char *text = read_named(fixture, "small/events.jsonl");
    /* Room again: an administrator has emptied it. */
    autofree char *path = path_of(fixture, "small/events.jsonl");
    int emptied = truncate(path, 0);
    struct outcome again;
    run_hook(fixture, &again);
    autofree char *after = read_named(fixture, "small/events.jsonl");
    assert_int_equal(umount2(mount_point, MNT_DETACH), 0);

    autofree char *line = line_of(fixture, "message-1");
    assert_int_equal(outcome.result.outcome, HOOK_HOST_FAULT);
    expect_contains(outcome.text, "No space left");
    assert_int_equal(strlen(text), (written - 1) * strlen(line));
    assert_int_equal(text[strlen(text) - 1], '\n');
    assert_int_equal(emptied, 0);
    assert_int_equal(again.result.outcome, HOOK_DONE);
    assert_string_equal(after, line);
    outcome_done(&outcome);
    outcome_done(&again);
}

static void a_full_disk_leaves_no_half_file(void **state)
{
    struct fixture *fixture = *state;
    autofree char *mount_point = path_of(fixture, "small");

    assert_int_equal(mkdir(mount_point, 0755), 0);
    if (mount("none", mount_point, "tmpfs", 0, "size=4k") < 0)
        skip();
    write_named(fixture, "small/filler", "x");
    given_hook(fixture, "file: {directory: '@/small', name: 'event.json'}");
    struct outcome outcome;
    run_hook(fixture, &outcome);
    autofree char *command = xasprintf("ls -A '%s' >'%s/list'", mount_point, fixture->directory);
    int listed = system(command);
    assert_int_equal(umount2(mount_point, MNT_DETACH), 0);

    assert_int_equal(listed, 0);
    assert_int_equal(outcome.result.outcome, HOOK_HOST_FAULT);
    autofree char *list = read_named(fixture, "list");
    assert_string_equal(list, "filler\n"); /* no temporary either */
    outcome_done(&outcome);
}

/* --- one file an event --- */

#define EACH_HOOK "file: {directory: '@/out', name: '{event}-{message_id}.json', mode: '0604'}"

static void make_out(const struct fixture *fixture)
{
    autofree char *path = path_of(fixture, "out");

    assert_int_equal(mkdir(path, 0755), 0);
}

/* Everything in out/, hidden files too. */
static char *list_out(const struct fixture *fixture)
{
    autofree char *command =
        xasprintf("ls -A '%s/out' >'%s/list'", fixture->directory, fixture->directory);

    assert_int_equal(system(command), 0);
    return read_named(fixture, "list");
}

static void each_event_gets_its_file(void **state)
{
    struct fixture *fixture = *state;

    make_out(fixture);
    given_hook(fixture, EACH_HOOK);
    expect_run(fixture, HOOK_DONE, NULL);
    autofree char *line = line_of(fixture, "message-1");
    autofree char *text = read_named(fixture, "out/export.completed-message-1.json");
    assert_string_equal(text, line);
    assert_int_equal(mode_of(fixture, "out/export.completed-message-1.json"), 0604);
    autofree char *list = list_out(fixture);
    assert_string_equal(list, "export.completed-message-1.json\n");
}

static void a_repeated_message_takes_its_files_place(void **state)
{
    struct fixture *fixture = *state;

    make_out(fixture);
    given_hook(fixture, EACH_HOOK);
    write_named(fixture, "out/export.completed-message-1.json", "half a li");
    fixture->message.dequeue_count = 2;
    expect_run(fixture, HOOK_DONE, NULL);
    autofree char *line = line_of(fixture, "message-1");
    autofree char *text = read_named(fixture, "out/export.completed-message-1.json");
    assert_string_equal(text, line);
}

static void a_missing_out_directory_is_the_hosts_fault(void **state)
{
    struct fixture *fixture = *state;

    given_hook(fixture, EACH_HOOK);
    expect_run(fixture, HOOK_HOST_FAULT, "/out");
    make_out(fixture);
    expect_run(fixture, HOOK_DONE, NULL);
}

static void a_name_that_leaves_its_directory_is_rejected(void **state)
{
    static const char *const names[] = {"../x", "..", ".", ".hidden", "a/b", "/etc/x", "/", ""};
    struct fixture *fixture = *state;

    make_out(fixture);
    given_hook(fixture, "file: {directory: '@/out', name: '{message_id:-}'}");
    for (unsigned i = 0; i < array_size(names); i++) {
        fixture->message.id = names[i];
        expect_untried(fixture, HOOK_REJECTED, "no name for a file");
    }
    autofree char *list = list_out(fixture);
    assert_string_equal(list, "");
}

static void a_name_may_hold_dots_inside(void **state)
{
    struct fixture *fixture = *state;

    make_out(fixture);
    given_hook(fixture, "file: {directory: '@/out', name: '{message_id}'}");
    fixture->message.id = "a..b...";
    expect_run(fixture, HOOK_DONE, NULL);
    autofree char *list = list_out(fixture);
    assert_string_equal(list, "a..b...\n");
}

static void the_longest_name_fits_and_a_longer_one_fails(void **state)
{
    struct fixture *fixture = *state;
    char name[258] = "";

    make_out(fixture);
    given_hook(fixture, "file: {directory: '@/out', name: '{message_id}'}");
    memset(name, 'n', 255);
    fixture->message.id = name;
    expect_run(fixture, HOOK_DONE, NULL);
    name[255] = 'n';
    expect_untried(fixture, HOOK_FAILED, "name");
}

static void a_bad_name_does_not_spoil_its_neighbours(void **state)
{
    struct fixture *fixture = *state;
    struct hook_message bad = fixture->message, good = fixture->message;
    struct outcome outcomes[3];

    make_out(fixture);
    given_hook(fixture, "file: {directory: '@/out', name: '{message_id}'}");
    bad.id = "../x";
    start_run(fixture, &good, &outcomes[0]);
    start_run(fixture, &bad, &outcomes[1]);
    start_run(fixture, &good, &outcomes[2]);
    run_until_stopped(fixture->loop);
    assert_int_equal(outcomes[0].result.outcome, HOOK_DONE);
    assert_int_equal(outcomes[1].result.outcome, HOOK_REJECTED);
    assert_int_equal(outcomes[2].result.outcome, HOOK_DONE);
    for (unsigned i = 0; i < array_size(outcomes); i++)
        outcome_done(&outcomes[i]);
}

static void a_value_that_the_name_lacks_has_failed(void **state)
{
    struct fixture *fixture = *state;

    make_out(fixture);
    given_event(fixture, EXPORT_OF(PROJECT, ""));
    given_hook(fixture, "file: {directory: '@/out', name: '{platform}.json'}");
    expect_untried(fixture, HOOK_FAILED, "platform");
}

static void stopping_a_write_lets_it_end(void **state)
{
    struct fixture *fixture = *state;
    struct outcome outcome;

    given_hook(fixture, LINES_HOOK);
    start_run(fixture, &fixture->message, &outcome);
    hook_run_stop(outcome.run);
    run_until_stopped(fixture->loop);
    assert_int_equal(outcome.result.outcome, HOOK_DONE);
    outcome_done(&outcome);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HOOK_TEST(a_line_is_appended_for_each),
        HOOK_TEST(many_at_once_are_each_one_line),
        HOOK_TEST(a_new_file_gets_the_mode_whatever_the_umask),
        HOOK_TEST(the_default_mode_is_0640),
        HOOK_TEST(a_file_that_is_there_keeps_its_mode),
        HOOK_TEST(a_rotated_file_is_made_anew),
        HOOK_TEST(a_missing_directory_is_the_hosts_fault_and_mends),
        HOOK_TEST(a_directory_in_the_files_place_is_the_hosts_fault),
        HOOK_TEST(a_full_device_is_the_hosts_fault),
        HOOK_TEST(a_device_without_disk_takes_it),
        HOOK_TEST(a_repeated_message_is_not_doubled),
        HOOK_TEST(a_repeated_message_that_is_not_there_is_written),
        HOOK_TEST(a_repeated_message_is_found_far_back),
        HOOK_TEST(a_repeated_message_in_an_empty_file_is_written),
        HOOK_TEST(a_torn_last_line_is_mended),
        HOOK_TEST(the_torn_message_itself_is_written_whole),
        HOOK_TEST(only_the_newline_was_lost),
        HOOK_TEST(somebody_elses_unfinished_line_is_left),
        HOOK_TEST(a_huge_line_of_somebody_else_is_left),
        HOOK_TEST(a_full_disk_leaves_no_half_line_and_mends),
        HOOK_TEST(a_full_disk_leaves_no_half_file),
        HOOK_TEST(each_event_gets_its_file),
        HOOK_TEST(a_repeated_message_takes_its_files_place),
        HOOK_TEST(a_missing_out_directory_is_the_hosts_fault),
        HOOK_TEST(a_name_that_leaves_its_directory_is_rejected),
        HOOK_TEST(a_name_may_hold_dots_inside),
        HOOK_TEST(the_longest_name_fits_and_a_longer_one_fails),
        HOOK_TEST(a_bad_name_does_not_spoil_its_neighbours),
        HOOK_TEST(a_value_that_the_name_lacks_has_failed),
        HOOK_TEST(stopping_a_write_lets_it_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
