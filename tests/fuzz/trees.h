/* SPDX-License-Identifier: MIT */
/* JSON for the targets: whether two trees say the same, to the letter. */
#ifndef TESTS_FUZZ_TREES_H
#define TESTS_FUZZ_TREES_H

#include "codec/json.h"
#include "fuzz.h"

/* Whether a text is UTF-8 on one line, as a document of ours must be. */
static inline bool trees_is_line(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] < ' ')
            return false;
    }
    return str_is_utf8(text, len);
}

/* The names of the two themselves are not looked at. */
static inline bool trees_equal(const struct json *a, const struct json *b)
{
    if (a->type != b->type || a->truth != b->truth || a->len != b->len ||
        (a->text == NULL) != (b->text == NULL) ||
        (a->text != NULL && memcmp(a->text, b->text, a->len + 1) != 0))
        return false;
    const struct json *x = a->first, *y = b->first;
    for (; x != NULL && y != NULL; x = x->next, y = y->next) {
        if (!str_equal(x->name, y->name) || !trees_equal(x, y))
            return false;
    }
    return x == NULL && y == NULL;
}

#endif
