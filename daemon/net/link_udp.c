/* SPDX-License-Identifier: MIT */
/* A connected UDP socket to send through: connected, so that the kernel tells of refusals. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "loop/loop.h"
#include "loop/timer.h"
#include "net/link.h"

#define REFUSAL_MS 100 /* how long a refusal may take to come */
#define KEEP_MS    60000
#define READ_MAX   64 /* datagrams a turn */

struct udp {
    const struct link_events *events;
    void *arg;
    int fd;
    struct loop_watch *watch;
    struct timer timer; /* tells what was found out inside open or send */
    struct err err;
};

static void tell_later(struct udp *udp, int os_errno, const char *text)
{
    err_set_errno(&udp->err, ERR_NETWORK, os_errno, "%s", text);
    timer_set(&udp->timer, 0);
}

static void on_timer(void *arg)
{
    struct udp *udp = arg;
    struct err err = udp->err;

    if (err.code == ERR_NONE)
        udp->events->up(udp->arg);
    else
        udp->events->down(udp->arg, &err);
}

static void on_readable(void *arg)
{
    struct udp *udp = arg;
    char byte;

    for (int i = 0; i < READ_MAX; i++) {
        if (recv(udp->fd, &byte, 1, MSG_DONTWAIT) >= 0)
            continue;
        if (errno != EAGAIN && errno != EINTR)
            tell_later(udp, errno, "a datagram came to nothing");
        return;
    }
}

static void *udp_open(struct loop *loop, const struct sockaddr *address, socklen_t address_len,
                      const struct link_events *events, void *arg)
{
    struct udp *udp = xcalloc(1, sizeof(*udp));

    udp->events = events;
    udp->arg = arg;
    timer_init(&udp->timer, loop, on_timer, udp);
    udp->fd = socket(address->sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (udp->fd < 0 || connect(udp->fd, address, address_len) < 0)
        tell_later(udp, errno, "can not send there");
    else
        udp->watch = loop_watch_read(loop, udp->fd, on_readable, udp);
    timer_set(&udp->timer, 0);
    return udp;
}

static bool udp_send(void *self, const char *data, size_t len, struct link_mark *ret_mark)
{
    struct udp *udp = self;

    if (udp->err.code != ERR_NONE)
        return false;
    if (send(udp->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
        if (errno != EAGAIN && errno != ENOBUFS && errno != EINTR)
            tell_later(udp, errno, "a datagram came to nothing");
        return false;
    }
    ret_mark->sent_ms = clock_mono_ms();
    return true;
}

static bool udp_has_arrived(const void *self, const struct link_mark *mark)
{
    const struct udp *udp = self;

    return udp->err.code == ERR_NONE && clock_mono_ms() - mark->sent_ms >= REFUSAL_MS;
}

static bool udp_is_silent(const void *self)
{
    (void)self;
    return false;
}

static void udp_close(void *self)
{
    struct udp *udp = self;

    loop_watch_free(udp->watch);
    if (udp->fd >= 0)
        close(udp->fd);
    timer_done(&udp->timer);
    free(udp);
}

const struct link_kind link_udp = {
    .socket_type = SOCK_DGRAM,
    .keep_ms = KEEP_MS,
    .open = udp_open,
    .send = udp_send,
    .has_arrived = udp_has_arrived,
    .is_silent = udp_is_silent,
    .close = udp_close,
};
