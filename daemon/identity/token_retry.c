/* SPDX-License-Identifier: MIT */
/* When an issuer of tokens may be asked again. */
#include "identity/token_retry.h"

#include <stdbool.h>

#include "base/alloc.h"
#include "base/err.h"
#include "loop/backoff.h"

/* An endpoint that is being updated is back within 70 s. */
#define UPDATING_TIMES 7
#define UPDATING_MS    10000

/* Waits in seconds; the last one is repeated for ever. */
struct row {
    uint8_t waits_s[7];
    unsigned count;
};

static const struct row passing_rows[] = {
    [TOKEN_PACE_IMDS] = {{2, 6, 14, 30, 60}, 5},
    [TOKEN_PACE_OTHER] = {{1, 1, 1, 6, 14, 30, 60}, 7},
};
static const struct row refused_row = {{2, 4, 8, 16, 32, 64, 120}, 7};

/* The row's wait for the next of *count failures. */
static int64_t next_ms(const struct row *row, unsigned *count)
{
    unsigned at = min_of(*count, row->count - 1);

    if (*count < row->count)
        (*count)++;
    return (int64_t)row->waits_s[at] * 1000;
}

/* Whether it may go by without a person's doing. An answer's status tells whatever was made of it. */
static bool is_passing(const struct err *err)
{
    int status = err->http_status;

    return status == 404 || status == 408 || status == 410 || status == 429 || status / 100 == 5 ||
           err->code == ERR_NETWORK || err->code == ERR_SERVER || err->code == ERR_THROTTLED;
}

static int64_t table_ms(struct token_retry *retry, enum token_pace pace, const struct err *err)
{
    if (err->http_status == 410 && retry->updating < UPDATING_TIMES) {
        retry->updating++;
        return UPDATING_MS;
    }
    if (is_passing(err))
        return next_ms(&passing_rows[pace], &retry->passing);
    return next_ms(&refused_row, &retry->refused);
}

int64_t token_retry_after(struct token_retry *retry, enum token_pace pace, const struct err *err)
{
    int64_t wait_ms = table_ms(retry, pace, err);

    return max_of(wait_ms + backoff_draw(wait_ms / 5), (int64_t)err->retry_after_ms);
}

void token_retry_reset(struct token_retry *retry)
{
    *retry = (struct token_retry){.passing = 0};
}
