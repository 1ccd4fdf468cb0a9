/* SPDX-License-Identifier: MIT */
/* SHA-256 and its HMAC, through libcrypto. */
#ifndef CODEC_SHA_H
#define CODEC_SHA_H

#include <stddef.h>

#define SHA256_SIZE 32

void sha256(const void *data, size_t len, unsigned char ret_digest[static SHA256_SIZE]);
void sha256_hmac(const void *key, size_t key_len, const void *data, size_t len,
                 unsigned char ret_digest[static SHA256_SIZE]);

#endif
