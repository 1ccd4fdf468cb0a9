/* SPDX-License-Identifier: MIT */
/*
 * The command line. An option is a row: from the rows come what getopt reads, `--help`, and the list of
 * options in cvnotifyd(8).
 */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>

struct options {
    const char *config;
    bool test;
    bool online; /* only with test */
    bool once;
    bool verbose;
};

struct option_row {
    char letter; /* 0: the long form only */
    const char *name;
    const char *argument; /* what it is called; NULL: takes none; "[KEY]": may take one */
    const char *help;     /* a few words for --help */
    const char *doc;      /* sentences for the manual */
    /* Takes the option; argument is NULL when there is none. May end the program. */
    void (*put)(struct options *options, const char *argument);
};

extern const struct option_row option_rows[]; /* ends with a NULL name */

/* Ends the program for help and the version, with status 0, and for a mistake, with status 64. */
struct options options_parse(int argc, char **argv);

#endif
