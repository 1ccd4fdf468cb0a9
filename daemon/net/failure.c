/* SPDX-License-Identifier: MIT */
/* Why a call got no answer. */
#include "net/failure.h"

#include <string.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/unit.h"

/* libcurl gives one code to a scheme that it does not know and to an answer that is not HTTP/1. */
static bool is_not_http(const struct failure *failure)
{
    return failure->code == CURLE_WEIRD_SERVER_REPLY ||
           (failure->code == CURLE_UNSUPPORTED_PROTOCOL &&
            strncasecmp(failure->url, "http", 4) == 0);
}

/* Whether a moment of the transfer was reached. */
static bool came_to(const struct failure *failure, CURLINFO moment)
{
    curl_off_t after_us = 0;

    curl_easy_getinfo(failure->easy, moment, &after_us);
    return after_us > 0;
}

/* A call that waits for a free connection has not asked for the name either. */
static void explain_timeout(const struct failure *failure, struct err *err)
{
    int64_t limit_ms = failure->timeout_ms;
    const char *stage = "";
    char limit[UNIT_TEXT_MAX];

    if (!failure->waited && !came_to(failure, CURLINFO_PRETRANSFER_TIME_T)) {
        limit_ms = failure->connect_timeout_ms;
        if (!came_to(failure, CURLINFO_NAMELOOKUP_TIME_T))
            stage = ": its name was not resolved (see this machine's DNS)";
        else
            stage = ": no connection, or no TLS handshake on it (see firewalls and proxies)";
    }
    /* A few milliseconds may have been spent before the call. */
    limit_ms = max_of((limit_ms + 25) / 50 * 50, limit_ms < 50 ? limit_ms : 50);
    err_set(err, ERR_NETWORK, "no %sanswer from %s within %s%s",
            failure->answer_began ? "whole " : "", failure->host,
            unit_duration_human(limit_ms, limit), stage);
}

static void explain_refusal(const struct failure *failure, struct err *err)
{
    size_t name_len = strcspn(failure->host, ":");
    long os_errno = 0;

    curl_easy_getinfo(failure->easy, CURLINFO_OS_ERRNO, &os_errno);
    /* libcurl names whom it could not connect to, a proxy perhaps. */
    if (failure->host[0] == '[' ||
        memmem(failure->reason, strlen(failure->reason), failure->host, name_len) != NULL)
        err_set(err, ERR_NETWORK, "no connection to %s: %s", failure->host,
                os_errno != 0 ? strerror((int)os_errno) : failure->reason);
    else
        err_set(err, ERR_NETWORK, "no answer from %s: %s%s%s (a proxy: see http.proxy)",
                failure->host, failure->reason, os_errno != 0 ? ": " : "",
                os_errno != 0 ? strerror((int)os_errno) : "");
}

/* Why the host's certificate was refused, and what mends it. The numbers are OpenSSL's, which libcurl
 * hands on. */
static const char *certificate_hint(const struct failure *failure)
{
    enum { GOOD = 0, UNSPECIFIED = 1, LEAF_WITHOUT_ISSUER = 2, NOT_YET = 9, EXPIRED = 10 };
    enum { SELF_SIGNED = 18, SELF_SIGNED_AUTHORITY = 19, NO_ISSUER = 20, NO_CHAIN = 21 };
    long result = GOOD;

    curl_easy_getinfo(failure->easy, CURLINFO_SSL_VERIFYRESULT, &result);
    switch (result) {
    case GOOD: /* the chain; libcurl itself compares the name */
    case UNSPECIFIED:
        return "the certificate is for another host: see the URL";
    case NOT_YET:
        return "see this machine's clock";
    case EXPIRED:
        return "it must be renewed, or this machine's clock is wrong";
    case LEAF_WITHOUT_ISSUER:
    case SELF_SIGNED:
    case SELF_SIGNED_AUTHORITY:
    case NO_ISSUER:
    case NO_CHAIN:
        return "name the file with the authority's certificate in http.ca_file";
    default:
        return "see the host's certificate and http.ca_file";
    }
}

/* What a proxy said to CONNECT; 0 when none was asked, or all was well. */
static long proxy_refusal(const struct failure *failure)
{
    long status = 0;

    curl_easy_getinfo(failure->easy, CURLINFO_HTTP_CONNECTCODE, &status);
    return status >= 200 && status < 300 ? 0 : status;
}

static void explain_proxy_refusal(const struct failure *failure, long status, struct err *err)
{
    const char *hint = "see the proxy's log";

    if (status == 407)
        hint = "it wants a user and a password: http.proxy: http://USER:PASSWORD@HOST:PORT";
    else if (status == 401 || status == 403)
        hint = "it does not let this machine through to there";
    else if (status >= 500)
        hint = "it could not reach the host itself";
    err_set(err, ERR_NETWORK, "no way to %s: the proxy answered %ld to CONNECT (%s)", failure->host,
            status, hint);
}

/* libcurl quotes a proxy's URL, with its password, when it can not read it. */
static bool is_about_proxy_url(const struct failure *failure)
{
    return strncmp(failure->reason, "Unsupported proxy", 17) == 0;
}

static void explain_network(const struct failure *failure, struct err *err)
{
    if (failure->code == CURLE_COULDNT_RESOLVE_HOST)
        err_set(err, ERR_NETWORK,
                "no answer from %s: its name is not known (see the URL and this machine's DNS)",
                failure->host);
    else if (failure->code == CURLE_COULDNT_RESOLVE_PROXY)
        err_set(err, ERR_NETWORK, "no answer from %s: %s (see http.proxy and this machine's DNS)",
                failure->host, failure->reason);
    else if (failure->code == CURLE_COULDNT_CONNECT)
        explain_refusal(failure, err);
    else if (failure->code == CURLE_PEER_FAILED_VERIFICATION)
        err_set(err, ERR_NETWORK, "no safe connection to %s: %s (%s)", failure->host,
                failure->reason, certificate_hint(failure));
    else if (failure->code == CURLE_SSL_CONNECT_ERROR)
        err_set(err, ERR_NETWORK, "no safe connection to %s: %s (is TLS spoken at this port?)",
                failure->host, failure->reason);
    else
        err_set(err, ERR_NETWORK, "no answer from %s: %s", failure->host, failure->reason);
}

void failure_explain(const struct failure *failure, struct err *err)
{
    CURLcode code = failure->code;

    if (code == CURLE_OPERATION_TIMEDOUT)
        explain_timeout(failure, err);
    else if (is_about_proxy_url(failure))
        err_set(err, ERR_CONFIG,
                "no proxy that can be used: see http.proxy and the environment's (http://HOST:PORT "
                "is how it is written)");
    else if (code == CURLE_SSL_CACERT_BADFILE)
        err_set(err, ERR_HOST, "no certificates to trust: %s%s%s",
                failure->ca_file != NULL ? "http.ca_file can not be read (" : failure->reason,
                failure->ca_file != NULL ? failure->ca_file : "",
                failure->ca_file != NULL ? ")" : "");
    else if (proxy_refusal(failure) != 0)
        explain_proxy_refusal(failure, proxy_refusal(failure), err);
    else if (code == CURLE_RECV_ERROR && !came_to(failure, CURLINFO_PRETRANSFER_TIME_T))
        err_set(err, ERR_NETWORK, "no connection to %s: %s", failure->host, failure->reason);
    else if (code == CURLE_PARTIAL_FILE || is_not_http(failure) ||
             (code == CURLE_RECV_ERROR && failure->answer_began))
        err_set(err, ERR_SERVER, "%s sent no whole answer: %s", failure->host, failure->reason);
    else if (code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR)
        err_set(err, ERR_NETWORK, "the connection to %s broke: %s", failure->host, failure->reason);
    else if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL)
        err_set(err, ERR_CONFIG, "not a URL that can be asked: %s", failure->reason);
    else
        explain_network(failure, err);
}
