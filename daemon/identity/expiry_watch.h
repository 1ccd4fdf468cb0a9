/* SPDX-License-Identifier: MIT */
/*
 * When to speak of a credential that will expire: 7 days, a day and an hour before, and once after. What
 * is said, and about what, is the credential's own. Wall clock; no I/O.
 */
#ifndef IDENTITY_EXPIRY_WATCH_H
#define IDENTITY_EXPIRY_WATCH_H

#include <stdbool.h>
#include <stdint.h>

struct expiry_watch {
    int64_t expiry_ms;
    int64_t warn_at_ms; /* when to speak next */
};

/* Begins anew, for another credential. INT64_MAX: it does not expire. */
void expiry_watch_begin(struct expiry_watch *watch, int64_t expiry_ms);
/* Whether a warning is due and the credential was not read since: it may have been rotated meanwhile,
 * and should be read again before anybody is warned about it. */
bool expiry_watch_is_stale(const struct expiry_watch *watch, int64_t read_ms);
/* Whether it is time to speak. Then it is noted as said, and the time left, which may be negative, is in
 * *ret_left_ms. */
bool expiry_watch_is_due(struct expiry_watch *watch, int64_t *ret_left_ms);

#endif
