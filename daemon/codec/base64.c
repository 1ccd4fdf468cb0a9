/* SPDX-License-Identifier: MIT */
/* Base64 and base64url, through libcrypto, strict where libcrypto is lenient. */
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
    bool ended; /* by padding: nothing else may follow */
    struct buf *out;
};

/* How many '=' end the text; more than two when one stands elsewhere, where libcrypto would read six
 * zero bits. */
static size_t padding_of(const unsigned char *chars, size_t count)
{
    const unsigned char *first = memchr(chars, '=', count);
    size_t padding = first == NULL ? 0 : (size_t)(chars + count - first);

    return padding == 2 && first[1] != '=' ? 3 : padding;
}

/* Decodes what has been gathered, which must be whole groups. */
static bool flush(struct decoder *decoder)
{
    unsigned char bytes[CHUNK_BYTES];
    size_t expected = decoder->count / 4 * 3;
    size_t padding = padding_of(decoder->chars, decoder->count);

    if (decoder->count == 0)
        return true;
    if (decoder->count % 4 != 0 || decoder->ended || padding > 2)
        return false;
    /* libcrypto refuses most strays, but cuts some off at both ends: then bytes are missing. */
    int len = EVP_DecodeBlock(bytes, decoder->chars, (int)decoder->count);
    if (len < 0 || (size_t)len != expected)
        return false;
    decoder->count = 0;
    decoder->ended = padding > 0;
    /* It counts the zero bytes that padding stands for, too. */
    return buf_append(decoder->out, bytes, expected - padding);
}

static bool take_run(struct decoder *decoder, const char *run, size_t len)
{
    while (len != 0) {
        if (decoder->count == CHUNK_CHARS && !flush(decoder))
            return false;
        size_t part = min_of(len, CHUNK_CHARS - decoder->count);
        memcpy(decoder->chars + decoder->count, run, part);
        decoder->count += part;
        run += part;
        len -= part;
    }
    return true;
}

bool base64_decode(const char *text, size_t len, struct buf *out)
{
    const char *end = text + len;
    struct decoder decoder;

    decoder.count = 0;
    decoder.ended = false;
    decoder.out = out;
    while (text < end) {
        const char *run = text;
        while (text < end && !str_is_space(*text))
            text++;
        if (!take_run(&decoder, run, (size_t)(text - run)))
            return false;
        while (text < end && str_is_space(*text))
            text++;
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

/* The characters in which the two alphabets differ, in the same order. */
static const char plain[] = "+/";
static const char url_safe[] = "-_";

/* c, or the character of the one alphabet that stands for it in the other. */
static char translate(char c, const char *from, const char *to)
{
    const char *place = c == '\0' ? NULL : strchr(from, c);

    return place == NULL ? c : to[place - from];
}

bool base64url_decode(const char *text, size_t len, struct buf *out)
{
    struct decoder decoder;

    decoder.count = 0;
    decoder.ended = false;
    decoder.out = out;
    for (size_t i = 0; i < len; i++) {
        char c = translate(text[i], url_safe, plain);
        if (strchr("+/=", text[i]) != NULL || !take_run(&decoder, &c, 1))
            return false;
    }
    return take_run(&decoder, "===", (4 - len % 4) % 4) && flush(&decoder);
}

void base64url_encode(const void *data, size_t len, struct buf *out)
{
    const unsigned char *bytes = data;

    while (len != 0) {
        unsigned char chars[CHUNK_CHARS + 1];
        size_t part = min_of(len, (size_t)CHUNK_BYTES);
        int count = EVP_EncodeBlock(chars, bytes, (int)part);
        while (chars[count - 1] == '=')
            count--;
        for (int i = 0; i < count; i++)
            chars[i] = (unsigned char)translate((char)chars[i], plain, url_safe);
        buf_append(out, chars, (size_t)count);
        bytes += part;
        len -= part;
    }
}
