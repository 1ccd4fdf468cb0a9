/* SPDX-License-Identifier: MIT */
/* The log: levels, the sink, and a text form that nobody can forge. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

static enum log_level got_level;
static char got_text[256];
static const struct log_field *got_fields;
static int got_count;

static void remember(enum log_level level, const char *text, const struct log_field *fields)
{
    got_level = level;
    strncpy(got_text, text, sizeof(got_text) - 1);
    got_fields = fields;
    got_count++;
}

static int restore(void **state)
{
    (void)state;
    log_set_sink(NULL);
    log_set_level(LOG_LEVEL_INFO);
    clock_freeze(-1, -1);
    got_count = 0;
    return 0;
}

static void test_levels(void **state)
{
    (void)state;
    const struct log_field fields[] = {{"queue", "q"}, {NULL, NULL}};
    int evaluated = 0;

    log_set_sink(remember);
    log_debug(fields, "%d", ++evaluated);
    assert_int_equal(evaluated, 0);
    log_info(fields, "n is %d", 5);
    assert_int_equal(got_count, 1);
    assert_int_equal(got_level, LOG_LEVEL_INFO);
    assert_string_equal(got_text, "n is 5");
    assert_ptr_equal(got_fields, fields);
    log_set_level(LOG_LEVEL_ERR);
    log_warning(NULL, "no");
    assert_int_equal(got_count, 1);
    log_err(NULL, "yes");
    assert_int_equal(got_count, 2);
    log_set_level(LOG_LEVEL_DEBUG);
    log_debug(NULL, "%d", ++evaluated);
    assert_int_equal(evaluated, 1);
}

/* Writes one record in text form and gives what came out on standard error. */
static void captured(const char *text, const struct log_field *fields, char out[static 512])
{
    int ends[2], old = dup(STDERR_FILENO);

    assert_int_equal(pipe(ends), 0);
    dup2(ends[1], STDERR_FILENO);
    log_info(fields, "%s", text);
    dup2(old, STDERR_FILENO);
    close(old);
    close(ends[1]);
    ssize_t len = read(ends[0], out, 511);
    close(ends[0]);
    assert_true(len >= 0);
    out[len] = '\0';
}

static void test_text_form(void **state)
{
    (void)state;
    const struct log_field fields[] = {
        {"queue", "events"}, {"hook", NULL}, {"text", "two words"}, {"empty", ""}, {NULL, NULL}};
    char out[512];

    clock_freeze(1, 1795231417042);
    captured("hello", fields, out);
    assert_string_equal(
        out, "2026-11-21T03:23:37.042Z info    hello queue=events text=\"two words\" empty=\"\"\n");
    captured("bare", NULL, out);
    assert_string_equal(out, "2026-11-21T03:23:37.042Z info    bare\n");
}

static void test_nothing_can_be_forged(void **state)
{
    (void)state;
    const struct log_field fields[] = {
        {"output", "a\" hook=\"deploy"}, {"path", "c:\\"}, {NULL, NULL}};
    char out[512];

    clock_freeze(1, 0);
    captured("line\none\r\x1b[2J\x7f \xc2\x9b"
             "2J \xc3\xa9",
             fields, out);
    assert_string_equal(out, "1970-01-01T00:00:00.000Z info    line?one??[2J? ?2J \xc3\xa9 "
                             "output=\"a\\\" hook=\\\"deploy\" path=\"c:\\\\\"\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_levels, restore),
        cmocka_unit_test_teardown(test_text_form, restore),
        cmocka_unit_test_teardown(test_nothing_can_be_forged, restore),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
