/* SPDX-License-Identifier: MIT */
/* SHA-256 and its HMAC, through libcrypto. */
#include "codec/sha.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

/* Only a libcrypto without SHA-256, or one without memory, can fail here. */
static void must_work(int worked)
{
    if (!worked) {
        fputs("cvnotifyd: libcrypto can not compute SHA-256; ending, to be started again\n",
              stderr);
        abort();
    }
}

void sha256(const void *data, size_t len, unsigned char ret_digest[static SHA256_SIZE])
{
    must_work(EVP_Digest(data, len, ret_digest, NULL, EVP_sha256(), NULL));
}

void sha256_hmac(const void *key, size_t key_len, const void *data, size_t len,
                 unsigned char ret_digest[static SHA256_SIZE])
{
    size_t written;

    /* libcrypto takes NULL for a key that is yet to come; HMAC pads an empty one with zeros. */
    if (key_len == 0)
        key = "";
    must_work(EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key, key_len, data, len, ret_digest,
                        SHA256_SIZE, &written) != NULL);
}
