/* SPDX-License-Identifier: MIT */
/* The Shared Key signature. */
#include "identity/shared_key_sign.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/secret.h"
#include "codec/base64.h"
#include "codec/sha.h"
#include "net/http.h"
#include "net/url.h"

/* The standard headers that are signed by value alone, in this order, behind the verb. */
static const char *const signed_headers[] = {
    "Content-Encoding",
    "Content-Language",
    "Content-Length",
    "Content-MD5",
    "Content-Type",
    "Date",
    "If-Modified-Since",
    "If-Match",
    "If-None-Match",
    "If-Unmodified-Since",
    "Range",
};

/* Names and values to be signed in the order of their names. */
struct pairs {
    struct pair {
        char *name; /* lower case */
        char *value;
    } items[32];
    unsigned count;
};

static void pairs_done(struct pairs *pairs)
{
    for (unsigned i = 0; i < pairs->count; i++) {
        alloc_free(pairs->items[i].name);
        alloc_free(pairs->items[i].value);
    }
}
#define autopairs __attribute__((cleanup(pairs_done))) struct pairs

/* Takes both texts. */
static void pairs_put(struct pairs *pairs, char *name_take, char *value_take)
{
    if (pairs->count == array_size(pairs->items))
        fatal("a request has too many headers to sign");
    for (char *c = name_take; *c != '\0'; c++)
        *c = (char)tolower((unsigned char)*c);
    pairs->items[pairs->count++] = (struct pair){name_take, value_take};
}

static int by_name(const void *a, const void *b)
{
    const struct pair *left = a, *right = b;
    int order = strcmp(left->name, right->name);

    return order != 0 ? order : strcmp(left->value, right->value);
}

static void pairs_sort(struct pairs *pairs)
{
    qsort(pairs->items, pairs->count, sizeof(pairs->items[0]), by_name);
}

static void put_standard_headers(const struct http_request *request, struct buf *out)
{
    bool has_body = request->method == HTTP_PUT || request->method == HTTP_POST;

    for (size_t i = 0; i < array_size(signed_headers); i++) {
        const char *name = signed_headers[i];
        const char *value = http_request_find_header(request, name);

        /* A length of 0 is signed as nothing (from 2015-02-21), a Date that x-ms-date overrules too. */
        if (strcmp(name, "Content-Length") == 0) {
            if (has_body && request->body.len > 0)
                buf_printf(out, "%zu", request->body.len);
        } else if (value != NULL && (strcmp(name, "Date") != 0 ||
                                     http_request_find_header(request, "x-ms-date") == NULL)) {
            buf_puts(out, value);
        }
        buf_putc(out, '\n');
    }
}

static void put_storage_headers(const struct http_request *request, struct buf *out)
{
    autopairs pairs = {.count = 0};

    for (unsigned i = 0; i < request->header_count; i++) {
        const char *header = request->headers[i];
        size_t name_len = strcspn(header, ":");

        if (strncasecmp(header, "x-ms-", 5) != 0 || header[name_len] == '\0')
            continue;
        const char *value = header + name_len + 1;
        pairs_put(&pairs, xstrndup(header, name_len), xstrdup(value + strspn(value, " ")));
    }
    pairs_sort(&pairs);
    for (unsigned i = 0; i < pairs.count; i++)
        buf_printf(out, "%s:%s\n", pairs.items[i].name, pairs.items[i].value);
}

static void put_resource(const struct url *url, const char *account, struct buf *out)
{
    autopairs pairs = {.count = 0};
    const char *cursor = url->query == NULL ? "" : url->query;
    char *name, *value;

    buf_printf(out, "/%s%s", account, url->path);
    while (url_query_next(&cursor, &name, &value))
        pairs_put(&pairs, name, value);
    pairs_sort(&pairs);
    for (unsigned i = 0; i < pairs.count; i++) {
        const struct pair *pair = &pairs.items[i];

        if (i > 0 && strcmp(pair[-1].name, pair->name) == 0)
            buf_printf(out, ",%s", pair->value);
        else
            buf_printf(out, "\n%s:%s", pair->name, pair->value);
    }
}

bool shared_key_string_to_sign(const struct http_request *request, const char *account,
                               struct buf *out, struct err *err)
{
    autourl url = {0};

    if (!url_parse(request->url.data, &url, err))
        return false;
    buf_printf(out, "%s\n", http_method_name(request->method));
    put_standard_headers(request, out);
    put_storage_headers(request, out);
    put_resource(&url, account, out);
    return true;
}

bool shared_key_decode(const char *text, struct secret *ret_key, struct err *err)
{
    autobuf key;

    buf_init(&key, BUF_ANY_SIZE);
    bool good = base64_decode(text, strlen(text), &key) && key.len > 0;
    if (good)
        secret_set(ret_key, key.data, key.len);
    else
        err_set(err, ERR_AUTH, "the account key is not base64");
    buf_wipe(&key);
    return good;
}

bool shared_key_sign(struct http_request *request, const char *account, const struct secret *key,
                     struct err *err)
{
    unsigned char digest[SHA256_SIZE];
    autobuf text;
    autobuf header;

    buf_init(&text, BUF_ANY_SIZE);
    buf_init(&header, BUF_ANY_SIZE);
    if (!shared_key_string_to_sign(request, account, &text, err))
        return false;
    sha256_hmac(secret_reveal(key), key->len, text.data, text.len, digest);
    buf_printf(&header, "SharedKey %s:", account);
    base64_encode(digest, sizeof(digest), &header);
    http_request_header(request, "Authorization", header.data);
    return true;
}
