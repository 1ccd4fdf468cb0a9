/* SPDX-License-Identifier: MIT */
/* JSON: trees, faults, and a writer that always writes JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdlib.h>

#include "base/buf.h"
#include "base/str.h"
#include "codec/json.h"

#define DEPTH 32

/* Parses a copy on the heap, where reading past the end is noticed. */
static enum json_fault parse(const char *text, size_t len, struct json_doc **ret_doc)
{
    char *copy = xmalloc(len);

    memcpy(copy, text, len);
    enum json_fault fault = json_parse(copy, len, DEPTH, ret_doc);
    free(copy);
    return fault;
}

static struct json_doc *good(const char *text)
{
    struct json_doc *doc = NULL;
    enum json_fault fault = parse(text, strlen(text), &doc);

    if (fault != JSON_OK)
        fail_msg("'%s': fault %d", text, fault);
    return doc;
}

static void faulty(const char *text, enum json_fault expected)
{
    struct json_doc *doc = NULL;
    enum json_fault fault = parse(text, strlen(text), &doc);

    if (fault != expected)
        fail_msg("'%s': fault %d, not %d", text, fault, expected);
    assert_null(doc);
}

/* What comes out when a text is read and written again. */
static void becomes(const char *text, const char *expected)
{
    struct json_doc *doc = good(text);
    struct json_writer *writer = json_writer_new();
    size_t len;

    json_write_value(writer, json_root(doc));
    json_doc_free(doc);
    const char *written = json_writer_text(writer, &len);
    assert_string_equal(written, expected);
    assert_int_equal(strlen(written), len);
    assert_true(str_is_utf8(written, len));
    json_doc_free(good(written));
    json_writer_free(writer);
}

static void test_tree(void **state)
{
    (void)state;
    struct json_doc *doc =
        good("\xef\xbb\xbf \r\n{\"a\": [1, -2.50e+3, null], \"B\": true, \"c\\n\": "
             "\"\\u00e9\\ud83d\\ude00\", \"e\": {}, \"f\": false, \"\": \"\"} \n");
    const struct json *root = json_root(doc);

    assert_int_equal(root->type, JSON_OBJECT);
    assert_null(root->name);
    assert_null(root->next);
    const struct json *a = json_member(root, "A");
    assert_string_equal(a->name, "a");
    assert_int_equal(a->type, JSON_ARRAY);
    assert_string_equal(a->first->text, "1");
    assert_null(a->first->name);
    assert_string_equal(a->first->next->text, "-2.50e+3");
    assert_int_equal(a->first->next->len, 8);
    assert_int_equal(a->first->next->next->type, JSON_NULL);
    assert_null(a->first->next->next->next);
    assert_true(json_member(root, "b")->truth);
    assert_false(json_member(root, "f")->truth);
    assert_string_equal(json_member_text(root, "C\n"), "\xc3\xa9\xf0\x9f\x98\x80");
    assert_null(json_member(root, "e")->first);
    assert_string_equal(json_member_text(root, ""), "");
    assert_null(json_member(root, "missing"));
    assert_null(json_member(a, "a"));
    assert_null(json_member(NULL, "a"));
    assert_null(json_member_text(root, "a"));
    assert_null(json_member_text(NULL, "a"));
    json_doc_free(doc);
    json_doc_free(NULL);
}

static void test_first_of_doubled_names(void **state)
{
    (void)state;
    struct json_doc *doc = good("{\"a\":\"1\",\"A\":\"2\",\"a\":\"3\"}");

    assert_string_equal(json_member_text(json_root(doc), "A"), "1");
    json_doc_free(doc);
    becomes("{\"a\":1,\"a\":2}", "{\"a\":1,\"a\":2}");
}

static void test_reading_and_writing(void **state)
{
    (void)state;
    becomes(" null ", "null");
    becomes("12", "12");
    becomes("\"x\"", "\"x\"");
    becomes("[ ]", "[]");
    becomes("[1.0, 1e400, 123456789012345678901234567890, -0]",
            "[1.0,1e400,123456789012345678901234567890,-0]");
    becomes("{\"a\" : { \"b\":\n[true,\tfalse] } }", "{\"a\":{\"b\":[true,false]}}");
    becomes("\"\\/\\\"\\\\\\b\\f\\n\\r\\t\\u001f\\u007f\"",
            "\"/\\\"\\\\\\b\\f\\n\\r\\t\\u001F\x7f\"");
    becomes("\"\\u2028\xe2\x80\xa8\"", "\"\xe2\x80\xa8\xe2\x80\xa8\"");
}

static void test_lone_surrogates(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"\"\\ud800\"", "\"\xef\xbf\xbd\""},
        {"\"\\udc00\"", "\"\xef\xbf\xbd\""},
        {"\"\\uD800x\"", "\"\xef\xbf\xbdx\""},
        {"\"\\uDBff\\n\"", "\"\xef\xbf\xbd\\n\""},
        {"\"\\ud800\\u0041\"", "\"\xef\xbf\xbd"
                               "A\""},
        {"\"\\ud800\\ud83d\\ude00\"", "\"\xef\xbf\xbd\xf0\x9f\x98\x80\""},
        {"\"\\ude00\\ud83d\"", "\"\xef\xbf\xbd\xef\xbf\xbd\""},
        {"\"\\ud83d\\ude00\\ude00\"", "\"\xf0\x9f\x98\x80\xef\xbf\xbd\""},
        {"\"\\ud800\\\\u12\"", "\"\xef\xbf\xbd\\\\u12\""},
        {"\"\\ud800\\\\u\"", "\"\xef\xbf\xbd\\\\u\""},
        {"\"\\\\ud800\"", "\"\\\\ud800\""},
        {"\"\\\\\\ud800\"", "\"\\\\\xef\xbf\xbd\""},
        {"{\"\\ud800\":1}", "{\"\xef\xbf\xbd\":1}"},
        {"\"\\udbff\\udfff\"", "\"\xf4\x8f\xbf\xbf\""},
    };

    for (size_t i = 0; i < array_size(rows); i++)
        becomes(rows[i][0], rows[i][1]);
}

static void test_faults(void **state)
{
    (void)state;
    static const char *const not_json[] = {"",
                                           " \n",
                                           "\xef\xbb\xbf",
                                           "x",
                                           "{]",
                                           "[1,]",
                                           "{\"a\":1,}",
                                           "{a:1}",
                                           "{'a':1}",
                                           "[01]",
                                           "[+1]",
                                           "[.5]",
                                           "[1.]",
                                           "nul1",
                                           "NaN",
                                           "[1] x",
                                           "[1] tr",
                                           "[1]\"",
                                           "[1]\"]",
                                           "\"a\"\"",
                                           "null\"",
                                           "1 \"x",
                                           "1\"",
                                           "{}\"\\",
                                           "1 2",
                                           "{} {}",
                                           "[1]]",
                                           "/**/1",
                                           "[1]//",
                                           "\"\\x\"",
                                           "\"\\u12g4\"",
                                           "\"a\nb\"",
                                           "\"a\x01\"",
                                           "{\"a\" 1}",
                                           "{1:1}",
                                           "\"\\u0000\"",
                                           "{\"a\\u0000\":1}",
                                           "{\"a\":\"\\u0000\"}",
                                           "\xef\xbb\xbf\xef\xbb\xbf{}"};
    static const char *const truncated[] = {"{",
                                            "[",
                                            "\"",
                                            "[1",
                                            "[1,",
                                            "{\"a",
                                            "{\"a\"",
                                            "{\"a\":",
                                            "{\"a\":1",
                                            "tru",
                                            "-",
                                            "1.",
                                            "1e",
                                            "[tr",
                                            "\"\\",
                                            "\"\\u",
                                            "\"\\ud83d",
                                            "\"\\ud83d\\",
                                            "\"\\ud83d\\ude0",
                                            "[\"a\\u00"};
    struct json_doc *doc;

    for (size_t i = 0; i < array_size(not_json); i++)
        faulty(not_json[i], JSON_NOT_JSON);
    for (size_t i = 0; i < array_size(truncated); i++)
        faulty(truncated[i], JSON_TRUNCATED);
    assert_int_equal(parse("[1]\0", 4, &doc), JSON_NOT_JSON);
    assert_int_equal(parse("\"a\0b\"", 5, &doc), JSON_NOT_JSON);
    assert_int_equal(parse("\0", 1, &doc), JSON_NOT_JSON);
    faulty("\"\xff\"", JSON_NOT_UTF8);
    faulty("\"\xed\xa0\x80\"", JSON_NOT_UTF8);
    faulty("{\"a\":1}\xc3", JSON_NOT_UTF8);
    faulty("\xff\xfe{", JSON_NOT_UTF8);
}

/* Each beginning of a document is truncated, and nothing else. */
static void test_every_beginning(void **state)
{
    (void)state;
    const char *text =
        "{\"version\":\"1.0\",\"x\":[1,-2.5e10,true,false,null,{\"\\u00e9\\n\":[[]]}],"
        "\"s\":\"\\ud83d\\ude00 \\\\ \\\" end\"}";
    struct json_doc *doc;

    for (size_t len = 1; len < strlen(text); len++)
        assert_int_equal(parse(text, len, &doc), JSON_TRUNCATED);
    json_doc_free(good(text));
}

static char *nested(unsigned depth, const char *open, const char *close)
{
    struct buf text;

    buf_init(&text, BUF_ANY_SIZE);
    for (unsigned i = 0; i < depth; i++)
        buf_puts(&text, open);
    for (unsigned i = 0; i < depth; i++)
        buf_puts(&text, close);
    return buf_take(&text);
}

static void test_depth(void **state)
{
    (void)state;
    autofree char *arrays = nested(DEPTH, "[", "]");
    autofree char *more_arrays = nested(DEPTH + 1, "[", "]");
    autofree char *more_objects = nested(DEPTH + 1, "{\"a\":", "}");
    autofree char *bomb = nested(1000000, "[", "");
    autofree char *wide = nested(20000, "[],", "");
    struct json_doc *doc;

    becomes(arrays, arrays);
    faulty(more_arrays, JSON_TOO_DEEP);
    faulty(more_objects, JSON_TOO_DEEP);
    faulty(bomb, JSON_TOO_DEEP);
    faulty(wide, JSON_NOT_JSON);
    assert_int_equal(json_parse("1", 1, 0, &doc), JSON_OK);
    json_doc_free(doc);
    assert_int_equal(json_parse("[]", 2, 0, &doc), JSON_TOO_DEEP);
    /* A wrong text is wrong before it is too deep. */
    faulty("[}[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", JSON_NOT_JSON);
}

/* More values than the first block of the arena holds. */
static void test_many_values(void **state)
{
    (void)state;
    autobuf text;

    buf_init(&text, BUF_ANY_SIZE);
    buf_puts(&text, "[0");
    for (int i = 0; i < 30000; i++)
        buf_puts(&text, i % 2 != 0 ? ",1" : ",\"\"");
    buf_puts(&text, "]");
    becomes(text.data, text.data);
}

/* Each byte replaced: any answer but a crash, and what is taken can be written and read again. */
static void test_damaged(void **state)
{
    (void)state;
    const char *text =
        "{\"a\":[1,true,null],\"s\":\"\\ud83d\\ude00\\\\\",\"\xc3\xa9\":{\"b\":-1.5e3}}";
    size_t len = strlen(text);

    for (size_t i = 0; i < len; i++) {
        for (int byte = 0; byte < 256; byte++) {
            autofree char *copy = xstrdup(text);
            struct json_doc *doc = NULL;
            copy[i] = (char)byte;
            if (parse(copy, len, &doc) != JSON_OK)
                continue;
            json_doc_free(doc);
            struct json_writer *writer = json_writer_new();
            size_t written;
            doc = good(copy);
            json_write_value(writer, json_root(doc));
            json_doc_free(doc);
            json_doc_free(good(json_writer_text(writer, &written)));
            json_writer_free(writer);
        }
    }
}

static void test_writer(void **state)
{
    (void)state;
    struct json_writer *writer = json_writer_new();
    size_t len = 42;

    assert_string_equal(json_writer_text(writer, &len), "");
    assert_int_equal(len, 0);
    json_write_open(writer, '{');
    json_write_name(writer, "text");
    json_write_text(writer, "a\"\\/\n\x01\x7f\xc3\xa9");
    json_write_name(writer, "none");
    json_write_text(writer, NULL);
    json_write_name(writer, "ints");
    json_write_open(writer, '[');
    json_write_int(writer, INT64_MIN);
    json_write_int(writer, INT64_MAX);
    json_write_close(writer, ']');
    json_write_name(writer, "");
    json_write_bool(writer, false);
    json_write_name(writer, "raw");
    json_write_raw(writer, "{\"x\":1.50}", 10);
    json_write_name(writer, "bad \xff");
    json_write_text(writer, "\xff\xc3\xed\xa0\x80!\xf0\x9f\x98");
    json_write_close(writer, '}');
    assert_string_equal(json_writer_text(writer, &len),
                        "{\"text\":\"a\\\"\\\\/\\n\\u0001\x7f\xc3\xa9\",\"none\":null,\"ints\":["
                        "-9223372036854775808,9223372036854775807],\"\":false,\"raw\":{\"x\":1.50},"
                        "\"bad \xef\xbf\xbd\":\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
                        "\xef\xbf\xbd!\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"}");
    json_writer_free(writer);
    json_writer_free(NULL);
}

static void ascii(const char *text, const char *expected)
{
    autobuf out;

    buf_init(&out, BUF_ANY_SIZE);
    json_to_ascii(text, strlen(text), &out);
    assert_string_equal(out.data, expected);
}

static void test_ascii(void **state)
{
    (void)state;
    ascii("", "");
    ascii("{\"a\":\"b\\n\"}", "{\"a\":\"b\\n\"}");
    ascii("\"\xc3\xa9\xe2\x82\xac.\"", "\"\\u00e9\\u20ac.\"");
    ascii("\xf0\x9f\x98\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf",
          "\\ud83d\\ude00\\ud800\\udc00\\udbff\\udfff");
    ascii("\xef\xbf\xbf\xff x\xc3", "\\uffff\\ufffd x\\ufffd");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tree),
        cmocka_unit_test(test_first_of_doubled_names),
        cmocka_unit_test(test_reading_and_writing),
        cmocka_unit_test(test_lone_surrogates),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_every_beginning),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_many_values),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_writer),
        cmocka_unit_test(test_ascii),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
