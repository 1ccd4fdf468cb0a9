/* SPDX-License-Identifier: MIT */
/*
 * When an issuer of tokens may be asked again after a failure. The waits follow what Azure publishes
 * for the metadata service ("Error handling" of "How to use managed identities to acquire an access
 * token": 404, 429, 5xx and time-outs after 2, 6, 14 and 30 s, at most 60 s; 410 for up to 70 s) and what
 * Microsoft's own libraries do with the other endpoints (1 s, three times). A daemon never gives up:
 * after the last wait of a row it goes on at that pace. Pure: no clock, no I/O.
 */
#ifndef IDENTITY_TOKEN_RETRY_H
#define IDENTITY_TOKEN_RETRY_H

#include <stdint.h>

struct err;

/* Whose table. */
enum token_pace {
    TOKEN_PACE_IMDS,  /* a virtual machine's metadata service */
    TOKEN_PACE_OTHER, /* App Service, Arc, Azure ML, Cloud Shell, Entra */
};

/* Begins as zeroes. */
struct token_retry {
    unsigned passing;  /* failures in a row that may pass by themselves */
    unsigned updating; /* answers 410 in a row */
    unsigned refused;  /* refusals in a row */
};

/* How long to wait after that failure, in milliseconds, never less than err's retry_after_ms. A wait is
 * drawn between the table's and a fifth more.
 *
 *   404 408 429 5xx, no answer   IMDS 2 6 14 30 60 60 ... s, others 1 1 1 6 14 30 60 60 ... s
 *   410 (being updated)          10 s, seven times; then like those above
 *   any other, and what is wrong here (a file, a setting): 2 4 8 ... 120 120 ... s
 */
int64_t token_retry_after(struct token_retry *retry, enum token_pace pace, const struct err *err);
/* A token came, or an operator changed something. */
void token_retry_reset(struct token_retry *retry);

#endif
