/* SPDX-License-Identifier: MIT */
/*
 * The sockets of one libcurl multi handle on the loop. A socket stays watched while its connection is
 * idle, because the next request on it will want the same: that saves two system calls a request.
 * One that stirs while it is idle (its server closed it) is let go; libcurl finds out when it takes it.
 */
#ifndef NET_SOCKETS_H
#define NET_SOCKETS_H

#include <stdbool.h>

struct loop;
struct sockets;

/* Called on the loop when a socket that is in use can be read or written. */
typedef void sockets_ready_fn(void *arg, int fd, bool readable, bool writable);

struct sockets *sockets_new(struct loop *loop, sockets_ready_fn *ready, void *arg);
/* After libcurl has closed what it opened. NULL is fine. */
void sockets_free(struct sockets *sockets);

/* The socket is one of a connection: its end will be told by sockets_closing. Sockets that libcurl makes for
 * itself (its resolver's) end without a word, and are never watched beyond their use. */
void sockets_opened(struct sockets *sockets, int fd);
/* To be called before fd is closed. */
void sockets_closing(struct sockets *sockets, int fd);

/* What is to be watched from now on; neither: the socket is idle. */
void sockets_want(struct sockets *sockets, int fd, bool read, bool write);

#endif
