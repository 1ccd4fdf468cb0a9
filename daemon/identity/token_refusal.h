/* SPDX-License-Identifier: MIT */
/*
 * An issuer's answer that is no token: what of it can be told. Each issuer, and each gateway before one, has
 * a form of its own; and what answers in an issuer's place may quote the secrets that it was sent.
 */
#ifndef IDENTITY_TOKEN_REFUSAL_H
#define IDENTITY_TOKEN_REFUSAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_reply;

/* The machine has no identity, or not the one that was asked for. */
#define TOKEN_NO_IDENTITY "identity_not_found"
/* It has several, and was not told which. */
#define TOKEN_MANY_IDENTITIES "multiple_identities"

/* What of an answer tells why it is no token. Borrowed; NULL where the answer has none. */
struct token_refusal_parts {
    int status;
    uint32_t retry_after_ms;
    const char *date;       /* Date */
    const char *request_id; /* x-ms-request-id */
    const char *shown; /* the secret that the issuer was sent: a text that holds it is not kept */
    const char *body;  /* NUL-terminated */
    size_t len;
};

/* An issuer's answer that is no token. Texts are bounded, without control characters, and hold nothing
 * that a secret could hide in; "" where the answer has none. */
struct token_refusal {
    int status;
    uint32_t retry_after_ms;
    bool is_json;  /* which the answers of all issuers are */
    char code[64]; /* `error`: "invalid_client"; `error.code` or `code` of a gateway's form */
    /* One of the two above where the description says so: issuers of managed identities have one code for many
     * things, or none. NULL: it does not. */
    const char *told;
    char aadsts[16]; /* "AADSTS7000215", of error_codes or the description */
    /* The first line of error_description, of a message or of a plain text, without the code above and the
     * ids of Entra's log. */
    char description[200];
    char request_id[64];
    char date[40]; /* of the issuer's clock, as it came; not for sentences */
};

/* Reads an answer with any status. Bodies: {error, error_description, error_codes}, {error: {code,
 * message}}, {code, message}, {statusCode, message}, a plain text; of HTML nothing is kept. */
void token_refusal_parse(const struct token_refusal_parts *parts,
                         struct token_refusal *ret_refusal);
/* The same for a reply as it came. shown may be NULL. */
void token_refusal_read(const struct http_reply *reply, const char *shown,
                        struct token_refusal *ret_refusal);

#endif
