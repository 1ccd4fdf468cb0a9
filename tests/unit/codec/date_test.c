/* SPDX-License-Identifier: MIT */
/* Dates: all forms, those that we write both ways, the calendar's corners. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <locale.h>
#include <stdlib.h>

#include "codec/date.h"

#define SAMPLE_MS 1795231417000 /* Sat, 21 Nov 2026 03:23:37 GMT */

static void http(const char *text, int64_t expected)
{
    int64_t ms = -1;

    if (!date_parse_http(text, &ms) || ms != expected)
        fail_msg("'%s' gave %lld", text, (long long)ms);
}

static void iso(const char *text, int64_t expected)
{
    int64_t ms = -1;

    if (!date_parse_iso(text, &ms) || ms != expected)
        fail_msg("'%s' gave %lld", text, (long long)ms);
}

static void us(const char *text, int64_t expected)
{
    int64_t ms = -1;

    if (!date_parse_us(text, &ms) || ms != expected)
        fail_msg("'%s' gave %lld", text, (long long)ms);
}

static void test_http(void **state)
{
    (void)state;
    char text[DATE_TEXT_MAX];

    http("Sat, 21 Nov 2026 03:23:37 GMT", SAMPLE_MS);
    http("Thu, 01 Jan 1970 00:00:00 GMT", 0);
    http("Fri, 31 Dec 9999 23:59:59 GMT", 253402300799000);
    http("Mon, 29 Feb 2016 00:00:00 GMT", 1456704000000);
    http("Sat, 31 Dec 2016 23:59:60 GMT", 1483228800000);
    date_format_http(SAMPLE_MS + 999, text);
    assert_string_equal(text, "Sat, 21 Nov 2026 03:23:37 GMT");
    date_format_http(253402300799000, text);
    assert_string_equal(text, "Fri, 31 Dec 9999 23:59:59 GMT");
    date_format_http(-1, text);
    assert_string_equal(text, "Wed, 31 Dec 1969 23:59:59 GMT");
}

static void test_wrong_http(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "sat, 21 Nov 2026 03:23:37 GMT",    "Sat, 21 NOV 2026 03:23:37 GMT",
        "Sat, 1 Nov 2026 03:23:37 GMT",     "Sat, 31 Nov 2026 03:23:37 GMT",
        "Sat, 00 Nov 2026 03:23:37 GMT",    "Sat, 29 Feb 2026 03:23:37 GMT",
        "Sat, 29 Feb 2100 03:23:37 GMT",    "Sat, 21 Nov 2026 24:00:00 GMT",
        "Sat, 21 Nov 2026 03:60:37 GMT",    "Sat, 21 Nov 2026 03:23:61 GMT",
        "Sat, 21 Nov 2026 03:23:37 UTC",    "Sat, 21 Nov 2026 03:23:37 GMT ",
        " Sat, 21 Nov 2026 03:23:37 GMT",   "Sat, 21 Nov 10000 03:23:37 GMT",
        "Saturday, 21-Nov-26 03:23:37 GMT", "Sat Nov 21 03:23:37 2026",
        "Sat, 21 Nov 2026 +3:23:37 GMT",    "Sat, 21 Nov -026 03:23:37 GMT"};
    int64_t ms = 42;

    for (size_t i = 0; i < array_size(wrong); i++) {
        if (date_parse_http(wrong[i], &ms))
            fail_msg("'%s' was taken", wrong[i]);
    }
    assert_int_equal(ms, 42);
}

static void test_iso(void **state)
{
    (void)state;
    char text[DATE_TEXT_MAX];

    iso("2026-11-21", 1795219200000);
    iso("2026-11-21T03:23Z", SAMPLE_MS - 37000);
    iso("2026-11-21T03:23:37Z", SAMPLE_MS);
    iso("2026-11-21T03:23:37.1Z", SAMPLE_MS + 100);
    iso("2026-11-21T03:23:37.1234567Z", SAMPLE_MS + 123);
    iso("2026-11-21T03:23:37.00000000000000000009Z", SAMPLE_MS);
    iso("2026-11-21T05:23:37+02:00", SAMPLE_MS);
    iso("2026-11-20T21:53:37.5-05:30", SAMPLE_MS + 500);
    iso("2026-11-21T03:23+00:00", SAMPLE_MS - 37000);
    iso("9999-12-31T23:59:59.9999999Z", 253402300799999);
    iso("0000-01-01", -62167219200000);
    iso("1969-12-31T23:59:59.250Z", -750);
    date_format_iso(SAMPLE_MS + 999, text);
    assert_string_equal(text, "2026-11-21T03:23:37Z");
    date_format_iso(-750, text);
    assert_string_equal(text, "1969-12-31T23:59:59Z");
    date_format_iso(-1000, text);
    assert_string_equal(text, "1969-12-31T23:59:59Z");
    date_format_iso(INT64_MAX, text);
    date_format_iso(INT64_MIN, text);
    date_format_http(INT64_MAX, text);
    date_format_http(INT64_MIN, text);
}

static void test_wrong_iso(void **state)
{
    (void)state;
    static const char *const wrong[] = {"2026",
                                        "2026-11",
                                        "2026-13-01",
                                        "2026-00-01",
                                        "2026-11-31",
                                        "2026-11-00",
                                        "2026-1-1",
                                        "20261121",
                                        "26-11-21",
                                        "2026-11-21T",
                                        "2026-11-21T03Z",
                                        "2026-11-21T03:23",
                                        "2026-11-21T03:23:37",
                                        "2026-11-21 03:23:37Z",
                                        "2026-11-21T03:23:37z",
                                        "2026-11-21T03:23:37.Z",
                                        "2026-11-21T03:23:37,5Z",
                                        "2026-11-21T03:23:37+0200",
                                        "2026-11-21T03:23:37+02",
                                        "2026-11-21T03:23:37+24:00",
                                        "2026-11-21T03:23:37+02:60",
                                        "2026-11-21T03:23:37Z ",
                                        "2026-11-21T03:23:37ZZ",
                                        "2026-11-21Z",
                                        "2026-02-29",
                                        "2026-11-21T25:00Z",
                                        "-026-11-21",
                                        "+2026-11-21",
                                        "2026-11-21T-3:23Z"};
    int64_t ms = 42;

    for (size_t i = 0; i < array_size(wrong); i++) {
        if (date_parse_iso(wrong[i], &ms))
            fail_msg("'%s' was taken", wrong[i]);
    }
    assert_int_equal(ms, 42);
}

static void test_us(void **state)
{
    (void)state;
    /* As Microsoft documents them, and as Windows and Linux hosts were seen to write them. */
    us("09/14/2017 00:00:00 PM +00:00", 1505390400000);
    us("06/20/2019 02:57:58 +00:00", 1560999478000);
    us("9/14/2017 2:05:00 PM +00:00", 1505397900000);
    us("1/16/2020 5:24:12 AM +00:00", 1579152252000);
    us("1/16/2020 12:24:12 AM +00:00", 1579134252000);
    us("1/16/2020 12:24:12 PM +00:00", 1579177452000);
    us("1/16/2020 17:24:12 PM", 1579195452000);
    us("11/21/2026 03:23:37", SAMPLE_MS);
    us("11/21/2026 3:23:37 AM", SAMPLE_MS);
    us("11/21/2026 5:23:37 AM +02:00", SAMPLE_MS);
    us("11/20/2026 21:53:37 -05:30", SAMPLE_MS);
    us("11/21/2026 3:23:37 Z", SAMPLE_MS);
    us("12/31/9999 11:59:59 PM +00:00", 253402300799000);
    us("02/29/2016 00:00:00 +00:00", 1456704000000);
}

static void test_wrong_us(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "11/21/2026",
        "11/21/2026 ",
        "11/21/26 03:23:37",
        "21/11/2026 03:23:37",
        "0/21/2026 03:23:37",
        "11/0/2026 03:23:37",
        "11/31/2026 03:23:37",
        "02/29/2026 03:23:37",
        "011/21/2026 03:23:37",
        "11/21/2026 03:23",
        "11/21/2026 3:3:37",
        "11/21/2026 24:00:00",
        "11/21/2026 13:00:00 AM",
        "11/21/2026 3:23:37AM",
        "11/21/2026 3:23:37 am",
        "11/21/2026 3:23:37 AM ",
        "11/21/2026 3:23:37 AM AM",
        "11/21/2026 3:23:37 +0000",
        "11/21/2026 3:23:37+00:00",
        "11/21/2026 3:23:37 GMT",
        "11/21/2026  3:23:37",
        " 11/21/2026 3:23:37",
        "11-21-2026 3:23:37",
        "11/21/2026T3:23:37",
        "/21/2026 3:23:37",
        "-1/21/2026 3:23:37",
    };
    int64_t ms = 42;

    for (size_t i = 0; i < array_size(wrong); i++) {
        if (date_parse_us(wrong[i], &ms))
            fail_msg("'%s' was taken", wrong[i]);
    }
    assert_int_equal(ms, 42);
}

/* No beginning of a date is a date, but for the day of a longer one. */
static void test_truncated(void **state)
{
    (void)state;
    const char *web = "Sat, 21 Nov 2026 03:23:37 GMT", *long_iso = "2026-11-21T03:23:37.123+02:00";
    int64_t ms;

    for (size_t len = 0; len < strlen(web); len++) {
        autofree char *cut = xstrndup(web, len);
        assert_false(date_parse_http(cut, &ms));
    }
    for (size_t len = 0; len < strlen(long_iso); len++) {
        autofree char *cut = xstrndup(long_iso, len);
        assert_int_equal(date_parse_iso(cut, &ms), len == 10);
    }
}

static void test_round_trip(void **state)
{
    (void)state;
    char text[DATE_TEXT_MAX];

    /* Steps of a day and an odd rest, over every leap rule. */
    for (int64_t ms = -62167219200000; ms < 253402300799000; ms += 7 * 86413000) {
        date_format_http(ms, text);
        http(text, ms);
        date_format_iso(ms, text);
        iso(text, ms);
    }
}

static void test_time_zone_and_locale_do_not_matter(void **state)
{
    (void)state;
    char text[DATE_TEXT_MAX];

    setenv("TZ", "America/New_York", 1);
    setlocale(LC_ALL, "");
    http("Sat, 21 Nov 2026 03:23:37 GMT", SAMPLE_MS);
    date_format_http(SAMPLE_MS, text);
    assert_string_equal(text, "Sat, 21 Nov 2026 03:23:37 GMT");
    unsetenv("TZ");
    setlocale(LC_ALL, "C");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_http),
        cmocka_unit_test(test_wrong_http),
        cmocka_unit_test(test_iso),
        cmocka_unit_test(test_wrong_iso),
        cmocka_unit_test(test_us),
        cmocka_unit_test(test_wrong_us),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_time_zone_and_locale_do_not_matter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
