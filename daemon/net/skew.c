/* SPDX-License-Identifier: MIT */
/* By how much the clocks differ. */
#include "net/skew.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/unit.h"
#include "codec/date.h"

/* Storage forgives 15 minutes, Entra 5; less is nobody's trouble. */
#define TOLD_MS ((int64_t)5 * 60 * 1000)

void skew_explain(const char *date, const char *whose, struct buf *text)
{
    char human[UNIT_TEXT_MAX];
    int64_t theirs_ms;

    if (date == NULL || !date_parse_http(date, &theirs_ms))
        return;
    int64_t ahead_ms = clock_wall_ms() - theirs_ms;
    if (llabs(ahead_ms) < TOLD_MS)
        return;
    buf_printf(text, "; this machine's clock is %s %s %s: set it right",
               unit_duration_human(llabs(ahead_ms), human), ahead_ms > 0 ? "ahead of" : "behind",
               whose);
}
