/* SPDX-License-Identifier: MIT */
/* One event: names, patterns, fields, and its CloudEvents form. */
#include "event/event.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "codec/base64.h"
#include "codec/date.h"
#include "codec/json.h"
#include "event/custom_vision.h"

/* The first four are what happens to a model; patterns mean these alone. */
#define MODEL_EVENTS 4

static const char *const names[] = {
    "training.completed", "training.failed", "export.completed", "export.failed",
    "connection.test",    "unknown",         "message.poisoned", NULL,
};

const char *const *event_names(void)
{
    return names;
}

/* The first byte that is neither blank nor a byte order mark; NULL in an empty text. */
static const char *first_byte(const char *text, size_t len)
{
    const char *end = text + len;

    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        text += 3;
    while (text < end && str_is_space(*text))
        text++;
    return text < end ? text : NULL;
}

static const char *reason_of(enum json_fault fault)
{
    switch (fault) {
    case JSON_OK:
        return NULL;
    case JSON_NOT_JSON:
        return "not-json";
    case JSON_NOT_UTF8:
        return "not-utf8";
    case JSON_TRUNCATED:
        return "truncated";
    case JSON_TOO_DEEP:
        return "too-deep";
    }
    return "not-json";
}

static const char *decode_json(const char *text, size_t len, enum event_encoding encoding,
                               struct event **ret_event)
{
    struct json_doc *doc;
    const char *reason = reason_of(json_parse(text, len, EVENT_MAX_DEPTH, &doc));

    if (reason != NULL)
        return reason;
    struct event *event = xcalloc(1, sizeof(*event));
    event->encoding = encoding;
    reason = custom_vision_decode(json_root(doc), event);
    json_doc_free(doc);
    if (reason == NULL)
        *ret_event = event;
    else
        event_discard(event);
    return reason;
}

static const char *decode_base64(const char *text, size_t len, struct event **ret_event)
{
    autobuf decoded;

    buf_init(&decoded, EVENT_MAX_TEXT);
    if (!base64_decode(text, len, &decoded))
        return "not-base64";
    return decode_json(decoded.data, decoded.len, EVENT_BASE64, ret_event);
}

const char *event_decode(const char *text, size_t len, struct event **ret_event)
{
    if (len > EVENT_MAX_TEXT)
        return "too-big";
    const char *first = first_byte(text, len);
    if (first == NULL)
        return "not-json";
    if (*first == '{' || *first == '[' || *first == '"')
        return decode_json(text, len, EVENT_PLAIN, ret_event);
    return decode_base64(first, len - (size_t)(first - text), ret_event);
}

struct event *event_of_poison(const struct event *own, const char *record)
{
    struct event *event = xcalloc(1, sizeof(*event));

    event->name = "message.poisoned";
    event->data = xstrdup(record != NULL ? record : "null");
    if (own == NULL)
        return event;
    event->encoding = own->encoding;
    event->type = xstrdup(own->type);
    event->status = xstrdup(own->status);
    event->project_id = xstrdup(own->project_id);
    event->iteration_id = xstrdup(own->iteration_id);
    event->model_uri = xstrdup(own->model_uri);
    event->platform = xstrdup(own->platform);
    return event;
}

void event_discard(struct event *event)
{
    if (event == NULL)
        return;
    free(event->type);
    free(event->status);
    free(event->project_id);
    free(event->iteration_id);
    free(event->model_uri);
    free(event->platform);
    free(event->data);
    free(event);
}

/* The placeholders, and in the same order the members that they stand for. */
static const char *const field_names[] = {
    "event", "type", "status", "project_id", "iteration_id", "model_uri", "platform", NULL,
};

static const size_t field_offsets[array_size(field_names) - 1] = {
    offsetof(struct event, name),         offsetof(struct event, type),
    offsetof(struct event, status),       offsetof(struct event, project_id),
    offsetof(struct event, iteration_id), offsetof(struct event, model_uri),
    offsetof(struct event, platform),
};

const char *event_field(const struct event *event, const char *name)
{
    for (size_t i = 0; field_names[i] != NULL; i++) {
        if (strcmp(field_names[i], name) == 0)
            return *(const char *const *)((const char *)event + field_offsets[i]);
    }
    return NULL;
}

const char *const *event_field_names(void)
{
    return field_names;
}

/* Whether a text is the pattern's two sides with anything in the place of the star. */
static bool star_matches(const char *pattern, const char *star, const char *text)
{
    size_t before = (size_t)(star - pattern), after = strlen(star + 1), len = strlen(text);

    return len >= before + after && strncmp(pattern, text, before) == 0 &&
           strcmp(text + len - after, star + 1) == 0;
}

static bool is_model_event(const char *event_name)
{
    for (size_t i = 0; i < MODEL_EVENTS; i++) {
        if (strcmp(names[i], event_name) == 0)
            return true;
    }
    return false;
}

bool event_pattern_matches(const char *pattern, const char *event_name)
{
    const char *star = strchr(pattern, '*');

    if (star == NULL)
        return strcmp(pattern, event_name) == 0;
    return is_model_event(event_name) && star_matches(pattern, star, event_name);
}

bool event_pattern_is_known(const char *pattern)
{
    for (size_t i = 0; names[i] != NULL; i++) {
        if (event_pattern_matches(pattern, names[i]))
            return true;
    }
    return false;
}

static void write_member(struct json_writer *writer, const char *name, const char *value)
{
    json_write_name(writer, name);
    json_write_text(writer, value);
}

char *event_subject(const struct event *event)
{
    if (event->project_id == NULL || event->iteration_id == NULL)
        return xstrdup(event->project_id);
    return xasprintf("%s/%s", event->project_id, event->iteration_id);
}

void event_document(const struct event *event, const char *id, const char *source, int64_t time_ms,
                    struct buf *out)
{
    struct json_writer *writer = json_writer_new();
    autofree char *type = xasprintf("customvision.%s", event->name);
    autofree char *subject = event_subject(event);
    char time[DATE_TEXT_MAX];
    size_t len;

    date_format_iso(time_ms, time);
    json_write_open(writer, '{');
    write_member(writer, "specversion", "1.0");
    write_member(writer, "id", id);
    write_member(writer, "source", source);
    write_member(writer, "type", type);
    if (subject != NULL)
        write_member(writer, "subject", subject);
    write_member(writer, "time", time);
    if (event->data != NULL) {
        json_write_name(writer, "data");
        json_write_raw(writer, event->data, strlen(event->data));
    }
    json_write_close(writer, '}');
    const char *text = json_writer_text(writer, &len);
    buf_append(out, text, len);
    json_writer_free(writer);
}
