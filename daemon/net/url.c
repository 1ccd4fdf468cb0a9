/* SPDX-License-Identifier: MIT */
/* URLs, through libcurl's own parser. */
#include "net/url.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

static void free_handle(CURLU **handle)
{
    curl_url_cleanup(*handle);
}

/* A part of the URL in our memory, NULL when it was not written. */
static char *copy_part(CURLU *handle, CURLUPart which)
{
    char *text = NULL;

    if (curl_url_get(handle, which, &text, 0) != CURLUE_OK)
        return NULL;
    char *copy = xstrdup(text);
    curl_free(text);
    return copy;
}

static void lower(char *text)
{
    for (; *text != '\0'; text++)
        *text = (char)tolower((unsigned char)*text);
}

/* curl leaves the brackets of an IPv6 address and the case of a name as they were written. */
static char *copy_host(CURLU *handle)
{
    char *host = copy_part(handle, CURLUPART_HOST);

    if (host == NULL)
        return NULL;
    lower(host);
    size_t len = strlen(host);
    if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
        memmove(host, host + 1, len - 2);
        host[len - 2] = '\0';
    }
    return host;
}

static bool has_part(CURLU *handle, CURLUPart which)
{
    autofree char *text = copy_part(handle, which);

    return text != NULL;
}

static bool is_printable(const char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text <= ' ' || *text == 0x7f)
            return false;
    }
    return true;
}

/* libcurl takes one slash or three for two, and would find the host in the path. */
static bool has_authority(const char *text)
{
    const char *colon = strchr(text, ':');

    return colon != NULL && str_starts(colon, "://") && colon[3] != '/';
}

/* libcurl decodes %XX in a host, to what may be another one: %31%32%37.1 is no address, 127.1 is. */
static bool has_plain_host(const char *text)
{
    const char *authority = strstr(text, "://") + 3;
    const char *end = authority + strcspn(authority, "/?#");
    const char *user_end = memrchr(authority, '@', (size_t)(end - authority));
    const char *host = user_end != NULL ? user_end + 1 : authority;

    return memchr(host, '%', (size_t)(end - host)) == NULL;
}

bool url_parse(const char *text, struct url *ret_url, struct err *err)
{
    CURLU *handle __attribute__((cleanup(free_handle))) = curl_url();

    if (handle == NULL)
        fatal("libcurl can not be used");
    if (!is_printable(text))
        return err_set(err, ERR_CONFIG, "not a URL: a blank or a control character in it");
    if (!has_authority(text))
        return err_set(err, ERR_CONFIG, "not a URL: scheme://host is how it begins");
    if (!has_plain_host(text))
        return err_set(err, ERR_CONFIG, "not a URL: an escape in its host");
    /* Any scheme: which ones are good here is the caller's to say. */
    CURLUcode code = curl_url_set(handle, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME);
    if (code != CURLUE_OK)
        return err_set(err, ERR_CONFIG, "not a URL: %s", curl_url_strerror(code));
    struct url url = {
        .scheme = copy_part(handle, CURLUPART_SCHEME),
        .host = copy_host(handle),
        .port = copy_part(handle, CURLUPART_PORT),
        .path = copy_part(handle, CURLUPART_PATH),
        .query = copy_part(handle, CURLUPART_QUERY),
        .has_user = has_part(handle, CURLUPART_USER) || has_part(handle, CURLUPART_PASSWORD),
        .has_fragment = strchr(text, '#') != NULL, /* an empty one too */
    };
    if (url.scheme == NULL || url.host == NULL || url.host[0] == '\0') {
        url_done(&url);
        return err_set(err, ERR_CONFIG, "not a URL: it names no host");
    }
    lower(url.scheme);
    if (url.path == NULL)
        url.path = xstrdup("/");
    *ret_url = url;
    return true;
}

void url_done(struct url *url)
{
    alloc_free(url->scheme);
    alloc_free(url->host);
    alloc_free(url->port);
    alloc_free(url->path);
    alloc_free(url->query);
    *url = (struct url){0};
}

bool url_is_loopback(const struct url *url)
{
    struct in_addr v4;
    struct in6_addr v6;

    if (inet_pton(AF_INET, url->host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == IN_LOOPBACKNET;
    if (inet_pton(AF_INET6, url->host, &v6) == 1)
        return IN6_IS_ADDR_LOOPBACK(&v6);
    return str_equal(url->host, "localhost") || str_ends(url->host, ".localhost");
}

bool url_is_path_style(const struct url *url)
{
    struct in6_addr any;

    return inet_pton(AF_INET, url->host, &any) == 1 || inet_pton(AF_INET6, url->host, &any) == 1 ||
           str_equal(url->host, "localhost");
}

void url_encode(struct buf *out, const char *text)
{
    static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                     "0123456789-._~";
    size_t plain = strspn(text, unreserved);

    if (text[plain] == '\0') {
        buf_append(out, text, plain);
        return;
    }
    char *encoded = curl_easy_escape(NULL, text, 0);

    if (encoded == NULL) /* only for want of memory */
        fatal("libcurl can not be used");
    buf_puts(out, encoded);
    explicit_bzero(encoded, strlen(encoded));
    curl_free(encoded);
}

/* libcurl lets a broken escape through; we want to hear of it. */
static bool has_sound_escapes(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\0')
            return false;
        if (text[i] != '%')
            continue;
        if (len - i < 3 || !isxdigit((unsigned char)text[i + 1]) ||
            !isxdigit((unsigned char)text[i + 2]) || strncmp(text + i, "%00", 3) == 0)
            return false;
    }
    return true;
}

char *url_decode(const char *text, size_t len)
{
    int decoded_len;

    if (len > INT32_MAX || !has_sound_escapes(text, len))
        return NULL;
    if (len == 0) /* libcurl would measure the text itself */
        return xstrdup("");
    char *decoded = curl_easy_unescape(NULL, text, (int)len, &decoded_len);
    if (decoded == NULL)
        fatal("libcurl can not be used");
    char *copy = xstrndup(decoded, (size_t)decoded_len);
    explicit_bzero(decoded, (size_t)decoded_len);
    curl_free(decoded);
    return copy;
}

static char *decode_or_keep(const char *text, size_t len)
{
    char *decoded = url_decode(text, len);

    return decoded != NULL ? decoded : xstrndup(text, len);
}

bool url_query_next(const char **cursor, char **ret_name, char **ret_value)
{
    const char *part = *cursor;

    while (*part == '&')
        part++;
    if (*part == '\0') {
        *cursor = part;
        return false;
    }
    size_t len = strcspn(part, "&");
    size_t name_len = strcspn(part, "=&");
    size_t value_at = min_of(name_len + 1, len); /* a name without '=' has an empty value */
    *ret_name = decode_or_keep(part, name_len);
    *ret_value = decode_or_keep(part + value_at, len - value_at);
    *cursor = part + len;
    return true;
}
