/* SPDX-License-Identifier: MIT */
/* Azure Arc as an issuer: its challenge, taken from a real answer; the key's way; whose token it gave. */
#include "managing.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "codec/json.h"
#include "loop/loop.h"
#include "net/http.h"

#define DIRECTORY "/var/opt/azcmagent/tokens"

/* --- what a challenge does --- */

struct asking {
    struct managing *managing;
    struct loop *loop;
    bool taken; /* what `challenged` said */
    struct err err;
};

/* Answers one request. */
struct server {
    pthread_t thread;
    int fd;
    const char *headers;
};

static void *serve(void *arg)
{
    const struct server *server = arg;
    char seen[4096];
    int fd = accept(server->fd, NULL, NULL);

    assert_true(recv(fd, seen, sizeof(seen), 0) > 0);
    dprintf(fd, "HTTP/1.1 401 Unauthorized\r\n%sContent-Length: 0\r\nConnection: close\r\n\r\n",
            server->headers);
    close(fd);
    return NULL;
}

static int server_start(struct server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server->fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(server->fd, 1), 0);
    assert_int_equal(getsockname(server->fd, (struct sockaddr *)&address, &len), 0);
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
    return ntohs(address.sin_port);
}

/* The identity goes away while its key may be being read: nothing is reported to it any more. */
static void on_answer(void *arg, const struct http_reply *reply, const struct err *err)
{
    struct asking *asking = arg;
    struct managed_identity *identity = asking->managing->identity;

    assert_null(err);
    asking->taken = identity->source->issuer.challenged(identity, reply, &asking->err);
    assert_int_equal(identity->reading != NULL, asking->taken);
    managing_end(asking->managing);
    loop_stop(asking->loop);
}

/* What becomes of a 401 with these headers. */
static struct asking challenge(struct managing *managing, const char *headers)
{
    static const struct http_settings settings = {
        .timeout_ms = 5000, .user_agent = "test", .max_connections = 1};
    struct asking asking = {.managing = managing, .loop = loop_new()};
    struct worker *worker = worker_new(asking.loop);
    struct http *http = http_new(asking.loop, &settings);
    struct server server = {.headers = headers};
    struct http_request request;

    managing_create(managing, "source: arc", worker);
    http_request_init(&request, HTTP_GET);
    buf_printf(&request.url, "http://127.0.0.1:%d/", server_start(&server));
    http_call_start(http, &request, on_answer, &asking);
    loop_run(asking.loop);
    pthread_join(server.thread, NULL);
    close(server.fd);
    http_free(http);
    worker_free(worker); /* what it reads still is read to its end */
    loop_free(asking.loop);
    return asking;
}

static void test_a_401_without_a_challenge(void **state)
{
    struct asking asking = challenge(*state, "");

    assert_false(asking.taken);
    assert_int_equal(asking.err.code, ERR_NONE);
}

static void test_a_challenge_that_is_not_followed(void **state)
{
    struct asking asking =
        challenge(*state, "WWW-Authenticate: Basic realm=/etc/ssl/private/server.key\r\n");

    assert_false(asking.taken);
    assert_int_equal(asking.err.code, ERR_AUTH);
    assert_string_equal(asking.err.text, "its challenge names a file that is not in " DIRECTORY
                                         ", and it was not read");
}

static void test_an_identity_that_ends_while_its_key_is_read(void **state)
{
    struct asking asking =
        challenge(*state, "WWW-Authenticate: Basic realm=" DIRECTORY "/absent.key\r\n");

    assert_true(asking.taken);
    assert_int_equal(asking.err.code, ERR_NONE);
}

/* --- the key and the token --- */

static void test_the_key_goes_along_until_it_is_forgotten(void **state)
{
    struct managing *managing = *state;
    struct http_request request;
    struct err err;

    managing_create(managing, "source: arc", NULL);
    const struct issuer *issuer = &managing->identity->source->issuer;
    secret_set(&managing->identity->secret, "QUJD", 4);
    for (unsigned i = 0; i < 2; i++) {
        http_request_init(&request, HTTP_GET);
        assert_true(issuer->ask(managing->identity, "https://storage.azure.com/", &request, &err));
        assert_string_equal(http_request_find_header(&request, "Metadata"), "true");
        const char *shown = http_request_find_header(&request, "Authorization");
        if (i == 0)
            assert_string_equal(shown, "Basic QUJD");
        else
            assert_null(shown);
        http_request_done(&request);
        issuer->forget(managing->identity);
    }
}

/* Whether a token that came with these members is taken by an identity with these settings. */
static bool accepts(struct managing *managing, const char *settings, const char *answer,
                    struct err *err)
{
    struct json_doc *doc;

    managing_create(managing, settings, NULL);
    assert_int_equal(json_parse(answer, strlen(answer), 4, &doc), JSON_OK);
    bool good = managing->identity->source->issuer.accepts(managing->identity, json_root(doc), err);
    json_doc_free(doc);
    managing_end(managing);
    return good;
}

static void test_whose_token_it_is(void **state)
{
    struct err err;

    assert_true(accepts(*state, "source: arc", "{}", &err));
    assert_true(accepts(*state, "source: arc", "{\"client_id\": \"b\"}", &err));
    assert_true(accepts(*state, "source: arc, client_id: a", "{\"client_id\": \"A\"}", &err));
    assert_true(accepts(*state, "source: arc, object_id: a", "{\"object_id\": \"a\"}", &err));
    assert_true(accepts(*state, "source: arc, resource_id: /subscriptions/a",
                        "{\"msi_res_id\": \"/subscriptions/A\"}", &err));
    assert_true(accepts(*state, "source: arc, resource_id: /subscriptions/a",
                        "{\"mi_res_id\": \"/subscriptions/a\"}", &err));
    assert_false(accepts(*state, "source: arc, object_id: a", "{\"client_id\": \"a\"}", &err));
    assert_false(accepts(*state, "source: arc, object_id: a", "{\"mi_res_id\": \"a\"}", &err));
    assert_false(accepts(*state, "source: arc, client_id: a", "{}", &err));
    assert_false(accepts(*state, "source: arc, client_id: a", "{\"client_id\": \"b\"}", &err));
    assert_int_equal(err.code, ERR_AUTH);
    assert_string_equal(err.text,
                        "the token is for another identity: an older agent knows only the "
                        "machine's own, the system-assigned one; take out client_id, or bring the "
                        "agent up to date");
}

int main(void)
{
#define row(test) cmocka_unit_test_setup_teardown(test, managing_set_up, managing_tear_down)
    const struct CMUnitTest tests[] = {
        row(test_a_401_without_a_challenge),
        row(test_a_challenge_that_is_not_followed),
        row(test_an_identity_that_ends_while_its_key_is_read),
        row(test_the_key_goes_along_until_it_is_forgotten),
        row(test_whose_token_it_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
