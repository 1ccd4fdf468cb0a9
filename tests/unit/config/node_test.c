/* SPDX-License-Identifier: MIT */
/* Texts as trees: what stands where, what is refused, and that nothing breaks the parser. */
#include "reading.h"

#include <stdlib.h>

#include "base/buf.h"

struct parsed {
    struct node *tree;
    struct mistakes mistakes;
};

static struct parsed parse(const char *text)
{
    struct parsed parsed = {0};

    parsed.tree = node_parse("x.yaml", text, strlen(text), &parsed.mistakes);
    return parsed;
}

static void parsed_done(struct parsed *parsed)
{
    node_free(parsed->tree);
    mistakes_done(&parsed->mistakes);
}

#define autoparsed __attribute__((cleanup(parsed_done))) struct parsed

/* The text has one mistake, and a tree or none. */
static void assert_refused(const char *text, bool has_tree, const char *line)
{
    autoparsed parsed = parse(text);

    assert_true(parsed.mistakes.count > 0);
    assert_string_equal(parsed.mistakes.lines[0], line);
    assert_int_equal(parsed.mistakes.count, 1);
    assert_int_equal(parsed.tree != NULL, has_tree);
}

static void assert_at(const struct node *node, enum node_type type, int line, int column)
{
    assert_non_null(node);
    assert_int_equal(node->type, type);
    assert_int_equal(node->line, line);
    assert_int_equal(node->column, column);
    assert_string_equal(node->file, "x.yaml");
}

static void test_places_and_types(void **state)
{
    autoparsed parsed = parse("a: 1\n"
                              "b:\n"
                              "  - x\n"
                              "  - \"~\"\n"
                              "\xc3\xa9\xc3\xa9: {k: 'v', l: }\n"
                              "c: |\n"
                              "  block\n"
                              "d: null\n"
                              "e:\n"
                              "f: [~, null, Null, '']\n");
    const struct node *node;

    (void)state;
    assert_int_equal(parsed.mistakes.count, 0);
    assert_at(parsed.tree, NODE_MAP, 1, 1);
    assert_false(parsed.tree->flow);
    node = node_member(parsed.tree, "a");
    assert_at(node, NODE_SCALAR, 1, 4);
    assert_string_equal(node->text, "1");
    assert_false(node->quoted);
    node = node_member(parsed.tree, "b");
    assert_at(node, NODE_LIST, 3, 3);
    assert_int_equal(node->key_line, 2);
    assert_int_equal(node->key_column, 1);
    assert_at(node->first, NODE_SCALAR, 3, 5);
    assert_null(node->first->key);
    assert_at(node->first->next, NODE_SCALAR, 4, 5);
    assert_true(node->first->next->quoted);
    node = node_member(parsed.tree, "\xc3\xa9\xc3\xa9");
    assert_at(node, NODE_MAP, 5, 5); /* characters, not bytes */
    assert_true(node->flow);
    assert_at(node_member(node, "k"), NODE_SCALAR, 5, 9);
    assert_at(node_member(node, "l"), NODE_NULL, 5, 14);
    assert_at(node_member(parsed.tree, "c"), NODE_SCALAR, 6, 4);
    assert_string_equal(node_member(parsed.tree, "c")->text, "block\n");
    assert_at(node_member(parsed.tree, "d"), NODE_NULL, 8, 4);
    assert_at(node_member(parsed.tree, "e"), NODE_NULL, 9, 1); /* the key's place */
    node = node_member(parsed.tree, "f")->first;
    assert_at(node, NODE_NULL, 10, 5);
    assert_at(node->next, NODE_NULL, 10, 8);
    assert_at(node->next->next, NODE_SCALAR, 10, 14);
    assert_string_equal(node->next->next->next->text, "");
    assert_null(node_member(parsed.tree, "none"));
    assert_null(node_member(node, "none"));
}

static void test_empty_texts_are_empty_maps(void **state)
{
    static const char *const texts[] = {"",  "\n\n",     "# only a comment\n", "---\n",
                                        "~", "--- {}\n", "---\n...\n",         "\xef\xbb\xbf"};

    (void)state;
    for (size_t i = 0; i < array_size(texts); i++) {
        autoparsed parsed = parse(texts[i]);
        assert_int_equal(parsed.mistakes.count, 0);
        assert_int_equal(parsed.tree->type, NODE_MAP);
        assert_null(parsed.tree->first);
    }
}

static void test_json_is_accepted(void **state)
{
    autoparsed parsed = parse("{\"a\": [1, true, null, \"x\\ty\"], \"b\": {\"c\": \"d\"}}");

    (void)state;
    assert_int_equal(parsed.mistakes.count, 0);
    assert_string_equal(node_member(parsed.tree, "a")->first->next->next->next->text, "x\ty");
    assert_string_equal(node_member(node_member(parsed.tree, "b"), "c")->text, "d");
}

static void test_a_key_twice(void **state)
{
    (void)state;
    assert_refused("a: 1\nb: 2\na: 3\n", true,
                   "x.yaml:3:1: \"a\" is written twice, first on line 1; keep one of them");
    assert_refused("{a: {b: 1, 'b': 2}}", true,
                   "x.yaml:1:12: \"b\" is written twice, first on line 1; keep one of them");
    autoparsed parsed = parse("a: 1\na: 2\na: 3\n");
    assert_int_equal(parsed.mistakes.count, 2);
    assert_string_equal(parsed.tree->first->text, "1");
    assert_null(parsed.tree->first->next);
}

static void test_what_yaml_has_and_we_do_not(void **state)
{
    (void)state;
    assert_refused("a: &x 1\nb: *x\n", true,
                   "x.yaml:2:4: an alias (*name) can not be used here; write the value again");
    assert_refused("a: !!str 1\n", true,
                   "x.yaml:1:4: the tag tag:yaml.org,2002:str has no meaning here; leave it out");
    assert_refused("a: !secret x\n", true,
                   "x.yaml:1:4: the tag !secret has no meaning here; leave it out");
    assert_refused("a: !list [x]\n", true,
                   "x.yaml:1:4: the tag !list has no meaning here; leave it out");
    assert_refused("a: 1\n---\nb: 2\n", true,
                   "x.yaml:2:1: a second document begins here; a file holds one");
    assert_refused("a: \"x\\0y\"\n", true,
                   "x.yaml:1:4: a text can not hold a NUL (\\0); leave it out");
    assert_refused("\"a\\0\": x\n", true,
                   "x.yaml:1:1: a text can not hold a NUL (\\0); leave it out");
    autoparsed anchor = parse("a: &x 1\n");
    assert_int_equal(anchor.mistakes.count, 0);
    autoparsed merge = parse("a: &x {}\nb: {<<: *x}\n");
    assert_int_equal(merge.mistakes.count, 1);
    assert_non_null(node_member(node_member(merge.tree, "b"), "<<"));
}

static void test_keys_that_are_no_texts(void **state)
{
    static const char line[] =
        "x.yaml:1:5: a key must be a text; a text with {...} or [...] in it needs quotes";

    (void)state;
    assert_refused("a: {{b}}\n", true, line);
    assert_refused("a: {[b]: c}\n", true, line);
    assert_refused("a: [{{b}: c}]\n", true,
                   "x.yaml:1:6: a key must be a text; a text with {...} or [...] in it needs "
                   "quotes");
    assert_refused("{a}: b\n", true,
                   "x.yaml:1:1: a key must be a text; a text with {...} or [...] in it needs "
                   "quotes");
}

static void test_syntax(void **state)
{
    (void)state;
    assert_refused("a: b\n\tc: d\n", false,
                   "x.yaml:2:1: not YAML: found a tab character that violates indentation while "
                   "scanning a plain scalar that begins on line 1; indent with blanks, not with "
                   "tabs");
    assert_refused("a:\n\t- b\n", false,
                   "x.yaml:2:1: not YAML: found character that cannot start any token while "
                   "scanning for the next token; indent with blanks, not with tabs");
    assert_refused("a: 'b\n", false,
                   "x.yaml:2:1: not YAML: found unexpected end of stream while scanning a quoted "
                   "scalar that begins on line 1");
    assert_refused("a: [b\nc: d\n", false,
                   "x.yaml:2:2: not YAML: did not find expected ',' or ']' while parsing a flow "
                   "sequence that begins on line 1; is a ] or } missing, or quotes around a text?");
    assert_refused(
        "a: b: c\n", false,
        "x.yaml:1:5: not YAML: mapping values are not allowed in this context; the keys of a "
        "map begin in one column, a blank is behind each ':', and a text with ': ' in "
        "it needs quotes");
    assert_refused("a: %x\n", false,
                   "x.yaml:1:4: not YAML: found character that cannot start any token while "
                   "scanning for the next token");
}

static void test_syntax_hints_at_braces(void **state)
{
    static const char hint[] = "; a text with {...} in it needs quotes: \"{...}\"";
    static const struct {
        const char *text;
        bool hinted;
    } cases[] = {
        {"a: b\nname: {event}-{id}.json\n", true},
        {"command: [x, {id}-y]\n", true},
        {"text: {event} failed\n", true},
        {"a: {c:-none}.json\n", true},
        {"a: {b: c, url: ${VAR}}\n", true},
        {"a: {b\n\n\n", false},
        {"a: [b\nc: {d: [e]}\n", false},
        {"name: \"{event}\" x\n", false},
        {"name: '{event}' x\n", false},
        {"# {x}\na: 'b\n", false},
    };

    (void)state;
    for (size_t i = 0; i < array_size(cases); i++) {
        autoparsed parsed = parse(cases[i].text);
        assert_null(parsed.tree);
        assert_int_equal(parsed.mistakes.count, 1);
        assert_int_equal(strstr(parsed.mistakes.lines[0], hint) != NULL, cases[i].hinted);
    }
}

static void test_bytes_that_are_no_text(void **state)
{
    struct mistakes mistakes = {0};
    static const char nul[] = "a: b\nc: \xc3\xa9\0d\n";

    (void)state;
    assert_null(node_parse("x.yaml", nul, sizeof(nul) - 1, &mistakes));
    assert_string_equal(mistakes.lines[0],
                        "x.yaml:2:5: not YAML: control characters are not allowed");
    mistakes_done(&mistakes);
    assert_refused("a: b\nc: \xff\n", false, "x.yaml:2:4: not YAML: invalid leading UTF-8 octet");
}

/* `{count} times opening`, a scalar, and as many closings. */
static char *nested(unsigned count, const char *open, const char *close)
{
    autobuf text;

    buf_init(&text, BUF_ANY_SIZE);
    for (unsigned i = 0; i < count; i++)
        buf_puts(&text, open);
    buf_puts(&text, "x");
    for (unsigned i = 0; i < count; i++)
        buf_puts(&text, close);
    return buf_take(&text);
}

static void test_depth(void **state)
{
    autofree char *deepest = nested(NODE_DEPTH_MAX, "[", "]");
    autofree char *too_deep = nested(NODE_DEPTH_MAX + 1, "[", "]");
    autofree char *maps = nested(NODE_DEPTH_MAX + 1, "{a: ", "}");
    autofree char *keys = nested(100000, "{", "}");
    autofree char *open = nested(500000, "[", "");
    autofree char *lists = nested(200000, "- ", "");

    (void)state;
    autoparsed parsed = parse(deepest);
    assert_int_equal(parsed.mistakes.count, 0);
    assert_refused(too_deep, false, "x.yaml:1:17: more than 16 maps and lists in one another");
    assert_refused(maps, false, "x.yaml:1:65: more than 16 maps and lists in one another");
    autoparsed parsed_keys = parse(keys);
    assert_null(parsed_keys.tree);
    autoparsed parsed_open = parse(open);
    assert_null(parsed_open.tree);
    autoparsed parsed_lists = parse(lists);
    assert_null(parsed_lists.tree);
}

static void test_size(void **state)
{
    autofree char *text = xmalloc(NODE_TEXT_MAX + 2);
    struct mistakes mistakes = {0};

    (void)state;
    memset(text, '#', NODE_TEXT_MAX + 2);
    struct node *tree = node_parse("x.yaml", text, NODE_TEXT_MAX, &mistakes);
    assert_non_null(tree);
    assert_int_equal(mistakes.count, 0);
    node_free(tree);
    assert_null(node_parse("x.yaml", text, NODE_TEXT_MAX + 1, &mistakes));
    assert_string_equal(mistakes.lines[0],
                        "x.yaml: 1048577 bytes are too many for a configuration; at most 1048576");
    mistakes_done(&mistakes);
}

static void test_a_hundred_thousand_keys(void **state)
{
    autobuf text;

    (void)state;
    buf_init(&text, BUF_ANY_SIZE);
    for (int i = 0; i < 100000; i++)
        buf_printf(&text, "k%d:\n", i);
    buf_puts(&text, "k0:\n");
    autoparsed parsed = parse(text.data);
    assert_int_equal(parsed.mistakes.count, 1);
    assert_string_equal(
        parsed.mistakes.lines[0],
        "x.yaml:100001:1: \"k0\" is written twice, first on line 1; keep one of them");
    autoreading reading = read_text(text.data);
    assert_int_equal(reading.mistakes.count, MISTAKES_MAX);
}

/* Whatever comes, it is a tree or a mistake. */
static void try_bytes(const char *bytes, size_t len)
{
    autofree char *exact = xmalloc(len == 0 ? 1 : len); /* so that a byte too far is seen */

    memcpy(exact, bytes, len);
    autoreading reading = read_bytes(exact, len);
    assert_true(reading.tree != NULL || reading.mistakes.count > 0);
    for (unsigned i = 0; i < reading.mistakes.count; i++)
        assert_null(strchr(reading.mistakes.lines[i], '\n'));
}

static void test_cut_at_every_byte(void **state)
{
    (void)state;
    for (size_t len = 0; len < sizeof(good_sample); len++)
        try_bytes(good_sample, len);
}

static void test_every_byte_changed(void **state)
{
    static const char changes[] = "\0\n\t {}[]\"'$*&!:-#~\xff\xc3";
    char text[sizeof(good_sample)];

    (void)state;
    for (size_t i = 0; i < sizeof(good_sample) - 1; i++) {
        for (size_t k = 0; k < sizeof(changes) - 1; k++) {
            memcpy(text, good_sample, sizeof(text));
            text[i] = changes[k];
            try_bytes(text, sizeof(text) - 1);
        }
        memcpy(text, good_sample, sizeof(text));
        text[i] ^= (char)(1 << i % 8);
        try_bytes(text, sizeof(text) - 1);
    }
}

static void test_every_byte_left_out_and_doubled(void **state)
{
    const size_t len = sizeof(good_sample) - 1;
    char text[sizeof(good_sample) + 1];

    (void)state;
    for (size_t i = 0; i < len; i++) {
        memcpy(text, good_sample, i);
        memcpy(text + i, good_sample + i + 1, len - i - 1);
        try_bytes(text, len - 1);
        memcpy(text, good_sample, i + 1);
        memcpy(text + i + 1, good_sample + i, len - i);
        try_bytes(text, len + 1);
    }
}

static void test_bytes_at_random(void **state)
{
    static const char *const pieces[] = {
        "a",    ": ",  "\n", "  ",       "- ",    "{",           "}",   "[",    "]",
        ", ",   "\"",  "'",  "$",        "${A}",  "|",           ">\n", "? ",   "&x ",
        "*x ",  "!t ", "# ", "---\n",    "~",     "end",         "sas", "ends", "hooks",
        "kind", "run", "<<", "\xc3\xa9", "...\n", "%YAML 1.1\n",
    };
    unsigned seed = 1;

    (void)state;
    for (int round = 0; round < 20000; round++) {
        char text[256] = "";
        size_t len = 0;
        for (int i = 0; i < 20; i++) {
            seed = seed * 1103515245 + 12345;
            const char *piece = pieces[(seed >> 16) % array_size(pieces)];
            len = (size_t)(stpcpy(text + len, piece) - text);
        }
        try_bytes(text, len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places_and_types),
        cmocka_unit_test(test_empty_texts_are_empty_maps),
        cmocka_unit_test(test_json_is_accepted),
        cmocka_unit_test(test_a_key_twice),
        cmocka_unit_test(test_what_yaml_has_and_we_do_not),
        cmocka_unit_test(test_keys_that_are_no_texts),
        cmocka_unit_test(test_syntax),
        cmocka_unit_test(test_syntax_hints_at_braces),
        cmocka_unit_test(test_bytes_that_are_no_text),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_size),
        cmocka_unit_test(test_a_hundred_thousand_keys),
        cmocka_unit_test(test_cut_at_every_byte),
        cmocka_unit_test(test_every_byte_changed),
        cmocka_unit_test(test_every_byte_left_out_and_doubled),
        cmocka_unit_test(test_bytes_at_random),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
