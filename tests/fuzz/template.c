/* SPDX-License-Identifier: MIT */
/* codec/template, against the simplest reading of the same rules. The input's first line is the value
 * of each name that begins with `v`. */
#include "codec/template.h"

#include "base/buf.h"
#include "base/err.h"
#include "fuzz.h"

#define RENDERED_MAX 20000

static const char *look_up(void *arg, const char *name)
{
    check(name[0] >= 'a' && name[0] <= 'z');
    check(name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_")] == '\0');
    return name[0] == 'v' ? arg : NULL;
}

/* What a template that compiles renders to; false when a value is missing. */
static bool expect(const char *text, char *value, struct buf *out)
{
    while (*text != '\0') {
        if (text[0] != '{' || text[1] == '{') {
            buf_putc(out, *text);
            text += *text == '{' ? 2 : 1;
            continue;
        }
        size_t len = strcspn(text, "}");
        autofree char *inside = xstrndup(text + 1, len - 1);
        char *missing = strstr(inside, ":-");
        if (missing != NULL)
            *missing = '\0';
        const char *found = look_up(value, inside);
        if (found == NULL || *found == '\0')
            found = missing == NULL ? NULL : missing + 2;
        if (found == NULL)
            return false;
        buf_puts(out, found);
        text += len + 1;
    }
    return true;
}

static void check_rendered(const char *text, struct template *template, char *value)
{
    autobuf rendered;
    autobuf expected;
    struct err err;

    buf_init(&rendered, RENDERED_MAX);
    buf_init(&expected, BUF_ANY_SIZE);
    bool complete = expect(text, value, &expected);
    bool good = template_render(template, look_up, value, &rendered, &err);
    check(good == (complete && expected.len <= RENDERED_MAX));
    check(!good || str_equal(rendered.data, expected.data));
    check(good || (err.code == ERR_REJECTED && err.text[0] != '\0'));
}

/* Any text can be written as a template. */
static void check_literal(const char *text)
{
    struct template *template;
    struct err err;
    autobuf written;
    autobuf rendered;

    buf_init(&written, BUF_ANY_SIZE);
    buf_init(&rendered, BUF_ANY_SIZE);
    for (const char *c = text; *c != '\0'; c++)
        buf_puts(&written, *c == '{' ? "{{" : (char[]){*c, '\0'});
    check(template_compile(written.data, &template, &err));
    check(template_name(template, 0) == NULL);
    check(template_render(template, look_up, NULL, &rendered, &err));
    check(str_equal(rendered.data, text));
    template_free(template);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    autofree char *value = fuzz_line(&data, &size);
    autofree char *text = fuzz_text(data, size);
    struct template *template;
    struct err err;

    check_literal(text);
    if (!template_compile(text, &template, &err)) {
        unsigned column;
        check(err.code == ERR_CONFIG && sscanf(err.text, "column %u: ", &column) == 1);
        check(column >= 1 && column <= strlen(text) && strchr(text, '{') != NULL);
        return 0;
    }
    check_rendered(text, template, value);
    template_free(template);
    return 0;
}
