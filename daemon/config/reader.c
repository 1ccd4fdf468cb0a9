/* SPDX-License-Identifier: MIT */
/* One map being read: its single values, lists, pairs and secrets, as their rows have them. */
#include "config/reader.h"

#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "base/str.h"
#include "config/mistakes.h"
#include "config/node.h"
#include "config/rows.h"
#include "config/value.h"

void *reader_member(const struct reader *reader, const struct config_row *row)
{
    return (char *)reader->object + row->offset;
}

/* The value of a key, NULL when it is not written or empty. */
const struct node *reader_written(const struct reader *reader, const char *key)
{
    const struct node *value = reader->map == NULL ? NULL : node_member(reader->map, key);

    return value == NULL || value->type == NODE_NULL ? NULL : value;
}

/* What a mistake calls the map: `queue "events"`. */
char *reader_map_text(const struct reader *reader)
{
    const struct node *name = reader_written(reader, "name");
    char excerpt[MISTAKES_EXCERPT_MAX];

    for (const struct config_row *row = reader->table->rows; row->name != NULL; row++) {
        if (row->type == CONFIG_TEXT && str_equal(row->name, "name") && name != NULL &&
            name->type == NODE_SCALAR)
            return xasprintf("%s \"%s\"", reader->table->name,
                             mistakes_excerpt(name->text, excerpt));
    }
    return xstrdup(reader->table->name);
}

const char *reader_node_text(enum node_type type)
{
    switch (type) {
    case NODE_NULL:
        return "nothing";
    case NODE_SCALAR:
        return "a text";
    case NODE_LIST:
        return "a list";
    case NODE_MAP:
        return "a map";
    }
    return "";
}

/* Whether a node is what YAML makes of {name} without quotes. */
static bool is_bare_placeholder(const struct node *node)
{
    return node->type == NODE_MAP && node->flow && node->first != NULL &&
           node->first->next == NULL && node->first->type == NODE_NULL;
}

/* A scalar was due and something else is written. */
static void add_not_scalar(const struct reader *reader, const struct config_row *row,
                           const char *name, const struct node *node)
{
    char excerpt[MISTAKES_EXCERPT_MAX];

    if (node->type == NODE_NULL) {
        mistakes_at(reader->mistakes, node,
                    "%s: there is no value here; write one (\"\" is an empty text) or take the "
                    "item out",
                    name);
    } else if (is_bare_placeholder(node) && row->type != CONFIG_SECRET) {
        mistakes_excerpt(node->first->key, excerpt);
        mistakes_at(reader->mistakes, node,
                    "%s: without quotes {%s} is a map, not a text; write \"{%s}\"", name, excerpt,
                    excerpt);
    } else {
        mistakes_at(reader->mistakes, node, "%s: %s is due here, not %s%s", name,
                    value_type_text(row->type), reader_node_text(node->type),
                    node->flow ? "; a text with braces or brackets in it needs quotes" : "");
    }
}

/* The text of a scalar with its variables expanded; false when that is a mistake. */
bool reader_expand(const struct reader *reader, const struct config_row *row, const char *name,
                   const struct node *node, char **ret_text, bool *ret_expanded)
{
    bool is_template =
        row->type == CONFIG_TEMPLATE || row->type == CONFIG_TEMPLATES || row->type == CONFIG_PAIRS;
    autofree char *reason = NULL;

    if (node->type != NODE_SCALAR) {
        add_not_scalar(reader, row, name, node);
        return false;
    }
    if (config_expand(node->text, is_template, reader->getenv_fn, ret_text, ret_expanded, &reason))
        return true;
    mistakes_at(reader->mistakes, node, "%s: %s", name, reason);
    return false;
}

void reader_scalar(const struct reader *reader, const struct config_row *row,
                   const struct node *node)
{
    autofree char *text = NULL;
    autofree char *reason = NULL;
    bool expanded;

    if (reader_expand(reader, row, row->name, node, &text, &expanded) &&
        !value_put(row, text, reader_member(reader, row), &reason))
        mistakes_at(reader->mistakes, node, "%s: %s", row->name, reason);
}

/* How many children a list or a map has; 0, the mistake told, when they are too many. */
unsigned reader_count(const struct reader *reader, const struct node *node, const char *name)
{
    unsigned count = 0;

    for (const struct node *child = node->first; child != NULL; child = child->next)
        count++;
    if (count <= CONFIG_LIST_MAX)
        return count;
    mistakes_at(reader->mistakes, node, "%s: %u items are too many; at most %d", name, count,
                CONFIG_LIST_MAX);
    return 0;
}

void reader_list(const struct reader *reader, const struct config_row *row, const struct node *node)
{
    if (node->type != NODE_LIST) {
        reader_scalar(reader, row, node);
    } else if (reader_count(reader, node, row->name) != 0) {
        for (const struct node *item = node->first; item != NULL; item = item->next)
            reader_scalar(reader, row, item);
    }
}

static void read_pair(const struct reader *reader, const struct config_row *row,
                      const struct node *node, struct config_pairs *pairs)
{
    char excerpt[MISTAKES_EXCERPT_MAX];
    autofree char *name = xasprintf("%s %s", row->name, mistakes_excerpt(node->key, excerpt));
    autofree char *text = NULL;
    autofree char *reason = NULL;
    bool expanded;

    if (!reader_expand(reader, row, name, node, &text, &expanded))
        return;
    if (!value_fits(row, text, &reason)) {
        mistakes_at(reader->mistakes, node, "%s: %s", name, reason);
        return;
    }
    pairs->names[pairs->count] = xstrdup(node->key);
    pairs->values[pairs->count++] = take(text);
}

void reader_pairs(const struct reader *reader, const struct config_row *row,
                  const struct node *node)
{
    struct config_pairs *pairs = reader_member(reader, row);

    if (node->type != NODE_MAP) {
        mistakes_at(reader->mistakes, node,
                    "%s: a map of names to texts is due here, as in {NAME: text}, not %s",
                    row->name, reader_node_text(node->type));
        return;
    }
    unsigned count = reader_count(reader, node, row->name);
    if (count == 0)
        return;
    pairs->names = xcalloc(count, sizeof(*pairs->names));
    pairs->values = xcalloc(count, sizeof(*pairs->values));
    for (const struct node *pair = node->first; pair != NULL; pair = pair->next)
        read_pair(reader, row, pair, pairs);
}

/* Whether a text may name a secret's file or credential. What may not is perhaps the secret itself, so
 * the reason does not show it. */
static bool names_a_place(unsigned spelling, const char *name, const char *text, char **ret_reason)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    bool good =
        spelling == 1 ? text[0] == '/' : text[0] != '\0' && text[strspn(text, letters)] == '\0';

    if (!good)
        *ret_reason = xasprintf("%s is due here; a secret itself goes into `%s`",
                                spelling == 1 ? "the absolute path of a file"
                                              : "the name of a systemd credential",
                                name);
    return good;
}

/* Reads one spelling of a secret: its text, or the name of where it is kept. */
static void read_spelling(const struct reader *reader, const struct config_row *row,
                          unsigned spelling, const struct node *node, struct config_secret *secret)
{
    struct config_row text_row = *row;
    char *text = NULL;
    autofree char *reason = NULL;
    bool expanded;

    if (!reader_expand(reader, row, node->key, node, &text, &expanded))
        return;
    char *trimmed = str_trim(text);
    text_row.min = max_of(row->min, 1);
    if (spelling != 0 ? !names_a_place(spelling, row->name, trimmed, &reason)
                      : !value_fits(&text_row, trimmed, &reason)) {
        mistakes_at(reader->mistakes, node, "%s: %s", node->key, reason);
    } else if (spelling == 0) {
        secret->text = xstrdup(trimmed);
        secret->literal = !expanded;
    } else if (spelling == 1) {
        secret->file = xstrdup(trimmed);
    } else {
        secret->credential = xstrdup(trimmed);
    }
    secret_free_text(text);
}

/* A required row has no value. A secret's row has three keys. */
void reader_add_missing(const struct reader *reader, const struct config_row *row)
{
    autofree char *map = reader_map_text(reader);

    if (row->type == CONFIG_SECRET)
        mistakes_at(reader->mistakes, reader->place,
                    "%s has no \"%s\", which is required; \"%s_file\" or \"%s_credential\" may "
                    "stand for it",
                    map, row->name, row->name, row->name);
    else
        mistakes_at(reader->mistakes, reader->place, "%s has no \"%s\", which is required", map,
                    row->name);
}

void reader_secret(const struct reader *reader, const struct config_row *row)
{
    const struct node *first = NULL;

    for (unsigned i = 0; i < ROWS_SPELLINGS; i++) {
        autofree char *key = xasprintf("%s%s", row->name, rows_spellings[i]);
        const struct node *value = reader_written(reader, key);
        if (value == NULL)
            continue;
        if (first == NULL) {
            first = value;
            read_spelling(reader, row, i, value, reader_member(reader, row));
        } else {
            autofree char *map = reader_map_text(reader);
            mistakes_at(reader->mistakes, value, "\"%s\" and \"%s\" are both in %s; keep one",
                        first->key, key, map);
        }
    }
    if (first == NULL && row->required)
        reader_add_missing(reader, row);
}
