/* SPDX-License-Identifier: MIT */
/* The token cache through an identity whose issuer is a scripted server on the loopback, and a clock that
 * stands where the test puts it: when a token is got, replaced, dropped, and how often the issuer is asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "config/mistakes.h"
#include "config/node.h"
#include "identity/identity.h"
#include "loop/loop.h"
#include "loop/timer.h"
#include "loop/worker.h"
#include "net/http.h"

#define SECOND   ((int64_t)1000)
#define MINUTE   (60 * SECOND)
#define HOUR     (60 * MINUTE)
#define LATER_MS 20 /* for whoever comes again */
#define START_MS (1000 * HOUR)
#define WALL_MS  ((int64_t)1795000000000)

/* What the issuer says, from now on. Tokens are numbered: token-1, token-2, ... */
struct server {
    pthread_t thread;
    int fd;
    int port;
    _Atomic(const char *) head; /* of a failure; NULL: tokens are given */
    _Atomic int64_t life_s;
    atomic_uint asked;
    atomic_uint given;
};

struct fixture {
    struct loop *loop;
    struct worker *worker;
    struct http *http;
    struct node *node;
    struct mistakes mistakes;
    struct identity_settings *settings;
    struct identity *identity;
    struct server server;
    int64_t now_ms;
    unsigned told; /* waits that fired */
    unsigned awaited;
    struct err last;
};

static void answer(struct server *server, int fd)
{
    const char *head = server->head;
    char body[200] = "{\"error\": \"some_error\", \"error_description\": \"Words\"}";

    server->asked++;
    if (head == NULL)
        snprintf(body, sizeof(body),
                 "{\"access_token\": \"token-%u\", \"expires_in\": \"%lld\", \"token_type\": "
                 "\"Bearer\"}",
                 ++server->given, (long long)server->life_s);
    dprintf(fd, "HTTP/1.1 %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
            head != NULL ? head : "200 OK", strlen(body), body);
}

static void *serve(void *arg)
{
    struct server *server = arg;
    char seen[4096];
    int fd;

    while ((fd = accept(server->fd, NULL, NULL)) >= 0) {
        size_t len = 0;
        ssize_t got;
        while ((got = recv(fd, seen + len, sizeof(seen) - 1 - len, 0)) > 0) {
            len += (size_t)got;
            seen[len] = '\0';
            if (strstr(seen, "\r\n\r\n") == NULL)
                continue;
            answer(server, fd);
            break;
        }
        close(fd);
    }
    return NULL;
}

static void server_start(struct server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);

    server->life_s = 3 * 3600;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server->fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(server->fd, 8), 0);
    assert_int_equal(getsockname(server->fd, (struct sockaddr *)&address, &len), 0);
    server->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void server_stop(struct server *server)
{
    shutdown(server->fd, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    close(server->fd);
}

static const char *no_env(const char *name)
{
    (void)name;
    return NULL;
}

static void make_identity(struct fixture *fixture, const char *yaml, bool allow_insecure)
{
    const struct identity_context context = {.loop = fixture->loop,
                                             .worker = fixture->worker,
                                             .http = fixture->http,
                                             .audience = "https://storage.azure.com/",
                                             .allow_insecure = allow_insecure};

    fixture->node = node_parse("test.yaml", yaml, strlen(yaml), &fixture->mistakes);
    fixture->settings = config_read(&identity_table, fixture->node, no_env, &fixture->mistakes);
    if (fixture->mistakes.count > 0)
        fail_msg("%s", fixture->mistakes.lines[0]);
    fixture->identity = identity_new(&context, fixture->settings, "build");
}

static int set_up_with(void **state, bool allow_insecure)
{
    static const struct http_settings settings = {
        .timeout_ms = 5000, .user_agent = "test", .max_connections = 4};
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));

    fixture->now_ms = START_MS;
    clock_freeze(START_MS, WALL_MS);
    server_start(&fixture->server);
    fixture->loop = loop_new();
    fixture->worker = worker_new(fixture->loop);
    fixture->http = http_new(fixture->loop, &settings);
    autofree char *yaml =
        xasprintf("{kind: managed_identity, source: imds, endpoint: 'http://127.0.0.1:%d'}",
                  fixture->server.port);
    make_identity(fixture, yaml, allow_insecure);
    *state = fixture;
    return 0;
}

static int set_up(void **state)
{
    return set_up_with(state, false);
}

static int set_up_insecure(void **state)
{
    return set_up_with(state, true);
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    identity_free(fixture->identity);
    http_free(fixture->http);
    worker_free(fixture->worker);
    server_stop(&fixture->server);
    config_free(&identity_table, fixture->settings);
    node_free(fixture->node);
    mistakes_done(&fixture->mistakes);
    loop_free(fixture->loop);
    free(fixture);
    clock_freeze(-1, -1);
    return 0;
}

/* --- words of the stories --- */

static void pass(struct fixture *fixture, int64_t span_ms)
{
    fixture->now_ms += span_ms;
    clock_freeze(fixture->now_ms, WALL_MS + fixture->now_ms - START_MS);
}

static void on_ready(void *arg, const struct err *err)
{
    struct fixture *fixture = arg;

    fixture->last = err != NULL ? *err : (struct err){.code = ERR_NONE};
    if (++fixture->told == fixture->awaited)
        loop_stop(fixture->loop);
}

static void want(struct fixture *fixture, unsigned times)
{
    fixture->told = 0;
    fixture->awaited = times;
    for (unsigned i = 0; i < times; i++)
        identity_wait_start(fixture->identity, on_ready, fixture);
    loop_run(fixture->loop);
    assert_int_equal(fixture->told, times);
}

static void want_token(struct fixture *fixture)
{
    want(fixture, 1);
    if (fixture->last.code != ERR_NONE)
        fail_msg("%s", fixture->last.text);
    assert_true(identity_is_ready(fixture->identity));
}

static void want_in_vain(struct fixture *fixture)
{
    want(fixture, 1);
    assert_int_not_equal(fixture->last.code, ERR_NONE);
}

/* Signs a request for that URL; "" when it may not be. */
static char *sign(struct fixture *fixture, const char *url, struct err *err)
{
    struct http_request request;
    char *seen = xstrdup("");

    http_request_init(&request, HTTP_GET);
    buf_puts(&request.url, url);
    if (identity_sign(fixture->identity, &request, err)) {
        free(seen);
        seen = xstrdup(http_request_find_header(&request, "Authorization"));
    } else {
        assert_null(http_request_find_header(&request, "Authorization"));
    }
    http_request_done(&request);
    return seen;
}

static void expect_token(struct fixture *fixture, const char *token)
{
    struct err err;
    autofree char *seen = sign(fixture, "https://contoso.queue.core.windows.net/q", &err);
    autofree char *expected = xasprintf("Bearer %s", token);

    assert_string_equal(seen, expected);
}

static bool never(void *arg)
{
    (void)arg;
    return false;
}

static bool is_renewed(void *arg)
{
    struct fixture *fixture = arg;

    return identity_credential(fixture->identity) == fixture->awaited;
}

static bool is_in_trouble(void *arg)
{
    return identity_trouble(((struct fixture *)arg)->identity) != NULL;
}

/* Lets the loop run until something holds; `never` lets what is due happen. */
struct until {
    struct fixture *fixture;
    bool (*holds)(void *arg);
    struct timer timer;
    unsigned turns;
};

static void on_turn(void *arg)
{
    struct until *until = arg;
    unsigned most = until->holds == never ? 20 : 5000;

    if (until->holds(until->fixture) || ++until->turns == most)
        loop_stop(until->fixture->loop);
    else
        timer_set(&until->timer, 1);
}

static void run_until(struct fixture *fixture, bool (*holds)(void *arg))
{
    struct until until = {.fixture = fixture, .holds = holds};

    timer_init(&until.timer, fixture->loop, on_turn, &until);
    timer_set(&until.timer, 0);
    loop_run(fixture->loop);
    timer_done(&until.timer);
    if (holds != never)
        assert_true(holds(fixture));
}

static void run_until_number(struct fixture *fixture, unsigned number)
{
    fixture->awaited = number;
    run_until(fixture, is_renewed);
}

static void expect_asked(struct fixture *fixture, unsigned times)
{
    assert_int_equal(fixture->server.asked, times);
}

static void refuse(struct fixture *fixture, int status, const char *code, bool expected)
{
    struct err err;

    err_set(&err, ERR_AUTH, "Get Messages: %d", status);
    err.http_status = status;
    snprintf(err.service_code, sizeof(err.service_code), "%s", code);
    assert_int_equal(
        identity_refused(fixture->identity, identity_credential(fixture->identity), &err),
        expected);
}

/* --- when a token is got and replaced --- */

static void one_fetch_serves_all_who_wait(void **state)
{
    struct fixture *fixture = *state;

    assert_false(identity_is_ready(fixture->identity));
    want(fixture, 5);
    assert_int_equal(fixture->last.code, ERR_NONE);
    expect_asked(fixture, 1);
    expect_token(fixture, "token-1");
    want_token(fixture);
    expect_asked(fixture, 1);
}

/* Given a token of that life, it is left alone at one age, and replaced at the other while it serves on. */
static void expect_replaced(struct fixture *fixture, int64_t life_s, int64_t young_ms,
                            int64_t old_ms)
{
    fixture->server.life_s = life_s;
    want_token(fixture);
    pass(fixture, young_ms);
    expect_token(fixture, "token-1");
    run_until(fixture, never);
    expect_asked(fixture, 1);
    pass(fixture, old_ms - young_ms);
    expect_token(fixture, "token-1");
    run_until_number(fixture, 2);
    expect_token(fixture, "token-2");
    expect_asked(fixture, 2);
}

static void a_long_life_is_renewed_at_its_half(void **state)
{
    expect_replaced(*state, 24 * 3600, 12 * HOUR - MINUTE, 12 * HOUR + MINUTE);
}

static void an_hours_life_is_renewed_five_minutes_before_its_end(void **state)
{
    expect_replaced(*state, 3600, 54 * MINUTE, 56 * MINUTE);
}

static void a_short_life_is_renewed_when_a_quarter_is_left(void **state)
{
    expect_replaced(*state, 100, 74 * SECOND, 76 * SECOND);
}

static void an_expired_token_is_not_used(void **state)
{
    struct fixture *fixture = *state;

    fixture->server.life_s = 3600;
    want_token(fixture);
    pass(fixture, HOUR);
    assert_false(identity_is_ready(fixture->identity));
    want_token(fixture);
    expect_token(fixture, "token-2");
}

static void a_wall_clock_that_jumps_changes_nothing(void **state)
{
    struct fixture *fixture = *state;

    want_token(fixture);
    clock_freeze(fixture->now_ms, WALL_MS + 400 * 24 * HOUR);
    assert_true(identity_is_ready(fixture->identity));
    clock_freeze(fixture->now_ms, 0);
    assert_true(identity_is_ready(fixture->identity));
    expect_token(fixture, "token-1");
    run_until(fixture, never);
    expect_asked(fixture, 1);
}

/* --- when it can not be got --- */

/* Each failure is told; nobody asks before the wait is over; then somebody does. */
static void expect_waits(struct fixture *fixture, const char *head, const int *waits_s,
                         unsigned count)
{
    fixture->server.head = head;
    for (unsigned i = 0; i < count; i++) {
        int64_t least_ms = waits_s[i] * SECOND;

        want_in_vain(fixture);
        expect_asked(fixture, i + 1);
        assert_true(fixture->last.is_paced);
        int64_t wait_ms = fixture->last.retry_after_ms - LATER_MS;
        assert_in_range(wait_ms, least_ms, least_ms * 6 / 5 + 1);
        pass(fixture, wait_ms - 1);
        want_in_vain(fixture); /* too soon: the same words, and no request */
        assert_int_equal(fixture->last.retry_after_ms, 1 + LATER_MS);
        expect_asked(fixture, i + 1);
        pass(fixture, 1);
    }
    fixture->server.head = NULL;
    want_token(fixture);
    expect_asked(fixture, count + 1);
    expect_token(fixture, "token-1");
}

#define EXPECT_WAITS(state, head, ...)                                                             \
    expect_waits(state, head, (const int[]){__VA_ARGS__},                                          \
                 sizeof((const int[]){__VA_ARGS__}) / sizeof(int))

static void status_404_follows_the_table(void **state)
{
    EXPECT_WAITS(*state, "404 Not Found", 2, 6, 14, 30, 60, 60);
}

static void status_408_follows_the_table(void **state)
{
    EXPECT_WAITS(*state, "408 Request Timeout", 2, 6, 14, 30, 60);
}

static void status_429_follows_the_table(void **state)
{
    EXPECT_WAITS(*state, "429 Too Many Requests", 2, 6, 14, 30, 60);
}

static void status_500_follows_the_table(void **state)
{
    EXPECT_WAITS(*state, "500 Internal Server Error", 2, 6, 14, 30, 60);
}

static void status_503_follows_the_table(void **state)
{
    EXPECT_WAITS(*state, "503 Service Unavailable", 2, 6, 14, 30, 60);
}

static void status_410_is_back_within_seventy_seconds(void **state)
{
    EXPECT_WAITS(*state, "410 Gone", 10, 10, 10, 10, 10, 10, 10);
}

static void a_refusal_waits_ever_longer(void **state)
{
    EXPECT_WAITS(*state, "400 Bad Request", 2, 4, 8, 16, 32, 64, 120, 120);
}

static void retry_after_is_a_floor(void **state)
{
    EXPECT_WAITS(*state, "429 Too Many Requests\r\nRetry-After: 77", 77);
}

static void an_hour_without_an_issuer_costs_few_requests(void **state)
{
    struct fixture *fixture = *state;
    int64_t end_ms = fixture->now_ms + HOUR;

    fixture->server.head = "503 Service Unavailable";
    while (fixture->now_ms < end_ms) {
        want_in_vain(fixture);
        pass(fixture, 500); /* somebody always asks */
    }
    /* 2, 6, 14 and 30 s, and then once a minute. */
    assert_in_range(fixture->server.asked, 40, 64);
    fixture->server.head = NULL;
    pass(fixture, 72 * SECOND);
    want_token(fixture);
}

static void the_old_token_serves_while_no_other_is_to_be_had(void **state)
{
    struct fixture *fixture = *state;

    want_token(fixture);
    pass(fixture, 100 * MINUTE);
    fixture->server.head = "400 Bad Request";
    expect_token(fixture, "token-1");
    run_until(fixture, is_in_trouble);
    assert_non_null(strstr(identity_trouble(fixture->identity), "IMDS: 400"));
    expect_token(fixture, "token-1");
    want_token(fixture);
    expect_asked(fixture, 2);
    /* and is replaced when that is possible again */
    fixture->server.head = NULL;
    pass(fixture, 10 * MINUTE);
    expect_token(fixture, "token-1");
    run_until_number(fixture, 2);
    assert_null(identity_trouble(fixture->identity));
}

static void a_reload_asks_at_once(void **state)
{
    struct fixture *fixture = *state;

    fixture->server.head = "400 Bad Request";
    want_in_vain(fixture);
    fixture->server.head = NULL;
    identity_reload(fixture->identity);
    want_token(fixture);
    expect_asked(fixture, 2);
}

static void an_operator_need_not_wait(void **state)
{
    struct fixture *fixture = *state;

    fixture->server.head = "400 Bad Request";
    want_in_vain(fixture);
    fixture->server.head = NULL;
    identity_hurry(fixture->identity);
    want_token(fixture);
    identity_hurry(fixture->identity);
    expect_token(fixture, "token-1");
    run_until(fixture, never);
    expect_asked(fixture, 2); /* what is good is left alone */
}

static void a_reload_keeps_the_token_until_there_is_another(void **state)
{
    struct fixture *fixture = *state;

    want_token(fixture);
    identity_reload(fixture->identity);
    assert_true(identity_is_ready(fixture->identity));
    expect_token(fixture, "token-1");
    run_until_number(fixture, 2);
    expect_token(fixture, "token-2");
}

/* --- when the service does not take it --- */

static void a_refused_token_is_dropped(void **state)
{
    struct fixture *fixture = *state;

    want_token(fixture);
    refuse(fixture, 401, "InvalidAuthenticationInfo", true);
    assert_false(identity_is_ready(fixture->identity));
    want_token(fixture);
    expect_token(fixture, "token-2");
}

static void all_whom_it_was_refused_wait_for_the_next(void **state)
{
    struct fixture *fixture = *state;

    want_token(fixture);
    refuse(fixture, 401, "", true);
    refuse(fixture, 401, "", true);
    want(fixture, 2);
    expect_token(fixture, "token-2");
    expect_asked(fixture, 2);
}

static void a_refused_token_serves_while_no_other_is_to_be_had(void **state)
{
    struct fixture *fixture = *state;

    want_token(fixture);
    fixture->server.head = "503 Service Unavailable";
    refuse(fixture, 401, "", true);
    want_in_vain(fixture);
    expect_token(fixture, "token-1"); /* where it is not refused */
    assert_true(identity_is_ready(fixture->identity));
    refuse(fixture, 401, "", false);
    fixture->server.head = NULL;
    pass(fixture, 31 * SECOND);
    refuse(fixture, 401, "", true);
    want_token(fixture);
    expect_token(fixture, "token-2");
}

static void a_missing_right_costs_no_token(void **state)
{
    struct fixture *fixture = *state;

    want_token(fixture);
    refuse(fixture, 403, "AuthorizationPermissionMismatch", false);
    assert_true(identity_is_ready(fixture->identity));
}

static void a_service_that_takes_none_costs_one_in_half_a_minute(void **state)
{
    struct fixture *fixture = *state;

    want_token(fixture);
    refuse(fixture, 401, "", true);
    want_token(fixture);
    refuse(fixture, 401, "", false);
    pass(fixture, 29 * SECOND);
    refuse(fixture, 401, "", false);
    expect_asked(fixture, 2);
    pass(fixture, 2 * SECOND);
    refuse(fixture, 401, "", true);
}

static void a_late_refusal_of_an_earlier_token_spares_the_next(void **state)
{
    struct fixture *fixture = *state;
    struct err err;

    want_token(fixture);
    unsigned first = identity_credential(fixture->identity);
    refuse(fixture, 401, "", true);
    want_token(fixture);
    err_set(&err, ERR_AUTH, "Delete Message: 401");
    err.http_status = 401;
    assert_true(identity_refused(fixture->identity, first, &err)); /* try with the other one */
    assert_true(identity_is_ready(fixture->identity));
    expect_asked(fixture, 2);
}

/* --- where it may go --- */

static void a_token_goes_over_https_alone(void **state)
{
    static const char *const urls[] = {"http://127.0.0.1:1/account/q", "http://localhost/account/q",
                                       "http://contoso.queue.core.windows.net/q",
                                       "ftp://127.0.0.1/q"};

    want_token(*state);
    for (size_t i = 0; i < array_size(urls); i++) {
        struct err err;
        autofree char *seen = sign(*state, urls[i], &err);
        assert_string_equal(seen, "");
        assert_int_equal(err.code, ERR_AUTH);
    }
    expect_token(*state, "token-1");
}

static void to_this_machine_it_may_go_otherwise_if_allowed(void **state)
{
    struct err err;

    want_token(*state);
    autofree char *near = sign(*state, "http://127.0.0.1:1/account/q", &err);
    assert_string_equal(near, "Bearer token-1");
    autofree char *far = sign(*state, "http://192.0.2.1/account/q", &err);
    assert_string_equal(far, "");
    autofree char *alike = sign(*state, "http://127.0.0.1.example.com/account/q", &err);
    assert_string_equal(alike, "");
}

static void stop(void *arg)
{
    loop_stop(arg);
}

static void an_identity_may_end_during_a_fetch(void **state)
{
    struct fixture *fixture = *state;
    struct timer behind; /* the timer that begins the fetch, before its end is looked at */

    identity_wait_start(fixture->identity, on_ready, fixture);
    timer_init(&behind, fixture->loop, stop, fixture->loop);
    timer_set(&behind, 0);
    loop_run(fixture->loop);
    timer_done(&behind);
    identity_free(take(fixture->identity));
    assert_int_equal(fixture->told, 0);
}

#define TEST(name)          cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define TEST_INSECURE(name) cmocka_unit_test_setup_teardown(name, set_up_insecure, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_fetch_serves_all_who_wait),
        TEST(a_long_life_is_renewed_at_its_half),
        TEST(an_hours_life_is_renewed_five_minutes_before_its_end),
        TEST(a_short_life_is_renewed_when_a_quarter_is_left),
        TEST(an_expired_token_is_not_used),
        TEST(a_wall_clock_that_jumps_changes_nothing),
        TEST(status_404_follows_the_table),
        TEST(status_408_follows_the_table),
        TEST(status_429_follows_the_table),
        TEST(status_500_follows_the_table),
        TEST(status_503_follows_the_table),
        TEST(status_410_is_back_within_seventy_seconds),
        TEST(a_refusal_waits_ever_longer),
        TEST(retry_after_is_a_floor),
        TEST(an_hour_without_an_issuer_costs_few_requests),
        TEST(the_old_token_serves_while_no_other_is_to_be_had),
        TEST(a_reload_asks_at_once),
        TEST(an_operator_need_not_wait),
        TEST(a_reload_keeps_the_token_until_there_is_another),
        TEST(a_refused_token_is_dropped),
        TEST(all_whom_it_was_refused_wait_for_the_next),
        TEST(a_refused_token_serves_while_no_other_is_to_be_had),
        TEST(a_missing_right_costs_no_token),
        TEST(a_service_that_takes_none_costs_one_in_half_a_minute),
        TEST(a_late_refusal_of_an_earlier_token_spares_the_next),
        TEST(a_token_goes_over_https_alone),
        TEST_INSECURE(to_this_machine_it_may_go_otherwise_if_allowed),
        TEST(an_identity_may_end_during_a_fetch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
