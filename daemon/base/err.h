/* SPDX-License-Identifier: MIT */
/*
 * The one error type, sync and async. Fallible functions return a must-check bool and take a
 * `struct err *` last; completions get a `const struct err *`, NULL meaning success. Whoever fails
 * fills it and logs nothing; whoever decides logs once.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/alloc.h"

/* A code names the decision that it forces. Back-off, token refresh and poison read this field. */
enum err_code {
    ERR_NONE = 0,
    ERR_NETWORK,   /* no whole answer: names, connection, TLS, time-out; try again */
    ERR_SERVER,    /* the service failed (5xx) or answered nonsense; try again */
    ERR_THROTTLED, /* asked to slow down (429, 503); try again no sooner than retry_after_ms */
    ERR_AUTH,      /* 401, 403, or no usable credential; a person or a rotation mends it */
    ERR_MISSING,   /* the queue or the account is not there; a person mends it */
    ERR_GONE,      /* the message is no longer ours (stale receipt, deleted); drop it */
    ERR_REJECTED,  /* the request can never succeed as it is; do not repeat it */
    ERR_CONFIG,    /* the configuration or the command line is wrong */
    ERR_HOST,      /* this machine is at fault: disk full, no such program, no right */
    ERR_INTERNAL,  /* a bug of ours */
};

struct err {
    enum err_code code;
    int http_status;         /* 0 when there was no HTTP answer */
    int os_errno;            /* of a system call that failed, else 0 */
    uint32_t retry_after_ms; /* what the service asked for, 0 when it asked for nothing */
    bool is_paced; /* retry_after_ms is the wait, which somebody keeps: no back-off beside it */
    char service_code[64]; /* x-ms-error-code, "" when none came */
    char request_id[64];   /* x-ms-request-id, "" when none came */
    char text[1024];       /* one sentence without a full stop, no secret in it */
};

/* Fills err with a code and a sentence, clearing everything else. Returns false, so that a function
 * can end with `return err_set(...)`. */
bool err_set(struct err *err, enum err_code code, const char *format, ...) PRINTF_LIKE(3, 4);
/* The same with ": strerror(os_errno)" behind the sentence. */
bool err_set_errno(struct err *err, enum err_code code, int os_errno, const char *format, ...)
    PRINTF_LIKE(4, 5);
/* Puts "context: " before the sentence that is there. Returns false. */
bool err_prefix(struct err *err, const char *format, ...) PRINTF_LIKE(2, 3);
/* The code's name for logs: "network", "auth", ... */
const char *err_code_name(enum err_code code);

#endif
