/* SPDX-License-Identifier: MIT */
/* The mistakes found in a configuration: one line each, up to a ceiling that says so. */
#include "config/mistakes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/node.h"

void mistakes_done(struct mistakes *mistakes)
{
    for (unsigned i = 0; i < mistakes->count; i++)
        free(mistakes->lines[i]);
    free(mistakes->lines);
    *mistakes = (struct mistakes){0};
}

/* Bytes of a line: room for a long path and a long sentence. */
#define LINE_MAX_BYTES 2000

/* What a line quotes must neither break it nor steer a terminal nor go on for ever. */
static void make_printable(char *line)
{
    line[strnlen(line, LINE_MAX_BYTES)] = '\0';
    for (unsigned char *p = (unsigned char *)line; *p != '\0'; p++) {
        if (*p < 0x20 || *p == 0x7f)
            *p = '?';
    }
}

/* Takes line. */
static void append(struct mistakes *mistakes, char *line)
{
    make_printable(line);
    if (mistakes->lines == NULL)
        mistakes->lines = xcalloc(MISTAKES_MAX, sizeof(*mistakes->lines));
    if (mistakes->count < MISTAKES_MAX) {
        mistakes->lines[mistakes->count++] = line;
        return;
    }
    char **last = &mistakes->lines[MISTAKES_MAX - 1];
    free(line);
    free(*last);
    *last = xasprintf("there are more mistakes; only the first %d are shown", MISTAKES_MAX - 1);
}

static void PRINTF_LIKE(5, 0) add_args(struct mistakes *mistakes, const char *file, int line,
                                       int column, const char *format, va_list args)
{
    autofree char *text = xvasprintf(format, args);

    if (file == NULL)
        append(mistakes, take(text));
    else if (line == 0)
        append(mistakes, xasprintf("%s: %s", file, text));
    else
        append(mistakes, xasprintf("%s:%d:%d: %s", file, line, column, text));
}

static void PRINTF_LIKE(3, 0) add_at_node(struct mistakes *mistakes, const struct node *node,
                                          const char *format, va_list args)
{
    if (node == NULL)
        add_args(mistakes, NULL, 0, 0, format, args);
    else
        add_args(mistakes, node->file, node->line, node->column, format, args);
}

void mistakes_add(struct mistakes *mistakes, const char *file, int line, int column,
                  const char *format, ...)
{
    va_list args;

    va_start(args, format);
    add_args(mistakes, file, line, column, format, args);
    va_end(args);
}

static int compare_lines(const void *a, const void *b)
{
    return strverscmp(*(char *const *)a, *(char *const *)b);
}

void mistakes_sort(struct mistakes *mistakes)
{
    /* The line that says that there are more stays the last. */
    if (mistakes->count > 1)
        qsort(mistakes->lines, min_of(mistakes->count, MISTAKES_MAX - 1), sizeof(char *),
              compare_lines);
}

void mistakes_at(struct mistakes *mistakes, const struct node *node, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    add_at_node(mistakes, node, format, args);
    va_end(args);
}

void mistakes_at_key(struct mistakes *mistakes, const struct node *map, const char *key,
                     const char *format, ...)
{
    const struct node *member = map == NULL ? NULL : node_member(map, key);
    va_list args;

    va_start(args, format);
    add_at_node(mistakes, member != NULL ? member : map, format, args);
    va_end(args);
}

const char *mistakes_excerpt(const char *text, char excerpt[static MISTAKES_EXCERPT_MAX])
{
    static const char more[] = "...";
    size_t len = strlen(text);

    if (len < MISTAKES_EXCERPT_MAX)
        return memcpy(excerpt, text, len + 1);
    len = MISTAKES_EXCERPT_MAX - sizeof(more);
    while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
        len--; /* not inside a character */
    memcpy(excerpt, text, len);
    memcpy(excerpt + len, more, sizeof(more));
    return excerpt;
}
