/* SPDX-License-Identifier: MIT */
/* The one error type, sync and async. */
#include "base/err.h"

#include <stdio.h>
#include <string.h>

static void fill(struct err *err, enum err_code code, const char *format, va_list args)
    PRINTF_LIKE(3, 0);

static void fill(struct err *err, enum err_code code, const char *format, va_list args)
{
    char text[sizeof(err->text)];

    /* Formatted apart: an argument may point into the error that is being filled. */
    vsnprintf(text, sizeof(text), format, args);
    *err = (struct err){.code = code};
    memcpy(err->text, text, sizeof(text));
}

/* Puts ": more" behind a sentence, as far as there is room. */
static void append(struct err *err, const char *more)
{
    size_t used = strlen(err->text);

    for (const char *part = ": "; *part != '\0' && used < sizeof(err->text) - 1; part++)
        err->text[used++] = *part;
    size_t len = min_of(strlen(more), sizeof(err->text) - 1 - used);
    memcpy(err->text + used, more, len);
    err->text[used + len] = '\0';
}

bool err_set(struct err *err, enum err_code code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fill(err, code, format, args);
    va_end(args);
    return false;
}

bool err_set_errno(struct err *err, enum err_code code, int os_errno, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fill(err, code, format, args);
    va_end(args);
    err->os_errno = os_errno;
    append(err, strerror(os_errno));
    return false;
}

bool err_prefix(struct err *err, const char *format, ...)
{
    char rest[sizeof(err->text)], context[sizeof(err->text)];
    va_list args;

    memcpy(rest, err->text, sizeof(rest));
    va_start(args, format);
    vsnprintf(context, sizeof(context), format, args);
    va_end(args);
    memcpy(err->text, context, sizeof(context));
    append(err, rest);
    return false;
}

const char *err_code_name(enum err_code code)
{
    switch (code) {
    case ERR_NONE:
        return "none";
    case ERR_NETWORK:
        return "network";
    case ERR_SERVER:
        return "server";
    case ERR_THROTTLED:
        return "throttled";
    case ERR_AUTH:
        return "auth";
    case ERR_MISSING:
        return "missing";
    case ERR_GONE:
        return "gone";
    case ERR_REJECTED:
        return "rejected";
    case ERR_CONFIG:
        return "config";
    case ERR_HOST:
        return "host";
    case ERR_INTERNAL:
        return "internal";
    }
    return "?";
}
