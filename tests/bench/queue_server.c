/* SPDX-License-Identifier: MIT */
/*
 * A queue service for measuring its clients: one thread, plain HTTP/1.1 on 127.0.0.1, far cheaper
 * than any of them. It says `port N` when it listens and `drained TIME` when the last message is
 * deleted; GET /stats tells the rest as JSON. `first TIME` is the first request; GET /reset forgets
 * all counts and times, GET /more?count=N adds messages. Times are seconds of the monotonic clock.
 *
 * usage: queue_server [-n MESSAGES] [-d DELAY_MS]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "fake_queue.h"
#include "http_server.h"

#define MAX_ANSWER ((size_t)8 * 1024 * 1024)
#define NAME       "/events"
#define VALUE_MAX  256

enum count {
    COUNT_GET,
    COUNT_EMPTY_GET,
    COUNT_HANDED_OUT,
    COUNT_DELETE,
    COUNT_PUT,
    COUNT_UPDATE,
    COUNT_METADATA,
    COUNT_REFUSED,
    COUNTS,
};

static const char *const count_names[COUNTS] = {"get", "empty_get", "handed_out", "delete",
                                                "put", "update",    "metadata",   "refused"};

struct server {
    struct fake_queue *queue;
    struct http_server *http;
    unsigned long counts[COUNTS];
    double first_request, first_get, last_delete;
    double last_handed_out; /* when a Get last found something */
    struct buf body;
};

/* --- answers --- */

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
    http_answer(connection, status, headers, &server->body);
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
               "\"connections\": %lu, \"left\": %u, \"first_request\": %.6f, \"first_get\": %.6f, "
               "\"last_handed_out\": %.6f, "
               "\"last_delete\": %.6f, \"cpu\": %.6f}",
               http_server_accepted(server->http), fake_queue_count(server->queue),
               server->first_request, server->first_get, server->last_handed_out,
               server->last_delete,
               (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                   (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
    http_answer(connection, "200 OK", "Content-Type: application/json\r\n", &server->body);
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
                         const struct http_request *request, double now)
{
    long count = number(request->query, "numofmessages", 1, 1, 32);
    long hide_s = number(request->query, "visibilitytimeout", 30, 1, 604800);

    if (count < 0 || hide_s < 0) {
        refuse(server, connection, "400 Bad Request", "OutOfRangeQueryParameterValue");
        return;
    }
    if (server->first_get == 0)
        server->first_get = now;
    server->counts[COUNT_GET]++;
    buf_reset(&server->body);
    unsigned taken = fake_queue_get(server->queue, (unsigned)count, hide_s * 1000,
                                    (int64_t)(now * 1000), &server->body);
    server->counts[taken > 0 ? COUNT_HANDED_OUT : COUNT_EMPTY_GET] += taken > 0 ? taken : 1;
    if (taken > 0)
        server->last_handed_out = now;
    http_answer(connection, "200 OK", "Content-Type: application/xml\r\n", &server->body);
}

static void put_message(struct server *server, struct connection *connection,
                        const struct http_request *request, double now)
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
    http_answer(connection, "201 Created", header, &server->body);
}

static void update_message(struct server *server, struct connection *connection,
                           const struct http_request *request, const char *id, const char *receipt,
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
        http_answer(connection, "204 No Content", headers, NULL);
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
    http_answer(connection, "204 No Content", NULL, NULL);
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
    http_answer(connection, "200 OK", header, NULL);
}

static void serve_queue(struct server *server, struct connection *connection,
                        const struct http_request *request, const char *rest)
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

static void reset(struct server *server)
{
    memset(server->counts, 0, sizeof(server->counts));
    server->first_request = server->first_get = server->last_delete = server->last_handed_out = 0;
}

/* What only the bench asks for. */
static void serve_bench(struct server *server, struct connection *connection,
                        const struct http_request *request)
{
    if (strcmp(request->path, "/reset") == 0)
        reset(server);
    else if (strcmp(request->path, "/more") == 0)
        fake_queue_add(server->queue,
                       (unsigned)max_of(number(request->query, "count", 0, 0, 10000000), 0));
    answer_stats(server, connection);
}

/* The path is /ACCOUNT/events..., as an emulator's is. */
static void serve(void *arg, struct connection *connection, const struct http_request *request)
{
    struct server *server = arg;
    const char *name = strchr(request->path + 1, '/');

    if (name == NULL) {
        serve_bench(server, connection, request);
        return;
    }
    if (server->first_request == 0) {
        server->first_request = now_s();
        printf("first %.6f\n", server->first_request);
        fflush(stdout);
    }
    if (*parameter(request->query, "sig", (char[VALUE_MAX]){0}) == '\0')
        refuse(server, connection, "403 Forbidden", "AuthenticationFailed");
    else if (strncmp(name, NAME, strlen(NAME)) != 0)
        refuse(server, connection, "404 Not Found", "QueueNotFound");
    else
        serve_queue(server, connection, request, name + strlen(NAME));
}

int main(int argc, char **argv)
{
    struct server server = {0};
    unsigned count = 30000, port;
    double delay_s = 0;
    int option;

    while ((option = getopt(argc, argv, "n:d:")) != -1) {
        if (option == 'n')
            count = (unsigned)strtoul(optarg, NULL, 10);
        else if (option == 'd')
            delay_s = strtod(optarg, NULL) / 1000;
        else
            return 64;
    }
    buf_init(&server.body, MAX_ANSWER);
    server.queue = fake_queue_new(count);
    server.http = http_server_new(delay_s, serve, &server, &port);
    printf("port %u\n", port);
    fflush(stdout);
    for (;;)
        http_server_turn(server.http);
}
