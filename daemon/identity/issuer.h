/* SPDX-License-Identifier: MIT */
/*
 * Who gives out tokens: the metadata service of a virtual machine (IMDS), App Service's endpoint, Azure
 * Arc's agent, Microsoft Entra. An issuer knows how it is asked; asking, reading the answer, keeping the
 * token and trying again are identity/token_cache's. An identity kind whose credential is a token names
 * its issuer (struct identity_kind).
 */
#ifndef IDENTITY_ISSUER_H
#define IDENTITY_ISSUER_H

#include <stdbool.h>

#include "base/alloc.h"
#include "identity/token_retry.h"

struct err;
struct http_reply;
struct http_request;
struct json;
struct secret;
struct token_refusal;

/* self is the kind's object. All functions block nothing. */
struct issuer {
    const char *name;     /* in sentences: "IMDS", "Microsoft Entra" */
    enum token_pace pace; /* how often it may be asked again after a failure */
    /* What is said beside a connection that failed: the mend. NULL: nothing. */
    const char *unreachable;
    /* Fills in a request for a token that is good for audience ("https://storage.azure.com/"): method,
     * URL, headers, body, whether a proxy may see it. The request was initialised for GET. False with
     * ERR_CONFIG or ERR_AUTH when it can not be made. */
    bool (*ask)(void *self, const char *audience, struct http_request *request, struct err *err);
    /* The secret that ask puts into a request; it is borrowed. An issuer's words that hold it are not
     * told. NULL where there is none, or another one in each request. */
    const struct secret *(*shown)(void *self);
    /* The answer is 401 and may be a challenge: starts working on it and returns true when it is; then
     * identity_challenge_met(owner, ...) must follow, never from inside, and ask is called again. False
     * with err untouched when it is none; false with err set (ERR_AUTH) when it must not be followed.
     * Called once a fetch. NULL for most. */
    bool (*challenged)(void *self, const struct http_reply *reply, struct err *err);
    /* The fetch is over or is given up: what was got for a challenge is forgotten, and what is under way
     * for it must not report any more. NULL where challenged is. */
    void (*forget)(void *self);
    /* Whether the token that came is the one asked for; answer is the issuer's JSON. ERR_AUTH if not.
     * NULL: it always is. */
    bool (*accepts)(void *self, const struct json *answer, struct err *err);
    /* Adds to err's sentence (identity_add_reason) what mends this refusal, where the issuer's own kind
     * knows more than identity/token_error does: which setting, which variable. May be NULL. */
    void (*explain)(void *self, const struct token_refusal *refusal, struct err *err);
};

#endif
