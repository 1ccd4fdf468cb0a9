/* SPDX-License-Identifier: MIT */
/*
 * What time it is, in milliseconds. Deadlines and delays count on the monotonic clock, which no
 * administrator moves; only dates that come from or go to somebody else are wall-clock time.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

/* Goes on while the machine is suspended, as a message's lease does. */
int64_t clock_mono_ms(void);
/* Milliseconds since 1970-01-01 UTC. */
int64_t clock_wall_ms(void);
/* For tests: both clocks stand still at these values until set again; negative lets them run. */
void clock_freeze(int64_t mono_ms, int64_t wall_ms);

#endif
