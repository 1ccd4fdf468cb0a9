/* SPDX-License-Identifier: MIT */
/* What the rows of a table say of themselves. */
#include "config/help.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "base/unit.h"
#include "config/names.h"
#include "config/rows.h"
#include "config/table.h"
#include "config/value.h"

/* A longer bound of a text is there against abuse, and nobody's business. */
#define BOUND_TOLD 1000

/* --- one row --- */

char *help_keys(const struct config_row *row)
{
    autonames names = {0};
    autobuf text;

    if (row->type == CONFIG_ONE_OF)
        rows_add_kinds(row, &names);
    else
        names_add(&names, row->name, "");
    for (unsigned i = 1; row->type == CONFIG_SECRET && i < ROWS_SPELLINGS; i++)
        names_add(&names, row->name, rows_spellings[i]);
    buf_init(&text, BUF_ANY_SIZE);
    for (unsigned i = 0; i < names.count; i++)
        buf_printf(&text, "%s%s", i > 0 ? ", " : "", names.items[i]);
    return buf_take(&text);
}

const char *help_type(const struct config_row *row)
{
    switch (row->type) {
    case CONFIG_TEXT:
        return row->absolute ? "absolute path" : "text";
    case CONFIG_TEMPLATE:
        return "text with placeholders";
    case CONFIG_BOOL:
        return "true | false";
    case CONFIG_INT:
        return "number";
    case CONFIG_OCTAL:
        return "octal number";
    case CONFIG_DURATION:
        return "duration";
    case CONFIG_SIZE:
        return "size";
    case CONFIG_CHOICE: /* their names say it */
    case CONFIG_KIND:
        return "";
    case CONFIG_TEXTS:
        return "list of texts";
    case CONFIG_TEMPLATES:
        return "list of texts with placeholders";
    case CONFIG_DURATIONS:
        return "list of durations";
    case CONFIG_PAIRS:
        return "map of names to texts with placeholders";
    case CONFIG_SECRET:
        return "secret, in one of these spellings";
    case CONFIG_OBJECT:
        return row->scalar_ok ? "text or map" : "map";
    case CONFIG_OBJECTS:
        return "list of maps";
    case CONFIG_ONE_OF:
        return "map, exactly one of these";
    }
    return "";
}

static void put_alternatives(struct buf *out, const struct config_row *row)
{
    for (unsigned i = 0; row->type == CONFIG_CHOICE && row->choices[i] != NULL; i++)
        buf_printf(out, "%s%s", i > 0 ? " | " : "", row->choices[i]);
    for (unsigned i = 0; row->type == CONFIG_KIND && row->kinds[i].name != NULL; i++)
        buf_printf(out, "%s%s", i > 0 ? " | " : "", row->kinds[i].name);
}

/* What a number may be, and how long a short text. */
static void put_range(struct buf *out, const struct config_row *row)
{
    bool is_text = row->type == CONFIG_TEXT || row->type == CONFIG_TEMPLATE;
    bool is_number = row->type == CONFIG_INT || row->type == CONFIG_OCTAL ||
                     row->type == CONFIG_DURATION || row->type == CONFIG_DURATIONS ||
                     row->type == CONFIG_SIZE;
    char low[UNIT_TEXT_MAX], high[UNIT_TEXT_MAX];

    if (row->max == 0 || !(is_number || (is_text && row->max < BOUND_TOLD)))
        return;
    buf_printf(out, ", %s%s..%s%s", row->type == CONFIG_DURATIONS ? "each " : "",
               value_bound_text(row->type, row->min, low),
               value_bound_text(row->type, row->max, high), is_text ? " bytes" : "");
}

static void put_default(struct buf *out, const struct config_row *row)
{
    bool is_list =
        row->type == CONFIG_TEXTS || row->type == CONFIG_TEMPLATES || row->type == CONFIG_DURATIONS;

    if (is_list) {
        buf_puts(out, ", default [");
        for (const char *c = row->text; *c != '\0'; c++) {
            if (*c != ' ')
                buf_putc(out, *c);
            else if (c[1] != ' ')
                buf_puts(out, ", ");
        }
        buf_putc(out, ']');
    } else if (row->text[0] != '\0') {
        const char *quote = strchr(row->text, ' ') != NULL ? "\"" : "";
        buf_printf(out, ", default %s%s%s", quote, row->text, quote);
    }
}

char *help_facts(const struct config_row *row)
{
    autobuf text;

    buf_init(&text, BUF_ANY_SIZE);
    buf_puts(&text, help_type(row));
    put_alternatives(&text, row);
    put_range(&text, row);
    if (row->required)
        buf_puts(&text, ", required");
    else if (row->text != NULL)
        put_default(&text, row);
    return buf_take(&text);
}

/* --- all sections --- */

static void walk(const struct help_section *section, help_section_fn *each, void *arg);

char *help_path(const char *path, const char *name)
{
    return xasprintf("%s%s%s", path, path[0] != '\0' ? "." : "", name);
}

static void walk_kinds(const struct help_section *above, const struct config_row *row,
                       help_section_fn *each, void *arg)
{
    for (const struct config_kind *kind = row->kinds; kind->name != NULL; kind++) {
        autofree char *path = help_path(above->path, kind->name);
        struct help_section section = {
            .path = path,
            .keys_path = row->type == CONFIG_KIND ? above->path : path,
            .text = *kind->doc,
            .table = kind->table,
            .row = row,
        };
        walk(&section, each, arg);
    }
}

static void walk(const struct help_section *section, help_section_fn *each, void *arg)
{
    each(arg, section);
    for (const struct config_row *row = section->table->rows; row->name != NULL; row++) {
        if (row->kinds != NULL)
            walk_kinds(section, row, each, arg);
        if (row->table == NULL)
            continue;
        autofree char *path = help_path(section->keys_path, row->name);
        walk(&(struct help_section){.path = path,
                                    .keys_path = path,
                                    .text = row->help,
                                    .table = row->table,
                                    .row = row},
             each, arg);
    }
}

void help_each_section(const struct config_table *root, help_section_fn *each, void *arg)
{
    walk(&(struct help_section){.path = "", .keys_path = "", .table = root}, each, arg);
}
