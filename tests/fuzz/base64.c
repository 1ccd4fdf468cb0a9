/* SPDX-License-Identifier: MIT */
/* codec/base64: both ways, both alphabets. */
#include "codec/base64.h"

#include "base/buf.h"
#include "fuzz.h"

static void check_encodes(const void *data, size_t size)
{
    autobuf text;
    autobuf back;

    buf_init(&text, BUF_ANY_SIZE);
    buf_init(&back, size);
    base64_encode(data, size, &text);
    check(text.len == (size + 2) / 3 * 4);
    check(base64_decode(text.data, text.len, &back));
    check(back.len == size && (size == 0 || memcmp(back.data, data, size) == 0));
}

/* Written again, decoded bytes are the characters they came from, but for the last group, whose spare
 * bits nobody looks at. */
static void check_decoded(const char *text, size_t size, const struct buf *decoded)
{
    autobuf again;
    size_t at = 0;

    buf_init(&again, BUF_ANY_SIZE);
    base64_encode(decoded->data, decoded->len, &again);
    for (size_t i = 0; i < size; i++) {
        if (str_is_space(text[i]))
            continue;
        check(at < again.len);
        check(at + 4 >= again.len || text[i] == again.data[at]);
        at++;
    }
    check(at == again.len);
}

/* base64url takes what base64 does with the other two characters and padding put in their places. */
static void check_url(const char *text, size_t size)
{
    autofree char *plain = xmalloc(size + 3);
    size_t len = size;
    autobuf decoded;
    autobuf same;
    autobuf again;

    buf_init(&decoded, BUF_ANY_SIZE);
    buf_init(&same, BUF_ANY_SIZE);
    buf_init(&again, BUF_ANY_SIZE);
    base64url_encode(text, size, &again);
    check(again.len == (size * 4 + 2) / 3);
    check(base64url_decode(again.data, again.len, &same));
    check(same.len == size && (size == 0 || memcmp(same.data, text, size) == 0));
    bool good = base64url_decode(text, size, &decoded);
    for (size_t i = 0; i < size; i++) {
        bool stray = str_is_space(text[i]) || strchr("+/=", text[i]) != NULL;
        check(!good || !stray);
        if (stray)
            return;
        plain[i] = text[i] == '-' ? '+' : text[i] == '_' ? '/' : text[i];
    }
    while (len % 4 != 0 && len < size + 3)
        plain[len++] = '=';
    buf_reset(&same);
    check(base64_decode(plain, len, &same) == good);
    check(!good || (same.len == decoded.len && memcmp(same.data, decoded.data, same.len) == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    autofree char *text = fuzz_bytes(data, size);
    autobuf decoded;
    autobuf small;
    check_encodes(text, size);
    check_url(text, size);
    buf_init(&decoded, BUF_ANY_SIZE);
    buf_init(&small, 0);
    if (!base64_decode(text, size, &decoded))
        return 0;
    check_decoded(text, size, &decoded);
    small.max = decoded.len == 0 ? 0 : decoded.len - 1;
    check(base64_decode(text, size, &small) == (decoded.len == 0));
    return 0;
}
