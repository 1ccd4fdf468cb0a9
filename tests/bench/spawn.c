/* SPDX-License-Identifier: MIT */
/*
 * What running a program costs by itself: posix_spawn and wait, several running at once. Prints how
 * many a second.
 *
 * usage: spawn COUNT AT-ONCE PROGRAM
 */
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void start(char *program)
{
    char *argv[] = {program, NULL};
    pid_t pid;

    errno = posix_spawn(&pid, program, NULL, NULL, argv, environ);
    if (errno != 0) {
        perror(program);
        exit(1);
    }
}

static void wait_one(void)
{
    int status;

    if (wait(&status) < 0 || status != 0) {
        fprintf(stderr, "spawn: the program failed\n");
        exit(1);
    }
}

int main(int argc, char **argv)
{
    struct timespec from, to;
    long started = 0;

    if (argc != 4)
        return 64;
    long count = strtol(argv[1], NULL, 10), at_once = strtol(argv[2], NULL, 10);
    clock_gettime(CLOCK_MONOTONIC, &from);
    for (; started < count; started++) {
        if (started >= at_once)
            wait_one();
        start(argv[3]);
    }
    for (long left = started < at_once ? started : at_once; left > 0; left--)
        wait_one();
    clock_gettime(CLOCK_MONOTONIC, &to);
    double seconds = (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
    printf("rate %.1f\n", (double)count / seconds);
}
