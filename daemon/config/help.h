/* SPDX-License-Identifier: MIT */
/*
 * What the rows of a table say of themselves, for `--help KEY` and for the manual: nothing about a
 * setting is written down twice. Nothing here reads a configuration.
 *
 * A section is one map of the configuration: its path from the root ("queues.poison"; "" is the root
 * itself), the path that its keys stand under, and its table. The rows of an identity kind stand in
 * the same map as the others: the section "identities.sas" has its keys under "identities".
 */
#ifndef CONFIG_HELP_H
#define CONFIG_HELP_H

struct config_row;
struct config_table;

struct help_section {
    const char *path;
    const char *keys_path;
    const char *text; /* one sentence: the row's help, or the kind's doc; NULL for the root */
    const struct config_table *table;
    const struct config_row *row; /* what holds the section; NULL for the root */
};

/* Calls each for the root's section and all below it, a section before those inside it. What it is
 * given lives until it returns. */
typedef void help_section_fn(void *arg, const struct help_section *section);
void help_each_section(const struct config_table *root, help_section_fn *each, void *arg);

/* `path.name`, or name alone below the root, in fresh memory. */
char *help_path(const char *path, const char *name);

/* The keys that a row stands for, in fresh memory: "lease"; "sas, sas_file, sas_credential"; the
 * names of the kinds of which one is the key. */
char *help_keys(const struct config_row *row);
/* What may be written, in words: "duration"; "" where the alternatives say it. */
const char *help_type(const struct config_row *row);
/* What may be written, the bounds, and the default, in fresh memory:
 * "duration, 1s..7d, default 2m". */
char *help_facts(const struct config_row *row);

#endif
