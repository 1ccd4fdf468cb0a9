/* SPDX-License-Identifier: MIT */
/* Which failures are said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/clock.h"
#include "flow/trouble.h"

static bool fails(struct trouble *trouble, enum err_code code, const char *text)
{
    struct err err;

    err_set(&err, code, "%s", text);
    return trouble_is_news(trouble, &err, false);
}

static void what_a_person_must_mend_is_said_once(void **state)
{
    (void)state;
    struct trouble trouble = {0};

    assert_true(fails(&trouble, ERR_AUTH, "403 AuthenticationFailed"));
    for (int i = 0; i < 10; i++)
        assert_false(fails(&trouble, ERR_AUTH, "403 AuthenticationFailed"));
    assert_int_equal(trouble.failures, 11);
}

static void what_may_pass_is_said_when_it_lasts(void **state)
{
    (void)state;
    static const enum err_code codes[] = {ERR_NETWORK, ERR_SERVER, ERR_THROTTLED};

    for (size_t i = 0; i < array_size(codes); i++) {
        struct trouble trouble = {0};

        assert_false(fails(&trouble, codes[i], "away"));
        assert_true(fails(&trouble, codes[i], "away"));
        assert_false(fails(&trouble, codes[i], "away"));
    }
}

static void what_is_final_is_said_at_once(void **state)
{
    (void)state;
    struct trouble trouble = {0};
    struct err err;

    err_set(&err, ERR_NETWORK, "away");
    assert_true(trouble_is_news(&trouble, &err, true));
    assert_false(trouble_is_news(&trouble, &err, true));
}

static void numbers_make_no_new_reason(void **state)
{
    (void)state;
    struct trouble trouble = {0};

    assert_true(fails(&trouble, ERR_MISSING, "after 12 ms, 3.5 s left"));
    assert_false(fails(&trouble, ERR_MISSING, "after 9 ms, 10 s left"));
    assert_true(fails(&trouble, ERR_MISSING, "after 9 ms, 10 s gone"));
    assert_true(fails(&trouble, ERR_MISSING, "no answer within 999ms"));
    assert_false(fails(&trouble, ERR_MISSING, "no answer within 1s"));
}

static void reasons_in_turns_are_each_said_once(void **state)
{
    (void)state;
    struct trouble trouble = {0};
    unsigned said = 0;

    for (int i = 0; i < 10; i++) {
        said += fails(&trouble, ERR_AUTH, "a");
        said += fails(&trouble, ERR_SERVER, "b");
    }
    assert_int_equal(said, 2);
}

static void ever_new_reasons_are_no_news(void **state)
{
    (void)state;
    struct trouble trouble = {0};
    unsigned said = 0;

    for (char c = 'a'; c <= 'z'; c++)
        said += fails(&trouble, ERR_AUTH, (char[2]){c, '\0'});
    assert_int_equal(said, TROUBLE_MAX_REASONS);
}

static void what_may_pass_does_not_hide_what_must_be_mended(void **state)
{
    (void)state;
    struct trouble trouble = {0};

    for (char c = 'a'; c <= 'z'; c++)
        fails(&trouble, ERR_SERVER, (char[2]){c, '\0'});
    assert_int_equal(trouble.said, TROUBLE_MAX_REASONS / 2);
    assert_true(fails(&trouble, ERR_AUTH, "403 AuthenticationFailed"));
}

static void what_comes_and_goes_is_silent_for_the_rest_of_the_minute(void **state)
{
    (void)state;
    struct trouble trouble = {0};
    unsigned begun = 0, over = 0;

    clock_freeze(1000000, 0);
    for (int i = 0; i < 100; i++) {
        begun += fails(&trouble, ERR_AUTH, "refused");
        over += trouble_is_over(&trouble);
    }
    assert_int_equal(begun, TROUBLE_MAX_LINES);
    assert_int_equal(over, TROUBLE_MAX_LINES);
    /* What lasts is said when the minute is over. */
    assert_false(fails(&trouble, ERR_AUTH, "refused"));
    clock_freeze(1060000, 0);
    assert_true(fails(&trouble, ERR_AUTH, "refused"));
    assert_true(trouble_is_over(&trouble));
    clock_freeze(-1, -1);
}

static void after_a_good_end_it_is_news_again(void **state)
{
    (void)state;
    struct trouble trouble = {0};

    assert_false(trouble_is_over(&trouble));
    assert_false(fails(&trouble, ERR_NETWORK, "away"));
    assert_null(trouble_reason(&trouble));
    assert_false(trouble_is_over(&trouble)); /* nothing had been said */
    assert_false(fails(&trouble, ERR_NETWORK, "away"));
    assert_true(fails(&trouble, ERR_NETWORK, "away"));
    assert_string_equal(trouble_reason(&trouble), "away");
    assert_true(trouble_is_over(&trouble));
    assert_null(trouble_reason(&trouble));
    assert_false(trouble_is_over(&trouble));
    assert_int_equal(trouble.failures, 0);
    assert_true(fails(&trouble, ERR_AUTH, "refused"));
}

static void what_may_pass_is_over_when_something_else_goes_well(void **state)
{
    (void)state;
    struct trouble trouble = {0};

    fails(&trouble, ERR_SERVER, "500");
    fails(&trouble, ERR_SERVER, "500");
    assert_non_null(trouble_reason(&trouble));
    trouble_may_be_over(&trouble);
    assert_null(trouble_reason(&trouble));
    fails(&trouble, ERR_AUTH, "403");
    fails(&trouble, ERR_SERVER, "500");
    trouble_may_be_over(&trouble);
    assert_non_null(trouble_reason(&trouble));
    assert_true(trouble_is_over(&trouble));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_person_must_mend_is_said_once),
        cmocka_unit_test(what_may_pass_is_said_when_it_lasts),
        cmocka_unit_test(what_is_final_is_said_at_once),
        cmocka_unit_test(numbers_make_no_new_reason),
        cmocka_unit_test(reasons_in_turns_are_each_said_once),
        cmocka_unit_test(ever_new_reasons_are_no_news),
        cmocka_unit_test(what_may_pass_does_not_hide_what_must_be_mended),
        cmocka_unit_test(what_comes_and_goes_is_silent_for_the_rest_of_the_minute),
        cmocka_unit_test(after_a_good_end_it_is_news_again),
        cmocka_unit_test(what_may_pass_is_over_when_something_else_goes_well),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
