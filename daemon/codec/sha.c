/* SPDX-License-Identifier: MIT */
/* SHA-256 and its HMAC, through libcrypto. */
#include "codec/sha.h"

#include <limits.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"

/* Only a libcrypto without SHA-256, or one without memory, can fail here. */
static void must_work(int worked)
{
    if (!worked)
        fatal("libcrypto can not compute SHA-256");
}

void sha256(const void *data, size_t len, unsigned char ret_digest[static SHA256_SIZE])
{
    must_work(EVP_Digest(data, len, ret_digest, NULL, EVP_sha256(), NULL));
}

void sha256_hmac(const void *key, size_t key_len, const void *data, size_t len,
                 unsigned char ret_digest[static SHA256_SIZE])
{
    /* libcrypto takes NULL for a key that is yet to come; HMAC pads an empty one with zeros. */
    if (key_len == 0)
        key = "";
    must_work(key_len <= INT_MAX &&
              HMAC(EVP_sha256(), key, (int)key_len, data, len, ret_digest, NULL) != NULL);
}
