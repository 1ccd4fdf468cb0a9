/* SPDX-License-Identifier: MIT */
/* One written text as a row's type has it. */
#include "config/value.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "base/unit.h"
#include "config/mistakes.h"
#include "config/names.h"

const char *value_type_text(enum config_type type)
{
    switch (type) {
    case CONFIG_TEXT:
    case CONFIG_TEMPLATE:
    case CONFIG_TEXTS:
    case CONFIG_TEMPLATES:
    case CONFIG_PAIRS:
    case CONFIG_SECRET:
        return "a text";
    case CONFIG_BOOL:
        return "true or false";
    case CONFIG_INT:
    case CONFIG_OCTAL:
        return "a number";
    case CONFIG_DURATION:
    case CONFIG_DURATIONS:
        return "a duration";
    case CONFIG_SIZE:
        return "a size";
    case CONFIG_CHOICE:
    case CONFIG_KIND:
        return "a name";
    case CONFIG_OBJECT:
    case CONFIG_OBJECTS:
    case CONFIG_ONE_OF:
        break;
    }
    return "a map of settings";
}

/* Says what text is not, and how to go on. */
static bool is_not(const char *text, const char *advice, char **ret_reason)
{
    char excerpt[MISTAKES_EXCERPT_MAX];

    *ret_reason = xasprintf("\"%s\" is not %s", mistakes_excerpt(text, excerpt), advice);
    return false;
}

const char *value_bound_text(enum config_type type, int64_t bound, char text[static UNIT_TEXT_MAX])
{
    static const struct {
        int shift;
        const char *unit;
    } sizes[] = {{30, "G"}, {20, "M"}, {10, "K"}};

    if (type == CONFIG_DURATION || type == CONFIG_DURATIONS)
        return unit_duration_text(bound, text);
    for (unsigned i = 0; type == CONFIG_SIZE && i < array_size(sizes); i++) {
        if (bound != 0 && bound % ((int64_t)1 << sizes[i].shift) == 0) {
            snprintf(text, UNIT_TEXT_MAX, "%" PRId64 "%s", bound >> sizes[i].shift, sizes[i].unit);
            return text;
        }
    }
    if (type == CONFIG_OCTAL)
        snprintf(text, UNIT_TEXT_MAX, "%04" PRIo64, (uint64_t)bound);
    else
        snprintf(text, UNIT_TEXT_MAX, "%" PRId64, bound);
    return text;
}

static bool in_range(const struct config_row *row, const char *text, int64_t number,
                     char **ret_reason)
{
    char low[UNIT_TEXT_MAX], high[UNIT_TEXT_MAX], excerpt[MISTAKES_EXCERPT_MAX];
    bool bounded = row->min != 0 || row->max != 0;

    if (!bounded || (number >= row->min && number <= row->max))
        return true;
    *ret_reason = xasprintf(
        "%s is out of range; it may be %s to %s", mistakes_excerpt(text, excerpt),
        value_bound_text(row->type, row->min, low), value_bound_text(row->type, row->max, high));
    return false;
}

/* Reads digits of a base up to 10; decimal ones may follow a minus. A number that is too large
 * becomes the largest, which no range takes. */
static bool parse_digits(const char *text, int base, int64_t *ret_number)
{
    bool negative = base == 10 && *text == '-';
    int64_t number = 0;

    if (negative)
        text++;
    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        int digit = *text - '0';
        if (digit < 0 || digit >= base)
            return false;
        if (__builtin_mul_overflow(number, base, &number) ||
            __builtin_add_overflow(number, digit, &number))
            number = INT64_MAX;
    }
    *ret_number = negative ? -number : number;
    return true;
}

static bool parse_number(const struct config_row *row, const char *text, int64_t *ret_number,
                         char **ret_reason)
{
    int64_t number;
    bool octal = row->type == CONFIG_OCTAL;

    if (!parse_digits(text, octal ? 8 : 10, &number))
        return is_not(text,
                      octal ? "an octal number; write digits from 0 to 7, as in \"0640\""
                            : "a whole number; write digits alone, as in 10",
                      ret_reason);
    if (!in_range(row, text, number, ret_reason))
        return false;
    if (number == INT64_MAX || number == -INT64_MAX)
        return is_not(text, "a number that fits into 64 bits", ret_reason);
    *ret_number = number;
    return true;
}

static bool parse_duration(const struct config_row *row, const char *text, int64_t *ret_ms,
                           char **ret_reason)
{
    int64_t ms;

    if (!unit_parse_duration(text, &ms))
        return is_not(text, "a duration; write a number and one of ms s m h d, as in 10m",
                      ret_reason);
    if (!in_range(row, text, ms, ret_reason))
        return false;
    *ret_ms = ms;
    return true;
}

static bool parse_size(const struct config_row *row, const char *text, int64_t *ret_bytes,
                       char **ret_reason)
{
    int64_t bytes;

    if (!unit_parse_size(text, &bytes))
        return is_not(text, "a size; write a number and one of K M G, as in 64K, or bytes alone",
                      ret_reason);
    if (!in_range(row, text, bytes, ret_reason))
        return false;
    *ret_bytes = bytes;
    return true;
}

static bool parse_bool(const char *text, bool *ret_value, char **ret_reason)
{
    static const char *const words[] = {"false", "no", "off", "true", "yes", "on"};

    for (unsigned i = 0; i < array_size(words); i++) {
        if (str_equal_nocase(text, words[i])) {
            *ret_value = i >= 3;
            return true;
        }
    }
    return is_not(text, "true or false; write one of true yes on false no off", ret_reason);
}

static bool parse_choice(const struct config_row *row, const char *text, int *ret_index,
                         char **ret_reason)
{
    for (int i = 0; row->choices[i] != NULL; i++) {
        if (str_equal(text, row->choices[i])) {
            *ret_index = i;
            return true;
        }
    }
    autofree char *advice = names_advice(text, row->choices);
    autofree char *known = xasprintf("known here%s", advice);
    return is_not(text, known, ret_reason);
}

bool value_fits(const struct config_row *row, const char *text, char **ret_reason)
{
    size_t len = strlen(text);
    size_t default_max = row->type == CONFIG_SECRET ? VALUE_SECRET_MAX : VALUE_TEXT_MAX;
    size_t max = row->max == 0 ? default_max : (size_t)row->max;

    if (len == 0 && row->min > 0) {
        *ret_reason = xstrdup("an empty text says nothing here; write one or leave the key out");
        return false;
    }
    if (len < (size_t)row->min || len > max) {
        *ret_reason = xasprintf("%zu bytes are too %s; it may be %" PRId64 " to %zu long", len,
                                len > max ? "many" : "few", row->min, max);
        return false;
    }
    if (row->absolute && text[0] != '/') {
        char excerpt[MISTAKES_EXCERPT_MAX];
        *ret_reason = xasprintf("%s is not an absolute path; begin it with /",
                                mistakes_excerpt(text, excerpt));
        return false;
    }
    if (!str_is_utf8(text, len)) {
        *ret_reason = xstrdup("the text is not UTF-8; look at its variables");
        return false;
    }
    return true;
}

/* Puts text, copied, into a text row's member or at the end of its list. */
static bool put_text(const struct config_row *row, const char *text, void *member,
                     char **ret_reason)
{
    if (!value_fits(row, text, ret_reason))
        return false;
    if (row->type == CONFIG_TEXT || row->type == CONFIG_TEMPLATE) {
        *(char **)member = xstrdup(text);
        return true;
    }
    struct config_texts *list = member;
    list->items = xreallocarray(list->items, list->count + 1, sizeof(*list->items));
    list->items[list->count++] = xstrdup(text);
    return true;
}

static bool append_duration(const struct config_row *row, const char *text,
                            struct config_durations *list, char **ret_reason)
{
    int64_t ms;

    if (!parse_duration(row, text, &ms, ret_reason))
        return false;
    list->items_ms = xreallocarray(list->items_ms, list->count + 1, sizeof(*list->items_ms));
    list->items_ms[list->count++] = ms;
    return true;
}

bool value_put(const struct config_row *row, const char *text, void *member, char **ret_reason)
{
    switch (row->type) {
    case CONFIG_TEXT:
    case CONFIG_TEMPLATE:
    case CONFIG_TEXTS:
    case CONFIG_TEMPLATES:
        return put_text(row, text, member, ret_reason);
    case CONFIG_BOOL:
        return parse_bool(text, member, ret_reason);
    case CONFIG_INT:
    case CONFIG_OCTAL:
        return parse_number(row, text, member, ret_reason);
    case CONFIG_DURATION:
        return parse_duration(row, text, member, ret_reason);
    case CONFIG_DURATIONS:
        return append_duration(row, text, member, ret_reason);
    case CONFIG_SIZE:
        return parse_size(row, text, member, ret_reason);
    case CONFIG_CHOICE:
        return parse_choice(row, text, member, ret_reason);
    case CONFIG_PAIRS:
    case CONFIG_SECRET:
    case CONFIG_OBJECT:
    case CONFIG_OBJECTS:
    case CONFIG_ONE_OF:
    case CONFIG_KIND:
        break;
    }
    assert(!"a row whose value is no scalar");
    return false;
}
