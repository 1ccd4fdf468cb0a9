/* SPDX-License-Identifier: MIT */
/* Durations and sizes as people write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/unit.h"

static void duration(const char *text, int64_t expected)
{
    int64_t ms = -1;

    if (!unit_parse_duration(text, &ms) || ms != expected)
        fail_msg("'%s' gave %lld", text, (long long)ms);
}

static void size(const char *text, int64_t expected)
{
    int64_t bytes = -1;

    if (!unit_parse_size(text, &bytes) || bytes != expected)
        fail_msg("'%s' gave %lld", text, (long long)bytes);
}

static void test_durations(void **state)
{
    (void)state;
    duration("250ms", 250);
    duration("30s", 30000);
    duration("2m", 120000);
    duration("1h", 3600000);
    duration("7d", 604800000);
    duration("1.5h", 5400000);
    duration("0.25s", 250);
    duration("1.0005s", 1000);
    duration("0", 0);
    duration("0.0", 0);
    duration("0s", 0);
    duration("007s", 7000);
    duration("106751991167d", 9223372036828800000);
}

static void test_wrong_durations(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",
                                        "s",
                                        "1",
                                        "30",
                                        "-1s",
                                        "+1s",
                                        " 1s",
                                        "1s ",
                                        "1 s",
                                        "1S",
                                        "1M",
                                        "1K",
                                        "1x",
                                        "1sm",
                                        "1m30s",
                                        ".5s",
                                        "1.s",
                                        "1.",
                                        "1..5s",
                                        "1.5.5s",
                                        "0.0001s",
                                        "1.5ms",
                                        "1e3s",
                                        "0x1s",
                                        "1.0000000000s",
                                        "106751991168d",
                                        "9223372036854775807s",
                                        "9223372036854775808ms",
                                        "99999999999999999999999999d",
                                        "1.99999999999999999999s",
                                        "inf",
                                        "nan"};

    for (size_t i = 0; i < array_size(wrong); i++) {
        int64_t ms = 42;
        if (unit_parse_duration(wrong[i], &ms) || ms != 42)
            fail_msg("'%s' was taken", wrong[i]);
    }
}

static void test_sizes(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",   "K",           "1k",      "1KB", "1.5",
                                        "-1", "8589934592G", "0.0001K", "1s"};
    int64_t bytes;

    size("0", 0);
    size("123", 123);
    size("64K", 65536);
    size("10M", 10485760);
    size("1G", 1073741824);
    size("1.5K", 1536);
    size("8589934591.999999999G", 9223372036854775806);
    size("9223372036854775807", INT64_MAX);
    for (size_t i = 0; i < array_size(wrong); i++)
        assert_false(unit_parse_size(wrong[i], &bytes));
}

static void test_exact_text(void **state)
{
    (void)state;
    char text[UNIT_TEXT_MAX];

    assert_string_equal(unit_duration_text(0, text), "0s");
    assert_string_equal(unit_duration_text(90000, text), "90s");
    assert_string_equal(unit_duration_text(120000, text), "2m");
    assert_string_equal(unit_duration_text(1500, text), "1500ms");
    assert_string_equal(unit_duration_text(86400000, text), "1d");
    assert_string_equal(unit_duration_text(-5000, text), "-5s");
    assert_string_equal(unit_duration_text(INT64_MAX, text), "9223372036854775807ms");
    assert_string_equal(unit_duration_text(INT64_MIN, text), "-9223372036854775808ms");
    /* What is written is read back as the same. */
    for (int64_t ms = 0; ms < 100000000; ms = ms * 3 + 1000) {
        int64_t back;
        assert_true(unit_parse_duration(unit_duration_text(ms, text), &back));
        assert_int_equal(back, ms);
    }
}

static void test_human_text(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *text;
    } rows[] = {
        {0, "0ms"},           {140, "140ms"},        {999, "999ms"},
        {1000, "1s"},         {8213, "8.2s"},        {8249, "8.2s"},
        {8250, "8.3s"},       {59949, "59.9s"},      {59950, "1m"},
        {65000, "1m 5s"},     {3599499, "59m 59s"},  {3599500, "1h"},
        {3780000, "1h 3m"},   {86399000, "1d"},      {86400000, "1d"},
        {183600000, "2d 3h"}, {31536000000, "365d"}, {-5, "-5ms"},
    };
    char text[UNIT_TEXT_MAX];

    for (size_t i = 0; i < array_size(rows); i++)
        assert_string_equal(unit_duration_human(rows[i].ms, text), rows[i].text);
    unit_duration_human(INT64_MAX, text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_durations),  cmocka_unit_test(test_wrong_durations),
        cmocka_unit_test(test_sizes),      cmocka_unit_test(test_exact_text),
        cmocka_unit_test(test_human_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
