/* SPDX-License-Identifier: MIT */
/*
 * A SAS in use: made fit for a query, put on requests, watched for its expiry. What the kinds that
 * can hold a SAS share; where the text comes from is identity/source's business.
 */
#ifndef IDENTITY_SAS_USE_H
#define IDENTITY_SAS_USE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/secret.h"
#include "identity/expiry_watch.h"
#include "identity/sas_token.h"

struct http_request;
struct identity_facts;

struct sas_use {
    struct secret query; /* as it goes behind '?' */
    struct sas_token token;
    struct expiry_watch watch;
};

/* Takes a pasted text into use in place of the one before; a text that is the same as before is not
 * warned about anew. ERR_AUTH when it is not a SAS; the one before then stays. *use begins as zeroes. */
bool sas_use_adopt(struct sas_use *use, const char *pasted, struct err *err) MUST_CHECK;
void sas_use_done(struct sas_use *use);
/* Puts the SAS into the request's URL. Logs a warning, label naming the identity, once at 7 days, 1
 * day and 1 hour before the expiry and once after it; an expired SAS is sent all the same, for it may
 * be our clock that is wrong. */
bool sas_use_sign(struct sas_use *use, struct http_request *request, const char *label,
                  struct err *err) MUST_CHECK;
/* Adds to a refusal's sentence what the dates of the SAS tell, or, when it lacks a right, which it has. */
void sas_use_explain(const struct sas_use *use, struct err *err);
/* Whether it lacks a permission (a letter); false when a stored policy may grant it. */
bool sas_use_lacks(const struct sas_use *use, char permission);
/* Whether a warning is due and the secret was not read since: it may have been rotated meanwhile, and
 * should be read again before anybody is warned about it. */
bool sas_use_is_stale(const struct sas_use *use, int64_t read_ms);
/* Whether a pasted text is a SAS that suits a queue with these permissions; an expired one passes. */
bool sas_use_check(const char *pasted, const char *permissions, struct err *err) MUST_CHECK;
/* What a pasted SAS says of itself; false when it is none. Only an account SAS covers several queues. */
bool sas_use_facts(const char *pasted, struct identity_facts *ret_facts);

#endif
