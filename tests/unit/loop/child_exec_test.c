/* SPDX-License-Identifier: MIT */
/* Programs that the kernel begins to run and then refuses: a program of its own, for valgrind, which does
 * the kernel's part itself, ends where that happens. */
#include "children.h"

static void a_missing_interpreter_fails(void **state)
{
    struct run run;

    autofree char *path = write_file(*state, "script", "#!/nonexistent/sh\n", 0755);
    run_program(&run, *state, path);
    expect_not_run(&run, path, ENOENT);
}

static void too_many_arguments_fail(void **state)
{
    struct run run;
    char *argument = xcalloc(1, 256 * 1024 + 1);

    memset(argument, 'x', 256 * 1024);
    run_program(&run, *state, "/bin/true");
    run.argv[1] = argument;
    expect_not_run(&run, "/bin/true", E2BIG);
    free(argument);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, children_set_up, children_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_missing_interpreter_fails),
        TEST(too_many_arguments_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
