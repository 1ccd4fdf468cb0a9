/* SPDX-License-Identifier: MIT */
/*
 * How a delivery ends: its message is deleted, put back or poisoned, kept for another try, or left to its
 * lease; and what the log says of it. Part of the delivery: only flow/delivery and flow/keeping include
 * this. Each function may free the delivery, so it is the last thing that its caller does.
 */
#ifndef FLOW_ENDING_H
#define FLOW_ENDING_H

#include <stdint.h>

#include "flow/delivery.h"
#include "flow/settle.h"

struct delivery;
struct err;
struct step;

/* It is over: the ledger and the owner are told, and the delivery is freed. */
void ending_finish(struct delivery *delivery, enum delivery_end end);
/* Without a word to the service: the message comes again when its lease ends, unless too little of its life
 * would be left then. step as for ending_poison. */
void ending_leave(struct delivery *delivery, const struct step *step);

/* Sends the last requests. Waits for a renewal that is under way, for it brings a new receipt. */
void ending_settle(struct delivery *delivery, enum settle_what what, int64_t hide_ms,
                   enum delivery_end end);
/* The renewal that they waited for has ended; err as in a completion. */
void ending_go_on(struct delivery *delivery, const struct err *err);
/* We are stopping: the last requests, under way or to come, are not repeated, and have little time. May end
 * the delivery. */
void ending_hurry(struct delivery *delivery);

/* Into poison, for that reason; step, which may be NULL, is the one to blame. */
void ending_poison(struct delivery *delivery, const char *reason, const struct step *step);
/* A step is to be tried again, unless too little of the message's life would be left then. */
void ending_retry(struct delivery *delivery, int64_t delay_ms, struct step *step);
/* Gives the message back at once. */
void ending_release(struct delivery *delivery);

#endif
