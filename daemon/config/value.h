/* SPDX-License-Identifier: MIT */
/*
 * One written text as a row's type has it: what a duration, a size, a choice looks like, and
 * whether it is within the row's bounds. For the table engine alone. Knows neither nodes nor
 * variables.
 *
 * A reason is a sentence without a beginning, in fresh memory: `"x" is not a duration; write ...`.
 */
#ifndef CONFIG_VALUE_H
#define CONFIG_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/unit.h"
#include "config/table.h"

/* What a text may be when its row does not say. */
#define VALUE_TEXT_MAX   4096
#define VALUE_SECRET_MAX (64 * 1024)

/* Puts text into the row's member; a list's member gets it as one item more. For the types whose
 * values, or items, are scalars: not for pairs, secrets and maps. */
bool value_put(const struct config_row *row, const char *text, void *member,
               char **ret_reason) MUST_CHECK;
/* Whether a text is as long as the row says, and UTF-8. The reason does not show it. */
bool value_fits(const struct config_row *row, const char *text, char **ret_reason) MUST_CHECK;
/* A bound as a user would write it: "10m", "64K", "0640". */
const char *value_bound_text(enum config_type type, int64_t bound, char text[static UNIT_TEXT_MAX]);
/* What is due where such a row stands: "a duration". */
const char *value_type_text(enum config_type type);

#endif
