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

/* Control characters become '?', so that no message or hook can forge a line or steer a terminal;
 * those above ASCII are two bytes in UTF-8, C2 80 to C2 9F. */
static void put_clean(struct buf *line, const char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)text[0] == 0xc2 && ((unsigned char)text[1] & 0xe0) == 0x80)
            text++;
        else if ((unsigned char)*text >= 0x20 && *text != 0x7f) {
            buf_putc(line, *text);
            continue;
        }
        buf_putc(line, '?');
    }
}

/* In quotes when it could be read as more than one value; then `"` and `\` get a backslash. */
static void put_field(struct buf *line, const struct log_field *field)
{
    bool quote = field->value[0] == '\0' || strpbrk(field->value, " \"=\\") != NULL;

    buf_printf(line, " %s=", field->name);
    if (!quote) {
        put_clean(line, field->value);
        return;
    }
    autobuf escaped;
    buf_init(&escaped, BUF_ANY_SIZE);
    for (const char *at = field->value; *at != '\0'; at++) {
        if (*at == '"' || *at == '\\')
            buf_putc(&escaped, '\\');
        buf_putc(&escaped, *at);
    }
    buf_putc(line, '"');
    put_clean(line, escaped.data);
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
