/* SPDX-License-Identifier: MIT */
/*
 * One kind of request that fails, again and again: which failures are worth a line in the log. What a
 * person must mend is news at once, what may pass by itself when it lasts; each reason is news once,
 * until the request goes well again. Two reasons in turns are two lines, not one a try; a request that
 * fails and goes well in turns is silent for the rest of the minute after some lines.
 */
#ifndef FLOW_TROUBLE_H
#define FLOW_TROUBLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define TROUBLE_MAX_REASONS 8 /* a ninth is no news, nor a fifth if it may pass by itself */
#define TROUBLE_MAX_LINES   8 /* a minute, of a request that fails and goes well in turns */

struct trouble {
    unsigned failures; /* in a row */
    bool lasts;        /* one of them was no passing one */
    unsigned said;     /* of the reasons */
    unsigned lines;    /* said since minute_ms */
    int64_t minute_ms;
    char reasons[TROUBLE_MAX_REASONS][sizeof(((struct err *)NULL)->text)];
};

/* Notes a failure. True when it is to be said; the caller says it then. A failure that is final is
 * not waited for to last. Numbers in a sentence make no new reason. */
bool trouble_is_news(struct trouble *trouble, const struct err *err, bool is_final);
/* What was said last of what goes on; NULL when all is well or nothing was said. */
const char *trouble_reason(const struct trouble *trouble);
/* Another request to the same place went well: forgets the trouble, unless a person must mend it. */
void trouble_may_be_over(struct trouble *trouble);
/* It went well. True when something had been said: then that is over. */
bool trouble_is_over(struct trouble *trouble);

#endif
