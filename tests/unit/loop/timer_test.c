/* SPDX-License-Identifier: MIT */
/* One-shot timers: when they fire, and what their own callbacks may do to them. */
#include "waiting.h"

#include <string.h>

#include "base/clock.h"

struct fixture {
    struct loop *loop;
    struct timer timer;
    struct timer other;
    unsigned fired;
    char order[16];
    int64_t set_again_ms; /* from inside the callback; negative: not */
};

static void note(struct fixture *fixture, char c)
{
    size_t len = strlen(fixture->order);

    if (len + 1 < sizeof(fixture->order))
        fixture->order[len] = c;
    fixture->fired++;
}

static void on_timer(void *arg)
{
    struct fixture *fixture = arg;

    note(fixture, 'a');
    assert_false(timer_is_set(&fixture->timer));
    if (fixture->set_again_ms >= 0) {
        timer_set(&fixture->timer, fixture->set_again_ms);
        fixture->set_again_ms = -1;
    } else {
        loop_stop(fixture->loop);
    }
}

static void on_other(void *arg)
{
    struct fixture *fixture = arg;

    note(fixture, 'b');
    loop_stop(fixture->loop);
}

static int set_up(void **state)
{
    static struct fixture fixture;

    fixture = (struct fixture){.loop = loop_new(), .set_again_ms = -1};
    timer_init(&fixture.timer, fixture.loop, on_timer, &fixture);
    timer_init(&fixture.other, fixture.loop, on_other, &fixture);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    timer_done(&fixture->timer);
    timer_done(&fixture->other);
    timer_done(&fixture->other); /* once more is harmless */
    loop_free(fixture->loop);
    return 0;
}

static void a_delay_of_zero_fires_from_the_loop(void **state)
{
    struct fixture *fixture = *state;

    timer_set(&fixture->timer, 0);
    assert_int_equal(fixture->fired, 0);
    assert_true(timer_is_set(&fixture->timer));
    run_until_stopped(fixture->loop);
    assert_int_equal(fixture->fired, 1);
    assert_false(timer_is_set(&fixture->timer));
}

static void a_negative_delay_is_none(void **state)
{
    struct fixture *fixture = *state;

    timer_set(&fixture->timer, -5000);
    run_until_stopped(fixture->loop);
    assert_int_equal(fixture->fired, 1);
}

static void it_never_fires_early(void **state)
{
    struct fixture *fixture = *state;
    int64_t before_ms = clock_mono_ms();

    timer_set(&fixture->timer, 50);
    run_until_stopped(fixture->loop);
    assert_true(clock_mono_ms() - before_ms >= 50 - GRAIN_MS);
}

static void it_fires_once(void **state)
{
    struct fixture *fixture = *state;

    timer_set(&fixture->timer, 0);
    run_until_stopped(fixture->loop);
    run_a_moment(fixture->loop);
    assert_int_equal(fixture->fired, 1);
}

static void setting_it_again_replaces(void **state)
{
    struct fixture *fixture = *state;

    timer_set(&fixture->timer, 0);
    timer_set(&fixture->timer, 3600 * 1000);
    timer_set(&fixture->other, 20);
    run_until_stopped(fixture->loop);
    assert_string_equal(fixture->order, "b");
    timer_set(&fixture->timer, 0);
    run_until_stopped(fixture->loop);
    assert_string_equal(fixture->order, "ba");
}

static void cleared_it_does_not_fire(void **state)
{
    struct fixture *fixture = *state;

    timer_clear(&fixture->timer); /* not set: harmless */
    timer_set(&fixture->timer, 0);
    timer_clear(&fixture->timer);
    assert_false(timer_is_set(&fixture->timer));
    run_a_moment(fixture->loop);
    assert_int_equal(fixture->fired, 0);
}

static void it_may_be_set_from_its_own_callback(void **state)
{
    struct fixture *fixture = *state;

    fixture->set_again_ms = 0;
    timer_set(&fixture->timer, 0);
    run_until_stopped(fixture->loop);
    assert_int_equal(fixture->fired, 2);
}

static void clear_both(void *arg)
{
    struct fixture *fixture = arg;

    note(fixture, 'c');
    timer_clear(&fixture->timer);
    timer_clear(&fixture->other);
}

static void a_callback_may_clear_one_that_is_due_with_it(void **state)
{
    struct fixture *fixture = *state;
    struct timer first;

    timer_init(&first, fixture->loop, clear_both, fixture);
    timer_set(&first, 0);
    timer_set(&fixture->timer, 0);
    timer_set(&fixture->other, 0);
    run_a_moment(fixture->loop);
    timer_done(&first);
    /* Those that came before it in the same turn may have fired; what was cleared has not. */
    assert_non_null(strchr(fixture->order, 'c'));
    assert_string_equal(strchr(fixture->order, 'c'), "c");
}

static void finish_itself(void *arg)
{
    struct fixture *fixture = arg;

    timer_done(&fixture->other);
    loop_stop(fixture->loop);
}

static void it_may_be_done_with_in_its_own_callback(void **state)
{
    struct fixture *fixture = *state;

    timer_done(&fixture->other);
    timer_init(&fixture->other, fixture->loop, finish_itself, fixture);
    timer_set(&fixture->other, 0);
    run_until_stopped(fixture->loop);
}

static void the_earlier_fires_first(void **state)
{
    struct fixture *fixture = *state;

    fixture->set_again_ms = 3600 * 1000;
    timer_set(&fixture->other, 40);
    timer_set(&fixture->timer, 5);
    run_until_stopped(fixture->loop);
    assert_string_equal(fixture->order, "ab");
}

static void a_very_long_delay_does_not_overflow(void **state)
{
    struct fixture *fixture = *state;

    timer_set(&fixture->timer, 400LL * 365 * 24 * 3600 * 1000);
    run_a_moment(fixture->loop);
    assert_int_equal(fixture->fired, 0);
    assert_true(timer_is_set(&fixture->timer));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_delay_of_zero_fires_from_the_loop),
        TEST(a_negative_delay_is_none),
        TEST(it_never_fires_early),
        TEST(it_fires_once),
        TEST(setting_it_again_replaces),
        TEST(cleared_it_does_not_fire),
        TEST(it_may_be_set_from_its_own_callback),
        TEST(a_callback_may_clear_one_that_is_due_with_it),
        TEST(it_may_be_done_with_in_its_own_callback),
        TEST(the_earlier_fires_first),
        TEST(a_very_long_delay_does_not_overflow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
