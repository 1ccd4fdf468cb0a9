/* SPDX-License-Identifier: MIT */
/*
 * A configuration text as a tree of nodes that know where they stand, through libyaml's events.
 * Values are text: whether `022` is a number is the table's business. Aliases and tags are refused,
 * so a tree is never larger than its text and every value means what it says.
 */
#ifndef CONFIG_NODE_H
#define CONFIG_NODE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/alloc.h"

#define NODE_TEXT_MAX  ((size_t)1024 * 1024) /* bytes in a configuration */
#define NODE_DEPTH_MAX 16                    /* maps and lists in one another */

enum node_type {
    NODE_NULL, /* nothing, `~` or `null`, unquoted */
    NODE_SCALAR,
    NODE_LIST,
    NODE_MAP,
};

struct node {
    enum node_type type;
    const char *file; /* borrowed from the tree's owner */
    int line;         /* from 1; of a member whose value is empty: its key's */
    int column;       /* from 1, in characters */
    bool quoted;      /* NODE_SCALAR in '' or "" or a block */
    bool flow;        /* NODE_MAP or NODE_LIST written {..} or [..] */
    char *key;        /* as a member of a map, else NULL */
    int key_line;     /* where the key stands */
    int key_column;
    char *text;         /* NODE_SCALAR, NUL-terminated */
    struct node *first; /* items or members, in the order written */
    struct node *next;
};

struct mistakes;

/* Parses one YAML (or JSON) document; several documents, a key that stands twice in one map, an
 * alias and a tag are mistakes. Every mistake goes to mistakes; NULL is returned when the text is
 * not YAML at all, too large or too deep. An empty text gives an empty map. What a mistake was
 * found in stays in the tree as far as it has a meaning: of a key written twice the first, of an
 * alias nothing. file is borrowed and must outlive the tree. */
struct node *node_parse(const char *file, const char *text, size_t len, struct mistakes *mistakes);
/* Frees a tree and wipes its texts, for they may be secrets. */
void node_free(struct node *node);
/* The member of a map, or NULL; a node that is no map, and NULL, have none. */
struct node *node_member(const struct node *map, const char *key);
/* Puts a node, and those behind it, at the end of a list or map, which then owns them. */
void node_append(struct node *into, struct node *first);
/* The i-th item of a list, from 0, for a mistake's place; anything else, NULL too, is its own item. */
const struct node *node_item(const struct node *list, unsigned i);

#endif
