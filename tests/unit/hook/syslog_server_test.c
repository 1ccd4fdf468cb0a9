/* SPDX-License-Identifier: MIT */
/* The syslog hook's setting `server`: what is understood, and what is said of the rest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "base/err.h"
#include "base/str.h"
#include "hook/syslog_server.h"

static const struct {
    const char *text;
    enum syslog_transport transport;
    const char *path, *host, *port;
} good[] = {
    {"unix:///dev/log", SYSLOG_LOCAL, "/dev/log", NULL, NULL},
    {"udp://logs", SYSLOG_UDP, NULL, "logs", "514"},
    {"udp://logs:5514", SYSLOG_UDP, NULL, "logs", "5514"},
    {"udp://logs/", SYSLOG_UDP, NULL, "logs", "514"},
    {"UDP://Logs.Example:1", SYSLOG_UDP, NULL, "logs.example", "1"},
    {"tcp://127.0.0.1:65535", SYSLOG_TCP, NULL, "127.0.0.1", "65535"},
    {"tcp://[::1]", SYSLOG_TCP, NULL, "::1", "514"},
    {"tcp://[2001:db8::1]:6514", SYSLOG_TCP, NULL, "2001:db8::1", "6514"},
    {"tcp://logs:", SYSLOG_TCP, NULL, "logs", "514"},
};

static void a_server_is_understood(void **state)
{
    (void)state;
    for (size_t i = 0; i < array_size(good); i++) {
        struct syslog_server server;
        struct err err;

        if (!syslog_server_parse(good[i].text, &server, &err))
            fail_msg("%s: %s", good[i].text, err.text);
        assert_int_equal(server.transport, good[i].transport);
        assert_true(str_equal(server.path, good[i].path));
        assert_true(str_equal(server.host, good[i].host));
        assert_true(str_equal(server.port, good[i].port));
        syslog_server_done(&server);
    }
}

static const struct {
    const char *text, *said;
} bad[] = {
    {"http://logs", "is not the address of a syslog server; write unix:///PATH, udp://HOST:PORT"},
    {"tls://logs:6514", "is not the address of a syslog server"},
    {"logs:514", "scheme://host"},
    {"/dev/log", "scheme://host"},
    {"tcp:logs", "scheme://host"},
    {"unix:/dev/log", "write unix:///PATH"},
    {"unix://dev/log", "write three slashes, as in unix:///dev/log"},
    {"udp://", "No host"},
    {"udp://:514", "No host"},
    {"udp:///514", "scheme://host"},
    {"udp://logs:0", "a port is a number from 1 to 65535"},
    {"udp://logs:65536", "Port number"},
    {"udp://logs:syslog", "Port number"},
    {"tcp://::1:514", "an IPv6 address in brackets"},
    {"tcp://[::1", "IPv6"},
    {"tcp://[fe80::1%25lo]", "zone"},
    {"tcp://me@logs", "no user and no password"},
    {"tcp://@logs", "no user and no password"},
    {"tcp://logs/path", "nothing may follow the port; write tcp://HOST:PORT"},
    {"udp://logs?a=b", "nothing may follow the port; write udp://HOST:PORT"},
    {"udp://logs#", "nothing may follow the port"},
    {"udp://lo gs", "a blank"},
};

static void a_mistake_says_what_would_be_right(void **state)
{
    (void)state;
    for (size_t i = 0; i < array_size(bad); i++) {
        struct syslog_server server;
        struct err err;

        if (syslog_server_parse(bad[i].text, &server, &err))
            fail_msg("%s is taken", bad[i].text);
        assert_int_equal(err.code, ERR_CONFIG);
        if (strstr(err.text, bad[i].said) == NULL)
            assert_string_equal(err.text, bad[i].said);
    }
}

static void a_password_is_not_shown(void **state)
{
    struct syslog_server server;
    struct err err;

    (void)state;
    assert_false(syslog_server_parse("tcp://me:s3cret@logs", &server, &err));
    assert_null(strstr(err.text, "s3cret"));
    assert_false(syslog_server_parse("tcp://me:s3cret@logs%41:x", &server, &err));
    assert_null(strstr(err.text, "s3cret"));
}

static void a_path_must_fit_into_an_address(void **state)
{
    struct syslog_server server;
    char text[256];
    struct err err;

    (void)state;
    memset(text, 'x', sizeof(text));
    memcpy(text, "unix:///", 8);
    text[7 + 107] = '\0';
    assert_true(syslog_server_parse(text, &server, &err));
    syslog_server_done(&server);
    text[7 + 107] = 'x';
    text[7 + 108] = '\0';
    assert_false(syslog_server_parse(text, &server, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_is_understood),
        cmocka_unit_test(a_mistake_says_what_would_be_right),
        cmocka_unit_test(a_password_is_not_shown),
        cmocka_unit_test(a_path_must_fit_into_an_address),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
