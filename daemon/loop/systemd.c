/* SPDX-License-Identifier: MIT */
/* The service manager: sd_notify and its watchdog. */
#include "loop/systemd.h"

#include <stdio.h>
#include <systemd/sd-daemon.h>
#include <time.h>

void systemd_ready(void)
{
    sd_notify(0, "READY=1");
}

void systemd_reloading(void)
{
    struct timespec now;

    /* Type=notify-reload asks for it, not earlier than its HUP; older managers pass it over. */
    clock_gettime(CLOCK_MONOTONIC, &now);
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld",
               (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
}

void systemd_stopping(int64_t patience_ms)
{
    sd_notifyf(0, "STOPPING=1\nEXTEND_TIMEOUT_USEC=%lld", (long long)patience_ms * 1000);
}

void systemd_status(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    autofree char *text = xvasprintf(format, args);
    va_end(args);
    sd_notifyf(0, "STATUS=%s", text);
}

int64_t systemd_watchdog_interval_ms(void)
{
    uint64_t limit_us = 0;

    if (sd_watchdog_enabled(0, &limit_us) <= 0)
        return 0;
    return max_of((int64_t)(limit_us / 2000), 1);
}

void systemd_watchdog(void)
{
    sd_notify(0, "WATCHDOG=1");
}
