/* SPDX-License-Identifier: MIT */
/* A lease's arithmetic. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "flow/lease.h"

#define WALL_MS      1800000000000
#define DAY_MS       (24LL * 3600 * 1000)
#define WEEK_S       (7 * 24 * 3600)
#define YEAR_9999_MS 253402300799000

static void it_is_renewed_at_half(void **state)
{
    struct lease lease;

    (void)state;
    lease_init(&lease, 120000, YEAR_9999_MS, "r1", 5000);
    assert_string_equal(lease.receipt, "r1");
    assert_int_equal(lease.until_ms, 125000);
    assert_int_equal(lease_renew_in(&lease, 5000, WALL_MS), 60000);
    assert_int_equal(lease_renew_in(&lease, 63000, WALL_MS), 2000);
    assert_int_equal(lease_renew_in(&lease, 64999, WALL_MS), 1000);
    assert_int_equal(lease_renew_in(&lease, 999999, WALL_MS), 1000);
    lease_done(&lease);
}

static void it_is_over_when_its_span_has_passed(void **state)
{
    struct lease lease;

    (void)state;
    lease_init(&lease, 1000, YEAR_9999_MS, "r1", 5000);
    assert_false(lease_is_over(&lease, 5999));
    assert_true(lease_is_over(&lease, 6000));
    lease_done(&lease);
}

static void a_renewal_brings_receipt_and_span(void **state)
{
    struct lease lease;

    (void)state;
    lease_init(&lease, 1000, YEAR_9999_MS, "r1", 5000);
    lease_renewed(&lease, "r2", 5600, 1000);
    assert_string_equal(lease.receipt, "r2");
    assert_false(lease_is_over(&lease, 6599));
    assert_true(lease_is_over(&lease, 6600));
    lease_renewed(&lease, lease.receipt, 7000, 1000); /* its own text */
    assert_string_equal(lease.receipt, "r2");
    lease_done(&lease);
    lease_done(&lease);
}

static void a_renewal_cut_by_the_expiry_is_shorter(void **state)
{
    struct lease lease;

    (void)state;
    lease_init(&lease, 10000, YEAR_9999_MS, "r1", 5000);
    lease_renewed(&lease, "r2", 6000, 3000);
    assert_false(lease_is_over(&lease, 8999));
    assert_true(lease_is_over(&lease, 9000));
    lease_renewed(&lease, "r3", 6000, 7 * DAY_MS); /* rounded up to more than the lease */
    assert_true(lease_is_over(&lease, 16000));
    lease_done(&lease);
}

static void expect_visibility(int64_t expires_ms, int64_t wanted_ms, int64_t seconds)
{
    struct lease lease;

    lease_init(&lease, 1000, expires_ms, "r", 0);
    assert_int_equal(lease_visibility_s(&lease, wanted_ms, WALL_MS), seconds);
    lease_done(&lease);
}

static void a_visibility_is_rounded_up(void **state)
{
    (void)state;
    expect_visibility(YEAR_9999_MS, 0, 0);
    expect_visibility(YEAR_9999_MS, 1, 1);
    expect_visibility(YEAR_9999_MS, 1000, 1);
    expect_visibility(YEAR_9999_MS, 1001, 2);
}

static void a_visibility_is_never_beyond_seven_days(void **state)
{
    (void)state;
    expect_visibility(YEAR_9999_MS, 7 * DAY_MS, WEEK_S);
    expect_visibility(YEAR_9999_MS, 7 * DAY_MS + 1, WEEK_S);
    expect_visibility(YEAR_9999_MS, 400 * DAY_MS, WEEK_S);
}

static void a_visibility_ends_before_the_message_expires(void **state)
{
    struct lease lease;

    (void)state;
    for (int64_t left_ms = 2000; left_ms < 200000; left_ms += 777) {
        lease_init(&lease, 1000, WALL_MS + left_ms, "r", 0);
        int64_t seconds = lease_visibility_s(&lease, 3600000, WALL_MS);
        assert_true(seconds * 1000 < left_ms);
        assert_true(seconds * 1000 >= left_ms - 2000);
        lease_done(&lease);
    }
}

static void an_expired_message_is_shown_at_once(void **state)
{
    (void)state;
    expect_visibility(WALL_MS, 60000, 0);
    expect_visibility(WALL_MS + 999, 60000, 0);
    expect_visibility(WALL_MS - DAY_MS, 60000, 0);
    expect_visibility(0, 60000, 0);
}

static void without_renewal_it_is_looked_at_ever_more_often(void **state)
{
    struct lease lease;

    (void)state;
    lease_init(&lease, 600000, YEAR_9999_MS, "r1", 0);
    assert_int_equal(lease_watch_in(&lease, 0, WALL_MS), 300000);
    assert_int_equal(lease_watch_in(&lease, 300000, WALL_MS), 150000);
    assert_int_equal(lease_watch_in(&lease, 597000, WALL_MS), 1500);
    assert_int_equal(lease_watch_in(&lease, 598000, WALL_MS), 2000); /* then to its end */
    assert_int_equal(lease_watch_in(&lease, 600000, WALL_MS), 0);
    assert_int_equal(lease_watch_in(&lease, 700000, WALL_MS), 0);
    lease_done(&lease);
}

static void without_renewal_it_is_looked_at_before_the_message_expires(void **state)
{
    struct lease lease;

    (void)state;
    lease_init(&lease, 600000, WALL_MS + 8000, "r1", 0);
    lease.alert_ms = WALL_MS + 5000;
    assert_int_equal(lease_watch_in(&lease, 0, WALL_MS), 4000);
    assert_int_equal(lease_watch_in(&lease, 4000, WALL_MS + 4000), 1000);
    /* once is enough: its owner may be busy with it */
    assert_int_equal(lease_watch_in(&lease, 5000, WALL_MS + 5000), 1500);
    lease_done(&lease);
}

static void a_lease_that_outlasts_the_message_is_looked_at_while_that_lives(void **state)
{
    struct lease lease;

    (void)state;
    lease_init(&lease, 600000, WALL_MS + 40000, "r1", 0);
    assert_int_equal(lease_renew_in(&lease, 0, WALL_MS), 20000);
    assert_int_equal(lease_watch_in(&lease, 0, WALL_MS), 20000);
    assert_int_equal(lease_renew_in(&lease, 39000, WALL_MS + 39000), 1000);
    assert_int_equal(lease_watch_in(&lease, 39000, WALL_MS + 39000), 1000);
    /* it lives no more, or our clock is wrong */
    assert_int_equal(lease_renew_in(&lease, 40000, WALL_MS + 40000), 260000);
    assert_int_equal(lease_watch_in(&lease, 40000, WALL_MS + 40000), 280000);
    lease_done(&lease);
}

static void the_service_tells_the_time(void **state)
{
    struct lease lease;

    (void)state;
    clock_freeze(5000, WALL_MS + 9 * DAY_MS); /* nine days ahead */
    lease_init(&lease, 10000, WALL_MS + 7 * DAY_MS, "r", 5000);
    assert_int_equal(lease_service_ms(&lease, 6000), WALL_MS + 9 * DAY_MS + 1000);
    lease_heed_service(&lease, WALL_MS + 60000, WALL_MS, 5000);
    clock_freeze(6000, WALL_MS - DAY_MS);
    assert_int_equal(lease_service_ms(&lease, 6000), WALL_MS + 61000);
    /* no time, and two at which it was not there */
    lease_heed_service(&lease, 0, WALL_MS, 6000);
    lease_heed_service(&lease, WALL_MS - 1001, WALL_MS, 6000);
    lease_heed_service(&lease, WALL_MS + 8 * DAY_MS, WALL_MS, 6000);
    assert_int_equal(lease_service_ms(&lease, 6000), WALL_MS + 61000);
    lease_done(&lease);
    clock_freeze(-1, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_renewed_at_half),
        cmocka_unit_test(it_is_over_when_its_span_has_passed),
        cmocka_unit_test(a_renewal_brings_receipt_and_span),
        cmocka_unit_test(a_renewal_cut_by_the_expiry_is_shorter),
        cmocka_unit_test(a_visibility_is_rounded_up),
        cmocka_unit_test(a_visibility_is_never_beyond_seven_days),
        cmocka_unit_test(a_visibility_ends_before_the_message_expires),
        cmocka_unit_test(an_expired_message_is_shown_at_once),
        cmocka_unit_test(without_renewal_it_is_looked_at_ever_more_often),
        cmocka_unit_test(without_renewal_it_is_looked_at_before_the_message_expires),
        cmocka_unit_test(a_lease_that_outlasts_the_message_is_looked_at_while_that_lives),
        cmocka_unit_test(the_service_tells_the_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
