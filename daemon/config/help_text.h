/* SPDX-License-Identifier: MIT */
/* What config/help tells of settings, as text for a terminal: `--help KEY`. */
#ifndef CONFIG_HELP_TEXT_H
#define CONFIG_HELP_TEXT_H

#include <stdbool.h>

#include "base/alloc.h"

struct buf;
struct config_table;
struct err;

/* Appends what is known about a key as text for a terminal: a section by its path, a row by its path
 * or by the end of it ("poll_min"), all sections for "settings". An unknown key is ERR_CONFIG, its
 * sentence naming the nearest. */
bool help_text_put(const struct config_table *root, const char *key, struct buf *out,
                   struct err *err) MUST_CHECK;
/* Appends a text broken into lines of at most 79 columns, each behind `indent` blanks; the first
 * begins at `column`, where the line is already. Ends the last line. */
void help_text_wrap(struct buf *out, const char *text, unsigned indent, unsigned column);

#endif
