/* SPDX-License-Identifier: MIT */
/* The record that goes into the poison queue. */
#include "flow/poison.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "codec/date.h"
#include "codec/json.h"

static void put_text(struct json_writer *json, const char *name, const char *text)
{
    json_write_name(json, name);
    json_write_text(json, text);
}

static void put_int(struct json_writer *json, const char *name, int64_t value)
{
    json_write_name(json, name);
    json_write_int(json, value);
}

static void put_done(struct json_writer *json, const char *const *done)
{
    json_write_name(json, "done");
    json_write_open(json, '[');
    for (; done != NULL && *done != NULL; done++)
        json_write_text(json, *done);
    json_write_close(json, ']');
}

static void put_exit(struct json_writer *json, int exit_status)
{
    if (exit_status < 0)
        put_text(json, "exit", NULL);
    else
        put_int(json, "exit", exit_status);
}

/* NULL when it is too big. */
static char *make(const struct poison_record *record, const char *tail)
{
    struct json_writer *json = json_writer_new();
    char inserted[DATE_TEXT_MAX];
    autobuf ascii;
    size_t len;

    date_format_iso(record->inserted_ms, inserted);
    json_write_open(json, '{');
    put_int(json, "cvnotifyd", 1);
    put_text(json, "reason", record->reason);
    put_text(json, "hook", record->hook);
    put_done(json, record->done);
    put_int(json, "attempts", record->attempts);
    put_exit(json, record->exit_status);
    put_text(json, "tail", tail);
    put_text(json, "message_id", record->message_id);
    put_text(json, "queue", record->queue_url);
    put_text(json, "inserted", inserted);
    put_int(json, "dequeue_count", record->dequeue_count);
    put_text(json, "encoding", record->encoding);
    put_text(json, "text", record->text);
    json_write_close(json, '}');
    const char *text = json_writer_text(json, &len);
    buf_init(&ascii, POISON_MAX_BYTES);
    json_to_ascii(text, len, &ascii);
    json_writer_free(json);
    return ascii.overflow ? NULL : buf_take(&ascii);
}

char *poison_text(const struct poison_record *record)
{
    char *text = make(record, record->tail);

    if (text == NULL)
        text = make(record, NULL);
    return text != NULL ? text : xstrdup(record->text);
}

bool poison_is_too_large(const struct err *err)
{
    return err->http_status == 413 || str_equal(err->service_code, "MessageTooLarge");
}

/* A queue that is being deleted can be made again soon. */
static bool may_come_back(const struct err *err)
{
    return str_equal(err->service_code, "QueueNotFound") ||
           str_equal(err->service_code, "QueueBeingDeleted");
}

bool poison_is_refused(const struct err *err)
{
    /* The service names each request that it answers. */
    if (err->http_status < 400 || err->http_status > 499 || err->request_id[0] == '\0')
        return false;
    switch (err->code) {
    case ERR_AUTH:
    case ERR_REJECTED:
        return true;
    case ERR_MISSING:
        return !may_come_back(err);
    case ERR_NONE:
    case ERR_NETWORK:
    case ERR_SERVER:
    case ERR_THROTTLED:
    case ERR_GONE:
    case ERR_CONFIG:
    case ERR_HOST:
    case ERR_INTERNAL:
        break;
    }
    return false;
}
