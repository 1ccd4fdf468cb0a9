/* SPDX-License-Identifier: MIT */
/* config/expand: ${VAR} in a value. */
#include "fuzz.h"

#include "base/buf.h"
#include "config/table.h"

#define BRACES "{a}{"

static const char *look_up(const char *name)
{
    check(name[0] != '\0');
    if (str_equal(name, "EMPTY"))
        return "";
    if (str_equal(name, "B"))
        return BRACES;
    return name[0] == 'A' ? "value" : NULL;
}

/* A text without variables stays itself; so does any whose dollars are doubled. */
static void check_literal(const char *text)
{
    autobuf written;
    char *expanded, *reason;
    bool any;

    buf_init(&written, BUF_ANY_SIZE);
    for (const char *c = text; *c != '\0'; c++)
        buf_puts(&written, *c == '$' ? "$$" : (char[]){*c, '\0'});
    check(config_expand(written.data, false, look_up, &expanded, &any, &reason));
    check(str_equal(expanded, text) && !any);
    free(expanded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    autofree char *text = fuzz_text(data, size);
    char *expanded, *doubled, *reason;
    bool any, any_doubled;

    check_literal(text);
    if (!config_expand(text, false, look_up, &expanded, &any, &reason)) {
        check(reason[0] != '\0' && strstr(text, "${") != NULL);
        free(reason);
        check(!config_expand(text, true, look_up, &doubled, &any, &reason));
        free(reason);
        return 0;
    }
    check(config_expand(text, true, look_up, &doubled, &any_doubled, &reason));
    check(any == any_doubled && strlen(doubled) >= strlen(expanded));
    check(strlen(doubled) == strlen(expanded) || strstr(text, "${B") != NULL);
    free(expanded);
    free(doubled);
    return 0;
}
