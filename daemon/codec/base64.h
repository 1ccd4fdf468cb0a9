/* SPDX-License-Identifier: MIT */
/* Base64 (RFC 4648, section 4) and base64url (section 5), through libcrypto, strict where libcrypto is
 * lenient. */
#ifndef CODEC_BASE64_H
#define CODEC_BASE64_H

#include <stdbool.h>
#include <stddef.h>

#include "base/alloc.h"

struct buf;

/* Appends the decoded bytes. White space anywhere is passed over, as mail-style line breaks come
 * with some encoders; any other stray character, missing padding or bytes after it fail, and so does
 * passing out's ceiling; out may hold a part then. Bits that the padding leaves over are not looked
 * at, as .NET and Python do it. */
bool base64_decode(const char *text, size_t len, struct buf *out) MUST_CHECK;
void base64_encode(const void *data, size_t len, struct buf *out);

/* As JSON web tokens write it: - and _ for + and /, no padding, and nothing is passed over. Otherwise
 * like the two above. */
bool base64url_decode(const char *text, size_t len, struct buf *out) MUST_CHECK;
void base64url_encode(const void *data, size_t len, struct buf *out);

#endif
