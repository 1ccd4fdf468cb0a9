/* SPDX-License-Identifier: MIT */
/*
 * Memory that is there or the process is not. Running out ends the program with a sentence: systemd
 * starts it again and the queue delivers again, a path that is tested anyway. A size that a peer
 * controls must be bounded before it comes here.
 */
#ifndef BASE_ALLOC_H
#define BASE_ALLOC_H

#include <stdarg.h>
#include <stddef.h>

#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))
#define MUST_CHECK               __attribute__((warn_unused_result))

/* Ends the program (status 70, for the service manager to start it again) with a sentence: for a bug of
 * ours, or a library that can not do what it must. */
_Noreturn void fatal(const char *format, ...) PRINTF_LIKE(1, 2);
void *xmalloc(size_t size);
/* Zeroed memory for count things of size bytes; a product that overflows ends the program too. */
void *xcalloc(size_t count, size_t size);
void *xreallocarray(void *old, size_t count, size_t size);
/* NULL stays NULL in the two copies, so that an absent value can be copied as it is. */
char *xstrdup(const char *text);
char *xstrndup(const char *text, size_t len);
char *xasprintf(const char *format, ...) PRINTF_LIKE(1, 2);
char *xvasprintf(const char *format, va_list args) PRINTF_LIKE(1, 0);

/* `autofree char *p = ...;` frees at the end of the scope; fill a NULL in when giving p away. */
static inline void alloc_free_slot(void *slot);
#define autofree __attribute__((cleanup(alloc_free_slot)))

/* `autoclose int fd = ...;` closes at the end of the scope unless fd is -1. */
void alloc_close_slot(const int *fd);
#define autoclose __attribute__((cleanup(alloc_close_slot)))

/* The value at *slot, which becomes NULL: how an owner in a scope gives away what it holds. */
#define take(slot)                                                                                 \
    __extension__({                                                                                \
        __typeof__(slot) taken_ = (slot);                                                          \
        (slot) = NULL;                                                                             \
        taken_;                                                                                    \
    })

#define array_size(array) (sizeof(array) / sizeof((array)[0]))
#define min_of(a, b)      ((a) < (b) ? (a) : (b))
#define max_of(a, b)      ((a) > (b) ? (a) : (b))
/* The object that holds `member` at `pointer`. */
#define container_of(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

void alloc_free(void *memory);
static inline void alloc_free_slot(void *slot)
{
    alloc_free(*(void **)slot);
}

#endif
