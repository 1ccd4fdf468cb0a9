/* SPDX-License-Identifier: MIT */
/*
 * Makes a page of the manual: copies standard input to standard output, and puts the program's own rows
 * where a line is a mark:
 *
 *   @options        the options of the command line
 *   @settings PATH  the settings of one map of the configuration; none for the whole file's own
 *   @kinds PATH     the kinds of which an entry there is one: what each is for, and its settings
 *
 * A mark that means nothing ends it with status 1.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "config/help.h"
#include "config/table.h"
#include "flow/settings.h"
#include "options.h"

#define LINE_COLUMNS 78

/* --- mdoc --- */

/* A word as it is, in the place that it has on its line. */
static void put_word(const char *word, size_t len, bool begins)
{
    if (!begins)
        putchar(' ');
    else if (*word == '.' || *word == '\'')
        printf("\\&");
    for (size_t i = 0; i < len; i++)
        fputs(word[i] == '\\' ? "\\e" : (char[]){word[i], '\0'}, stdout);
}

/* A text on lines of its own. No line is long, none is a request, each sentence begins one. */
static void put_text(const char *text)
{
    size_t column = 0;

    while (*text != '\0') {
        size_t len = strcspn(text, " ");

        if (column + 1 + len > LINE_COLUMNS) {
            putchar('\n');
            column = 0;
        }
        put_word(text, len, column == 0);
        column += len + 1;
        if (len > 0 && text[len - 1] == '.')
            column = LINE_COLUMNS;
        text += len;
        text += strspn(text, " ");
    }
    putchar('\n');
}

/* --- settings --- */

static void put_row(const struct config_row *row)
{
    autofree char *keys = help_keys(row);
    autofree char *facts = help_facts(row);
    char *rest = keys;

    printf(".It");
    for (char *key; (key = strsep(&rest, ",")) != NULL;)
        printf(" Ic \"%s\"%s", str_trim(key), rest != NULL ? " ," : "");
    printf("\n.Em \"\\&");
    for (const char *c = facts; *c != '\0'; c++)
        fputs(*c == '"' ? "\"\"" : (char[]){*c, '\0'}, stdout);
    printf("\"\n.br\n");
    if (row->help != NULL)
        put_text(row->help);
}

static void put_rows(const struct config_table *table)
{
    printf(".Bl -tag -width Ds\n");
    for (const struct config_row *row = table->rows; row->name != NULL; row++)
        put_row(row);
    printf(".El\n");
}

/* What a mark asks for. */
struct mark {
    const char *path;
    bool kinds; /* those in the map, not the map itself */
    bool found;
};

static void put_section(void *arg, const struct help_section *section)
{
    struct mark *mark = arg;
    size_t len = strlen(mark->path);
    bool is_kind = section->row != NULL && section->row->kinds != NULL;

    if (!mark->kinds && str_equal(section->path, mark->path)) {
        put_rows(section->table);
        mark->found = true;
    } else if (mark->kinds && is_kind && str_starts(section->path, mark->path) &&
               section->path[len] == '.' && strchr(section->path + len + 1, '.') == NULL) {
        printf(".Ss %s\n", section->path);
        put_text(section->text);
        put_rows(section->table);
        mark->found = true;
    }
}

/* --- options --- */

static void put_option(const struct option_row *row)
{
    const char *argument = row->argument;
    bool may = argument != NULL && argument[0] == '[';
    int len = argument != NULL ? (int)strcspn(argument + may, "]") : 0;

    printf(".It ");
    if (row->letter != '\0')
        printf("Fl %c , ", row->letter);
    printf("Fl \\-%s", row->name);
    if (argument != NULL)
        printf(" %sAr %.*s", may ? "Op " : "", len, argument + may);
    putchar('\n');
    put_text(row->doc);
}

static void put_options(void)
{
    printf(".Bl -tag -width Ds\n");
    for (const struct option_row *row = option_rows; row->name != NULL; row++)
        put_option(row);
    printf(".El\n");
}

/* --- the page --- */

/* False when the mark means nothing. */
static bool put_mark(const char *line)
{
    const char *path = line + strcspn(line, " ");
    struct mark mark = {.path = path + strspn(path, " "), .kinds = str_starts(line, "@kinds ")};

    if (str_equal(line, "@options")) {
        put_options();
        return true;
    }
    if (!mark.kinds && !str_equal(line, "@settings") && !str_starts(line, "@settings "))
        return false;
    help_each_section(&settings_table, put_section, &mark);
    return mark.found;
}

int main(void)
{
    char line[4096];

    while (fgets(line, sizeof(line), stdin) != NULL) {
        if (line[0] != '@') {
            fputs(line, stdout);
            continue;
        }
        line[strcspn(line, "\n")] = '\0';
        if (!put_mark(line)) {
            fprintf(stderr, "tables: a mark that means nothing: %s\n", line);
            return 1;
        }
    }
    return ferror(stdin) || fflush(stdout) != 0 ? 1 : 0;
}
