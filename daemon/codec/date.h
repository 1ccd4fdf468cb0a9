/* SPDX-License-Identifier: MIT */
/*
 * Dates on the wire, in milliseconds since 1970 UTC. HTTP dates (RFC 9110, `Sat, 21 Nov 2026
 * 03:23:37 GMT`) and the ISO 8601 forms that SAS tokens and Azure use: `2026-11-21`,
 * `2026-11-21T03:23Z`, `2026-11-21T03:23:37Z`, `2026-11-21T03:23:37.1234567Z`, `...+02:00`; and the
 * American one of App Service's tokens: `11/21/2026 03:23:37 +00:00`, `11/21/2026 3:23:37 PM +00:00`.
 * The year 9999, which a message that never expires carries, is an ordinary date.
 */
#ifndef CODEC_DATE_H
#define CODEC_DATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/alloc.h"

#define DATE_TEXT_MAX 40

/* Strict: one form each, no blanks around it, days that the calendar has. What is finer than a
 * millisecond is cut off; a leap second is the first of the next minute. */
bool date_parse_http(const char *text, int64_t *ret_ms) MUST_CHECK;
bool date_parse_iso(const char *text, int64_t *ret_ms) MUST_CHECK;
/* Month first; one digit will do for month, day and hour. Without a zone it is UTC. */
bool date_parse_us(const char *text, int64_t *ret_ms) MUST_CHECK;
void date_format_http(int64_t ms, char ret_text[static DATE_TEXT_MAX]);
/* RFC 3339 in UTC with whole seconds: `2026-11-21T03:23:37Z`. */
void date_format_iso(int64_t ms, char ret_text[static DATE_TEXT_MAX]);

#endif
