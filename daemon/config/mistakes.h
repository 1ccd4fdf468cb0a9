/* SPDX-License-Identifier: MIT */
/*
 * The mistakes found in a configuration, all in one pass: each is one line,
 * `file:line:column: what is wrong, and what would be right`.
 */
#ifndef CONFIG_MISTAKES_H
#define CONFIG_MISTAKES_H

#include <stdbool.h>

#include "base/alloc.h"

struct node;

struct mistakes {
    char **lines; /* in the order found, at most MISTAKES_MAX, the last then says so */
    unsigned count;
};

#define MISTAKES_MAX 100

void mistakes_done(struct mistakes *mistakes);
/* At a place in a file; line 0 names the file alone. What a message quotes is made printable. */
void mistakes_add(struct mistakes *mistakes, const char *file, int line, int column,
                  const char *format, ...) PRINTF_LIKE(5, 6);
/* Puts them into the order of files, lines and columns. */
void mistakes_sort(struct mistakes *mistakes);
/* At a node's value. A NULL node is a value that was not written: the line then has no place. */
void mistakes_at(struct mistakes *mistakes, const struct node *node, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* At the member `key` of a map when it is written there, else at the map. */
void mistakes_at_key(struct mistakes *mistakes, const struct node *map, const char *key,
                     const char *format, ...) PRINTF_LIKE(4, 5);

#define MISTAKES_EXCERPT_MAX 72
/* A written text as a message quotes it: whole, or its beginning and "...". Not for secrets. */
const char *mistakes_excerpt(const char *text, char excerpt[static MISTAKES_EXCERPT_MAX]);

#endif
