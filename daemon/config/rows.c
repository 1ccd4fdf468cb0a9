/* SPDX-License-Identifier: MIT */
/* What a table's rows say before any value is read. */
#include "config/rows.h"

#include <assert.h>

#include "base/str.h"
#include "config/names.h"

const char *const rows_spellings[ROWS_SPELLINGS] = {"", "_file", "_credential"};

/* The size of the struct member that stands behind a type. */
static size_t member_size(enum config_type type)
{
    switch (type) {
    case CONFIG_TEXT:
    case CONFIG_TEMPLATE:
        return sizeof(char *);
    case CONFIG_BOOL:
        return sizeof(bool);
    case CONFIG_INT:
    case CONFIG_OCTAL:
    case CONFIG_DURATION:
    case CONFIG_SIZE:
        return sizeof(int64_t);
    case CONFIG_CHOICE:
        return sizeof(int);
    case CONFIG_TEXTS:
    case CONFIG_TEMPLATES:
        return sizeof(struct config_texts);
    case CONFIG_DURATIONS:
        return sizeof(struct config_durations);
    case CONFIG_PAIRS:
        return sizeof(struct config_pairs);
    case CONFIG_SECRET:
        return sizeof(struct config_secret);
    case CONFIG_OBJECT:
        return sizeof(void *);
    case CONFIG_OBJECTS:
        return sizeof(struct config_objects);
    case CONFIG_ONE_OF:
    case CONFIG_KIND:
        return sizeof(struct config_one_of);
    }
    return 0;
}

/* Only a text's bound has a meaning of its own at 0. */
static bool is_text(enum config_type type)
{
    return type == CONFIG_TEXT || type == CONFIG_TEMPLATE || type == CONFIG_TEXTS ||
           type == CONFIG_TEMPLATES || type == CONFIG_PAIRS || type == CONFIG_SECRET;
}

/* Some types have no text that could be their default, or just one. */
static void assert_default(const struct config_row *row)
{
    assert(row->text == NULL || !row->required);
    if (row->type == CONFIG_OBJECT)
        assert(row->text == NULL || str_equal(row->text, ""));
    if (row->type == CONFIG_OBJECTS || row->type == CONFIG_PAIRS || row->type == CONFIG_SECRET ||
        row->type == CONFIG_ONE_OF)
        assert(row->text == NULL);
}

static void assert_row(const struct config_table *table, const struct config_row *row)
{
    size_t size = member_size(row->type);
    bool has_kinds = row->type == CONFIG_ONE_OF || row->type == CONFIG_KIND;
    bool has_table = row->type == CONFIG_OBJECT || row->type == CONFIG_OBJECTS;

    assert(size != 0);
    assert(row->offset >= sizeof(struct config_place));
    assert(size <= table->size && row->offset <= table->size - size);
    assert(row->min <= row->max || (is_text(row->type) && row->max == 0));
    assert(!is_text(row->type) || row->min >= 0);
    assert((row->choices != NULL) == (row->type == CONFIG_CHOICE));
    assert((row->table != NULL) == has_table);
    assert((row->kinds != NULL) == has_kinds);
    assert(row->scalar_ok == (row->scalar_key != NULL));
    assert(!row->scalar_ok || row->type == CONFIG_OBJECT);
    assert_default(row);
}

void rows_assert(const struct config_table *table)
{
    assert(table->name != NULL && table->size >= sizeof(struct config_place));
    for (const struct config_row *row = table->rows; row->name != NULL; row++) {
        assert_row(table, row);
        for (const struct config_row *other = row + 1; other->name != NULL; other++)
            assert(!str_equal(row->name, other->name));
    }
}

void rows_add_kinds(const struct config_row *row, struct names *names)
{
    for (const struct config_kind *kind = row->kinds; kind->name != NULL; kind++)
        names_add(names, kind->name, "");
}

void rows_add_keys(const struct config_table *table, const void *object, struct names *names)
{
    for (const struct config_row *row = table->rows; row->name != NULL; row++) {
        const struct config_one_of *one_of = (const void *)((const char *)object + row->offset);
        if (row->type == CONFIG_SECRET) {
            for (unsigned i = 0; i < ROWS_SPELLINGS; i++)
                names_add(names, row->name, rows_spellings[i]);
        } else if (row->type == CONFIG_ONE_OF) {
            rows_add_kinds(row, names);
        } else {
            names_add(names, row->name, "");
        }
        if (row->type == CONFIG_KIND && one_of->kind >= 0)
            rows_add_keys(row->kinds[one_of->kind].table, one_of->object, names);
    }
}
