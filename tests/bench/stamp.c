/* SPDX-License-Identifier: MIT */
/*
 * A hook that writes when it was started into a FIFO: seconds of the monotonic clock.
 *
 * usage: stamp FIFO
 */
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    int fd = argc == 2 ? open(argv[1], O_WRONLY | O_NONBLOCK | O_CLOEXEC) : -1;
    return fd >= 0 && dprintf(fd, "%ld.%09ld\n", (long)now.tv_sec, now.tv_nsec) > 0 ? 0 : 1;
}
