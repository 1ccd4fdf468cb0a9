/* SPDX-License-Identifier: MIT */
/*
 * One map being read into one object: its single values, lists, pairs and secrets, as their rows
 * have them. What maps hold of further maps is table.c's business. For the table engine alone.
 *
 * What is wrong becomes a mistake at its place, and the row's member stays as it was; a list keeps
 * its good items.
 */
#ifndef CONFIG_READER_H
#define CONFIG_READER_H

#include <stdbool.h>

#include "base/alloc.h"
#include "config/node.h"
#include "config/table.h"

struct mistakes;

/* One map being read into one object. */
struct reader {
    const char *(*getenv_fn)(const char *name);
    struct mistakes *mistakes;
    const struct config_table *table;
    const struct node *map; /* a map, or NULL or another node, whose members are all absent */
    const struct node
        *place; /* what the object remembers as its place: map, but for lone scalars */
    void *object;
};

/* What stands behind a row in the object. */
void *reader_member(const struct reader *reader, const struct config_row *row);
/* The value of a key, NULL when it is not written or empty. */
const struct node *reader_written(const struct reader *reader, const char *key);
/* What a mistake calls the map: `queue "events"`. Fresh memory. */
char *reader_map_text(const struct reader *reader);
/* What a mistake calls a node: "a list". */
const char *reader_node_text(enum node_type type);
/* How many children a list or a map has; 0, the mistake told, when they are too many. */
unsigned reader_count(const struct reader *reader, const struct node *node, const char *name);
/* The text of a scalar with its variables expanded; false, the mistake told, when there is none.
 * name is what the mistake calls it. */
bool reader_expand(const struct reader *reader, const struct config_row *row, const char *name,
                   const struct node *node, char **ret_text, bool *ret_expanded) MUST_CHECK;

void reader_scalar(const struct reader *reader, const struct config_row *row,
                   const struct node *node);
/* A lone scalar is a list of one. */
void reader_list(const struct reader *reader, const struct config_row *row,
                 const struct node *node);
void reader_pairs(const struct reader *reader, const struct config_row *row,
                  const struct node *node);
/* Looks for all three spellings itself. */
void reader_secret(const struct reader *reader, const struct config_row *row);
/* A required row has no value. */
void reader_add_missing(const struct reader *reader, const struct config_row *row);

#endif
