/* SPDX-License-Identifier: MIT */
/*
 * An HTTP request under construction: whoever asks makes it, identities add headers or query parameters,
 * and net/http takes it. It does no I/O.
 */
#ifndef NET_HTTP_REQUEST_H
#define NET_HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_PUT, HTTP_POST, HTTP_DELETE };
const char *http_method_name(enum http_method method);

#define HTTP_MAX_HEADERS 16

struct http_request {
    enum http_method method;
    struct buf url;                  /* whole, percent-encoded */
    char *headers[HTTP_MAX_HEADERS]; /* "Name: value", owned */
    unsigned header_count;
    struct buf body;        /* sent with PUT and POST, length 0 included */
    int64_t timeout_ms;     /* 0: the client's */
    size_t max_reply_bytes; /* a longer body fails the call; 0: 1 MiB */
    bool direct;            /* never through a proxy, whatever is configured */
    bool secret_reply;      /* the answer's body is wiped after use */
};

void http_request_init(struct http_request *request, enum http_method method);
void http_request_done(struct http_request *request); /* wipes what it held */
void http_request_header(struct http_request *request, const char *name, const char *value);
/* Takes a header away and wipes it; nothing happens when there is none. */
void http_request_drop_header(struct http_request *request, const char *name);
/* The value of a request header, case ignored, or NULL. */
const char *http_request_find_header(const struct http_request *request, const char *name);
/* Appends `name=value` to the URL's query, both percent-encoded. */
void http_request_query(struct http_request *request, const char *name, const char *value);

#endif
