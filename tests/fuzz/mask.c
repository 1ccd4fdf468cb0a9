/* SPDX-License-Identifier: MIT */
/* base/secret: signatures masked in a hook's output, whole and in parts. The first byte says where the
 * text is cut. */
#include "base/secret.h"

#include "fuzz.h"

/* As hook/exec does it: what may be the beginning of a signature's name waits for the next part. */
static char *mask_in_parts(const char *text, size_t part_len)
{
    char *out = xcalloc(strlen(text) + 1, 1);
    autofree char *held = xstrdup("");
    bool inside = false;

    for (size_t at = 0, len = strlen(text); at < len; at += part_len) {
        autofree char *part = xasprintf("%s%.*s", held, (int)part_len, text + at);
        size_t held_len = secret_mask_held(part), part_end = strlen(part) - held_len;
        free(held);
        held = xstrdup(part + part_end);
        part[part_end] = '\0';
        inside = secret_mask_part(part, inside);
        strcat(out, part);
    }
    secret_mask_part(held, inside);
    strcat(out, held);
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    autofree char *text = fuzz_text(data + 1, size - 1);
    autofree char *whole = xstrdup(text);
    secret_mask(whole);
    check(strlen(whole) == strlen(text));
    for (size_t i = 0; text[i] != '\0'; i++)
        check(whole[i] == text[i] || whole[i] == '*');
    autofree char *again = xstrdup(whole);
    secret_mask(again);
    check(str_equal(whole, again));
    autofree char *parts = mask_in_parts(text, 1 + data[0] % 32u);
    check(str_equal(parts, whole));
    return 0;
}
