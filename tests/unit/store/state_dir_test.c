/* SPDX-License-Identifier: MIT */
/* The directory and its lock: one process at a time, told by its pid. */
#include "place.h"

#include <signal.h>
#include <sys/prctl.h>

#include "store/state_dir.h"

struct fixture {
    struct place place;
    int lock_fd;
    struct err err;
};

static int set_up(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));

    place_init(&fixture->place);
    fixture->lock_fd = -1;
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    int status = place_done(&fixture->place);

    if (fixture->lock_fd >= 0)
        close(fixture->lock_fd);
    free(fixture);
    return status;
}

static bool claim(struct fixture *fixture)
{
    return state_dir_claim(fixture->place.state_dir, &fixture->lock_fd, &fixture->err);
}

/* Another process that claims the directory and holds it until it is killed. */
static pid_t given_another(struct fixture *fixture)
{
    int ends[2];
    char byte;

    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        bool good = claim(fixture);
        ssize_t ignored = write(ends[1], good ? "y" : "n", 1);
        (void)ignored;
        for (;;)
            pause();
    }
    assert_int_equal(read(ends[0], &byte, 1), 1);
    assert_int_equal(byte, 'y');
    close(ends[0]);
    close(ends[1]);
    return pid;
}

static void end(pid_t pid)
{
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void a_missing_directory_is_made_for_us_alone(void **state)
{
    struct fixture *fixture = *state;

    assert_true(claim(fixture));
    assert_int_equal(mode_in(&fixture->place, "."), 0700);
    assert_int_equal(mode_in(&fixture->place, "lock"), 0600);
    autofree char *text = read_in(&fixture->place, "lock");
    assert_int_equal(atol(text), getpid());
}

static void a_directory_that_is_there_keeps_its_mode(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(mkdir(fixture->place.state_dir, 0750), 0);
    assert_true(claim(fixture));
    assert_int_equal(mode_in(&fixture->place, "."), 0750);
}

static void what_we_hold_is_not_claimed_twice(void **state)
{
    struct fixture *fixture = *state;

    assert_true(claim(fixture));
    int fd = fixture->lock_fd;
    assert_true(claim(fixture));
    assert_int_equal(fixture->lock_fd, fd);
}

static void no_program_that_we_start_inherits_the_lock(void **state)
{
    struct fixture *fixture = *state;

    assert_true(claim(fixture));
    assert_int_equal(fcntl(fixture->lock_fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

static void a_second_process_is_told_the_pid_of_the_first(void **state)
{
    struct fixture *fixture = *state;
    pid_t pid = given_another(fixture);
    autofree char *wanted = xasprintf("in use by another cvnotifyd, pid %ld;", (long)pid);

    assert_false(claim(fixture));
    end(pid);
    assert_int_equal(fixture->err.code, ERR_CONFIG);
    expect_text(fixture->err.text, wanted);
    assert_int_equal(fixture->lock_fd, -1);
    /* Killed, it holds nothing. */
    assert_true(claim(fixture));
    autofree char *text = read_in(&fixture->place, "lock");
    assert_int_equal(atol(text), getpid());
}

static void a_lock_without_a_pid_is_a_lock(void **state)
{
    struct fixture *fixture = *state;
    pid_t pid = given_another(fixture);

    write_in(&fixture->place, "lock", "");
    assert_false(claim(fixture));
    end(pid);
    expect_text(fixture->err.text, "pid unknown");
}

static void a_deleted_lock_is_made_again(void **state)
{
    struct fixture *fixture = *state;

    assert_true(claim(fixture));
    remove_in(&fixture->place, "lock");
    assert_true(claim(fixture));
    assert_true(is_there(&fixture->place, "lock"));
}

static void a_directory_that_another_made_anew_is_the_others(void **state)
{
    struct fixture *fixture = *state;

    assert_true(claim(fixture));
    int ours = fixture->lock_fd;
    remove_in(&fixture->place, "lock");
    fixture->lock_fd = -1;
    pid_t pid = given_another(fixture);
    fixture->lock_fd = ours;
    assert_false(claim(fixture));
    end(pid);
    assert_int_equal(fixture->err.code, ERR_CONFIG);
    assert_int_equal(fixture->lock_fd, ours);
}

static void a_link_in_the_locks_place_is_not_followed(void **state)
{
    struct fixture *fixture = *state;
    autofree char *lock = path_in(&fixture->place, "lock");
    autofree char *victim = path_in(&fixture->place, "victim");

    make_state_dir(&fixture->place);
    write_in(&fixture->place, "victim", "precious");
    assert_int_equal(symlink(victim, lock), 0);
    assert_false(claim(fixture));
    assert_int_equal(fixture->err.code, ERR_HOST);
    autofree char *text = read_in(&fixture->place, "victim");
    assert_string_equal(text, "precious");
}

static void a_place_where_it_can_not_be_is_a_mistake(void **state)
{
    struct fixture *fixture = *state;

    strcat(fixture->place.state_dir, "/deeper"); /* whose parent is not there */
    assert_false(claim(fixture));
    assert_int_equal(fixture->err.code, ERR_CONFIG);
    expect_text(fixture->err.text, "No such file");
    assert_false(state_dir_sync(fixture->place.state_dir, &fixture->err));
}

static void a_full_disk_does_not_stand_in_the_way_of_a_lock_that_is_there(void **state)
{
    struct fixture *fixture = *state;

    make_state_dir(&fixture->place);
    if (!mount_small(&fixture->place, 64))
        skip();
    write_in(&fixture->place, "lock", "");
    fill(&fixture->place);
    bool good = claim(fixture);
    unmount_small(&fixture->place);
    assert_true(good);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_missing_directory_is_made_for_us_alone),
        TEST(a_directory_that_is_there_keeps_its_mode),
        TEST(what_we_hold_is_not_claimed_twice),
        TEST(no_program_that_we_start_inherits_the_lock),
        TEST(a_second_process_is_told_the_pid_of_the_first),
        TEST(a_lock_without_a_pid_is_a_lock),
        TEST(a_deleted_lock_is_made_again),
        TEST(a_directory_that_another_made_anew_is_the_others),
        TEST(a_link_in_the_locks_place_is_not_followed),
        TEST(a_place_where_it_can_not_be_is_a_mistake),
        TEST(a_full_disk_does_not_stand_in_the_way_of_a_lock_that_is_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
