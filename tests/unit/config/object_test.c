/* SPDX-License-Identifier: MIT */
/* Objects after reading: compared, looked through for secrets, freed. */
#include "reading.h"

static bool are_alike(const char *a, const char *b)
{
    autoreading first = read_text(a), second = read_text(b);

    assert_int_equal(first.mistakes.count, 0);
    assert_int_equal(second.mistakes.count, 0);
    bool alike = config_equal(&all_table, first.all, second.all);
    assert_int_equal(config_equal(&all_table, second.all, first.all), alike);
    return alike;
}

static void test_alike(void **state)
{
    (void)state;
    assert_true(config_equal(&all_table, NULL, NULL));
    assert_true(are_alike(good_sample, good_sample));
    assert_true(are_alike("", "number: 8\nwait: 120s\nwords: [a, bc, d]\nalways: {}\n"));
    assert_true(are_alike("end: {name: a}\n", "\n\nend: a\n"));
    assert_true(are_alike("sas: hush\n", "sas: ${KEY}\n"));
    autoreading reading = read_text("");
    assert_false(config_equal(&all_table, reading.all, NULL));
}

static void test_every_row_makes_a_difference(void **state)
{
    static const char *const others[] = {
        "text: x\n",
        "short_text: abc\n",
        "template: x\n",
        "flag: true\n",
        "number: 9\n",
        "any_number: 1\n",
        "mode: 0600\n",
        "wait: 3m\n",
        "size: 2K\n",
        "level: err\n",
        "texts: [x]\n",
        "texts: [x, z]\n",
        "texts: [x, y]\n",
        "templates: x\n",
        "waits: 1s\n",
        "waits: [10s, 2m]\n",
        "pairs: {A: b}\n",
        "pairs: {A: c}\n",
        "pairs: {B: c}\n",
        "sas: a\n",
        "sas: b\n",
        "sas_file: /a\n",
        "sas_credential: a\n",
        "end: a\n",
        "end: b\n",
        "always: {depth: 4}\n",
        "ends: [{}]\n",
        "ends: [{name: a}]\n",
        "hooks: [{name: a, quiet: }]\n",
        "hooks: [{name: a, quiet: {level: 5}}]\n",
        "hooks: [{name: a, run: {command: a}}]\n",
        "whos: [{kind: quiet}]\n",
        "whos: [{kind: quiet, level: 5}]\n",
        "whos: [{kind: login, tenant: a, secret: b}]\n",
        "",
    };

    (void)state;
    for (size_t i = 0; i < array_size(others); i++) {
        for (size_t k = 0; k < array_size(others); k++)
            assert_int_equal(are_alike(others[i], others[k]), i == k);
    }
}

static void assert_literal(const char *text, bool expected)
{
    autoreading reading = read_text(text);

    assert_int_equal(reading.mistakes.count, 0);
    assert_int_equal(config_has_literal_secret(&all_table, reading.all), expected);
}

static void test_literal_secrets(void **state)
{
    (void)state;
    assert_false(config_has_literal_secret(&all_table, NULL));
    assert_literal("", false);
    assert_literal("sas: x\n", true);
    assert_literal("sas: 'a$$b'\n", true);
    assert_literal("sas: a${KEY}b\n", false);
    assert_literal("sas_file: /x\n", false);
    assert_literal("end: {sas: x}\n", true);
    assert_literal("always: {sas: x}\n", true);
    assert_literal("ends: [{}, {sas: x}]\n", true);
    assert_literal("ends: [{}, {sas_file: /x}]\n", false);
    assert_literal("whos: [{kind: login, tenant: a, secret: b}]\n", true);
    assert_literal("whos: [{kind: login, tenant: a, secret: '${KEY}'}]\n", false);
    assert_literal("hooks: [{name: a, quiet: }]\n", false);
}

static void test_a_secret_is_set_in_any_spelling(void **state)
{
    (void)state;
    assert_false(config_secret_is_set(&(struct config_secret){0}));
    assert_true(config_secret_is_set(&(struct config_secret){.text = (char[]){"x"}}));
    assert_true(config_secret_is_set(&(struct config_secret){.file = (char[]){"x"}}));
    assert_true(config_secret_is_set(&(struct config_secret){.credential = (char[]){"x"}}));
}

static void test_nothing_is_freed(void **state)
{
    (void)state;
    config_free(&all_table, NULL);
    node_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alike),
        cmocka_unit_test(test_every_row_makes_a_difference),
        cmocka_unit_test(test_literal_secrets),
        cmocka_unit_test(test_a_secret_is_set_in_any_spelling),
        cmocka_unit_test(test_nothing_is_freed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
