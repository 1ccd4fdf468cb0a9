/* SPDX-License-Identifier: MIT */
/* Texts with placeholders. */
#include "codec/template.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

/* A stretch of text as it is, or a placeholder. */
struct part {
    char *name; /* NULL: text as it is */
    char *text; /* the text, or the placeholder's default, NULL when it has none */
};

struct template
{
    struct part *parts;
    size_t count;
};

/* A template's text while it is compiled. */
struct source {
    const char *begin;
    const char *at;
    struct template *template;
    struct buf literal; /* text that has not become a part yet */
};

static void add_part(struct template *template, char *name, char *text)
{
    template->parts = xreallocarray(template->parts, template->count + 1, sizeof(*template->parts));
    template->parts[template->count++] = (struct part){.name = name, .text = text};
}

static void end_literal(struct source *source)
{
    if (source->literal.len != 0)
        add_part(source->template, NULL, buf_take(&source->literal));
}

static size_t name_length(const char *text)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz";

    if (*text == '\0' || strchr(letters, *text) == NULL)
        return 0;
    return strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_");
}

static bool fail(const struct source *source, const char *brace, const char *why, struct err *err)
{
    return err_set(err, ERR_CONFIG, "column %zu: %s", (size_t)(brace - source->begin) + 1, why);
}

/* Reads `{name}` or `{name:-default}`, source->at being at the brace. */
static bool read_placeholder(struct source *source, struct err *err)
{
    const char *brace = source->at, *name = brace + 1;
    size_t len = name_length(name);
    const char *after = name + len;

    if (len == 0)
        return fail(source, brace,
                    "'{' must begin a placeholder such as {project_id}; a brace itself is '{{'",
                    err);
    const char *text = str_starts(after, ":-") ? after + 2 : NULL;
    const char *end = text != NULL ? text + strcspn(text, "{}") : after;
    if (*end == '\0')
        return fail(source, brace, "this placeholder has no '}'", err);
    if (*end == '{')
        return fail(source, end, "a placeholder can not hold a brace", err);
    if (*end != '}')
        return fail(source, end,
                    "a placeholder is {name} or {name:-default}, its name of a-z, 0-9 and '_'",
                    err);
    end_literal(source);
    add_part(source->template, xstrndup(name, len),
             text == NULL ? NULL : xstrndup(text, (size_t)(end - text)));
    source->at = end + 1;
    return true;
}

static bool read_parts(struct source *source, struct err *err)
{
    while (*source->at != '\0') {
        if (*source->at != '{') {
            size_t len = strcspn(source->at, "{");
            buf_append(&source->literal, source->at, len);
            source->at += len;
        } else if (source->at[1] == '{') {
            buf_putc(&source->literal, '{');
            source->at += 2;
        } else if (!read_placeholder(source, err)) {
            return false;
        }
    }
    end_literal(source);
    return true;
}

bool template_compile(const char *text, struct template **ret_template, struct err *err)
{
    struct source source = {
        .begin = text, .at = text, .template = xcalloc(1, sizeof(struct template))};

    buf_init(&source.literal, BUF_ANY_SIZE);
    bool good = read_parts(&source, err);
    buf_done(&source.literal);
    if (good)
        *ret_template = source.template;
    else
        template_free(source.template);
    return good;
}

void template_free(struct template *template)
{
    if (template == NULL)
        return;
    for (size_t i = 0; i < template->count; i++) {
        free(template->parts[i].name);
        free(template->parts[i].text);
    }
    free(template->parts);
    free(template);
}

static const char *value_of(const struct part *part, template_lookup_fn *lookup, void *arg)
{
    if (part->name == NULL)
        return part->text;
    const char *value = lookup(arg, part->name);
    return value != NULL && value[0] != '\0' ? value : part->text;
}

bool template_render(const struct template *template, template_lookup_fn *lookup, void *arg,
                     struct buf *out, struct err *err)
{
    for (size_t i = 0; i < template->count; i++) {
        const struct part *part = &template->parts[i];
        const char *value = value_of(part, lookup, arg);
        if (value == NULL)
            return err_set(err, ERR_REJECTED,
                           "this message has no value for {%s}, which has no default", part->name);
        if (!buf_puts(out, value))
            return err_set(err, ERR_REJECTED, "the text would be larger than %zu bytes", out->max);
    }
    return true;
}

/* The i-th placeholder among the parts, or NULL. */
static const struct part *placeholder(const struct template *template, unsigned i)
{
    for (size_t at = 0; at < template->count; at++) {
        const struct part *part = &template->parts[at];
        if (part->name != NULL && i-- == 0)
            return part;
    }
    return NULL;
}

const char *template_name(const struct template *template, unsigned i)
{
    const struct part *part = placeholder(template, i);

    return part == NULL ? NULL : part->name;
}
