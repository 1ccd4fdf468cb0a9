/* SPDX-License-Identifier: MIT */
/* Clocks that differ are told of, when they differ enough. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "net/skew.h"

#define THEIRS    "Fri, 01 Jan 2027 00:00:00 GMT"
#define THEIRS_MS 1798761600000

static void expect_told(const char *date, int64_t ahead_ms, const char *expected)
{
    autobuf text;

    buf_init(&text, BUF_ANY_SIZE);
    clock_freeze(0, THEIRS_MS + ahead_ms);
    skew_explain(date, "the service's", &text);
    clock_freeze(-1, -1);
    assert_string_equal(text.data, expected);
}

static void a_clock_that_is_ahead_or_behind_is_named(void **state)
{
    (void)state;
    expect_told(THEIRS, 40 * 60 * 1000,
                "; this machine's clock is 40m ahead of the service's: set it right");
    expect_told(THEIRS, -2 * 3600 * 1000,
                "; this machine's clock is 2h behind the service's: set it right");
    expect_told(THEIRS, 5 * 60 * 1000,
                "; this machine's clock is 5m ahead of the service's: set it right");
}

static void what_is_small_or_not_known_is_not(void **state)
{
    (void)state;
    expect_told(THEIRS, 5 * 60 * 1000 - 1, "");
    expect_told(THEIRS, -5 * 60 * 1000 + 1, "");
    expect_told("nonsense", 3600 * 1000, "");
    expect_told(NULL, 3600 * 1000, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_clock_that_is_ahead_or_behind_is_named),
        cmocka_unit_test(what_is_small_or_not_known_is_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
