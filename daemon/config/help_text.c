/* SPDX-License-Identifier: MIT */
/* `--help KEY`: rows as text for a terminal. */
#include "config/help_text.h"

#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "config/help.h"
#include "config/names.h"
#include "config/rows.h"
#include "config/table.h"

#define LINE_COLUMNS 79
#define KEY_COLUMN   2
#define TEXT_COLUMN  20

void help_text_wrap(struct buf *out, const char *text, unsigned indent, unsigned column)
{
    while (*text != '\0') {
        size_t word = strcspn(text, " ");

        if (column > indent && column + 1 + word > LINE_COLUMNS) {
            buf_printf(out, "\n%*s", (int)indent, "");
            column = indent;
        } else if (column > indent) {
            buf_putc(out, ' ');
            column++;
        }
        buf_append(out, text, word);
        column += (unsigned)word;
        text += word;
        text += strspn(text, " ");
    }
    buf_putc(out, '\n');
}

/* A text below a row's facts. */
static void put_line(struct buf *out, const char *text)
{
    buf_printf(out, "%*s", TEXT_COLUMN, "");
    help_text_wrap(out, text, TEXT_COLUMN, TEXT_COLUMN);
}

static void put_row(struct buf *out, const struct config_row *row, const char *keys)
{
    autofree char *facts = help_facts(row);
    size_t len = strlen(keys);

    buf_printf(out, "%*s%s", KEY_COLUMN, "", keys);
    if (KEY_COLUMN + len + 2 > TEXT_COLUMN)
        buf_printf(out, "\n%*s", TEXT_COLUMN, "");
    else
        buf_printf(out, "%*s", (int)(TEXT_COLUMN - KEY_COLUMN - len), "");
    help_text_wrap(out, facts, TEXT_COLUMN, TEXT_COLUMN);
    if (row->help != NULL)
        put_line(out, row->help);
    for (const struct config_kind *kind = row->kinds; kind != NULL && kind->name != NULL; kind++) {
        autofree char *line = xasprintf("%s: %s", kind->name, *kind->doc);
        put_line(out, line);
    }
}

/* Where the settings of a row's kinds are told. */
static void put_kinds(struct buf *out, const struct help_section *section,
                      const struct config_row *row)
{
    autobuf text;

    buf_init(&text, BUF_ANY_SIZE);
    buf_puts(&text, "Each kind's own settings: cvnotifyd --help ");
    for (const struct config_kind *kind = row->kinds; kind->name != NULL; kind++)
        buf_printf(&text, "%s%s.%s", kind == row->kinds ? "" : ", ", section->path, kind->name);
    buf_printf(out, "\n%*s", KEY_COLUMN, "");
    help_text_wrap(out, text.data, KEY_COLUMN, KEY_COLUMN);
}

static void put_section(struct buf *out, const struct help_section *section)
{
    bool is_root = section->path[0] == '\0';

    buf_printf(out, "%s%s", out->len > 0 ? "\n" : "", is_root ? "settings" : section->path);
    if (!is_root && section->row->kinds == NULL)
        buf_printf(out, ": a %s",
                   section->row->type == CONFIG_OBJECTS ? "list of maps" : help_type(section->row));
    buf_putc(out, '\n');
    if (section->text != NULL) {
        buf_printf(out, "%*s", KEY_COLUMN, "");
        help_text_wrap(out, section->text, KEY_COLUMN, KEY_COLUMN);
    }
    buf_putc(out, '\n');
    for (const struct config_row *row = section->table->rows; row->name != NULL; row++) {
        autofree char *keys = help_keys(row);
        put_row(out, row, keys);
    }
    for (const struct config_row *row = section->table->rows; row->name != NULL; row++) {
        if (row->kinds != NULL)
            put_kinds(out, section, row);
    }
}

/* --- looking a key up --- */

struct search {
    const char *key;
    bool whole; /* the key must be the whole path, not its end */
    struct buf *out;
    struct names paths; /* of all that there is, for advice */
};

static bool is_path(const struct search *search, const char *path)
{
    size_t len = strlen(path), key_len = strlen(search->key);

    if (search->whole || len <= key_len)
        return str_equal(path, search->key);
    return str_ends(path, search->key) && path[len - key_len - 1] == '.';
}

static void look_into_row(struct search *search, const struct help_section *section,
                          const struct config_row *row)
{
    unsigned spellings = row->type == CONFIG_SECRET ? ROWS_SPELLINGS : 1;
    autofree char *path = help_path(section->keys_path, row->name);
    bool found = false;

    if (row->type == CONFIG_ONE_OF || row->table != NULL)
        return; /* a section, or several */
    for (unsigned i = 0; i < spellings; i++) {
        autofree char *spelt = xasprintf("%s%s", path, rows_spellings[i]);
        names_add(&search->paths, spelt, "");
        found |= is_path(search, spelt);
    }
    if (!found)
        return;
    autofree char *keys = help_keys(row);
    autofree char *full = help_path(section->keys_path, keys);
    put_row(search->out, row, full);
}

static void look_into(void *arg, const struct help_section *section)
{
    struct search *search = arg;
    bool all = str_equal(search->key, "settings");

    names_add(&search->paths, section->path[0] != '\0' ? section->path : "settings", "");
    if (all || is_path(search, section->path)) {
        put_section(search->out, section);
        return;
    }
    for (const struct config_row *row = section->table->rows; row->name != NULL; row++)
        look_into_row(search, section, row);
}

bool help_text_put(const struct config_table *root, const char *key, struct buf *out,
                   struct err *err)
{
    size_t before = out->len;
    bool good = true;

    for (int whole = 1; whole >= 0 && good && out->len == before; whole--) {
        struct search search = {.key = key, .whole = whole == 1, .out = out};

        help_each_section(root, look_into, &search);
        if (whole == 0 && out->len == before) {
            const char *near = str_nearest(key, search.paths.items);
            good = err_set(err, ERR_CONFIG, "there is no setting \"%s\"%s%s%s", key,
                           near != NULL ? "; did you mean \"" : "; see --help settings",
                           near != NULL ? near : "", near != NULL ? "\"?" : "");
        }
        names_done(&search.paths);
    }
    return good;
}
