/* SPDX-License-Identifier: MIT */
/*
 * What the fuzz targets share. A target is one file with LLVMFuzzerTestOneInput, which reads any bytes
 * with the parser that it is named after and checks what must hold of the result. `make fuzz` runs
 * them all; tests/fuzz/run.sh tells the rest.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Once, before the first input. Few targets have it. */
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* An assert that no build leaves out. */
#define check(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);         \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* The bytes up to the first NUL as a string in memory of just that size. (Not by strndup, of which the
 * sanitizer wants that the byte behind the last one can be read.) */
static inline char *fuzz_text(const uint8_t *data, size_t size)
{
    const uint8_t *nul = size == 0 ? NULL : memchr(data, '\0', size);
    size_t len = nul == NULL ? size : (size_t)(nul - data);
    char *text = xmalloc(len + 1);

    if (len != 0)
        memcpy(text, data, len);
    text[len] = '\0';
    return text;
}

/* The bytes as they are, in memory whose end the sanitizer guards. */
static inline char *fuzz_bytes(const uint8_t *data, size_t size)
{
    char *bytes = xmalloc(size);

    if (size != 0)
        memcpy(bytes, data, size);
    return bytes;
}

/* Cuts the first line off what *data and *size still hold, as fuzz_text does. */
static inline char *fuzz_line(const uint8_t **data, size_t *size)
{
    const uint8_t *end = *size == 0 ? NULL : memchr(*data, '\n', *size);
    size_t len = end == NULL ? *size : (size_t)(end - *data);
    char *line = fuzz_text(*data, len);

    *data += end == NULL ? len : len + 1;
    *size -= end == NULL ? len : len + 1;
    return line;
}

/* Whether a text can stand in a log: one line of UTF-8 without control characters. */
static inline bool fuzz_is_sentence(const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            return false;
    }
    return str_is_utf8(text, strlen(text));
}

#endif
