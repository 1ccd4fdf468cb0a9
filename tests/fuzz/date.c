/* SPDX-License-Identifier: MIT */
/* codec/date: what is read is what is written, and what libc reads. */
#include "codec/date.h"

#include <time.h>

#include "fuzz.h"

#define FIRST_MS (-62167219200000LL) /* 0000-01-01 */
#define LAST_MS  253402300799999LL   /* 9999-12-31 */

/* A time of the years that a date can hold; a zone or a leap second can lead out of them. */
static void check_both_ways(int64_t ms)
{
    char text[DATE_TEXT_MAX];
    int64_t again, whole_s = ms / 1000 - (ms % 1000 < 0 ? 1 : 0);

    date_format_iso(ms, text);
    if (ms < FIRST_MS || ms > LAST_MS)
        return;
    check(date_parse_iso(text, &again) && again == whole_s * 1000);
    date_format_http(ms, text);
    check(date_parse_http(text, &again) && again == whole_s * 1000);
}

static void check_libc_agrees(const char *text, const char *format, int64_t ms)
{
    struct tm utc = {0};
    const char *end = strptime(text, format, &utc);

    check(end != NULL && *end == '\0');
    check(timegm(&utc) == ms / 1000);
}

/* libc has no hours but 1 to 12 in half a day. */
static void check_halves_agree(const char *text, int64_t ms)
{
    int hour = atoi(strchr(text, ' '));

    if (hour >= 1 && hour <= 12)
        check_libc_agrees(text, "%m/%d/%Y %I:%M:%S %p", ms);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    autofree char *text = fuzz_text(data, size);
    int64_t ms;

    if (date_parse_http(text, &ms)) {
        check_libc_agrees(text, "%a, %d %b %Y %H:%M:%S GMT", ms);
        check_both_ways(ms);
    }
    if (date_parse_iso(text, &ms)) {
        if (strlen(text) == strlen("2026-11-21T03:23:37Z") && str_ends(text, "Z") &&
            strchr(text, '.') == NULL)
            check_libc_agrees(text, "%Y-%m-%dT%H:%M:%SZ", ms);
        check_both_ways(ms);
    }
    if (date_parse_us(text, &ms)) {
        if (text[strspn(text, "0123456789/: ")] == '\0')
            check_libc_agrees(text, "%m/%d/%Y %H:%M:%S", ms);
        if (str_ends(text, "M"))
            check_halves_agree(text, ms);
        check_both_ways(ms);
    }
    if (size >= sizeof(ms)) {
        memcpy(&ms, data, sizeof(ms));
        check_both_ways(ms % LAST_MS);
    }
    return 0;
}
