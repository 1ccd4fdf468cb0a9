/* SPDX-License-Identifier: MIT */
/* Lanes: places, keys, the order of those who wait, and broken hooks. */
#include "../loop/waiting.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "flow/lane.h"

struct fixture {
    struct loop *loop;
    struct lanes *lanes;
    struct lane *lane;
    char order[64]; /* names of those that were granted later */
};

struct entry {
    struct fixture *fixture;
    char name;
    struct ticket *ticket;
    bool has_turn;
    bool leaves_at_once;
};

static int set_up(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));

    fixture->loop = loop_new();
    fixture->lanes = lanes_new(fixture->loop);
    fixture->lane = lanes_get(fixture->lanes, "deploy");
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    lanes_free(fixture->lanes);
    loop_free(fixture->loop);
    free(fixture);
    return 0;
}

static void leave(struct entry *entry)
{
    lane_leave(take(entry->ticket));
    entry->has_turn = false;
}

static void on_granted(void *arg)
{
    struct entry *entry = arg;
    size_t len = strlen(entry->fixture->order);

    assert_false(entry->has_turn);
    entry->has_turn = true;
    entry->fixture->order[len] = entry->name;
    if (entry->leaves_at_once)
        leave(entry);
}

static bool claim(struct fixture *fixture, struct entry *entry, char name,
                  const struct lane_claim *claim)
{
    *entry = (struct entry){.fixture = fixture, .name = name};
    entry->has_turn = lane_enter(fixture->lane, claim, on_granted, entry, &entry->ticket);
    assert_non_null(entry->ticket);
    return entry->has_turn;
}

static bool enter(struct fixture *fixture, struct entry *entry, char name, unsigned parallel,
                  const char *key)
{
    return claim(fixture, entry, name,
                 &(struct lane_claim){.parallel = parallel, .key = key, .alone = key != NULL});
}

static void expect_order(struct fixture *fixture, const char *order)
{
    run_a_moment(fixture->loop);
    assert_string_equal(fixture->order, order);
}

static void no_more_than_parallel_run(void **state)
{
    struct fixture *fixture = *state;
    struct entry a, b, c, d;

    assert_true(enter(fixture, &a, 'a', 2, NULL));
    assert_true(enter(fixture, &b, 'b', 2, NULL));
    assert_false(enter(fixture, &c, 'c', 2, NULL));
    assert_false(enter(fixture, &d, 'd', 2, NULL));
    expect_order(fixture, "");
    leave(&b);
    assert_false(c.has_turn); /* not from inside */
    expect_order(fixture, "c");
    leave(&a);
    leave(&c);
    expect_order(fixture, "cd");
    leave(&d);
}

static void without_bound_all_run(void **state)
{
    struct fixture *fixture = *state;
    struct entry entries[100];

    for (unsigned i = 0; i < array_size(entries); i++)
        assert_true(enter(fixture, &entries[i], 'x', 0, NULL));
    for (unsigned i = 0; i < array_size(entries); i++)
        leave(&entries[i]);
}

static void turns_come_in_the_order_asked(void **state)
{
    struct fixture *fixture = *state;
    struct entry first, entries[10];

    assert_true(enter(fixture, &first, '-', 1, NULL));
    for (unsigned i = 0; i < array_size(entries); i++) {
        assert_false(enter(fixture, &entries[i], (char)('a' + i), 1, NULL));
        entries[i].leaves_at_once = true;
    }
    leave(&first);
    expect_order(fixture, "abcdefghij");
}

static void nobody_slips_in_before_those_who_wait(void **state)
{
    struct fixture *fixture = *state;
    struct entry a, b, c;

    assert_true(enter(fixture, &a, 'a', 1, NULL));
    assert_false(enter(fixture, &b, 'b', 1, NULL));
    leave(&a); /* the place is free, and b's */
    assert_false(enter(fixture, &c, 'c', 1, NULL));
    expect_order(fixture, "b");
    leave(&b);
    expect_order(fixture, "bc");
    leave(&c);
}

static void one_key_runs_once_at_a_time(void **state)
{
    struct fixture *fixture = *state;
    struct entry a, b, c, d;

    assert_true(enter(fixture, &a, 'a', 0, "one"));
    assert_false(enter(fixture, &b, 'b', 0, "one"));
    assert_true(enter(fixture, &c, 'c', 0, "two")); /* past the one that waits for its key only */
    assert_true(enter(fixture, &d, 'd', 0, NULL));
    expect_order(fixture, "");
    leave(&c);
    leave(&d);
    expect_order(fixture, "");
    leave(&a);
    expect_order(fixture, "b");
    leave(&b);
}

static void a_key_is_copied(void **state)
{
    struct fixture *fixture = *state;
    struct entry a, b;
    char key[] = "one";

    assert_true(enter(fixture, &a, 'a', 0, key));
    strcpy(key, "two");
    assert_false(enter(fixture, &b, 'b', 0, "one"));
    leave(&a);
    expect_order(fixture, "b");
    leave(&b);
}

static void who_wants_to_be_alone_waits_for_those_who_did_not(void **state)
{
    const struct lane_claim any = {.key = "one"}, alone = {.key = "one", .alone = true};
    struct fixture *fixture = *state;
    struct entry a, b, c;

    assert_true(claim(fixture, &a, 'a', &any));
    assert_true(claim(fixture, &b, 'b', &any));
    assert_false(claim(fixture, &c, 'c', &alone));
    leave(&a);
    expect_order(fixture, "");
    leave(&b);
    expect_order(fixture, "c");
    assert_true(claim(fixture, &a, 'a', &any));
    leave(&a);
    leave(&c);
}

static void keys_and_places_hold_together(void **state)
{
    struct fixture *fixture = *state;
    struct entry a, b, c, d;

    assert_true(enter(fixture, &a, 'a', 2, "one"));
    assert_false(enter(fixture, &b, 'b', 2, "one"));
    assert_true(enter(fixture, &c, 'c', 2, "two"));
    assert_false(enter(fixture, &d, 'd', 2, "three"));
    leave(&c);
    expect_order(fixture, "d"); /* b's key is still taken */
    leave(&a);
    expect_order(fixture, "db");
    leave(&b);
    leave(&d);
}

static void who_waits_may_leave(void **state)
{
    struct fixture *fixture = *state;
    struct entry a, b, c;

    lane_leave(NULL);
    assert_true(enter(fixture, &a, 'a', 1, NULL));
    assert_false(enter(fixture, &b, 'b', 1, NULL));
    assert_false(enter(fixture, &c, 'c', 1, NULL));
    leave(&b);
    leave(&a);
    leave(&c);
    expect_order(fixture, "");
    assert_true(enter(fixture, &a, 'a', 1, NULL));
    leave(&a);
}

static void a_wider_lane_after_a_reload_does_not_starve_who_waits(void **state)
{
    struct fixture *fixture = *state;
    struct entry a, b, c;

    assert_true(enter(fixture, &a, 'a', 1, NULL));
    assert_false(enter(fixture, &b, 'b', 1, NULL));
    bool overtaken = enter(fixture, &c, 'c', 2, NULL); /* b was first */
    leave(&a);
    run_a_moment(fixture->loop);
    bool served = b.has_turn;
    leave(&b);
    leave(&c);
    assert_false(overtaken);
    assert_true(served);
}

static void lanes_are_apart_and_known_by_name(void **state)
{
    struct fixture *fixture = *state;
    struct entry a, b;

    assert_ptr_equal(lanes_get(fixture->lanes, "deploy"), fixture->lane);
    assert_true(enter(fixture, &a, 'a', 1, "key"));
    fixture->lane = lanes_get(fixture->lanes, "other");
    assert_true(enter(fixture, &b, 'b', 1, "key"));
    leave(&a);
    leave(&b);
}

/* --- broken hooks --- */

static void a_broken_hook_is_left_alone_ever_longer(void **state)
{
    struct fixture *fixture = *state;
    int64_t now_ms = 1000, span_ms = 1000;
    bool first;

    assert_int_equal(lane_broken_for(fixture->lane, now_ms), 0);
    for (int i = 0; i < 12; i++) {
        int64_t wait_ms = lane_broke(fixture->lane, now_ms, &first);

        assert_int_equal(first, i == 0);
        assert_in_range(wait_ms, span_ms / 2, span_ms);
        assert_int_equal(lane_broken_for(fixture->lane, now_ms), wait_ms);
        assert_int_equal(lane_broken_for(fixture->lane, now_ms + wait_ms - 1), 1);
        assert_int_equal(lane_broken_for(fixture->lane, now_ms + wait_ms), 0);
        now_ms += wait_ms;
        span_ms = min_of(span_ms * 2, 60000);
    }
}

static void runs_that_fail_together_are_one_failure(void **state)
{
    struct fixture *fixture = *state;
    bool first;
    int64_t wait_ms = lane_broke(fixture->lane, 1000, &first);

    assert_true(first);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(lane_broke(fixture->lane, 1000, &first), wait_ms);
        assert_false(first);
    }
    assert_int_equal(lane_broke(fixture->lane, 1100, &first), wait_ms - 100);
}

static void a_hook_that_works_begins_anew(void **state)
{
    struct fixture *fixture = *state;
    bool first;

    assert_false(lane_works(fixture->lane));
    for (int64_t now_ms = 0; now_ms < 600000; now_ms += 60000)
        (void)lane_broke(fixture->lane, now_ms, &first);
    assert_true(lane_works(fixture->lane));
    assert_false(lane_works(fixture->lane));
    assert_int_equal(lane_broken_for(fixture->lane, 600000), 0);
    assert_in_range(lane_broke(fixture->lane, 600000, &first), 500, 1000);
    assert_true(first);
}

static void a_broken_hook_is_known_until_mended(void **state)
{
    struct fixture *fixture = *state;
    bool first;

    assert_false(lanes_is_broken(fixture->lanes, "deploy"));
    (void)lane_broke(fixture->lane, 1000, &first);
    (void)lanes_get(fixture->lanes, "b");
    assert_true(lanes_is_broken(fixture->lanes, "deploy"));
    assert_false(lanes_is_broken(fixture->lanes, "b"));
    assert_false(lanes_is_broken(fixture->lanes, "nobody"));
    lanes_mend(fixture->lanes);
    assert_false(lanes_is_broken(fixture->lanes, "deploy"));
    assert_int_equal(lane_broken_for(fixture->lane, 1000), 0);
}

static void on_forgot(void *arg, const char *hook)
{
    struct fixture *fixture = arg;

    snprintf(fixture->order, sizeof(fixture->order), "%s", hook);
}

static void a_broken_hook_that_nobody_asks_for_is_forgotten(void **state)
{
    const int64_t now_ms = 1000, long_ms = 600000;
    struct fixture *fixture = *state;
    struct ticket *ticket;
    bool first;

    lanes_on_forgot(fixture->lanes, on_forgot, fixture);
    int64_t until_ms = now_ms + lane_broke(fixture->lane, now_ms, &first);
    lanes_forget(fixture->lanes, until_ms + long_ms - 1);
    assert_string_equal(fixture->order, "");
    /* while a message waits for it, or runs, it is not forgotten */
    assert_true(
        lane_enter(fixture->lane, &(struct lane_claim){.parallel = 1}, on_granted, NULL, &ticket));
    lanes_forget(fixture->lanes, until_ms + long_ms);
    assert_string_equal(fixture->order, "");
    lane_leave(ticket);
    lanes_forget(fixture->lanes, until_ms + long_ms);
    assert_string_equal(fixture->order, "deploy");
    assert_false(lanes_is_broken(fixture->lanes, "deploy"));
    /* and is news again */
    (void)lane_broke(fixture->lane, until_ms + long_ms, &first);
    assert_true(first);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(no_more_than_parallel_run),
        TEST(without_bound_all_run),
        TEST(turns_come_in_the_order_asked),
        TEST(nobody_slips_in_before_those_who_wait),
        TEST(one_key_runs_once_at_a_time),
        TEST(a_key_is_copied),
        TEST(who_wants_to_be_alone_waits_for_those_who_did_not),
        TEST(keys_and_places_hold_together),
        TEST(who_waits_may_leave),
        TEST(a_wider_lane_after_a_reload_does_not_starve_who_waits),
        TEST(lanes_are_apart_and_known_by_name),
        TEST(a_broken_hook_is_left_alone_ever_longer),
        TEST(runs_that_fail_together_are_one_failure),
        TEST(a_hook_that_works_begins_anew),
        TEST(a_broken_hook_is_known_until_mended),
        TEST(a_broken_hook_that_nobody_asks_for_is_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
