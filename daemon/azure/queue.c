/* SPDX-License-Identifier: MIT */
/* Azure Queue Storage, one function per REST operation. */
#include "azure/queue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "azure/message_list.h"
#include "azure/storage_error.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/str.h"
#include "codec/date.h"
#include "codec/uuid.h"
#include "codec/xml.h"
#include "identity/identity.h"
#include "loop/timer.h"
#include "net/http.h"
#include "net/url.h"

/* The oldest version with all we use that is not about to retire: TTL -1, bearer tokens, their
 * challenge. */
#define STORAGE_VERSION "2021-12-02"

/* 32 messages of 64 KiB, each character escaped to six at worst, and their elements. */
#define MAX_GET_BYTES ((size_t)16 * 1024 * 1024)

/* An answer while it is being read: what a completion borrows from. */
struct result {
    struct queue_answer answer;
    struct message_list list;
};

struct operation {
    const char *name; /* in the REST documentation's words; storage_error knows them */
    enum http_method method;
    int success, also_success;
    size_t max_reply_bytes;
    bool (*read)(const struct http_reply *reply, struct result *result, struct err *err);
};

struct queue {
    struct loop *loop;
    struct http *http;
    struct identity *identity;
    char *url;
    char request_id[UUID_TEXT_MAX]; /* its last group counts the requests */
    uint64_t requests;
    char date[DATE_TEXT_MAX]; /* of dated_s */
    int64_t dated_s;
    LIST_HEAD(, queue_call) calls;
};

/* At any time one of timer, with or without wait, and http_call is under way. */
struct queue_call {
    struct queue *queue;
    const struct operation *operation;
    struct http_request request;
    int64_t deadline_ms;
    struct timer timer; /* ends the wait for a credential, or tells that signing failed */
    struct err err;     /* why it failed */
    struct identity_wait *wait;
    unsigned credential; /* that it was signed with */
    bool signed_anew;
    struct http_call *http_call;
    queue_done_fn *done;
    void *arg;
    LIST_ENTRY(queue_call) entry;
};

static bool read_list(const struct http_reply *reply, enum message_list_form form,
                      struct result *result, struct err *err)
{
    if (!message_list_parse(reply->body, reply->len, form, &result->list, err))
        return false;
    result->answer.messages = result->list.items;
    result->answer.count = result->list.count;
    return true;
}

static bool read_get(const struct http_reply *reply, struct result *result, struct err *err)
{
    const char *date = http_reply_header(reply, "Date");
    int64_t answered_ms;

    if (!read_list(reply, MESSAGE_LIST_GET, result, err))
        return false;
    if (date != NULL && date_parse_http(date, &answered_ms))
        for (unsigned i = 0; i < result->list.count; i++)
            result->list.items[i].answered_ms = answered_ms;
    return true;
}

static bool read_put(const struct http_reply *reply, struct result *result, struct err *err)
{
    if (!read_list(reply, MESSAGE_LIST_PUT, result, err))
        return false;
    if (result->answer.count == 1)
        return true;
    return err_set(err, ERR_SERVER, "not the one message that was put, but %u",
                   result->answer.count);
}

static bool read_update(const struct http_reply *reply, struct result *result, struct err *err)
{
    result->answer.pop_receipt = http_reply_header(reply, "x-ms-popreceipt");
    if (result->answer.pop_receipt == NULL || *result->answer.pop_receipt == '\0')
        return err_set(err, ERR_SERVER, "no x-ms-popreceipt in the answer");
    return true;
}

static bool read_metadata(const struct http_reply *reply, struct result *result, struct err *err)
{
    const char *text = http_reply_header(reply, "x-ms-approximate-messages-count");
    uint64_t count;

    if (text == NULL || !str_to_uint(text, INT64_MAX, &count))
        return err_set(err, ERR_SERVER, "no x-ms-approximate-messages-count in the answer");
    result->answer.approximate_count = (int64_t)count;
    return true;
}

static bool read_create(const struct http_reply *reply, struct result *result, struct err *err)
{
    (void)err;
    result->answer.existed = reply->status == 204;
    return true;
}

static const struct operation get_messages = {"Get Messages", HTTP_GET, 200, 200,
                                              MAX_GET_BYTES,  read_get};
/* No request: the wait for a credential before one. */
static const struct operation prepare_get = {.name = "Get Messages"};
static const struct operation put_message = {"Put Message", HTTP_POST, 201, 201, 0, read_put};
static const struct operation update_message = {"Update Message", HTTP_PUT, 204, 204, 0,
                                                read_update};
static const struct operation delete_message = {"Delete Message", HTTP_DELETE, 204, 204, 0, NULL};
static const struct operation get_metadata = {"Get Queue Metadata", HTTP_GET, 200, 200, 0,
                                              read_metadata};
static const struct operation create_queue = {"Create Queue", HTTP_PUT, 201, 204, 0, read_create};

struct queue *queue_new(struct loop *loop, struct http *http, struct identity *identity,
                        const char *url)
{
    struct queue *queue = xcalloc(1, sizeof(*queue));

    queue->loop = loop;
    queue->http = http;
    queue->identity = identity;
    queue->url = xstrdup(url);
    uuid_new(queue->request_id);
    LIST_INIT(&queue->calls);
    return queue;
}

void queue_free(struct queue *queue)
{
    if (queue == NULL)
        return;
    while (!LIST_EMPTY(&queue->calls))
        queue_call_cancel(LIST_FIRST(&queue->calls));
    free(queue->url);
    free(queue);
}

const char *queue_url(const struct queue *queue)
{
    return queue->url;
}

void queue_call_cancel(struct queue_call *call)
{
    if (call == NULL)
        return;
    identity_wait_cancel(call->wait);
    http_call_cancel(call->http_call);
    timer_done(&call->timer);
    http_request_done(&call->request);
    LIST_REMOVE(call, entry);
    free(call);
}

bool queue_call_is_sent(const struct queue_call *call)
{
    return call->http_call != NULL;
}

/* Ends a call. The callback may free the queue, so nothing of either is touched after it. */
static void finish(struct queue_call *call, const struct queue_answer *answer,
                   const struct err *err)
{
    queue_done_fn *done = call->done;
    void *arg = call->arg;

    queue_call_cancel(call);
    done(arg, answer, err);
}

static void finish_failed(struct queue_call *call, const struct err *err)
{
    struct err named = *err;

    err_prefix(&named, "%s", call->operation->name);
    finish(call, NULL, &named);
}

/* Ends a call whose answer is the one hoped for, unless it is garbled. */
static void finish_well(struct queue_call *call, const struct http_reply *reply)
{
    struct result result = {.answer = {.messages = NULL}};
    struct err err;

    if (call->operation->read != NULL && !call->operation->read(reply, &result, &err)) {
        storage_error_garbled(reply, call->operation->name, &err);
        finish(call, NULL, &err);
    } else {
        finish(call, &result.answer, NULL);
    }
    message_list_done(&result.list);
}

static void send_when_ready(struct queue_call *call);

/* Sends the request once more, with another credential: it was not looked at. */
static void sign_anew(struct queue_call *call, const struct http_reply *reply)
{
    call->signed_anew = true;
    http_reply_take_request(reply, &call->request);
    http_request_drop_header(&call->request, "Authorization");
    http_request_drop_header(&call->request, "x-ms-date");
    send_when_ready(call);
}

static void finish_refused(struct queue_call *call, const struct http_reply *reply)
{
    struct err err;

    storage_error_read(reply, call->operation->name, identity_proof(call->queue->identity), &err);
    /* The same name with other metadata: it is there, which is all that was asked for. */
    if (call->operation == &create_queue && str_equal(err.service_code, "QueueAlreadyExists")) {
        finish(call, &(struct queue_answer){.existed = true}, NULL);
        return;
    }
    if (call->operation == &delete_message && reply->sent_twice && reply->status == 404 &&
        err.code == ERR_GONE) {
        finish(call, &(struct queue_answer){.was_gone = true}, NULL);
        return;
    }
    if (err.code == ERR_AUTH && identity_refused(call->queue->identity, call->credential, &err) &&
        !call->signed_anew)
        sign_anew(call, reply);
    else
        finish(call, NULL, &err);
}

static void on_reply(void *arg, const struct http_reply *reply, const struct err *err)
{
    struct queue_call *call = arg;

    call->http_call = NULL;
    if (err != NULL)
        finish_failed(call, err);
    else if (reply->status == call->operation->success ||
             reply->status == call->operation->also_success)
        finish_well(call, reply);
    else
        finish_refused(call, reply);
}

/* The date, written once a second. */
static const char *date_now(struct queue *queue)
{
    int64_t now_s = clock_wall_ms() / 1000;

    if (now_s != queue->dated_s || queue->date[0] == '\0')
        date_format_http(now_s * 1000, queue->date);
    queue->dated_s = now_s;
    return queue->date;
}

/* Sends the request while the identity is ready. A failure waits in call->err. */
static void send_call(struct queue_call *call, int64_t timeout_ms)
{
    /* Dated when sent, not when asked for: waiting for a credential may have taken a while. */
    http_request_header(&call->request, "x-ms-date", date_now(call->queue));
    if (!identity_sign(call->queue->identity, &call->request, &call->err))
        return;
    call->credential = identity_credential(call->queue->identity);
    call->request.timeout_ms = timeout_ms;
    call->http_call = http_call_start(call->queue->http, &call->request, on_reply, call);
}

static void on_credential(void *arg, const struct err *err)
{
    struct queue_call *call = arg;

    call->wait = NULL;
    timer_clear(&call->timer);
    if (err != NULL) {
        finish_failed(call, err);
        return;
    }
    if (call->operation == &prepare_get) {
        finish(call, &(struct queue_answer){.count = 0}, NULL);
        return;
    }
    send_call(call, max_of(call->deadline_ms - clock_mono_ms(), 1));
    if (call->http_call == NULL)
        finish_failed(call, &call->err);
}

static void on_timeout(void *arg)
{
    struct queue_call *call = arg;

    if (call->err.code == ERR_NONE)
        err_set(&call->err, ERR_NETWORK, "no credential of the identity %s came in time",
                identity_label(call->queue->identity));
    finish_failed(call, &call->err);
}

/* The queue's own id with the request's number as its last group: unique without a system call. */
static const char *next_request_id(struct queue *queue)
{
    char *last_group = strrchr(queue->request_id, '-') + 1;

    snprintf(last_group, 13, "%012llx", (unsigned long long)(++queue->requests & 0xffffffffffff));
    return queue->request_id;
}

/* A call with the queue's URL and `below` behind it, ready to be completed. */
static struct queue_call *call_new(struct queue *queue, const struct operation *operation,
                                   const char *below)
{
    struct queue_call *call = xcalloc(1, sizeof(*call));

    call->queue = queue;
    call->operation = operation;
    http_request_init(&call->request, operation->method);
    call->request.max_reply_bytes = operation->max_reply_bytes;
    buf_puts(&call->request.url, queue->url);
    buf_puts(&call->request.url, below);
    http_request_header(&call->request, "x-ms-version", STORAGE_VERSION);
    http_request_header(&call->request, "x-ms-client-request-id", next_request_id(queue));
    LIST_INSERT_HEAD(&queue->calls, call, entry);
    return call;
}

static void add_number(struct queue_call *call, const char *name, int64_t value)
{
    autofree char *text = xasprintf("%lld", (long long)value);

    http_request_query(&call->request, name, text);
}

/* Sends the request, now or when there is a credential. */
static void send_when_ready(struct queue_call *call)
{
    int64_t left_ms = max_of(call->deadline_ms - clock_mono_ms(), 1);

    if (identity_is_ready(call->queue->identity)) {
        send_call(call, left_ms);
        if (call->http_call != NULL)
            return;
        left_ms = 0;
    } else {
        call->wait = identity_wait_start(call->queue->identity, on_credential, call);
    }
    if (call->timer.handle == NULL)
        timer_init(&call->timer, call->queue->loop, on_timeout, call);
    timer_set(&call->timer, left_ms);
}

static struct queue_call *start(struct queue_call *call, int64_t timeout_ms, queue_done_fn *done,
                                void *arg)
{
    call->deadline_ms = clock_mono_ms() + timeout_ms;
    call->done = done;
    call->arg = arg;
    send_when_ready(call);
    return call;
}

bool queue_is_ready(const struct queue *queue)
{
    return identity_is_ready(queue->identity);
}

struct queue_call *queue_prepare(struct queue *queue, int64_t timeout_ms, queue_done_fn *done,
                                 void *arg)
{
    struct queue_call *call = call_new(queue, &prepare_get, "");

    call->deadline_ms = clock_mono_ms() + timeout_ms;
    call->done = done;
    call->arg = arg;
    call->wait = identity_wait_start(queue->identity, on_credential, call);
    timer_init(&call->timer, queue->loop, on_timeout, call);
    timer_set(&call->timer, timeout_ms);
    return call;
}

struct queue_call *queue_get(struct queue *queue, unsigned count, int64_t visibility_s,
                             int64_t timeout_ms, queue_done_fn *done, void *arg)
{
    struct queue_call *call = call_new(queue, &get_messages, "/messages");

    add_number(call, "numofmessages", count);
    add_number(call, "visibilitytimeout", visibility_s);
    return start(call, timeout_ms, done, arg);
}

/* A call with a message's document as its body. */
static struct queue_call *put_call_new(struct queue *queue, const char *text)
{
    struct queue_call *call = call_new(queue, &put_message, "/messages");
    struct buf *body = &call->request.body;

    http_request_header(&call->request, "Content-Type", "application/xml");
    buf_puts(body, "<?xml version=\"1.0\" encoding=\"utf-8\"?><QueueMessage><MessageText>");
    xml_escape(body, text, strlen(text));
    buf_puts(body, "</MessageText></QueueMessage>");
    return call;
}

struct queue_call *queue_put(struct queue *queue, const char *text, int64_t ttl_s,
                             int64_t timeout_ms, queue_done_fn *done, void *arg)
{
    struct queue_call *call = put_call_new(queue, text);

    if (ttl_s != QUEUE_TTL_DEFAULT)
        add_number(call, "messagettl", ttl_s);
    return start(call, timeout_ms, done, arg);
}

/* Were it stored all the same, it would be gone in a second and never be seen. */
struct queue_call *queue_put_nothing(struct queue *queue, int64_t timeout_ms, queue_done_fn *done,
                                     void *arg)
{
    struct queue_call *call = put_call_new(queue, "cvnotifyd -t --online");

    add_number(call, "messagettl", 1);
    add_number(call, "visibilitytimeout", QUEUE_MAX_VISIBILITY_S + 1);
    return start(call, timeout_ms, done, arg);
}

/* A call on one message, named by its id and the receipt that says it is ours. */
static struct queue_call *message_call_new(struct queue *queue, const struct operation *operation,
                                           const char *id, const char *pop_receipt)
{
    struct queue_call *call = call_new(queue, operation, "/messages/");

    url_encode(&call->request.url, id);
    http_request_query(&call->request, "popreceipt", pop_receipt);
    return call;
}

struct queue_call *queue_update(struct queue *queue, const char *id, const char *pop_receipt,
                                int64_t visibility_s, int64_t timeout_ms, queue_done_fn *done,
                                void *arg)
{
    struct queue_call *call = message_call_new(queue, &update_message, id, pop_receipt);

    add_number(call, "visibilitytimeout", visibility_s);
    return start(call, timeout_ms, done, arg);
}

struct queue_call *queue_delete(struct queue *queue, const char *id, const char *pop_receipt,
                                int64_t timeout_ms, queue_done_fn *done, void *arg)
{
    return start(message_call_new(queue, &delete_message, id, pop_receipt), timeout_ms, done, arg);
}

struct queue_call *queue_metadata(struct queue *queue, int64_t timeout_ms, queue_done_fn *done,
                                  void *arg)
{
    struct queue_call *call = call_new(queue, &get_metadata, "");

    http_request_query(&call->request, "comp", "metadata");
    return start(call, timeout_ms, done, arg);
}

struct queue_call *queue_create(struct queue *queue, int64_t timeout_ms, queue_done_fn *done,
                                void *arg)
{
    return start(call_new(queue, &create_queue, ""), timeout_ms, done, arg);
}
