/* SPDX-License-Identifier: MIT */
/* What rows say of themselves: facts, sections, and what `--help KEY` prints. */
#include "config/help.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "config/help_text.h"
#include "reading.h"

static const struct config_row *find(const struct config_table *table, const char *name)
{
    const struct config_row *row = table->rows;

    while (row->name != NULL && strcmp(row->name, name) != 0)
        row++;
    assert_non_null(row->name);
    return row;
}

static void test_facts(void **state)
{
    static const struct {
        const struct config_table *table;
        const char *name, *facts;
    } rows[] = {
        {&all_table, "text", "text, default ${raw}"},
        {&all_table, "short_text", "text, 2..4 bytes"},
        {&all_table, "template", "text with placeholders"},
        {&all_table, "flag", "true | false"},
        {&all_table, "on_flag", "true | false, default on"},
        {&all_table, "number", "number, 1..4096, default 8"},
        {&all_table, "any_number", "number"},
        {&all_table, "mode", "octal number, 0000..0777, default 0640"},
        {&all_table, "wait", "duration, 1s..7d, default 2m"},
        {&all_table, "size", "size, 1K..1M, default 64K"},
        {&all_table, "level", "err | warning | info | debug, default info"},
        {&all_table, "texts", "list of texts"},
        {&all_table, "words", "list of texts, default [a, bc, d]"},
        {&all_table, "templates", "list of texts with placeholders"},
        {&all_table, "waits", "list of durations, each 1ms..1h, default [10s, 1m]"},
        {&all_table, "pairs", "map of names to texts with placeholders"},
        {&all_table, "sas", "secret, in one of these spellings"},
        {&all_table, "end", "text or map"},
        {&all_table, "always", "map"},
        {&all_table, "ends", "list of maps"},
        {&hook_test_table, "kind", "map, exactly one of these"},
        {&who_table, "kind", "login | quiet, required"},
        {&login_table, "secret", "secret, in one of these spellings, required"},
    };

    (void)state;
    for (size_t i = 0; i < array_size(rows); i++) {
        autofree char *facts = help_facts(find(rows[i].table, rows[i].name));
        assert_string_equal(facts, rows[i].facts);
    }
}

static void test_keys(void **state)
{
    autofree char *one = help_keys(find(&all_table, "wait"));
    autofree char *secret = help_keys(find(&all_table, "sas"));
    autofree char *kinds = help_keys(find(&hook_test_table, "kind"));
    autofree char *kind = help_keys(find(&who_table, "kind"));

    (void)state;
    assert_string_equal(one, "wait");
    assert_string_equal(secret, "sas, sas_file, sas_credential");
    assert_string_equal(kinds, "run, quiet");
    assert_string_equal(kind, "kind");
}

static void collect(void *arg, const struct help_section *section)
{
    buf_printf(arg, "%s|%s|%s\n", section->path, section->keys_path,
               section->text != NULL ? section->text : "");
}

static void test_sections(void **state)
{
    autobuf text;

    (void)state;
    buf_init(&text, BUF_ANY_SIZE);
    help_each_section(&all_table, collect, &text);
    assert_string_equal(text.data, "||\n"
                                   "end|end|\n"
                                   "always|always|\n"
                                   "ends|ends|\n"
                                   "hooks|hooks|\n"
                                   "hooks.run|hooks.run|Runs.\n"
                                   "hooks.quiet|hooks.quiet|Is quiet.\n"
                                   "whos|whos|\n"
                                   "whos.login|whos|Is quiet.\n"
                                   "whos.quiet|whos|Is quiet.\n");
}

/* What --help prints for a key, NULL for a mistake. Fresh memory. */
static char *help_of(const char *key, struct err *err)
{
    autobuf text;

    buf_init(&text, BUF_ANY_SIZE);
    return help_text_put(&all_table, key, &text, err) ? buf_take(&text) : NULL;
}

static void test_a_section_as_text(void **state)
{
    struct err err;
    autofree char *text = help_of("hooks.run", &err);

    (void)state;
    assert_string_equal(text, "hooks.run\n"
                              "  Runs.\n"
                              "\n"
                              "  command           list of texts with placeholders, required\n"
                              "  timeout           duration, 100ms..7d, default 10m\n");
}

static void test_a_key_by_its_path_or_its_end(void **state)
{
    struct err err;
    autofree char *whole = help_of("hooks.run.timeout", &err);
    autofree char *end = help_of("timeout", &err);
    autofree char *spelling = help_of("whos.secret_file", &err);
    autofree char *both = help_of("depth", &err);

    (void)state;
    assert_true(str_starts(whole, "  hooks.run.timeout\n"));
    assert_string_equal(whole, end);
    assert_true(str_starts(spelling, "  whos.secret, secret_file, secret_credential\n"));
    assert_non_null(strstr(both, "  end.depth "));
    assert_non_null(strstr(both, "  ends.depth "));
    /* A whole path outranks the end of another. */
    autofree char *sas = help_of("sas", &err);
    assert_true(str_starts(sas, "  sas, sas_file"));
    assert_null(strstr(sas, "ends.sas"));
}

static void test_an_unknown_key_names_the_nearest(void **state)
{
    struct err err;

    (void)state;
    assert_null(help_of("hoks", &err));
    assert_string_equal(err.text, "there is no setting \"hoks\"; did you mean \"hooks\"?");
    assert_null(help_of("hooks.run.timeuot", &err));
    assert_non_null(strstr(err.text, "\"hooks.run.timeout\"?"));
    assert_null(help_of("nothing like it", &err));
    assert_non_null(strstr(err.text, "--help settings"));
    /* Half a name is not the end of a path. */
    assert_null(help_of("out", &err));
}

static void test_all_settings(void **state)
{
    struct err err;
    autofree char *text = help_of("settings", &err);

    (void)state;
    assert_true(str_starts(text, "settings\n"));
    assert_non_null(strstr(text, "\nhooks.run\n"));
    assert_non_null(strstr(text, "\nwhos: a list of maps\n"));
    assert_non_null(strstr(text, "\nend: a text or map\n"));
}

static void test_lines_are_broken_at_blanks(void **state)
{
    autobuf text;

    (void)state;
    buf_init(&text, BUF_ANY_SIZE);
    help_text_wrap(&text,
                   "one two three four five six seven eight nine ten eleven twelve thirteen "
                   "fourteen",
                   20, 20);
    assert_string_equal(text.data, "one two three four five six seven eight nine ten eleven\n"
                                   "                    twelve thirteen fourteen\n");
    /* A word that fits nowhere stands alone. */
    buf_reset(&text);
    help_text_wrap(
        &text, "a 1234567890123456789012345678901234567890123456789012345678901234567890", 20, 20);
    assert_string_equal(text.data,
                        "a\n"
                        "                    "
                        "1234567890123456789012345678901234567890123456789012345678901234567890\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_facts),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_sections),
        cmocka_unit_test(test_a_section_as_text),
        cmocka_unit_test(test_a_key_by_its_path_or_its_end),
        cmocka_unit_test(test_an_unknown_key_names_the_nearest),
        cmocka_unit_test(test_all_settings),
        cmocka_unit_test(test_lines_are_broken_at_blanks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
