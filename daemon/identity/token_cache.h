/* SPDX-License-Identifier: MIT */
/*
 * The one token of an identity for its audience: asked for, kept, put on requests, replaced in time.
 *
 * A token that lives longer than two hours is due for replacement at half its life, others when a
 * quarter of it, at most five minutes, is left; the one in use serves meanwhile, and for as long as a
 * replacement fails. One fetch is under way at a time. After a failure nobody asks again before the wait
 * that identity/token_retry names is over; who wants a token sooner gets the last failure, with what is left of the wait as
 * its retry_after_ms. Everything counts on the monotonic clock: a wall clock that jumps changes nothing.
 *
 * Used by identity.c alone, which decides when a fetch begins.
 */
#ifndef IDENTITY_TOKEN_CACHE_H
#define IDENTITY_TOKEN_CACHE_H

#include <stdbool.h>

#include "base/err.h"

struct http_request;
struct identity;
struct identity_context;
struct issuer;
struct token_cache;

/* self is the issuer's. owner is told by identity_acquired how each fetch ended. */
struct token_cache *token_cache_new(struct identity *owner, const struct identity_context *context,
                                    const struct issuer *issuer, void *self);
/* Ends what is under way. NULL is fine. */
void token_cache_free(struct token_cache *cache);

/* There is a token that has not expired. */
bool token_cache_is_ready(const struct token_cache *cache);
/* It is time for another one, and the issuer may be asked. */
bool token_cache_is_due(const struct token_cache *cache);
/* Whether the issuer may be asked now; else the last failure in *ret_err. */
bool token_cache_may_fetch(const struct token_cache *cache, struct err *ret_err);
/* identity_acquired follows, never from inside. Not while one is under way. */
void token_cache_fetch(struct token_cache *cache);
/* The issuer's challenge was met, or can not be (err). */
void token_cache_challenge_met(struct token_cache *cache, const struct err *err);
/* A fetch could not even begin: what it needs can not be had (a file). Counts as a failure. */
void token_cache_failed(struct token_cache *cache, const struct err *err);

/* Puts the token into the request's Authorization header. ERR_AUTH, and nothing put, unless the URL is
 * https://, or http:// to this machine with allow_insecure. */
bool token_cache_sign(struct token_cache *cache, struct http_request *request,
                      struct err *err) MUST_CHECK;
/* The number of the token that sign uses: another for each. */
unsigned token_cache_number(const struct token_cache *cache);
/* The service did not take the token of that number: err says how. Drops it when another one may help, at most
 * once in 30 s, and adds to err's sentence what is known about it; it serves again when the fetch of another
 * fails, for it may be good for other services. True when the request should be signed and sent anew. */
bool token_cache_refused(struct token_cache *cache, unsigned number, struct err *err);
/* The issuer may be asked at once: waits are forgotten. */
void token_cache_hurry(struct token_cache *cache);
/* An operator changed something: waits are forgotten, and another token is due. */
void token_cache_reload(struct token_cache *cache);
/* Why the token in use can not be replaced, a sentence; NULL when nothing is wrong. */
const char *token_cache_trouble(const struct token_cache *cache);

#endif
