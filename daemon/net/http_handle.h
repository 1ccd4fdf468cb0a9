/* SPDX-License-Identifier: MIT */
/*
 * A libcurl easy handle that is used for one request after the other, and puts each on it in the way
 * that costs least: what stays the same is not set, read and written anew. Private to net/http.
 */
#ifndef NET_HTTP_HANDLE_H
#define NET_HTTP_HANDLE_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>

#include "net/http_request.h"

struct http_handle {
    CURL *easy;
    struct curl_slist headers[HTTP_MAX_HEADERS + 2]; /* a list of what the request holds */
    unsigned header_count;
    struct buf origin; /* the URL that libcurl has; empty when it has a whole one */
};

void http_handle_init(struct http_handle *handle);
void http_handle_done(struct http_handle *handle);
/* Sets method, URL, headers and body, which libcurl borrows: request must stay as it is until the
 * transfer has ended. is_direct: no proxy will be asked for an http:// URL. */
void http_handle_set(struct http_handle *handle, struct http_request *request, bool is_direct);

/* How much of a URL comes before its path, or before what stands in its place. */
size_t http_handle_origin_len(const char *url);

#endif
