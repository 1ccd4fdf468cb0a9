/* SPDX-License-Identifier: MIT */
/* Where the syslog hook writes to. */
#include "hook/syslog_server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "net/url.h"

#define UNIX_PREFIX  "unix://"
#define DEFAULT_PORT "514"
#define FORMS        "write unix:///PATH, udp://HOST:PORT or tcp://HOST:PORT, an IPv6 address in brackets"
#define PATH_MAX_LEN (sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1)

static bool parse_path(const char *text, struct syslog_server *ret_server, struct err *err)
{
    const char *path = text + strlen(UNIX_PREFIX);

    if (path[0] != '/')
        return err_set(err, ERR_CONFIG,
                       "\"%s\" names no path from the root; write three slashes, as in "
                       "unix:///dev/log",
                       text);
    if (strlen(path) > PATH_MAX_LEN)
        return err_set(err, ERR_CONFIG, "the path may have %zu characters", PATH_MAX_LEN);
    *ret_server = (struct syslog_server){.transport = SYSLOG_LOCAL, .path = xstrdup(path)};
    return true;
}

static bool check_port(const char *text, const struct url *url, struct err *err)
{
    uint64_t number;

    if (url->port != NULL && (!str_to_uint(url->port, 65535, &number) || number == 0))
        return err_set(err, ERR_CONFIG, "\"%s\": a port is a number from 1 to 65535", text);
    return true;
}

/* Whether the URL names a host and a port and nothing else. */
static bool check_url(const char *text, const struct url *url, struct err *err)
{
    if (!str_equal(url->scheme, "udp") && !str_equal(url->scheme, "tcp"))
        return err_set(err, ERR_CONFIG, "\"%s\" is not the address of a syslog server; " FORMS,
                       text);
    if (url->has_user)
        return err_set(err, ERR_CONFIG,
                       "syslog knows no user and no password before an @; write %s://HOST:PORT",
                       url->scheme);
    if (!str_equal(url->path, "/") || url->query != NULL || url->has_fragment)
        return err_set(err, ERR_CONFIG, "\"%s\": nothing may follow the port; write %s://HOST:PORT",
                       text, url->scheme);
    return check_port(text, url, err);
}

bool syslog_server_parse(const char *text, struct syslog_server *ret_server, struct err *err)
{
    autourl url = {0};

    if (str_starts(text, UNIX_PREFIX))
        return parse_path(text, ret_server, err);
    if (!url_parse(text, &url, err)) {
        autofree char *reason = xstrdup(err->text);
        /* What stands before an @ may be a password. */
        const char *shown = strchr(text, '@') == NULL ? text : "what is written";
        return err_set(err, ERR_CONFIG, "\"%s\" is %s; " FORMS ", without a zone", shown, reason);
    }
    if (!check_url(text, &url, err))
        return false;
    *ret_server = (struct syslog_server){
        .transport = str_equal(url.scheme, "udp") ? SYSLOG_UDP : SYSLOG_TCP,
        .host = xstrdup(url.host),
        .port = xstrdup(url.port != NULL ? url.port : DEFAULT_PORT),
    };
    return true;
}

void syslog_server_done(struct syslog_server *server)
{
    free(server->path);
    free(server->host);
    free(server->port);
    *server = (struct syslog_server){0};
}

int syslog_server_send(const struct syslog_server *server, const struct buf *line)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    autoclose int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return errno;
    memcpy(address.sun_path, server->path, strlen(server->path) + 1);
    if (sendto(fd, line->data, line->len, MSG_NOSIGNAL, (struct sockaddr *)&address,
               sizeof(address)) < 0)
        return errno;
    return 0;
}
