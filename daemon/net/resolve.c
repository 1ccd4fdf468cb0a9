/* SPDX-License-Identifier: MIT */
/* Looks a host's addresses up. */
#include "net/resolve.h"

#include <errno.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/err.h"
#include "loop/loop.h"
#include "loop/thread.h"

struct resolve {
    atomic_int holders; /* who asked, and the thread; the last one frees */
    char *host;
    char *port;
    int socket_type;
    resolve_done_fn *done; /* NULL: told, or cancelled */
    void *arg;
    int event_fd; /* tells the loop that the answer is there */
    struct loop_watch *watch;
    struct addrinfo *addresses;
    int status; /* getaddrinfo's */
    int os_errno;
};

static void release(struct resolve *resolve)
{
    if (atomic_fetch_sub(&resolve->holders, 1) > 1)
        return;
    if (resolve->addresses != NULL)
        freeaddrinfo(resolve->addresses);
    if (resolve->event_fd >= 0)
        close(resolve->event_fd);
    free(resolve->host);
    free(resolve->port);
    free(resolve);
}

static void *thread_main(void *arg)
{
    struct resolve *resolve = arg;
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = resolve->socket_type, .ai_flags = AI_NUMERICSERV};

    resolve->status = getaddrinfo(resolve->host, resolve->port, &hints, &resolve->addresses);
    resolve->os_errno = errno;
    (void)eventfd_write(resolve->event_fd, 1);
    release(resolve);
    return NULL;
}

static void set_reason(const struct resolve *resolve, struct err *err)
{
    if (resolve->status == EAI_SYSTEM)
        err_set_errno(err, ERR_NETWORK, resolve->os_errno, "can not look up %s", resolve->host);
    else
        err_set(err, ERR_NETWORK, "can not look up %s: %s", resolve->host,
                gai_strerror(resolve->status));
}

static void on_answer(void *arg)
{
    struct resolve *resolve = arg;
    resolve_done_fn *done = resolve->done;
    void *done_arg = resolve->arg;
    struct addrinfo *addresses = take(resolve->addresses);
    bool failed = resolve->status != 0;
    struct err err;

    if (failed)
        set_reason(resolve, &err);
    resolve_cancel(resolve);
    done(done_arg, addresses, failed ? &err : NULL);
}

/* In the thread's place. */
static void on_not_started(void *arg)
{
    struct resolve *resolve = arg;

    if (resolve->done != NULL)
        on_answer(resolve);
    release(resolve);
}

/* 0, or the errno. */
static int start_thread(struct resolve *resolve, struct loop *loop)
{
    pthread_t thread;

    resolve->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (resolve->event_fd < 0)
        return errno;
    resolve->watch = loop_watch_read(loop, resolve->event_fd, on_answer, resolve);
    int failed = thread_start(thread_main, resolve, &thread);
    if (failed == 0)
        pthread_detach(thread);
    return failed;
}

struct resolve *resolve_start(struct loop *loop, const char *host, const char *port,
                              int socket_type, resolve_done_fn *done, void *arg)
{
    struct resolve *resolve = xcalloc(1, sizeof(*resolve));

    atomic_init(&resolve->holders, 2);
    resolve->host = xstrdup(host);
    resolve->port = xstrdup(port);
    resolve->socket_type = socket_type;
    resolve->done = done;
    resolve->arg = arg;
    int failed = start_thread(resolve, loop);
    if (failed != 0) {
        resolve->status = EAI_SYSTEM;
        resolve->os_errno = failed;
        loop_defer(loop, on_not_started, resolve);
    }
    return resolve;
}

void resolve_cancel(struct resolve *resolve)
{
    if (resolve == NULL)
        return;
    resolve->done = NULL;
    loop_watch_free(take(resolve->watch));
    release(resolve);
}
