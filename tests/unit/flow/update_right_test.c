/* SPDX-License-Identifier: MIT */
/* Whether a credential may update: how it is known, said, and forgotten. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/err.h"
#include "flow/update_right.h"

#define MINUTE_MS 60000LL
#define WEEK_MS   (7 * 24 * 60 * MINUTE_MS)

static void refused(struct update_right *right, enum err_code code, const char *service_code,
                    int64_t now_ms)
{
    struct err err;

    err_set(&err, code, "refused");
    snprintf(err.service_code, sizeof(err.service_code), "%s", service_code);
    update_right_refused(right, &err, now_ms);
}

static void lacks_it(struct update_right *right, int64_t now_ms)
{
    refused(right, ERR_AUTH, "AuthorizationPermissionMismatch", now_ms);
}

static void it_is_there_until_the_contrary_is_known(void **state)
{
    (void)state;
    struct update_right right = {0};

    assert_false(update_right_is_missing(&right));
    assert_true(update_right_may_try(&right, 0));
    assert_false(update_right_is_news(&right));
    assert_null(update_right_trouble(&right));
    assert_false(update_right_works(&right, 0));
}

static void a_credential_may_say_so_itself(void **state)
{
    (void)state;
    struct update_right right = {0};

    update_right_look(&right, true, 1);
    assert_true(update_right_is_missing(&right));
    assert_false(update_right_may_try(&right, 24 * 60 * MINUTE_MS)); /* never */
    assert_true(update_right_is_news(&right));
    assert_false(update_right_is_news(&right));
    assert_non_null(update_right_trouble(&right));
    update_right_look(&right, true, 1);
    assert_false(update_right_is_news(&right));
}

static void only_a_missing_right_is_one(void **state)
{
    (void)state;
    static const struct {
        enum err_code code;
        const char *service_code;
    } others[] = {
        {ERR_AUTH, "AuthenticationFailed"},
        {ERR_AUTH, "AuthorizationFailure"},
        {ERR_AUTH, ""},
        {ERR_SERVER, "AuthorizationPermissionMismatch"},
        {ERR_GONE, "PopReceiptMismatch"},
    };

    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        struct update_right right = {0};

        refused(&right, others[i].code, others[i].service_code, 0);
        assert_false(update_right_is_missing(&right));
    }
    struct update_right right = {0};
    refused(&right, ERR_AUTH, "InsufficientAccountPermissions", 0);
    assert_true(update_right_is_missing(&right));
}

static void what_the_service_said_is_asked_again_now_and_then(void **state)
{
    (void)state;
    struct update_right right = {0};

    lacks_it(&right, 1000);
    assert_false(update_right_may_try(&right, 1000 + 10 * MINUTE_MS - 1));
    assert_true(update_right_may_try(&right, 1000 + 10 * MINUTE_MS));
    assert_true(update_right_is_missing(&right)); /* until it went well */
    lacks_it(&right, 1000 + 10 * MINUTE_MS);
    assert_false(update_right_may_try(&right, 1000 + 10 * MINUTE_MS));
    assert_true(update_right_is_news(&right));
    assert_true(update_right_works(&right, 1000 + 20 * MINUTE_MS));
    assert_false(update_right_is_missing(&right));
    assert_null(update_right_trouble(&right));
    assert_false(update_right_works(&right, 1000 + 20 * MINUTE_MS));
}

static void one_that_comes_and_goes_is_missing(void **state)
{
    (void)state;
    struct update_right right = {0};

    lacks_it(&right, 0);
    assert_true(update_right_is_news(&right));
    for (int64_t now_ms = 1000; now_ms < 60000; now_ms += 2000) {
        assert_false(update_right_works(&right, now_ms));
        assert_true(update_right_is_missing(&right));
        lacks_it(&right, now_ms + 1000);
        assert_false(update_right_is_news(&right));
    }
    assert_true(update_right_works(&right, 60000 + 10 * MINUTE_MS));
}

static void a_credential_that_is_refused_as_a_whole_tells_nothing(void **state)
{
    (void)state;
    struct update_right right = {0};

    lacks_it(&right, 0);
    update_right_got(&right, true);
    assert_false(update_right_is_missing(&right));
    lacks_it(&right, 0);
    assert_false(update_right_is_missing(&right));
    update_right_got(&right, false);
    lacks_it(&right, 0);
    assert_true(update_right_is_missing(&right));
}

static void another_credential_begins_anew(void **state)
{
    (void)state;
    struct update_right right = {0};

    update_right_look(&right, false, 1);
    lacks_it(&right, 0);
    assert_true(update_right_is_news(&right));
    update_right_look(&right, false, 1);
    assert_true(update_right_is_missing(&right));
    update_right_look(&right, false, 2);
    assert_false(update_right_is_missing(&right));
    assert_null(update_right_trouble(&right));
    assert_true(update_right_works(&right, 0)); /* which is worth a word */
}

static void a_reload_forgets_and_says_it_again(void **state)
{
    (void)state;
    struct update_right right = {0};

    update_right_look(&right, true, 1);
    assert_true(update_right_is_news(&right));
    update_right_forget(&right);
    update_right_look(&right, true, 1);
    assert_true(update_right_is_news(&right));
    right = (struct update_right){0};
    lacks_it(&right, 0);
    update_right_forget(&right);
    assert_false(update_right_is_missing(&right));
}

static void a_secret_is_read_again_now_and_then(void **state)
{
    (void)state;
    struct update_right right = {0};

    assert_false(update_right_wants_reread(&right, 5 * MINUTE_MS));
    update_right_look(&right, true, 1);
    assert_false(update_right_wants_reread(&right, 5 * MINUTE_MS));
    assert_false(update_right_wants_reread(&right, 15 * MINUTE_MS - 1));
    assert_true(update_right_wants_reread(&right, 15 * MINUTE_MS));
    assert_false(update_right_wants_reread(&right, 16 * MINUTE_MS));
    assert_true(update_right_wants_reread(&right, 25 * MINUTE_MS));
    update_right_look(&right, false, 2);
    assert_false(update_right_wants_reread(&right, 99 * MINUTE_MS));
}

static void a_lease_outlasts_the_runs(void **state)
{
    (void)state;
    assert_int_equal(update_right_lease_ms(2 * MINUTE_MS, 0), 3 * MINUTE_MS);
    assert_int_equal(update_right_lease_ms(2 * MINUTE_MS, 10 * MINUTE_MS), 11 * MINUTE_MS);
    assert_int_equal(update_right_lease_ms(WEEK_MS, 10 * MINUTE_MS), WEEK_MS);
    assert_int_equal(update_right_lease_ms(MINUTE_MS, 5 * WEEK_MS), WEEK_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_there_until_the_contrary_is_known),
        cmocka_unit_test(a_credential_may_say_so_itself),
        cmocka_unit_test(only_a_missing_right_is_one),
        cmocka_unit_test(what_the_service_said_is_asked_again_now_and_then),
        cmocka_unit_test(one_that_comes_and_goes_is_missing),
        cmocka_unit_test(a_credential_that_is_refused_as_a_whole_tells_nothing),
        cmocka_unit_test(another_credential_begins_anew),
        cmocka_unit_test(a_reload_forgets_and_says_it_again),
        cmocka_unit_test(a_secret_is_read_again_now_and_then),
        cmocka_unit_test(a_lease_outlasts_the_runs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
