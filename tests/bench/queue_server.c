/* SPDX-License-Identifier: MIT */
/*
 * A queue service for measuring its clients: one thread, plain HTTP/1.1 on 127.0.0.1, far cheaper
 * than any of them. It says `port N` when it listens and `drained TIME` when the last message is
 * deleted; GET /stats tells the rest as JSON. Times are seconds of the monotonic clock.
 *
 * usage: queue_server [-n MESSAGES] [-d DELAY_MS]
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "fake_queue.h"

#define MAX_REQUEST ((size_t)256 * 1024)
#define MAX_ANSWER  ((size_t)8 * 1024 * 1024)
#define NAME        "/events"
#define VALUE_MAX   256

struct connection {
    int fd;
    struct buf in, out;
    size_t sent; /* of out */
    double due;  /* when the request is served, if `waits` */
    bool waits, gone;
    TAILQ_ENTRY(connection) entry; /* by due while it waits; then, of those that are gone */
};

TAILQ_HEAD(connections, connection);

enum count {
    COUNT_GET,
    COUNT_EMPTY_GET,
    COUNT_DELETE,
    COUNT_PUT,
    COUNT_UPDATE,
    COUNT_METADATA,
    COUNT_REFUSED,
    COUNT_CONNECTIONS,
    COUNTS,
};

static const char *const count_names[COUNTS] = {"get",    "empty_get", "delete",  "put",
                                                "update", "metadata",  "refused", "connections"};

struct server {
    struct fake_queue *queue;
    double delay_s;
    int epoll, listener;
    struct connections waiting, gone;
    unsigned long counts[COUNTS];
    double first_request, first_get, last_get, last_delete;
    struct buf body;
};

struct request {
    const char *method, *path; /* NUL-terminated */
    const char *query;
    const char *body;
    size_t body_len;
};

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* --- answers --- */

static void answer(struct connection *connection, const char *status, const char *headers,
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

static void refuse(struct server *server, struct connection *connection, const char *status,
                   const char *code)
{
    autofree char *headers =
        xasprintf("x-ms-error-code: %s\r\nContent-Type: application/xml\r\n", code);

    server->counts[COUNT_REFUSED]++;
    buf_reset(&server->body);
    buf_printf(&server->body,
               "<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>%s</Code>"
               "<Message>Refused.</Message></Error>",
               code);
    answer(connection, status, headers, &server->body);
}

static void answer_stats(struct server *server, struct connection *connection)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    buf_reset(&server->body);
    buf_puts(&server->body, "{");
    for (int i = 0; i < COUNTS; i++)
        buf_printf(&server->body, "\"%s\": %lu, ", count_names[i], server->counts[i]);
    buf_printf(&server->body,
               "\"left\": %u, \"first_request\": %.6f, \"first_get\": %.6f, \"last_get\": %.6f, "
               "\"last_delete\": %.6f, \"cpu\": %.6f}",
               fake_queue_count(server->queue), server->first_request, server->first_get,
               server->last_get, server->last_delete,
               (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                   (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
    answer(connection, "200 OK", "Content-Type: application/json\r\n", &server->body);
}

/* --- requests --- */

static int hex_value(char c)
{
    return c >= '0' && c <= '9'                     ? c - '0'
           : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                    : -1;
}

/* A parameter of the query, decoded; "" when it is not there or too long. */
static const char *parameter(const char *query, const char *name, char value[static VALUE_MAX])
{
    size_t name_len = strlen(name), len = 0;

    for (; query != NULL; query = strchr(query, '&')) {
        query += *query == '&';
        if (strncmp(query, name, name_len) != 0 || query[name_len] != '=')
            continue;
        for (query += name_len + 1; *query != '\0' && *query != '&' && len < VALUE_MAX - 1;) {
            bool is_escape = *query == '%' && hex_value(query[1]) >= 0 && hex_value(query[2]) >= 0;

            value[len++] =
                is_escape ? (char)(hex_value(query[1]) * 16 + hex_value(query[2])) : *query;
            query += is_escape ? 3 : 1;
        }
        break;
    }
    value[len] = '\0';
    return value;
}

/* A whole number of the query; fallback when it is not given, -1 when it is none or out of range. */
static long number(const char *query, const char *name, long fallback, long low, long high)
{
    char text[VALUE_MAX], *end;

    if (*parameter(query, name, text) == '\0')
        return fallback;
    long value = strtol(text, &end, 10);
    return *end != '\0' || value < low || value > high ? -1 : value;
}

static void get_messages(struct server *server, struct connection *connection,
                         const struct request *request, double now)
{
    long count = number(request->query, "numofmessages", 1, 1, 32);
    long hide_s = number(request->query, "visibilitytimeout", 30, 1, 604800);

    if (count < 0 || hide_s < 0) {
        refuse(server, connection, "400 Bad Request", "OutOfRangeQueryParameterValue");
        return;
    }
    if (server->first_get == 0)
        server->first_get = now;
    server->last_get = now;
    server->counts[COUNT_GET]++;
    buf_reset(&server->body);
    if (fake_queue_get(server->queue, (unsigned)count, hide_s * 1000, (int64_t)(now * 1000),
                       &server->body) == 0)
        server->counts[COUNT_EMPTY_GET]++;
    answer(connection, "200 OK", "Content-Type: application/xml\r\n", &server->body);
}

static void put_message(struct server *server, struct connection *connection,
                        const struct request *request, double now)
{
    static const char before[] = "<MessageText>", after[] = "</MessageText>";
    const char *text = memmem(request->body, request->body_len, before, strlen(before));
    const char *end = memmem(request->body, request->body_len, after, strlen(after));
    char header[100];

    if (text == NULL || end == NULL) {
        refuse(server, connection, "400 Bad Request", "InvalidXmlDocument");
        return;
    }
    text += strlen(before);
    server->counts[COUNT_PUT]++;
    buf_reset(&server->body);
    fake_queue_put(server->queue, text, (size_t)(end - text), &server->body);
    snprintf(header, sizeof(header), "Content-Type: application/xml\r\nx-bench-time: %.6f\r\n",
             now);
    answer(connection, "201 Created", header, &server->body);
}

static void update_message(struct server *server, struct connection *connection,
                           const struct request *request, const char *id, const char *receipt,
                           double now)
{
    long hide_s = number(request->query, "visibilitytimeout", -1, 0, 604800);

    buf_reset(&server->body);
    if (hide_s < 0) {
        refuse(server, connection, "400 Bad Request", "OutOfRangeQueryParameterValue");
    } else if (!fake_queue_update(server->queue, id, receipt, hide_s * 1000, (int64_t)(now * 1000),
                                  &server->body)) {
        refuse(server, connection, "404 Not Found", "MessageNotFound");
    } else {
        autofree char *headers =
            xasprintf("x-ms-popreceipt: %s\r\n"
                      "x-ms-time-next-visible: Sat, 21 Nov 2026 03:25:37 GMT\r\n",
                      server->body.data);

        server->counts[COUNT_UPDATE]++;
        answer(connection, "204 No Content", headers, NULL);
    }
}

static void delete_message(struct server *server, struct connection *connection, const char *id,
                           const char *receipt, double now)
{
    if (!fake_queue_delete(server->queue, id, receipt)) {
        refuse(server, connection, "404 Not Found", "MessageNotFound");
        return;
    }
    server->counts[COUNT_DELETE]++;
    server->last_delete = now;
    answer(connection, "204 No Content", NULL, NULL);
    if (fake_queue_count(server->queue) == 0) {
        printf("drained %.6f\n", now);
        fflush(stdout);
    }
}

static void answer_metadata(struct server *server, struct connection *connection)
{
    char header[100];

    server->counts[COUNT_METADATA]++;
    snprintf(header, sizeof(header), "x-ms-approximate-messages-count: %u\r\n",
             fake_queue_count(server->queue));
    answer(connection, "200 OK", header, NULL);
}

static void serve_queue(struct server *server, struct connection *connection,
                        const struct request *request, const char *rest)
{
    char receipt[VALUE_MAX];
    double now = now_s();

    parameter(request->query, "popreceipt", receipt);
    if (*rest == '\0' &&
        strcmp(parameter(request->query, "comp", (char[VALUE_MAX]){0}), "metadata") == 0)
        answer_metadata(server, connection);
    else if (strcmp(rest, "/messages") == 0 && strcmp(request->method, "GET") == 0)
        get_messages(server, connection, request, now);
    else if (strcmp(rest, "/messages") == 0 && strcmp(request->method, "POST") == 0)
        put_message(server, connection, request, now);
    else if (strncmp(rest, "/messages/", 10) == 0 && strcmp(request->method, "DELETE") == 0)
        delete_message(server, connection, rest + 10, receipt, now);
    else if (strncmp(rest, "/messages/", 10) == 0 && strcmp(request->method, "PUT") == 0)
        update_message(server, connection, request, rest + 10, receipt, now);
    else
        refuse(server, connection, "400 Bad Request", "InvalidUri");
}

/* The path is /ACCOUNT/events..., as an emulator's is. */
static void serve(struct server *server, struct connection *connection,
                  const struct request *request)
{
    const char *name = strchr(request->path + 1, '/');

    if (strcmp(request->path, "/stats") == 0) {
        answer_stats(server, connection);
        return;
    }
    if (server->first_request == 0)
        server->first_request = now_s();
    if (*parameter(request->query, "sig", (char[VALUE_MAX]){0}) == '\0')
        refuse(server, connection, "403 Forbidden", "AuthenticationFailed");
    else if (name == NULL || strncmp(name, NAME, strlen(NAME)) != 0)
        refuse(server, connection, "404 Not Found", "QueueNotFound");
    else
        serve_queue(server, connection, request, name + strlen(NAME));
}

/* --- HTTP --- */

static void hang_up(struct server *server, struct connection *connection)
{
    if (connection->gone)
        return;
    if (connection->waits)
        TAILQ_REMOVE(&server->waiting, connection, entry);
    close(connection->fd);
    connection->gone = true;
    TAILQ_INSERT_TAIL(&server->gone, connection, entry);
}

static void flush_out(struct server *server, struct connection *connection)
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
static bool whole_request(struct connection *connection, struct request *request, size_t *ret_len)
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

static void serve_first(struct server *server, struct connection *connection)
{
    struct request request;
    size_t len;

    if (!whole_request(connection, &request, &len))
        return;
    serve(server, connection, &request);
    buf_consume(&connection->in, len);
    flush_out(server, connection);
}

static void read_in(struct server *server, struct connection *connection)
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

static void serve_due(struct server *server)
{
    struct connection *connection;
    double now = now_s();

    while ((connection = TAILQ_FIRST(&server->waiting)) != NULL && connection->due <= now) {
        TAILQ_REMOVE(&server->waiting, connection, entry);
        connection->waits = false;
        serve_first(server, connection);
    }
}

static void accept_one(struct server *server)
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
    server->counts[COUNT_CONNECTIONS]++;
}

/* An event of this turn may still have named them. */
static void free_gone(struct server *server)
{
    struct connection *connection;

    while ((connection = TAILQ_FIRST(&server->gone)) != NULL) {
        TAILQ_REMOVE(&server->gone, connection, entry);
        buf_done(&connection->in);
        buf_done(&connection->out);
        free(connection);
    }
}

static void wait_events(struct server *server)
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

static void start_listening(struct server *server)
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
        perror("queue_server");
        exit(1);
    }
    printf("port %u\n", ntohs(address.sin_port));
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct server server = {0};
    unsigned count = 30000;
    int option;

    while ((option = getopt(argc, argv, "n:d:")) != -1) {
        if (option == 'n')
            count = (unsigned)strtoul(optarg, NULL, 10);
        else if (option == 'd')
            server.delay_s = strtod(optarg, NULL) / 1000;
        else
            return 64;
    }
    TAILQ_INIT(&server.waiting);
    TAILQ_INIT(&server.gone);
    buf_init(&server.body, MAX_ANSWER);
    server.queue = fake_queue_new(count);
    start_listening(&server);
    for (;;)
        wait_events(&server);
}
