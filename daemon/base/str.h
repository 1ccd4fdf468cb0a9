/* SPDX-License-Identifier: MIT */
/* Questions about short texts that libc does not answer in one call. */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"

/* NULL equals only NULL. */
bool str_equal(const char *a, const char *b);
bool str_equal_nocase(const char *a, const char *b);
bool str_starts(const char *text, const char *prefix);
bool str_ends(const char *text, const char *suffix);
/* ASCII white space, whatever the locale. */
static inline bool str_is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}
/* Whether a text is visible ASCII alone, without blanks, as ids and headers want it; "" is. */
bool str_is_visible(const char *text);
/* What makes a regular noun's plural: "" for one, else "s". */
static inline const char *str_plural(unsigned count)
{
    return count == 1 ? "" : "s";
}
/* Points past leading white space and cuts trailing white space off, in place. */
char *str_trim(char *text);
/* Whole text is one decimal number from 0 to max. */
bool str_to_uint(const char *text, uint64_t max, uint64_t *ret_value) MUST_CHECK;
/* The candidate that a person who typed text most likely meant, or NULL when none is near. The list
 * ends with NULL. */
const char *str_nearest(const char *text, const char *const *candidates);
/* Copies what a stranger wrote so that it can stand in a sentence of ours: the first line, bounded,
 * without control characters, ending neither in the middle of a character nor with a full stop. */
void str_copy_line(char *to, size_t size, const char *text);
/* Copies a stranger's word for an identifier: letters, digits and "-_.", as far as they go. NULL is "". */
void str_copy_name(char *to, size_t size, const char *text);
/* Whether a whole text is valid UTF-8 (RFC 3629: no surrogates, no overlong forms). */
bool str_is_utf8(const char *text, size_t len);
/* The character that a text begins with. Returns its length in bytes, 0 when that is no UTF-8 or
 * the text is empty. */
size_t str_utf8_next(const char *text, size_t len, uint32_t *ret_character);

#endif
