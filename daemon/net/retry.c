/* SPDX-License-Identifier: MIT */
/* The one retry policy. */
#include "net/retry.h"

#include "base/alloc.h"

/* First wait and ceiling of each cause. A right or a queue that is missing is mended by a person, and
 * a role takes minutes to be known everywhere; a broken line often heals at once. */
static const struct {
    int64_t first_ms, cap_ms;
} spans[RETRY_CAUSES] = {
    [RETRY_NETWORK] = {500, 15000},    [RETRY_SERVER] = {1000, 30000},
    [RETRY_THROTTLED] = {1000, 60000}, [RETRY_AUTH] = {2000, 120000},
    [RETRY_MISSING] = {2000, 60000},
};

void retry_init(struct retry *retry)
{
    for (int cause = 0; cause < RETRY_CAUSES; cause++)
        backoff_init(&retry->backoff[cause], spans[cause].first_ms, spans[cause].cap_ms);
}

void retry_reset(struct retry *retry)
{
    for (int cause = 0; cause < RETRY_CAUSES; cause++)
        backoff_reset(&retry->backoff[cause]);
}

/* What will not be better for being repeated waits as long as what a person must mend. */
static enum retry_cause cause_of(enum err_code code, bool *ret_helps)
{
    *ret_helps = true;
    switch (code) {
    case ERR_NETWORK:
        return RETRY_NETWORK;
    case ERR_SERVER:
        return RETRY_SERVER;
    case ERR_THROTTLED:
        return RETRY_THROTTLED;
    case ERR_AUTH:
        return RETRY_AUTH;
    case ERR_MISSING:
    case ERR_HOST:
        return RETRY_MISSING;
    case ERR_NONE:
    case ERR_GONE:
    case ERR_REJECTED:
    case ERR_CONFIG:
    case ERR_INTERNAL:
        break;
    }
    *ret_helps = false;
    return RETRY_MISSING;
}

bool retry_after(struct retry *retry, const struct err *err, int64_t *ret_delay_ms)
{
    bool helps;
    enum retry_cause cause = cause_of(err->code, &helps);
    int64_t delay_ms = err->is_paced ? 0 : backoff_next(&retry->backoff[cause]);

    *ret_delay_ms = max_of(delay_ms, (int64_t)err->retry_after_ms);
    return helps;
}
