/* SPDX-License-Identifier: MIT */
/* Which hooks run, and what their results make of a message. No clock, no I/O. */
#include "../hook/hooks.h"

#include "flow/dispatch.h"
#include "flow/settings.h"

#define MAX_HOOKS 6
#define NOW_MS    1800000000000
#define SECOND_MS 1000LL
#define MINUTE_MS (60 * SECOND_MS)

struct fixture {
    struct written written[MAX_HOOKS];
    struct hook *hooks[MAX_HOOKS];
    unsigned hook_count;
    struct event *event;
    struct dispatch dispatch;
    struct queue_settings queue;
};

static int64_t delays_ms[] = {10 * SECOND_MS, MINUTE_MS, 5 * MINUTE_MS};

static int set_up(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));

    fixture->queue = (struct queue_settings){
        .retry_delay = {.items_ms = delays_ms, .count = array_size(delays_ms)},
        .max_attempts = 3,
    };
    fixture->event = event_of(EXPORT_OF(PROJECT, ""));
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    dispatch_done(&fixture->dispatch);
    for (unsigned i = 0; i < fixture->hook_count; i++) {
        hook_free(fixture->hooks[i]);
        written_done(&fixture->written[i]);
    }
    event_discard(fixture->event);
    free(fixture);
    return 0;
}

/* A hook of that name with more keys, as in ", on_failure: continue". */
static void given_hook(struct fixture *fixture, const char *name, const char *more)
{
    const struct hook_context context = {0};
    unsigned i = fixture->hook_count++;
    autofree char *text =
        xasprintf("{name: %s, on: '*', exec: {command: /bin/true}%s}", name, more);

    written_good(&fixture->written[i], text);
    fixture->hooks[i] = hook_new(&context, fixture->written[i].settings);
}

static void begin(struct fixture *fixture)
{
    dispatch_init(&fixture->dispatch, fixture->hooks, fixture->hook_count, fixture->event,
                  "events");
}

/* Hooks a, b, c, ... of which those named in `continues` go on after a failure. */
static void given(struct fixture *fixture, unsigned count, const char *continues)
{
    for (unsigned i = 0; i < count; i++) {
        char name[] = {(char)('a' + i), '\0'};
        given_hook(fixture, name,
                   strchr(continues, name[0]) != NULL ? ", on_failure: continue" : "");
    }
    begin(fixture);
}

static void recall_all(struct fixture *fixture, const struct ledger_step *steps, unsigned count)
{
    const struct ledger_message known = {.receipts = 2, .steps = steps, .count = count};

    dispatch_recall(&fixture->dispatch, &known, &fixture->queue, NOW_MS);
}

static void recall(struct fixture *fixture, const struct ledger_step *step)
{
    recall_all(fixture, step, 1);
}

static struct step *next_runs(struct fixture *fixture, const char *hook)
{
    struct step *step;
    int64_t delay_ms;

    assert_int_equal(dispatch_next(&fixture->dispatch, &step, &delay_ms), VERDICT_RUN);
    assert_string_equal(step->record.hook, hook);
    return step;
}

static void next_is_done(struct fixture *fixture)
{
    struct step *step;
    int64_t delay_ms;

    assert_int_equal(dispatch_next(&fixture->dispatch, &step, &delay_ms), VERDICT_DONE);
}

static void next_waits(struct fixture *fixture, const char *hook, int64_t wanted_ms)
{
    struct step *step;
    int64_t delay_ms;

    assert_int_equal(dispatch_next(&fixture->dispatch, &step, &delay_ms), VERDICT_RETRY);
    assert_string_equal(step->record.hook, hook);
    assert_int_equal(delay_ms, wanted_ms);
}

static struct step *next_rejects(struct fixture *fixture, const char *hook, const char *reason)
{
    struct step *step;
    int64_t delay_ms;

    assert_int_equal(dispatch_next(&fixture->dispatch, &step, &delay_ms), VERDICT_REJECT);
    assert_string_equal(step->record.hook, hook);
    assert_string_equal(step->record.reason, reason);
    assert_int_equal(step->record.state, LEDGER_REJECTED);
    return step;
}

/* The next step runs, and ends so. */
static struct step *ends(struct fixture *fixture, const char *hook, enum hook_outcome outcome,
                         int exit_status)
{
    struct step *step = next_runs(fixture, hook);
    const struct hook_result result = {
        .outcome = outcome, .exit_status = exit_status, .text = "x", .tail = "tail\n"};

    dispatch_ended(step, &result, &fixture->queue, NOW_MS);
    return step;
}

/* --- verdicts --- */

static void without_hooks_it_is_done(void **state)
{
    given(*state, 0, "");
    next_is_done(*state);
}

static void hooks_that_do_not_match_are_no_steps(void **state)
{
    struct fixture *fixture = *state;

    given_hook(fixture, "a", ", queues: other");
    given_hook(fixture, "b", "");
    begin(fixture);
    assert_int_equal(fixture->dispatch.count, 1);
    (void)next_runs(fixture, "b");
}

static void steps_run_in_the_order_written(void **state)
{
    struct fixture *fixture = *state;

    given(fixture, 3, "");
    ends(fixture, "a", HOOK_DONE, 0);
    ends(fixture, "b", HOOK_DONE, 0);
    struct step *last = ends(fixture, "c", HOOK_DONE, 0);
    next_is_done(fixture);
    assert_int_equal(last->record.state, LEDGER_DONE);
    assert_int_equal(last->record.exit_status, 0);
    assert_int_equal(last->record.ended_ms, NOW_MS);
    assert_int_equal(last->record.attempts, 0);
    assert_string_equal(last->record.tail, "tail\n");
}

static void a_failed_step_with_stop_ends_the_delivery(void **state)
{
    struct fixture *fixture = *state;

    given(fixture, 3, "");
    ends(fixture, "a", HOOK_DONE, 0);
    struct step *failed = ends(fixture, "b", HOOK_FAILED, 3);
    next_waits(fixture, "b", 10 * SECOND_MS);
    assert_int_equal(failed->record.state, LEDGER_FAILED);
    assert_int_equal(failed->record.attempts, 1);
    assert_int_equal(failed->record.exit_status, 3);
}

static void a_failed_step_with_continue_lets_later_ones_run(void **state)
{
    struct fixture *fixture = *state;

    given(fixture, 3, "ab");
    ends(fixture, "a", HOOK_FAILED, 1);
    ends(fixture, "b", HOOK_FAILED, 1);
    ends(fixture, "c", HOOK_DONE, 0);
    next_waits(fixture, "a", 10 * SECOND_MS);
}

static void a_rejected_step_with_stop_skips_later_ones(void **state)
{
    struct fixture *fixture = *state;

    given(fixture, 3, "");
    ends(fixture, "a", HOOK_REJECTED, 65);
    (void)next_rejects(fixture, "a", "rejected");
}

static void a_rejected_step_with_continue_lets_later_ones_run(void **state)
{
    struct fixture *fixture = *state;

    given(fixture, 3, "ab");
    ends(fixture, "a", HOOK_REJECTED, 65);
    ends(fixture, "b", HOOK_REJECTED, 65);
    ends(fixture, "c", HOOK_DONE, 0);
    struct step *step = next_rejects(fixture, "a", "rejected"); /* the first */
    assert_int_equal(step->record.exit_status, 65);
}

static void a_waiting_step_comes_before_the_poison(void **state)
{
    struct fixture *fixture = *state;

    given(fixture, 3, "abc");
    ends(fixture, "a", HOOK_REJECTED, 65);
    ends(fixture, "b", HOOK_LATER, 75);
    ends(fixture, "c", HOOK_REJECTED, 65);
    next_waits(fixture, "b", 10 * SECOND_MS);
}

static void of_several_that_wait_the_soonest_counts(void **state)
{
    struct fixture *fixture = *state;

    given(fixture, 2, "ab");
    ends(fixture, "a", HOOK_FAILED, 1);
    fixture->dispatch.steps[0].delay_ms = MINUTE_MS;
    ends(fixture, "b", HOOK_FAILED, 1);
    next_waits(fixture, "a", 10 * SECOND_MS);
}

static void what_waits_with_stop_holds_back_after_what_goes_on(void **state)
{
    struct fixture *fixture = *state;

    given(fixture, 3, "a");
    ends(fixture, "a", HOOK_FAILED, 1);
    ends(fixture, "b", HOOK_FAILED, 1);
    next_waits(fixture, "a", 10 * SECOND_MS);
}

/* --- attempts and delays --- */

static void delays_follow_the_list_and_the_last_repeats(void **state)
{
    static const int64_t wanted_ms[] = {10 * SECOND_MS, MINUTE_MS, 5 * MINUTE_MS, 5 * MINUTE_MS,
                                        5 * MINUTE_MS};
    struct fixture *fixture = *state;

    fixture->queue.max_attempts = 100;
    given(fixture, 1, "");
    for (unsigned i = 0; i < array_size(wanted_ms); i++) {
        ends(fixture, "a", i % 2 == 0 ? HOOK_FAILED : HOOK_LATER, 1);
        next_waits(fixture, "a", wanted_ms[i]);
        fixture->dispatch.steps[0].state = STEP_PENDING; /* it is back */
    }
    assert_int_equal(fixture->dispatch.steps[0].record.attempts, 3);
    assert_int_equal(fixture->dispatch.steps[0].record.delays, 5);
}

static void the_last_attempt_rejects(void **state)
{
    struct fixture *fixture = *state;

    given(fixture, 2, "");
    for (int i = 0; i < 2; i++) {
        ends(fixture, "a", HOOK_FAILED, 7);
        fixture->dispatch.steps[0].state = STEP_PENDING;
    }
    ends(fixture, "a", HOOK_FAILED, 7);
    struct step *step = next_rejects(fixture, "a", "out-of-attempts");
    assert_int_equal(step->record.attempts, 3);
    assert_int_equal(step->record.exit_status, 7);
    assert_string_equal(step->record.tail, "tail\n");
}

static void one_attempt_only_rejects_at_once(void **state)
{
    struct fixture *fixture = *state;

    fixture->queue.max_attempts = 1;
    given(fixture, 1, "");
    ends(fixture, "a", HOOK_FAILED, -1);
    (void)next_rejects(fixture, "a", "out-of-attempts");
}

static void later_spends_no_attempt_however_often(void **state)
{
    struct fixture *fixture = *state;

    given(fixture, 1, "");
    for (int i = 0; i < 50; i++) {
        struct step *step = ends(fixture, "a", HOOK_LATER, 75);
        assert_int_equal(step->record.attempts, 0);
        assert_int_equal(step->record.state, LEDGER_LATER);
        assert_int_equal(step->state, STEP_WAITING);
        step->state = STEP_PENDING;
    }
}

static void a_host_fault_spends_nothing(void **state)
{
    struct fixture *fixture = *state;

    given(fixture, 1, "");
    for (int i = 0; i < 50; i++) {
        struct step *step = ends(fixture, "a", HOOK_HOST_FAULT, -1);
        dispatch_put_off(step, 4321);
        next_waits(fixture, "a", 4321);
        assert_int_equal(step->record.state, LEDGER_INTERRUPTED);
        assert_int_equal(step->record.attempts, 0);
        assert_int_equal(step->record.delays, 0);
        assert_int_equal(step->record.interruptions, 0);
        step->state = STEP_PENDING;
    }
}

static void a_host_fault_does_not_forget_attempts(void **state)
{
    struct fixture *fixture = *state;

    given(fixture, 1, "");
    ends(fixture, "a", HOOK_FAILED, 1)->state = STEP_PENDING;
    struct step *step = next_runs(fixture, "a");
    const struct hook_result fault = {
        .outcome = HOOK_HOST_FAULT, .exit_status = -1, .text = "no such program"};
    dispatch_ended(step, &fault, &fixture->queue, NOW_MS + 1);
    assert_int_equal(step->record.attempts, 1);
    assert_int_equal(step->record.delays, 1);
    assert_int_equal(step->record.exit_status, 1); /* for a poison record, should it come to that */
    assert_string_equal(step->record.tail, "tail\n");
}

static void a_broken_hook_that_continues_lets_later_ones_run(void **state)
{
    struct fixture *fixture = *state;

    given(fixture, 3, "a");
    dispatch_put_off(ends(fixture, "a", HOOK_HOST_FAULT, -1), 4321);
    dispatch_put_off(ends(fixture, "b", HOOK_HOST_FAULT, -1), 1234);
    next_waits(fixture, "a", 1234); /* b holds c back; the soonest counts */
}

static void an_interrupted_run_waits_without_delay(void **state)
{
    struct fixture *fixture = *state;

    given(fixture, 2, "");
    struct step *step = ends(fixture, "a", HOOK_INTERRUPTED, -1);
    next_waits(fixture, "a", 0);
    assert_true(step->interrupted);
    assert_int_equal(step->record.attempts, 0);
    assert_int_equal(step->record.interruptions, 1);
    assert_int_equal(step->record.state, LEDGER_INTERRUPTED);
}

static void twenty_interruptions_reject(void **state)
{
    struct fixture *fixture = *state;

    given(fixture, 1, "");
    for (int i = 0; i < 19; i++) {
        ends(fixture, "a", HOOK_INTERRUPTED, -1);
        next_waits(fixture, "a", 0);
        fixture->dispatch.steps[0].state = STEP_PENDING;
    }
    ends(fixture, "a", HOOK_INTERRUPTED, -1);
    (void)next_rejects(fixture, "a", "interrupted");
}

static void a_good_end_after_a_bad_one_leaves_no_reason(void **state)
{
    struct fixture *fixture = *state;

    given(fixture, 1, "");
    ends(fixture, "a", HOOK_FAILED, 1)->state = STEP_PENDING;
    struct step *step = ends(fixture, "a", HOOK_DONE, 0);
    assert_null(step->record.reason);
    assert_int_equal(step->record.exit_status, 0);
    next_is_done(fixture);
}

/* --- what the ledger knows --- */

static void what_is_done_is_not_run_again(void **state)
{
    struct fixture *fixture = *state;

    given(fixture, 2, "");
    recall(fixture, &(struct ledger_step){.hook = "a", .state = LEDGER_DONE});
    (void)next_runs(fixture, "b");
}

static void what_was_rejected_stays_so(void **state)
{
    struct fixture *fixture = *state;
    char reason[] = "out-of-attempts", tail[] = "the end";

    given(fixture, 2, "");
    recall(fixture, &(struct ledger_step){.hook = "a",
                                          .state = LEDGER_REJECTED,
                                          .attempts = 5,
                                          .exit_status = 9,
                                          .reason = reason,
                                          .tail = tail});
    memset(reason, 'x', sizeof(reason) - 1); /* it was copied */
    memset(tail, 'x', sizeof(tail) - 1);
    struct step *step = next_rejects(fixture, "a", "out-of-attempts");
    assert_string_equal(step->record.tail, "the end");
    assert_int_equal(step->record.attempts, 5);
    assert_int_equal(step->record.exit_status, 9);
}

static void a_removed_hook_is_forgotten_and_a_new_one_runs(void **state)
{
    struct fixture *fixture = *state;

    given(fixture, 1, "");
    recall(fixture, &(struct ledger_step){.hook = "gone", .state = LEDGER_REJECTED});
    (void)next_runs(fixture, "a");
}

static void the_delay_is_counted_from_the_failure(void **state)
{
    struct fixture *fixture = *state;

    given(fixture, 2, "");
    recall(fixture, &(struct ledger_step){.hook = "a",
                                          .state = LEDGER_FAILED,
                                          .attempts = 2,
                                          .delays = 2,
                                          .ended_ms = NOW_MS - 20 * SECOND_MS});
    next_waits(fixture, "a", 40 * SECOND_MS);
}

static void a_delay_that_has_passed_is_over(void **state)
{
    struct fixture *fixture = *state;

    given(fixture, 1, "");
    recall(fixture, &(struct ledger_step){.hook = "a",
                                          .state = LEDGER_LATER,
                                          .delays = 1,
                                          .ended_ms = NOW_MS - 10 * SECOND_MS});
    (void)next_runs(fixture, "a");
}

static void a_message_back_a_moment_early_is_run(void **state)
{
    struct fixture *fixture = *state;

    given(fixture, 1, "");
    recall(fixture, &(struct ledger_step){.hook = "a",
                                          .state = LEDGER_FAILED,
                                          .attempts = 1,
                                          .delays = 1,
                                          .ended_ms = NOW_MS - 9 * SECOND_MS});
    (void)next_runs(fixture, "a");
}

static void a_clock_that_was_set_back_does_not_stretch_a_delay(void **state)
{
    struct fixture *fixture = *state;

    given(fixture, 1, "");
    recall(fixture, &(struct ledger_step){.hook = "a",
                                          .state = LEDGER_FAILED,
                                          .attempts = 1,
                                          .delays = 1,
                                          .ended_ms = NOW_MS + 365LL * 24 * 60 * MINUTE_MS});
    (void)next_runs(fixture, "a");
}

static void a_retried_step_does_not_hold_others_that_continue(void **state)
{
    struct fixture *fixture = *state;
    const struct ledger_step known[] = {
        {.hook = "a", .state = LEDGER_FAILED, .attempts = 1, .delays = 1, .ended_ms = NOW_MS},
        {.hook = "b", .state = LEDGER_DONE},
    };

    given(fixture, 3, "ab");
    recall_all(fixture, known, 2);
    ends(fixture, "c", HOOK_DONE, 0);
    next_waits(fixture, "a", 10 * SECOND_MS);
}

static void a_run_without_recorded_end_was_interrupted(void **state)
{
    struct fixture *fixture = *state;

    given(fixture, 1, "");
    recall(fixture, &(struct ledger_step){
                        .hook = "a", .state = LEDGER_STARTED, .attempts = 1, .interruptions = 4});
    struct step *step = next_runs(fixture, "a");
    assert_int_equal(step->record.interruptions, 5);
    assert_int_equal(step->record.attempts, 1);
    assert_int_equal(step->record.state, LEDGER_INTERRUPTED);
}

static void the_twentieth_crash_rejects(void **state)
{
    struct fixture *fixture = *state;

    given(fixture, 1, "");
    recall(fixture,
           &(struct ledger_step){.hook = "a", .state = LEDGER_STARTED, .interruptions = 19});
    (void)next_rejects(fixture, "a", "interrupted");
}

static void a_noted_interruption_is_not_counted_twice(void **state)
{
    struct fixture *fixture = *state;

    given(fixture, 1, "");
    recall(fixture,
           &(struct ledger_step){.hook = "a", .state = LEDGER_INTERRUPTED, .interruptions = 4});
    assert_int_equal(next_runs(fixture, "a")->record.interruptions, 4);
}

static void a_shorter_list_of_delays_is_no_overrun(void **state)
{
    struct fixture *fixture = *state;

    fixture->queue.retry_delay.count = 1; /* reloaded */
    given(fixture, 1, "");
    recall(fixture, &(struct ledger_step){.hook = "a",
                                          .state = LEDGER_FAILED,
                                          .attempts = 2,
                                          .delays = UINT32_MAX,
                                          .ended_ms = NOW_MS});
    next_waits(fixture, "a", 10 * SECOND_MS);
}

/* --- age --- */

static void given_aged(struct fixture *fixture)
{
    given_hook(fixture, "a", ", max_age: 1m");
    given_hook(fixture, "b", "");
    begin(fixture);
}

static void what_is_too_old_is_done_without_a_run(void **state)
{
    struct fixture *fixture = *state;

    given_aged(fixture);
    assert_true(dispatch_is_stale(next_runs(fixture, "a"), MINUTE_MS + 1));
    assert_int_equal(fixture->dispatch.steps[0].state, STEP_STALE);
    ends(fixture, "b", HOOK_DONE, 0);
    next_is_done(fixture);
}

static void what_is_just_young_enough_runs(void **state)
{
    struct fixture *fixture = *state;

    given_aged(fixture);
    assert_false(dispatch_is_stale(next_runs(fixture, "a"), MINUTE_MS));
    (void)next_runs(fixture, "a");
}

static void without_max_age_nothing_is_stale(void **state)
{
    struct fixture *fixture = *state;

    given(fixture, 1, "");
    assert_false(dispatch_is_stale(next_runs(fixture, "a"), INT64_MAX));
    (void)next_runs(fixture, "a");
}

static void a_message_from_the_future_is_not_stale(void **state)
{
    struct fixture *fixture = *state;

    given_aged(fixture);
    assert_false(dispatch_is_stale(next_runs(fixture, "a"), -MINUTE_MS));
}

static void what_was_rejected_does_not_become_stale(void **state)
{
    struct fixture *fixture = *state;

    given_aged(fixture);
    recall(fixture,
           &(struct ledger_step){.hook = "a", .state = LEDGER_REJECTED, .reason = "rejected"});
    assert_false(dispatch_is_stale(&fixture->dispatch.steps[0], 2 * MINUTE_MS));
    (void)next_rejects(fixture, "a", "rejected");
}

/* A hook of the name that takes these events and may run that long. */
static void given_long_hook(struct fixture *fixture, const char *name, const char *on,
                            const char *timeout, const char *more)
{
    const struct hook_context context = {0};
    unsigned i = fixture->hook_count++;
    autofree char *text =
        xasprintf("{name: %s, on: %s, exec: {command: /bin/true, timeout: %s, grace: 5s}%s}", name,
                  on, timeout, more);

    written_good(&fixture->written[i], text);
    fixture->hooks[i] = hook_new(&context, fixture->written[i].settings);
}

static void expect_longest(struct fixture *fixture, const char *queue, int64_t wanted_ms)
{
    assert_int_equal(dispatch_longest_ms(fixture->hooks, fixture->hook_count, queue), wanted_ms);
}

static void the_longest_is_that_of_the_event_whose_hooks_take_longest(void **state)
{
    struct fixture *fixture = *state;

    expect_longest(fixture, "events", 0);
    given_long_hook(fixture, "a", "'*'", "10s", "");
    given_long_hook(fixture, "b", "training.completed", "60s", "");
    given_long_hook(fixture, "c", "export.completed", "30s", "");
    given_long_hook(fixture, "d", "export.completed", "25s", ", platforms: [ONNX]");
    given_long_hook(fixture, "e", "export.*", "300s", ", queues: [others]");
    expect_longest(fixture, "events", (15 + 35 + 30) * SECOND_MS);
    expect_longest(fixture, "others", (15 + 35 + 30 + 305) * SECOND_MS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_hooks_it_is_done),
        TEST(hooks_that_do_not_match_are_no_steps),
        TEST(steps_run_in_the_order_written),
        TEST(a_failed_step_with_stop_ends_the_delivery),
        TEST(a_failed_step_with_continue_lets_later_ones_run),
        TEST(a_rejected_step_with_stop_skips_later_ones),
        TEST(a_rejected_step_with_continue_lets_later_ones_run),
        TEST(a_waiting_step_comes_before_the_poison),
        TEST(of_several_that_wait_the_soonest_counts),
        TEST(what_waits_with_stop_holds_back_after_what_goes_on),
        TEST(delays_follow_the_list_and_the_last_repeats),
        TEST(the_last_attempt_rejects),
        TEST(one_attempt_only_rejects_at_once),
        TEST(later_spends_no_attempt_however_often),
        TEST(a_host_fault_spends_nothing),
        TEST(a_host_fault_does_not_forget_attempts),
        TEST(a_broken_hook_that_continues_lets_later_ones_run),
        TEST(an_interrupted_run_waits_without_delay),
        TEST(twenty_interruptions_reject),
        TEST(a_good_end_after_a_bad_one_leaves_no_reason),
        TEST(what_is_done_is_not_run_again),
        TEST(what_was_rejected_stays_so),
        TEST(a_removed_hook_is_forgotten_and_a_new_one_runs),
        TEST(the_delay_is_counted_from_the_failure),
        TEST(a_delay_that_has_passed_is_over),
        TEST(a_message_back_a_moment_early_is_run),
        TEST(a_clock_that_was_set_back_does_not_stretch_a_delay),
        TEST(a_retried_step_does_not_hold_others_that_continue),
        TEST(a_run_without_recorded_end_was_interrupted),
        TEST(the_twentieth_crash_rejects),
        TEST(a_noted_interruption_is_not_counted_twice),
        TEST(a_shorter_list_of_delays_is_no_overrun),
        TEST(what_is_too_old_is_done_without_a_run),
        TEST(what_is_just_young_enough_runs),
        TEST(without_max_age_nothing_is_stale),
        TEST(a_message_from_the_future_is_not_stale),
        TEST(what_was_rejected_does_not_become_stale),
        TEST(the_longest_is_that_of_the_event_whose_hooks_take_longest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
