/* SPDX-License-Identifier: MIT */
/*
 * One connected socket that records are sent through, TCP or UDP: what net/sender opens, one after the
 * other, to reach its server. A link never blocks, never reconnects and never looks a name up. It tells
 * when a record has arrived as far as anybody here can know:
 *
 *   TCP: the peer's kernel has acknowledged its last byte. A program there that is killed before it
 *        reads takes the record with it; plain TCP can not tell.
 *   UDP: no refusal (ICMP) came for a tenth of a second. A datagram that is dropped says nothing.
 *
 * What the server sends is read and dropped; reading is how its going away is noticed.
 */
#ifndef NET_LINK_H
#define NET_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct err;
struct loop;

/* All fire from the loop, never from inside open or send. */
struct link_events {
    void (*up)(void *arg);                          /* connected: send may be called */
    void (*room)(void *arg);                        /* send may take more */
    void (*down)(void *arg, const struct err *err); /* it has ended, or never began; close it */
};

/* Remembers where a record stands in what was sent. */
struct link_mark {
    uint64_t end;    /* TCP: bytes sent up to its end */
    int64_t sent_ms; /* UDP: when, on the monotonic clock */
};

struct link_kind {
    int socket_type;
    int64_t
        keep_ms; /* how long a link may serve before the name is looked up anew; 0: while it lasts */
    /* The address is copied; events is borrowed and outlives the link. */
    void *(*open)(struct loop *loop, const struct sockaddr *address, socklen_t address_len,
                  const struct link_events *events, void *arg);
    /* Takes a whole record or nothing. False: no room now, or the link is about to tell its end. */
    bool (*send)(void *self, const char *data, size_t len, struct link_mark *ret_mark);
    bool (*has_arrived)(const void *self, const struct link_mark *mark);
    /* Whether the peer's kernel has stopped answering, where it should: not so when it is merely full. */
    bool (*is_silent)(const void *self);
    /* What the kernel has taken is still delivered. */
    void (*close)(void *self);
};

extern const struct link_kind link_tcp;
extern const struct link_kind link_udp;

#endif
