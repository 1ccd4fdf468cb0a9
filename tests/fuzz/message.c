/* SPDX-License-Identifier: MIT */
/* event/: the text of a queue's message, plain or base64, and what hooks get of it. */
#include "event/event.h"

#include <ctype.h>

#include "base/buf.h"
#include "base/err.h"
#include "codec/base64.h"
#include "codec/template.h"
#include "codec/uuid.h"
#include "hook/hook.h"
#include "hook/values.h"
#include "trees.h"

static void check_reason(const char *reason)
{
    static const char *const reasons[] = {"not-json",      "not-base64", "not-utf8",
                                          "truncated",     "too-deep",   "too-big",
                                          "missing-field", "wrong-type", "bad-uuid"};
    bool known = false;

    for (size_t i = 0; i < array_size(reasons); i++)
        known |= strcmp(reasons[i], reason) == 0;
    check(known);
}

static struct json_doc *parse(const char *text, size_t len, unsigned depth)
{
    struct json_doc *doc;

    check(json_parse(text, len, depth, &doc) == JSON_OK);
    return doc;
}

static void check_fields(const struct event *event)
{
    bool unknown = str_equal(event->name, "unknown");

    check(event_pattern_is_known(event->name) && event_pattern_matches(event->name, event->name));
    for (const char *const *name = event_field_names(); *name != NULL; name++) {
        const char *value = event_field(event, *name);
        check(value == NULL || str_is_utf8(value, strlen(value)));
    }
    check(event->project_id != NULL ? uuid_is_valid(event->project_id) : unknown);
    check(event->iteration_id == NULL || uuid_is_valid(event->iteration_id));
    check(event->model_uri == NULL || event->model_uri[0] != '\0');
    check(event->platform == NULL || strstr(event->model_uri, event->platform) != NULL);
    for (const char *c = event->platform; c != NULL && *c != '\0'; c++)
        check(isalnum((unsigned char)*c));
}

/* The data is the `Content`, or of an unknown event the document, as it was received. */
static void check_data(const struct event *event, const char *text, size_t len)
{
    struct json_doc *received = parse(text, len, EVENT_MAX_DEPTH);
    struct json_doc *data = parse(event->data, strlen(event->data), EVENT_MAX_DEPTH);
    const struct json *expected = json_root(received);

    if (!str_equal(event->name, "unknown"))
        expected = json_member(expected, "Content");
    check(trees_is_line(event->data, strlen(event->data)));
    check(trees_equal(json_root(data), expected));
    json_doc_free(received);
    json_doc_free(data);
}

/* A document is one line of JSON with the data in it. */
static void check_document(const struct event *event)
{
    autobuf out;

    buf_init(&out, BUF_ANY_SIZE);
    event_document(event, "the \"id\"\n", "https://contoso/events", 1795231417000, &out);
    check(trees_is_line(out.data, out.len));
    struct json_doc *doc = parse(out.data, out.len, EVENT_MAX_DEPTH + 1);
    struct json_doc *data = parse(event->data, strlen(event->data), EVENT_MAX_DEPTH);
    const struct json *root = json_root(doc);
    autofree char *type = xasprintf("customvision.%s", event->name);
    check(str_equal(json_member_text(root, "specversion"), "1.0"));
    check(str_equal(json_member_text(root, "id"), "the \"id\"\n"));
    check(str_equal(json_member_text(root, "type"), type));
    check((json_member(root, "subject") != NULL) == (event->project_id != NULL));
    check(trees_equal(json_member(root, "data"), json_root(data)));
    json_doc_free(doc);
    json_doc_free(data);
}

static void check_variable(void *arg, const char *name, const char *value)
{
    unsigned *count = arg;

    check(str_starts(name, "CVN_") && strchr(name, '=') == NULL && value != NULL);
    ++*count;
}

/* What others can read of a model's address has no signature in it. */
static void check_values(const struct event *event)
{
    struct hook_message message = {.event = event, .id = "id", .queue = "events"};
    struct hook_call call = {.hook = "deploy", .message = &message, .attempt = 1};
    struct template *template;
    struct err err;
    autobuf out;
    unsigned count = 0;

    buf_init(&out, BUF_ANY_SIZE);
    check(template_compile("{model_uri:-}", &template, &err));
    check(values_render(template, &call, true, &out, &err));
    const char *query = strchr(out.data, '?');
    check(query == NULL || strcasestr(query, "sig=") == NULL);
    template_free(template);
    values_each_env(&call, check_variable, &count);
    check(count >= 6);
}

static void check_same(const struct event *a, const struct event *b)
{
    for (const char *const *name = event_field_names(); *name != NULL; name++)
        check(str_equal(event_field(a, *name), event_field(b, *name)));
    check(str_equal(a->data, b->data));
}

/* The text that is in base64: decoded. */
static void unwrap(const char *text, size_t len, struct buf *plain)
{
    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        text += 3;
        len -= 3;
    }
    check(base64_decode(text, len, plain));
}

/* Base64 changes nothing. */
static void check_wrapped(const struct event *event, const char *text, size_t len)
{
    struct event *wrapped;
    autobuf base64;

    buf_init(&base64, BUF_ANY_SIZE);
    base64_encode(text, len, &base64);
    if (base64.len > EVENT_MAX_TEXT)
        return;
    check(event_decode(base64.data, base64.len, &wrapped) == NULL);
    check(wrapped->encoding == EVENT_BASE64);
    check_same(event, wrapped);
    event_discard(wrapped);
}

static void check_event(const struct event *event, const char *text, size_t len)
{
    autobuf plain;

    buf_init(&plain, EVENT_MAX_TEXT);
    if (event->encoding == EVENT_BASE64)
        unwrap(text, len, &plain);
    else
        buf_append(&plain, text, len);
    check_fields(event);
    check_data(event, plain.data, plain.len);
    check_document(event);
    check_values(event);
    check_wrapped(event, plain.data, plain.len);
    struct event *poisoned = event_of_poison(event, event->data);
    check_document(poisoned);
    event_discard(poisoned);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    autofree char *text = fuzz_bytes(data, size);
    struct event *event;
    const char *reason = event_decode(text, size, &event);
    if (reason != NULL) {
        check_reason(reason);
        return 0;
    }
    check_event(event, text, size);
    event_discard(event);
    return 0;
}
