/* SPDX-License-Identifier: MIT */
/*
 * A growing byte buffer with a ceiling that it is born with. What does not fit is not taken: the
 * append says so, and the buffer stays as it was. The bytes are always followed by a NUL.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/alloc.h"

struct buf {
    char *data; /* NUL after len bytes; never NULL after buf_init */
    size_t len;
    size_t cap;
    size_t max;
    bool overflow; /* an append did not fit since buf_init or buf_reset */
};

#define BUF_ANY_SIZE ((size_t)1 << 30) /* for text whose parts are bounded already */

void buf_init(struct buf *buf, size_t max_bytes);
void buf_done(struct buf *buf);
#define autobuf __attribute__((cleanup(buf_done))) struct buf
/* Empties it and keeps the memory. */
void buf_reset(struct buf *buf);
/* Wipes the bytes, for text that held a secret, then empties it. */
void buf_wipe(struct buf *buf);
/* Each append returns false, and takes nothing, when the result would pass the ceiling. */
bool buf_append(struct buf *buf, const void *data, size_t len);
bool buf_puts(struct buf *buf, const char *text);
bool buf_putc(struct buf *buf, char c);
bool buf_printf(struct buf *buf, const char *format, ...) PRINTF_LIKE(2, 3);
/* Drops the first len bytes. */
void buf_consume(struct buf *buf, size_t len);
/* Gives the text to the caller, who frees it; the buffer is empty and usable afterwards. */
char *buf_take(struct buf *buf);

#endif
