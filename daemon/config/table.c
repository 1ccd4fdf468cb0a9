/* SPDX-License-Identifier: MIT */
/*
 * Reading a map by a table. Row by row, what is written is looked up, expanded and put into the
 * object; what is not written gets its default; and what no row knows is a mistake.
 */
#include "config/table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "config/mistakes.h"
#include "config/names.h"
#include "config/node.h"
#include "config/reader.h"
#include "config/rows.h"
#include "config/value.h"

static void *read_object(const struct reader *above, const struct config_table *table,
                         const struct node *map, const struct node *place);
static void read_rows(const struct reader *reader);
static void run_check(const struct reader *reader);

/* A zeroed object, whose kinds are none. */
static void *new_object(const struct config_table *table)
{
    rows_assert(table);
    char *object = xcalloc(1, table->size);

    for (const struct config_row *row = table->rows; row->name != NULL; row++) {
        if (row->type == CONFIG_ONE_OF || row->type == CONFIG_KIND)
            ((struct config_one_of *)(void *)(object + row->offset))->kind = -1;
    }
    return object;
}

/* A lone scalar stands for a map that holds it under the row's scalar_key. */
static void *read_lone_scalar(const struct reader *reader, const struct config_row *row,
                              const struct node *scalar)
{
    struct node member = *scalar;
    struct node map = {.type = NODE_MAP,
                       .file = scalar->file,
                       .line = scalar->line,
                       .column = scalar->column,
                       .first = &member};
    autofree char *key = xstrdup(row->scalar_key);

    member.key = key;
    member.next = NULL;
    return read_object(reader, row->table, &map, scalar);
}

static void read_map(const struct reader *reader, const struct config_row *row,
                     const struct node *node)
{
    void **slot = reader_member(reader, row);

    if (node->type == NODE_SCALAR && row->scalar_ok)
        *slot = read_lone_scalar(reader, row, node);
    else
        *slot = read_object(reader, row->table, node, node);
}

static void read_maps(const struct reader *reader, const struct config_row *row,
                      const struct node *node)
{
    struct config_objects *objects = reader_member(reader, row);

    if (node->type != NODE_LIST) {
        mistakes_at(reader->mistakes, node,
                    "%s: a list is due here, not %s; begin each item with \"- \"", row->name,
                    reader_node_text(node->type));
        return;
    }
    unsigned count = reader_count(reader, node, row->name);
    if (count == 0)
        return;
    objects->items = xcalloc(count, sizeof(*objects->items));
    for (const struct node *item = node->first; item != NULL; item = item->next) {
        if (item->type == NODE_NULL)
            mistakes_at(reader->mistakes, item,
                        "%s: an empty item; write a map of settings or take it out", row->name);
        else
            objects->items[objects->count++] = read_object(reader, row->table, item, item);
    }
}

/* The index of the kind that a name names, -1 when there is none. */
static int find_kind(const struct config_row *row, const char *name)
{
    for (int i = 0; row->kinds[i].name != NULL; i++) {
        if (str_equal(row->kinds[i].name, name))
            return i;
    }
    return -1;
}

/* CONFIG_ONE_OF: the key says the kind, its value is the kind's map. */
static void read_one_of(const struct reader *reader, const struct config_row *row)
{
    struct config_one_of *one_of = reader_member(reader, row);
    const struct node *first = NULL;
    const struct node *member = reader->map == NULL ? NULL : reader->map->first;
    autofree char *map = reader_map_text(reader);

    for (; member != NULL; member = member->next) {
        int kind = find_kind(row, member->key);
        if (kind < 0)
            continue;
        if (first != NULL) {
            mistakes_add(reader->mistakes, member->file, member->key_line, member->key_column,
                         "\"%s\" and \"%s\" are both in %s; keep one", first->key, member->key,
                         map);
            continue;
        }
        first = member;
        one_of->kind = kind;
        one_of->object = read_object(reader, row->kinds[kind].table, member, member);
    }
    if (first == NULL) {
        autonames names = {0};
        rows_add_kinds(row, &names);
        autofree char *list = names_list(names.items);
        mistakes_at(reader->mistakes, reader->place, "%s needs one of the keys %s", map, list);
    }
}

/* CONFIG_KIND: the kind's rows are read from this same map. False when there is no such kind. */
static bool put_kind(const struct reader *reader, const struct config_row *row, const char *name)
{
    struct config_one_of *one_of = reader_member(reader, row);
    int kind = find_kind(row, name);
    struct reader same = *reader;

    if (kind < 0)
        return false;
    same.table = row->kinds[kind].table;
    same.object = new_object(same.table);
    one_of->kind = kind;
    one_of->object = same.object;
    read_rows(&same);
    run_check(&same);
    return true;
}

static void read_kind(const struct reader *reader, const struct config_row *row,
                      const struct node *node)
{
    autofree char *name = NULL;
    bool expanded;

    if (!reader_expand(reader, row, row->name, node, &name, &expanded) ||
        put_kind(reader, row, name))
        return;
    autonames names = {0};
    rows_add_kinds(row, &names);
    autofree char *advice = names_advice(name, names.items);
    char excerpt[MISTAKES_EXCERPT_MAX];
    mistakes_at(reader->mistakes, node, "%s: \"%s\" is not known here%s", row->name,
                mistakes_excerpt(name, excerpt), advice);
}

/* Reads a row's value, which is not empty. */
static void read_value(const struct reader *reader, const struct config_row *row,
                       const struct node *value)
{
    switch (row->type) {
    case CONFIG_TEXT:
    case CONFIG_TEMPLATE:
    case CONFIG_BOOL:
    case CONFIG_INT:
    case CONFIG_OCTAL:
    case CONFIG_DURATION:
    case CONFIG_SIZE:
    case CONFIG_CHOICE:
        reader_scalar(reader, row, value);
        break;
    case CONFIG_TEXTS:
    case CONFIG_TEMPLATES:
    case CONFIG_DURATIONS:
        reader_list(reader, row, value);
        break;
    case CONFIG_PAIRS:
        reader_pairs(reader, row, value);
        break;
    case CONFIG_OBJECT:
        read_map(reader, row, value);
        break;
    case CONFIG_OBJECTS:
        read_maps(reader, row, value);
        break;
    case CONFIG_KIND:
        read_kind(reader, row, value);
        break;
    case CONFIG_SECRET: /* these two are more keys than one */
    case CONFIG_ONE_OF:
        break;
    }
}

/* A default that its own row does not take is our bug. */
static void put_default_text(const struct reader *reader, const struct config_row *row,
                             const char *text)
{
    char *reason = NULL;
    bool good = value_put(row, text, reader_member(reader, row), &reason);

    assert(good);
    (void)good;
}

static void put_default(const struct reader *reader, const struct config_row *row)
{
    bool is_list =
        row->type == CONFIG_TEXTS || row->type == CONFIG_TEMPLATES || row->type == CONFIG_DURATIONS;

    if (row->type == CONFIG_OBJECT) {
        *(void **)reader_member(reader, row) = read_object(reader, row->table, NULL, NULL);
    } else if (row->type == CONFIG_KIND) {
        bool good = put_kind(reader, row, row->text);
        assert(good);
        (void)good;
    } else if (is_list) {
        autofree char *items = xstrdup(row->text);
        char *rest = items;
        for (char *item; (item = strsep(&rest, " ")) != NULL;) {
            if (*item != '\0')
                put_default_text(reader, row, item);
        }
    } else {
        put_default_text(reader, row, row->text);
    }
}

static void read_row(const struct reader *reader, const struct config_row *row)
{
    const struct node *value = reader_written(reader, row->name);

    if (row->type == CONFIG_SECRET)
        reader_secret(reader, row);
    else if (row->type == CONFIG_ONE_OF)
        read_one_of(reader, row);
    else if (value != NULL)
        read_value(reader, row, value);
    else if (row->text != NULL)
        put_default(reader, row);
    else if (row->required)
        reader_add_missing(reader, row);
}

/* Fills the reader's object, which is new. */
static void read_rows(const struct reader *reader)
{
    ((struct config_place *)reader->object)->map = reader->place;
    for (const struct config_row *row = reader->table->rows; row->name != NULL; row++)
        read_row(reader, row);
}

/* Whether it is open which kind was meant, and so which keys are known. */
static bool is_kind_open(const struct reader *reader)
{
    for (const struct config_row *row = reader->table->rows; row->name != NULL; row++) {
        if (row->type == CONFIG_KIND &&
            ((struct config_one_of *)reader_member(reader, row))->kind < 0 &&
            (row->required || reader_written(reader, row->name) != NULL))
            return true;
    }
    return false;
}

static void add_unknown_keys(const struct reader *reader)
{
    autonames names = {0};
    char excerpt[MISTAKES_EXCERPT_MAX];

    if (reader->map == NULL || is_kind_open(reader))
        return;
    rows_add_keys(reader->table, reader->object, &names);
    for (const struct node *member = reader->map->first; member != NULL; member = member->next) {
        unsigned i = 0;
        while (i < names.count && !str_equal(names.items[i], member->key))
            i++;
        if (i < names.count)
            continue;
        autofree char *advice = names_advice(member->key, names.items);
        mistakes_add(reader->mistakes, member->file, member->key_line, member->key_column,
                     "unknown key \"%s\" in %s%s", mistakes_excerpt(member->key, excerpt),
                     reader->table->name, advice);
    }
}

/* Lets the table look at the whole object. */
static void run_check(const struct reader *reader)
{
    if (reader->table->check != NULL)
        reader->table->check(reader->object, reader->place, reader->mistakes);
}

/* Reads a node that should be a map; NULL and an empty value are maps without keys. */
static void *read_object(const struct reader *above, const struct config_table *table,
                         const struct node *map, const struct node *place)
{
    struct reader reader = *above;

    reader.table = table;
    reader.map = map;
    reader.place = place;
    reader.object = new_object(table);
    if (map != NULL && map->type != NODE_MAP && map->type != NODE_NULL) {
        mistakes_at(reader.mistakes, map, "%s: a map of settings is due here, not %s",
                    map->key == NULL ? table->name : map->key, reader_node_text(map->type));
        return reader.object;
    }
    read_rows(&reader);
    add_unknown_keys(&reader);
    run_check(&reader);
    return reader.object;
}

void *config_read(const struct config_table *table, const struct node *map,
                  const char *(*getenv_fn)(const char *name), struct mistakes *mistakes)
{
    const struct reader reader = {.getenv_fn = getenv_fn, .mistakes = mistakes};

    return read_object(&reader, table, map, map);
}
