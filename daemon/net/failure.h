/* SPDX-License-Identifier: MIT */
/*
 * Why a call of the HTTP client got no answer, in one sentence: the place, the cause, and what mends it where
 * that is known. libcurl's codes and measurements in, an error out; no I/O, no state.
 */
#ifndef NET_FAILURE_H
#define NET_FAILURE_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

struct err;

/* Everything is borrowed. */
struct failure {
    CURL *easy; /* after the transfer's end: it knows how far that came */
    CURLcode code;
    const char *reason;  /* libcurl's words */
    const char *url;     /* is not shown */
    const char *host;    /* "host:port", shown */
    const char *ca_file; /* NULL: the system's */
    int64_t timeout_ms, connect_timeout_ms;
    bool waited;       /* it never began: other calls had all connections */
    bool answer_began; /* a part of the answer's head came */
};

/* ERR_NETWORK for what may heal by itself or by a person's hand elsewhere; ERR_SERVER when an answer
 * began and is no whole one; ERR_CONFIG for a URL or a proxy's that can not be used; ERR_HOST for a
 * CA file that can not be read. Shows no password and no query. */
void failure_explain(const struct failure *failure, struct err *err);

#endif
