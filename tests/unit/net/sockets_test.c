/* SPDX-License-Identifier: MIT */
/* A client's sockets on the loop. */
#include "net/sockets.h"

#include "../loop/waiting.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct fixture {
    struct loop *loop;
    struct sockets *sockets;
    int fds[2]; /* the first is the client's */
    unsigned readable, writable;
};

static void on_ready(void *arg, int fd, bool readable, bool writable)
{
    struct fixture *fixture = arg;

    assert_int_equal(fd, fixture->fds[0]);
    fixture->readable += readable;
    fixture->writable += writable;
    loop_stop(fixture->loop);
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    fixture->loop = loop_new();
    fixture->sockets = sockets_new(fixture->loop, on_ready, fixture);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fixture->fds), 0);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    sockets_closing(fixture->sockets, fixture->fds[0]);
    close(fixture->fds[0]);
    close(fixture->fds[1]);
    sockets_free(fixture->sockets);
    loop_free(fixture->loop);
    free(fixture);
    return 0;
}

static void the_peer_speaks(const struct fixture *fixture)
{
    assert_int_equal(write(fixture->fds[1], "x", 1), 1);
}

static void what_is_wanted_is_told(void **state)
{
    struct fixture *fixture = *state;

    sockets_want(fixture->sockets, fixture->fds[0], false, true);
    run_until_stopped(fixture->loop);
    assert_int_equal(fixture->writable, 1);
    sockets_want(fixture->sockets, fixture->fds[0], true, false);
    the_peer_speaks(fixture);
    run_until_stopped(fixture->loop);
    assert_int_equal(fixture->readable, 1);
    assert_int_equal(fixture->writable, 1);
}

static void an_idle_connection_is_quiet_and_comes_back(void **state)
{
    struct fixture *fixture = *state;

    sockets_opened(fixture->sockets, fixture->fds[0]);
    sockets_want(fixture->sockets, fixture->fds[0], true, false);
    sockets_want(fixture->sockets, fixture->fds[0], false, false);
    sockets_want(fixture->sockets, fixture->fds[0], true, false);
    the_peer_speaks(fixture);
    run_until_stopped(fixture->loop);
    assert_int_equal(fixture->readable, 1);
}

static void one_that_stirs_while_idle_is_let_go_and_can_be_used_again(void **state)
{
    struct fixture *fixture = *state;

    sockets_opened(fixture->sockets, fixture->fds[0]);
    sockets_want(fixture->sockets, fixture->fds[0], true, false);
    sockets_want(fixture->sockets, fixture->fds[0], false, false);
    the_peer_speaks(fixture);
    run_a_moment(fixture->loop);
    assert_int_equal(fixture->readable, 0);
    sockets_want(fixture->sockets, fixture->fds[0], true, false);
    run_until_stopped(fixture->loop);
    assert_int_equal(fixture->readable, 1);
}

/* libcurl closes such a socket without a word, and its number may come again at once. */
static void what_is_no_connection_is_forgotten_when_idle(void **state)
{
    struct fixture *fixture = *state;
    int number = fixture->fds[0], other[2];

    sockets_want(fixture->sockets, number, true, false);
    run_a_moment(fixture->loop);
    sockets_want(fixture->sockets, number, false, false);
    run_a_moment(fixture->loop);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, other), 0);
    close(fixture->fds[1]);
    assert_int_equal(dup2(other[0], number), number);
    close(other[0]);
    fixture->fds[1] = other[1];
    sockets_want(fixture->sockets, number, true, false);
    the_peer_speaks(fixture);
    run_until_stopped(fixture->loop);
    assert_int_equal(fixture->readable, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_wanted_is_told),
        TEST(an_idle_connection_is_quiet_and_comes_back),
        TEST(one_that_stirs_while_idle_is_let_go_and_can_be_used_again),
        TEST(what_is_no_connection_is_forgotten_when_idle),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
