/* SPDX-License-Identifier: MIT */
/*
 * Sends records to one server in the order given, over TCP or UDP, and never blocks: names are looked
 * up on a thread, connecting and sending wait on the loop. It connects when there is something to send,
 * and after a loss again with back-off; what had not arrived when a link was lost (net/link.h says what
 * arriving means) goes whole through the next one, so a record may come twice, never in part. Framing
 * is the caller's, and so is trying again after a failure.
 */
#ifndef NET_SENDER_H
#define NET_SENDER_H

#include <stdint.h>

struct buf;
struct err;
struct link_kind;
struct loop;
struct sender;
struct sending;

struct sender_settings {
    const struct link_kind *link; /* &link_tcp or &link_udp */
    const char *host;             /* a name or an address without brackets; copied */
    const char *port;             /* a number; copied */
    int64_t deadline_ms;          /* for each record, from send to its arrival */
    int64_t idle_ms;              /* a link that had nothing to do for so long is closed */
    unsigned max_open;            /* records at once; one more fails */
};

/* Fires exactly once, never from inside sender_send, unless cancelled. err is NULL when the record has
 * arrived; else ERR_NETWORK (the last reason why it did not, within the deadline) or ERR_HOST (more than
 * max_open). The sending is gone then. */
typedef void sending_done_fn(void *arg, const struct err *err);

struct sender *sender_new(struct loop *loop, const struct sender_settings *settings);
/* Nothing may be open. NULL is fine. */
void sender_free(struct sender *sender);
/* Takes the buffer's contents; the buffer is empty afterwards. */
struct sending *sender_send(struct sender *sender, struct buf *record, sending_done_fn *done,
                            void *arg);
/* done will not fire. What is on its way already may arrive. NULL is fine. */
void sending_cancel(struct sending *sending);

#endif
