/* SPDX-License-Identifier: MIT */
/*
 * What becomes of an object after the table engine read it: freed, compared, looked through, row by
 * row. The header is table.h.
 */
#include "config/table.h"

#include <stdlib.h>

#include "base/secret.h"
#include "base/str.h"

/* What stands behind a row in an object. */
static void *member_of(const struct config_row *row, void *object)
{
    return (char *)object + row->offset;
}

static const void *const_member_of(const struct config_row *row, const void *object)
{
    return (const char *)object + row->offset;
}

/* The table of what a kind's member holds, NULL when it holds nothing. */
static const struct config_table *kind_table(const struct config_row *row,
                                             const struct config_one_of *one_of)
{
    return one_of->object == NULL ? NULL : row->kinds[one_of->kind].table;
}

static void free_texts(char **texts, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        free(texts[i]);
    free(texts);
}

static void free_objects(const struct config_table *table, struct config_objects *objects)
{
    for (unsigned i = 0; i < objects->count; i++)
        config_free(table, objects->items[i]);
    free(objects->items);
}

static void free_secret(struct config_secret *secret)
{
    secret_free_text(secret->text);
    free(secret->file);
    free(secret->credential);
}

static void free_member(const struct config_row *row, void *member)
{
    switch (row->type) {
    case CONFIG_TEXT:
    case CONFIG_TEMPLATE:
        free(*(char **)member);
        break;
    case CONFIG_TEXTS:
    case CONFIG_TEMPLATES:
        free_texts(((struct config_texts *)member)->items, ((struct config_texts *)member)->count);
        break;
    case CONFIG_DURATIONS:
        free(((struct config_durations *)member)->items_ms);
        break;
    case CONFIG_PAIRS:
        free_texts(((struct config_pairs *)member)->names, ((struct config_pairs *)member)->count);
        free_texts(((struct config_pairs *)member)->values, ((struct config_pairs *)member)->count);
        break;
    case CONFIG_SECRET:
        free_secret(member);
        break;
    case CONFIG_OBJECT:
        config_free(row->table, *(void **)member);
        break;
    case CONFIG_OBJECTS:
        free_objects(row->table, member);
        break;
    case CONFIG_ONE_OF:
    case CONFIG_KIND:
        config_free(kind_table(row, member), ((struct config_one_of *)member)->object);
        break;
    case CONFIG_BOOL:
    case CONFIG_INT:
    case CONFIG_OCTAL:
    case CONFIG_DURATION:
    case CONFIG_SIZE:
    case CONFIG_CHOICE:
        break;
    }
}

void config_free(const struct config_table *table, void *object)
{
    if (object == NULL)
        return;
    for (const struct config_row *row = table->rows; row->name != NULL; row++)
        free_member(row, member_of(row, object));
    free(object);
}

static bool texts_equal(char *const *a, unsigned a_count, char *const *b, unsigned b_count)
{
    if (a_count != b_count)
        return false;
    for (unsigned i = 0; i < a_count; i++) {
        if (!str_equal(a[i], b[i]))
            return false;
    }
    return true;
}

static bool durations_equal(const struct config_durations *a, const struct config_durations *b)
{
    if (a->count != b->count)
        return false;
    for (unsigned i = 0; i < a->count; i++) {
        if (a->items_ms[i] != b->items_ms[i])
            return false;
    }
    return true;
}

static bool pairs_equal(const struct config_pairs *a, const struct config_pairs *b)
{
    return texts_equal(a->names, a->count, b->names, b->count) &&
           texts_equal(a->values, a->count, b->values, b->count);
}

static bool secrets_equal(const struct config_secret *a, const struct config_secret *b)
{
    return str_equal(a->text, b->text) && str_equal(a->file, b->file) &&
           str_equal(a->credential, b->credential);
}

static bool objects_equal(const struct config_table *table, const struct config_objects *a,
                          const struct config_objects *b)
{
    if (a->count != b->count)
        return false;
    for (unsigned i = 0; i < a->count; i++) {
        if (!config_equal(table, a->items[i], b->items[i]))
            return false;
    }
    return true;
}

static bool kinds_equal(const struct config_row *row, const struct config_one_of *a,
                        const struct config_one_of *b)
{
    return a->kind == b->kind && config_equal(kind_table(row, a), a->object, b->object);
}

static bool members_equal(const struct config_row *row, const void *a, const void *b)
{
    const struct config_texts *a_texts = a, *b_texts = b;

    switch (row->type) {
    case CONFIG_TEXT:
    case CONFIG_TEMPLATE:
        return str_equal(*(char *const *)a, *(char *const *)b);
    case CONFIG_BOOL:
        return *(const bool *)a == *(const bool *)b;
    case CONFIG_INT:
    case CONFIG_OCTAL:
    case CONFIG_DURATION:
    case CONFIG_SIZE:
        return *(const int64_t *)a == *(const int64_t *)b;
    case CONFIG_CHOICE:
        return *(const int *)a == *(const int *)b;
    case CONFIG_TEXTS:
    case CONFIG_TEMPLATES:
        return texts_equal(a_texts->items, a_texts->count, b_texts->items, b_texts->count);
    case CONFIG_DURATIONS:
        return durations_equal(a, b);
    case CONFIG_PAIRS:
        return pairs_equal(a, b);
    case CONFIG_SECRET:
        return secrets_equal(a, b);
    case CONFIG_OBJECT:
        return config_equal(row->table, *(void *const *)a, *(void *const *)b);
    case CONFIG_OBJECTS:
        return objects_equal(row->table, a, b);
    case CONFIG_ONE_OF:
    case CONFIG_KIND:
        return kinds_equal(row, a, b);
    }
    return false;
}

bool config_equal(const struct config_table *table, const void *a, const void *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    for (const struct config_row *row = table->rows; row->name != NULL; row++) {
        if (!members_equal(row, const_member_of(row, a), const_member_of(row, b)))
            return false;
    }
    return true;
}

typedef bool secret_test(const struct config_secret *secret);

static const struct config_secret *find_secret(const struct config_table *table, const void *object,
                                               secret_test *wanted);

static const struct config_secret *find_in_all(const struct config_table *table,
                                               const struct config_objects *objects,
                                               secret_test *wanted)
{
    const struct config_secret *found = NULL;

    for (unsigned i = 0; i < objects->count && found == NULL; i++)
        found = find_secret(table, objects->items[i], wanted);
    return found;
}

static const struct config_secret *find_in_member(const struct config_row *row, const void *member,
                                                  secret_test *wanted)
{
    switch (row->type) {
    case CONFIG_SECRET:
        return wanted(member) ? member : NULL;
    case CONFIG_OBJECT:
        return find_secret(row->table, *(void *const *)member, wanted);
    case CONFIG_OBJECTS:
        return find_in_all(row->table, member, wanted);
    case CONFIG_ONE_OF:
    case CONFIG_KIND:
        return find_secret(kind_table(row, member), ((const struct config_one_of *)member)->object,
                           wanted);
    case CONFIG_TEXT:
    case CONFIG_TEMPLATE:
    case CONFIG_BOOL:
    case CONFIG_INT:
    case CONFIG_OCTAL:
    case CONFIG_DURATION:
    case CONFIG_SIZE:
    case CONFIG_CHOICE:
    case CONFIG_TEXTS:
    case CONFIG_TEMPLATES:
    case CONFIG_DURATIONS:
    case CONFIG_PAIRS:
        break;
    }
    return NULL;
}

/* The first secret in an object, or below it, that is wanted. */
static const struct config_secret *find_secret(const struct config_table *table, const void *object,
                                               secret_test *wanted)
{
    const struct config_secret *found = NULL;

    if (object == NULL)
        return NULL;
    for (const struct config_row *row = table->rows; row->name != NULL && found == NULL; row++)
        found = find_in_member(row, const_member_of(row, object), wanted);
    return found;
}

static bool is_literal(const struct config_secret *secret)
{
    return secret->literal;
}

bool config_has_literal_secret(const struct config_table *table, const void *object)
{
    return find_secret(table, object, is_literal) != NULL;
}

static bool is_credential(const struct config_secret *secret)
{
    return secret->credential != NULL;
}

const char *config_credential(const struct config_table *table, const void *object)
{
    const struct config_secret *found = find_secret(table, object, is_credential);

    return found == NULL ? NULL : found->credential;
}

bool config_secret_is_set(const struct config_secret *secret)
{
    return secret->text != NULL || secret->file != NULL || secret->credential != NULL;
}
