/* SPDX-License-Identifier: MIT */
/* Users and groups by name and number, from the machine's own tables. */
#include <grp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "loop/account.h"

static void find(const char *user, const char *group, struct account *ret_account)
{
    struct err err;

    if (!account_find(user, group, ret_account, &err))
        fail_msg("%s", err.text);
}

/* A user who gets one more group at each look, until there are `most`; 0: nobody is in any. */
static int groups_now, groups_most;

int getgrouplist(const char *user, gid_t group, gid_t *groups, int *count)
{
    int room = *count;

    (void)user;
    groups_now = groups_now < groups_most ? groups_now + 1 : groups_most;
    *count = groups_now + 1;
    for (int i = 0; i < *count && i < room; i++)
        groups[i] = group + (gid_t)i;
    return *count > room ? -1 : *count;
}

static void a_user_who_joins_groups_meanwhile_gets_those_that_were_read(void **state)
{
    struct account account;

    (void)state;
    groups_now = 0;
    groups_most = 5;
    find("nobody", NULL, &account);
    assert_in_range(account.group_count, 1, 6);
    for (int i = 0; i < account.group_count; i++)
        assert_int_equal(account.groups[i], account.gid + (gid_t)i);
    groups_most = 0;
    account_done(&account);
}

static void nobody_named_is_ourselves(void **state)
{
    struct account account;

    (void)state;
    find(NULL, NULL, &account);
    assert_true(account.ours);
    assert_int_equal(account.uid, geteuid());
    assert_int_equal(account.gid, getegid());
    assert_non_null(account.home);
    assert_true(account_is_allowed(&account));
    account_done(&account);
}

static void our_home_is_known_without_the_environment(void **state)
{
    struct account account;
    char *before = xstrdup(getenv("HOME"));

    (void)state;
    unsetenv("HOME");
    find(NULL, NULL, &account);
    if (before != NULL)
        setenv("HOME", before, 1);
    free(before);
    assert_int_equal(account.home[0], '/');
    assert_true(account.ours);
    account_done(&account);
}

static void a_user_comes_with_group_groups_and_home(void **state)
{
    struct account account;

    (void)state;
    find("root", NULL, &account);
    assert_false(account.ours);
    assert_int_equal(account.uid, 0);
    assert_int_equal(account.gid, 0);
    assert_string_equal(account.home, "/root");
    assert_true(account.group_count >= 1);
    account_done(&account);
}

static void a_number_is_a_user_too(void **state)
{
    struct account account;

    (void)state;
    find("65534", NULL, &account);
    assert_int_equal(account.uid, 65534);
    assert_string_equal(account.home, "/nonexistent");
    account_done(&account);
}

static void a_group_replaces_the_users(void **state)
{
    struct account account;

    (void)state;
    find("nobody", "root", &account);
    assert_int_equal(account.uid, 65534);
    assert_int_equal(account.gid, 0);
    account_done(&account);
    find("nobody", "4242", &account); /* a number needs no entry */
    assert_int_equal(account.gid, 4242);
    account_done(&account);
}

static void a_group_alone_keeps_the_user(void **state)
{
    struct account account;

    (void)state;
    find(NULL, "daemon", &account);
    assert_false(account.ours);
    assert_int_equal(account.uid, geteuid());
    assert_int_equal(account.gid, 1);
    account_done(&account);
}

static void expect_none(const char *user, const char *group, const char *text)
{
    struct account account;
    struct err err;

    assert_false(account_find(user, group, &account, &err));
    assert_int_equal(err.code, ERR_HOST);
    assert_string_equal(err.text, text);
}

static void who_is_not_there_is_named(void **state)
{
    (void)state;
    expect_none("no-such-user", NULL, "no such user: no-such-user");
    expect_none("root", "no-such-group", "no such group: no-such-group");
    expect_none("4294967295", NULL, "no such user: 4294967295"); /* "leave it" to setresuid */
    expect_none("-1", NULL, "no such user: -1");
    expect_none("", NULL, "no such user: ");
}

static void the_group_that_means_leave_it_is_none(void **state)
{
    (void)state;
    expect_none(NULL, "4294967295", "no such group: 4294967295");
    expect_none(NULL, "-1", "no such group: -1");
}

static void root_may_become_anybody(void **state)
{
    struct account account;

    (void)state;
    if (geteuid() != 0)
        skip();
    find("nobody", NULL, &account);
    assert_true(account_is_allowed(&account));
    account_done(&account);
    account_done(&account); /* once more is harmless */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_user_who_joins_groups_meanwhile_gets_those_that_were_read),
        cmocka_unit_test(nobody_named_is_ourselves),
        cmocka_unit_test(our_home_is_known_without_the_environment),
        cmocka_unit_test(a_user_comes_with_group_groups_and_home),
        cmocka_unit_test(a_number_is_a_user_too),
        cmocka_unit_test(a_group_replaces_the_users),
        cmocka_unit_test(a_group_alone_keeps_the_user),
        cmocka_unit_test(who_is_not_there_is_named),
        cmocka_unit_test(the_group_that_means_leave_it_is_none),
        cmocka_unit_test(root_may_become_anybody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
