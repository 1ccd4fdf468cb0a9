/* SPDX-License-Identifier: MIT */
/*
 * How long a message is ours: the pop receipt that proves it and the moment until which nobody else
 * sees it. Pure bookkeeping on clocks that are passed in; flow/delivery does the requests.
 */
#ifndef FLOW_LEASE_H
#define FLOW_LEASE_H

#include <stdbool.h>
#include <stdint.h>

struct lease {
    char *receipt;      /* the newest pop receipt that came to us */
    bool is_doubtful;   /* an update failed, but may have been done: the receipt is void then */
    int64_t length_ms;  /* as asked for */
    int64_t span_ms;    /* as granted the last time: less near the message's expiry */
    int64_t until_ms;   /* monotonic; counted from before the request, so never too late */
    int64_t expires_ms; /* service's clock: when it drops the message */
    int64_t alert_ms;   /* service's clock: when its owner wants to look at it, before it expires */
    int64_t ahead_ms;   /* the service's clock, less our monotonic one */
};

/* Taken by a Get that was sent at asked_ms (monotonic). */
void lease_init(struct lease *lease, int64_t length_ms, int64_t expires_ms, const char *receipt,
                int64_t asked_ms);
void lease_done(struct lease *lease);
/* What the service's clock says at now_ms (monotonic). Our own wall clock may be wrong, or jump. */
int64_t lease_service_ms(const struct lease *lease, int64_t now_ms);
/* The service's clock said service_ms at now_ms. Before that, and when it is no time at which this message
 * can have been handed out, it is taken to be our wall clock. */
void lease_heed_service(struct lease *lease, int64_t service_ms, int64_t inserted_ms,
                        int64_t now_ms);
/* Renewed, or taken anew: a new receipt, and hidden for span_ms from asked_ms on. */
void lease_renewed(struct lease *lease, const char *receipt, int64_t asked_ms, int64_t span_ms);
/* An update brought no new receipt, and nobody knows whether it was done; lease_renewed ends that. */
void lease_doubt(struct lease *lease);
/* How long to wait before renewing: half of what was granted, from when it was, or half of what is left
 * of the message's life; at least a second, or a quarter of a shorter lease, so that a message near its
 * expiry is not renewed without end. */
int64_t lease_renew_in(const struct lease *lease, int64_t now_ms, int64_t service_ms);
/* How long to wait before looking at a lease that can not be renewed: half of what is left, or the whole
 * of its last two seconds; no later than alert_ms, if that is to come, nor half of what is left of the
 * message's life. */
int64_t lease_watch_in(const struct lease *lease, int64_t now_ms, int64_t service_ms);
bool lease_is_over(const struct lease *lease, int64_t now_ms);
/* A visibility time-out in whole seconds, rounded up: never past the message's expiry (the service
 * refuses that), never beyond seven days. */
int64_t lease_visibility_s(const struct lease *lease, int64_t wanted_ms, int64_t service_ms);

#endif
