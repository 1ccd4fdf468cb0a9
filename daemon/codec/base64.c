/* SPDX-License-Identifier: MIT */
/* Base64, through libcrypto, strict where libcrypto is lenient. */
#include "codec/base64.h"

#include <openssl/evp.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"

/* Characters decoded at once: whole groups of four, on the stack. */
#define CHUNK_CHARS 1024
#define CHUNK_BYTES (CHUNK_CHARS / 4 * 3)

struct decoder {
    unsigned char chars[CHUNK_CHARS];
    size_t count;
    unsigned padding; /* '=' seen; nothing else may follow */
    struct buf *out;
};

/* Decodes what has been gathered, which must be whole groups. */
static bool flush(struct decoder *decoder)
{
    unsigned char bytes[CHUNK_BYTES];
    size_t expected = decoder->count / 4 * 3;

    if (decoder->count == 0)
        return true;
    if (decoder->count % 4 != 0)
        return false;
    /* libcrypto refuses most strays, but cuts some off at both ends: then bytes are missing. */
    int len = EVP_DecodeBlock(bytes, decoder->chars, (int)decoder->count);
    if (len < 0 || (size_t)len != expected)
        return false;
    decoder->count = 0;
    /* It counts the zero bytes that padding stands for, too. */
    return buf_append(decoder->out, bytes, expected - decoder->padding);
}

static inline bool take_char(struct decoder *decoder, char c)
{
    /* libcrypto would read '=' anywhere as six zero bits. */
    if (c == '=')
        decoder->padding++;
    else if (decoder->padding != 0)
        return false;
    /* Emptied only when one more comes, so that padding is always in the last part. */
    if (decoder->count == CHUNK_CHARS && !flush(decoder))
        return false;
    decoder->chars[decoder->count++] = (unsigned char)c;
    return decoder->padding <= 2;
}

bool base64_decode(const char *text, size_t len, struct buf *out)
{
    struct decoder decoder;

    decoder.count = 0;
    decoder.padding = 0;
    decoder.out = out;
    for (size_t i = 0; i < len; i++) {
        if (!str_is_space(text[i]) && !take_char(&decoder, text[i]))
            return false;
    }
    return flush(&decoder);
}

void base64_encode(const void *data, size_t len, struct buf *out)
{
    const unsigned char *bytes = data;

    while (len != 0) {
        unsigned char chars[CHUNK_CHARS + 1];
        size_t part = min_of(len, (size_t)CHUNK_BYTES);
        int count = EVP_EncodeBlock(chars, bytes, (int)part);
        buf_append(out, chars, (size_t)count);
        bytes += part;
        len -= part;
    }
}
