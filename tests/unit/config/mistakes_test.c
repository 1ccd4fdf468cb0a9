/* SPDX-License-Identifier: MIT */
/* Mistakes: their places, their ceiling, and what they may quote. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "config/mistakes.h"
#include "config/node.h"

static void test_places(void **state)
{
    struct node member = {
        .type = NODE_SCALAR, .file = "f", .line = 3, .column = 7, .key = (char[]){"k"}};
    struct node map = {.type = NODE_MAP, .file = "f", .line = 2, .column = 1, .first = &member};
    struct mistakes mistakes = {0};

    (void)state;
    mistakes_add(&mistakes, "f", 1, 2, "%s %d", "text", 5);
    mistakes_add(&mistakes, "f", 0, 0, "the file alone");
    mistakes_at(&mistakes, &member, "at a value");
    mistakes_at(&mistakes, NULL, "nowhere");
    mistakes_at_key(&mistakes, &map, "k", "at a member");
    mistakes_at_key(&mistakes, &map, "other", "at the map");
    mistakes_at_key(&mistakes, &member, "k", "at what is no map");
    mistakes_at_key(&mistakes, NULL, "k", "nowhere");
    static const char *const lines[] = {
        "f:1:2: text 5",      "f: the file alone", "f:3:7: at a value",        "nowhere",
        "f:3:7: at a member", "f:2:1: at the map", "f:3:7: at what is no map", "nowhere"};
    assert_int_equal(mistakes.count, array_size(lines));
    for (unsigned i = 0; i < mistakes.count; i++)
        assert_string_equal(mistakes.lines[i], lines[i]);
    mistakes_done(&mistakes);
    assert_int_equal(mistakes.count, 0);
    mistakes_done(&mistakes);
}

static void test_ceiling_says_so(void **state)
{
    struct mistakes mistakes = {0};

    (void)state;
    for (int i = 1; i <= MISTAKES_MAX; i++)
        mistakes_add(&mistakes, "f", i, 1, "m");
    assert_string_equal(mistakes.lines[MISTAKES_MAX - 1], "f:100:1: m");
    for (int i = 0; i < 1000; i++)
        mistakes_add(&mistakes, "f", 1, 1, "more");
    assert_int_equal(mistakes.count, MISTAKES_MAX);
    assert_string_equal(mistakes.lines[MISTAKES_MAX - 2], "f:99:1: m");
    assert_string_equal(mistakes.lines[MISTAKES_MAX - 1],
                        "there are more mistakes; only the first 99 are shown");
    mistakes_done(&mistakes);
}

static void test_a_line_stays_a_line(void **state)
{
    struct mistakes mistakes = {0};

    (void)state;
    mistakes_add(&mistakes, "f", 1, 1, "%s", "a\nb\x1b[2Jc\x7f\xc3\xa9");
    assert_string_equal(mistakes.lines[0], "f:1:1: a?b?[2Jc?\xc3\xa9");
    mistakes_done(&mistakes);
}

static void test_excerpt_cuts_between_characters(void **state)
{
    char excerpt[MISTAKES_EXCERPT_MAX], text[400];

    (void)state;
    assert_string_equal(mistakes_excerpt("", excerpt), "");
    memset(text, 'x', sizeof(text));
    text[MISTAKES_EXCERPT_MAX - 1] = '\0';
    assert_string_equal(mistakes_excerpt(text, excerpt), text);
    for (int shift = 0; shift < 3; shift++) {
        int len = snprintf(text, sizeof(text), "%.*s", shift, "xx");
        while (len < 300)
            len += snprintf(text + len, 4, "\xe2\x82\xac");
        mistakes_excerpt(text, excerpt);
        size_t kept = strlen(excerpt) - 3;
        assert_string_equal(excerpt + kept, "...");
        assert_int_equal((kept - (size_t)shift) % 3, 0);
        assert_in_range(kept, MISTAKES_EXCERPT_MAX - 7, MISTAKES_EXCERPT_MAX - 4);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_ceiling_says_so),
        cmocka_unit_test(test_a_line_stays_a_line),
        cmocka_unit_test(test_excerpt_cuts_between_characters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
