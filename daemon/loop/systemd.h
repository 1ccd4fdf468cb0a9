/* SPDX-License-Identifier: MIT */
/* The service manager: sd_notify and its watchdog. Without one, every call does nothing. */
#ifndef LOOP_SYSTEMD_H
#define LOOP_SYSTEMD_H

#include <stdint.h>

#include "base/alloc.h"

void systemd_ready(void);
void systemd_reloading(void);
/* The end has begun, and may take so long from now: the manager waits, though its TimeoutStopSec= be
 * shorter. May be called again. */
void systemd_stopping(int64_t patience_ms);
/* One line that `systemctl status` shows. */
void systemd_status(const char *format, ...) PRINTF_LIKE(1, 2);
/* How often to call systemd_watchdog: half of what the manager asks for, 0 when it asks for none. */
int64_t systemd_watchdog_interval_ms(void);
void systemd_watchdog(void);

#endif
