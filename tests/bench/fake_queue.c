/* SPDX-License-Identifier: MIT */
/* The messages of the bench's queue. */
#include "fake_queue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "codec/base64.h"

#define DATES                                                                                      \
    "<InsertionTime>Sat, 21 Nov 2026 03:23:37 GMT</InsertionTime>"                                 \
    "<ExpirationTime>Fri, 31 Dec 9999 23:59:59 GMT</ExpirationTime>"
#define LIST_OPEN  "<?xml version=\"1.0\" encoding=\"utf-8\"?><QueueMessagesList>"
#define LIST_CLOSE "</QueueMessagesList>"
#define ID_MAX     40

/* The twelve digits stand where whole groups of base64 begin and end, so they alone are encoded
 * anew for each message. */
#define NUMBER_AT     84
#define NUMBER_LEN    12
#define TEXT_HEAD_LEN (NUMBER_AT / 3 * 4)
static const char document[] =
    "{\"version\":\"1.0\", \"type\":\"Export\",\"Content\":{"
    "\"iterationId\":\"00000000-0000-4000-8000-000000000000\","
    "\"projectId\":\"6c4a1f0e-7a51-4b0e-9d5c-2f3b8a9c0d11\",\"exportStatus\":\"ExportCompleted\","
    "\"modelUri\":\"https://contoso.blob.core.windows.net/models/6c4a1f0e7a514b0e9d5c2f3b8a9c0d11/"
    "model.onnx?sv=2021-12-02&sr=b&sp=r&se=2026-12-31T00%3A00%3A00Z"
    "&sig=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA%3D\"}}";

struct message {
    int64_t visible_ms;
    unsigned receipt; /* the last one's number */
    unsigned dequeued;
    char *text; /* NULL: made from the document */
    bool deleted;
};

struct fake_queue {
    struct message *messages; /* by number */
    unsigned count, room;
    unsigned left;
    unsigned next;         /* none before it was never handed out */
    int64_t next_again_ms; /* when the first of those handed out is visible again */
    char text[1024];
};

static void make_text(struct fake_queue *queue)
{
    struct buf text;

    buf_init(&text, sizeof(queue->text) - 1);
    if (strncmp(document + NUMBER_AT, "000000000000\"", NUMBER_LEN + 1) != 0)
        abort();
    base64_encode(document, strlen(document), &text);
    memcpy(queue->text, text.data, text.len + 1);
    buf_done(&text);
}

/* A message at the end of the array; NULL text: made from the document. */
static void add_message(struct fake_queue *queue, char *text)
{
    if (queue->count == queue->room) {
        queue->room = queue->room * 2 + 1024;
        queue->messages = xreallocarray(queue->messages, queue->room, sizeof(*queue->messages));
    }
    queue->messages[queue->count++] = (struct message){.text = text};
    queue->left++;
}

void fake_queue_add(struct fake_queue *queue, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        add_message(queue, NULL);
}

struct fake_queue *fake_queue_new(unsigned count)
{
    struct fake_queue *queue = xcalloc(1, sizeof(*queue));

    fake_queue_add(queue, count);
    queue->next_again_ms = INT64_MAX;
    make_text(queue);
    return queue;
}

void fake_queue_free(struct fake_queue *queue)
{
    for (unsigned i = 0; i < queue->count; i++)
        free(queue->messages[i].text);
    free(queue->messages);
    free(queue);
}

unsigned fake_queue_count(const struct fake_queue *queue)
{
    return queue->left;
}

static void id_of(unsigned number, char id[static ID_MAX])
{
    snprintf(id, ID_MAX, "%08x-1d5c-4b0e-9a51-%012x", number, number);
}

/* With characters that a query must escape. */
static void receipt_of(unsigned number, unsigned receipt, char text[static ID_MAX])
{
    snprintf(text, ID_MAX, "AgAAAAMA/%08xAAA+%08x==", number, receipt);
}

static struct message *find(struct fake_queue *queue, const char *id, const char *receipt)
{
    unsigned number = (unsigned)strtoul(id, NULL, 16);
    char expected[ID_MAX];

    if (number >= queue->count || queue->messages[number].deleted)
        return NULL;
    id_of(number, expected);
    if (strcmp(id, expected) != 0)
        return NULL;
    receipt_of(number, queue->messages[number].receipt, expected);
    return strcmp(receipt, expected) == 0 ? &queue->messages[number] : NULL;
}

static void append_text(struct fake_queue *queue, unsigned number, struct buf *xml)
{
    char digits[NUMBER_LEN + 1];

    if (queue->messages[number].text != NULL) {
        buf_puts(xml, queue->messages[number].text);
        return;
    }
    snprintf(digits, sizeof(digits), "%012x", number);
    buf_append(xml, queue->text, TEXT_HEAD_LEN);
    base64_encode(digits, NUMBER_LEN, xml);
    buf_puts(xml, queue->text + TEXT_HEAD_LEN + NUMBER_LEN / 3 * 4);
}

static void append_message(struct fake_queue *queue, unsigned number, struct buf *xml)
{
    struct message *message = &queue->messages[number];
    char id[ID_MAX], receipt[ID_MAX];

    id_of(number, id);
    receipt_of(number, message->receipt, receipt);
    buf_printf(xml,
               "<QueueMessage><MessageId>%s</MessageId>" DATES "<PopReceipt>%s</PopReceipt>"
               "<TimeNextVisible>Sat, 21 Nov 2026 03:25:37 GMT</TimeNextVisible>"
               "<DequeueCount>%u</DequeueCount><MessageText>",
               id, receipt, message->dequeued);
    append_text(queue, number, xml);
    buf_puts(xml, "</MessageText></QueueMessage>");
}

static void hand_out(struct fake_queue *queue, unsigned number, int64_t visible_ms, struct buf *xml)
{
    struct message *message = &queue->messages[number];

    message->dequeued++;
    message->receipt++;
    message->visible_ms = visible_ms;
    if (visible_ms < queue->next_again_ms)
        queue->next_again_ms = visible_ms;
    append_message(queue, number, xml);
}

/* Hands out again what was not deleted in time. Rare, so all are looked at. */
static unsigned hand_out_again(struct fake_queue *queue, unsigned max, int64_t hide_ms,
                               int64_t now_ms, struct buf *xml)
{
    unsigned taken = 0;

    queue->next_again_ms = INT64_MAX;
    for (unsigned number = 0; number < queue->next; number++) {
        struct message *message = &queue->messages[number];

        if (message->deleted)
            continue;
        if (message->visible_ms <= now_ms && taken < max) {
            hand_out(queue, number, now_ms + hide_ms, xml);
            taken++;
        } else if (message->visible_ms < queue->next_again_ms) {
            queue->next_again_ms = message->visible_ms;
        }
    }
    return taken;
}

unsigned fake_queue_get(struct fake_queue *queue, unsigned max, int64_t hide_ms, int64_t now_ms,
                        struct buf *xml)
{
    unsigned taken = 0;

    buf_puts(xml, LIST_OPEN);
    if (queue->next_again_ms <= now_ms)
        taken = hand_out_again(queue, max, hide_ms, now_ms, xml);
    while (taken < max && queue->next < queue->count) {
        hand_out(queue, queue->next++, now_ms + hide_ms, xml);
        taken++;
    }
    buf_puts(xml, LIST_CLOSE);
    return taken;
}

void fake_queue_put(struct fake_queue *queue, const char *text, size_t len, struct buf *xml)
{
    char id[ID_MAX], receipt[ID_MAX];

    id_of(queue->count, id);
    receipt_of(queue->count, 0, receipt);
    add_message(queue, xstrndup(text, len));
    buf_printf(xml,
               LIST_OPEN
               "<QueueMessage><MessageId>%s</MessageId>" DATES
               "<PopReceipt>%s</PopReceipt><TimeNextVisible>"
               "Sat, 21 Nov 2026 03:23:37 GMT</TimeNextVisible></QueueMessage>" LIST_CLOSE,
               id, receipt);
}

bool fake_queue_delete(struct fake_queue *queue, const char *id, const char *receipt)
{
    struct message *message = find(queue, id, receipt);

    if (message == NULL)
        return false;
    message->deleted = true;
    queue->left--;
    return true;
}

bool fake_queue_update(struct fake_queue *queue, const char *id, const char *receipt,
                       int64_t hide_ms, int64_t now_ms, struct buf *new_receipt)
{
    struct message *message = find(queue, id, receipt);
    char text[ID_MAX];

    if (message == NULL)
        return false;
    message->visible_ms = now_ms + hide_ms;
    if (message->visible_ms < queue->next_again_ms)
        queue->next_again_ms = message->visible_ms;
    message->receipt++;
    receipt_of((unsigned)(message - queue->messages), message->receipt, text);
    buf_puts(new_receipt, text);
    return true;
}
