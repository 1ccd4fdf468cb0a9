/* SPDX-License-Identifier: MIT */
/* What the service manager is told, at its end of the socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "loop/systemd.h"

/* The manager's socket, in the abstract namespace. */
static int set_up(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    static int fd;
    char name[64];

    snprintf(name, sizeof(name), "@cvnotifyd-test-%d", (int)getpid());
    memcpy(address.sun_path + 1, name + 1, strlen(name) - 1);
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (bind(fd, (struct sockaddr *)&address,
             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))) != 0)
        return -1;
    setenv("NOTIFY_SOCKET", name, 1);
    *state = &fd;
    return 0;
}

static int tear_down(void **state)
{
    unsetenv("NOTIFY_SOCKET");
    return close(*(int *)*state);
}

static void receive(int fd, char text[static 256])
{
    ssize_t len = recv(fd, text, 255, 0);

    assert_in_range(len, 1, 255);
    text[len] = '\0';
}

static int64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* A manager (Type=notify-reload) takes a stamp from before its HUP for that of an earlier reload. */
static void a_reload_is_not_dated_before_it_was_asked_for(void **state)
{
    int fd = *(int *)*state;
    char text[256];
    long long stamp_us;

    for (int i = 0; i < 50; i++) {
        int64_t before_us = now_us();
        systemd_reloading();
        receive(fd, text);
        assert_int_equal(sscanf(text, "RELOADING=1\nMONOTONIC_USEC=%lld", &stamp_us), 1);
        assert_in_range(stamp_us, before_us, now_us());
    }
}

static void a_stop_asks_for_time_in_microseconds(void **state)
{
    char text[256];

    systemd_stopping(90000);
    receive(*(int *)*state, text);
    assert_string_equal(text, "STOPPING=1\nEXTEND_TIMEOUT_USEC=90000000");
}

static void a_status_is_one_line(void **state)
{
    char text[256];

    systemd_status("%d of %d", 1, 2);
    receive(*(int *)*state, text);
    assert_string_equal(text, "STATUS=1 of 2");
}

#define SYSTEMD_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SYSTEMD_TEST(a_reload_is_not_dated_before_it_was_asked_for),
        SYSTEMD_TEST(a_stop_asks_for_time_in_microseconds),
        SYSTEMD_TEST(a_status_is_one_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
