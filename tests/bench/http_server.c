/* SPDX-License-Identifier: MIT */
/* HTTP/1.1 for the bench's queue. */
#include "http_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"

#define MAX_REQUEST ((size_t)256 * 1024)
#define MAX_ANSWER  ((size_t)8 * 1024 * 1024)

struct connection {
    int fd;
    struct buf in, out;
    size_t sent; /* of out */
    double due;  /* when the request is served, if `waits` */
    bool waits, gone;
    TAILQ_ENTRY(connection) entry; /* by due while it waits; then, of those that are gone */
};

TAILQ_HEAD(connections, connection);

struct http_server {
    double delay_s;
    http_serve_fn *serve;
    void *arg;
    int epoll, listener;
    unsigned long accepted;
    struct connections waiting, gone;
};

double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void http_answer(struct connection *connection, const char *status, const char *headers,
                 const struct buf *body)
{
    buf_puts(&connection->out, "HTTP/1.1 ");
    buf_puts(&connection->out, status);
    buf_puts(&connection->out, "\r\nx-ms-version: 2021-12-02\r\n"
                               "x-ms-request-id: 9d3c24d7-0003-0040-5a8e-5b1a3f000000\r\n"
                               "Date: Sat, 21 Nov 2026 03:23:37 GMT\r\n");
    if (headers != NULL)
        buf_puts(&connection->out, headers);
    if (strncmp(status, "204", 3) == 0) {
        buf_puts(&connection->out, "\r\n");
        return;
    }
    buf_printf(&connection->out, "Content-Length: %zu\r\n\r\n", body != NULL ? body->len : 0);
    if (body != NULL)
        buf_append(&connection->out, body->data, body->len);
}

static void hang_up(struct http_server *server, struct connection *connection)
{
    if (connection->gone)
        return;
    if (connection->waits)
        TAILQ_REMOVE(&server->waiting, connection, entry);
    close(connection->fd);
    connection->gone = true;
    TAILQ_INSERT_TAIL(&server->gone, connection, entry);
}

static void flush_out(struct http_server *server, struct connection *connection)
{
    struct buf *out = &connection->out;
    ssize_t n = send(connection->fd, out->data + connection->sent, out->len - connection->sent,
                     MSG_DONTWAIT | MSG_NOSIGNAL);
    bool was_partial = connection->sent > 0;

    if (n < 0 && errno != EAGAIN) {
        hang_up(server, connection);
        return;
    }
    connection->sent += n > 0 ? (size_t)n : 0;
    bool partial = connection->sent < out->len;
    if (partial != was_partial) {
        struct epoll_event event = {.events = EPOLLIN | (partial ? EPOLLOUT : 0),
                                    .data.ptr = connection};
        epoll_ctl(server->epoll, EPOLL_CTL_MOD, connection->fd, &event);
    }
    if (!partial) {
        buf_reset(out);
        connection->sent = 0;
    }
}

/* Whether a whole request came; splits it in place. */
static bool whole_request(struct connection *connection, struct http_request *request,
                          size_t *ret_len)
{
    char *data = connection->in.data;
    char *end = memmem(data, connection->in.len, "\r\n\r\n", 4);

    if (end == NULL)
        return false;
    *end = '\0';
    char *length = strcasestr(data, "\r\nContent-Length:");
    request->body_len = length != NULL ? strtoul(length + 17, NULL, 10) : 0;
    request->body = end + 4;
    *ret_len = (size_t)(end + 4 - data) + request->body_len;
    if (*ret_len > connection->in.len) {
        *end = '\r';
        return false;
    }
    request->method = strsep(&data, " ");
    request->path = data != NULL ? strsep(&data, " ") : "/";
    char *mark = strchr(request->path, '?');
    if (mark != NULL)
        *mark = '\0';
    request->query = mark != NULL ? mark + 1 : NULL;
    return true;
}

static void serve_first(struct http_server *server, struct connection *connection)
{
    struct http_request request;
    size_t len;

    if (!whole_request(connection, &request, &len))
        return;
    server->serve(server->arg, connection, &request);
    buf_consume(&connection->in, len);
    flush_out(server, connection);
}

static void read_in(struct http_server *server, struct connection *connection)
{
    char bytes[16384];
    ssize_t n = recv(connection->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0 || !buf_append(&connection->in, bytes, (size_t)n)) {
        hang_up(server, connection);
        return;
    }
    if (server->delay_s == 0) {
        serve_first(server, connection);
    } else if (!connection->waits) {
        connection->waits = true;
        connection->due = now_s() + server->delay_s;
        TAILQ_INSERT_TAIL(&server->waiting, connection, entry);
    }
}

static void serve_due(struct http_server *server)
{
    struct connection *connection;
    double now = now_s();

    while ((connection = TAILQ_FIRST(&server->waiting)) != NULL && connection->due <= now) {
        TAILQ_REMOVE(&server->waiting, connection, entry);
        connection->waits = false;
        serve_first(server, connection);
    }
}

static void accept_one(struct http_server *server)
{
    int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC), on = 1;

    if (fd < 0)
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    struct connection *connection = xcalloc(1, sizeof(*connection));
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    connection->fd = fd;
    buf_init(&connection->in, MAX_REQUEST);
    buf_init(&connection->out, MAX_ANSWER);
    epoll_ctl(server->epoll, EPOLL_CTL_ADD, fd, &event);
    server->accepted++;
}

/* An event of this turn may still have named them. */
static void free_gone(struct http_server *server)
{
    struct connection *connection;

    while ((connection = TAILQ_FIRST(&server->gone)) != NULL) {
        TAILQ_REMOVE(&server->gone, connection, entry);
        buf_done(&connection->in);
        buf_done(&connection->out);
        free(connection);
    }
}

void http_server_turn(struct http_server *server)
{
    struct epoll_event events[64];
    struct connection *first = TAILQ_FIRST(&server->waiting);
    struct timespec wait = {0};

    if (first != NULL) {
        double left = max_of(first->due - now_s(), 0);
        wait.tv_nsec = (long)(left * 1e9);
    }
    int n =
        epoll_pwait2(server->epoll, events, array_size(events), first != NULL ? &wait : NULL, NULL);
    for (int i = 0; i < n; i++) {
        struct connection *connection = events[i].data.ptr;

        if (connection == NULL)
            accept_one(server);
        else if (!connection->gone && (events[i].events & EPOLLOUT))
            flush_out(server, connection);
        else if (!connection->gone)
            read_in(server, connection);
    }
    serve_due(server);
    free_gone(server);
}

static unsigned start_listening(struct http_server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event event = {.events = EPOLLIN};
    socklen_t len = sizeof(address);

    server->epoll = epoll_create1(EPOLL_CLOEXEC);
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (bind(server->listener, (struct sockaddr *)&address, len) < 0 ||
        listen(server->listener, 4096) < 0 ||
        getsockname(server->listener, (struct sockaddr *)&address, &len) < 0 ||
        epoll_ctl(server->epoll, EPOLL_CTL_ADD, server->listener, &event) < 0) {
        perror("listen");
        exit(1);
    }
    return ntohs(address.sin_port);
}

struct http_server *http_server_new(double delay_s, http_serve_fn *serve, void *arg,
                                    unsigned *ret_port)
{
    struct http_server *server = xcalloc(1, sizeof(*server));

    server->delay_s = delay_s;
    server->serve = serve;
    server->arg = arg;
    TAILQ_INIT(&server->waiting);
    TAILQ_INIT(&server->gone);
    *ret_port = start_listening(server);
    return server;
}

unsigned long http_server_accepted(const struct http_server *server)
{
    return server->accepted;
}
