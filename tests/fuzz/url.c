/* SPDX-License-Identifier: MIT */
/* net/url: URLs, their queries, percent signs. */
#include "net/url.h"

#include <ctype.h>

#include "base/buf.h"
#include "base/err.h"
#include "fuzz.h"

/* As the configuration's URLs are written again: what was read must not change by it. */
static char *write_again(const struct url *url)
{
    bool is_ipv6 = strchr(url->host, ':') != NULL;

    return xasprintf("%s://%s%s%s%s%s%s%s%s", url->scheme, is_ipv6 ? "[" : "", url->host,
                     is_ipv6 ? "]" : "", url->port != NULL ? ":" : "",
                     url->port != NULL ? url->port : "", url->path, url->query != NULL ? "?" : "",
                     url->query != NULL ? url->query : "");
}

static void check_parts(const struct url *url)
{
    check(url->host[0] != '\0' && url->scheme[0] != '\0' && url->path[0] == '/');
    for (const char *c = url->host; *c != '\0'; c++)
        check(!isupper((unsigned char)*c) && strchr("/?#@[] ", *c) == NULL);
    check(!url_is_loopback(url) || url_is_path_style(url) || str_ends(url->host, "localhost"));
    check(strpbrk(url->path, "?#") == NULL);
    check(url->query == NULL || strchr(url->query, '#') == NULL);
    check(url->port == NULL || strspn(url->port, "0123456789") == strlen(url->port));
}

static void check_url(const char *text)
{
    autourl url = {0};
    autourl again = {0};
    struct err err;

    if (!url_parse(text, &url, &err)) {
        check(err.code == ERR_CONFIG && fuzz_is_sentence(err.text));
        return;
    }
    check_parts(&url);
    autofree char *written = write_again(&url);
    check(url_parse(written, &again, &err));
    check(str_equal(url.scheme, again.scheme) && str_equal(url.host, again.host));
    check(str_equal(url.port, again.port) && str_equal(url.path, again.path));
    check(str_equal(url.query, again.query));
    check(!again.has_user && !again.has_fragment);
}

static void check_escapes(const char *text)
{
    autobuf encoded;
    autofree char *as_it_is = url_decode(text, strlen(text));

    check(as_it_is == NULL || strlen(as_it_is) <= strlen(text));
    buf_init(&encoded, BUF_ANY_SIZE);
    url_encode(&encoded, text);
    for (const char *c = encoded.data; *c != '\0'; c++)
        check(isalnum((unsigned char)*c) || strchr("-._~%", *c) != NULL);
    autofree char *decoded = url_decode(encoded.data, encoded.len);
    check(str_equal(decoded, text));
}

static void check_query(const char *text)
{
    const char *cursor = text;
    char *name, *value;

    for (;;) {
        const char *before = cursor;
        if (!url_query_next(&cursor, &name, &value))
            break;
        check(cursor > before && strlen(name) + strlen(value) <= (size_t)(cursor - before));
        free(name);
        free(value);
    }
    check(*cursor == '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    autofree char *text = fuzz_text(data, size);

    check_url(text);
    check_escapes(text);
    check_query(text);
    return 0;
}
