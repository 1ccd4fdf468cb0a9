/* SPDX-License-Identifier: MIT */
/* An HTTP request under construction. */
#include "net/http_request.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "net/url.h"

const char *http_method_name(enum http_method method)
{
    switch (method) {
    case HTTP_GET:
        return "GET";
    case HTTP_HEAD:
        return "HEAD";
    case HTTP_PUT:
        return "PUT";
    case HTTP_POST:
        return "POST";
    case HTTP_DELETE:
        return "DELETE";
    }
    return "?";
}

void http_request_init(struct http_request *request, enum http_method method)
{
    *request = (struct http_request){.method = method};
    buf_init(&request->url, (size_t)256 * 1024);
    buf_init(&request->body, BUF_ANY_SIZE);
}

static bool is_header(const char *header, const char *name, size_t len)
{
    return strncasecmp(header, name, len) == 0 && header[len] == ':';
}

static void free_header(char *header)
{
    explicit_bzero(header, strlen(header));
    free(header);
}

void http_request_done(struct http_request *request)
{
    for (unsigned i = 0; i < request->header_count; i++)
        free_header(request->headers[i]);
    request->header_count = 0;
    buf_wipe(&request->url);
    buf_done(&request->url);
    buf_wipe(&request->body);
    buf_done(&request->body);
}

void http_request_header(struct http_request *request, const char *name, const char *value)
{
    if (request->header_count == HTTP_MAX_HEADERS)
        fatal("a request has too many headers");
    size_t name_len = strlen(name), len = strlen(value);
    char *header = xmalloc(name_len + 2 + len + 1);
    memcpy(header, name, name_len);
    memcpy(header + name_len, ": ", 2);
    memcpy(header + name_len + 2, value, len + 1);
    request->headers[request->header_count++] = header;
}

void http_request_drop_header(struct http_request *request, const char *name)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < request->header_count; i++) {
        char *header = request->headers[i];
        if (is_header(header, name, strlen(name)))
            free_header(header);
        else
            request->headers[kept++] = header;
    }
    request->header_count = kept;
}

const char *http_request_find_header(const struct http_request *request, const char *name)
{
    size_t len = strlen(name);

    for (unsigned i = 0; i < request->header_count; i++) {
        const char *header = request->headers[i];
        if (is_header(header, name, len))
            return header + len + 2;
    }
    return NULL;
}

void http_request_query(struct http_request *request, const char *name, const char *value)
{
    buf_putc(&request->url, strchr(request->url.data, '?') == NULL ? '?' : '&');
    url_encode(&request->url, name);
    buf_putc(&request->url, '=');
    url_encode(&request->url, value);
}
