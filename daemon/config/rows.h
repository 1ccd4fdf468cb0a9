/* SPDX-License-Identifier: MIT */
/*
 * What a table's rows say before any value is read: whether they are sound, and which keys may
 * stand in their map. For the table engine alone.
 */
#ifndef CONFIG_ROWS_H
#define CONFIG_ROWS_H

#include "config/table.h"

struct names;

/* The endings of a secret's spellings, as struct config_secret has its members: text, file,
 * credential. */
#define ROWS_SPELLINGS 3
extern const char *const rows_spellings[ROWS_SPELLINGS];

/* Ends the program when a table is not what table.h asks for: that is our bug. Looks at this
 * table's own rows, not at those below. */
void rows_assert(const struct config_table *table);
/* Adds the keys that may stand in the map of an object, those of the kind that it holds too. */
void rows_add_keys(const struct config_table *table, const void *object, struct names *names);
/* Adds the names of a row's kinds. */
void rows_add_kinds(const struct config_row *row, struct names *names);

#endif
