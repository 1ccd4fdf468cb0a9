/* SPDX-License-Identifier: MIT */
/* Custom Vision's envelope: what is known, what is not, what is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdlib.h>

#include "base/buf.h"
#include "base/str.h"
#include "event/event.h"

#define PROJECT   "6c4a1c2e-1111-2222-3333-444455556666"
#define ITERATION "7D5b2d3f-1111-2222-3333-444455556666"
#define IDS       "\"projectId\":\"" PROJECT "\",\"iterationId\":\"" ITERATION "\""
#define TRAINING  "{\"type\":\"Training\",\"Content\":{" IDS ","
#define EXPORT    "{\"type\":\"Export\",\"Content\":{" IDS ",\"exportStatus\":\"ExportCompleted\""

static struct event *good(const char *text)
{
    struct event *event = NULL;
    const char *reason = event_decode(text, strlen(text), &event);

    if (reason != NULL)
        fail_msg("'%s': %s", text, reason);
    return event;
}

static void named(const char *text, const char *expected)
{
    struct event *event = good(text);

    if (!str_equal(event->name, expected))
        fail_msg("'%s' is %s, not %s", text, event->name, expected);
    event_discard(event);
}

static void refused(const char *text, const char *expected)
{
    struct event *event = NULL;
    const char *reason = event_decode(text, strlen(text), &event);

    if (!str_equal(reason, expected))
        fail_msg("'%s': %s, not %s", text, reason, expected);
    assert_null(event);
}

static void test_known(void **state)
{
    (void)state;
    named(TRAINING "\"trainingStatus\":\"TrainingCompleted\"}}", "training.completed");
    named(TRAINING "\"trainingStatus\":\"TrainingFailed\"}}", "training.failed");
    named(EXPORT "}}", "export.completed");
    named("{\"type\":\"Export\",\"Content\":{" IDS ",\"exportStatus\":\"ExportFailed\"}}",
          "export.failed");
    named("{\"type\":\"ConnectionTest\",\"Content\":{\"projectId\":\"" PROJECT "\"}}",
          "connection.test");
}

static void test_case_and_order_do_not_matter(void **state)
{
    (void)state;
    struct event *event =
        good("{\"CONTENT\":{\"ExportStatus\":\"EXPORTcompleted\",\"Extra\":[{}],\"ITERATIONID\":"
             "\"" ITERATION "\",\"ProjectID\":\"" PROJECT "\"},\"Type\":\"eXPORT\",\"extra\":1}");

    assert_string_equal(event->name, "export.completed");
    assert_string_equal(event->type, "eXPORT");
    assert_string_equal(event->status, "EXPORTcompleted");
    assert_string_equal(event->iteration_id, ITERATION);
    assert_null(event->model_uri);
    assert_null(event->platform);
    event_discard(event);
}

static void test_data_is_the_content(void **state)
{
    (void)state;
    struct event *event =
        good("{\"type\":\"ConnectionTest\",\"Content\": { \"projectId\" : \"" PROJECT
             "\",\n\"N\":1.50, \"n\":\"\\u00e9\" } }");

    assert_string_equal(event->data,
                        "{\"projectId\":\"" PROJECT "\",\"N\":1.50,\"n\":\"\xc3\xa9\"}");
    assert_null(event->status);
    assert_null(event->iteration_id);
    event_discard(event);
}

static void test_versions(void **state)
{
    (void)state;
    static const struct {
        const char *version;
        bool known;
    } rows[] = {
        {"\"1.0\"", true},   {"\"1\"", true},      {"\"1.17\"", true}, {"1", true},
        {"1.0", true},       {"1.5", true},        {"null", true},     {"\"2.0\"", false},
        {"2", false},        {"\"10\"", false},    {"\"1.\"", false},  {"\"1.x\"", false},
        {"\"\"", false},     {"\"v1\"", false},    {"true", false},    {"{}", false},
        {"\"1.0 \"", false}, {"\"1.0.0\"", false}, {"-1", false},
    };

    for (size_t i = 0; i < array_size(rows); i++) {
        autofree char *text =
            xasprintf("{\"version\":%s,\"type\":\"ConnectionTest\",\"Content\":{\"projectId\":"
                      "\"" PROJECT "\"}}",
                      rows[i].version);
        named(text, rows[i].known ? "connection.test" : "unknown");
    }
}

static void test_unknown_keeps_what_is_well_formed(void **state)
{
    (void)state;
    const char *text =
        "{\"version\":\"2.0\",\"type\":\"Export\",\"Content\":{" IDS
        ",\"exportStatus\":\"ExportCompleted\",\"modelUri\":\"https://h/c/m.onnx\"}}";
    struct event *event = good(text);

    assert_string_equal(event->name, "unknown");
    assert_string_equal(event->type, "Export");
    assert_string_equal(event->status, "ExportCompleted");
    assert_string_equal(event->project_id, PROJECT);
    assert_string_equal(event->iteration_id, ITERATION);
    assert_string_equal(event->platform, "onnx");
    assert_string_equal(event->data, text);
    event_discard(event);
    event = good("{\"version\":2,\"type\":5,\"Content\":{\"projectId\":\"x\",\"modelUri\":5}}");
    assert_null(event->type);
    assert_null(event->project_id);
    assert_null(event->model_uri);
    event_discard(event);
    named("{\"version\":2}", "unknown");
    named("{\"type\":\"Deleted\"}", "unknown");
    named("{\"type\":\"Deleted\",\"Content\":5}", "unknown");
    named("{\"type\":\"\"}", "unknown");
    named(TRAINING "\"trainingStatus\":\"TrainingCancelled\"}}", "unknown");
    named("{\"type\":\"Training\",\"Content\":{\"trainingStatus\":\"Odd\"}}", "unknown");
    named("{\"type\":\"Training\",\"Content\":{\"trainingStatus\":\"ExportCompleted\"}}",
          "unknown");
}

static void test_missing(void **state)
{
    (void)state;
    refused("{}", "missing-field");
    refused("{\"version\":\"1.0\"}", "missing-field");
    refused("{\"type\":null}", "missing-field");
    refused("{\"type\":\"Export\"}", "missing-field");
    refused("{\"type\":\"Export\",\"Content\":null}", "missing-field");
    refused("{\"type\":\"ConnectionTest\",\"Content\":{}}", "missing-field");
    refused("{\"type\":\"Training\",\"Content\":{" IDS "}}", "missing-field");
    refused("{\"type\":\"Training\",\"Content\":{" IDS ",\"exportStatus\":\"ExportFailed\"}}",
            "missing-field");
    refused("{\"type\":\"Training\",\"Content\":{\"projectId\":\"" PROJECT
            "\",\"trainingStatus\":\"TrainingFailed\"}}",
            "missing-field");
    refused("{\"type\":\"Training\",\"Content\":{\"iterationId\":\"" ITERATION
            "\",\"trainingStatus\":\"TrainingFailed\"}}",
            "missing-field");
    refused("{\"type\":\"ConnectionTest\",\"Content\":{\"projectId\":null}}", "missing-field");
}

static void test_wrong_types(void **state)
{
    (void)state;
    refused("{\"type\":5}", "wrong-type");
    refused("{\"type\":[\"Export\"]}", "wrong-type");
    refused("{\"type\":\"Export\",\"Content\":[]}", "wrong-type");
    refused("{\"type\":\"Export\",\"Content\":\"{}\"}", "wrong-type");
    refused("{\"type\":\"Export\",\"Content\":{" IDS ",\"exportStatus\":1}}", "wrong-type");
    refused("{\"type\":\"ConnectionTest\",\"Content\":{\"projectId\":1}}", "wrong-type");
    refused("{\"type\":\"Training\",\"Content\":{\"projectId\":\"" PROJECT
            "\",\"iterationId\":{},\"trainingStatus\":\"TrainingFailed\"}}",
            "wrong-type");
    refused(EXPORT ",\"modelUri\":5}}", "wrong-type");
    refused(EXPORT ",\"modelUri\":[]}}", "wrong-type");
}

static void test_bad_uuids(void **state)
{
    (void)state;
    refused("{\"type\":\"ConnectionTest\",\"Content\":{\"projectId\":\"\"}}", "bad-uuid");
    refused("{\"type\":\"ConnectionTest\",\"Content\":{\"projectId\":\"../../etc\"}}", "bad-uuid");
    refused("{\"type\":\"ConnectionTest\",\"Content\":{\"projectId\":\"" PROJECT "0\"}}",
            "bad-uuid");
    refused("{\"type\":\"Training\",\"Content\":{\"projectId\":\"" PROJECT
            "\",\"iterationId\":\"x\",\"trainingStatus\":\"TrainingFailed\"}}",
            "bad-uuid");
}

static void test_first_of_doubled_names_wins(void **state)
{
    (void)state;
    struct event *event = good("{\"type\":\"ConnectionTest\",\"TYPE\":5,\"Content\":{\"projectId\":"
                               "\"" PROJECT "\",\"projectid\":\"x\"},\"content\":[]}");

    assert_string_equal(event->project_id, PROJECT);
    event_discard(event);
}

static void platform_is(const char *uri, const char *expected)
{
    autofree char *text = xasprintf(EXPORT ",\"modelUri\":\"%s\"}}", uri);
    struct event *event = good(text);

    if (!str_equal(event->platform, expected))
        fail_msg("'%s' gives %s", uri, event->platform);
    assert_true(str_equal(event->model_uri, uri[0] == '\0' ? NULL : uri));
    event_discard(event);
}

static void test_platforms(void **state)
{
    (void)state;
    platform_is("https://a.blob.core.windows.net/c/" PROJECT " - " ITERATION ".CoreML", "CoreML");
    platform_is("https://a.b.net/c/x.ONNX?sv=2020.10.DockerFile&sig=a/b.c", "ONNX");
    platform_is("https://a.b.net/c/x.onnx.zip", "zip");
    platform_is("https://a.b.net/c/x.ONNX#frag.ment?x", "ONNX");
    platform_is("https://a.b.net/c?x=://a.b/c.d", NULL);
    platform_is("https://a.b.net/c.d/x", NULL);
    platform_is("https://a.b.net/c/x.", NULL);
    platform_is("https://a.b.net/c/x.ON-NX", NULL);
    platform_is("https://a.b.net/c/x.%4fNNX", NULL);
    platform_is("https://a.b.net/c/.ONNX", "ONNX");
    platform_is("https://a.b.net/", NULL);
    platform_is("https://a.b.net", NULL);
    platform_is("https://a.b.net?x.y", NULL);
    platform_is("https://", NULL);
    platform_is("://", NULL);
    platform_is("?", NULL);
    platform_is(".", NULL);
    platform_is("x.ONNX", "ONNX");
    platform_is("", NULL);
    platform_is("h/x.ABCDEFGHIJKLMNOPQRSTUVWXYZ012345", "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345");
    platform_is("h/x.ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456", NULL);
}

static void test_null_model_uri_is_missing(void **state)
{
    (void)state;
    struct event *event = good(EXPORT ",\"modelUri\":null}}");

    assert_null(event->model_uri);
    event_discard(event);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_case_and_order_do_not_matter),
        cmocka_unit_test(test_data_is_the_content),
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_unknown_keeps_what_is_well_formed),
        cmocka_unit_test(test_missing),
        cmocka_unit_test(test_wrong_types),
        cmocka_unit_test(test_bad_uuids),
        cmocka_unit_test(test_first_of_doubled_names_wins),
        cmocka_unit_test(test_platforms),
        cmocka_unit_test(test_null_model_uri_is_missing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
