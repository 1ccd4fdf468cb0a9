/* SPDX-License-Identifier: MIT */
/* Questions about short texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdlib.h>

#include "base/str.h"

static void test_equal(void **state)
{
    (void)state;
    assert_true(str_equal(NULL, NULL));
    assert_false(str_equal(NULL, ""));
    assert_false(str_equal("a", NULL));
    assert_true(str_equal("a", "a"));
    assert_false(str_equal("a", "A"));
    assert_true(str_equal_nocase("aBc", "AbC"));
    assert_false(str_equal_nocase("ab", "abc"));
    assert_false(str_equal_nocase(NULL, "x"));
}

static void test_starts_and_ends(void **state)
{
    (void)state;
    assert_true(str_starts("abc", ""));
    assert_true(str_starts("abc", "abc"));
    assert_false(str_starts("ab", "abc"));
    assert_true(str_ends("abc", "bc"));
    assert_true(str_ends("abc", ""));
    assert_false(str_ends("bc", "abc"));
    assert_false(str_ends("", "a"));
}

static void test_trim(void **state)
{
    (void)state;
    char text[] = "\r\n\t a b \v\f\n", blank[] = " \t ", empty[] = "", bare[] = "x";

    assert_string_equal(str_trim(text), "a b");
    assert_string_equal(str_trim(blank), "");
    assert_string_equal(str_trim(empty), "");
    assert_string_equal(str_trim(bare), "x");
}

static void test_visible(void **state)
{
    (void)state;
    assert_true(str_is_visible(""));
    assert_true(str_is_visible("!azAZ09~"));
    assert_false(str_is_visible("a b"));
    assert_false(str_is_visible("a\n"));
    assert_false(str_is_visible("\x7f"));
    assert_false(str_is_visible("\xc3\xa9"));
}

static void test_to_uint(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",
                                        "-1",
                                        "+1",
                                        " 1",
                                        "1 ",
                                        "0x1",
                                        "1.0",
                                        "18446744073709551616",
                                        "99999999999999999999999"};
    uint64_t value = 42;

    for (size_t i = 0; i < array_size(wrong); i++)
        assert_false(str_to_uint(wrong[i], UINT64_MAX, &value));
    assert_false(str_to_uint("8", 7, &value));
    assert_false(str_to_uint("10", 9, &value));
    assert_int_equal(value, 42);
    assert_true(str_to_uint("007", 7, &value));
    assert_int_equal(value, 7);
    assert_true(str_to_uint("0", 0, &value));
    assert_int_equal(value, 0);
    assert_true(str_to_uint("18446744073709551615", UINT64_MAX, &value));
    assert_true(value == UINT64_MAX);
}

static void test_nearest(void **state)
{
    (void)state;
    static const char *const keys[] = {"lease", "poll_min", "poll_max", "parallel",
                                       "on",    "poison",   NULL};
    static const char *const none[] = {NULL};
    char longer[200];

    assert_string_equal(str_nearest("poll_mni", keys), "poll_min");
    const char *const endless[] = {
        "a_name_of_more_than_sixty_four_characters_is_never_what_somebody_meant", "lease", NULL};
    assert_string_equal(str_nearest("leese", endless), "lease");
    assert_string_equal(str_nearest("poll-max", keys), "poll_max");
    assert_string_equal(str_nearest("Lease", keys), "lease");
    assert_string_equal(str_nearest("paralel", keys), "parallel");
    assert_string_equal(str_nearest("posion", keys), "poison");
    assert_null(str_nearest("visibility", keys));
    assert_null(str_nearest("x", keys));
    assert_null(str_nearest("", keys));
    assert_null(str_nearest("lease", none));
    memset(longer, 'l', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    assert_null(str_nearest(longer, keys));
    longer[64] = '\0';
    assert_null(str_nearest(longer, keys));
    const char *const long_keys[] = {longer, NULL};
    char mistyped[66];
    strcpy(mistyped, longer);
    mistyped[63] = 'x';
    assert_ptr_equal(str_nearest(mistyped, long_keys), longer);
}

static void test_utf8(void **state)
{
    (void)state;
    static const char *const right[] = {"",
                                        "plain",
                                        "\x7f",
                                        "\xc2\x80",
                                        "\xdf\xbf",
                                        "\xe0\xa0\x80",
                                        "\xed\x9f\xbf",
                                        "\xee\x80\x80",
                                        "\xef\xbf\xbf",
                                        "\xf0\x90\x80\x80",
                                        "\xf4\x8f\xbf\xbf",
                                        "12345678\xc3\xa9 12345678"};
    static const char *const wrong[] = {"\x80",
                                        "\xbf",
                                        "\xc0\x80",
                                        "\xc1\xbf",
                                        "\xc2",
                                        "\xc2 ",
                                        "\xe0\x80\x80",
                                        "\xe0\x9f\xbf",
                                        "\xed\xa0\x80",
                                        "\xed\xbf\xbf",
                                        "\xe2\x82",
                                        "\xf0\x80\x80\x80",
                                        "\xf0\x8f\xbf\xbf",
                                        "\xf4\x90\x80\x80",
                                        "\xf5\x80\x80\x80",
                                        "\xff",
                                        "\xfe",
                                        "12345678\xff",
                                        "\xf0\x9f\x98",
                                        "1234567\xc3"};

    for (size_t i = 0; i < array_size(right); i++)
        assert_true(str_is_utf8(right[i], strlen(right[i])));
    for (size_t i = 0; i < array_size(wrong); i++) {
        /* On the heap, where reading one byte too far is noticed. */
        size_t len = strlen(wrong[i]);
        autofree char *copy = xmalloc(len);
        memcpy(copy, wrong[i], len);
        assert_false(str_is_utf8(copy, len));
    }
    assert_true(str_is_utf8("a\0b", 3));
}

/* Every character there is, written out and read back. */
static void test_utf8_next(void **state)
{
    (void)state;
    uint32_t got;

    for (uint32_t c = 0; c <= 0x10ffff; c++) {
        char text[4];
        size_t len = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
        static const unsigned char leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
        for (size_t i = len, rest = c; i-- > 0; rest >>= 6)
            text[i] = (char)(i == 0 ? leads[len] | rest : 0x80 | (rest & 0x3f));
        bool surrogate = c >= 0xd800 && c <= 0xdfff;
        assert_int_equal(str_utf8_next(text, len, &got), surrogate ? 0 : len);
        if (!surrogate)
            assert_int_equal(got, c);
    }
    assert_int_equal(str_utf8_next("", 0, &got), 0);
}

static void test_copy_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *line;
    } cases[] = {
        {"It is so", "It is so"},
        {"It is so. \r\nRequestId: 7", "It is so"},
        {"a\tb\x1b[1m\x7f", "a b [1m"},
        {"123456789 longer than that", "123456789 longe"},
        {"1234567890123 \xc3\xa9", "1234567890123"},
        {"...", ""},
        {"", ""},
        {"\nsecond", ""},
    };
    char line[16];

    for (size_t i = 0; i < array_size(cases); i++) {
        str_copy_line(line, sizeof(line), cases[i].text);
        assert_string_equal(line, cases[i].line);
    }
}

static void test_copy_name(void **state)
{
    (void)state;
    char name[8];

    str_copy_name(name, sizeof(name), "a-B_.9");
    assert_string_equal(name, "a-B_.9");
    str_copy_name(name, sizeof(name), "Odd&sig=SECRET");
    assert_string_equal(name, "Odd");
    str_copy_name(name, sizeof(name), "Odd\nline");
    assert_string_equal(name, "Odd");
    str_copy_name(name, sizeof(name), "longer than that");
    assert_string_equal(name, "longer");
    str_copy_name(name, sizeof(name), "longerthanthat");
    assert_string_equal(name, "longert");
    str_copy_name(name, sizeof(name), NULL);
    assert_string_equal(name, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal),     cmocka_unit_test(test_starts_and_ends),
        cmocka_unit_test(test_trim),      cmocka_unit_test(test_to_uint),
        cmocka_unit_test(test_nearest),   cmocka_unit_test(test_copy_line),
        cmocka_unit_test(test_copy_name), cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_utf8_next), cmocka_unit_test(test_visible),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
