/* SPDX-License-Identifier: MIT */
/* The error type: sentences, codes, truncation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "base/err.h"

static void test_set_clears_the_rest(void **state)
{
    (void)state;
    struct err err = {.http_status = 403, .service_code = "X", .retry_after_ms = 7};

    assert_false(err_set(&err, ERR_AUTH, "refused by %s", "them"));
    assert_int_equal(err.code, ERR_AUTH);
    assert_int_equal(err.http_status, 0);
    assert_int_equal(err.retry_after_ms, 0);
    assert_string_equal(err.service_code, "");
    assert_string_equal(err.text, "refused by them");
}

static void test_an_argument_may_be_the_error_itself(void **state)
{
    (void)state;
    struct err err;

    err_set(&err, ERR_HOST, "first");
    err_set(&err, ERR_NETWORK, "second after %s", err.text);
    assert_string_equal(err.text, "second after first");
    err_prefix(&err, "third after (%s)", err.text);
    assert_string_equal(err.text, "third after (second after first): second after first");
    assert_int_equal(err.code, ERR_NETWORK);
}

static void test_errno(void **state)
{
    (void)state;
    struct err err;

    assert_false(err_set_errno(&err, ERR_HOST, ENOENT, "cannot open '%s'", "x"));
    assert_int_equal(err.os_errno, ENOENT);
    assert_string_equal(err.text, "cannot open 'x': No such file or directory");
}

static void test_too_long_is_cut(void **state)
{
    (void)state;
    struct err err;
    char longer[2 * sizeof(err.text)];

    for (size_t len = sizeof(err.text) - 4; len < sizeof(err.text) + 4; len++) {
        memset(longer, 'a', len);
        longer[len] = '\0';
        err_set(&err, ERR_HOST, "%s", longer);
        assert_int_equal(strlen(err.text), len < sizeof(err.text) ? len : sizeof(err.text) - 1);
        err_prefix(&err, "%s", "context");
        assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
        assert_memory_equal(err.text, "context: aaa", 12);
        err_set_errno(&err, ERR_HOST, EPERM, "%s", longer);
        assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
        err_set(&err, ERR_HOST, "x");
        err_prefix(&err, "%s", longer);
        assert_true(strlen(err.text) < sizeof(err.text));
    }
}

static void test_every_code_has_a_name(void **state)
{
    (void)state;
    for (int code = ERR_NONE; code <= ERR_INTERNAL; code++)
        assert_string_not_equal(err_code_name((enum err_code)code), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set_clears_the_rest),
        cmocka_unit_test(test_an_argument_may_be_the_error_itself),
        cmocka_unit_test(test_errno),
        cmocka_unit_test(test_too_long_is_cut),
        cmocka_unit_test(test_every_code_has_a_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
