/* SPDX-License-Identifier: MIT */
/* Whether a queue's credential may update messages. */
#include "flow/update_right.h"

#include <stddef.h>

#include "azure/queue.h"
#include "azure/storage_error.h"
#include "base/alloc.h"

/* A grant takes minutes to be known everywhere. */
#define AGAIN_MS ((int64_t)10 * 60 * 1000)
/* Between the runs of one message: waiting for turns, a short retry. */
#define MARGIN_MS ((int64_t)60 * 1000)

void update_right_look(struct update_right *right, bool lacking, unsigned version)
{
    if (right->version != version)
        update_right_forget(right);
    right->version = version;
    right->lacking = lacking;
}

void update_right_refused(struct update_right *right, const struct err *err, int64_t now_ms)
{
    if (right->doubtful || !storage_error_lacks_right(err))
        return;
    right->refused = true;
    right->again_ms = now_ms + AGAIN_MS;
}

void update_right_got(struct update_right *right, bool was_refused)
{
    right->doubtful = was_refused;
    if (was_refused)
        right->refused = false;
}

void update_right_forget(struct update_right *right)
{
    right->refused = right->said = false;
}

bool update_right_is_missing(const struct update_right *right)
{
    return right->lacking || right->refused;
}

bool update_right_may_try(const struct update_right *right, int64_t now_ms)
{
    return !right->lacking && (!right->refused || now_ms >= right->again_ms);
}

bool update_right_wants_reread(struct update_right *right, int64_t now_ms)
{
    bool wants = right->reread_ms > 0 && now_ms >= right->reread_ms;

    if (!update_right_is_missing(right))
        right->reread_ms = 0;
    else if (wants || right->reread_ms == 0)
        right->reread_ms = now_ms + AGAIN_MS;
    return wants && right->reread_ms > 0;
}

bool update_right_is_news(struct update_right *right)
{
    if (right->said || !update_right_is_missing(right))
        return false;
    right->said = right->told = true;
    return true;
}

bool update_right_works(struct update_right *right, int64_t now_ms)
{
    bool told = right->told;

    /* One that comes and goes has gone: soon enough it is tried again. */
    if (right->refused && now_ms < right->again_ms)
        return false;
    right->refused = right->said = right->told = false;
    return told;
}

const char *update_right_trouble(const struct update_right *right)
{
    if (!right->told || !update_right_is_missing(right))
        return NULL;
    return "no right to update messages (SAS permission u, or the role Storage Queue Data "
           "Contributor): leases are long and not renewed";
}

int64_t update_right_lease_ms(int64_t lease_ms, int64_t longest_ms)
{
    return min_of(max_of(lease_ms, longest_ms) + MARGIN_MS, (int64_t)QUEUE_MAX_VISIBILITY_S * 1000);
}
