/* SPDX-License-Identifier: MIT */
/*
 * An issuer's answer: the token and how long it lives, or why there is none. One reader for all
 * issuers: numbers as JSON numbers or as strings (IMDS, Entra v1), the end of a token's life as a span
 * (expires_in), as seconds since 1970 or as a date in words (expires_on; App Service's 2017-09-01).
 */
#ifndef IDENTITY_TOKEN_ANSWER_H
#define IDENTITY_TOKEN_ANSWER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/secret.h"

struct http_reply;
struct json;

#define TOKEN_MAX_BYTES ((size_t)48 * 1024) /* a header's worth; services take less */

struct token_answer {
    struct secret token; /* printable ASCII without blanks */
    int64_t life_ms;     /* from when it was answered; a second at least */
};

/* What a token says of itself, unchecked: for sentences alone. "" where it does not tell. */
struct token_claims {
    char tenant[40];    /* tid */
    char object_id[40]; /* oid: what a role is given to */
    char client_id[40]; /* appid or azp */
    char audience[128]; /* aud */
};

/* Reads a 200 answer. answered_ms is the issuer's own Date, or the wall clock where it has none: expires_in
 * outranks a comparison with that. ERR_SERVER when there is no bearer token in it, or one that has
 * expired already, or does within a second; the sentence holds nothing of the token. */
bool token_answer_read(const struct json *answer, int64_t answered_ms,
                       struct token_answer *ret_answer, struct err *err) MUST_CHECK;
void token_answer_done(struct token_answer *answer);
/* Seconds since 1970, digits, or a date as issuers write it; milliseconds since 1970. */
bool token_answer_date(const char *text, int64_t *ret_ms) MUST_CHECK;
/* Reads the claims of a JWT; all "" when it is none. */
void token_claims_read(const struct secret *token, struct token_claims *ret_claims);

#endif
