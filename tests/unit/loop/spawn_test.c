/* SPDX-License-Identifier: MIT */
/* Spawning without the loop: what is left behind, and what the pipes are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "loop/child.h"
#include "loop/roster.h"
#include "loop/spawn.h"

static const char *const env[] = {"PATH=/usr/bin:/bin", "HOME=/", NULL};

static struct child_spec spec_of(const char *const *argv)
{
    return (struct child_spec){.argv = argv, .env = env, .directory = "/", .umask = 022};
}

static unsigned open_files(void)
{
    DIR *directory = opendir("/proc/self/fd");
    unsigned count = 0;

    assert_non_null(directory);
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count;
}

static void expect_no_child(void)
{
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static const struct rlimit files = {100, 200};

/* Runs a program to its end and gives what it wrote. */
static int run(const char *const *argv, const char *input, char output[static 256])
{
    struct child_spec spec = spec_of(argv);
    struct spawned spawned;
    struct err err;
    size_t len = 0;
    ssize_t got;
    int status;

    if (!spawn(&spec, &files, NULL, &spawned, &err))
        fail_msg("%s", err.text);
    assert_int_equal(write(spawned.input_fd, input, strlen(input)), strlen(input));
    close(spawned.input_fd);
    for (;;) {
        struct pollfd ready = {.fd = spawned.output_fd, .events = POLLIN};
        assert_int_equal(poll(&ready, 1, 20000), 1);
        got = read(spawned.output_fd, output + len, 255 - len);
        if (got <= 0)
            break;
        len += (size_t)got;
    }
    output[len] = '\0';
    close(spawned.output_fd);
    assert_int_equal(waitpid(spawned.pid, &status, 0), spawned.pid);
    return status;
}

static void a_program_reads_and_writes(void **state)
{
    const char *const argv[] = {"cat", NULL};
    char output[256];

    (void)state;
    unsigned before = open_files();
    assert_int_equal(run(argv, "hello", output), 0);
    assert_string_equal(output, "hello");
    assert_int_equal(open_files(), before);
}

static void the_pipes_are_ours_and_do_not_block(void **state)
{
    const char *const argv[] = {"sleep", "60", NULL};
    struct child_spec spec = spec_of(argv);
    struct spawned spawned;
    struct err err;

    (void)state;
    assert_true(spawn(&spec, &files, NULL, &spawned, &err));
    assert_true(fcntl(spawned.input_fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(spawned.output_fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(spawned.input_fd, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(spawned.output_fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(getpgid(spawned.pid), spawned.pid);
    assert_int_equal(getsid(spawned.pid), spawned.pid);
    kill(-spawned.pid, SIGKILL);
    assert_int_equal(waitpid(spawned.pid, NULL, 0), spawned.pid);
    close(spawned.input_fd);
    close(spawned.output_fd);
}

static void the_programs_own_pipes_block(void **state)
{
    /* A file status flag is shared by both ends' descriptions only if they are one: they are not. */
    const char *const argv[] = {"sh", "-c", "grep flags /proc/self/fdinfo/0 /proc/self/fdinfo/1",
                                NULL};
    char output[256];

    (void)state;
    assert_int_equal(run(argv, "", output), 0);
    assert_null(strstr(output, "04000"));
}

static void a_failure_leaves_nothing(void **state)
{
    const char *const missing[] = {"/nonexistent/program", NULL};
    const char *const good[] = {"true", NULL};
    struct child_spec specs[] = {spec_of(missing), spec_of(good), spec_of(good), spec_of(good)};
    struct spawned spawned;
    struct err err;

    (void)state;
    specs[1].directory = "/nonexistent";
    specs[2].user = "no-such-user";
    specs[3].group = "no-such-group";
    unsigned before = open_files();
    for (unsigned i = 0; i < array_size(specs); i++) {
        assert_false(spawn(&specs[i], &files, NULL, &spawned, &err));
        assert_int_equal(err.code, ERR_HOST);
        expect_no_child();
        assert_int_equal(open_files(), before);
    }
}

static void without_room_for_files_it_says_so(void **state)
{
    const char *const argv[] = {"true", NULL};
    struct child_spec spec = spec_of(argv);
    struct rlimit limit, few;
    struct spawned spawned;
    struct err err;
    unsigned before = open_files();
    unsigned first = (unsigned)dup(STDERR_FILENO); /* the lowest free number */

    (void)state;
    close((int)first);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    for (rlim_t room = first; room < first + 6; room++) {
        few = limit;
        few.rlim_cur = room;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
        bool good = spawn(&spec, &files, NULL, &spawned, &err);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        assert_false(good);
        assert_int_equal(err.code, ERR_HOST);
        assert_non_null(strstr(err.text, strerror(EMFILE)));
        assert_int_equal(open_files(), before);
    }
    expect_no_child();
}

/* A file that can not be written, and a daemon that was killed meanwhile. */
static void who_can_not_be_entered_in_the_roster_is_not_run(void **state)
{
    const char *const argv[] = {"true", NULL};
    struct child_spec spec = spec_of(argv);
    int null = open("/dev/null", O_WRONLY);
    struct roster_slot slots[] = {{.fd = -1, .daemon = getpid()},
                                  {.fd = null, .daemon = getppid()}};
    const int reasons[] = {EBADF, ESRCH};
    struct spawned spawned;
    struct err err;

    (void)state;
    unsigned before = open_files();
    for (unsigned i = 0; i < array_size(slots); i++) {
        assert_false(spawn(&spec, &files, &slots[i], &spawned, &err));
        assert_int_equal(err.code, ERR_HOST);
        assert_int_equal(err.os_errno, reasons[i]);
        assert_non_null(strstr(err.text, "can not note in state_dir that /usr/bin/true runs"));
        expect_no_child();
        assert_int_equal(open_files(), before);
    }
    slots[1].daemon = getpid();
    assert_true(spawn(&spec, &files, &slots[1], &spawned, &err));
    close(spawned.input_fd);
    close(spawned.output_fd);
    assert_int_equal(waitpid(spawned.pid, NULL, 0), spawned.pid);
    close(null);
}

/* Ends with 0 when nobody's process could not become root, and said what is needed. */
static int spawn_as_nobody(void)
{
    const char *const argv[] = {"true", NULL};
    struct child_spec spec = spec_of(argv);
    struct spawned spawned;
    struct err err;

    spec.user = "root";
    if (setgid(65534) != 0 || setuid(65534) != 0)
        return 1;
    if (spawn(&spec, &files, NULL, &spawned, &err))
        return 2;
    if (err.code != ERR_HOST || strstr(err.text, "can not become user 0, group 0") == NULL ||
        strstr(err.text, "CAP_SETUID") == NULL)
        return 3;
    /* What we are already, we need not become. */
    spec.user = "nobody";
    if (!spawn(&spec, &files, NULL, &spawned, &err))
        return 4;
    return waitpid(spawned.pid, NULL, 0) == spawned.pid ? 0 : 5;
}

static void without_rights_it_says_which_are_needed(void **state)
{
    int status;

    (void)state;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(spawn_as_nobody());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_program_reads_and_writes),
        cmocka_unit_test(the_pipes_are_ours_and_do_not_block),
        cmocka_unit_test(the_programs_own_pipes_block),
        cmocka_unit_test(a_failure_leaves_nothing),
        cmocka_unit_test(without_room_for_files_it_says_so),
        cmocka_unit_test(who_can_not_be_entered_in_the_roster_is_not_run),
        cmocka_unit_test(without_rights_it_says_which_are_needed),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
