/* SPDX-License-Identifier: MIT */
/* A libcurl easy handle that is used for one request after the other. */
#include "net/http_handle.h"

#include <string.h>

#include "base/alloc.h"

void http_handle_init(struct http_handle *handle)
{
    *handle = (struct http_handle){.easy = curl_easy_init()};
    if (handle->easy == NULL)
        fatal("libcurl can not be used");
    buf_init(&handle->origin, BUF_ANY_SIZE);
}

void http_handle_done(struct http_handle *handle)
{
    curl_easy_cleanup(handle->easy);
    buf_done(&handle->origin);
}

static bool has_body(const struct http_request *request)
{
    return request->method == HTTP_PUT || request->method == HTTP_POST;
}

static void set_method(CURL *easy, const struct http_request *request)
{
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, NULL);
    if (has_body(request)) {
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body.data);
    } else if (request->method == HTTP_HEAD) {
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    } else {
        curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    }
    if (request->method == HTTP_PUT || request->method == HTTP_DELETE)
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, http_method_name(request->method));
}

/* A node of libcurl's list of headers; the text stays ours, and stays where it is. */
static void link_header(struct http_handle *handle, char *header)
{
    struct curl_slist *node = &handle->headers[handle->header_count++];

    *node = (struct curl_slist){.data = header};
    if (node != handle->headers)
        node[-1].next = node;
}

/* libcurl takes `Name:` for a header to leave out, and `Name;` for one without a value. */
static void mark_empty_value(char *header)
{
    char *colon = strchr(header, ':');

    if (colon != NULL && colon[1 + strspn(colon + 1, " ")] == '\0') {
        colon[0] = ';';
        colon[1] = '\0';
    }
}

static void set_headers(struct http_handle *handle, struct http_request *request)
{
    static char no_type[] = "Content-Type:", no_expect[] = "Expect:";
    bool has_type = http_request_find_header(request, "Content-Type") != NULL;

    handle->header_count = 0;
    for (unsigned i = 0; i < request->header_count; i++) {
        mark_empty_value(request->headers[i]);
        link_header(handle, request->headers[i]);
    }
    if (has_body(request) && !has_type)
        link_header(handle, no_type);
    if (has_body(request))
        link_header(handle, no_expect);
    curl_easy_setopt(handle->easy, CURLOPT_HTTPHEADER,
                     handle->header_count > 0 ? handle->headers : NULL);
}

size_t http_handle_origin_len(const char *url)
{
    const char *start = strstr(url, "://");

    start = start == NULL ? url : start + 3;
    return (size_t)(start - url) + strcspn(start, "/?#");
}

/* Whether this can be sent as it is written: a path with nothing in it that libcurl would change. */
static bool is_request_target(const char *text)
{
    const char *at = text;

    while ((unsigned char)*at > ' ' && (unsigned char)*at < 0x7f && *at != '#')
        at++;
    return text[0] == '/' && *at == '\0' && strstr(text, "/.") == NULL;
}

/* libcurl reads, checks and writes a URL anew for each request, at a third of a request's cost. So it gets
 * the origin, which stays the same, and the rest as it is to be sent. Not for a plain http:// that may go
 * through a proxy: there the target is the whole URL. */
static void set_url(struct http_handle *handle, const char *url, bool is_direct)
{
    size_t len = http_handle_origin_len(url);
    bool in_two = is_request_target(url + len) && (is_direct || strncasecmp(url, "https:", 6) == 0);

    curl_easy_setopt(handle->easy, CURLOPT_REQUEST_TARGET, in_two ? url + len : NULL);
    if (in_two && handle->origin.len == len && memcmp(handle->origin.data, url, len) == 0)
        return;
    buf_reset(&handle->origin);
    if (in_two)
        buf_append(&handle->origin, url, len);
    curl_easy_setopt(handle->easy, CURLOPT_URL, in_two ? handle->origin.data : url);
}

void http_handle_set(struct http_handle *handle, struct http_request *request, bool is_direct)
{
    set_url(handle, request->url.data, is_direct);
    set_method(handle->easy, request);
    set_headers(handle, request);
}
