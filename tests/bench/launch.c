/* SPDX-License-Identifier: MIT */
/*
 * Becomes another program on the cores asked for, and notes in a file when: the seconds of the
 * monotonic clock just before exec.
 *
 * usage: launch CORE[,CORE...] FILE PROGRAM [ARGUMENTS]
 */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct timespec now;
    cpu_set_t cores;

    if (argc < 4)
        return 64;
    CPU_ZERO(&cores);
    for (char *core = strtok(argv[1], ","); core != NULL; core = strtok(NULL, ","))
        CPU_SET(strtoul(core, NULL, 10), &cores);
    FILE *file = fopen(argv[2], "we");
    /* What is measured ends with the bench, whatever becomes of that. */
    if (file == NULL || sched_setaffinity(0, sizeof(cores), &cores) < 0 ||
        prctl(PR_SET_PDEATHSIG, SIGTERM) < 0) {
        perror("launch");
        return 1;
    }
    clock_gettime(CLOCK_MONOTONIC, &now);
    fprintf(file, "%ld.%09ld\n", (long)now.tv_sec, now.tv_nsec);
    fclose(file);
    execv(argv[3], argv + 3);
    perror(argv[3]);
    return 127;
}
