/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the table engine share: a table with a row of every type, an environment, and
 * reading a text in one call.
 */
#ifndef TESTS_CONFIG_READING_H
#define TESTS_CONFIG_READING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "config/mistakes.h"
#include "config/node.h"
#include "config/table.h"

#define SECOND_MS ((int64_t)1000)

struct end {
    struct config_place place;
    char *name;
    char *url;
    int64_t depth;
    struct config_secret sas;
};

struct run {
    struct config_place place;
    struct config_texts command;
    int64_t timeout_ms;
    bool checked;
};

struct quiet {
    struct config_place place;
    int64_t level;
};

struct hook {
    struct config_place place;
    char *name;
    struct config_one_of kind;
};

struct login {
    struct config_place place;
    char *tenant;
    struct config_secret secret;
};

struct who {
    struct config_place place;
    char *name;
    struct config_one_of kind;
};

struct all {
    struct config_place place;
    char *text;
    char *short_text;
    char *template;
    bool flag;
    bool on_flag;
    int64_t number;
    int64_t any_number;
    int64_t mode;
    int64_t wait_ms;
    int64_t size;
    int level;
    struct config_texts texts;
    struct config_texts words;
    struct config_texts templates;
    struct config_durations waits;
    struct config_pairs pairs;
    struct config_secret sas;
    struct end *end;
    struct end *always;
    struct config_objects ends;
    struct config_objects hooks;
    struct config_objects whos;
};

static void check_end(void *object, const struct node *map, struct mistakes *mistakes)
{
    const struct end *end = object;

    if (end->name != NULL && strcmp(end->name, "forbidden") == 0)
        mistakes_at_key(mistakes, map, "name", "name: that one is forbidden");
}

static void check_run(void *object, const struct node *map, struct mistakes *mistakes)
{
    (void)map;
    (void)mistakes;
    ((struct run *)object)->checked = true;
}

static const struct config_row end_rows[] = {
    {.name = "name", .type = CONFIG_TEXT, .offset = offsetof(struct end, name), .min = 1, .max = 9},
    {.name = "url", .type = CONFIG_TEXT, .offset = offsetof(struct end, url)},
    {.name = "depth", .type = CONFIG_INT, .offset = offsetof(struct end, depth), .text = "3"},
    {.name = "sas", .type = CONFIG_SECRET, .offset = offsetof(struct end, sas)},
    {0},
};
static const struct config_table end_table = {"end", sizeof(struct end), end_rows, check_end};

static const struct config_row run_rows[] = {
    {.name = "command",
     .type = CONFIG_TEMPLATES,
     .offset = offsetof(struct run, command),
     .required = true},
    {.name = "timeout",
     .type = CONFIG_DURATION,
     .offset = offsetof(struct run, timeout_ms),
     .text = "10m",
     .min = 100,
     .max = 7 * 86400 * SECOND_MS},
    {0},
};
static const struct config_table run_table = {"run hook", sizeof(struct run), run_rows, check_run};

static const struct config_row quiet_rows[] = {
    {.name = "level", .type = CONFIG_INT, .offset = offsetof(struct quiet, level), .text = "6"},
    {0},
};
static const struct config_table quiet_table = {"quiet hook", sizeof(struct quiet), quiet_rows,
                                                NULL};

static const char *const run_doc = "Runs.", *const quiet_doc = "Is quiet.";
static const struct config_kind hook_test_kinds[] = {
    {"run", &run_table, &run_doc}, {"quiet", &quiet_table, &quiet_doc}, {0}};
static const struct config_row hook_rows[] = {
    {.name = "name", .type = CONFIG_TEXT, .offset = offsetof(struct hook, name), .required = true},
    {.name = "kind",
     .type = CONFIG_ONE_OF,
     .offset = offsetof(struct hook, kind),
     .kinds = hook_test_kinds},
    {0},
};
static const struct config_table hook_test_table = {"hook", sizeof(struct hook), hook_rows, NULL};

static const struct config_row login_rows[] = {
    {.name = "tenant",
     .type = CONFIG_TEXT,
     .offset = offsetof(struct login, tenant),
     .required = true},
    {.name = "secret",
     .type = CONFIG_SECRET,
     .offset = offsetof(struct login, secret),
     .required = true},
    {0},
};
static const struct config_table login_table = {"login identity", sizeof(struct login), login_rows,
                                                NULL};
static const struct config_kind who_kinds[] = {
    {"login", &login_table, &quiet_doc}, {"quiet", &quiet_table, &quiet_doc}, {0}};
static const struct config_row who_rows[] = {
    {.name = "name", .type = CONFIG_TEXT, .offset = offsetof(struct who, name)},
    {.name = "kind",
     .type = CONFIG_KIND,
     .offset = offsetof(struct who, kind),
     .kinds = who_kinds,
     .required = true},
    {0},
};
static const struct config_table who_table = {"identity", sizeof(struct who), who_rows, NULL};

static const char *const levels[] = {"err", "warning", "info", "debug", NULL};

static const struct config_row all_rows[] = {
    {.name = "text", .type = CONFIG_TEXT, .offset = offsetof(struct all, text), .text = "${raw}"},
    {.name = "short_text",
     .type = CONFIG_TEXT,
     .offset = offsetof(struct all, short_text),
     .min = 2,
     .max = 4},
    {.name = "template", .type = CONFIG_TEMPLATE, .offset = offsetof(struct all, template)},
    {.name = "flag", .type = CONFIG_BOOL, .offset = offsetof(struct all, flag)},
    {.name = "on_flag", .type = CONFIG_BOOL, .offset = offsetof(struct all, on_flag), .text = "on"},
    {.name = "number",
     .type = CONFIG_INT,
     .offset = offsetof(struct all, number),
     .text = "8",
     .min = 1,
     .max = 4096},
    {.name = "any_number", .type = CONFIG_INT, .offset = offsetof(struct all, any_number)},
    {.name = "mode",
     .type = CONFIG_OCTAL,
     .offset = offsetof(struct all, mode),
     .text = "0640",
     .max = 0777},
    {.name = "wait",
     .type = CONFIG_DURATION,
     .offset = offsetof(struct all, wait_ms),
     .text = "2m",
     .min = SECOND_MS,
     .max = 7 * 86400 * SECOND_MS},
    {.name = "size",
     .type = CONFIG_SIZE,
     .offset = offsetof(struct all, size),
     .text = "64K",
     .min = 1024,
     .max = 1024 * 1024},
    {.name = "level",
     .type = CONFIG_CHOICE,
     .offset = offsetof(struct all, level),
     .text = "info",
     .choices = levels},
    {.name = "texts", .type = CONFIG_TEXTS, .offset = offsetof(struct all, texts)},
    {.name = "words",
     .type = CONFIG_TEXTS,
     .offset = offsetof(struct all, words),
     .text = "a  bc d",
     .min = 1},
    {.name = "templates", .type = CONFIG_TEMPLATES, .offset = offsetof(struct all, templates)},
    {.name = "waits",
     .type = CONFIG_DURATIONS,
     .offset = offsetof(struct all, waits),
     .text = "10s 1m",
     .min = 1,
     .max = 3600 * SECOND_MS},
    {.name = "pairs", .type = CONFIG_PAIRS, .offset = offsetof(struct all, pairs)},
    {.name = "sas", .type = CONFIG_SECRET, .offset = offsetof(struct all, sas)},
    {.name = "end",
     .type = CONFIG_OBJECT,
     .offset = offsetof(struct all, end),
     .table = &end_table,
     .scalar_ok = true,
     .scalar_key = "name"},
    {.name = "always",
     .type = CONFIG_OBJECT,
     .offset = offsetof(struct all, always),
     .table = &end_table,
     .text = ""},
    {.name = "ends",
     .type = CONFIG_OBJECTS,
     .offset = offsetof(struct all, ends),
     .table = &end_table},
    {.name = "hooks",
     .type = CONFIG_OBJECTS,
     .offset = offsetof(struct all, hooks),
     .table = &hook_test_table},
    {.name = "whos",
     .type = CONFIG_OBJECTS,
     .offset = offsetof(struct all, whos),
     .table = &who_table},
    {0},
};
static const struct config_table all_table = {"top level", sizeof(struct all), all_rows, NULL};

/* The environment of all tests. */
static inline const char *test_getenv(const char *name)
{
    static const struct {
        const char *name, *value;
    } variables[] = {{"NAME", "value"}, {"EMPTY", ""},       {"BRACES", "{a}{{b}}"}, {"TEN", "10"},
                     {"KEY", "hush"},   {"RAW", "\xff\xfe"}, {"KIND", "login"}};

    for (size_t i = 0; i < array_size(variables); i++) {
        if (strcmp(variables[i].name, name) == 0)
            return variables[i].value;
    }
    return NULL;
}

/* A text that was read, by all_table. */
struct reading {
    struct node *tree;
    struct all *all; /* NULL when the text is not YAML */
    struct mistakes mistakes;
};

static inline struct reading read_bytes(const char *text, size_t len)
{
    struct reading reading = {0};

    reading.tree = node_parse("x.yaml", text, len, &reading.mistakes);
    if (reading.tree != NULL)
        reading.all = config_read(&all_table, reading.tree, test_getenv, &reading.mistakes);
    return reading;
}

static inline struct reading read_text(const char *text)
{
    return read_bytes(text, strlen(text));
}

static inline void reading_done(struct reading *reading)
{
    config_free(&all_table, reading->all);
    node_free(reading->tree);
    mistakes_done(&reading->mistakes);
}

#define autoreading __attribute__((cleanup(reading_done))) struct reading

/* The text has exactly these mistakes; the expectation's lines have no "x.yaml:" before them. */
static inline void assert_mistakes(const char *text, const char *const *lines, unsigned count)
{
    autoreading reading = read_text(text);

    for (unsigned i = 0; i < reading.mistakes.count; i++) {
        if (i >= count)
            fail_msg("one mistake too many: %s", reading.mistakes.lines[i]);
        assert_string_equal(reading.mistakes.lines[i] + strlen("x.yaml:"), lines[i]);
    }
    assert_int_equal(reading.mistakes.count, count);
}

#define assert_mistake(text, ...)                                                                  \
    do {                                                                                           \
        static const char *const lines_[] = {__VA_ARGS__};                                         \
        assert_mistakes(text, lines_, array_size(lines_));                                         \
    } while (0)

/* A text with everything in it that is right. */
static const char good_sample[] = "text: \"a ${NAME:-b} $$ c\"\n"
                                  "short_text: abc\n"
                                  "template: '{x} ${BRACES}'\n"
                                  "flag: yes\n"
                                  "on_flag: FALSE\n"
                                  "number: ${TEN}\n"
                                  "any_number: -7\n"
                                  "mode: \"022\"\n"
                                  "wait: 1.5h\n"
                                  "size: 2K\n"
                                  "level: debug\n"
                                  "texts: one\n"
                                  "words: [x, 'y z', \"\\u00e9\"]\n"
                                  "templates:\n"
                                  "  - /bin/true\n"
                                  "  - \"{iteration_id}\"\n"
                                  "  - >\n"
                                  "    folded\n"
                                  "    text\n"
                                  "waits: 5s\n"
                                  "pairs: {A: b, C: \"${NAME}\"}\n"
                                  "sas: \"?sv=1&sig=abc%3D\"\n"
                                  "end: poison\n"
                                  "always: {depth: 5, sas_file: /run/key}\n"
                                  "ends:\n"
                                  "- name: one\n"
                                  "- {name: two, sas_credential: cred, url: \"http://x\"}\n"
                                  "hooks:\n"
                                  "  - name: deploy # the first\n"
                                  "    run: {command: [a, \"{b}\"], timeout: 1m}\n"
                                  "  - {name: audit, quiet: }\n"
                                  "whos:\n"
                                  "- {name: me, kind: login, tenant: t, secret: \"${KEY}\"}\n"
                                  "- {kind: quiet, level: 1}\n";

#endif
