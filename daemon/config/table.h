/* SPDX-License-Identifier: MIT */
/*
 * The table engine: rows say what may stand in a map, and from them come parsing, defaults, ranges,
 * freeing, comparing, and the manual's tables. A default is written as the text that a user would
 * write and goes through the same parser. Reading never looks beyond the text and the environment:
 * no file, no name, no network.
 *
 * A table describes one C struct. Its rows fill the struct's members at their offsets:
 *
 *   static const struct config_row exec_rows[] = {
 *       {.name = "timeout", .type = CONFIG_DURATION, .offset = offsetof(struct exec, timeout_ms),
 *        .text = "10m", .min = 100, .max = 7 * DAY_MS, .help = "How long a run may take."},
 *
 * ${VAR} and ${VAR:-default} are expanded inside the scalar values, after parsing; `$$` is a
 * dollar, a `$` before anything else is itself. As in a shell, an empty variable gets the default
 * too; a default holds no variable and no brace. In a template each `{` of a variable's value
 * becomes `{{`, so that it stays literal (a lone `}` is itself there).
 *
 * A key with an empty value is as if it were not written. The engine is table.c (reading), object.c
 * (what becomes of an object later) and expand.c (variables).
 */
#ifndef CONFIG_TABLE_H
#define CONFIG_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"

struct config_table;
struct mistakes;
struct node;

/* The struct member's type stands behind each. Absent without default: NULL, 0, false, empty. */
enum config_type {
    CONFIG_TEXT,      /* char *; min and max bound its length (max 0: 4096) */
    CONFIG_TEMPLATE,  /* char *; like text, the braces of variables kept literal */
    CONFIG_BOOL,      /* bool: true yes on / false no off */
    CONFIG_INT,       /* int64_t */
    CONFIG_OCTAL,     /* int64_t: "0640", "022" */
    CONFIG_DURATION,  /* int64_t milliseconds; min and max in ms */
    CONFIG_SIZE,      /* int64_t bytes */
    CONFIG_CHOICE,    /* int: index into choices */
    CONFIG_TEXTS,     /* struct config_texts; a single scalar is a list of one */
    CONFIG_TEMPLATES, /* struct config_texts */
    CONFIG_DURATIONS, /* struct config_durations; a single scalar is a list of one */
    CONFIG_PAIRS,     /* struct config_pairs: a map of names to templates, in the order written */
    CONFIG_SECRET,    /* struct config_secret; the row's name S stands for S, S_file, S_credential.
                         White space around the text is trimmed, as it is around a file's. The
                         bounds are the text's (max 0: 64 KiB) */
    CONFIG_OBJECT,    /* struct X *: a map read by `table`, NULL when absent. With .text = "" an
                         absent map is read as an empty one, so that its defaults apply */
    CONFIG_OBJECTS,   /* struct config_objects: a list of maps read by `table` */
    CONFIG_ONE_OF,    /* struct config_one_of: exactly one of `kinds`' names is a key of this map;
                         it counts with an empty value too, which is a map without keys. The row's
                         name is not a key */
    CONFIG_KIND,      /* struct config_one_of: this key's value names one of `kinds`, whose rows
                         stand in this same map */
};

#define CONFIG_LIST_MAX 1024 /* items in a list */

/* Lists: what a row of the type fills in. Memory is the object's. */
struct config_texts {
    char **items;
    unsigned count;
};
struct config_durations {
    int64_t *items_ms;
    unsigned count;
};
struct config_pairs {
    char **names;
    char **values;
    unsigned count;
};
struct config_objects {
    void **items;
    unsigned count;
};
/* One secret in its three spellings: at most one is not NULL. text is wiped when freed. */
struct config_secret {
    char *text;
    char *file;
    char *credential;
    bool literal; /* text stands in the file itself and did not come from ${VAR} */
};
/* kind indexes the row's kinds; -1 when none was given. object was read by that kind's table. */
struct config_one_of {
    int kind;
    void *object;
};

struct config_kind {
    const char *name;
    const struct config_table *table;
    const char *const *doc; /* one sentence for the manual */
};

struct config_row {
    const char *name;
    enum config_type type;
    size_t offset;
    const char *text; /* the default, NULL = none; a list's items are parted by blanks. Variables
                         are not expanded in it */
    int64_t min, max; /* of a number, duration, size, of a text's length; both 0: no bound
                         (text: 4096); of a list: each item's. Durations are shown with units */
    const char *const *choices;       /* CONFIG_CHOICE, ends with NULL */
    const struct config_table *table; /* CONFIG_OBJECT, CONFIG_OBJECTS */
    const struct config_kind *kinds;  /* CONFIG_ONE_OF, CONFIG_KIND; ends with a NULL name */
    bool required;
    bool absolute;  /* CONFIG_TEXT: a path that begins with / */
    bool scalar_ok; /* CONFIG_OBJECT: a scalar stands for the map {scalar_key: scalar} */
    const char *scalar_key;
    const char *help; /* a sentence or a few, for the manual and --help */
};

struct config_table {
    const char *name;              /* what a mistake calls the map: "queue", "exec hook" */
    size_t size;                   /* of the struct */
    const struct config_row *rows; /* ends with a NULL name */
    /* Looks at the whole object; adds mistakes, by mistakes_at_key and the like. A row that had a
     * mistake left its member as if nothing, not even its default, had been written: the check must
     * cope. map is the object's place. May be NULL. */
    void (*check)(void *object, const struct node *map, struct mistakes *mistakes);
};

/* Every struct that a table fills begins with this member. */
struct config_place {
    const struct node *map; /* where the object was written, a lone scalar with scalar_ok; NULL when
                               it was defaulted. The tree must outlive the object */
};

/* Reads a map into a fresh object, all rows, all mistakes. Returns the object even when there were
 * mistakes, so that later checks can go on; what was mistaken is left out there, as if it were
 * absent and had no default. An unknown key names the nearest known one; `{name}` unquoted where
 * text is due is told to be quoted; a mistake never shows a secret's value. getenv_fn is getenv
 * but for tests. */
void *config_read(const struct config_table *table, const struct node *map,
                  const char *(*getenv_fn)(const char *name), struct mistakes *mistakes);
void config_free(const struct config_table *table, void *object);
/* Whether two objects were configured alike, row by row, places aside. Two NULLs are alike. Secrets
 * are alike when they are spelt alike: whether a file changed is not asked. */
bool config_equal(const struct config_table *table, const void *a, const void *b);
/* Whether any CONFIG_SECRET in the object, or below it, was written literally in the file. */
bool config_has_literal_secret(const struct config_table *table, const void *object);
/* The first systemd credential that a CONFIG_SECRET of the object, or below it, names; NULL: none. */
const char *config_credential(const struct config_table *table, const void *object);
bool config_secret_is_set(const struct config_secret *secret);
/* getenv, for config_read. */
const char *config_getenv(const char *name);
/* Expands ${VAR} as the engine does; false, with the reason in ret_reason, when it can not.
 * double_braces is for templates. ret_expanded says whether the environment gave any part of it. The two texts
 * are fresh memory; a reason names variables and shows nothing else of the text. */
bool config_expand(const char *text, bool double_braces, const char *(*getenv_fn)(const char *name),
                   char **ret_text, bool *ret_expanded, char **ret_reason) MUST_CHECK;

#endif
