/* SPDX-License-Identifier: MIT */
/* One file an event, whatever happens to the disk under it: whole, or not there. */
#include "disk.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <time.h>

#define EACH_HOOK "file: {directory: '@/out', name: '{message_id}.json'}"

static void make_out(struct fixture *fixture)
{
    autofree char *path = path_of(fixture, "out");

    assert_int_equal(mkdir(path, 0755), 0);
    given_hook(fixture, EACH_HOOK);
}

/* Everything in out/, hidden files too. */
static void expect_out(const struct fixture *fixture, const char *wanted)
{
    autofree char *command =
        xasprintf("LC_ALL=C ls -A '%s/out' >'%s/list'", fixture->directory, fixture->directory);

    assert_int_equal(system(command), 0);
    autofree char *list = read_named(fixture, "list");
    assert_string_equal(list, wanted);
}

static void expect_whole(const struct fixture *fixture, const char *name, const char *id)
{
    autofree char *text = read_named(fixture, name);
    autofree char *line = line_of(fixture, id);

    assert_non_null(text);
    assert_string_equal(text, line);
}

static void what_is_done_survives_a_power_loss(void **state)
{
    struct fixture *fixture = *state;

    make_out(fixture);
    expect_run(fixture, HOOK_DONE, NULL);
    power_loss(fixture, "out");
    expect_out(fixture, "message-1.json\n");
    expect_whole(fixture, "out/message-1.json", "message-1");
}

static void a_file_that_could_not_be_synced_is_not_there(void **state)
{
    struct fixture *fixture = *state;

    make_out(fixture);
    disk.fsync_errno = EIO;
    expect_run(fixture, HOOK_HOST_FAULT, "can not write");
    expect_out(fixture, "");
    disk.fsync_errno = 0;
    expect_run(fixture, HOOK_DONE, NULL);
    expect_out(fixture, "message-1.json\n");
}

static void names_that_could_not_be_synced_are_not_done(void **state)
{
    struct fixture *fixture = *state;

    make_out(fixture);
    disk.directory_errno = EIO;
    expect_run(fixture, HOOK_HOST_FAULT, "can not sync");
    disk.directory_errno = 0;
    fixture->message.dequeue_count = 2;
    expect_run(fixture, HOOK_DONE, NULL);
    power_loss(fixture, "out");
    expect_whole(fixture, "out/message-1.json", "message-1");
}

static void a_directory_that_may_only_be_entered_is_good_enough(void **state)
{
    struct fixture *fixture = *state;
    autofree char *path = path_of(fixture, "out");

    if (geteuid() != 0)
        skip();
    make_out(fixture);
    assert_int_equal(chmod(path, 0333), 0);
    assert_int_equal(chmod(fixture->directory, 0755), 0);
    assert_int_equal(seteuid(65534), 0);
    struct outcome outcome;
    run_hook(fixture, &outcome);
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(outcome.result.outcome, HOOK_DONE);
    expect_whole(fixture, "out/message-1.json", "message-1");
    outcome_done(&outcome);
}

static void a_write_that_is_cut_short_leaves_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct rlimit before;
    struct outcome outcome;

    make_out(fixture);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    const struct rlimit limit = {.rlim_cur = 10, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    run_hook(fixture, &outcome);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(outcome.result.outcome, HOOK_HOST_FAULT);
    expect_contains(outcome.text, "File too large");
    outcome_done(&outcome);
    expect_out(fixture, "");
}

#define LEFT ".cvnotifyd-01234567-89ab-4def-8123-456789abcdef.tmp"

static void set_age(const struct fixture *fixture, const char *name, int seconds)
{
    autofree char *path = path_of(fixture, name);
    const struct timespec then[2] = {{.tv_sec = time(NULL) - seconds},
                                     {.tv_sec = time(NULL) - seconds}};

    assert_int_equal(utimensat(AT_FDCWD, path, then, 0), 0);
}

static void what_a_crash_left_behind_is_swept_away(void **state)
{
    struct fixture *fixture = *state;

    make_out(fixture);
    write_named(fixture, "out/" LEFT, "half a li");
    set_age(fixture, "out/" LEFT, 3700);
    expect_run(fixture, HOOK_DONE, NULL);
    expect_out(fixture, "message-1.json\n");
}

static void only_old_files_of_ours_are_swept_away(void **state)
{
    static const char *const names[] = {".cvnotifyd-x.tmp", LEFT ".more", ".other.tmp", "x.tmp"};
    struct fixture *fixture = *state;

    make_out(fixture);
    for (unsigned i = 0; i < array_size(names); i++) {
        autofree char *name = xasprintf("out/%s", names[i]);
        write_named(fixture, name, "x");
        set_age(fixture, name, 100000);
    }
    write_named(fixture, "out/" LEFT, "somebody is at it");
    set_age(fixture, "out/" LEFT, 3500);
    expect_run(fixture, HOOK_DONE, NULL);
    expect_out(fixture,
               LEFT "\n" LEFT ".more\n.cvnotifyd-x.tmp\n.other.tmp\nmessage-1.json\nx.tmp\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DISK_TEST(what_is_done_survives_a_power_loss),
        DISK_TEST(a_file_that_could_not_be_synced_is_not_there),
        DISK_TEST(names_that_could_not_be_synced_are_not_done),
        DISK_TEST(a_directory_that_may_only_be_entered_is_good_enough),
        DISK_TEST(a_write_that_is_cut_short_leaves_nothing),
        DISK_TEST(what_a_crash_left_behind_is_swept_away),
        DISK_TEST(only_old_files_of_ours_are_swept_away),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
