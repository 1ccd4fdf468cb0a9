/* SPDX-License-Identifier: MIT */
/* base/unit: durations and sizes. */
#include "base/unit.h"

#include "fuzz.h"

static void check_duration(int64_t ms)
{
    char text[UNIT_TEXT_MAX];
    int64_t again;

    check(ms >= 0);
    check(unit_parse_duration(unit_duration_text(ms, text), &again) && again == ms);
    unit_duration_human(ms, text);
    check(text[0] >= '0' && text[0] <= '9' && strpbrk(text, "dhms") != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    autofree char *text = fuzz_text(data, size);
    int64_t ms, bytes;

    bool is_duration = unit_parse_duration(text, &ms), is_size = unit_parse_size(text, &bytes);
    if (is_duration)
        check_duration(ms);
    check(!is_size || bytes >= 0);
    /* No text is both, but for nothing. */
    check(!is_duration || !is_size || (ms == 0 && bytes == 0));
    check(!is_duration || (text[0] >= '0' && text[0] <= '9'));
    if (size >= sizeof(ms)) {
        memcpy(&ms, data, sizeof(ms));
        check_duration(ms & INT64_MAX);
    }
    return 0;
}
