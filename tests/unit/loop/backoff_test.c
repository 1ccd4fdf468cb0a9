/* SPDX-License-Identifier: MIT */
/* Back-off: the spans, and the jitter's bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "loop/backoff.h"

static void expect_between(struct backoff *backoff, int64_t least_ms, int64_t most_ms)
{
    assert_in_range(backoff_next(backoff), least_ms, most_ms);
}

static void spans_double_up_to_the_cap(void **state)
{
    struct backoff backoff;

    (void)state;
    for (int round = 0; round < 200; round++) {
        backoff_init(&backoff, 500, 15000);
        expect_between(&backoff, 250, 500);
        expect_between(&backoff, 500, 1000);
        expect_between(&backoff, 1000, 2000);
        expect_between(&backoff, 2000, 4000);
        expect_between(&backoff, 4000, 8000);
        for (int i = 0; i < 5; i++)
            expect_between(&backoff, 7500, 15000);
    }
}

static void the_jitter_uses_its_room(void **state)
{
    int64_t least_ms = INT64_MAX, most_ms = 0;

    (void)state;
    for (int i = 0; i < 2000; i++) {
        struct backoff backoff;
        backoff_init(&backoff, 1000, 1000);
        int64_t wait_ms = backoff_next(&backoff);
        least_ms = min_of(least_ms, wait_ms);
        most_ms = max_of(most_ms, wait_ms);
    }
    assert_in_range(least_ms, 500, 550);
    assert_in_range(most_ms, 950, 1000);
}

static void a_reset_begins_anew(void **state)
{
    struct backoff backoff;

    (void)state;
    backoff_init(&backoff, 100, 100000);
    for (int i = 0; i < 10; i++)
        (void)backoff_next(&backoff);
    backoff_reset(&backoff);
    expect_between(&backoff, 50, 100);
    expect_between(&backoff, 100, 200);
}

static void it_is_never_zero(void **state)
{
    (void)state;
    for (int i = 0; i < 200; i++) {
        struct backoff backoff;
        backoff_init(&backoff, 1, 1);
        assert_int_equal(backoff_next(&backoff), 1);
        assert_int_equal(backoff_next(&backoff), 1);
    }
}

static void a_cap_below_the_first_is_the_first(void **state)
{
    struct backoff backoff;

    (void)state;
    backoff_init(&backoff, 1000, 10);
    for (int i = 0; i < 5; i++)
        expect_between(&backoff, 500, 1000);
}

static void long_spans_do_not_overflow(void **state)
{
    struct backoff backoff;
    const int64_t week_ms = 7LL * 24 * 3600 * 1000;

    (void)state;
    backoff_init(&backoff, 1000, week_ms); /* no setting is longer */
    for (int i = 0; i < 70; i++)
        expect_between(&backoff, 500, week_ms);
    expect_between(&backoff, week_ms / 2, week_ms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_double_up_to_the_cap),
        cmocka_unit_test(the_jitter_uses_its_room),
        cmocka_unit_test(a_reset_begins_anew),
        cmocka_unit_test(it_is_never_zero),
        cmocka_unit_test(a_cap_below_the_first_is_the_first),
        cmocka_unit_test(long_spans_do_not_overflow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
