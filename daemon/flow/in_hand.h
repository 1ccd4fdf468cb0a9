/* SPDX-License-Identifier: MIT */
/*
 * The deliveries that one listener has in hand, and who of them takes a place among `parallel`: not those
 * that are being settled, nor those that wait here for their next try.
 */
#ifndef FLOW_IN_HAND_H
#define FLOW_IN_HAND_H

#include <stdint.h>

#include "flow/delivery.h"
#include "flow/waits.h"

struct generation;
struct loop;

#define IN_HAND_BUCKETS 256 /* with 4096 messages, some 16 in each */

struct in_hand {
    struct delivery_list deliveries;
    struct delivery_bucket buckets[IN_HAND_BUCKETS]; /* the same ones, by their message ids */
    struct waits waits; /* of them, those that wait here for their next try */
    unsigned active;    /* of them, those that have a place */
    unsigned count;     /* all of them */
};

void in_hand_init(struct in_hand *in_hand, struct loop *loop, const struct waits_events *events,
                  void *arg);
/* Frees the deliveries. */
void in_hand_done(struct in_hand *in_hand);
void in_hand_add(struct in_hand *in_hand, struct delivery *delivery);
void in_hand_take_out(struct in_hand *in_hand, struct delivery *delivery);
/* A delivery that is in hand needs its place no more, or needs one again. */
void in_hand_leave_place(struct in_hand *in_hand);
void in_hand_take_place(struct in_hand *in_hand);
/* How many more messages may be taken now, at most as many as one Get may bring. */
unsigned in_hand_room(const struct in_hand *in_hand, unsigned parallel);
/* The delivery of a message that is in work; NULL. One that is being settled has nothing more to run: the
 * ledger tells a second delivery what is done. */
struct delivery *in_hand_find(const struct in_hand *in_hand, const char *message_id);
/* One that is being settled; NULL. */
struct delivery *in_hand_find_settling(const struct in_hand *in_hand, const char *message_id);
/* Whether it has come to us already with that dequeue count, or a later one: then it is no delivery of the
 * service's, but an answer that somebody has repeated. */
bool in_hand_has_seen(const struct in_hand *in_hand, const char *message_id,
                      unsigned dequeue_count);
/* Calls act for each delivery; act may end any of them but those behind it in the list. */
void in_hand_each(struct in_hand *in_hand, void (*act)(struct delivery *delivery));
/* delivery_rematch for each. */
void in_hand_rematch(struct in_hand *in_hand, struct generation *generation);

#endif
