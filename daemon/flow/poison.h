/* SPDX-License-Identifier: MIT */
/* The record that goes into the poison queue for a message that can not be handled. */
#ifndef FLOW_POISON_H
#define FLOW_POISON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

struct poison_record {
    const char *reason;      /* one of CONTRACT's: `not-json`, `rejected`, ... */
    const char *hook;        /* that rejected it; NULL */
    const char *const *done; /* hooks that are done, ends with NULL */
    unsigned attempts;
    int exit_status;  /* -1: none */
    const char *tail; /* NULL: none */
    const char *message_id;
    const char *queue_url;
    int64_t inserted_ms;
    unsigned dequeue_count;
    const char *encoding; /* "plain", "base64"; NULL when it could not be told */
    const char *text;     /* as received; any bytes */
};

#define POISON_MAX_BYTES ((size_t)64 * 1024)

/* The record as ASCII-only JSON, in fresh memory, at most POISON_MAX_BYTES: the tail is given up
 * first, and a text that still does not fit goes alone, as it is. */
char *poison_text(const struct poison_record *record);
/* Whether the service found the text too large, whatever we thought. */
bool poison_is_too_large(const struct err *err);
/* Whether the service refused for good: to repeat the request as it is does not help, a person has to
 * mend the credential or the queue. Not what only something in between said. */
bool poison_is_refused(const struct err *err);

#endif
