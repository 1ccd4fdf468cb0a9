/* SPDX-License-Identifier: MIT */
/*
 * One event: a name and a set of fields, decoded from a queue message. Outside this folder nobody
 * knows what Custom Vision's JSON looks like.
 */
#ifndef EVENT_EVENT_H
#define EVENT_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"

struct buf;

enum event_encoding { EVENT_PLAIN, EVENT_BASE64 };

struct event {
    const char *name; /* "export.completed", ...; static. "unknown": well formed, but not known */
    enum event_encoding encoding;
    char *type;         /* as received: "Export" */
    char *status;       /* as received: "ExportCompleted"; NULL when it has none */
    char *project_id;   /* as received; NULL only in an unknown event */
    char *iteration_id; /* NULL when it has none */
    char *model_uri;    /* NULL when missing or empty; may hold a SAS: a secret */
    char *platform;     /* from model_uri's suffix, upper or mixed case as there; NULL when none */
    char *data;         /* the `Content` as received, JSON on one line; of an unknown event the
                           whole document */
};

#define EVENT_MAX_TEXT  ((size_t)64 * 1024) /* the service's own limit for a message's text */
#define EVENT_MAX_DEPTH 32

/* Decodes a message's text, base64 or plain. Returns NULL and an event that the caller frees, or the
 * reason why it can not be decoded: one of `not-json not-base64 not-utf8 truncated too-deep too-big
 * wrong-type missing-field bad-uuid`, static. */
const char *event_decode(const char *text, size_t len, struct event **ret_event) MUST_CHECK;
/* The event `message.poisoned` of a message: the fields of its own event (NULL: it had none), with the
 * poison record as its data. record is JSON, or NULL. */
struct event *event_of_poison(const struct event *own, const char *record);
void event_discard(struct event *event);

/* The value of a placeholder that comes from the event: event type status project_id iteration_id
 * model_uri platform. NULL when it is absent, or no such name. */
const char *event_field(const struct event *event, const char *name);
/* The names that event_field knows, ending with NULL. */
const char *const *event_field_names(void);

/* Whether an `on` pattern names an event. `*`, `training.*` and `*.failed` match the four events of
 * a training or an export only; the others must be named whole. */
bool event_pattern_matches(const char *pattern, const char *event_name);
/* Whether a pattern can ever match: a mistake in the configuration otherwise. */
bool event_pattern_is_known(const char *pattern);
/* Every event's name, ending with NULL. */
const char *const *event_names(void);

/* project[/iteration], in fresh memory; NULL when it has no project. */
char *event_subject(const struct event *event);
/* Appends the event as one CloudEvents 1.0 JSON document without a line end: id, source, type
 * (`customvision.` + name), subject (project[/iteration]), time, data. */
void event_document(const struct event *event, const char *id, const char *source, int64_t time_ms,
                    struct buf *out);

#endif
