/* SPDX-License-Identifier: MIT */
/* Memory that is there or the process is not. */
#include "base/alloc.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

_Noreturn void fatal(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("cvnotifyd: ", stderr);
    vfprintf(stderr, format, args);
    fputs("; ending, to be started again\n", stderr);
    va_end(args);
    _exit(EX_SOFTWARE);
}

static void *must_exist(void *memory, size_t size)
{
    if (memory == NULL && size != 0)
        fatal("out of memory (%zu bytes)", size);
    return memory;
}

void *xmalloc(size_t size)
{
    return must_exist(malloc(size), size);
}

void *xcalloc(size_t count, size_t size)
{
    return must_exist(calloc(count, size), size);
}

void *xreallocarray(void *old, size_t count, size_t size)
{
    return must_exist(reallocarray(old, count, size), size);
}

char *xstrdup(const char *text)
{
    return text == NULL ? NULL : must_exist(strdup(text), 1);
}

char *xstrndup(const char *text, size_t len)
{
    return text == NULL ? NULL : must_exist(strndup(text, len), len + 1);
}

char *xvasprintf(const char *format, va_list args)
{
    char *text = NULL;

    if (vasprintf(&text, format, args) < 0)
        must_exist(NULL, 1);
    return text;
}

char *xasprintf(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    char *text = xvasprintf(format, args);
    va_end(args);
    return text;
}

void alloc_free(void *memory)
{
    free(memory);
}

void alloc_close_slot(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}
