/* SPDX-License-Identifier: MIT */
/* The poison record: what is in it, in ASCII, and what gives way when it is too big. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/err.h"
#include "codec/json.h"
#include "flow/poison.h"

static const char *const done[] = {"audit", "ops", NULL};

static struct poison_record full_record(void)
{
    return (struct poison_record){
        .reason = "rejected",
        .hook = "deploy",
        .done = done,
        .attempts = 3,
        .exit_status = 65,
        .tail = "no room\nfor this\n",
        .message_id = "id-1",
        .queue_url = "https://a.queue.core.windows.net/q",
        .inserted_ms = 1795231417000,
        .dequeue_count = 4,
        .encoding = "base64",
        .text = "eyJ9",
    };
}

/* The record's JSON, parsed; it must be ASCII and fit. */
static struct json_doc *make(const struct poison_record *record)
{
    char *text = poison_text(record);
    struct json_doc *doc;

    assert_true(strlen(text) <= POISON_MAX_BYTES);
    for (const char *c = text; *c != '\0'; c++)
        assert_in_range((unsigned char)*c, 0x20, 0x7f);
    assert_int_equal(json_parse(text, strlen(text), 8, &doc), JSON_OK);
    free(text);
    return doc;
}

static void expect_number(const struct json *root, const char *name, const char *spelled)
{
    const struct json *member = json_member(root, name);

    assert_non_null(member);
    assert_int_equal(member->type, JSON_NUMBER);
    assert_string_equal(member->text, spelled);
}

static void expect_null(const struct json *root, const char *name)
{
    const struct json *member = json_member(root, name);

    assert_non_null(member);
    assert_int_equal(member->type, JSON_NULL);
}

static void everything_is_in_it(void **state)
{
    struct poison_record record = full_record();
    struct json_doc *doc = make(&record);
    const struct json *root = json_root(doc);

    (void)state;
    expect_number(root, "cvnotifyd", "1");
    assert_string_equal(json_member_text(root, "reason"), "rejected");
    assert_string_equal(json_member_text(root, "hook"), "deploy");
    const struct json *list = json_member(root, "done");
    assert_string_equal(list->first->text, "audit");
    assert_string_equal(list->first->next->text, "ops");
    assert_null(list->first->next->next);
    expect_number(root, "attempts", "3");
    expect_number(root, "exit", "65");
    assert_string_equal(json_member_text(root, "tail"), "no room\nfor this\n");
    assert_string_equal(json_member_text(root, "message_id"), "id-1");
    assert_string_equal(json_member_text(root, "queue"), "https://a.queue.core.windows.net/q");
    assert_string_equal(json_member_text(root, "inserted"), "2026-11-21T03:23:37Z");
    expect_number(root, "dequeue_count", "4");
    assert_string_equal(json_member_text(root, "encoding"), "base64");
    assert_string_equal(json_member_text(root, "text"), "eyJ9");
    json_doc_free(doc);
}

static void what_is_not_there_is_null(void **state)
{
    struct poison_record record = {
        .reason = "not-json", .exit_status = -1, .message_id = "id", .queue_url = "u", .text = ""};
    struct json_doc *doc = make(&record);
    const struct json *root = json_root(doc);

    (void)state;
    expect_null(root, "hook");
    expect_null(root, "exit");
    expect_null(root, "tail");
    expect_null(root, "encoding");
    assert_null(json_member(root, "done")->first);
    assert_string_equal(json_member_text(root, "text"), "");
    json_doc_free(doc);
}

static void what_is_not_ascii_is_escaped_and_comes_back(void **state)
{
    struct poison_record record = full_record();

    (void)state;
    record.text = "{\"a\":\"é€😀\"}\n\t\x01\x7f";
    record.tail = "Größe";
    struct json_doc *doc = make(&record);
    assert_string_equal(json_member_text(json_root(doc), "text"), record.text);
    assert_string_equal(json_member_text(json_root(doc), "tail"), record.tail);
    json_doc_free(doc);
}

static void bytes_that_are_no_text_are_replaced(void **state)
{
    struct poison_record record = full_record();

    (void)state;
    record.text = "a\xff\xc3(\xed\xa0\x80z";
    struct json_doc *doc = make(&record);
    const char *text = json_member_text(json_root(doc), "text");
    assert_memory_equal(text, "a\xef\xbf\xbd", 4);
    assert_int_equal(text[strlen(text) - 1], 'z');
    json_doc_free(doc);
}

static char *filled(size_t len, char c)
{
    char *text = xcalloc(1, len + 1);

    memset(text, c, len);
    return text;
}

static void the_tail_gives_way_first(void **state)
{
    struct poison_record record = full_record();
    autofree char *text = filled(POISON_MAX_BYTES - 2048, 't');
    autofree char *tail = filled(4096, 'e');

    (void)state;
    record.text = text;
    record.tail = tail;
    struct json_doc *doc = make(&record);
    assert_string_equal(json_member_text(json_root(doc), "text"), text);
    expect_null(json_root(doc), "tail");
    assert_string_equal(json_member_text(json_root(doc), "reason"), "rejected");
    json_doc_free(doc);
}

static void a_text_that_does_not_fit_goes_alone(void **state)
{
    struct poison_record record = full_record();
    autofree char *text = filled(POISON_MAX_BYTES, 't');

    (void)state;
    record.text = text;
    autofree char *made = poison_text(&record);
    assert_string_equal(made, text);
}

static void escapes_count(void **state)
{
    struct poison_record record = full_record();
    autofree char *text = filled(POISON_MAX_BYTES / 6 + 100, '\x01'); /* \u0001 each */

    (void)state;
    record.text = text;
    autofree char *made = poison_text(&record);
    assert_string_equal(made, text);
}

static void every_size_fits(void **state)
{
    (void)state;
    for (size_t len = POISON_MAX_BYTES - 700; len <= POISON_MAX_BYTES; len += 7) {
        struct poison_record record = full_record();
        autofree char *text = filled(len, 't');

        record.text = text;
        autofree char *made = poison_text(&record);
        assert_true(strlen(made) <= POISON_MAX_BYTES);
        assert_non_null(strstr(made, text));
    }
}

static void a_refusal_is_the_services_own_and_for_good(void **state)
{
    static const struct {
        struct err err;
        bool refused;
    } rows[] = {
        {{.code = ERR_AUTH, .http_status = 403, .request_id = "r"}, true},
        {{.code = ERR_AUTH, .http_status = 401, .request_id = "r"}, true},
        {{.code = ERR_REJECTED, .http_status = 400, .request_id = "r"}, true},
        {{.code = ERR_MISSING,
          .http_status = 409,
          .request_id = "r",
          .service_code = "QueueDisabled"},
         true},
        {{.code = ERR_MISSING,
          .http_status = 404,
          .request_id = "r",
          .service_code = "ResourceNotFound"},
         true},
        /* It can be made again, or is on its way. */
        {{.code = ERR_MISSING,
          .http_status = 404,
          .request_id = "r",
          .service_code = "QueueNotFound"},
         false},
        {{.code = ERR_MISSING,
          .http_status = 409,
          .request_id = "r",
          .service_code = "QueueBeingDeleted"},
         false},
        /* It passes. */
        {{.code = ERR_THROTTLED, .http_status = 429, .request_id = "r"}, false},
        {{.code = ERR_THROTTLED, .http_status = 503, .request_id = "r"}, false},
        {{.code = ERR_SERVER, .http_status = 500, .request_id = "r"}, false},
        {{.code = ERR_SERVER, .http_status = 408, .request_id = "r"}, false},
        {{.code = ERR_NETWORK}, false},
        /* A proxy said so, or we have no credential to ask with. */
        {{.code = ERR_AUTH, .http_status = 403}, false},
        {{.code = ERR_REJECTED, .http_status = 302, .request_id = "r"}, false},
        {{.code = ERR_AUTH}, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(poison_is_refused(&rows[i].err), rows[i].refused);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_in_it),
        cmocka_unit_test(what_is_not_there_is_null),
        cmocka_unit_test(what_is_not_ascii_is_escaped_and_comes_back),
        cmocka_unit_test(bytes_that_are_no_text_are_replaced),
        cmocka_unit_test(the_tail_gives_way_first),
        cmocka_unit_test(a_text_that_does_not_fit_goes_alone),
        cmocka_unit_test(escapes_count),
        cmocka_unit_test(every_size_fits),
        cmocka_unit_test(a_refusal_is_the_services_own_and_for_good),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
