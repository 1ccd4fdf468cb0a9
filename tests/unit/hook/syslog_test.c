/* SPDX-License-Identifier: MIT */
/* The syslog hook against a socket of our own. */
#include "runs.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/clock.h"

#define LINE_HOOK "syslog: {server: 'unix://@/log'}"

static int listen_at(const struct fixture *fixture, int type)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s/log", fixture->directory);
    (void)unlink(address.sun_path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

/* One datagram; "" when there is none. */
static const char *receive(int fd, char text[static 16384])
{
    ssize_t len = recv(fd, text, 16383, 0);

    text[max_of(len, 0)] = '\0';
    return text;
}

static void a_line_is_sent(void **state)
{
    struct fixture *fixture = *state;
    int fd = listen_at(fixture, SOCK_DGRAM);
    char text[16384];

    given_hook(fixture, LINE_HOOK);
    assert_int_equal(hook_parallel(fixture->hook), 64);
    clock_freeze(-1, INSERTED_MS);
    expect_run(fixture, HOOK_DONE, NULL);
    clock_freeze(-1, -1);
    receive(fd, text);
    close(fd);
    assert_memory_equal(text, "<155>Nov 21 ", 12); /* local3.err */
    autofree char *end = xasprintf(" cvnotifyd[%d]: export.completed project=" PROJECT
                                   " iteration=" ITERATION " message=message-1",
                                   (int)getpid());
    assert_string_equal(text + 20, end);
}

static void facility_level_ident_and_text_are_followed(void **state)
{
    struct fixture *fixture = *state;
    int fd = listen_at(fixture, SOCK_DGRAM);
    char text[16384];

    given_hook(fixture, "syslog: {server: 'unix://@/log', facility: local7, level: debug, "
                        "ident: my-ident, text: 'got {message_id} {platform}'}");
    expect_run(fixture, HOOK_DONE, NULL);
    receive(fd, text);
    assert_memory_equal(text, "<191>", 5);
    expect_contains(text, " my-ident[");
    expect_contains(text, "]: got message-1 ONNX");
    given_hook(fixture, "syslog: {server: 'unix://@/log', facility: kern, level: emerg, text: x}");
    expect_run(fixture, HOOK_DONE, NULL);
    assert_memory_equal(receive(fd, text), "<0>", 3);
    close(fd);
}

static void a_signature_is_left_out(void **state)
{
    struct fixture *fixture = *state;
    int fd = listen_at(fixture, SOCK_DGRAM);
    char text[16384];

    given_hook(fixture, "syslog: {server: 'unix://@/log', text: 'model {model_uri}'}");
    expect_run(fixture, HOOK_DONE, NULL);
    receive(fd, text);
    close(fd);
    expect_contains(text, "model https://a.blob.core.windows.net/m/x.ONNX");
    expect_lacks(text, "s3cret");
    expect_lacks(text, "?");
}

static void a_line_can_not_be_forged(void **state)
{
    struct fixture *fixture = *state;
    int fd = listen_at(fixture, SOCK_DGRAM);
    char text[16384];

    fixture->message.id = "a\n<0>Nov 21 00:00:00 kernel: b\r\t\x1b[2J\x7f";
    given_hook(fixture, "syslog: {server: 'unix://@/log', text: '{message_id}'}");
    expect_run(fixture, HOOK_DONE, NULL);
    receive(fd, text);
    close(fd);
    for (const char *c = text; *c != '\0'; c++)
        assert_in_range((unsigned char)*c, 0x20, 0x7e);
}

static void a_missing_socket_is_the_hosts_fault_and_mends(void **state)
{
    struct fixture *fixture = *state;
    char text[16384];

    given_hook(fixture, LINE_HOOK);
    expect_run(fixture, HOOK_HOST_FAULT, "/log: No such file");
    int fd = listen_at(fixture, SOCK_DGRAM);
    expect_run(fixture, HOOK_DONE, NULL);
    assert_int_not_equal(receive(fd, text)[0], '\0');
    close(fd); /* the daemon has gone, its socket's file is still there */
    expect_run(fixture, HOOK_HOST_FAULT, "/log: Connection refused");
}

static void a_file_in_the_sockets_place_is_the_hosts_fault(void **state)
{
    struct fixture *fixture = *state;

    write_named(fixture, "log", "");
    given_hook(fixture, LINE_HOOK);
    expect_run(fixture, HOOK_HOST_FAULT, "/log");
}

static void a_value_that_is_missing_has_failed(void **state)
{
    struct fixture *fixture = *state;

    given_event(fixture, EXPORT_OF(PROJECT, ""));
    given_hook(fixture, "syslog: {server: 'unix://@/log', text: '{model_uri}'}");
    expect_untried(fixture, HOOK_FAILED, "model_uri");
}

static void fill(const struct fixture *fixture)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s/log", fixture->directory);
    while (sendto(fd, "x", 1, 0, (struct sockaddr *)&address, sizeof(address)) == 1)
        continue;
    assert_int_equal(errno, EAGAIN);
    close(fd);
}

static void a_full_receiver_is_waited_for(void **state)
{
    struct fixture *fixture = *state;
    int fd = listen_at(fixture, SOCK_DGRAM);
    char text[16384];
    struct outcome outcome;

    given_hook(fixture, LINE_HOOK);
    fill(fixture);
    start_run(fixture, &fixture->message, &outcome);
    run_a_moment(fixture->loop);
    assert_int_equal(outcome.fired, 0);
    while (receive(fd, text)[0] != '\0')
        continue;
    run_until_stopped(fixture->loop);
    assert_int_equal(outcome.result.outcome, HOOK_DONE);
    expect_contains(receive(fd, text), "message=message-1");
    assert_string_equal(receive(fd, text), ""); /* once */
    close(fd);
    outcome_done(&outcome);
}

static void waiting_for_a_full_receiver_can_be_stopped(void **state)
{
    struct fixture *fixture = *state;
    int fd = listen_at(fixture, SOCK_DGRAM);
    struct outcome outcome;

    given_hook(fixture, LINE_HOOK);
    fill(fixture);
    start_run(fixture, &fixture->message, &outcome);
    run_a_moment(fixture->loop);
    hook_run_stop(outcome.run);
    assert_int_equal(outcome.fired, 0);
    run_until_stopped(fixture->loop);
    assert_int_equal(outcome.result.outcome, HOOK_INTERRUPTED);
    assert_true(outcome.result.untried);
    close(fd);
    outcome_done(&outcome);
}

static void patience_with_a_full_receiver_ends(void **state)
{
    struct fixture *fixture = *state;
    int fd = listen_at(fixture, SOCK_DGRAM);
    struct outcome outcome;

    given_hook(fixture, LINE_HOOK);
    fill(fixture);
    clock_freeze(1000, -1);
    start_run(fixture, &fixture->message, &outcome);
    run_a_moment(fixture->loop);
    assert_int_equal(outcome.fired, 0);
    clock_freeze(7000, -1);
    run_until_stopped(fixture->loop);
    clock_freeze(-1, -1);
    assert_int_equal(outcome.result.outcome, HOOK_HOST_FAULT);
    close(fd);
    outcome_done(&outcome);
}

static void a_run_that_waits_for_a_server_can_be_stopped(void **state)
{
    struct fixture *fixture = *state;
    struct outcome outcome;

    /* Port 1 of the loopback: nobody listens there. */
    given_hook(fixture, "syslog: {server: 'tcp://127.0.0.1:1'}");
    start_run(fixture, &fixture->message, &outcome);
    run_a_moment(fixture->loop);
    assert_int_equal(outcome.fired, 0);
    hook_run_stop(outcome.run);
    assert_int_equal(outcome.fired, 0);
    run_until_stopped(fixture->loop);
    assert_int_equal(outcome.result.outcome, HOOK_INTERRUPTED);
    assert_true(outcome.result.untried);
    outcome_done(&outcome);
}

static void lines_to_a_server_are_bounded(void **state)
{
    struct fixture *fixture = *state;

    given_hook(fixture, "syslog: {server: 'tcp://127.0.0.1:1'}");
    assert_int_equal(hook_parallel(fixture->hook), 64);
    given_hook(fixture, "syslog: {server: 'udp://127.0.0.1:1'}");
    assert_int_equal(hook_parallel(fixture->hook), 64);
}

static void a_value_that_is_missing_has_failed_for_a_server_too(void **state)
{
    struct fixture *fixture = *state;

    given_event(fixture, EXPORT_OF(PROJECT, ""));
    given_hook(fixture, "syslog: {server: 'tcp://127.0.0.1:1', text: '{model_uri}'}");
    expect_untried(fixture, HOOK_FAILED, "model_uri");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HOOK_TEST(a_line_is_sent),
        HOOK_TEST(facility_level_ident_and_text_are_followed),
        HOOK_TEST(a_signature_is_left_out),
        HOOK_TEST(a_line_can_not_be_forged),
        HOOK_TEST(a_missing_socket_is_the_hosts_fault_and_mends),
        HOOK_TEST(a_file_in_the_sockets_place_is_the_hosts_fault),
        HOOK_TEST(a_value_that_is_missing_has_failed),
        HOOK_TEST(a_full_receiver_is_waited_for),
        HOOK_TEST(waiting_for_a_full_receiver_can_be_stopped),
        HOOK_TEST(patience_with_a_full_receiver_ends),
        HOOK_TEST(a_run_that_waits_for_a_server_can_be_stopped),
        HOOK_TEST(lines_to_a_server_are_bounded),
        HOOK_TEST(a_value_that_is_missing_has_failed_for_a_server_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
