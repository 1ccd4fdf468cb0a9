/* SPDX-License-Identifier: MIT */
/*
 * Keeping a delivery's message ours: what its renewals, and their failures, mean for what it does. Part of
 * the delivery, which alone includes this.
 */
#ifndef FLOW_KEEPING_H
#define FLOW_KEEPING_H

struct renewal_events;

/* Of a renewal whose arg is the delivery. */
extern const struct renewal_events keeping_events;

#endif
