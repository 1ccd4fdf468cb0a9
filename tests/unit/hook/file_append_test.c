/* SPDX-License-Identifier: MIT */
/* Lines at the end of a file, whatever happens to the disk under them: no line doubled, missing or torn. */
#include "disk.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/resource.h>

#define LINES_HOOK "file: {path: '@/events.jsonl'}"

/* A run for that message, delivered for the nth time. */
static void expect_line(struct fixture *fixture, const char *id, unsigned delivery,
                        enum hook_outcome wanted, const char *text)
{
    fixture->message.id = id;
    fixture->message.dequeue_count = delivery;
    expect_run(fixture, wanted, text);
}

/* The file holds the lines of these messages, "a b a", and nothing else. */
static void expect_lines(struct fixture *fixture, const char *ids)
{
    autofree char *copy = xstrdup(ids);
    autobuf wanted;
    char *rest = NULL;

    buf_init(&wanted, BUF_ANY_SIZE);
    for (char *id = strtok_r(copy, " ", &rest); id != NULL; id = strtok_r(NULL, " ", &rest)) {
        autofree char *line = line_of(fixture, id);
        buf_puts(&wanted, line);
    }
    expect_file(fixture, wanted.data);
}

/* The process is gone, and comes again. */
static void restart(struct fixture *fixture)
{
    given_hook(fixture, LINES_HOOK);
}

/* --- the power fails --- */

static void what_is_done_survives_a_power_loss(void **state)
{
    struct fixture *fixture = *state;

    given_hook(fixture, LINES_HOOK);
    expect_line(fixture, "a", 1, HOOK_DONE, NULL);
    power_loss(fixture, "");
    expect_lines(fixture, "a");
    expect_line(fixture, "b", 1, HOOK_DONE, NULL);
    power_loss(fixture, "");
    expect_lines(fixture, "a b");
}

static void a_file_that_somebody_else_made_survives_too(void **state)
{
    struct fixture *fixture = *state;

    write_named(fixture, "events.jsonl", "");
    given_hook(fixture, LINES_HOOK);
    expect_line(fixture, "a", 1, HOOK_DONE, NULL);
    power_loss(fixture, "");
    expect_lines(fixture, "a");
}

static void a_rotated_file_and_the_new_one_survive(void **state)
{
    struct fixture *fixture = *state;
    autofree char *path = path_of(fixture, "events.jsonl");
    autofree char *old = path_of(fixture, "events.jsonl.1");

    given_hook(fixture, LINES_HOOK);
    expect_line(fixture, "a", 1, HOOK_DONE, NULL);
    assert_int_equal(rename(path, old), 0);
    expect_line(fixture, "b", 1, HOOK_DONE, NULL);
    power_loss(fixture, "");
    expect_lines(fixture, "b");
    assert_int_equal(rename(old, path), 0);
    expect_lines(fixture, "a");
}

static void where_a_link_leads_survives(void **state)
{
    struct fixture *fixture = *state;
    autofree char *link = path_of(fixture, "events.jsonl");
    autofree char *directory = path_of(fixture, "elsewhere");

    assert_int_equal(mkdir(directory, 0755), 0);
    assert_int_equal(symlink("elsewhere/lines", link), 0);
    given_hook(fixture, LINES_HOOK);
    expect_line(fixture, "a", 1, HOOK_DONE, NULL);
    power_loss(fixture, "elsewhere");
    expect_lines(fixture, "a");
}

static void the_name_is_synced_once(void **state)
{
    struct fixture *fixture = *state;

    given_hook(fixture, LINES_HOOK);
    for (unsigned i = 0; i < 5; i++)
        expect_line(fixture, "a", 1, HOOK_DONE, NULL);
    assert_int_equal(disk.directory_syncs, 1);
    assert_int_equal(disk.data_syncs, 5);
}

static void a_name_that_could_not_be_synced_is_synced_later(void **state)
{
    struct fixture *fixture = *state;

    disk.directory_errno = EIO;
    given_hook(fixture, LINES_HOOK);
    expect_line(fixture, "a", 1, HOOK_HOST_FAULT, "sync");
    disk.directory_errno = 0;
    expect_line(fixture, "a", 2, HOOK_DONE, NULL);
    power_loss(fixture, "");
    expect_lines(fixture, "a");
}

static void a_file_system_that_can_not_sync_names_is_good_enough(void **state)
{
    struct fixture *fixture = *state;

    disk.directory_errno = EINVAL;
    given_hook(fixture, LINES_HOOK);
    expect_line(fixture, "a", 1, HOOK_DONE, NULL);
}

static void a_directory_that_may_only_be_entered_is_good_enough(void **state)
{
    struct fixture *fixture = *state;
    autofree char *path = path_of(fixture, "drop");

    if (geteuid() != 0)
        skip();
    assert_int_equal(mkdir(path, 0755), 0);
    assert_int_equal(chmod(path, 0333), 0);
    assert_int_equal(chmod(fixture->directory, 0755), 0);
    given_hook(fixture, "file: {path: '@/drop/events.jsonl'}");
    assert_int_equal(seteuid(65534), 0);
    struct outcome outcome;
    run_hook(fixture, &outcome);
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(outcome.result.outcome, HOOK_DONE);
    outcome_done(&outcome);
}

/* --- a disk that fails --- */

static void lines_that_could_not_be_synced_are_taken_back(void **state)
{
    struct fixture *fixture = *state;

    given_hook(fixture, LINES_HOOK);
    expect_line(fixture, "a", 1, HOOK_DONE, NULL);
    disk.fdatasync_errno = EIO;
    expect_line(fixture, "b", 1, HOOK_HOST_FAULT, "sync");
    expect_lines(fixture, "a");
    disk.fdatasync_errno = 0;
    expect_line(fixture, "b", 2, HOOK_DONE, NULL);
    expect_lines(fixture, "a b");
}

static void lines_that_could_not_be_taken_back_are_rather_doubled_than_lost(void **state)
{
    struct fixture *fixture = *state;

    given_hook(fixture, LINES_HOOK);
    expect_line(fixture, "a", 1, HOOK_DONE, NULL);
    disk.fdatasync_errno = EIO;
    disk.ftruncate_errno = EPERM;
    expect_line(fixture, "b", 1, HOOK_HOST_FAULT, "not safe are left");
    disk.fdatasync_errno = 0;
    expect_line(fixture, "b", 2, HOOK_DONE, NULL);
    expect_lines(fixture, "a b b");
    /* Before and behind, the file is trusted. */
    expect_line(fixture, "a", 2, HOOK_DONE, NULL);
    expect_line(fixture, "b", 2, HOOK_DONE, NULL);
    expect_lines(fixture, "a b b");
}

static void a_line_that_is_found_is_synced_all_the_same(void **state)
{
    struct fixture *fixture = *state;
    autofree char *line = line_of(fixture, "a");

    /* A process wrote it and was killed: it is in the system's memory alone. */
    write_named(fixture, "events.jsonl", line);
    given_hook(fixture, LINES_HOOK);
    expect_line(fixture, "a", 2, HOOK_DONE, NULL);
    power_loss(fixture, "");
    expect_lines(fixture, "a");
}

static void what_can_not_be_read_is_not_taken_for_missing(void **state)
{
    struct fixture *fixture = *state;

    given_hook(fixture, LINES_HOOK);
    expect_line(fixture, "a", 1, HOOK_DONE, NULL);
    disk.pread_errno = EIO;
    expect_line(fixture, "a", 2, HOOK_HOST_FAULT, "read");
    expect_line(fixture, "b", 1, HOOK_HOST_FAULT, "read"); /* nor is its end known to be whole */
    disk.pread_errno = 0;
    expect_line(fixture, "a", 3, HOOK_DONE, NULL);
    expect_lines(fixture, "a");
}

/* A limit on the file's size cuts a write short, at each length of the line. */
static void a_write_that_is_cut_short_leaves_nothing(void **state)
{
    struct fixture *fixture = *state;
    autofree char *line = line_of(fixture, "a");
    struct rlimit before;

    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    given_hook(fixture, LINES_HOOK);
    expect_line(fixture, "a", 1, HOOK_DONE, NULL);
    for (size_t len = 0; len < strlen(line); len += 29) {
        struct outcome outcome;
        const struct rlimit limit = {.rlim_cur = strlen(line) + len, .rlim_max = before.rlim_max};
        fixture->message.id = "b";
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
        run_hook(fixture, &outcome);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        assert_int_equal(outcome.result.outcome, HOOK_HOST_FAULT);
        expect_contains(outcome.text, "File too large");
        outcome_done(&outcome);
        expect_lines(fixture, "a");
    }
    expect_line(fixture, "b", 2, HOOK_DONE, NULL);
    expect_lines(fixture, "a b");
}

static char *others_path;

static void write_as_another(void)
{
    FILE *file = fopen(others_path, "a");

    fputs("somebody else's\n", file);
    fclose(file);
}

static void what_others_wrote_meanwhile_is_not_taken_back(void **state)
{
    struct fixture *fixture = *state;

    others_path = path_of(fixture, "events.jsonl");
    given_hook(fixture, LINES_HOOK);
    disk.before_sync = write_as_another;
    disk.fdatasync_errno = EIO;
    expect_line(fixture, "a", 1, HOOK_HOST_FAULT, "sync");
    free(take(others_path));
    autofree char *text = read_named(fixture, "events.jsonl");
    expect_contains(text, "somebody else's\n");
}

/* copytruncate of logrotate: the file is emptied between a write and the failure of its sync. */
static void empty_it(void)
{
    assert_int_equal(truncate(others_path, 0), 0);
}

static void a_file_that_was_emptied_meanwhile_is_not_made_longer(void **state)
{
    struct fixture *fixture = *state;

    others_path = path_of(fixture, "events.jsonl");
    given_hook(fixture, LINES_HOOK);
    expect_line(fixture, "a", 1, HOOK_DONE, NULL);
    disk.before_sync = empty_it;
    disk.fdatasync_errno = EIO;
    expect_line(fixture, "b", 1, HOOK_HOST_FAULT, "sync");
    struct stat st;
    assert_int_equal(stat(others_path, &st), 0);
    assert_int_equal(st.st_size, 0);
    free(take(others_path));
}

static void a_file_that_is_emptied_while_it_is_read_gets_whole_lines(void **state)
{
    struct fixture *fixture = *state;
    const struct rlimit limit = {.rlim_cur = 50, .rlim_max = RLIM_INFINITY};
    struct rlimit before;
    struct outcome outcome;

    signal(SIGXFSZ, SIG_IGN);
    others_path = path_of(fixture, "events.jsonl");
    given_hook(fixture, LINES_HOOK);
    expect_line(fixture, "a", 1, HOOK_DONE, NULL);
    disk.before_read = empty_it;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    run_hook(fixture, &outcome);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    free(take(others_path));
    disk.before_read = NULL;
    assert_int_equal(outcome.result.outcome, HOOK_HOST_FAULT);
    outcome_done(&outcome);
    expect_lines(fixture, "");
    expect_line(fixture, "b", 1, HOOK_DONE, NULL);
    expect_lines(fixture, "b");
}

/* --- torn lines --- */

/* chattr +a or -a; false where the file system does not know it. */
static bool set_append_only(const struct fixture *fixture, bool on)
{
    autofree char *path = path_of(fixture, "events.jsonl");
    autoclose int fd = open(path, O_RDONLY);
    int flags;

    if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0)
        return false;
    flags = on ? flags | FS_APPEND_FL : flags & ~FS_APPEND_FL;
    return ioctl(fd, FS_IOC_SETFLAGS, &flags) == 0;
}

static void a_torn_line_in_an_append_only_file_gets_its_end(void **state)
{
    struct fixture *fixture = *state;
    autofree char *line = line_of(fixture, "a");
    autofree char *torn = xstrndup(line, strlen(line) - 2);
    autofree char *wanted = xasprintf("%s\n%s", torn, line);

    write_named(fixture, "events.jsonl", torn);
    bool real = set_append_only(fixture, true);
    if (!real)
        disk.ftruncate_errno = EPERM;
    given_hook(fixture, LINES_HOOK);
    struct outcome first, second;
    fixture->message.id = "a";
    fixture->message.dequeue_count = 2;
    run_hook(fixture, &first);
    run_hook(fixture, &second);
    autofree char *text = read_named(fixture, "events.jsonl");
    assert_true(!real || set_append_only(fixture, false));
    assert_int_equal(first.result.outcome, HOOK_DONE);
    assert_int_equal(second.result.outcome, HOOK_DONE);
    assert_string_equal(text, wanted); /* and the torn one is not taken for it */
    outcome_done(&first);
    outcome_done(&second);
}

static void a_torn_line_that_can_not_be_taken_away_is_the_hosts_fault(void **state)
{
    struct fixture *fixture = *state;

    write_named(fixture, "events.jsonl", "{\"specversion\":\"1.0\",\"id\":\"a");
    given_hook(fixture, LINES_HOOK);
    disk.ftruncate_errno = EROFS;
    expect_line(fixture, "b", 1, HOOK_HOST_FAULT, "take a torn line from");
    disk.ftruncate_errno = 0;
    expect_line(fixture, "b", 2, HOOK_DONE, NULL);
    expect_lines(fixture, "b");
}

static void a_batch_that_was_cut_in_the_middle_is_made_whole(void **state)
{
    struct fixture *fixture = *state;
    autofree char *a = line_of(fixture, "a"), *b = line_of(fixture, "b");
    static const char *const ids[] = {"a", "b", "c"};
    struct hook_message batch[3];
    struct outcome outcomes[3];

    for (size_t len = 1; len <= strlen(a) + strlen(b); len += 31) {
        autofree char *both = xasprintf("%s%s", a, b);
        both[len] = '\0';
        write_named(fixture, "events.jsonl", both);
        restart(fixture);
        for (unsigned i = 0; i < array_size(ids); i++) {
            batch[i] = fixture->message;
            batch[i].id = ids[i];
            batch[i].dequeue_count = 2;
            start_run(fixture, &batch[i], &outcomes[i]);
        }
        run_until_stopped(fixture->loop);
        for (unsigned i = 0; i < array_size(ids); i++) {
            assert_int_equal(outcomes[i].result.outcome, HOOK_DONE);
            outcome_done(&outcomes[i]);
        }
        expect_lines(fixture, "a b c");
    }
}

/* Where the part that is searched begins in the middle of a huge line, with what looks like one of ours. */
static void a_huge_line_that_quotes_ours_is_left(void **state)
{
    struct fixture *fixture = *state;
    size_t window = 16 * 1024 * 1024;
    autofree char *huge = xcalloc(1, window + 101);

    memset(huge, 'h', window + 100);
    memcpy(huge + 100, "{\"specversion\"", 14);
    write_named(fixture, "events.jsonl", huge);
    given_hook(fixture, LINES_HOOK);
    expect_line(fixture, "a", 2, HOOK_DONE, NULL);
    autofree char *line = line_of(fixture, "a");
    autofree char *wanted = xasprintf("%s\n%s", huge, line);
    expect_file(fixture, wanted);
}

/* --- lines that are there already --- */

/* Its lease is over only after much else was written. */
static void a_line_from_before_the_crash_is_found_behind_much_that_came_since(void **state)
{
    struct fixture *fixture = *state;
    autofree char *path = path_of(fixture, "events.jsonl");

    given_hook(fixture, LINES_HOOK);
    expect_line(fixture, "a", 1, HOOK_DONE, NULL);
    restart(fixture);
    expect_line(fixture, "b", 1, HOOK_DONE, NULL);
    FILE *file = fopen(path, "a");
    assert_non_null(file);
    for (unsigned i = 0; i < 17 * 1024; i++)
        fprintf(file, "%01023d\n", 0);
    fclose(file);
    autofree char *before = read_path(path);
    expect_line(fixture, "a", 2, HOOK_DONE, NULL);
    expect_file(fixture, before);
}

/* Makes the file so long with other lines. */
static void grow(const struct fixture *fixture, long size)
{
    autofree char *path = path_of(fixture, "events.jsonl");
    FILE *file = fopen(path, "a");

    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    while (ftell(file) < size)
        fprintf(file, "%0*d\n", (int)min_of(size - ftell(file), 1024) - 1, 0);
    fclose(file);
}

/* Much was there before the crash, and a little came since. */
static void a_line_on_the_edge_of_the_last_part_is_found(void **state)
{
    struct fixture *fixture = *state;
    autofree char *line = line_of(fixture, "a");
    long window = 16 * 1024 * 1024;

    given_hook(fixture, LINES_HOOK);
    expect_line(fixture, "a", 1, HOOK_DONE, NULL);
    grow(fixture, window - 1024);
    restart(fixture);
    expect_line(fixture, "b", 1, HOOK_DONE, NULL);
    grow(fixture, window + (long)strlen(line) / 2);
    autofree char *before = read_named(fixture, "events.jsonl");
    expect_line(fixture, "a", 2, HOOK_DONE, NULL);
    expect_file(fixture, before);
}

/* One hook hears of a message, and later of its poison: these are two events. */
static void the_line_of_another_event_of_the_message_does_not_count(void **state)
{
    struct fixture *fixture = *state;

    given_hook(fixture, LINES_HOOK);
    expect_line(fixture, "a", 1, HOOK_DONE, NULL);
    autofree char *first = line_of(fixture, "a");
    given_event(fixture,
                "{\"version\":\"1.0\",\"type\":\"Training\",\"Content\":{\"projectId\":\"" PROJECT
                "\",\"iterationId\":\"" ITERATION
                "\",\"trainingStatus\":\"TrainingFailed\",\"note\":\"\\\"id\\\":\\\"b\\\"\"}}");
    expect_line(fixture, "a", 5, HOOK_DONE, NULL);
    autofree char *second = line_of(fixture, "a");
    autofree char *both = xasprintf("%s%s", first, second);
    expect_file(fixture, both);
}

/* Twice the same batch, of which the second time one is new: with lines across each part that is read. */
static void of_many_repeated_lines_only_the_missing_one_is_written(void **state)
{
    struct fixture *fixture = *state;
    static struct outcome outcomes[200];
    static struct hook_message batch[200];
    static char ids[200][16];
    autobuf wanted;

    buf_init(&wanted, BUF_ANY_SIZE);
    for (unsigned i = 0; i < array_size(ids); i++)
        snprintf(ids[i], sizeof(ids[i]), "id-%u", i);
    for (unsigned delivery = 1; delivery <= 2; delivery++) {
        restart(fixture);
        for (unsigned i = 0; i < array_size(ids); i++) {
            batch[i] = fixture->message;
            batch[i].id = delivery == 1 && i == 77 ? "another" : ids[i];
            batch[i].dequeue_count = delivery;
            start_run(fixture, &batch[i], &outcomes[i]);
            autofree char *line = line_of(fixture, batch[i].id);
            if (delivery == 1 || i == 77)
                buf_puts(&wanted, line);
        }
        run_until_stopped(fixture->loop);
        for (unsigned i = 0; i < array_size(ids); i++) {
            assert_int_equal(outcomes[i].result.outcome, HOOK_DONE);
            outcome_done(&outcomes[i]);
        }
    }
    expect_file(fixture, wanted.data);
}

static void no_batch_is_longer_than_what_is_searched(void **state)
{
    struct fixture *fixture = *state;
    static struct outcome outcomes[2000];
    struct hook_message message = fixture->message;

    given_hook(fixture, LINES_HOOK);
    for (unsigned i = 0; i < array_size(outcomes); i++)
        start_run(fixture, &message, &outcomes[i]);
    run_until_stopped(fixture->loop);
    autofree char *text = read_named(fixture, "events.jsonl");
    autofree char *line = line_of(fixture, message.id);
    for (unsigned i = 0; i < array_size(outcomes); i++) {
        assert_int_equal(outcomes[i].result.outcome, HOOK_DONE);
        outcome_done(&outcomes[i]);
    }
    assert_int_equal(strlen(text), array_size(outcomes) * strlen(line));
    assert_true(disk.data_syncs >= strlen(text) / (256 * 1024));
    assert_true(disk.data_syncs < 20);
}

/* --- what has no disk --- */

static void make_pipe(const struct fixture *fixture)
{
    autofree char *path = path_of(fixture, "pipe");

    assert_int_equal(mkfifo(path, 0600), 0);
    given_hook((struct fixture *)(uintptr_t)fixture, "file: {path: '@/pipe'}");
}

static int open_reader(const struct fixture *fixture)
{
    autofree char *path = path_of(fixture, "pipe");

    return open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
}

/* All that is in it. */
static char *drain(int reader)
{
    char part[4096];
    struct buf text;
    ssize_t got;

    buf_init(&text, BUF_ANY_SIZE);
    while ((got = read(reader, part, sizeof(part))) > 0)
        buf_append(&text, part, (size_t)got);
    return buf_take(&text);
}

static void a_pipe_gets_the_line_once_somebody_reads_it(void **state)
{
    struct fixture *fixture = *state;

    make_pipe(fixture);
    expect_line(fixture, "a", 1, HOOK_HOST_FAULT, "Broken pipe");
    autoclose int reader = open_reader(fixture);
    expect_line(fixture, "a", 2, HOOK_DONE, NULL);
    autofree char *text = drain(reader);
    autofree char *line = line_of(fixture, "a");
    assert_string_equal(text, line);
    assert_int_equal(disk.data_syncs + disk.directory_syncs, 0);
}

/* Runs the hook without root's rights. */
static void expect_line_by_nobody(struct fixture *fixture, enum hook_outcome wanted,
                                  const char *text)
{
    assert_int_equal(chmod(fixture->directory, 0755), 0);
    assert_int_equal(seteuid(65534), 0);
    expect_line(fixture, "a", 1, wanted, text);
    assert_int_equal(seteuid(0), 0);
}

static void a_pipe_that_is_not_ours_to_read_gets_the_line(void **state)
{
    struct fixture *fixture = *state;
    autofree char *path = path_of(fixture, "pipe");

    if (geteuid() != 0)
        skip();
    make_pipe(fixture);
    assert_int_equal(chmod(path, 0622), 0);
    autoclose int reader = open_reader(fixture);
    expect_line_by_nobody(fixture, HOOK_DONE, NULL);
    autofree char *text = drain(reader);
    autofree char *line = line_of(fixture, "a");
    assert_string_equal(text, line);
}

static void a_file_that_is_not_ours_to_read_gets_none(void **state)
{
    struct fixture *fixture = *state;
    autofree char *path = path_of(fixture, "events.jsonl");

    if (geteuid() != 0)
        skip();
    write_named(fixture, "events.jsonl", "");
    assert_int_equal(chmod(path, 0622), 0);
    given_hook(fixture, LINES_HOOK);
    expect_line_by_nobody(fixture, HOOK_HOST_FAULT, "Permission denied");
    expect_file(fixture, "");
}

static void a_pipe_whose_reader_sleeps_holds_nothing_up_and_loses_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct outcome outcomes[600];
    struct hook_message message = fixture->message;
    autobuf wanted;

    make_pipe(fixture);
    autoclose int reader = open_reader(fixture);
    autofree char *line = line_of(fixture, message.id);
    for (unsigned i = 0; i < array_size(outcomes); i++)
        start_run(fixture, &message, &outcomes[i]);
    run_until_stopped(fixture->loop);
    autofree char *text = drain(reader);
    buf_init(&wanted, BUF_ANY_SIZE);
    for (unsigned i = 0; i < array_size(outcomes); i++) {
        if (outcomes[i].result.outcome == HOOK_DONE)
            buf_puts(&wanted, line);
        outcome_done(&outcomes[i]);
    }
    assert_true(wanted.len > 0 && wanted.len < array_size(outcomes) * strlen(line));
    assert_string_equal(text, wanted.data);
}

static void a_line_that_a_pipe_took_half_of_gets_its_end(void **state)
{
    struct fixture *fixture = *state;
    autofree char *padding = xcalloc(1, 60001);
    char filler[65536 - 8192];

    memset(padding, 'p', 60000);
    memset(filler, 'f', sizeof(filler));
    autofree char *text =
        xasprintf("{\"version\":\"1.0\",\"type\":\"Training\",\"Content\":{\"projectId\":\"" PROJECT
                  "\",\"iterationId\":\"" ITERATION
                  "\",\"trainingStatus\":\"TrainingFailed\",\"padding\":\"%s\"}}",
                  padding);
    given_event(fixture, text);
    make_pipe(fixture);
    autoclose int reader = open_reader(fixture);
    autofree char *path = path_of(fixture, "pipe");
    autoclose int writer = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(write(writer, filler, sizeof(filler)), sizeof(filler));
    expect_line(fixture, "a", 1, HOOK_HOST_FAULT, "write");
    autofree char *half = drain(reader);
    assert_true(strlen(half) > sizeof(filler));
    expect_line(fixture, "a", 2, HOOK_DONE, NULL);
    autofree char *rest = drain(reader);
    autofree char *line = line_of(fixture, "a");
    autofree char *wanted = xasprintf("\n%s", line);
    assert_string_equal(rest, wanted);
}

static void a_device_is_not_synced(void **state)
{
    struct fixture *fixture = *state;

    given_hook(fixture, "file: {path: /dev/null}");
    expect_line(fixture, "a", 2, HOOK_DONE, NULL);
    assert_int_equal(disk.data_syncs + disk.directory_syncs, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DISK_TEST(what_is_done_survives_a_power_loss),
        DISK_TEST(a_file_that_somebody_else_made_survives_too),
        DISK_TEST(a_rotated_file_and_the_new_one_survive),
        DISK_TEST(where_a_link_leads_survives),
        DISK_TEST(the_name_is_synced_once),
        DISK_TEST(a_name_that_could_not_be_synced_is_synced_later),
        DISK_TEST(a_file_system_that_can_not_sync_names_is_good_enough),
        DISK_TEST(a_directory_that_may_only_be_entered_is_good_enough),
        DISK_TEST(lines_that_could_not_be_synced_are_taken_back),
        DISK_TEST(lines_that_could_not_be_taken_back_are_rather_doubled_than_lost),
        DISK_TEST(a_line_that_is_found_is_synced_all_the_same),
        DISK_TEST(what_can_not_be_read_is_not_taken_for_missing),
        DISK_TEST(a_write_that_is_cut_short_leaves_nothing),
        DISK_TEST(what_others_wrote_meanwhile_is_not_taken_back),
        DISK_TEST(a_file_that_was_emptied_meanwhile_is_not_made_longer),
        DISK_TEST(a_file_that_is_emptied_while_it_is_read_gets_whole_lines),
        DISK_TEST(a_torn_line_in_an_append_only_file_gets_its_end),
        DISK_TEST(a_torn_line_that_can_not_be_taken_away_is_the_hosts_fault),
        DISK_TEST(a_batch_that_was_cut_in_the_middle_is_made_whole),
        DISK_TEST(a_huge_line_that_quotes_ours_is_left),
        DISK_TEST(a_line_from_before_the_crash_is_found_behind_much_that_came_since),
        DISK_TEST(a_line_on_the_edge_of_the_last_part_is_found),
        DISK_TEST(the_line_of_another_event_of_the_message_does_not_count),
        DISK_TEST(of_many_repeated_lines_only_the_missing_one_is_written),
        DISK_TEST(no_batch_is_longer_than_what_is_searched),
        DISK_TEST(a_pipe_gets_the_line_once_somebody_reads_it),
        DISK_TEST(a_pipe_that_is_not_ours_to_read_gets_the_line),
        DISK_TEST(a_file_that_is_not_ours_to_read_gets_none),
        DISK_TEST(a_pipe_whose_reader_sleeps_holds_nothing_up_and_loses_nothing),
        DISK_TEST(a_line_that_a_pipe_took_half_of_gets_its_end),
        DISK_TEST(a_device_is_not_synced),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
