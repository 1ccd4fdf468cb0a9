/* SPDX-License-Identifier: MIT */
/*
 * A configuration text as a tree of nodes that know where they stand, through libyaml's events.
 * Values are text: whether `022` is a number is the table's business. Aliases are refused, so a tree
 * is never larger than its text; depth is bounded by 16, size by 1 MiB.
 */
#ifndef CONFIG_NODE_H
#define CONFIG_NODE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/alloc.h"

enum node_type {
    NODE_NULL, /* nothing, `~` or `null`, unquoted */
    NODE_SCALAR,
    NODE_LIST,
    NODE_MAP,
};

struct node {
    enum node_type type;
    const char *file; /* borrowed from the tree's owner */
    int line;         /* from 1 */
    int column;       /* from 1 */
    bool quoted;      /* NODE_SCALAR in '' or "" or a block */
    bool flow;        /* NODE_MAP or NODE_LIST written {..} or [..] */
    char *key;        /* as a member of a map, else NULL */
    int key_line;     /* where the key stands */
    int key_column;
    char *text;       /* NODE_SCALAR, NUL-terminated */
    struct node *first; /* items or members, in the order written */
    struct node *next;
};

struct mistakes;

/* Parses one YAML (or JSON) document; several documents, a key that stands twice in one map, and an
 * alias are mistakes. Every mistake goes to mistakes; NULL is returned when the text is not YAML at
 * all, and an empty text gives an empty map. file is borrowed and must outlive the tree. */
struct node *node_parse(const char *file, const char *text, size_t len, struct mistakes *mistakes);
/* Frees a tree and wipes its texts, for they may be secrets. */
void node_free(struct node *node);
/* The member of a map, or NULL. */
struct node *node_member(const struct node *map, const char *key);

#endif
