/* SPDX-License-Identifier: MIT */
/* Lists of names, and how a mistake speaks of them. */
#include "config/names.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/str.h"

void names_add(struct names *names, const char *name, const char *suffix)
{
    names->items = xreallocarray(names->items, names->count + 2, sizeof(*names->items));
    names->items[names->count++] = xasprintf("%s%s", name, suffix);
    names->items[names->count] = NULL;
}

void names_done(struct names *names)
{
    for (unsigned i = 0; i < names->count; i++)
        free((char *)names->items[i]);
    free(names->items);
    *names = (struct names){0};
}

char *names_list(const char *const *names)
{
    autobuf list;

    buf_init(&list, BUF_ANY_SIZE);
    for (; names != NULL && *names != NULL; names++) {
        if (list.len != 0)
            buf_puts(&list, names[1] == NULL ? " or " : ", ");
        buf_puts(&list, *names);
    }
    return buf_take(&list);
}

char *names_advice(const char *text, const char *const *names)
{
    const char *nearest = names == NULL ? NULL : str_nearest(text, names);

    if (nearest != NULL)
        return xasprintf("; did you mean \"%s\"?", nearest);
    autofree char *list = names_list(names);
    return xasprintf("; it may be %s", list);
}
