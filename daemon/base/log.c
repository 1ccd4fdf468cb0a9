/* SPDX-License-Identifier: MIT */
/* The log: levels, fields, and the plain text sink. */
#include "base/log.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"

static log_sink_fn *sink;
static enum log_level threshold = LOG_LEVEL_INFO;

void log_set_sink(log_sink_fn *new_sink)
{
    sink = new_sink;
}

void log_set_level(enum log_level level)
{
    threshold = level;
}

bool log_wants(enum log_level level)
{
    return level <= threshold;
}

const char *log_level_name(enum log_level level)
{
    switch (level) {
    case LOG_LEVEL_ERR:
        return "err";
    case LOG_LEVEL_WARNING:
        return "warning";
    case LOG_LEVEL_INFO:
        return "info";
    case LOG_LEVEL_DEBUG:
        return "debug";
    }
    return "?";
}

/* Control characters become '?', so that no message or hook can forge a line or steer a terminal. */
static void put_clean(struct buf *line, const char *text)
{
    for (; *text != '\0'; text++)
        buf_putc(line, (unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text);
}

static void put_field(struct buf *line, const struct log_field *field)
{
    bool quote = field->value[0] == '\0' || strpbrk(field->value, " \"=") != NULL;

    buf_printf(line, " %s=%s", field->name, quote ? "\"" : "");
    put_clean(line, field->value);
    if (quote)
        buf_putc(line, '"');
}

static void write_text(enum log_level level, const char *text, const struct log_field *fields)
{
    autobuf line;
    int64_t now_ms = clock_wall_ms();
    time_t now_s = (time_t)(now_ms / 1000);
    struct tm utc;
    char stamp[32];

    buf_init(&line, BUF_ANY_SIZE);
    strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", gmtime_r(&now_s, &utc));
    buf_printf(&line, "%s.%03dZ %-7s ", stamp, (int)(now_ms % 1000), log_level_name(level));
    put_clean(&line, text);
    for (; fields != NULL && fields->name != NULL; fields++) {
        if (fields->value != NULL)
            put_field(&line, fields);
    }
    buf_putc(&line, '\n');
    /* One write a line: lines of the daemon and of a hook's child never mix. A log that can not be
     * written has nobody left to tell. */
    ssize_t ignored = write(STDERR_FILENO, line.data, line.len);
    (void)ignored;
}

void log_write(enum log_level level, const struct log_field *fields, const char *format, ...)
{
    va_list args;

    if (!log_wants(level))
        return;
    va_start(args, format);
    autofree char *text = xvasprintf(format, args);
    va_end(args);
    (sink != NULL ? sink : write_text)(level, text, fields);
}
