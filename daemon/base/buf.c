/* SPDX-License-Identifier: MIT */
/* A growing byte buffer with a ceiling. */
#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What an empty buffer points at, so that data is a string from the start. */
static char nothing[1] = "";

void buf_init(struct buf *buf, size_t max_bytes)
{
    *buf = (struct buf){.data = nothing, .max = max_bytes};
}

void buf_done(struct buf *buf)
{
    if (buf->cap != 0)
        free(buf->data);
    buf_init(buf, buf->max);
}

void buf_reset(struct buf *buf)
{
    buf->len = 0;
    buf->overflow = false;
    if (buf->cap != 0)
        buf->data[0] = '\0';
}

void buf_wipe(struct buf *buf)
{
    if (buf->cap != 0)
        explicit_bzero(buf->data, buf->cap);
    buf_reset(buf);
}

/* Makes room for len more bytes and a NUL; false when the ceiling forbids it. */
static bool reserve(struct buf *buf, size_t len)
{
    if (len > buf->max || buf->len > buf->max - len) {
        buf->overflow = true;
        return false;
    }
    size_t need = buf->len + len + 1;
    if (need <= buf->cap)
        return true;
    size_t cap = buf->cap == 0 ? 64 : buf->cap;
    while (cap < need)
        cap *= 2;
    buf->data = xreallocarray(buf->cap == 0 ? NULL : buf->data, cap, 1);
    buf->cap = cap;
    return true;
}

bool buf_append(struct buf *buf, const void *data, size_t len)
{
    if (!reserve(buf, len))
        return false;
    if (len != 0)
        memcpy(buf->data + buf->len, data, len);
    buf->len += len;
    buf->data[buf->len] = '\0';
    return true;
}

bool buf_puts(struct buf *buf, const char *text)
{
    return buf_append(buf, text, strlen(text));
}

bool buf_putc(struct buf *buf, char c)
{
    return buf_append(buf, &c, 1);
}

bool buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    autofree char *text = xvasprintf(format, args);
    va_end(args);
    return buf_puts(buf, text);
}

void buf_consume(struct buf *buf, size_t len)
{
    if (len >= buf->len) {
        buf_reset(buf);
        return;
    }
    memmove(buf->data, buf->data + len, buf->len - len + 1);
    buf->len -= len;
}

char *buf_take(struct buf *buf)
{
    char *text = buf->cap == 0 ? xstrdup("") : buf->data;

    buf_init(buf, buf->max);
    return text;
}
