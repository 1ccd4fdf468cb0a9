/* SPDX-License-Identifier: MIT */
/*
 * The HTTP client: libcurl's multi interface on the loop, connections and TLS sessions kept and
 * shared. One call is one request and one answer, bounded in time and size; it never follows a
 * redirect and knows nothing of Azure. It sends a request again by itself only when a kept connection
 * breaks before the first byte of an answer, and says so. Else who repeats a call, and when, is
 * net/retry's business.
 */
#ifndef NET_HTTP_H
#define NET_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/http_request.h"

struct err;
struct http;
struct http_call;
struct loop;

struct http_settings {
    const char *ca_file; /* NULL: the system's */
    const char *proxy;   /* NULL: the environment's; loopback and link-local never use one */
    int64_t timeout_ms;  /* for a whole call, when the request names none */
    const char *user_agent;
    long max_connections; /* to one host; calls beyond it wait their turn inside their time */
};

/* An answer with any status, 2xx or not: whether that is success is the caller's to say. Borrowed for
 * the callback. */
struct http_reply {
    int status;       /* 100 to 999 */
    const char *body; /* NUL-terminated */
    size_t len;
    uint32_t retry_after_ms; /* of a Retry-After header, seconds or date; 0 when none came */
    bool sent_twice; /* a kept connection broke under it: the service may have had it before */
    struct http_call *call;
};
/* A header of the reply, case ignored, NULL when absent; borrowed for the callback. */
const char *http_reply_header(const struct http_reply *reply, const char *name);

/* Within the callback: gives the request back as it was sent, to be sent anew. request is written over. */
void http_reply_take_request(const struct http_reply *reply, struct http_request *request);

/* Fires exactly once, never from inside http_call_start, unless the call was cancelled. err is NULL
 * when an answer came; else ERR_NETWORK, ERR_SERVER (answer too big or cut) or ERR_CONFIG with a
 * sentence that names host and cause. The call is gone when it returns. */
typedef void http_done_fn(void *arg, const struct http_reply *reply, const struct err *err);

struct http *http_new(struct loop *loop, const struct http_settings *settings);
/* Cancels what still runs. */
void http_free(struct http *http);
/* Takes the request's contents; the request is left as after http_request_done. */
struct http_call *http_call_start(struct http *http, struct http_request *request,
                                  http_done_fn *done, void *arg);
/* done will not fire. NULL is fine. */
void http_call_cancel(struct http_call *call);
/* The client's time for a call, in milliseconds. */
int64_t http_timeout_ms(const struct http *http);
/* Calls started so far, for tests. */
uint64_t http_requests_sent(const struct http *http);

#endif
