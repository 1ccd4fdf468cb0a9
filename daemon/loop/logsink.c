/* SPDX-License-Identifier: MIT */
/* Where the log goes and in which form. */
#include "loop/logsink.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "codec/date.h"
#include "codec/json.h"

#define MAX_FIELDS 16

/* "project_id" and its value as the journal's "CVN_PROJECT_ID=...". The caller frees. */
static char *journal_field(const struct log_field *field)
{
    char *text = xasprintf("CVN_%s=%s", field->name, field->value);

    for (char *c = text; *c != '='; c++)
        *c = (char)toupper((unsigned char)*c);
    return text;
}

static void write_journal(enum log_level level, const char *text, const struct log_field *fields)
{
    char *lines[MAX_FIELDS];
    struct iovec parts[MAX_FIELDS];
    unsigned count = 0;

    lines[count++] = xasprintf("PRIORITY=%d", (int)level);
    lines[count++] = xasprintf("MESSAGE=%s", text);
    lines[count++] = xstrdup("SYSLOG_IDENTIFIER=cvnotifyd");
    for (; fields != NULL && fields->name != NULL && count < MAX_FIELDS; fields++) {
        if (fields->value != NULL)
            lines[count++] = journal_field(fields);
    }
    for (unsigned i = 0; i < count; i++)
        parts[i] = (struct iovec){.iov_base = lines[i], .iov_len = strlen(lines[i])};
    sd_journal_sendv(parts, (int)count);
    for (unsigned i = 0; i < count; i++)
        free(lines[i]);
}

static void write_json(enum log_level level, const char *text, const struct log_field *fields)
{
    struct json_writer *json = json_writer_new();
    int64_t now_ms = clock_wall_ms();
    char seconds[DATE_TEXT_MAX], stamp[DATE_TEXT_MAX + 8];
    size_t len;

    date_format_iso(now_ms, seconds);
    snprintf(stamp, sizeof(stamp), "%.19s.%03dZ", seconds, (int)(now_ms % 1000));
    json_write_open(json, '{');
    json_write_name(json, "time");
    json_write_text(json, stamp);
    json_write_name(json, "level");
    json_write_text(json, log_level_name(level));
    json_write_name(json, "message");
    json_write_text(json, text);
    for (; fields != NULL && fields->name != NULL; fields++) {
        if (fields->value == NULL)
            continue;
        json_write_name(json, fields->name);
        json_write_text(json, fields->value);
    }
    json_write_close(json, '}');
    const char *line = json_writer_text(json, &len);
    struct iovec parts[] = {{.iov_base = (char *)(uintptr_t)line, .iov_len = len},
                            {.iov_base = (char *)(uintptr_t) "\n", .iov_len = 1}};
    ssize_t ignored = writev(STDERR_FILENO, parts, 2);
    (void)ignored; /* nobody is left to tell */
    json_writer_free(json);
}

/* Whether stderr is the stream that the service manager connected to the journal. */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat st;

    if (stream == NULL || sscanf(stream, "%llu:%llu", &device, &inode) != 2)
        return false;
    return fstat(STDERR_FILENO, &st) == 0 && st.st_dev == (dev_t)device && st.st_ino == inode;
}

static bool is_container(void)
{
    return getpid() == 1 || getenv("KUBERNETES_SERVICE_HOST") != NULL ||
           access("/run/.containerenv", F_OK) == 0 || access("/.dockerenv", F_OK) == 0;
}

static enum logsink_format detect(void)
{
    if (stderr_is_journal())
        return LOGSINK_JOURNAL;
    return is_container() && !isatty(STDERR_FILENO) ? LOGSINK_JSON : LOGSINK_TEXT;
}

void logsink_choose(enum logsink_format format)
{
    switch (format == LOGSINK_AUTO ? detect() : format) {
    case LOGSINK_AUTO:
    case LOGSINK_TEXT:
        log_set_sink(NULL);
        break;
    case LOGSINK_JOURNAL:
        log_set_sink(write_journal);
        break;
    case LOGSINK_JSON:
        log_set_sink(write_json);
        break;
    }
}
