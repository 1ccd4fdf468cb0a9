/* SPDX-License-Identifier: MIT */
/* Messages that wait here: their order, the places they need, how many there may be. */
#include "../loop/waiting.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "flow/waits.h"

struct fixture {
    struct loop *loop;
    struct waits waits;
    struct wait wait[WAITS_MAX + 1];
    unsigned room;
    struct wait *leaves; /* from inside the next `due` */
    char order[16];      /* the owners' names */
};

static char names[] = "abcdefgh";

static bool has_room(void *arg)
{
    return ((struct fixture *)arg)->room > 0;
}

static void on_due(void *arg, void *owner)
{
    struct fixture *fixture = arg;

    fixture->order[strlen(fixture->order)] = *(char *)owner;
    fixture->room--;
    if (fixture->leaves != NULL)
        waits_leave(take(fixture->leaves));
}

static const struct waits_events events = {.has_room = has_room, .due = on_due};

static int set_up(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));

    fixture->loop = loop_new();
    fixture->room = 100;
    waits_init(&fixture->waits, fixture->loop, &events, fixture);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    waits_done(&fixture->waits);
    loop_free(fixture->loop);
    free(fixture);
    return 0;
}

static void add(struct fixture *fixture, unsigned i, int64_t delay_ms)
{
    assert_true(waits_add(&fixture->waits, &fixture->wait[i], &names[i], delay_ms));
}

static void expect_order(struct fixture *fixture, const char *order)
{
    run_a_moment(fixture->loop);
    assert_string_equal(fixture->order, order);
}

static bool are_four_due(void *arg)
{
    const struct fixture *fixture = arg;

    return strlen(fixture->order) == 4;
}

static void each_is_due_at_its_time_whenever_it_came(void **state)
{
    struct fixture *fixture = *state;

    add(fixture, 0, 400);
    add(fixture, 1, 200);
    add(fixture, 2, 100);
    add(fixture, 3, 300);
    add(fixture, 4, 60000);
    assert_string_equal(fixture->order, ""); /* never from inside */
    run_until(fixture->loop, are_four_due, fixture);
    assert_string_equal(fixture->order, "cbda");
    assert_int_equal(fixture->waits.count, 1);
    assert_null(fixture->wait[0].waits);
    waits_leave(&fixture->wait[4]);
    assert_int_equal(fixture->waits.count, 0);
}

static void what_is_due_waits_for_room(void **state)
{
    struct fixture *fixture = *state;

    fixture->room = 1;
    add(fixture, 0, 0);
    add(fixture, 1, 1);
    expect_order(fixture, "a");
    fixture->room = 1;
    expect_order(fixture, "a"); /* nobody said so */
    waits_wake(&fixture->waits);
    expect_order(fixture, "ab");
}

static void one_that_left_is_not_told(void **state)
{
    struct fixture *fixture = *state;

    add(fixture, 0, 0);
    add(fixture, 1, 0);
    add(fixture, 2, 0);
    waits_leave(&fixture->wait[0]);
    waits_leave(&fixture->wait[0]); /* once more is harmless */
    fixture->leaves = &fixture->wait[2];
    expect_order(fixture, "b");
    assert_int_equal(fixture->waits.count, 0);
}

static void one_may_wait_on_elsewhere(void **state)
{
    struct fixture *fixture = *state;
    struct waits other;

    waits_init(&other, fixture->loop, &events, fixture);
    add(fixture, 0, 2);
    add(fixture, 1, 60000);
    waits_move(&fixture->wait[0], &other);
    waits_move(&fixture->wait[1], &other);
    assert_int_equal(fixture->waits.count, 0);
    assert_int_equal(other.count, 2);
    expect_order(fixture, "a");
    assert_ptr_equal(fixture->wait[1].waits, &other);
    waits_done(&other);
}

static void there_is_a_ceiling(void **state)
{
    struct fixture *fixture = *state;

    for (unsigned i = 0; i < WAITS_MAX; i++)
        assert_true(waits_add(&fixture->waits, &fixture->wait[i], names, 60000));
    assert_false(waits_add(&fixture->waits, &fixture->wait[WAITS_MAX], names, 0));
    assert_null(fixture->wait[WAITS_MAX].waits);
    waits_leave(&fixture->wait[7]);
    assert_true(waits_add(&fixture->waits, &fixture->wait[WAITS_MAX], &names[1], 0));
    expect_order(fixture, "b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_is_due_at_its_time_whenever_it_came, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_is_due_waits_for_room, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_left_is_not_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_may_wait_on_elsewhere, set_up, tear_down),
        cmocka_unit_test_setup_teardown(there_is_a_ceiling, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
