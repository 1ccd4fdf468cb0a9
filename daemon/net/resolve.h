/* SPDX-License-Identifier: MIT */
/*
 * Looks a host's addresses up. getaddrinfo can take half a minute and can not be called off, so each
 * look-up has a thread of its own: nobody waits behind it, and who cancels leaves it to its end, which
 * may be the program's. For sockets of our own; libcurl looks up by itself.
 */
#ifndef NET_RESOLVE_H
#define NET_RESOLVE_H

struct addrinfo;
struct err;
struct loop;
struct resolve;

/* Fires once, from the loop. addresses are the receiver's, who calls freeaddrinfo; NULL with err:
 * ERR_NETWORK, a sentence that names the host. */
typedef void resolve_done_fn(void *arg, struct addrinfo *addresses, const struct err *err);

/* host is a name or an address without brackets, port a number; socket_type is SOCK_STREAM or
 * SOCK_DGRAM. Texts are copied. */
struct resolve *resolve_start(struct loop *loop, const char *host, const char *port,
                              int socket_type, resolve_done_fn *done, void *arg);
/* done will not fire. NULL is fine. */
void resolve_cancel(struct resolve *resolve);

#endif
