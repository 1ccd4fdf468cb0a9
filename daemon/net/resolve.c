/* SPDX-License-Identifier: MIT */
/* Looks a host's addresses up. */
#include "net/resolve.h"

#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/err.h"
#include "loop/worker.h"

struct resolve {
    struct worker_job job;
    char *host;
    char *port;
    int socket_type;
    resolve_done_fn *done; /* NULL: cancelled */
    void *arg;
    struct addrinfo *addresses;
    int status; /* getaddrinfo's */
    int os_errno;
};

static void job_run(void *arg)
{
    struct resolve *resolve = arg;
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = resolve->socket_type, .ai_flags = AI_NUMERICSERV};

    resolve->status = getaddrinfo(resolve->host, resolve->port, &hints, &resolve->addresses);
    resolve->os_errno = errno;
}

static void resolve_free(struct resolve *resolve)
{
    if (resolve->addresses != NULL)
        freeaddrinfo(resolve->addresses);
    free(resolve->host);
    free(resolve->port);
    free(resolve);
}

static void job_done(void *arg)
{
    struct resolve *resolve = arg;
    resolve_done_fn *done = resolve->done;
    void *done_arg = resolve->arg;
    struct addrinfo *addresses = NULL;
    struct err err;

    if (done != NULL) {
        addresses = take(resolve->addresses);
        if (resolve->status == EAI_SYSTEM)
            err_set_errno(&err, ERR_NETWORK, resolve->os_errno, "can not look up %s",
                          resolve->host);
        else if (resolve->status != 0)
            err_set(&err, ERR_NETWORK, "can not look up %s: %s", resolve->host,
                    gai_strerror(resolve->status));
    }
    bool failed = resolve->status != 0;
    resolve_free(resolve);
    if (done != NULL)
        done(done_arg, addresses, failed ? &err : NULL);
}

struct resolve *resolve_start(struct worker *worker, const char *host, const char *port,
                              int socket_type, resolve_done_fn *done, void *arg)
{
    struct resolve *resolve = xcalloc(1, sizeof(*resolve));

    resolve->job = (struct worker_job){.run = job_run, .done = job_done, .arg = resolve};
    resolve->host = xstrdup(host);
    resolve->port = xstrdup(port);
    resolve->socket_type = socket_type;
    resolve->done = done;
    resolve->arg = arg;
    worker_submit(worker, &resolve->job);
    return resolve;
}

void resolve_cancel(struct resolve *resolve)
{
    if (resolve != NULL)
        resolve->done = NULL; /* the worker may be in the middle of it: job_done frees */
}
