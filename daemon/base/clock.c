/* SPDX-License-Identifier: MIT */
/* What time it is, in milliseconds. */
#include "base/clock.h"

#include <time.h>

static int64_t frozen_mono_ms = -1;
static int64_t frozen_wall_ms = -1;

static int64_t now_ms(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t clock_mono_ms(void)
{
    return frozen_mono_ms >= 0 ? frozen_mono_ms : now_ms(CLOCK_BOOTTIME);
}

int64_t clock_wall_ms(void)
{
    return frozen_wall_ms >= 0 ? frozen_wall_ms : now_ms(CLOCK_REALTIME);
}

void clock_freeze(int64_t mono_ms, int64_t wall_ms)
{
    frozen_mono_ms = mono_ms;
    frozen_wall_ms = wall_ms;
}
