/* SPDX-License-Identifier: MIT */
/*
 * Lines of syslog, in two forms. For a local socket the one that every syslog daemon takes there:
 * `<PRI>Mmm dd hh:mm:ss IDENT[PID]: TEXT`. For a server RFC 5424:
 * `<PRI>1 TIMESTAMP HOSTNAME IDENT PID EVENT - TEXT`.
 *
 * In the text control characters become blanks, so that no value can begin a line of its own, and what
 * is not UTF-8 becomes `?`. A line that is too long is cut at a character and ends in `...`.
 *
 * Two choices of RFC 5424: the text begins without a byte order mark, for rsyslog and most others keep
 * it as part of the text, where it spoils comparisons; section 6.4 allows that (MSG-ANY). And there is
 * no structured data, for its names need an enterprise number, of which we have none (section 7.2.2);
 * the text is the user's to word.
 */
#ifndef HOOK_SYSLOG_LINE_H
#define HOOK_SYSLOG_LINE_H

#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"

struct buf;

struct syslog_line {
    int priority; /* facility * 8 + severity */
    int64_t wall_ms;
    const char *host; /* NULL or "": unknown */
    const char *ident;
    const char *event; /* the message's kind, RFC 5424's MSGID */
    int pid;
    const char *text;
    size_t text_len;
};

/* Both append at most max_bytes, 480 or more. */
void syslog_line_local(const struct syslog_line *line, size_t max_bytes, struct buf *out);
void syslog_line_rfc5424(const struct syslog_line *line, size_t max_bytes, struct buf *out);

/*
 * Puts a line into the frame of a TCP stream: its length in bytes, a blank, the line (octet counting,
 * RFC 6587 3.4.1, which recommends it, and RFC 5425). rsyslog takes it by default. A line that was cut
 * off by the end of a connection is then known as such and dropped, and comes whole through the next.
 */
void syslog_line_frame(struct buf *line);

#endif
