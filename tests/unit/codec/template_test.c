/* SPDX-License-Identifier: MIT */
/* Templates: placeholders, defaults, braces, mistakes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdlib.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "codec/template.h"

static const char *look_up(void *arg, const char *name)
{
    (void)arg;
    if (str_equal(name, "a"))
        return "A";
    if (str_equal(name, "tricky"))
        return "{a}{{%s}";
    if (str_equal(name, "empty"))
        return "";
    return str_equal(name, "long_name_2") ? "two" : NULL;
}

static void renders(const char *text, const char *expected)
{
    struct template *template = NULL;
    struct err err = {.code = ERR_NONE};
    autobuf out;

    buf_init(&out, 1000);
    if (!template_compile(text, &template, &err) ||
        !template_render(template, look_up, NULL, &out, &err))
        fail_msg("'%s': %s", text, err.text);
    assert_string_equal(out.data, expected);
    template_free(template);
}

static void test_render(void **state)
{
    (void)state;
    renders("", "");
    renders("plain", "plain");
    renders("{a}", "A");
    renders("x{a}y{long_name_2}z", "xAytwoz");
    renders("{a}{a}", "AA");
    renders("{b:-B}", "B");
    renders("{b:-}", "");
    renders("{empty:-none}", "none");
    renders("{a:-unused}", "A");
    renders("{b:-a: b - %d :-}", "a: b - %d :-");
    renders("{{", "{");
    renders("{{a}", "{a}");
    renders("{{{a}}", "{A}");
    renders("{{{{", "{{");
    renders("}", "}");
    renders("}}{a}}", "}}A}");
    renders("{{\"k\": \"{a}\"}", "{\"k\": \"A\"}");
    renders("{tricky}", "{a}{{%s}");
    renders("\xc3\xa9{a}", "\xc3\xa9"
                           "A");
}

static void test_mistakes(void **state)
{
    (void)state;
    static const struct {
        const char *text, *column;
    } rows[] = {
        {"{", "column 1:"},        {"{}", "column 1:"},     {"ab{", "column 3:"},
        {"{A}", "column 1:"},      {"{1a}", "column 1:"},   {"{_a}", "column 1:"},
        {"{ a}", "column 1:"},     {"{a", "column 1:"},     {"{a }", "column 3:"},
        {"{a:}", "column 3:"},     {"{a:b}", "column 3:"},  {"{a-}", "column 3:"},
        {"{aB}", "column 3:"},     {"{a:-", "column 1:"},   {"{a:-x", "column 1:"},
        {"{a:-{b}}", "column 5:"}, {"{a{b}}", "column 3:"}, {"{{{", "column 3:"},
        {"{a}{b}{", "column 7:"},
    };

    for (size_t i = 0; i < array_size(rows); i++) {
        struct template *template = NULL;
        struct err err;
        assert_false(template_compile(rows[i].text, &template, &err));
        assert_null(template);
        assert_int_equal(err.code, ERR_CONFIG);
        if (!str_starts(err.text, rows[i].column))
            fail_msg("'%s': %s", rows[i].text, err.text);
    }
}

static void refuses(const char *text, size_t max, const char *named)
{
    struct template *template;
    struct err err;
    autobuf out;

    buf_init(&out, max);
    assert_true(template_compile(text, &template, &err));
    assert_false(template_render(template, look_up, NULL, &out, &err));
    assert_int_equal(err.code, ERR_REJECTED);
    assert_non_null(strstr(err.text, named));
    template_free(template);
}

static void test_missing_values(void **state)
{
    (void)state;
    refuses("x {nothing} y", 100, "{nothing}");
    refuses("{empty}", 100, "{empty}");
    refuses("{a}{a}{a}", 2, "2 bytes");
    refuses("abc", 2, "2 bytes");
}

static void test_names(void **state)
{
    (void)state;
    struct template *template;
    struct err err;

    assert_true(template_compile("x{b}y{{{a:-}{b:-z}", &template, &err));
    assert_string_equal(template_name(template, 0), "b");
    assert_string_equal(template_name(template, 1), "a");
    assert_string_equal(template_name(template, 2), "b");
    assert_null(template_name(template, 3));
    template_free(template);
    template_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_render),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_missing_values),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
