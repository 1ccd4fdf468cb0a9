/* SPDX-License-Identifier: MIT */
/*
 * The one retry policy: how long to wait after a failed call, by what the failure forces. Each cause
 * has its own back-off, so that an hour without a role does not slow down the first retry after a
 * broken connection. A service's Retry-After is a floor, never a ceiling; a failure whose wait
 * somebody else keeps (err's is_paced: a token's issuer) waits for just that.
 */
#ifndef NET_RETRY_H
#define NET_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "loop/backoff.h"

enum retry_cause {
    RETRY_NETWORK,
    RETRY_SERVER,
    RETRY_THROTTLED,
    RETRY_AUTH,
    RETRY_MISSING,
    RETRY_CAUSES,
};

struct retry {
    struct backoff backoff[RETRY_CAUSES];
};

void retry_init(struct retry *retry);
/* Forgets every failure: the last call went well, or an operator changed something. */
void retry_reset(struct retry *retry);
/* How long to wait before the next try. False when repeating can not help (rejected, gone, config,
 * internal); a poller that must go on anyway then waits ret_delay_ms, which is set all the same. */
bool retry_after(struct retry *retry, const struct err *err, int64_t *ret_delay_ms);

#endif
