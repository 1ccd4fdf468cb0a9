/* SPDX-License-Identifier: MIT */
/*
 * ${VAR} and ${VAR:-default} in a value. Reasons name variables, never what stands around them: the
 * value may be a secret that happens to hold a dollar.
 */
#include "config/table.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"

/* A short text can name a long variable many times. */
#define EXPANDED_MAX ((size_t)1024 * 1024)

struct expansion {
    const char *(*getenv_fn)(const char *name);
    bool double_braces;
    bool expanded;
    struct buf out;
    char *reason;
};

static bool is_name_char(char c)
{
    return isalnum((unsigned char)c) != 0 || c == '_';
}

/* Appends what a variable held. */
static void put_value(struct expansion *expansion, const char *value)
{
    for (; *value != '\0'; value++) {
        if (*value == '{' && expansion->double_braces)
            buf_putc(&expansion->out, '{');
        buf_putc(&expansion->out, *value);
    }
}

/* Appends a default, in which `$$` is a dollar as everywhere. */
static void put_default(struct expansion *expansion, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '$' && i + 1 < len && text[i + 1] == '$')
            i++;
        buf_putc(&expansion->out, text[i]);
    }
}

/* Gives up with the reason, taken. Returns false. */
static bool refuse(struct expansion *expansion, char *reason)
{
    expansion->reason = reason;
    return false;
}

/* Appends what a variable stands for; rest is what follows its name between the braces. */
static bool put_named(struct expansion *expansion, const char *name, const char *rest, size_t len)
{
    bool has_default = len >= 2 && memcmp(rest, ":-", 2) == 0;

    if (len != 0 && !has_default)
        return refuse(expansion,
                      xasprintf("${%s is followed by something else than \"}\" or \":-\"; write "
                                "${%s} or ${%s:-default}",
                                name, name, name));
    /* A brace there is a placeholder or another variable, which its own end would cut in two. */
    if (memchr(rest, '{', len) != NULL)
        return refuse(expansion, xasprintf("the default of ${%s} holds a brace; variables do not "
                                           "nest, and a default ends at its first \"}\"",
                                           name));
    const char *value = expansion->getenv_fn(name);
    expansion->expanded |= value != NULL && *value != '\0';
    if (has_default && (value == NULL || *value == '\0'))
        put_default(expansion, rest + 2, len - 2);
    else if (value != NULL)
        put_value(expansion, value);
    else
        return refuse(expansion, xasprintf("the variable %s is not set; set it, or write "
                                           "${%s:-default}",
                                           name, name));
    return true;
}

/* Appends what the text between the braces of ${...} stands for. */
static bool put_variable(struct expansion *expansion, const char *text, size_t len)
{
    size_t name_len = 0;

    while (name_len < len && is_name_char(text[name_len]))
        name_len++;
    if (name_len == 0 || isdigit((unsigned char)text[0]) != 0)
        return refuse(expansion, xstrdup("what follows \"${\" is not a variable's name; write "
                                         "${NAME}, or $${ for a dollar and a brace"));
    autofree char *name = xstrndup(text, name_len);
    return put_named(expansion, name, text + name_len, len - name_len);
}

/* Works off what a dollar begins, and moves *text behind it. */
static bool put_dollar(struct expansion *expansion, const char **text)
{
    const char *p = *text + 1;

    if (*p != '{') {
        *text = *p == '$' ? p + 1 : p;
        buf_putc(&expansion->out, '$');
        return true;
    }
    const char *end = strchr(p, '}');
    if (end == NULL)
        return refuse(expansion,
                      xstrdup("a \"${\" has no \"}\"; write ${NAME}, or $${ for a dollar "
                              "and a brace"));
    *text = end + 1;
    return put_variable(expansion, p + 1, (size_t)(end - p - 1));
}

bool config_expand(const char *text, bool double_braces, const char *(*getenv_fn)(const char *name),
                   char **ret_text, bool *ret_expanded, char **ret_reason)
{
    struct expansion expansion = {.getenv_fn = getenv_fn, .double_braces = double_braces};
    bool ok = true;

    buf_init(&expansion.out, EXPANDED_MAX);
    while (ok && *text != '\0') {
        if (*text == '$')
            ok = put_dollar(&expansion, &text);
        else
            buf_putc(&expansion.out, *text++);
    }
    if (ok && expansion.out.overflow)
        ok = refuse(&expansion, xstrdup("with its variables it is longer than 1 MiB"));
    if (ok) {
        *ret_text = buf_take(&expansion.out);
        *ret_expanded = expansion.expanded;
    } else {
        *ret_reason = expansion.reason;
    }
    buf_wipe(&expansion.out);
    buf_done(&expansion.out);
    return ok;
}

const char *config_getenv(const char *name)
{
    return getenv(name);
}
