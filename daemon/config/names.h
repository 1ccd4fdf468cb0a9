/* SPDX-License-Identifier: MIT */
/*
 * Lists of names, and how a mistake speaks of them: "a, b or c", "did you mean". For the table
 * engine, and for checks that know names of their own.
 */
#ifndef CONFIG_NAMES_H
#define CONFIG_NAMES_H

#include "base/alloc.h"

/* Zeroed is empty. */
struct names {
    const char **items; /* ends with NULL; NULL when empty */
    unsigned count;
};

/* Copies name, and suffix behind it. */
void names_add(struct names *names, const char *name, const char *suffix);
void names_done(struct names *names);
#define autonames __attribute__((cleanup(names_done))) struct names

/* "a, b or c" in fresh memory; names ends with NULL and may be NULL. */
char *names_list(const char *const *names);
/* How a sentence goes on that said that text is none of names: `; did you mean "x"?` or, when none
 * is near, `; it may be x, y or z`. Fresh memory. */
char *names_advice(const char *text, const char *const *names);

#endif
