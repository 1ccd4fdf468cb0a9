/* SPDX-License-Identifier: MIT */
/* Questions about short texts that libc does not answer in one call. */
#include "base/str.h"

#include <string.h>
#include <strings.h>

bool str_equal(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

bool str_equal_nocase(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcasecmp(a, b) == 0;
}

bool str_starts(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *text, const char *suffix)
{
    size_t len = strlen(text), suffix_len = strlen(suffix);

    return len >= suffix_len && strcmp(text + len - suffix_len, suffix) == 0;
}

char *str_trim(char *text)
{
    while (str_is_space(*text))
        text++;
    size_t len = strlen(text);
    while (len != 0 && str_is_space(text[len - 1]))
        len--;
    text[len] = '\0';
    return text;
}

bool str_is_visible(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text <= ' ' || *text > '~')
            return false;
    }
    return true;
}

bool str_to_uint(const char *text, uint64_t max, uint64_t *ret_value)
{
    uint64_t value = 0;

    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        uint64_t digit = (uint64_t)(*text - '0');
        if (*text < '0' || *text > '9' || digit > max || value > (max - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *ret_value = value;
    return true;
}

/* Longer names than this are not compared: nobody mistypes one of ours into them. */
#define NEAREST_MAX 64

static char lower(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

/* How many letters must be put in, left out, changed or swapped with their neighbour (optimal string
 * alignment), letter case ignored. Both texts are at most NEAREST_MAX long. */
static size_t typing_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t rows[3][NEAREST_MAX + 1];

    for (size_t j = 0; j <= b_len; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        const size_t *before = rows[(i + 1) % 3], *above = rows[(i - 1) % 3];
        size_t *row = rows[i % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            char x = lower(a[i - 1]), y = lower(b[j - 1]);
            size_t change = above[j - 1] + (x == y ? 0 : 1);
            row[j] = min_of(change, min_of(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && x == lower(b[j - 2]) && y == lower(a[i - 2]))
                row[j] = min_of(row[j], before[j - 2] + 1);
        }
    }
    return rows[a_len % 3][b_len];
}

const char *str_nearest(const char *text, const char *const *candidates)
{
    const char *nearest = NULL;
    size_t len = strlen(text), least = (len + 2) / 3 + 1;

    if (len > NEAREST_MAX)
        return NULL;
    for (; *candidates != NULL; candidates++) {
        size_t candidate_len = strlen(*candidates);
        if (candidate_len > NEAREST_MAX)
            continue;
        size_t distance = typing_distance(text, len, *candidates, candidate_len);
        /* A distance of a whole name means that nothing of it was typed. */
        if (distance < least && distance < candidate_len) {
            least = distance;
            nearest = *candidates;
        }
    }
    return nearest;
}

/* The length of the character that a first byte begins, its own bits, and the least character that
 * needs that length; 0 when no character begins so. */
static size_t utf8_lead(unsigned char lead, uint32_t *ret_bits, uint32_t *ret_least)
{
    if (lead >= 0xc2 && lead <= 0xdf) {
        *ret_bits = lead & 0x1f;
        *ret_least = 0x80;
        return 2;
    }
    if (lead >= 0xe0 && lead <= 0xef) {
        *ret_bits = lead & 0x0f;
        *ret_least = 0x800;
        return 3;
    }
    if (lead >= 0xf0 && lead <= 0xf4) {
        *ret_bits = lead & 0x07;
        *ret_least = 0x10000;
        return 4;
    }
    return 0;
}

size_t str_utf8_next(const char *text, size_t len, uint32_t *ret_character)
{
    const unsigned char *bytes = (const unsigned char *)text;
    uint32_t character, least;

    if (len != 0 && bytes[0] < 0x80) {
        *ret_character = bytes[0];
        return 1;
    }
    size_t size = len == 0 ? 0 : utf8_lead(bytes[0], &character, &least);
    if (size == 0 || size > len)
        return 0;
    for (size_t i = 1; i < size; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
        character = character << 6 | (bytes[i] & 0x3f);
    }
    if (character < least || character > 0x10ffff || (character >= 0xd800 && character <= 0xdfff))
        return 0;
    *ret_character = character;
    return size;
}

void str_copy_line(char *to, size_t size, const char *text)
{
    size_t used = 0;

    for (; *text != '\0' && *text != '\n' && *text != '\r' && used + 1 < size; text++)
        to[used++] = (unsigned char)*text < ' ' || *text == 0x7f ? ' ' : *text;
    while (used > 0 && ((unsigned char)to[used - 1] >= 0x80 || strchr(". ", to[used - 1]) != NULL))
        used--;
    to[used] = '\0';
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
}

void str_copy_name(char *to, size_t size, const char *text)
{
    size_t used = 0;

    for (; text != NULL && is_name_char(*text) && used + 1 < size; text++)
        to[used++] = *text;
    to[used] = '\0';
}

bool str_is_utf8(const char *text, size_t len)
{
    while (len != 0) {
        uint64_t eight;
        uint32_t ignored;
        size_t step;
        /* Nearly every text is nearly all ASCII: eight bytes at a time then. */
        if (len >= sizeof(eight) &&
            (memcpy(&eight, text, sizeof(eight)), (eight & 0x8080808080808080u) == 0))
            step = sizeof(eight);
        else
            step = str_utf8_next(text, len, &ignored);
        if (step == 0)
            return false;
        text += step;
        len -= step;
    }
    return true;
}
