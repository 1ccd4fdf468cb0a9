/* SPDX-License-Identifier: MIT */
/*
 * A hook that keeps a journal: DIR/journal gets a line at each run's begin and end, one write each, so that
 * a run cut at any instant leaves a begin without an end. Two runs of one step at once are an `overlap`. How
 * long a run takes, between nothing and MAX_MS, is drawn from the event's iteration, the same at each run.
 *
 * usage: hook DIR [-t MAX_MS] [-r EVENT] [-f EVENT] [-l EVENT] [-s WORDS -d DIGIT [-w LONG_MS]]
 * -r rejects such an event, -f fails at the first attempt, -l says "later" at the first run.
 * -s has 16 words with commas between, of which hexadecimal digit number DIGIT of the iteration chooses one. Its
 * letters are the step's runs that come to their end, in turn: f fails, l says "later", r rejects, w takes LONG_MS;
 * a star repeats the letter before it for ever, and what is beyond the word is done.
 *
 * A line: WHAT HOOK MESSAGE PID STATUS TIME_MS ITERATION ATTEMPT; STATUS is -1 at the begin, the time monotonic.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define REJECT 65
#define LATER  75

struct run {
    const char *directory, *hook, *message, *event, *iteration, *attempt;
    unsigned max_ms, long_ms, digit;
    const char *rejects, *fails, *delays;
    char *words;
    char letter; /* what the words say of this run */
};

static const char *variable(const char *name)
{
    const char *value = getenv(name);

    return value != NULL ? value : "-";
}

/* Opens DIR/name, made if missing. */
static int open_in(const char *directory, const char *name, int flags)
{
    char path[4096];

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    int fd = open(path, flags | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) {
        perror(path);
        exit(70);
    }
    return fd;
}

static void note(const struct run *run, const char *what, int status)
{
    struct timespec now;
    char line[512];

    clock_gettime(CLOCK_MONOTONIC, &now);
    int len =
        snprintf(line, sizeof(line), "%s %s %s %ld %d %lld %s %s\n", what, run->hook, run->message,
                 (long)getpid(), status, (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000,
                 run->iteration, run->attempt);
    if (write(open_in(run->directory, "journal", O_WRONLY | O_APPEND), line, (size_t)len) != len)
        exit(70);
}

static int open_for_message(const struct run *run, const char *folder, int flags)
{
    char name[512];

    snprintf(name, sizeof(name), "%s/%s-%s", folder, run->hook, run->message);
    return open_in(run->directory, name, flags);
}

/* The lock of a step is held until the process ends, however it ends. */
static void note_overlap(const struct run *run)
{
    if (flock(open_for_message(run, "locks", O_RDWR), LOCK_EX | LOCK_NB) < 0)
        note(run, "overlap", errno);
}

static void work(const struct run *run)
{
    uint32_t hash = 2166136261U;

    for (const char *c = run->iteration; *c != '\0'; c++)
        hash = (hash ^ (unsigned char)*c) * 16777619U;
    unsigned ms = run->letter == 'w' ? run->long_ms : hash % (run->max_ms + 1);
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000},
              NULL);
}

/* How many of the step's runs have come to their end; with `more`, counts this one. */
static long ended_runs(const struct run *run, bool more)
{
    int fd = open_for_message(run, "said", O_WRONLY | O_APPEND);
    off_t count = lseek(fd, 0, SEEK_END);

    if (more && write(fd, "1", 1) != 1)
        exit(70);
    close(fd);
    return (long)count;
}

static unsigned hex_digit(const char *text, unsigned number)
{
    const char *c = text + strspn(text, "-");

    for (; number > 0 && *c != '\0'; number--) {
        c++;
        c += strspn(c, "-");
    }
    return (unsigned)strtoul((char[]){*c, '\0'}, NULL, 16);
}

/* The letter for this run; a dot where there is nothing to do but to be done. */
static char letter_of(const struct run *run)
{
    char *rest = run->words;
    const char *word = NULL;

    for (unsigned i = 0; i <= hex_digit(run->iteration, run->digit); i++)
        word = strsep(&rest, ",");
    if (word == NULL || *word == '\0')
        return '.';
    size_t run_number = (size_t)ended_runs(run, false), len = strlen(word);
    if (word[len - 1] == '*')
        return word[run_number < len - 1 ? run_number : len - 2];
    return run_number < len ? word[run_number] : '.';
}

static int status_of(const struct run *run)
{
    bool is_first = ended_runs(run, true) == 0;

    switch (run->letter) {
    case '\0':
        break;
    case 'f':
        return 1;
    case 'l':
        return LATER;
    case 'r':
        return REJECT;
    default:
        return 0;
    }
    if (run->rejects != NULL && strcmp(run->event, run->rejects) == 0)
        return REJECT;
    if (run->fails != NULL && strcmp(run->event, run->fails) == 0)
        return is_first ? 1 : 0;
    if (run->delays != NULL && strcmp(run->event, run->delays) == 0)
        return is_first ? LATER : 0;
    return 0;
}

int main(int argc, char **argv)
{
    struct run run = {
        .hook = variable("CVN_HOOK"),
        .message = variable("CVN_MESSAGE_ID"),
        .event = variable("CVN_EVENT"),
        .iteration = variable("CVN_ITERATION_ID"),
        .attempt = variable("CVN_ATTEMPT"),
    };
    int option;

    while ((option = getopt(argc, argv, "t:r:f:l:s:d:w:")) != -1) {
        if (option == 't')
            run.max_ms = (unsigned)strtoul(optarg, NULL, 10);
        else if (option == 'r')
            run.rejects = optarg;
        else if (option == 'f')
            run.fails = optarg;
        else if (option == 'l')
            run.delays = optarg;
        else if (option == 's')
            run.words = optarg;
        else if (option == 'd')
            run.digit = (unsigned)strtoul(optarg, NULL, 10);
        else if (option == 'w')
            run.long_ms = (unsigned)strtoul(optarg, NULL, 10);
        else
            return 64;
    }
    if (optind != argc - 1)
        return 64;
    run.directory = argv[optind];
    note(&run, "begin", -1);
    note_overlap(&run);
    if (run.words != NULL)
        run.letter = letter_of(&run);
    work(&run);
    int status = status_of(&run);
    note(&run, "end", status);
    return status;
}
