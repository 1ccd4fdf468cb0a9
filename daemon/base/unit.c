/* SPDX-License-Identifier: MIT */
/* Durations and sizes as people write them. */
#include "base/unit.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

struct unit {
    const char *name;
    int64_t factor;
};

/* From large to small, which the writers rely on. */
static const struct unit duration_units[] = {
    {"d", 24 * 60 * 60 * 1000},
    {"h", 60 * 60 * 1000},
    {"m", 60 * 1000},
    {"s", 1000},
    {"ms", 1},
    {NULL, 0},
};

static const struct unit size_units[] = {
    {"G", 1 << 30}, {"M", 1 << 20}, {"K", 1 << 10}, {"", 1}, {NULL, 0},
};

/* As many digits as a fraction may have: more than a unit can show, few enough to multiply. */
#define FRACTION_DIGITS 9

/* Reads digits; returns how many there were, and -1 when their value would pass max. */
static int read_digits(const char **text, int64_t max, int64_t *ret_value)
{
    int digits = 0;
    int64_t value = 0;

    for (; **text >= '0' && **text <= '9'; (*text)++, digits++) {
        int digit = **text - '0';
        if (value > (max - digit) / 10)
            return -1;
        value = value * 10 + digit;
    }
    *ret_value = value;
    return digits;
}

static const struct unit *find_unit(const struct unit *units, const char *name)
{
    for (; units->name != NULL; units++) {
        if (strcmp(units->name, name) == 0)
            return units;
    }
    return NULL;
}

/* What a fraction of `digits` digits is worth in a unit, rounded down. */
static int64_t fraction_of(int64_t fraction, int digits, int64_t factor)
{
    int64_t divisor = 1;

    for (int i = 0; i < digits; i++)
        divisor *= 10;
    return fraction * factor / divisor; /* below 10^9 x 2^30 */
}

static bool parse(const char *text, const struct unit *units, int64_t *ret_value)
{
    int64_t whole, fraction = 0;
    int fraction_digits = 0;

    if (read_digits(&text, INT64_MAX, &whole) <= 0)
        return false;
    if (*text == '.') {
        text++;
        fraction_digits = read_digits(&text, INT64_MAX, &fraction);
        if (fraction_digits <= 0 || fraction_digits > FRACTION_DIGITS)
            return false;
    }
    const struct unit *unit = find_unit(units, text);
    if (unit == NULL) {
        if (whole != 0 || fraction != 0 || *text != '\0')
            return false;
        *ret_value = 0;
        return true;
    }
    int64_t part = fraction_of(fraction, fraction_digits, unit->factor), value;
    if (__builtin_mul_overflow(whole, unit->factor, &value) ||
        __builtin_add_overflow(value, part, &value))
        return false;
    /* What is finer than the unit can say: a part of a byte, or all of a value that is not zero. */
    if (fraction != 0 && (unit->factor == 1 || value == 0))
        return false;
    *ret_value = value;
    return true;
}

bool unit_parse_duration(const char *text, int64_t *ret_ms)
{
    return parse(text, duration_units, ret_ms);
}

bool unit_parse_size(const char *text, int64_t *ret_bytes)
{
    return parse(text, size_units, ret_bytes);
}

const char *unit_duration_text(int64_t ms, char text[static UNIT_TEXT_MAX])
{
    const struct unit *unit = find_unit(duration_units, "s");

    if (ms != 0) {
        for (unit = duration_units; ms % unit->factor != 0; unit++)
            ;
    }
    snprintf(text, UNIT_TEXT_MAX, "%" PRId64 "%s", ms / unit->factor, unit->name);
    return text;
}

static int64_t round_to(int64_t ms, int64_t step)
{
    return (ms + step / 2) / step * step;
}

/* Seconds with one decimal, which is left out when it is zero. */
static void write_seconds(int64_t ms, char text[static UNIT_TEXT_MAX])
{
    int64_t tenths = ms / 100;

    if (tenths % 10 == 0)
        snprintf(text, UNIT_TEXT_MAX, "%" PRId64 "s", tenths / 10);
    else
        snprintf(text, UNIT_TEXT_MAX, "%" PRId64 ".%ds", tenths / 10, (int)(tenths % 10));
}

static void write_pair(int64_t ms, const struct unit *large, char text[static UNIT_TEXT_MAX])
{
    const struct unit *small = large + 1;
    int64_t count = ms / large->factor, rest = ms % large->factor / small->factor;

    if (rest == 0)
        snprintf(text, UNIT_TEXT_MAX, "%" PRId64 "%s", count, large->name);
    else
        snprintf(text, UNIT_TEXT_MAX, "%" PRId64 "%s %" PRId64 "%s", count, large->name, rest,
                 small->name);
}

const char *unit_duration_human(int64_t ms, char text[static UNIT_TEXT_MAX])
{
    const struct unit *days = duration_units, *minutes = find_unit(duration_units, "m");

    ms = min_of(ms, INT64_MAX / 2); /* so that rounding up has room */
    if (ms < 1000) {
        snprintf(text, UNIT_TEXT_MAX, "%" PRId64 "ms", ms);
        return text;
    }
    /* Rounded before the unit is chosen, so that 59.97 s is "1m" and never "60s". */
    if (round_to(ms, 100) < minutes->factor) {
        write_seconds(round_to(ms, 100), text);
        return text;
    }
    for (const struct unit *large = minutes; large >= days; large--) {
        int64_t rounded = round_to(ms, large[1].factor);
        if (large == days || rounded < large[-1].factor) {
            write_pair(rounded, large, text);
            break;
        }
    }
    return text;
}
