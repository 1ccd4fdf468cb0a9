/* SPDX-License-Identifier: MIT */
/*
 * A certificate in use by an application: it signs assertions, is watched for its expiry, and tells
 * what a refusal of it may come of. Where its text comes from is identity/source's business.
 */
#ifndef IDENTITY_CERTIFICATE_USE_H
#define IDENTITY_CERTIFICATE_USE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/alloc.h"
#include "identity/expiry_watch.h"

struct assertion;
struct certificate;
struct err;
struct identity_facts;
struct secret;

struct certificate_use {
    struct certificate *certificate; /* NULL: none yet */
    struct expiry_watch watch;
};

/* Takes a PEM text into use in place of the one before; the same certificate is not warned about anew.
 * ERR_AUTH when it is no good; the one before then stays. *use begins as zeroes. */
bool certificate_use_adopt(struct certificate_use *use, const struct secret *pem,
                           struct err *err) MUST_CHECK;
void certificate_use_done(struct certificate_use *use);
/* Whether a PEM text would be taken; an expired certificate is. permissions: see struct identity_secret. */
bool certificate_use_check(const char *pem, const char *permissions, struct err *err);
/* What a PEM text says of itself; false when it is none. */
bool certificate_use_facts(const char *pem, struct identity_facts *ret_facts);

/* Makes an assertion; see assertion_make. Logs a warning, label naming the identity, when the expiry is
 * near or past; an expired certificate signs all the same, for it may be our clock that is wrong. */
bool certificate_use_sign(struct certificate_use *use, const struct assertion *assertion,
                          const char *label, struct secret *ret_assertion,
                          struct err *err) MUST_CHECK;
/* Whether it should be read again before it is warned about. */
bool certificate_use_is_stale(const struct certificate_use *use, int64_t read_ms);
/* Adds to a refusal's sentence that it is not valid now; where it was refused itself, which one it is, too. */
void certificate_use_explain(const struct certificate_use *use, bool is_refused, struct err *err);

#endif
