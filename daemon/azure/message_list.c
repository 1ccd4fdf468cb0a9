/* SPDX-License-Identifier: MIT */
/* The document that Get Messages and Put Message answer with. */
#include "azure/message_list.h"

#include <limits.h>
#include <string.h>

#include "base/str.h"
#include "codec/date.h"
#include "codec/xml.h"

/* An id is a UUID, a receipt some 30 characters; both go into URLs. */
#define MAX_ID_LEN      128
#define MAX_RECEIPT_LEN 2048

enum field {
    FIELD_ID = 1 << 0,
    FIELD_INSERTED = 1 << 1,
    FIELD_EXPIRES = 1 << 2,
    FIELD_RECEIPT = 1 << 3,
    FIELD_DEQUEUED = 1 << 4,
    FIELD_TEXT = 1 << 5,
};

static const struct {
    const char *element;
    enum field field;
} fields[] = {
    {"MessageId", FIELD_ID},           {"InsertionTime", FIELD_INSERTED},
    {"ExpirationTime", FIELD_EXPIRES}, {"PopReceipt", FIELD_RECEIPT},
    {"DequeueCount", FIELD_DEQUEUED},  {"MessageText", FIELD_TEXT},
};

static const unsigned required[] = {
    [MESSAGE_LIST_GET] =
        FIELD_ID | FIELD_INSERTED | FIELD_EXPIRES | FIELD_RECEIPT | FIELD_DEQUEUED | FIELD_TEXT,
    [MESSAGE_LIST_PUT] = FIELD_ID | FIELD_INSERTED | FIELD_EXPIRES | FIELD_RECEIPT,
};

struct parse {
    enum message_list_form form;
    struct message_list list;
    bool open;      /* the last message of the list is not at its end yet */
    unsigned seen;  /* fields of that message */
    struct err err; /* the reason, when the visitor ended the parse */
};

static bool fail(struct parse *parse, const char *what)
{
    return err_set(&parse->err, ERR_SERVER, "not a list of messages: %s", what);
}

/* A document whose root is another: an error page with status 200, a proxy's greeting. */
static bool on_open(void *arg, const char *name, unsigned depth)
{
    struct parse *parse = arg;

    if (depth == 1 && !str_equal(name, "QueueMessagesList"))
        return fail(parse, "another document came");
    if (depth != 2 || !str_equal(name, "QueueMessage"))
        return true;
    if (parse->list.count == QUEUE_MAX_GET)
        return fail(parse, "more messages than can be asked for");
    parse->list.items[parse->list.count++] = (struct queue_message){.id = NULL};
    parse->open = true;
    parse->seen = 0;
    return true;
}

static bool read_count(const char *text, unsigned *ret_count)
{
    uint64_t count;

    if (!str_to_uint(text, UINT_MAX, &count))
        return false;
    *ret_count = (unsigned)count;
    return true;
}

static bool read_name(const char *text, size_t len, size_t max, const char **ret_name)
{
    if (len == 0 || len > max)
        return false;
    *ret_name = xstrdup(text);
    return true;
}

/* Puts an element's text to its place. False when it is not of the right form. */
static bool read_field(struct queue_message *message, enum field field, const char *text,
                       size_t len)
{
    switch (field) {
    case FIELD_ID:
        return read_name(text, len, MAX_ID_LEN, &message->id);
    case FIELD_INSERTED:
        return date_parse_http(text, &message->inserted_ms);
    case FIELD_EXPIRES:
        return date_parse_http(text, &message->expires_ms);
    case FIELD_RECEIPT:
        return read_name(text, len, MAX_RECEIPT_LEN, &message->pop_receipt);
    case FIELD_DEQUEUED:
        return read_count(text, &message->dequeue_count);
    case FIELD_TEXT:
        message->text = xstrndup(text, len);
        message->len = len;
        return true;
    }
    return false;
}

static bool end_field(struct parse *parse, const char *name, const char *text, size_t len)
{
    for (size_t i = 0; i < array_size(fields); i++) {
        if (!str_equal(name, fields[i].element))
            continue;
        if (parse->seen & fields[i].field)
            return fail(parse, "an element stands twice in a message");
        parse->seen |= fields[i].field;
        if (!read_field(&parse->list.items[parse->list.count - 1], fields[i].field, text, len))
            return err_set(&parse->err, ERR_SERVER, "not a list of messages: %s is garbled", name);
    }
    return true;
}

/* Whether the last message's id is one of those before it: two receipts, and one would be void. */
static bool is_repeated(const struct message_list *list)
{
    for (unsigned i = 0; i + 1 < list->count; i++) {
        if (str_equal(list->items[i].id, list->items[list->count - 1].id))
            return true;
    }
    return false;
}

/* Names the first element that the message should have had. */
static bool end_message(struct parse *parse)
{
    unsigned missing = required[parse->form] & ~parse->seen;

    parse->open = false;
    for (size_t i = 0; i < array_size(fields); i++) {
        if (missing & fields[i].field)
            return err_set(&parse->err, ERR_SERVER, "not a list of messages: %s is missing",
                           fields[i].element);
    }
    return !is_repeated(&parse->list) || fail(parse, "a message stands there twice");
}

static bool on_close(void *arg, const char *name, unsigned depth, const char *text, size_t len)
{
    struct parse *parse = arg;

    if (depth == 3 && parse->open)
        return end_field(parse, name, text, len);
    if (depth == 2 && parse->open)
        return end_message(parse);
    return true;
}

bool message_list_parse(const char *body, size_t len, enum message_list_form form,
                        struct message_list *ret_list, struct err *err)
{
    static const struct xml_visitor visitor = {.open = on_open, .close = on_close};
    struct parse parse = {.form = form};

    if (!xml_parse(body, len, &visitor, &parse, err)) {
        if (parse.err.code != ERR_NONE)
            *err = parse.err;
        message_list_done(&parse.list);
        return false;
    }
    *ret_list = parse.list;
    return true;
}

void message_list_done(struct message_list *list)
{
    for (unsigned i = 0; i < list->count; i++) {
        struct queue_message *message = &list->items[i];

        alloc_free((char *)(uintptr_t)message->id);
        alloc_free((char *)(uintptr_t)message->pop_receipt);
        alloc_free((char *)(uintptr_t)message->text);
    }
    list->count = 0;
}
