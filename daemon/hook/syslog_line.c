/* SPDX-License-Identifier: MIT */
/* Lines of syslog. */
#include "hook/syslog_line.h"

#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/str.h"
#include "codec/date.h"

#define CUT "..."

/* Bounds of RFC 5424, section 6. */
#define HOST_MAX  255
#define IDENT_MAX 48
#define EVENT_MAX 32

static bool is_control(uint32_t character)
{
    return character < 0x20 || (character >= 0x7f && character < 0xa0) || character == 0x2028 ||
           character == 0x2029; /* the line and paragraph separators of Unicode */
}

static void clean(const char *text, size_t len, struct buf *out)
{
    uint32_t character;

    for (size_t at = 0, size; at < len; at += max_of(size, 1)) {
        size = str_utf8_next(text + at, len - at, &character);
        if (size == 0)
            buf_putc(out, '?');
        else if (is_control(character))
            buf_putc(out, ' ');
        else
            buf_append(out, text + at, size);
    }
}

/* Where to cut, at len or before it, so that no character is torn. */
static size_t whole_characters(const char *text, size_t len)
{
    while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
        len--;
    return len;
}

static void put_text(const struct syslog_line *line, size_t room, struct buf *out)
{
    autobuf text;

    buf_init(&text, BUF_ANY_SIZE);
    clean(line->text, line->text_len, &text);
    if (text.len <= room) {
        buf_append(out, text.data, text.len);
    } else {
        buf_append(out, text.data, whole_characters(text.data, room - strlen(CUT)));
        buf_puts(out, CUT);
    }
}

void syslog_line_local(const struct syslog_line *line, size_t max_bytes, struct buf *out)
{
    time_t now = (time_t)(line->wall_ms / 1000);
    size_t start = out->len;
    char stamp[32];
    struct tm local;

    strftime(stamp, sizeof(stamp), "%b %e %H:%M:%S", localtime_r(&now, &local));
    buf_printf(out, "<%d>%s %.*s[%d]: ", line->priority, stamp, IDENT_MAX, line->ident, line->pid);
    put_text(line, max_bytes - (out->len - start), out);
}

/* A field of the header: printable ASCII without blanks, or `-`. */
static void put_field(const char *text, size_t max, struct buf *out)
{
    if (text == NULL || text[0] == '\0')
        text = "-";
    for (size_t i = 0; i < max && text[i] != '\0'; i++)
        buf_putc(out, text[i] > ' ' && text[i] < 0x7f ? text[i] : '?');
    buf_putc(out, ' ');
}

/* RFC 3339 in UTC, to the millisecond. */
static void put_stamp(int64_t wall_ms, struct buf *out)
{
    char stamp[DATE_TEXT_MAX];

    date_format_iso(wall_ms, stamp);
    stamp[strcspn(stamp, "Z")] = '\0';
    buf_printf(out, "%s.%03dZ ", stamp, (int)(wall_ms % 1000));
}

void syslog_line_rfc5424(const struct syslog_line *line, size_t max_bytes, struct buf *out)
{
    size_t start = out->len;

    buf_printf(out, "<%d>1 ", line->priority);
    put_stamp(line->wall_ms, out);
    put_field(line->host, HOST_MAX, out);
    put_field(line->ident, IDENT_MAX, out);
    buf_printf(out, "%d ", line->pid);
    put_field(line->event, EVENT_MAX, out);
    buf_puts(out, "- ");
    put_text(line, max_bytes - (out->len - start), out);
}

void syslog_line_frame(struct buf *line)
{
    struct buf framed;

    buf_init(&framed, BUF_ANY_SIZE);
    buf_printf(&framed, "%zu ", line->len);
    buf_append(&framed, line->data, line->len);
    buf_done(line);
    *line = framed;
}
