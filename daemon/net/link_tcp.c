/* SPDX-License-Identifier: MIT */
/* A TCP connection to send through: libevent's bufferevent connects, buffers and notices the end. */
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/err.h"
#include "loop/loop.h"
#include "loop/timer.h"
#include "net/link.h"

#define CONNECT_MS 3000
#define ANSWER_MS  20 /* what an acknowledgement takes, beside its way */
/* What may wait for a server that does not read: here, and in the kernel. */
#define BUFFERED_MAX ((size_t)16 * 1024)
#define KERNEL_BYTES (32 * 1024)

struct tcp {
    const struct link_events *events;
    void *arg;
    struct bufferevent *stream; /* NULL when it could not be made */
    struct timer timer;         /* for connecting */
    struct err err;             /* why it could not be made */
    bool is_up;
    uint64_t taken; /* bytes that send took */
};

static void set_option(int fd, int level, int option, int value)
{
    (void)setsockopt(fd, level, option, &value, sizeof(value));
}

/* libevent would make a socket that programs inherit. */
static int make_socket(int family)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -1;
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, SOL_SOCKET, SO_SNDBUF, KERNEL_BYTES);
    return fd;
}

static void on_timer(void *arg)
{
    struct tcp *tcp = arg;
    struct err err = tcp->err;

    if (err.code == ERR_NONE)
        err_set_errno(&err, ERR_NETWORK, ETIMEDOUT, "can not connect");
    tcp->events->down(tcp->arg, &err);
}

static void on_event(struct bufferevent *stream, short what, void *arg)
{
    struct tcp *tcp = arg;
    int code = errno;
    struct err err;

    timer_clear(&tcp->timer);
    if (what & BEV_EVENT_CONNECTED) {
        tcp->is_up = true;
        bufferevent_enable(stream, EV_READ);
        tcp->events->up(tcp->arg);
        return;
    }
    if (what & BEV_EVENT_EOF)
        err_set(&err, ERR_NETWORK, "the server closed the connection");
    else
        err_set_errno(&err, ERR_NETWORK, code,
                      tcp->is_up ? "the connection broke" : "can not connect");
    tcp->events->down(tcp->arg, &err);
}

static void on_read(struct bufferevent *stream, void *arg)
{
    struct evbuffer *input = bufferevent_get_input(stream);

    (void)arg;
    evbuffer_drain(input, evbuffer_get_length(input));
}

static void on_written(struct bufferevent *stream, void *arg)
{
    struct tcp *tcp = arg;

    (void)stream;
    if (tcp->is_up)
        tcp->events->room(tcp->arg);
}

static void begin(struct tcp *tcp, struct loop *loop, const struct sockaddr *address,
                  socklen_t address_len)
{
    int fd = make_socket(address->sa_family);

    if (fd < 0) {
        err_set_errno(&tcp->err, ERR_NETWORK, errno, "can not connect");
        return;
    }
    tcp->stream = bufferevent_socket_new(loop_base(loop), fd,
                                         BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
    if (tcp->stream == NULL)
        fatal("libevent can not be used");
    bufferevent_setcb(tcp->stream, on_read, on_written, on_event, tcp);
    if (bufferevent_socket_connect(tcp->stream, address, (int)address_len) < 0)
        err_set_errno(&tcp->err, ERR_NETWORK, errno, "can not connect");
}

static void *tcp_open(struct loop *loop, const struct sockaddr *address, socklen_t address_len,
                      const struct link_events *events, void *arg)
{
    struct tcp *tcp = xcalloc(1, sizeof(*tcp));

    tcp->events = events;
    tcp->arg = arg;
    timer_init(&tcp->timer, loop, on_timer, tcp);
    begin(tcp, loop, address, address_len);
    timer_set(&tcp->timer, tcp->err.code == ERR_NONE ? CONNECT_MS : 0);
    return tcp;
}

/* Whether the server has closed or broken the connection, though libevent has not told yet. */
static bool has_ended(const struct tcp *tcp)
{
    char byte;
    ssize_t got = recv(bufferevent_getfd(tcp->stream), &byte, 1, MSG_PEEK | MSG_DONTWAIT);

    return got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
}

static bool tcp_send(void *self, const char *data, size_t len, struct link_mark *ret_mark)
{
    struct tcp *tcp = self;

    if (!tcp->is_up ||
        evbuffer_get_length(bufferevent_get_output(tcp->stream)) + len > BUFFERED_MAX ||
        has_ended(tcp))
        return false;
    if (bufferevent_write(tcp->stream, data, len) < 0)
        return false;
    tcp->taken += len;
    ret_mark->end = tcp->taken;
    return true;
}

static bool get_info(const struct tcp *tcp, struct tcp_info *ret_info)
{
    socklen_t len = sizeof(*ret_info);

    *ret_info = (struct tcp_info){0};
    return getsockopt(bufferevent_getfd(tcp->stream), IPPROTO_TCP, TCP_INFO, ret_info, &len) == 0;
}

/* What the kernel still holds counts only while the connection stands: a reset empties its books. */
static bool tcp_has_arrived(const void *self, const struct link_mark *mark)
{
    const struct tcp *tcp = self;
    struct tcp_info info;
    int held = 0;

    if (ioctl(bufferevent_getfd(tcp->stream), SIOCOUTQ, &held) < 0 || !get_info(tcp, &info) ||
        (info.tcpi_state != TCP_ESTABLISHED && info.tcpi_state != TCP_CLOSE_WAIT))
        return false;
    size_t buffered = evbuffer_get_length(bufferevent_get_output(tcp->stream));
    return mark->end + buffered + (size_t)held <= tcp->taken;
}

/* A full server still answers what the kernel sends again, and its probes of the window. */
static bool tcp_is_silent(const void *self)
{
    struct tcp_info info;

    if (!get_info(self, &info))
        return true;
    return info.tcpi_last_ack_recv > info.tcpi_last_data_sent &&
           info.tcpi_last_data_sent > ANSWER_MS + 2 * info.tcpi_rtt / 1000;
}

static void tcp_close(void *self)
{
    struct tcp *tcp = self;

    if (tcp->stream != NULL)
        bufferevent_free(tcp->stream);
    timer_done(&tcp->timer);
    free(tcp);
}

const struct link_kind link_tcp = {
    .socket_type = SOCK_STREAM,
    .open = tcp_open,
    .send = tcp_send,
    .has_arrived = tcp_has_arrived,
    .is_silent = tcp_is_silent,
    .close = tcp_close,
};
