/* SPDX-License-Identifier: MIT */
/*
 * The Shared Key signature (Storage REST, "Authorize with Shared Key", from 2015-02-21): an HMAC over
 * verb, headers and canonical resource. Used by the kinds shared_key and connection_string.
 */
#ifndef IDENTITY_SHARED_KEY_SIGN_H
#define IDENTITY_SHARED_KEY_SIGN_H

#include <stdbool.h>

#include "base/err.h"

struct buf;
struct http_request;
struct secret;

/* Decodes an account key. ERR_AUTH when it is not base64. */
bool shared_key_decode(const char *text, struct secret *ret_key, struct err *err) MUST_CHECK;
/* Appends the string to sign for a request that is complete but for its Authorization. */
bool shared_key_string_to_sign(const struct http_request *request, const char *account,
                               struct buf *out, struct err *err) MUST_CHECK;
/* Adds the Authorization header. key is decoded. */
bool shared_key_sign(struct http_request *request, const char *account, const struct secret *key,
                     struct err *err) MUST_CHECK;

#endif
