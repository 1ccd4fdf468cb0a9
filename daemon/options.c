/* SPDX-License-Identifier: MIT */
/* The command line. */
#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/err.h"
#include "config/help_text.h"
#include "flow/settings.h"

#define DEFAULT_CONFIG "/etc/cvnotifyd/cvnotifyd.yaml"
#define MAX_OPTIONS    16
#define LONG_ONLY      256 /* getopt's value for row i without a letter is this + i */
#define HELP_COLUMN    23

static void put_config(struct options *options, const char *argument)
{
    options->config = argument;
}

static void put_test(struct options *options, const char *argument)
{
    (void)argument;
    options->test = true;
}

static void put_online(struct options *options, const char *argument)
{
    (void)argument;
    options->online = true;
}

static void put_once(struct options *options, const char *argument)
{
    (void)argument;
    options->once = true;
}

static void put_verbose(struct options *options, const char *argument)
{
    (void)argument;
    options->verbose = true;
}

static void print_version(struct options *options, const char *argument)
{
    (void)options, (void)argument;
    printf("cvnotifyd %s\n", CVNOTIFYD_VERSION);
    exit(EX_OK);
}

static void print_help(struct options *options, const char *key);

const struct option_row option_rows[] = {
    {.letter = 'c',
     .name = "config",
     .argument = "FILE",
     .help = "the configuration (" DEFAULT_CONFIG ")",
     .doc =
         "Read the configuration from FILE, " DEFAULT_CONFIG
         " when the option is not given. A reload reads the same path again; the daemon stays in "
         "the directory that it was started in, so a relative path is fine.",
     .put = put_config},
    {.letter = 't',
     .name = "test-config",
     .help = "check the configuration, say what would happen, and end",
     .doc =
         "Check the configuration and end. A good one is told on the standard output as a plan: "
         "each queue with its URL, identity and poison queue, each hook with what it runs for; "
         "below a queue stands what would not work: a SAS that has expired, or that can not write "
         "to the poison queue. "
         "Mistakes go to the standard error, all in one pass, as FILE:LINE:COLUMN: and what would "
         "be right; the exit status is then 78. Secret files are read and looked at; nothing is "
         "sent, and whether a hook's program or directory is there is not looked at. A systemd "
         "credential is not checked where $CREDENTIALS_DIRECTORY is not set. Run "
         "it as the user that the daemon runs as, or file permissions are judged wrongly.",
     .put = put_test},
    {.name = "online",
     .help = "with -t: try each credential and right, too",
     .doc = "With -t: when the configuration is good, also ask Azure what each credential may do, "
            "and print "
            "a table of what holds and what is missing. No message is received, stored or changed, "
            "and no "
            "queue is made. What can not be reached is tried five times, each told on the standard "
            "error "
            "as it happens. The exit status is 77 when anything was refused, else 69 when anything "
            "could not "
            "be reached or is not there.",
     .put = put_online},
    {.name = "once",
     .help = "end when the queues are empty and nothing runs",
     .doc = "Work off what can be received now, then end: for cron, for a test, for a job in a "
            "pipeline. The exit status tells how it went. What earlier calls did is known from "
            "state_dir: hooks that are done are not run again, and attempts are counted on.",
     .put = put_once},
    {.letter = 'v',
     .name = "verbose",
     .help = "log at level debug",
     .doc = "Log every step, whatever log.level says; a poll that finds nothing is no step.",
     .put = put_verbose},
    {.letter = 'V',
     .name = "version",
     .help = "print the version and end",
     .doc = "Print the version and end.",
     .put = print_version},
    {.letter = 'h',
     .name = "help",
     .argument = "[KEY]",
     .help = "print this, or what is known about a setting, and end",
     .doc = "Print the options and end; with KEY, print the settings of that part of the "
            "configuration: a map (queues, hooks.exec), a single key (queues.lease, or its end: "
            "lease), or settings for all.",
     .put = print_help},
    {.name = NULL},
};

/* "[-c FILE]" for each, as a usage line has it. */
static void print_synopsis(void)
{
    printf("usage: cvnotifyd");
    for (const struct option_row *row = option_rows; row->name != NULL; row++) {
        if (row->letter != '\0')
            printf(" [-%c", row->letter);
        else
            printf(" [--%s", row->name);
        printf("%s%s]", row->argument != NULL ? " " : "",
               row->argument != NULL ? row->argument : "");
    }
    printf("\n");
}

static void print_option(const struct option_row *row)
{
    char letter[] = {'-', row->letter, ',', '\0'};
    autofree char *name = xasprintf("--%s%s%s", row->name, row->argument != NULL ? " " : "",
                                    row->argument != NULL ? row->argument : "");

    printf("  %3s %-*s %s\n", row->letter != '\0' ? letter : "", HELP_COLUMN - 7, name, row->help);
}

static void print_usage(void)
{
    print_synopsis();
    printf(
        "\nWaits on Azure Storage queues for Custom Vision's events and runs hooks for them.\n\n");
    for (const struct option_row *row = option_rows; row->name != NULL; row++)
        print_option(row);
    printf("\n"
           "Signals: HUP reload; TERM, INT finish what runs and end, a second one ends now;\n"
           "USR1 poll now; USR2 nothing, for files are opened for each write.\n"
           "Exit status: 0 ok; 64 usage; 70 internal error; 78 configuration. With --once or\n"
           "--online also 69 a queue is unavailable; 77 refused; with --once 75 messages were\n"
           "put back for a retry.\n"
           "\n"
           "cvnotifyd --help settings tells of every setting; so do the manual's pages,\n"
           "cvnotifyd(8) and cvnotifyd.yaml(5).\n");
}

static _Noreturn void end_for_mistake(void)
{
    fprintf(stderr, "Try 'cvnotifyd --help'.\n");
    exit(EX_USAGE);
}

static void print_help(struct options *options, const char *key)
{
    struct err err;
    autobuf text;

    (void)options;
    buf_init(&text, BUF_ANY_SIZE);
    if (key == NULL) {
        print_usage();
    } else if (help_text_put(&settings_table, key, &text, &err)) {
        fwrite(text.data, 1, text.len, stdout);
    } else {
        fprintf(stderr, "cvnotifyd: %s\n", err.text);
        end_for_mistake();
    }
    buf_done(&text);
    exit(EX_OK);
}

/* --- reading --- */

struct forms {
    char letters[2 * MAX_OPTIONS + 1];
    struct option longs[MAX_OPTIONS + 1];
};

static bool must_have_argument(const struct option_row *row)
{
    return row->argument != NULL && row->argument[0] != '[';
}

/* The rows as getopt_long wants them, into zeroed forms. An argument that may be left out is taken by hand, for getopt
 * knows it only as --name=ARGUMENT. */
static void make_forms(struct forms *forms)
{
    char *letter = forms->letters;

    for (unsigned i = 0; option_rows[i].name != NULL; i++) {
        const struct option_row *row = &option_rows[i];
        bool has_letter = row->letter != '\0';
        int may_have = row->argument != NULL ? optional_argument : no_argument;

        forms->longs[i] =
            (struct option){row->name, must_have_argument(row) ? required_argument : may_have, NULL,
                            has_letter ? row->letter : LONG_ONLY + (int)i};
        if (has_letter)
            *letter++ = row->letter;
        if (has_letter && must_have_argument(row))
            *letter++ = ':';
    }
}

/* The row that getopt's value means, NULL when it is none. */
static const struct option_row *find_row(int value)
{
    for (unsigned i = 0; option_rows[i].name != NULL; i++) {
        if (value == (option_rows[i].letter != '\0' ? option_rows[i].letter : LONG_ONLY + (int)i))
            return &option_rows[i];
    }
    return NULL;
}

/* What follows an option that may have an argument, unless it is an option itself. */
static const char *take_next(int argc, char **argv)
{
    return optind < argc && argv[optind][0] != '-' ? argv[optind++] : NULL;
}

struct options options_parse(int argc, char **argv)
{
    struct options options = {.config = DEFAULT_CONFIG};
    struct forms forms = {.longs = {{0}}};
    int value;

    make_forms(&forms);
    while ((value = getopt_long(argc, argv, forms.letters, forms.longs, NULL)) != -1) {
        const struct option_row *row = find_row(value);
        const char *argument = optarg;
        if (row == NULL)
            end_for_mistake();
        if (row->argument != NULL && argument == NULL)
            argument = take_next(argc, argv);
        row->put(&options, argument);
    }
    if (optind < argc) {
        fprintf(stderr,
                "cvnotifyd: unexpected argument '%s'; a configuration is named by -c FILE\n",
                argv[optind]);
        end_for_mistake();
    }
    if (options.online && !options.test) {
        fprintf(stderr, "cvnotifyd: --online goes with -t, as in: cvnotifyd -t --online\n");
        end_for_mistake();
    }
    return options;
}
