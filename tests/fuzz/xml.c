/* SPDX-License-Identifier: MIT */
/*
 * codec/xml through its two readers. The first line says which: `get` and `put` are a list of messages;
 * a status is a failed answer, whose next three lines are x-ms-error-code, x-ms-request-id and Date.
 */
#include "azure/message_list.h"
#include "azure/storage_error.h"
#include "base/buf.h"
#include "base/clock.h"
#include "codec/date.h"
#include "codec/xml.h"
#include "fuzz.h"

#define NOW_MS 1795231417000LL /* 2026-11-21 */

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    clock_freeze(1000, NOW_MS);
    return 0;
}

static void put_element(struct buf *out, const char *name, const char *text)
{
    buf_printf(out, "<%s>", name);
    xml_escape(out, text, strlen(text));
    buf_printf(out, "</%s>", name);
}

static void put_date(struct buf *out, const char *name, int64_t ms)
{
    char text[DATE_TEXT_MAX];

    date_format_http(ms, text);
    put_element(out, name, text);
}

static void put_message(struct buf *out, const struct queue_message *message)
{
    autofree char *dequeued = xasprintf("%u", message->dequeue_count);

    buf_puts(out, "<QueueMessage>");
    put_element(out, "MessageId", message->id);
    put_element(out, "PopReceipt", message->pop_receipt);
    put_date(out, "InsertionTime", message->inserted_ms);
    put_date(out, "ExpirationTime", message->expires_ms);
    if (message->text != NULL)
        put_element(out, "MessageText", message->text);
    put_element(out, "DequeueCount", dequeued);
    buf_puts(out, "</QueueMessage>");
}

static bool holds_far_date(const struct message_list *list)
{
    static const int64_t last_ms =
        253402300799999; /* a leap second may lead out of the year 9999 */

    for (unsigned i = 0; i < list->count; i++) {
        if (list->items[i].inserted_ms > last_ms || list->items[i].expires_ms > last_ms)
            return true;
    }
    return false;
}

/* A list that is written again is read as the same. */
static void check_again(const struct message_list *list, enum message_list_form form)
{
    struct message_list again;
    struct err err;
    autobuf body;

    buf_init(&body, BUF_ANY_SIZE);
    buf_puts(&body, "<QueueMessagesList>");
    for (unsigned i = 0; i < list->count; i++)
        put_message(&body, &list->items[i]);
    buf_puts(&body, "</QueueMessagesList>");
    check(message_list_parse(body.data, body.len, form, &again, &err));
    check(again.count == list->count);
    for (unsigned i = 0; i < list->count; i++) {
        const struct queue_message *a = &list->items[i], *b = &again.items[i];
        check(str_equal(a->id, b->id) && str_equal(a->pop_receipt, b->pop_receipt));
        check(str_equal(a->text, b->text) && a->len == b->len);
        check(a->inserted_ms == b->inserted_ms && a->expires_ms == b->expires_ms);
        check(a->dequeue_count == b->dequeue_count);
    }
    message_list_done(&again);
}

static void read_list(enum message_list_form form, const char *body, size_t len)
{
    struct message_list list;
    struct err err;

    if (!message_list_parse(body, len, form, &list, &err)) {
        check(err.code == ERR_SERVER && fuzz_is_sentence(err.text));
        return;
    }
    check(list.count <= QUEUE_MAX_GET);
    for (unsigned i = 0; i < list.count; i++) {
        const struct queue_message *message = &list.items[i];
        check(message->id[0] != '\0' && message->pop_receipt != NULL);
        check(message->text != NULL ? strlen(message->text) == message->len
                                    : form == MESSAGE_LIST_PUT);
    }
    if (!holds_far_date(&list))
        check_again(&list, form);
    message_list_done(&list);
}

static void read_error(int status, const uint8_t *data, size_t size)
{
    autofree char *code = fuzz_line(&data, &size);
    autofree char *request_id = fuzz_line(&data, &size);
    autofree char *date = fuzz_line(&data, &size);
    autofree char *body = fuzz_bytes(data, size);
    struct err err;
    struct storage_answer answer = {.status = status,
                                    .retry_after_ms = 7000,
                                    .error_code = *code != '\0' ? code : NULL,
                                    .request_id = *request_id != '\0' ? request_id : NULL,
                                    .date = *date != '\0' ? date : NULL,
                                    .challenge = *date != '\0' ? date : NULL,
                                    .proof = (enum identity_proof)(status % 4),
                                    .body = body,
                                    .len = size};
    storage_error_explain(&answer, "Get Messages", &err);
    check(err.code != ERR_NONE && err.http_status == status && err.retry_after_ms == 7000);
    check(fuzz_is_sentence(err.text) && str_starts(err.text, "Get Messages: "));
    check(fuzz_is_sentence(err.service_code) && fuzz_is_sentence(err.request_id));
    check(strcasestr(err.text, "sig=") == NULL && strcasestr(err.service_code, "sig=") == NULL);
    check(strcasestr(err.request_id, "sig=") == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    autofree char *first = fuzz_line(&data, &size);
    uint64_t status;

    if (str_to_uint(first, 999, &status)) {
        read_error((int)status, data, size);
        return 0;
    }
    autofree char *body = fuzz_bytes(data, size);
    read_list(str_equal(first, "put") ? MESSAGE_LIST_PUT : MESSAGE_LIST_GET, body, size);
    return 0;
}
