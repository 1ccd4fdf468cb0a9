/* SPDX-License-Identifier: MIT */
/* The runs that may be alive, on disk: who is found, and above all who is not. */
#include "rosters.h"

#include <sys/wait.h>

#include "base/clock.h"

#define SLEEPER "echo ready; exec sleep 60"

/* As the file's header tells it. */
static uint64_t checksum_of(const struct roster_record *record)
{
    const unsigned char *bytes = (const unsigned char *)record;
    uint64_t sum = 0xcbf29ce484222325;

    for (size_t i = 0; i < sizeof(*record); i++) {
        if (i < 8 || i >= 16)
            sum = (sum ^ bytes[i]) * 0x100000001b3;
    }
    return sum;
}

static void write_bytes(const struct fixture *fixture, const void *bytes, size_t len, off_t at)
{
    int fd = open(fixture->path, O_WRONLY | O_CREAT, 0600);

    assert_int_equal(pwrite(fd, bytes, len, at), (ssize_t)len);
    close(fd);
}

static struct roster_record read_first(const struct fixture *fixture)
{
    struct roster_record record;
    int fd = open(fixture->path, O_RDONLY);

    assert_int_equal(pread(fd, &record, sizeof(record), 0), sizeof(record));
    close(fd);
    return record;
}

/* Writes the first slot as somebody else might have: with a checksum that is right. */
static void write_first(const struct fixture *fixture, struct roster_record record)
{
    record.checksum = checksum_of(&record);
    write_bytes(fixture, &record, sizeof(record), 0);
}

static off_t file_size(const struct fixture *fixture)
{
    struct stat st;

    assert_int_equal(stat(fixture->path, &st), 0);
    return st.st_size;
}

/* --- who is found --- */

static void a_run_that_lives_is_found(void **state)
{
    struct fixture *fixture = *state;
    unsigned count;

    pid_t pid = leave_run(fixture, SLEEPER, 1234);
    fixture->after = open_roster(fixture);
    const struct roster_run *found = roster_found(fixture->after, &count);
    assert_int_equal(count, 1);
    assert_int_equal(found[0].record.pid, pid);
    assert_int_equal(found[0].record.grace_ms, 1234);
    assert_string_equal(found[0].record.hook, "deploy");
    assert_string_equal(found[0].record.message_id, "message-1");
}

static bool has_strange_name(void *arg)
{
    autofree char *path = xasprintf("/proc/%d/comm", (int)*(pid_t *)arg);
    FILE *file = fopen(path, "r");
    char name[32] = "";

    assert_non_null(file);
    bool good = fgets(name, sizeof(name), file) != NULL && name[0] == 'a';
    fclose(file);
    return good;
}

static void a_program_with_a_strange_name_is_found(void **state)
{
    struct fixture *fixture = *state;
    autofree char *program = xasprintf("%s/a) Z 1 (b", fixture->directory);
    autofree char *script =
        xasprintf("cp /bin/sleep '%s'; echo ready; exec '%s' 60", program, program);

    pid_t pid = leave_run(fixture, script, 0);
    run_until(fixture->loop, has_strange_name, &pid);
    unsigned count = found_now(fixture);
    unlink(program);
    assert_int_equal(count, 1);
}

static void a_run_that_has_ended_is_not_found(void **state)
{
    struct fixture *fixture = *state;

    pid_t pid = leave_run(fixture, SLEEPER, 0);
    kill(pid, SIGKILL);
    run_until(fixture->loop, process_is_gone, &pid);
    assert_int_equal(found_now(fixture), 0);
}

static void one_that_waits_to_be_reaped_is_not_found(void **state)
{
    struct fixture *fixture = *state;

    signal(SIGCHLD, SIG_DFL);
    pid_t pid = leave_run(fixture, SLEEPER, 0);
    kill(pid, SIGKILL);
    run_until(fixture->loop, process_is_gone, &pid);
    assert_int_equal(kill(pid, 0), 0);
    unsigned count = found_now(fixture);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(count, 0);
}

/* What its leader left behind does not make it one: in a daemon's life it holds nobody up either. */
static void a_group_without_its_leader_is_not_found(void **state)
{
    struct fixture *fixture = *state;

    pid_t pid = leave_run(fixture, "sleep 60 & echo ready; read nothing", 0);
    kill(pid, SIGKILL);
    run_until(fixture->loop, process_is_gone, &pid);
    assert_int_equal(kill(-pid, 0), 0);
    assert_int_equal(found_now(fixture), 0);
}

/* --- who is not --- */

static void a_process_of_another_boot_is_not_found(void **state)
{
    struct fixture *fixture = *state;

    leave_run(fixture, SLEEPER, 0);
    struct roster_record record = read_first(fixture);
    write_first(fixture, record);
    assert_int_equal(found_now(fixture), 1);
    record.boot[0] = record.boot[0] == 'a' ? 'b' : 'a';
    write_first(fixture, record);
    assert_int_equal(found_now(fixture), 0);
}

/* The number was given to another process since the slot was written. */
static void a_process_that_began_later_is_not_found(void **state)
{
    struct fixture *fixture = *state;

    leave_run(fixture, SLEEPER, 0);
    struct roster_record record = read_first(fixture);
    record.since_ns -= 1000000000;
    record.until_ns -= 1000000000;
    write_first(fixture, record);
    assert_int_equal(found_now(fixture), 0);
}

/* The state_dir came from a container, whose processes had other numbers. */
static void a_process_that_began_earlier_is_not_found(void **state)
{
    struct fixture *fixture = *state;

    leave_run(fixture, SLEEPER, 0);
    struct roster_record record = read_first(fixture);
    record.since_ns += 1000000000;
    record.until_ns += 1000000000;
    write_first(fixture, record);
    assert_int_equal(found_now(fixture), 0);
}

static void a_number_that_is_no_groups_is_not_found(void **state)
{
    static const int32_t numbers[] = {0, 1, -1, INT32_MIN};
    struct fixture *fixture = *state;

    leave_run(fixture, SLEEPER, 0);
    struct roster_record record = read_first(fixture);
    record.since_ns = 0;
    record.until_ns = INT64_MAX;
    for (unsigned i = 0; i < array_size(numbers); i++) {
        record.pid = numbers[i];
        write_first(fixture, record);
        assert_int_equal(found_now(fixture), 0);
        write_first(fixture, record);
    }
}

static void a_slot_with_any_bit_wrong_is_not_found(void **state)
{
    struct fixture *fixture = *state;

    leave_run(fixture, SLEEPER, 0);
    const struct roster_record record = read_first(fixture);
    for (unsigned bit = 0; bit < sizeof(record) * 8; bit++) {
        unsigned char bytes[sizeof(record)];
        memcpy(bytes, &record, sizeof(record));
        bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
        write_bytes(fixture, bytes, sizeof(bytes), 0);
        assert_int_equal(found_now(fixture), 0);
    }
    write_bytes(fixture, &record, sizeof(record), 0);
    assert_int_equal(found_now(fixture), 1);
}

static void a_slot_of_another_version_is_not_found(void **state)
{
    struct fixture *fixture = *state;

    leave_run(fixture, SLEEPER, 0);
    struct roster_record record = read_first(fixture);
    record.magic[sizeof(record.magic) - 1]++;
    write_first(fixture, record);
    assert_int_equal(found_now(fixture), 0);
}

static void a_text_without_end_or_a_senseless_grace_is_not_found(void **state)
{
    struct fixture *fixture = *state;

    leave_run(fixture, SLEEPER, 0);
    const struct roster_record good = read_first(fixture);
    struct roster_record record = good;
    memset(record.hook, 'x', sizeof(record.hook));
    write_first(fixture, record);
    assert_int_equal(found_now(fixture), 0);
    record = good;
    memset(record.message_id, 'x', sizeof(record.message_id));
    write_first(fixture, record);
    assert_int_equal(found_now(fixture), 0);
    record = good;
    record.grace_ms = -1;
    write_first(fixture, record);
    assert_int_equal(found_now(fixture), 0);
    record.grace_ms = INT64_MAX;
    write_first(fixture, record);
    assert_int_equal(found_now(fixture), 0);
    write_first(fixture, good);
    assert_int_equal(found_now(fixture), 1);
}

static void a_slot_that_is_cut_off_is_not_found(void **state)
{
    struct fixture *fixture = *state;

    leave_run(fixture, SLEEPER, 0);
    assert_int_equal(truncate(fixture->path, SLOT_BYTES - 1), 0);
    assert_int_equal(found_now(fixture), 0);
}

static void garbage_before_and_behind_hides_nobody(void **state)
{
    struct fixture *fixture = *state;
    char garbage[3000];

    leave_run(fixture, SLEEPER, 0);
    const struct roster_record record = read_first(fixture);
    memset(garbage, 'g', sizeof(garbage));
    write_bytes(fixture, garbage, sizeof(garbage), 0);
    write_bytes(fixture, &record, sizeof(record), 2 * SLOT_BYTES);
    assert_int_equal(found_now(fixture), 1);
}

/* --- slots --- */

static void the_file_is_made_for_nobody_else(void **state)
{
    struct fixture *fixture = *state;
    struct stat st;

    assert_int_equal(stat(fixture->path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
}

static void one_run_after_the_other_needs_one_slot(void **state)
{
    struct fixture *fixture = *state;
    struct roster_slot first, slot;

    take_slot(fixture->before, &first);
    roster_release(fixture->before, first.number);
    for (unsigned i = 0; i < 1000; i++) {
        take_slot(fixture->before, &slot);
        assert_int_equal(slot.number, first.number);
        roster_release(fixture->before, slot.number);
    }
    assert_int_equal(file_size(fixture), 4096);
}

static void runs_at_once_have_slots_of_their_own(void **state)
{
    struct fixture *fixture = *state;
    bool taken[100] = {false};

    for (unsigned i = 0; i < array_size(taken); i++) {
        struct roster_slot slot;
        take_slot(fixture->before, &slot);
        assert_true(slot.number < array_size(taken));
        assert_false(taken[slot.number]);
        taken[slot.number] = true;
        assert_true(file_size(fixture) >= (off_t)(slot.number + 1) * SLOT_BYTES);
    }
}

static void who_lives_keeps_the_slot(void **state)
{
    struct fixture *fixture = *state;
    struct roster_slot slots[3], slot;

    take_slot(fixture->before, &slots[0]);
    take_slot(fixture->before, &slots[1]);
    leave_run_in(fixture, SLEEPER, NULL, &slots[1]);
    fixture->after = open_roster(fixture);
    for (unsigned i = 0; i < 40; i++) {
        take_slot(fixture->after, &slot);
        assert_int_not_equal(slot.number, slots[1].number);
    }
    roster_release(fixture->after, slots[1].number);
    take_slot(fixture->after, &slot);
    assert_int_equal(slot.number, slots[1].number);
}

static void what_nobody_needs_is_cut_off(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(truncate(fixture->path, 1 << 20), 0);
    assert_int_equal(found_now(fixture), 0);
    assert_int_equal(file_size(fixture), 0);
    leave_run(fixture, SLEEPER, 0);
    assert_int_equal(truncate(fixture->path, 1 << 20), 0);
    assert_int_equal(found_now(fixture), 1);
    assert_int_equal(file_size(fixture), SLOT_BYTES);
}

static void names_that_are_too_long_are_cut(void **state)
{
    struct fixture *fixture = *state;
    struct roster_slot slot;
    struct err err;
    char name[300];

    memset(name, 'n', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    assert_true(roster_take(fixture->before, 0, name, name, &slot, &err));
    assert_int_equal(strlen(slot.record.hook), sizeof(slot.record.hook) - 1);
    assert_int_equal(strlen(slot.record.message_id), sizeof(slot.record.message_id) - 1);
    assert_true(roster_take(fixture->before, 0, NULL, NULL, &slot, &err));
    assert_string_equal(slot.record.hook, "");
    assert_string_equal(slot.record.message_id, "");
}

static void a_file_that_is_emptied_and_deleted_in_use_is_written_anew(void **state)
{
    struct fixture *fixture = *state;
    struct roster_slot slot;

    take_slot(fixture->before, &slot);
    assert_int_equal(truncate(fixture->path, 0), 0);
    assert_int_equal(unlink(fixture->path), 0);
    leave_run(fixture, SLEEPER, 0);
    assert_int_equal(found_now(fixture), 1);
}

/* --- what may fail --- */

static void expect_refused(const char *directory, const char *word)
{
    struct roster *roster;
    struct err err;

    assert_false(roster_open(directory, &roster, &err));
    assert_int_equal(err.code, ERR_HOST);
    if (strstr(err.text, word) == NULL)
        assert_string_equal(err.text, word);
}

static void without_its_directory_it_can_not_be_opened(void **state)
{
    (void)state;
    expect_refused("/nonexistent", "can not open /nonexistent/runs: No such file");
}

static void another_thing_in_its_place_is_refused(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(unlink(fixture->path), 0);
    assert_int_equal(symlink("/dev/null", fixture->path), 0);
    expect_refused(fixture->directory, "can not open");
    assert_int_equal(unlink(fixture->path), 0);
    assert_int_equal(mkfifo(fixture->path, 0600), 0);
    expect_refused(fixture->directory, "can not read");
    assert_int_equal(unlink(fixture->path), 0);
    assert_int_equal(mkdir(fixture->path, 0700), 0);
    expect_refused(fixture->directory, "can not open");
}

static void without_room_there_is_no_slot(void **state)
{
    struct fixture *fixture = *state;
    struct roster_slot slot;
    struct rlimit limit, none = {0, 0};
    struct err err;

    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    none.rlim_max = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    bool good = roster_take(fixture->before, 0, NULL, NULL, &slot, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    signal(SIGXFSZ, SIG_DFL);
    assert_false(good);
    assert_int_equal(err.code, ERR_HOST);
    assert_int_equal(err.os_errno, EFBIG);
    assert_non_null(strstr(err.text, fixture->path));
    take_slot(fixture->before, &slot);
}

static void a_file_that_is_deleted_in_use_is_written_anew(void **state)
{
    struct fixture *fixture = *state;
    struct roster_slot early;

    take_slot(fixture->before, &early);
    leave_run(fixture, SLEEPER, 0);
    assert_int_equal(unlink(fixture->path), 0);
    leave_run(fixture, SLEEPER, 0);
    leave_run_in(fixture, SLEEPER, NULL, &early); /* whose slot was taken before */
    assert_int_equal(found_now(fixture), 3);
}

static void a_file_that_is_replaced_in_use_is_written_anew(void **state)
{
    static const char garbage[100000];
    struct fixture *fixture = *state;

    leave_run(fixture, SLEEPER, 0);
    assert_int_equal(unlink(fixture->path), 0);
    write_bytes(fixture, garbage, sizeof(garbage), 0);
    leave_run(fixture, SLEEPER, 0);
    assert_int_equal(file_size(fixture), 4096);
    assert_int_equal(found_now(fixture), 2);
}

static void where_it_can_not_be_written_anew_there_is_no_slot(void **state)
{
    struct fixture *fixture = *state;
    struct roster_slot slot;
    struct err err;

    assert_int_equal(unlink(fixture->path), 0);
    assert_int_equal(mkdir(fixture->path, 0700), 0);
    assert_false(roster_take(fixture->before, 0, NULL, NULL, &slot, &err));
    assert_int_equal(err.code, ERR_HOST);
    assert_non_null(strstr(err.text, fixture->path));
}

static void a_slot_that_can_not_be_written_is_not_signed(void **state)
{
    struct fixture *fixture = *state;
    struct roster_slot slot;

    take_slot(fixture->before, &slot);
    slot.daemon = getppid();
    assert_int_equal(roster_sign(&slot), 0);
    slot.fd = -1;
    assert_int_equal(roster_sign(&slot), EBADF);
}

/* A daemon that is killed between fork and the writing: the next one may not have seen the slot. */
static void whose_daemon_is_gone_does_not_go_on(void **state)
{
    struct fixture *fixture = *state;
    struct roster_slot slot;

    take_slot(fixture->before, &slot);
    slot.daemon = getppid() + 1;
    assert_int_equal(roster_sign(&slot), ESRCH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, roster_set_up, roster_tear_down)
        TEST(a_run_that_lives_is_found),
        TEST(a_program_with_a_strange_name_is_found),
        TEST(a_run_that_has_ended_is_not_found),
        TEST(one_that_waits_to_be_reaped_is_not_found),
        TEST(a_group_without_its_leader_is_not_found),
        TEST(a_process_of_another_boot_is_not_found),
        TEST(a_process_that_began_later_is_not_found),
        TEST(a_process_that_began_earlier_is_not_found),
        TEST(a_number_that_is_no_groups_is_not_found),
        TEST(a_slot_with_any_bit_wrong_is_not_found),
        TEST(a_slot_of_another_version_is_not_found),
        TEST(a_text_without_end_or_a_senseless_grace_is_not_found),
        TEST(a_slot_that_is_cut_off_is_not_found),
        TEST(garbage_before_and_behind_hides_nobody),
        TEST(the_file_is_made_for_nobody_else),
        TEST(one_run_after_the_other_needs_one_slot),
        TEST(runs_at_once_have_slots_of_their_own),
        TEST(who_lives_keeps_the_slot),
        TEST(what_nobody_needs_is_cut_off),
        TEST(names_that_are_too_long_are_cut),
        TEST(a_file_that_is_emptied_and_deleted_in_use_is_written_anew),
        TEST(without_its_directory_it_can_not_be_opened),
        TEST(another_thing_in_its_place_is_refused),
        TEST(without_room_there_is_no_slot),
        TEST(a_file_that_is_deleted_in_use_is_written_anew),
        TEST(a_file_that_is_replaced_in_use_is_written_anew),
        TEST(where_it_can_not_be_written_anew_there_is_no_slot),
        TEST(a_slot_that_can_not_be_written_is_not_signed),
        TEST(whose_daemon_is_gone_does_not_go_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
