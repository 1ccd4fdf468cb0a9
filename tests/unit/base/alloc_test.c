/* SPDX-License-Identifier: MIT */
/* Allocation: copies, and the end when nothing else is left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"

/* What a child process says on stderr while it ends by act, and its exit status. */
static int end_by(void (*act)(void), char said[static 256])
{
    int fds[2], status;

    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(fds[1], STDERR_FILENO);
        act();
        _exit(0);
    }
    close(fds[1]);
    size_t len = 0;
    ssize_t got;
    while ((got = read(fds[0], said + len, 255 - len)) > 0)
        len += (size_t)got;
    said[len] = '\0';
    close(fds[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void give_up(void)
{
    fatal("nothing left but %d", 7);
}

static void a_fatal_end_says_why_and_is_an_internal_error(void **state)
{
    char said[256];

    (void)state;
    assert_int_equal(end_by(give_up, said), EX_SOFTWARE);
    assert_string_equal(said, "cvnotifyd: nothing left but 7; ending, to be started again\n");
}

static void print_the_impossible(void)
{
    /* A wide character that no encoding of "C" has. */
    free(xasprintf("%ls", L"\x20ac"));
}

static void a_text_that_can_not_be_made_is_fatal(void **state)
{
    char said[256];

    (void)state;
    assert_int_equal(end_by(print_the_impossible, said), EX_SOFTWARE);
    assert_non_null(strstr(said, "out of memory"));
}

static void copies_are_our_own(void **state)
{
    const char text[] = "text";

    (void)state;
    assert_null(xstrdup(NULL));
    autofree char *whole = xstrdup(text);
    autofree char *part = xstrndup(text, 2);
    assert_string_equal(whole, "text");
    assert_string_equal(part, "te");
    assert_ptr_not_equal(whole, text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fatal_end_says_why_and_is_an_internal_error),
        cmocka_unit_test(a_text_that_can_not_be_made_is_fatal),
        cmocka_unit_test(copies_are_our_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
