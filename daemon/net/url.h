/* SPDX-License-Identifier: MIT */
/*
 * URLs, through libcurl's own parser, so that what we check is what the client will do.
 */
#ifndef NET_URL_H
#define NET_URL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/alloc.h"

struct buf;
struct err;

struct url {
    char *scheme; /* lower case */
    char *host;   /* lower case, IPv6 without brackets */
    char *port;   /* NULL when not written */
    char *path;   /* percent-encoded as written, dot segments resolved; "/" when empty */
    char *query;  /* without '?', percent-encoded; NULL when there is none */
    bool has_user;
    bool has_fragment;
};

/* ERR_CONFIG with the parser's reason. Text with control characters or blanks is refused, and so is a
 * host with a percent sign: no name and no address that we can use has one. */
bool url_parse(const char *text, struct url *ret_url, struct err *err) MUST_CHECK;
void url_done(struct url *url);
#define autourl __attribute__((cleanup(url_done))) struct url
/* Whether the host is this machine: localhost, *.localhost, 127.0.0.0/8, ::1. */
bool url_is_loopback(const struct url *url);
/* Whether the host is an IP address or localhost: Azure then puts the account into the path. */
bool url_is_path_style(const struct url *url);
/* Appends text with everything but unreserved characters (RFC 3986) as %XX. */
void url_encode(struct buf *out, const char *text);
/* Decodes %XX; '+' stays itself. The caller frees. NULL when an escape is broken or decodes to 0. */
char *url_decode(const char *text, size_t len);
/* Steps through `a=b&c=d`: gives each name and value decoded, in fresh memory, and moves *cursor.
 * False at the end. A broken escape leaves the part as it was written. */
bool url_query_next(const char **cursor, char **ret_name, char **ret_value);

#endif
