/* SPDX-License-Identifier: MIT */
/*
 * Durations and sizes as people write them: `250ms`, `30s`, `2m`, `1h`, `7d`; `64K`, `10M`, `1G`.
 * A number, an optional fraction (`1.5h`), a unit. Zero needs no unit; everything else does, except
 * that a size without one is bytes. The only parser of either in the program.
 */
#ifndef BASE_UNIT_H
#define BASE_UNIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/alloc.h"

bool unit_parse_duration(const char *text, int64_t *ret_ms) MUST_CHECK;
/* K, M and G are powers of 1024. */
bool unit_parse_size(const char *text, int64_t *ret_bytes) MUST_CHECK;
#define UNIT_TEXT_MAX 32
/* The shortest exact writing of a duration in whole units: 90000 is "90s", 120000 is "2m". */
const char *unit_duration_text(int64_t ms, char text[static UNIT_TEXT_MAX]);
/* For people: rounded to two units at most, "1h 3m", "8.2s", "140ms". */
const char *unit_duration_human(int64_t ms, char text[static UNIT_TEXT_MAX]);

#endif
