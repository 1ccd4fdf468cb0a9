/* SPDX-License-Identifier: MIT */
/* The sockets of one libcurl multi handle on the loop. */
#include "net/sockets.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "loop/loop.h"

struct socket {
    struct event *event; /* NULL: not watched */
    short watched;
    bool is_connection;
    bool idle;
};

struct sockets {
    struct loop *loop;
    sockets_ready_fn *ready;
    void *arg;
    struct socket *by_fd;
    size_t count;
};

static struct socket *find(struct sockets *sockets, int fd)
{
    size_t index = (size_t)fd;

    if (index >= sockets->count) {
        size_t count = index + 64;
        sockets->by_fd = xreallocarray(sockets->by_fd, count, sizeof(*sockets->by_fd));
        memset(sockets->by_fd + sockets->count, 0,
               (count - sockets->count) * sizeof(*sockets->by_fd));
        sockets->count = count;
    }
    return &sockets->by_fd[index];
}

static void unwatch(struct socket *socket)
{
    if (socket->event != NULL)
        event_free(socket->event);
    socket->event = NULL;
    socket->watched = 0;
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
    struct sockets *sockets = arg;
    struct socket *socket = find(sockets, fd);

    if (socket->idle)
        unwatch(socket);
    else
        sockets->ready(sockets->arg, fd, what & EV_READ, what & EV_WRITE);
}

struct sockets *sockets_new(struct loop *loop, sockets_ready_fn *ready, void *arg)
{
    struct sockets *sockets = xcalloc(1, sizeof(*sockets));

    sockets->loop = loop;
    sockets->ready = ready;
    sockets->arg = arg;
    return sockets;
}

void sockets_free(struct sockets *sockets)
{
    if (sockets == NULL)
        return;
    for (size_t i = 0; i < sockets->count; i++)
        unwatch(&sockets->by_fd[i]);
    free(sockets->by_fd);
    free(sockets);
}

void sockets_opened(struct sockets *sockets, int fd)
{
    find(sockets, fd)->is_connection = true;
}

void sockets_closing(struct sockets *sockets, int fd)
{
    struct socket *socket = find(sockets, fd);

    unwatch(socket);
    *socket = (struct socket){.event = NULL};
}

void sockets_want(struct sockets *sockets, int fd, bool read, bool write)
{
    struct socket *socket = find(sockets, fd);
    short wanted = (short)((read ? EV_READ : 0) | (write ? EV_WRITE : 0));

    socket->idle = wanted == 0;
    if (socket->idle && socket->is_connection && socket->watched == EV_READ)
        return;
    if (wanted == socket->watched)
        return;
    unwatch(socket);
    if (wanted == 0)
        return;
    socket->watched = wanted;
    socket->event =
        event_new(loop_base(sockets->loop), fd, (short)(wanted | EV_PERSIST), on_ready, sockets);
    if (socket->event == NULL || event_add(socket->event, NULL) < 0)
        fatal("libevent can not be used");
}
