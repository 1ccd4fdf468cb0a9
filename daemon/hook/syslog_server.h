/* SPDX-License-Identifier: MIT */
/* Where the syslog hook writes to, from its setting `server`: unix:///PATH, udp://HOST[:PORT] or
 * tcp://HOST[:PORT]. */
#ifndef HOOK_SYSLOG_SERVER_H
#define HOOK_SYSLOG_SERVER_H

#include <stdbool.h>

#include "base/alloc.h"

struct buf;
struct err;

enum syslog_transport { SYSLOG_LOCAL, SYSLOG_UDP, SYSLOG_TCP };

struct syslog_server {
    enum syslog_transport transport;
    char *path; /* of a local socket, short enough for its address; else NULL */
    char *host; /* an address without brackets, or a name */
    char *port;
};

/* ERR_CONFIG with a sentence that says what would be right. */
bool syslog_server_parse(const char *text, struct syslog_server *ret_server,
                         struct err *err) MUST_CHECK;
void syslog_server_done(struct syslog_server *server);
/* Writes one line to a local socket. 0, or the errno: EAGAIN when its receiver's buffer is full. */
int syslog_server_send(const struct syslog_server *server, const struct buf *line);

#endif
