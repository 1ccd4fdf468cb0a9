/* SPDX-License-Identifier: MIT */
/*
 * Looks a host's addresses up. getaddrinfo can take half a minute, so it runs on a worker, and not on
 * the one that writes files and starts programs. For sockets of our own; libcurl looks up by itself.
 */
#ifndef NET_RESOLVE_H
#define NET_RESOLVE_H

struct addrinfo;
struct err;
struct resolve;
struct worker;

/* Fires once, from the loop. addresses are the receiver's, who calls freeaddrinfo; NULL with err:
 * ERR_NETWORK, a sentence that names the host. */
typedef void resolve_done_fn(void *arg, struct addrinfo *addresses, const struct err *err);

/* host is a name or an address without brackets, port a number; socket_type is SOCK_STREAM or
 * SOCK_DGRAM. Texts are copied. */
struct resolve *resolve_start(struct worker *worker, const char *host, const char *port,
                              int socket_type, resolve_done_fn *done, void *arg);
/* done will not fire. NULL is fine. */
void resolve_cancel(struct resolve *resolve);

#endif
