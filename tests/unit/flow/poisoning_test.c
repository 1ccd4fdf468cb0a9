/* SPDX-License-Identifier: MIT */
/* What goes into poison for one message: which hooks are done, who rejected it, and when its text goes alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "event/event.h"
#include "flow/dispatch.h"
#include "flow/poison.h"
#include "flow/poisoning.h"
#include "hook/hook.h"

static const struct event event = {.name = "training.completed", .encoding = EVENT_BASE64};
static const struct hook_message message = {.event = &event, .id = "id-1", .queue_url = "http://q"};
static struct step steps[] = {
    {.state = STEP_DONE, .record = {.hook = "audit"}},
    {.state = STEP_STALE, .record = {.hook = "late"}},
    {.state = STEP_REJECTED, .record = {.hook = "deploy", .attempts = 3, .exit_status = 65}},
};
static const struct dispatch dispatch = {.steps = steps, .count = array_size(steps)};

static void a_rejected_step_is_named_and_those_that_are_done(void **state)
{
    struct poisoning poisoning;

    (void)state;
    poisoning_init(&poisoning, &message, "eyJ9");
    poisoning_write(&poisoning, "rejected", &dispatch, &steps[2]);
    assert_non_null(strstr(poisoning.record, "\"done\":[\"audit\"]"));
    assert_non_null(strstr(poisoning.record, "\"hook\":\"deploy\""));
    assert_non_null(strstr(poisoning.record, "\"exit\":65"));
    assert_non_null(strstr(poisoning.record, "\"encoding\":\"base64\""));
    assert_string_equal(poisoning.reason, "rejected");
    assert_string_equal(poisoning.rejected_by, "deploy");
    assert_false(poisoning.is_bare);
    poisoning_done(&poisoning);
}

static void without_an_event_nothing_is_said_of_hooks_or_encoding(void **state)
{
    const struct hook_message undecodable = {.id = "id-1", .queue_url = "http://q"};
    struct poisoning poisoning;

    (void)state;
    poisoning_init(&poisoning, &undecodable, "?");
    poisoning_write(&poisoning, "not-json", &(struct dispatch){0}, NULL);
    assert_non_null(strstr(poisoning.record, "\"done\":[]"));
    assert_non_null(strstr(poisoning.record, "\"encoding\":null"));
    assert_null(poisoning.rejected_by);
    poisoning_done(&poisoning);
}

static void a_text_that_fills_the_record_goes_alone(void **state)
{
    struct poisoning poisoning;
    autofree char *text = xcalloc(POISON_MAX_BYTES, 1);

    (void)state;
    memset(text, 'a', POISON_MAX_BYTES - 1);
    poisoning_init(&poisoning, &message, text);
    poisoning_write(&poisoning, "rejected", &dispatch, &steps[2]);
    assert_string_equal(poisoning.record, text);
    assert_true(poisoning.is_bare);
    poisoning_done(&poisoning);
}

static void a_record_that_is_not_taken_gives_way_to_the_text(void **state)
{
    struct poisoning poisoning;

    (void)state;
    poisoning_init(&poisoning, &message, "eyJ9");
    poisoning_write(&poisoning, "rejected", &dispatch, &steps[2]);
    poisoning_strip(&poisoning);
    assert_string_equal(poisoning.record, "eyJ9");
    assert_true(poisoning.is_bare);
    assert_string_equal(poisoning.reason, "rejected");
    poisoning_done(&poisoning);
}

static void another_try_forgets_the_record_and_not_what_is_stored(void **state)
{
    struct poisoning poisoning;

    (void)state;
    poisoning_init(&poisoning, &message, "eyJ9");
    poisoning_recall(&poisoning, "expiring");
    poisoning_write(&poisoning, poisoning.stored_reason, &dispatch, NULL);
    poisoning_strip(&poisoning);
    poisoning_forget(&poisoning);
    assert_null(poisoning.record);
    assert_false(poisoning.is_bare);
    assert_string_equal(poisoning.stored_reason, "expiring");
    poisoning_done(&poisoning);
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_rejected_step_is_named_and_those_that_are_done),
        TEST(without_an_event_nothing_is_said_of_hooks_or_encoding),
        TEST(a_text_that_fills_the_record_goes_alone),
        TEST(a_record_that_is_not_taken_gives_way_to_the_text),
        TEST(another_try_forgets_the_record_and_not_what_is_stored),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
