/* SPDX-License-Identifier: MIT */
/*
 * The log: one record is a level, a sentence, and fields. Helpers do not log; the one who decides
 * logs once. err = an operator must act; warning = degraded and going on; info = life cycle;
 * debug = every change of state. The sink is the program's one mutable global.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

#include "base/alloc.h"

/* syslog's numbers. */
enum log_level {
    LOG_LEVEL_ERR = 3,
    LOG_LEVEL_WARNING = 4,
    LOG_LEVEL_INFO = 6,
    LOG_LEVEL_DEBUG = 7,
};

/* Names are lower case, as placeholders are: queue, message_id, hook, project_id. An array of
 * fields ends with a NULL name; a field with a NULL value is left out. */
struct log_field {
    const char *name;
    const char *value;
};

/* Takes a finished record to its place. Must not log. */
typedef void log_sink_fn(enum log_level level, const char *text, const struct log_field *fields);

/* NULL is the text form on standard error: `time level text key=value ...`. */
void log_set_sink(log_sink_fn *sink);
void log_set_level(enum log_level level);
bool log_wants(enum log_level level);
void log_write(enum log_level level, const struct log_field *fields, const char *format, ...)
    PRINTF_LIKE(3, 4);
const char *log_level_name(enum log_level level);

#define log_err(fields, ...)     log_write(LOG_LEVEL_ERR, fields, __VA_ARGS__)
#define log_warning(fields, ...) log_write(LOG_LEVEL_WARNING, fields, __VA_ARGS__)
#define log_info(fields, ...)    log_write(LOG_LEVEL_INFO, fields, __VA_ARGS__)
/* The arguments are not even evaluated when nobody wants them. */
#define log_debug(fields, ...)                                                                     \
    do {                                                                                           \
        if (log_wants(LOG_LEVEL_DEBUG))                                                            \
            log_write(LOG_LEVEL_DEBUG, fields, __VA_ARGS__);                                       \
    } while (0)

#endif
