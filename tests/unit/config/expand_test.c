/* SPDX-License-Identifier: MIT */
/* ${VAR}: what it becomes, and what it refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "config/table.h"

static const char *environment(const char *name)
{
    static char long_value[100 * 1024];

    if (strcmp(name, "LONG") == 0)
        return memset(long_value, 'x', sizeof(long_value) - 1);
    if (strcmp(name, "A") == 0 || strcmp(name, "_a1") == 0)
        return "value";
    if (strcmp(name, "B") == 0)
        return "{x} {{ ${A} $$";
    return strcmp(name, "EMPTY") == 0 ? "" : NULL;
}

static void assert_expands(const char *text, bool double_braces, const char *expected,
                           bool expected_expanded)
{
    autofree char *result = NULL, *reason = NULL;
    bool expanded;

    assert_true(config_expand(text, double_braces, environment, &result, &expanded, &reason));
    assert_string_equal(result, expected);
    assert_int_equal(expanded, expected_expanded);
    assert_null(reason);
}

static void assert_refuses(const char *text, const char *expected)
{
    autofree char *result = NULL, *reason = NULL;
    bool expanded;

    assert_false(config_expand(text, false, environment, &result, &expanded, &reason));
    assert_string_equal(reason, expected);
    assert_null(result);
}

static void test_values(void **state)
{
    (void)state;
    assert_expands("", false, "", false);
    assert_expands("plain {x}", true, "plain {x}", false);
    assert_expands("a${A}b${_a1}", false, "avaluebvalue", true);
    assert_expands("${EMPTY}", false, "", false);
    assert_expands("${A:-x}${EMPTY:-y}${NONE:-z}${NONE:-}", false, "valueyz", true);
    assert_expands("${NONE:-a:-b$$c $ d$}", false, "a:-b$c $ d$", false);
}

static void test_dollars(void **state)
{
    (void)state;
    assert_expands("$", false, "$", false);
    assert_expands("$$", false, "$", false);
    assert_expands("$$$", false, "$$", false);
    assert_expands("$A $1 $(x) 5$", false, "$A $1 $(x) 5$", false);
    assert_expands("$${A}", false, "${A}", false);
    assert_expands("$$${A}", false, "$value", true);
}

static void test_a_value_is_not_looked_at_again(void **state)
{
    (void)state;
    assert_expands("${B}", false, "{x} {{ ${A} $$", true);
    assert_expands("{y} ${B} {{", true, "{y} {{x} {{{{ ${{A} $$ {{", true);
}

static void test_refusals(void **state)
{
    (void)state;
    assert_refuses("a ${NONE}", "the variable NONE is not set; set it, or write ${NONE:-default}");
    assert_refuses("a ${A",
                   "a \"${\" has no \"}\"; write ${NAME}, or $${ for a dollar and a brace");
    assert_refuses("${", "a \"${\" has no \"}\"; write ${NAME}, or $${ for a dollar and a brace");
    static const char no_name[] = "what follows \"${\" is not a variable's name; write ${NAME}, or "
                                  "$${ for a dollar and a brace";
    assert_refuses("${}", no_name);
    assert_refuses("${1A}", no_name);
    assert_refuses("${-sig=hush}", no_name);
    assert_refuses("${:-x}", no_name);
    static const char no_end[] = "${A is followed by something else than \"}\" or \":-\"; write "
                                 "${A} or ${A:-default}";
    assert_refuses("${A-x}", no_end);
    assert_refuses("${A:?x}", no_end);
    assert_refuses("${A:}", no_end);
    assert_refuses("${A b}", no_end);
    assert_refuses("${NONE:-${A}}", "the default of ${NONE} holds a brace; variables do not nest, "
                                    "and a default ends at its first \"}\"");
    assert_refuses("${NONE:-{id}}", "the default of ${NONE} holds a brace; variables do not nest, "
                                    "and a default ends at its first \"}\"");
}

/* Whether the default is needed or not, it is wrong. */
static void test_a_nested_default_is_refused_before_it_is_needed(void **state)
{
    (void)state;
    assert_refuses("${A:-${B}}", "the default of ${A} holds a brace; variables do not nest, and a "
                                 "default ends at its first \"}\"");
}

static void test_a_long_variable_many_times(void **state)
{
    char text[8 * 20 + 1] = "";

    (void)state;
    for (int i = 0; i < 20; i++)
        strcat(text, "${LONG} ");
    assert_refuses(text, "with its variables it is longer than 1 MiB");
}

/* Every text of a few characters out of those that mean something. */
static void test_all_short_texts(void **state)
{
    static const char alphabet[] = "${}:-A1 ";
    char text[7];

    (void)state;
    for (unsigned i = 0; i < 1u << 18; i++) {
        for (unsigned k = 0; k < 6; k++)
            text[k] = alphabet[(i >> (3 * k)) & 7];
        text[6] = '\0';
        autofree char *result = NULL, *reason = NULL;
        bool expanded;
        bool ok = config_expand(text, i % 2 != 0, environment, &result, &expanded, &reason);
        assert_int_equal(ok, result != NULL);
        assert_int_equal(ok, reason == NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_dollars),
        cmocka_unit_test(test_a_value_is_not_looked_at_again),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_a_nested_default_is_refused_before_it_is_needed),
        cmocka_unit_test(test_a_long_variable_many_times),
        cmocka_unit_test(test_all_short_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
