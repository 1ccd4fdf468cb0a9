/* SPDX-License-Identifier: MIT */
/* Events: plain or base64, names, patterns, fields, the CloudEvents document. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdlib.h>

#include "base/buf.h"
#include "base/str.h"
#include "codec/base64.h"
#include "codec/json.h"
#include "event/event.h"

#define PROJECT   "6c4a1c2e-1111-2222-3333-444455556666"
#define ITERATION "7D5b2d3f-1111-2222-3333-444455556666"

static const char export[] =
    "{\"version\":\"1.0\",\"type\":\"Export\",\"Content\":{\"projectId\":\"" PROJECT
    "\",\"iterationId\":\"" ITERATION "\",\"exportStatus\":\"ExportCompleted\",\"modelUri\":"
    "\"https://a.blob.core.windows.net/c/" PROJECT "%20-%20" ITERATION ".ONNX?sv=1.2&sig=x\"}}";

/* Decodes a copy on the heap, where reading past the end is noticed. */
static const char *decode(const char *text, size_t len, struct event **ret_event)
{
    char *copy = xmalloc(len);

    memcpy(copy, text, len);
    const char *reason = event_decode(copy, len, ret_event);
    free(copy);
    return reason;
}

static struct event *good(const char *text, size_t len)
{
    struct event *event = NULL;
    const char *reason = decode(text, len, &event);

    if (reason != NULL)
        fail_msg("'%.*s': %s", (int)len, text, reason);
    return event;
}

static void refused(const char *text, const char *expected)
{
    struct event *event = NULL;
    const char *reason = decode(text, strlen(text), &event);

    if (!str_equal(reason, expected))
        fail_msg("'%s': %s, not %s", text, reason, expected);
    assert_null(event);
}

static void refused_in_base64(const char *text, size_t len, const char *expected)
{
    autobuf encoded;

    buf_init(&encoded, BUF_ANY_SIZE);
    base64_encode(text, len, &encoded);
    refused(encoded.data, expected);
}

static void is_the_export(const struct event *event, enum event_encoding encoding)
{
    assert_string_equal(event->name, "export.completed");
    assert_int_equal(event->encoding, encoding);
    assert_string_equal(event->type, "Export");
    assert_string_equal(event->status, "ExportCompleted");
    assert_string_equal(event->project_id, PROJECT);
    assert_string_equal(event->iteration_id, ITERATION);
    assert_string_equal(event->platform, "ONNX");
    assert_string_equal(event->data, strstr(event->data, "{\"projectId\""));
}

static void test_plain_and_base64(void **state)
{
    (void)state;
    autobuf text, encoded;

    struct event *event = good(export, strlen(export));
    is_the_export(event, EVENT_PLAIN);
    event_discard(event);
    buf_init(&text, BUF_ANY_SIZE);
    buf_printf(&text, "\xef\xbb\xbf\r\n %s\r\n", export);
    event = good(text.data, text.len);
    is_the_export(event, EVENT_PLAIN);
    event_discard(event);
    buf_init(&encoded, BUF_ANY_SIZE);
    base64_encode(text.data, text.len, &encoded);
    event = good(encoded.data, encoded.len);
    is_the_export(event, EVENT_BASE64);
    event_discard(event);
    /* The base64 itself behind a byte order mark, and in lines. */
    buf_reset(&text);
    buf_printf(&text, "\xef\xbb\xbf %.76s\r\n%s\r\n", encoded.data, encoded.data + 76);
    event = good(text.data, text.len);
    is_the_export(event, EVENT_BASE64);
    event_discard(event);
    event_discard(NULL);
}

static void test_undecodable(void **state)
{
    (void)state;
    refused("", "not-json");
    refused(" \r\n\t", "not-json");
    refused("\xef\xbb\xbf", "not-json");
    refused("{]", "not-json");
    refused("{\"a\":\"\\u0000\"}", "not-json");
    refused("{} x", "not-json");
    refused("{\"a\":", "truncated");
    refused("\"abc", "truncated");
    refused("{\"a\":\"\xff\"}", "not-utf8");
    refused("hello world!", "not-base64");
    refused("hello", "not-base64");
    refused("<xml/>", "not-base64");
    refused("12345", "not-base64");
    refused("\xff\xfe", "not-base64");
    refused("[]", "wrong-type");
    refused("\"text\"", "wrong-type");
    refused_in_base64("hello", 5, "not-json");
    refused_in_base64(" ", 1, "not-json");
    refused_in_base64("{\"a\":", 5, "truncated");
    refused_in_base64("\xff\xfe{\0}\0", 6, "not-utf8");
    refused_in_base64("[1]", 3, "wrong-type");
    refused_in_base64("12", 2, "wrong-type");
    refused("====", "not-base64");
}

static void test_size_and_depth(void **state)
{
    (void)state;
    autobuf text, deep;
    struct event *event;

    buf_init(&text, BUF_ANY_SIZE);
    buf_puts(&text, export);
    while (text.len < EVENT_MAX_TEXT)
        buf_putc(&text, ' ');
    event_discard(good(text.data, text.len));
    buf_putc(&text, ' ');
    assert_string_equal(decode(text.data, text.len, &event), "too-big");
    buf_init(&deep, BUF_ANY_SIZE);
    for (int levels = 31; levels <= 32; levels++) {
        buf_reset(&deep);
        buf_puts(&deep, "{\"type\":\"New\",\"x\":");
        for (int i = 0; i < levels; i++)
            buf_putc(&deep, '[');
        for (int i = 0; i < levels; i++)
            buf_putc(&deep, ']');
        buf_putc(&deep, '}');
        const char *reason = decode(deep.data, deep.len, &event);
        if (levels == 31) {
            assert_null(reason);
            event_discard(event);
        } else {
            assert_string_equal(reason, "too-deep");
        }
    }
}

static void test_every_beginning(void **state)
{
    (void)state;
    autobuf encoded;
    struct event *event;

    for (size_t len = 1; len < strlen(export); len++)
        assert_string_equal(decode(export, len, &event), "truncated");
    buf_init(&encoded, BUF_ANY_SIZE);
    base64_encode(export, strlen(export), &encoded);
    for (size_t len = 1; len < encoded.len; len++) {
        const char *reason = decode(encoded.data, len, &event);
        assert_string_equal(reason, len % 4 == 0 ? "truncated" : "not-base64");
    }
}

static void test_names(void **state)
{
    (void)state;
    static const char *const expected[] = {
        "training.completed", "training.failed", "export.completed", "export.failed",
        "connection.test",    "unknown",         "message.poisoned", NULL};

    for (size_t i = 0; i < array_size(expected); i++) {
        assert_true(str_equal(event_names()[i], expected[i]));
        assert_true(expected[i] == NULL || event_pattern_is_known(expected[i]));
        assert_true(expected[i] == NULL || event_pattern_matches(expected[i], expected[i]));
    }
}

static void test_patterns(void **state)
{
    (void)state;
    static const struct {
        const char *pattern;
        const char *matches; /* one letter for each of event_names */
    } rows[] = {
        {"*", "yyyy---"},
        {"training.*", "yy-----"},
        {"export.*", "--yy---"},
        {"*.failed", "-y-y---"},
        {"*.completed", "y-y----"},
        {"export.failed", "---y---"},
        {"unknown", "-----y-"},
        {"connection.test", "----y--"},
        {"message.poisoned", "------y"},
        {"connection.*", "-------"},
        {"message.*", "-------"},
        {"unk*", "-------"},
        {"", "-------"},
        {"**", "-------"},
        {"*.*.*", "-------"},
        {"Export.failed", "-------"},
        {"export", "-------"},
        {"exportfailed", "-------"},
        {"export.failed*export.failed", "-------"},
    };

    for (size_t i = 0; i < array_size(rows); i++) {
        for (size_t j = 0; event_names()[j] != NULL; j++) {
            if (event_pattern_matches(rows[i].pattern, event_names()[j]) !=
                (rows[i].matches[j] == 'y'))
                fail_msg("'%s' and '%s'", rows[i].pattern, event_names()[j]);
        }
        assert_int_equal(event_pattern_is_known(rows[i].pattern),
                         strchr(rows[i].matches, 'y') != NULL);
    }
}

static void test_fields(void **state)
{
    (void)state;
    static const char *const expected[] = {
        "export.completed", "Export", "ExportCompleted", PROJECT, ITERATION, "https://", "ONNX"};
    struct event *event = good(export, strlen(export));

    for (size_t i = 0; i < array_size(expected); i++)
        assert_true(str_starts(event_field(event, event_field_names()[i]), expected[i]));
    assert_null(event_field_names()[array_size(expected)]);
    assert_null(event_field(event, "message_id"));
    assert_null(event_field(event, ""));
    assert_null(event_field(event, "Type"));
    event_discard(event);
    const struct event bare = {.name = "unknown"};
    assert_string_equal(event_field(&bare, "event"), "unknown");
    assert_null(event_field(&bare, "project_id"));
}

static void document_is(const struct event *event, const char *id, const char *expected)
{
    autobuf out;

    buf_init(&out, BUF_ANY_SIZE);
    event_document(event, id, "https://a.queue.core.windows.net/q", 1795231417999, &out);
    assert_string_equal(out.data, expected);
}

static void test_document(void **state)
{
    (void)state;
    char project[] = PROJECT, iteration[] = ITERATION, data[] = "{\"n\":1.50}";
    struct event event = {
        .name = "export.failed", .project_id = project, .iteration_id = iteration, .data = data};

    document_is(&event, "id\n\"1\"",
                "{\"specversion\":\"1.0\",\"id\":\"id\\n\\\"1\\\"\",\"source\":"
                "\"https://a.queue.core.windows.net/q\",\"type\":\"customvision.export.failed\","
                "\"subject\":\"" PROJECT "/" ITERATION "\",\"time\":\"2026-11-21T03:23:37Z\","
                "\"data\":{\"n\":1.50}}");
    event.iteration_id = NULL;
    event.name = "connection.test";
    document_is(&event, "1",
                "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":"
                "\"https://a.queue.core.windows.net/q\",\"type\":\"customvision.connection.test\","
                "\"subject\":\"" PROJECT
                "\",\"time\":\"2026-11-21T03:23:37Z\",\"data\":{\"n\":1.50}}");
    event.project_id = NULL;
    event.data = NULL;
    event.name = "unknown";
    document_is(&event, "1",
                "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":"
                "\"https://a.queue.core.windows.net/q\",\"type\":\"customvision.unknown\","
                "\"time\":\"2026-11-21T03:23:37Z\"}");
}

/* A line end in the message never becomes one in the document. */
static void test_document_is_one_line(void **state)
{
    (void)state;
    const char *text = "{\r\n \"type\": \"Some\\nthing\",\r\n \"Content\": [1,\r\n\"\\r\\n\"]\r\n}";
    struct event *event = good(text, strlen(text));
    struct json_doc *doc;
    autobuf out;

    buf_init(&out, BUF_ANY_SIZE);
    event_document(event, "1", "s", 0, &out);
    assert_null(strpbrk(out.data, "\r\n"));
    assert_int_equal(json_parse(out.data, out.len, 33, &doc), JSON_OK);
    json_doc_free(doc);
    event_discard(event);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_and_base64),
        cmocka_unit_test(test_undecodable),
        cmocka_unit_test(test_size_and_depth),
        cmocka_unit_test(test_every_beginning),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_document),
        cmocka_unit_test(test_document_is_one_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
