/* SPDX-License-Identifier: MIT */
/* Reading maps by tables: what values become, and every mistake at its place. */
#include "reading.h"

#include <stdio.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"

static void test_defaults(void **state)
{
    autoreading reading = read_text("");
    const struct all *all = reading.all;

    (void)state;
    assert_int_equal(reading.mistakes.count, 0);
    assert_ptr_equal(all->place.map, reading.tree);
    assert_string_equal(all->text, "${raw}"); /* a default is not expanded */
    assert_null(all->short_text);
    assert_false(all->flag);
    assert_true(all->on_flag);
    assert_int_equal(all->number, 8);
    assert_int_equal(all->any_number, 0);
    assert_int_equal(all->mode, 0640);
    assert_int_equal(all->wait_ms, 120000);
    assert_int_equal(all->size, 65536);
    assert_int_equal(all->level, 2);
    assert_int_equal(all->texts.count, 0);
    assert_int_equal(all->words.count, 3);
    assert_string_equal(all->words.items[1], "bc");
    assert_int_equal(all->waits.count, 2);
    assert_int_equal(all->waits.items_ms[1], 60000);
    assert_null(all->end);
    assert_non_null(all->always);
    assert_null(all->always->place.map);
    assert_int_equal(all->always->depth, 3);
    assert_false(config_secret_is_set(&all->sas));
    assert_int_equal(all->ends.count, 0);
}

static void test_an_empty_value_is_not_written(void **state)
{
    autoreading reading = read_text("number:\nwords: ~\nend: null\nalways:\nends:\nsas:\npairs:\n");

    (void)state;
    assert_int_equal(reading.mistakes.count, 0);
    assert_int_equal(reading.all->number, 8);
    assert_int_equal(reading.all->words.count, 3);
    assert_null(reading.all->end);
    assert_non_null(reading.all->always);
    assert_false(config_secret_is_set(&reading.all->sas));
    autoreading empty_list = read_text("words: []\nwaits: []\nends: []\npairs: {}\ntext: ''\n");
    assert_int_equal(empty_list.mistakes.count, 0);
    assert_int_equal(empty_list.all->words.count, 0);
    assert_int_equal(empty_list.all->waits.count, 0);
    assert_string_equal(empty_list.all->text, "");
}

static void test_values(void **state)
{
    autoreading reading = read_text(good_sample);
    const struct all *all = reading.all;

    (void)state;
    assert_int_equal(reading.mistakes.count, 0);
    assert_string_equal(all->text, "a value $ c");
    assert_string_equal(all->template, "{x} {{a}{{{{b}}"); /* the variable's braces are literal */
    assert_true(all->flag);
    assert_false(all->on_flag);
    assert_int_equal(all->number, 10);
    assert_int_equal(all->any_number, -7);
    assert_int_equal(all->mode, 022);
    assert_int_equal(all->wait_ms, 5400000);
    assert_int_equal(all->size, 2048);
    assert_int_equal(all->level, 3);
    assert_int_equal(all->texts.count, 1);
    assert_string_equal(all->words.items[2], "\xc3\xa9");
    assert_string_equal(all->templates.items[1], "{iteration_id}");
    assert_string_equal(all->templates.items[2], "folded text\n");
    assert_int_equal(all->waits.count, 1);
    assert_int_equal(all->waits.items_ms[0], 5000);
    assert_int_equal(all->pairs.count, 2);
    assert_string_equal(all->pairs.names[1], "C");
    assert_string_equal(all->pairs.values[1], "value");
}

static void test_maps(void **state)
{
    autoreading reading = read_text(good_sample);
    const struct all *all = reading.all;

    (void)state;
    assert_string_equal(all->sas.text, "?sv=1&sig=abc%3D");
    assert_true(all->sas.literal);
    assert_string_equal(all->end->name, "poison"); /* a scalar stands for {name: scalar} */
    assert_int_equal(all->end->place.map->type, NODE_SCALAR);
    assert_int_equal(all->end->depth, 3);
    assert_string_equal(all->always->sas.file, "/run/key");
    assert_int_equal(all->ends.count, 2);
    const struct end *second = all->ends.items[1];
    assert_string_equal(second->sas.credential, "cred");
    assert_int_equal(second->place.map->line, 27);
}

static void test_kinds(void **state)
{
    autoreading reading = read_text(good_sample);
    const struct hook *const *hooks = (void *)reading.all->hooks.items;
    const struct who *const *whos = (void *)reading.all->whos.items;

    (void)state;
    assert_int_equal(hooks[0]->kind.kind, 0);
    const struct run *run = hooks[0]->kind.object;
    assert_int_equal(run->timeout_ms, 60000);
    assert_true(run->checked);
    assert_int_equal(hooks[1]->kind.kind, 1); /* the key alone is enough */
    assert_int_equal(((const struct quiet *)hooks[1]->kind.object)->level, 6);
    assert_int_equal(whos[0]->kind.kind, 0);
    const struct login *login = whos[0]->kind.object;
    assert_string_equal(login->tenant, "t");
    assert_string_equal(login->secret.text, "hush");
    assert_false(login->secret.literal);
    assert_ptr_equal(login->place.map, whos[0]->place.map);
    assert_int_equal(((const struct quiet *)whos[1]->kind.object)->level, 1);
}

static void test_numbers_that_are_none(void **state)
{
    (void)state;
    assert_mistake("number: ten\n",
                   "1:9: number: \"ten\" is not a whole number; write digits alone, as in 10");
    assert_mistake("number: 1.5\n",
                   "1:9: number: \"1.5\" is not a whole number; write digits alone, as in 10");
    assert_mistake("number: ''\n",
                   "1:9: number: \"\" is not a whole number; write digits alone, as in 10");
    assert_mistake("number: '-'\n",
                   "1:9: number: \"-\" is not a whole number; write digits alone, as in 10");
    assert_mistake("number: 0\n", "1:9: number: 0 is out of range; it may be 1 to 4096");
    assert_mistake("number: -1\n", "1:9: number: -1 is out of range; it may be 1 to 4096");
    assert_mistake("number: 4097\n", "1:9: number: 4097 is out of range; it may be 1 to 4096");
    assert_mistake("number: 99999999999999999999999\n",
                   "1:9: number: 99999999999999999999999 is out of range; it may be 1 to 4096");
    assert_mistake("any_number: 99999999999999999999999\n",
                   "1:13: any_number: \"99999999999999999999999\" is not a number that fits into "
                   "64 bits");
    assert_mistake("mode: 0888\n", "1:7: mode: \"0888\" is not an octal number; write digits from "
                                   "0 to 7, as in \"0640\"");
    assert_mistake("mode: -1\n", "1:7: mode: \"-1\" is not an octal number; write digits from "
                                 "0 to 7, as in \"0640\"");
    assert_mistake("mode: 1777\n", "1:7: mode: 1777 is out of range; it may be 0000 to 0777");
}

static void test_units_choices_and_bools_that_are_none(void **state)
{
    (void)state;
    assert_mistake("wait: 10 minutes\n", "1:7: wait: \"10 minutes\" is not a duration; write a "
                                         "number and one of ms s m h d, as in 10m");
    assert_mistake("wait: 999ms\n", "1:7: wait: 999ms is out of range; it may be 1s to 7d");
    assert_mistake("waits: [1s, 2h, 3x]\n", "1:13: waits: 2h is out of range; it may be 1ms to 1h",
                   "1:17: waits: \"3x\" is not a duration; write a number and one of ms s m h d, "
                   "as in 10m");
    assert_mistake("size: 1T\n",
                   "1:7: size: \"1T\" is not a size; write a number and one of K M G, "
                   "as in 64K, or bytes alone");
    assert_mistake("size: 2M\n", "1:7: size: 2M is out of range; it may be 1K to 1M");
    assert_mistake("level: inf\n", "1:8: level: \"inf\" is not known here; did you mean \"info\"?");
    assert_mistake("level: quiet-please\n", "1:8: level: \"quiet-please\" is not known here; it "
                                            "may be err, warning, info or debug");
    assert_mistake("flag: maybe\n", "1:7: flag: \"maybe\" is not true or false; write one of true "
                                    "yes on false no off");
}

static void test_texts_of_a_wrong_length(void **state)
{
    autobuf text;

    (void)state;
    assert_mistake("short_text: x\n", "1:13: short_text: 1 bytes are too few; it may be 2 to 4 "
                                      "long");
    assert_mistake("short_text: abcde\n", "1:13: short_text: 5 bytes are too many; it may be 2 to "
                                          "4 long");
    assert_mistake("short_text: ''\n", "1:13: short_text: an empty text says nothing here; write "
                                       "one or leave the key out");
    assert_mistake("text: ${RAW}\n", "1:7: text: the text is not UTF-8; look at its variables");
    buf_init(&text, BUF_ANY_SIZE);
    buf_puts(&text, "text: ");
    for (int i = 0; i < 4096; i++)
        buf_putc(&text, 'x');
    autoreading longest = read_text(text.data);
    assert_int_equal(longest.mistakes.count, 0);
    buf_putc(&text, 'x');
    assert_mistake(text.data, "1:7: text: 4097 bytes are too many; it may be 0 to 4096 long");
}

static void test_variables(void **state)
{
    (void)state;
    assert_mistake("text: x\nnumber: ${NONE}\n", "2:9: number: the variable NONE is not set; set "
                                                 "it, or write ${NONE:-default}");
    assert_mistake("pairs: {A: 'x ${NONE}'}\n", "1:12: pairs A: the variable NONE is not set; set "
                                                "it, or write ${NONE:-default}");
    assert_mistake(
        "${NAME}: x\n",
        "1:1: unknown key \"${NAME}\" in top level; it may be text, short_text, template, "
        "flag, on_flag, number, any_number, mode, wait, size, level, texts, words, "
        "templates, waits, pairs, sas, sas_file, sas_credential, end, always, ends, "
        "hooks or whos");
    autoreading reading =
        read_text("whos: [{kind: '${KIND}', tenant: t, secret_file: '/${NAME}'}]");
    assert_int_equal(reading.mistakes.count, 0);
}

static void test_unknown_keys(void **state)
{
    (void)state;
    assert_mistake("nunber: 3\n", "1:1: unknown key \"nunber\" in top level; did you mean "
                                  "\"number\"?");
    assert_mistake("ends:\n- name: x\n  sas_fiel: y\n",
                   "3:3: unknown key \"sas_fiel\" in end; did you mean \"sas_file\"?");
    assert_mistake("end: {zzzzzzzz: 1}\n", "1:7: unknown key \"zzzzzzzz\" in end; it may be name, "
                                           "url, depth, sas, sas_file or sas_credential");
    assert_mistake("end: {<<: {a: b}}\n", "1:7: unknown key \"<<\" in end; it may be name, url, "
                                          "depth, sas, sas_file or sas_credential");
    assert_mistake("hooks: [{name: a, quiet: , rum: {}}]\n",
                   "1:28: unknown key \"rum\" in hook; did you mean \"run\"?");
    assert_mistake("whos: [{kind: quiet, tenant: x}]\n",
                   "1:22: unknown key \"tenant\" in identity; "
                   "it may be name, kind or level");
}

static void test_missing_keys(void **state)
{
    (void)state;
    assert_mistake("hooks:\n- name: deploy\n  run: {}\n",
                   "3:8: run hook has no \"command\", which is required");
    assert_mistake("hooks:\n- quiet:\n", "2:3: hook has no \"name\", which is required");
    assert_mistake("hooks:\n- name: deploy\n  run:\n    command:\n",
                   "4:5: run hook has no \"command\", which is required");
    assert_mistake("whos: [{name: me, kind: login}]\n",
                   "1:8: login identity has no \"tenant\", which is required",
                   "1:8: login identity has no \"secret\", which is required; \"secret_file\" or "
                   "\"secret_credential\" may stand for it");
}

static void test_one_of(void **state)
{
    (void)state;
    assert_mistake("hooks:\n- name: a\n", "2:3: hook \"a\" needs one of the keys run or quiet");
    assert_mistake("hooks:\n- name: a\n  quiet:\n  run: {command: x}\n",
                   "4:3: \"quiet\" and \"run\" are both in hook \"a\"; keep one");
    assert_mistake("hooks: [{name: a, run: x}]\n",
                   "1:24: run: a map of settings is due here, not a text");
}

static void test_kind(void **state)
{
    (void)state;
    assert_mistake("whos: [{kind: logon, tenent: x}]\n",
                   "1:15: kind: \"logon\" is not known here; did you mean \"login\"?");
    assert_mistake("whos: [{kind: something, x: y}]\n",
                   "1:15: kind: \"something\" is not known here; it may be login or quiet");
    assert_mistake("whos: [{kind: [login], x: y}]\n",
                   "1:15: kind: a name is due here, not a list; a text with braces or brackets in "
                   "it needs quotes");
    assert_mistake("whos: [{name: me, x: y}]\n",
                   "1:8: identity \"me\" has no \"kind\", which is required");
}

static void test_placeholders_without_quotes(void **state)
{
    (void)state;
    assert_mistake("template: {iteration_id}\n",
                   "1:11: template: without quotes {iteration_id} is a map, not a text; write "
                   "\"{iteration_id}\"");
    assert_mistake("templates: [a, {x}]\n", "1:16: templates: without quotes {x} is a map, not a "
                                            "text; write \"{x}\"");
    assert_mistake("templates:\n- {x:-y}\n", "2:3: templates: without quotes {x:-y} is a map, not "
                                             "a text; write \"{x:-y}\"");
    assert_mistake("templates: {x}\n", "1:12: templates: without quotes {x} is a map, not a text; "
                                       "write \"{x}\"");
    assert_mistake("pairs: {A: {x}}\n", "1:12: pairs A: without quotes {x} is a map, not a text; "
                                        "write \"{x}\"");
    assert_mistake("template: {a, b}\n", "1:11: template: a text is due here, not a map; a text "
                                         "with braces or brackets in it needs quotes");
    assert_mistake("template:\n  a: b\n", "2:3: template: a text is due here, not a map");
}

static void test_wrong_shapes(void **state)
{
    (void)state;
    assert_mistake("- a\n", "1:1: top level: a map of settings is due here, not a list");
    assert_mistake("a text\n", "1:1: top level: a map of settings is due here, not a text");
    assert_mistake("ends: {name: x}\n", "1:7: ends: a list is due here, not a map; begin each item "
                                        "with \"- \"");
    assert_mistake("ends: x\n", "1:7: ends: a list is due here, not a text; begin each item with "
                                "\"- \"");
    assert_mistake("ends: [x, ~]\n", "1:8: end: a map of settings is due here, not a text",
                   "1:11: ends: an empty item; write a map of settings or take it out");
    assert_mistake("end: [x]\n", "1:6: end: a map of settings is due here, not a list");
    assert_mistake("always: x\n", "1:9: always: a map of settings is due here, not a text");
    assert_mistake("pairs: [x]\n", "1:8: pairs: a map of names to texts is due here, as in {NAME: "
                                   "text}, not a list");
    assert_mistake("pairs:\n  A:\n", "2:3: pairs A: there is no value here; write one (\"\" is an "
                                     "empty text) or take the item out");
    assert_mistake("texts: [a, ~]\n", "1:12: texts: there is no value here; write one (\"\" is an "
                                      "empty text) or take the item out");
    assert_mistake("wait:\n- 1s\n", "2:1: wait: a duration is due here, not a list");
    assert_mistake("flag: [x]\nnumber:\n  a: b\nsize:\n  - 1K\n",
                   "1:7: flag: true or false is due here, not a list; a text with braces or "
                   "brackets in it needs quotes",
                   "3:3: number: a number is due here, not a map",
                   "5:3: size: a size is due here, not a list");
    assert_mistake("pairs: {A: \"${RAW}\"}\n",
                   "1:12: pairs A: the text is not UTF-8; look at its variables");
    assert_mistake("texts: [[a]]\n", "1:9: texts: a text is due here, not a list; a text with "
                                     "braces or brackets in it needs quotes");
}

static void test_secrets(void **state)
{
    (void)state;
    assert_mistake("end: {name: e, sas_credential: c, sas: hush}\n",
                   "1:32: \"sas\" and \"sas_credential\" are both in end \"e\"; keep one");
    assert_mistake("sas_file: /f\nsas_credential: c\nsas: hush\n",
                   "1:11: \"sas\" and \"sas_file\" are both in top level; keep one",
                   "2:17: \"sas\" and \"sas_credential\" are both in top level; keep one");
    assert_mistake("sas: ' '\n", "1:6: sas: an empty text says nothing here; write one or leave "
                                 "the key out");
    assert_mistake("sas_file: hush\n", "1:11: sas_file: the absolute path of a file is due here; a "
                                       "secret itself goes into `sas`");
    assert_mistake("sas_credential: a=hush\n",
                   "1:17: sas_credential: the name of a systemd credential is due here; a secret "
                   "itself goes into `sas`");
    autoreading variable = read_text("sas: \"${KEY:-x}\"\n");
    assert_string_equal(variable.all->sas.text, "hush");
    assert_false(variable.all->sas.literal);
    autoreading block = read_text("sas: |\n  hush\n\n");
    assert_string_equal(block.all->sas.text, "hush");
    assert_true(block.all->sas.literal);
}

static void test_no_mistake_shows_a_secret(void **state)
{
    static const char *const texts[] = {
        "sas: {hush}\n",
        "sas: {hush: x}\n",
        "sas: [hush]\n",
        "sas: 'x${hush-}'\n",
        "sas: 'x${.hush}'\n",
        "sas: 'x${hush'\n",
        "sas: hush\nsas_file: hush\n",
        "sas: 'hush${NONE}'\n",
        "sas: 'hush${A:-{hush}}'\n",
        "sas: &a hush\nend: {sas: *a}\n",
        "sas: \"hush\\0\"\n",
        "sas: !!str hush\n",
        "sas: hush\nsas: hush\n",
        "sas:\n  - hush\n",
        "end: {sas: hush, depth: x}\n",
    };

    (void)state;
    for (size_t i = 0; i < array_size(texts); i++) {
        autoreading reading = read_text(texts[i]);
        if (reading.mistakes.count == 0)
            fail_msg("no mistake in %s", texts[i]);
        for (unsigned k = 0; k < reading.mistakes.count; k++) {
            /* ${hush-} is a variable's name, which a mistake must show. */
            if (strstr(reading.mistakes.lines[k], "hush") != NULL &&
                strstr(texts[i], "${hush-") == NULL)
                fail_msg("%s", reading.mistakes.lines[k]);
        }
    }
}

static void test_check_runs_beside_other_mistakes(void **state)
{
    (void)state;
    assert_mistake("end: forbidden\n", "1:6: name: that one is forbidden");
    assert_mistake("end: {url: x, name: forbidden}\n", "1:21: name: that one is forbidden");
    assert_mistake("end: {name: forbidden, depth: x}\n",
                   "1:31: depth: \"x\" is not a whole number; "
                   "write digits alone, as in 10",
                   "1:13: name: that one is forbidden");
    assert_mistake("end: {name: forbidden, dept: 1}\n",
                   "1:24: unknown key \"dept\" in end; did you mean \"depth\"?",
                   "1:13: name: that one is forbidden");
    assert_mistake("number: x\nend: forbidden\n",
                   "1:9: number: \"x\" is not a whole number; write "
                   "digits alone, as in 10",
                   "2:6: name: that one is forbidden");
}

static void test_all_mistakes_in_one_pass(void **state)
{
    (void)state;
    assert_mistake(
        "nunber: 1\nwait: x\nend: {depth: x}\nhooks:\n- name: a\n- run: {command: {x}}\n",
        "2:7: wait: \"x\" is not a duration; write a number and one of ms s m h d, as "
        "in 10m",
        "3:14: depth: \"x\" is not a whole number; write digits alone, as in 10",
        "5:3: hook \"a\" needs one of the keys run or quiet",
        "6:3: hook has no \"name\", which is required",
        "6:18: command: without quotes {x} is a map, not a text; write \"{x}\"",
        "1:1: unknown key \"nunber\" in top level; did you mean \"number\"?");
}

static void test_what_is_quoted_is_bounded(void **state)
{
    autobuf text;

    (void)state;
    buf_init(&text, BUF_ANY_SIZE);
    buf_puts(&text, "number: \"\\x1b");
    for (int i = 0; i < 100000; i++)
        buf_putc(&text, 'x');
    buf_puts(&text, "\"\n? ");
    for (int i = 0; i < 100000; i++)
        buf_putc(&text, 'y');
    buf_puts(&text, "\n: z\n");
    autoreading reading = read_text(text.data);
    assert_int_equal(reading.mistakes.count, 2);
    for (unsigned i = 0; i < 2; i++) {
        assert_true(strlen(reading.mistakes.lines[i]) < 500);
        assert_null(strchr(reading.mistakes.lines[i], '\x1b'));
    }
}

static void test_long_lists(void **state)
{
    static const char *const keys[] = {"texts", "ends", "waits"};

    (void)state;
    for (size_t k = 0; k < array_size(keys); k++) {
        autobuf text;
        char line[100];
        buf_init(&text, BUF_ANY_SIZE);
        buf_printf(&text, "%s:\n", keys[k]);
        for (int i = 0; i < CONFIG_LIST_MAX; i++)
            buf_puts(&text, k == 1 ? "- {}\n" : "- 1s\n");
        autoreading most = read_text(text.data);
        assert_int_equal(most.mistakes.count, 0);
        buf_puts(&text, k == 1 ? "- {}\n" : "- 1s\n");
        autoreading too_many = read_text(text.data);
        assert_int_equal(too_many.mistakes.count, 1);
        snprintf(line, sizeof(line), "x.yaml:2:1: %s: 1025 items are too many; at most 1024",
                 keys[k]);
        assert_string_equal(too_many.mistakes.lines[0], line);
    }
}

static void test_a_kind_by_default(void **state)
{
    const struct config_row rows[] = {
        {.name = "kind",
         .type = CONFIG_KIND,
         .offset = offsetof(struct who, kind),
         .kinds = who_kinds,
         .text = "quiet"},
        {0},
    };
    const struct config_table table = {"who", sizeof(struct who), rows, NULL};
    const struct node empty = {.type = NODE_MAP, .file = "f", .line = 1, .column = 1};
    struct mistakes mistakes = {0};
    struct who *who = config_read(&table, &empty, test_getenv, &mistakes);

    (void)state;
    assert_int_equal(mistakes.count, 0);
    assert_int_equal(who->kind.kind, 1);
    assert_int_equal(((const struct quiet *)who->kind.object)->level, 6);
    config_free(&table, who);
}

struct bad {
    struct config_place place;
    int64_t number;
};

/* Whether reading an empty map by a table of this one row ends the program. */
static bool is_refused(const struct config_row *row)
{
    const struct config_row rows[] = {*row, {0}};
    const struct config_table table = {"bad", sizeof(struct bad), rows, NULL};
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        struct mistakes mistakes = {0};
        struct node map = {.type = NODE_MAP};
        fclose(stderr);
        signal(SIGABRT, SIG_DFL);
        config_read(&table, &map, test_getenv, &mistakes);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void test_tables_that_are_wrong(void **state)
{
    const size_t at = offsetof(struct bad, number);
    const struct config_row bad[] = {
        {.name = "a", .type = CONFIG_INT, .offset = at, .text = "x"},
        {.name = "a", .type = CONFIG_INT, .offset = at, .text = "5", .min = 6, .max = 7},
        {.name = "a", .type = CONFIG_INT, .offset = at, .min = 2, .max = 1},
        {.name = "a", .type = CONFIG_INT, .offset = 0},
        {.name = "a", .type = CONFIG_INT, .offset = sizeof(struct bad)},
        {.name = "a", .type = CONFIG_SECRET, .offset = at},
        {.name = "a", .type = CONFIG_CHOICE, .offset = at},
        {.name = "a", .type = CONFIG_INT, .offset = at, .choices = levels},
        {.name = "a", .type = CONFIG_OBJECT, .offset = at},
        {.name = "a", .type = CONFIG_OBJECT, .offset = at, .table = &end_table, .text = "x"},
        {.name = "a", .type = CONFIG_OBJECT, .offset = at, .table = &end_table, .scalar_ok = true},
        {.name = "a", .type = CONFIG_INT, .offset = at, .text = "1", .required = true},
    };
    const struct config_row good = {.name = "a", .type = CONFIG_INT, .offset = at, .text = "1"};

    (void)state;
    assert_false(is_refused(&good));
    for (size_t i = 0; i < array_size(bad); i++) {
        if (!is_refused(&bad[i]))
            fail_msg("row %zu was taken", i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_an_empty_value_is_not_written),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_maps),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_numbers_that_are_none),
        cmocka_unit_test(test_units_choices_and_bools_that_are_none),
        cmocka_unit_test(test_texts_of_a_wrong_length),
        cmocka_unit_test(test_variables),
        cmocka_unit_test(test_unknown_keys),
        cmocka_unit_test(test_missing_keys),
        cmocka_unit_test(test_one_of),
        cmocka_unit_test(test_kind),
        cmocka_unit_test(test_placeholders_without_quotes),
        cmocka_unit_test(test_wrong_shapes),
        cmocka_unit_test(test_secrets),
        cmocka_unit_test(test_no_mistake_shows_a_secret),
        cmocka_unit_test(test_check_runs_beside_other_mistakes),
        cmocka_unit_test(test_all_mistakes_in_one_pass),
        cmocka_unit_test(test_what_is_quoted_is_bounded),
        cmocka_unit_test(test_long_lists),
        cmocka_unit_test(test_a_kind_by_default),
        cmocka_unit_test(test_tables_that_are_wrong),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
