/* SPDX-License-Identifier: MIT */
/* One kind of request that fails, again and again. */
#include "flow/trouble.h"

#include <string.h>

#include "base/clock.h"

/* Failures of the network and the service are no news before they last. */
#define QUIET_FAILURES 1

#define MINUTE_MS      60000

/* Passes over a number and the unit that it bears: 999ms is as good as 1s. */
static const char *pass_number(const char *text)
{
    size_t digits = strspn(text, "0123456789.");

    return digits == 0 ? text : text + digits + strspn(text + digits, "dhms");
}

/* Whether two sentences say the same but for their numbers: "after 12 ms" changes each time. */
static bool is_same(const char *a, const char *b)
{
    for (;; a++, b++) {
        a = pass_number(a);
        b = pass_number(b);
        if (*a != *b || *a == '\0')
            return *a == *b;
    }
}

static bool may_pass(const struct err *err)
{
    return err->code == ERR_NETWORK || err->code == ERR_SERVER || err->code == ERR_THROTTLED;
}

static bool was_said(const struct trouble *trouble, const struct err *err)
{
    for (unsigned i = 0; i < trouble->said; i++) {
        if (is_same(trouble->reasons[i], err->text))
            return true;
    }
    return false;
}

/* What may pass leaves places for what a person must mend and which is found out behind it. */
static bool has_place(const struct trouble *trouble, const struct err *err)
{
    return trouble->said < (may_pass(err) ? TROUBLE_MAX_REASONS / 2 : TROUBLE_MAX_REASONS);
}

static bool may_speak(struct trouble *trouble)
{
    int64_t now_ms = clock_mono_ms();

    if (now_ms - trouble->minute_ms >= MINUTE_MS) {
        trouble->minute_ms = now_ms;
        trouble->lines = 0;
    }
    return trouble->lines < TROUBLE_MAX_LINES;
}

bool trouble_is_news(struct trouble *trouble, const struct err *err, bool is_final)
{
    trouble->failures++;
    trouble->lasts |= !may_pass(err);
    if (may_pass(err) && !is_final && trouble->failures <= QUIET_FAILURES)
        return false;
    if (!has_place(trouble, err) || was_said(trouble, err) || !may_speak(trouble))
        return false;
    trouble->lines++;
    memcpy(trouble->reasons[trouble->said++], err->text, sizeof(err->text));
    return true;
}

const char *trouble_reason(const struct trouble *trouble)
{
    return trouble->said > 0 ? trouble->reasons[trouble->said - 1] : NULL;
}

bool trouble_is_over(struct trouble *trouble)
{
    bool said = trouble->said > 0;

    trouble->failures = trouble->said = 0;
    trouble->lasts = false;
    return said;
}

void trouble_may_be_over(struct trouble *trouble)
{
    if (!trouble->lasts)
        (void)trouble_is_over(trouble);
}
