/* SPDX-License-Identifier: MIT */
/*
 * Plain HTTP/1.1 on a free port of 127.0.0.1, for the bench's queue: one thread on epoll, connections kept alive, one
 * request at a time on each. Each request may be made to take a fixed time, which holds up no other. Only what the
 * bench's clients need: no chunks, no pipelining.
 */
#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

#include <stddef.h>

struct buf;
struct connection;
struct http_server;

/* Borrowed; the texts end in NUL. */
struct http_request {
    const char *method, *path;
    const char *query; /* NULL: none */
    const char *body;
    size_t body_len;
};

/* Answers the request before it returns. */
typedef void http_serve_fn(void *arg, struct connection *connection,
                           const struct http_request *request);

/* Lives as long as the program. */
struct http_server *http_server_new(double delay_s, http_serve_fn *serve, void *arg,
                                    unsigned *ret_port);
/* Waits for events and handles them. */
void http_server_turn(struct http_server *server);
/* Connections since the start. */
unsigned long http_server_accepted(const struct http_server *server);

/* headers end in CRLF each; NULL: none but the usual. body NULL: empty. */
void http_answer(struct connection *connection, const char *status, const char *headers,
                 const struct buf *body);

/* Seconds of the monotonic clock. */
double now_s(void);

#endif
