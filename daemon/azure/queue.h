/* SPDX-License-Identifier: MIT */
/*
 * Azure Queue Storage, one function per REST operation (Storage REST, "Queue Service"). A client is
 * one queue with one identity. A call is repeated only where the service did not take its token and
 * there is another, and then once; every other failure comes back with the service's code and request id
 * and a sentence that names the mend, and its code says what to do.
 */
#ifndef AZURE_QUEUE_H
#define AZURE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct http;
struct identity;
struct loop;
struct queue;
struct queue_call;

#define QUEUE_AUDIENCE         "https://storage.azure.com/" /* whom a token for it is for */
#define QUEUE_MAX_GET          32
#define QUEUE_MAX_VISIBILITY_S (7 * 24 * 3600)
#define QUEUE_TTL_DEFAULT      0 /* the service's: seven days */
#define QUEUE_TTL_NEVER        (-1)

struct queue_message {
    const char *id;
    const char *pop_receipt; /* "" after a peek */
    int64_t inserted_ms;     /* by the service's clock */
    int64_t expires_ms;      /* the same */
    int64_t answered_ms;     /* the same, when the service gave it to us; 0: it did not say */
    unsigned dequeue_count;
    const char *text; /* as stored: base64 or plain */
    size_t len;
};

/* What came back; members that the operation does not give are 0 or NULL. Borrowed. */
struct queue_answer {
    const struct queue_message *messages; /* get, put */
    unsigned count;
    const char *pop_receipt;   /* update: the new one */
    int64_t approximate_count; /* metadata; counts invisible messages too */
    bool existed;              /* create */
    bool was_gone;             /* delete: it was sent twice, and found nothing the second time */
};

/* Fires exactly once, never from inside the start, unless cancelled. Codes to expect: ERR_GONE from
 * delete and update when the message is no longer ours (404 MessageNotFound, 400
 * PopReceiptMismatch), ERR_MISSING for the queue or account, ERR_AUTH, ERR_THROTTLED, ERR_SERVER,
 * ERR_NETWORK, ERR_REJECTED for what is a bug or a wrong setting. */
typedef void queue_done_fn(void *arg, const struct queue_answer *answer, const struct err *err);

/* url is the queue's, host style or path style, without query or trailing slash. identity is
 * borrowed and outlives the client. */
struct queue *queue_new(struct loop *loop, struct http *http, struct identity *identity,
                        const char *url);
/* Cancels its calls. NULL is fine. */
void queue_free(struct queue *queue);
const char *queue_url(const struct queue *queue);

/* Whether the next call can be sent at once, for a credential is there. */
bool queue_is_ready(const struct queue *queue);
/* Gets a credential, which the other calls do by themselves: for those who have to know it before they
 * ask. The answer is empty; within `done` the queue is ready. A failure is named as that of a Get. */
struct queue_call *queue_prepare(struct queue *queue, int64_t timeout_ms, queue_done_fn *done,
                                 void *arg);
/* timeout_ms bounds the whole call, waiting for a credential included. */
/* Get Messages: 1..32 of them, hidden for 1..604800 s. */
struct queue_call *queue_get(struct queue *queue, unsigned count, int64_t visibility_s,
                             int64_t timeout_ms, queue_done_fn *done, void *arg);
/* Put Message: text is escaped here; ttl_s as QUEUE_TTL_... or seconds. */
struct queue_call *queue_put(struct queue *queue, const char *text, int64_t ttl_s,
                             int64_t timeout_ms, queue_done_fn *done, void *arg);
/* Put Message with a lifetime shorter than the delay after which it is visible, and a delay that none may
 * have: refused for that, by a service that would store it otherwise. For azure/queue_right. */
struct queue_call *queue_put_nothing(struct queue *queue, int64_t timeout_ms, queue_done_fn *done,
                                     void *arg);
/* Update Message without changing its text: visibility 0..604800 s from now. */
struct queue_call *queue_update(struct queue *queue, const char *id, const char *pop_receipt,
                                int64_t visibility_s, int64_t timeout_ms, queue_done_fn *done,
                                void *arg);
struct queue_call *queue_delete(struct queue *queue, const char *id, const char *pop_receipt,
                                int64_t timeout_ms, queue_done_fn *done, void *arg);
/* Get Queue Metadata. */
struct queue_call *queue_metadata(struct queue *queue, int64_t timeout_ms, queue_done_fn *done,
                                  void *arg);
/* Create Queue; one that exists already is success. */
struct queue_call *queue_create(struct queue *queue, int64_t timeout_ms, queue_done_fn *done,
                                void *arg);
void queue_call_cancel(struct queue_call *call);
/* Whether the service may have it. False while it waits for a credential: cancelled then, it was never made. */
bool queue_call_is_sent(const struct queue_call *call);

#endif
