/* SPDX-License-Identifier: MIT */
/* A lease that can not be renewed, or not any more: watched to its end. Renewals themselves are the e2e suite's matter. */
#include "../loop/waiting.h"

#include "base/clock.h"
#include "base/err.h"
#include "flow/lease.h"
#include "flow/renewal.h"

#define YEAR_9999_MS 253402300799000

struct fixture {
    struct loop *loop;
    struct lease lease;
    struct renewal renewal;
    bool has_other_plans, has_the_right;
    unsigned looked, failed;
    int64_t failed_ms;
};

static bool on_due(void *arg)
{
    struct fixture *fixture = arg;

    fixture->looked++;
    if (fixture->has_other_plans)
        loop_stop(fixture->loop);
    return !fixture->has_other_plans;
}

static bool may_renew(void *arg)
{
    const struct fixture *fixture = arg;

    return fixture->has_the_right;
}

static void on_failed(void *arg, const struct err *err)
{
    struct fixture *fixture = arg;

    assert_int_equal(err->code, ERR_AUTH);
    fixture->failed++;
    fixture->failed_ms = clock_mono_ms();
    loop_stop(fixture->loop);
}

static const struct renewal_events events = {
    .due = on_due, .may_renew = may_renew, .failed = on_failed};

static int set_up(void **state)
{
    static struct fixture fixture;

    fixture = (struct fixture){.loop = loop_new()};
    lease_init(&fixture.lease, 200, YEAR_9999_MS, "r1", clock_mono_ms());
    /* without a queue: a request would not survive it */
    renewal_init(&fixture.renewal, fixture.loop, NULL, &fixture.lease, "id-1", 50, &events,
                 &fixture);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    renewal_done(&fixture->renewal);
    lease_done(&fixture->lease);
    loop_free(fixture->loop);
    return 0;
}

static void its_end_is_told_once_and_nothing_is_sent(void **state)
{
    struct fixture *fixture = *state;

    renewal_start(&fixture->renewal);
    run_until_stopped(fixture->loop);
    assert_int_equal(fixture->failed, 1);
    assert_true(fixture->failed_ms >= fixture->lease.until_ms);
    run_a_moment(fixture->loop);
    assert_int_equal(fixture->failed, 1);
}

static void a_lease_that_was_taken_anew_is_watched_anew(void **state)
{
    struct fixture *fixture = *state;

    renewal_start(&fixture->renewal);
    run_until_stopped(fixture->loop);
    lease_renewed(&fixture->lease, "r2", clock_mono_ms(), 200);
    renewal_start(&fixture->renewal);
    run_until_stopped(fixture->loop);
    assert_int_equal(fixture->failed, 2);
    assert_true(fixture->failed_ms >= fixture->lease.until_ms);
}

static void its_owner_may_have_other_plans(void **state)
{
    struct fixture *fixture = *state;

    fixture->has_other_plans = true;
    renewal_start(&fixture->renewal);
    run_until_stopped(fixture->loop);
    run_a_moment(fixture->loop);
    assert_int_equal(fixture->looked, 1);
    assert_int_equal(fixture->failed, 0);
}

static void it_is_not_renewed_beyond_the_message_s_life(void **state)
{
    struct fixture *fixture = *state;

    fixture->has_the_right = true;
    fixture->lease.expires_ms = clock_wall_ms() + 1500;
    renewal_start(&fixture->renewal);
    run_until_stopped(fixture->loop);
    assert_int_equal(fixture->failed, 1);
    assert_true(fixture->failed_ms >= fixture->lease.until_ms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(its_end_is_told_once_and_nothing_is_sent, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_lease_that_was_taken_anew_is_watched_anew, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(its_owner_may_have_other_plans, set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_is_not_renewed_beyond_the_message_s_life, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
