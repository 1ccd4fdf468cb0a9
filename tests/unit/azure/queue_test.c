/* SPDX-License-Identifier: MIT */
/* The queue client against a scripted server on the loopback: what goes out, what is made of what comes
 * back. The real service's behaviour is the e2e suite's matter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "azure/queue.h"
#include "base/buf.h"
#include "config/mistakes.h"
#include "config/node.h"
#include "identity/identity.h"
#include "loop/loop.h"
#include "loop/worker.h"
#include "net/http.h"

#define GOOD_SAS "{kind: sas, sas: 'sv=2021-12-02&sp=rup&se=2099-01-01&sig=a%3D'}"
#define OLD_SAS  "{kind: sas, sas: 'sv=2021-12-02&sp=rup&se=2020-01-01&sig=a%3D'}"
#define SIGNED   "sv=2021-12-02&sp=rup&se=2099-01-01&sig=a%3D"
#define TIMES                                                                                      \
    "<InsertionTime>Sat, 21 Nov 2026 03:23:37 GMT</InsertionTime>"                                 \
    "<ExpirationTime>Sat, 28 Nov 2026 03:23:37 GMT</ExpirationTime>"
#define PUT_BODY                                                                                   \
    "<QueueMessagesList><QueueMessage><MessageId>id-1</MessageId>" TIMES                           \
    "<PopReceipt>r+1=</PopReceipt></QueueMessage></QueueMessagesList>"
#define GET_BODY                                                                                   \
    "<QueueMessagesList><QueueMessage><MessageId>id-1</MessageId>" TIMES                           \
    "<PopReceipt>r+1=</PopReceipt><DequeueCount>1</DequeueCount><MessageText>hello</MessageText>"  \
    "</QueueMessage></QueueMessagesList>"

/* One request is answered; a NULL reply means silence until the client has gone. */
struct server {
    pthread_t thread;
    int fd;
    int port;
    const char *head; /* status line and headers, without length */
    const char *body;
    struct buf seen; /* the request; read it after server_join */
    bool joined;
};

struct fixture {
    struct loop *loop;
    struct worker *worker;
    struct http *http;
    struct node *node;
    struct mistakes mistakes;
    struct identity_settings *settings;
    struct identity *identity;
    struct queue *queue;
    struct server server;
    unsigned fired;
    bool free_queue_inside;
    /* What the completion got, copied. */
    struct err err;
    struct queue_answer answer;
    char *id, *text, *pop_receipt;
};

static bool is_whole(const struct buf *seen)
{
    const char *end = strstr(seen->data, "\r\n\r\n");
    const char *length = strcasestr(seen->data, "\r\nContent-Length:");

    if (end == NULL)
        return false;
    size_t body_len = length == NULL ? 0 : strtoul(length + 17, NULL, 10);
    return seen->len - (size_t)(end + 4 - seen->data) >= body_len;
}

/* Reads one request; false when the client went away. */
static bool receive(int fd, struct buf *seen)
{
    char part[4096];

    while (!is_whole(seen)) {
        ssize_t len = recv(fd, part, sizeof(part), 0);
        if (len <= 0)
            return false;
        buf_append(seen, part, (size_t)len);
    }
    return true;
}

static void *serve(void *arg)
{
    struct server *server = arg;
    char part[64];
    int fd = accept(server->fd, NULL, NULL);

    if (fd < 0)
        return NULL;
    if (receive(fd, &server->seen) && server->head != NULL)
        dprintf(fd, "HTTP/1.1 %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
                server->head, strlen(server->body), server->body);
    else
        while (recv(fd, part, sizeof(part), 0) > 0)
            continue;
    close(fd);
    return NULL;
}

static void server_start(struct server *server, const char *head, const char *body)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);

    *server = (struct server){.head = head, .body = body};
    buf_init(&server->seen, BUF_ANY_SIZE);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server->fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(server->fd, 8), 0);
    assert_int_equal(getsockname(server->fd, (struct sockaddr *)&address, &len), 0);
    server->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

/* Waits for the server's end; a request that never came does not hold us. */
static void server_join(struct server *server)
{
    if (server->joined || server->port == 0)
        return;
    shutdown(server->fd, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    close(server->fd);
    server->joined = true;
}

static int set_up(void **state)
{
    static const struct http_settings settings = {
        .timeout_ms = 5000, .user_agent = "test", .max_connections = 4};
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));

    fixture->loop = loop_new();
    fixture->worker = worker_new(fixture->loop);
    fixture->http = http_new(fixture->loop, &settings);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    queue_free(fixture->queue);
    identity_free(fixture->identity);
    http_free(fixture->http);
    worker_free(fixture->worker);
    server_join(&fixture->server);
    buf_done(&fixture->server.seen);
    config_free(&identity_table, fixture->settings);
    node_free(fixture->node);
    mistakes_done(&fixture->mistakes);
    loop_free(fixture->loop);
    free(fixture->id);
    free(fixture->text);
    free(fixture->pop_receipt);
    free(fixture);
    return 0;
}

static const char *no_env(const char *name)
{
    (void)name;
    return NULL;
}

/* A client whose one request will be answered so. */
static void given(struct fixture *fixture, const char *identity, const char *head, const char *body)
{
    const struct identity_context context = {
        .loop = fixture->loop, .worker = fixture->worker, .http = fixture->http};

    server_start(&fixture->server, head, body);
    fixture->node = node_parse("test.yaml", identity, strlen(identity), &fixture->mistakes);
    fixture->settings = config_read(&identity_table, fixture->node, no_env, &fixture->mistakes);
    assert_int_equal(fixture->mistakes.count, 0);
    fixture->identity = identity_new(&context, fixture->settings, "build");
    autofree char *url = xasprintf("http://127.0.0.1:%d/account/q", fixture->server.port);
    fixture->queue = queue_new(fixture->loop, fixture->http, fixture->identity, url);
    assert_string_equal(queue_url(fixture->queue), url);
}

static void copy_answer(struct fixture *fixture, const struct queue_answer *answer)
{
    fixture->answer = *answer;
    fixture->pop_receipt = xstrdup(answer->pop_receipt);
    if (answer->count > 0) {
        fixture->id = xstrdup(answer->messages[0].id);
        fixture->text = xstrdup(answer->messages[0].text);
    }
}

static void on_done(void *arg, const struct queue_answer *answer, const struct err *err)
{
    struct fixture *fixture = arg;

    assert_true((answer == NULL) != (err == NULL));
    fixture->fired++;
    if (fixture->free_queue_inside)
        queue_free(take(fixture->queue)); /* what is borrowed lives on until we return */
    if (err != NULL)
        fixture->err = *err;
    else
        copy_answer(fixture, answer);
    loop_stop(fixture->loop);
}

/* Runs until the completion, which never fires from inside a start. */
static void finish(struct fixture *fixture)
{
    assert_int_equal(fixture->fired, 0);
    loop_run(fixture->loop);
    assert_int_equal(fixture->fired, 1);
    server_join(&fixture->server);
}

static void expect_well(struct fixture *fixture)
{
    finish(fixture);
    if (fixture->err.code != ERR_NONE)
        fail_msg("%s", fixture->err.text);
}

static void expect_failed(struct fixture *fixture, enum err_code code, const char *text)
{
    finish(fixture);
    assert_int_equal(fixture->err.code, code);
    if (strncmp(fixture->err.text, text, strlen(text)) != 0)
        assert_string_equal(fixture->err.text, text);
}

static void expect_sent(struct fixture *fixture, const char *part)
{
    if (strcasestr(fixture->server.seen.data, part) == NULL)
        assert_string_equal(fixture->server.seen.data, part);
}

static void get_asks_and_reads(void **state)
{
    struct fixture *fixture = *state;

    given(fixture, GOOD_SAS, "200 OK", GET_BODY);
    queue_get(fixture->queue, 32, 120, 5000, on_done, fixture);
    expect_well(fixture);
    expect_sent(fixture, "GET /account/q/messages?numofmessages=32&visibilitytimeout=120&" SIGNED
                         " HTTP/1.1\r\n");
    expect_sent(fixture, "\r\nx-ms-version: 2021-12-02\r\n");
    expect_sent(fixture, "\r\nx-ms-date: ");
    expect_sent(fixture, "\r\nx-ms-client-request-id: ");
    assert_int_equal(fixture->answer.count, 1);
    assert_string_equal(fixture->id, "id-1");
    assert_string_equal(fixture->text, "hello");
}

static void put_escapes_its_text(void **state)
{
    struct fixture *fixture = *state;

    given(fixture, GOOD_SAS, "201 Created", PUT_BODY);
    queue_put(fixture->queue, "a<b>&c", QUEUE_TTL_NEVER, 5000, on_done, fixture);
    expect_well(fixture);
    expect_sent(fixture, "POST /account/q/messages?messagettl=-1&" SIGNED " HTTP/1.1\r\n");
    expect_sent(fixture,
                "<QueueMessage><MessageText>a&lt;b&gt;&amp;c</MessageText></QueueMessage>");
    expect_sent(fixture, "\r\nContent-Type: application/xml\r\n");
    assert_string_equal(fixture->id, "id-1");
}

static void put_leaves_the_lifetime_to_the_service(void **state)
{
    struct fixture *fixture = *state;

    given(fixture, GOOD_SAS, "201 Created", PUT_BODY);
    queue_put(fixture->queue, "x", QUEUE_TTL_DEFAULT, 5000, on_done, fixture);
    expect_well(fixture);
    expect_sent(fixture, "POST /account/q/messages?" SIGNED " HTTP/1.1\r\n");
}

static void update_encodes_and_gives_the_new_receipt(void **state)
{
    struct fixture *fixture = *state;

    given(fixture, GOOD_SAS, "204 No Content\r\nx-ms-popreceipt: r+2=", "");
    queue_update(fixture->queue, "id 1/", "r+1/=", 0, 5000, on_done, fixture);
    expect_well(fixture);
    expect_sent(fixture, "PUT /account/q/messages/id%201%2F?popreceipt=r%2B1%2F%3D"
                         "&visibilitytimeout=0&" SIGNED " HTTP/1.1\r\n");
    expect_sent(fixture, "\r\nContent-Length: 0\r\n");
    assert_string_equal(fixture->pop_receipt, "r+2=");
}

static void delete_names_the_message(void **state)
{
    struct fixture *fixture = *state;

    given(fixture, GOOD_SAS, "204 No Content", "");
    queue_delete(fixture->queue, "id-1", "r+1=", 5000, on_done, fixture);
    expect_well(fixture);
    expect_sent(fixture, "DELETE /account/q/messages/id-1?popreceipt=r%2B1%3D&" SIGNED);
}

static void metadata_counts(void **state)
{
    struct fixture *fixture = *state;

    given(fixture, GOOD_SAS, "200 OK\r\nx-ms-approximate-messages-count: 12345678901", "");
    queue_metadata(fixture->queue, 5000, on_done, fixture);
    expect_well(fixture);
    expect_sent(fixture, "GET /account/q?comp=metadata&" SIGNED);
    assert_int_equal(fixture->answer.approximate_count, 12345678901);
}

static void create_makes_a_queue(void **state)
{
    struct fixture *fixture = *state;

    given(fixture, GOOD_SAS, "201 Created", "");
    queue_create(fixture->queue, 5000, on_done, fixture);
    expect_well(fixture);
    expect_sent(fixture, "PUT /account/q?" SIGNED " HTTP/1.1\r\n");
    expect_sent(fixture, "\r\nContent-Length: 0\r\n");
    assert_false(fixture->answer.existed);
}

static void create_is_content_with_one_that_exists(void **state)
{
    struct fixture *fixture = *state;

    given(fixture, GOOD_SAS, "409 Conflict\r\nx-ms-error-code: QueueAlreadyExists", "");
    queue_create(fixture->queue, 5000, on_done, fixture);
    expect_well(fixture);
    assert_true(fixture->answer.existed);
}

static void a_stale_receipt_is_gone(void **state)
{
    struct fixture *fixture = *state;

    given(fixture, GOOD_SAS,
          "400 Bad\r\nx-ms-error-code: PopReceiptMismatch\r\n"
          "x-ms-request-id: abc",
          "");
    queue_delete(fixture->queue, "id-1", "old", 5000, on_done, fixture);
    expect_failed(fixture, ERR_GONE, "Delete Message: 400 PopReceiptMismatch: ");
    assert_string_equal(fixture->err.request_id, "abc");
}

static void a_busy_service_names_its_floor(void **state)
{
    struct fixture *fixture = *state;

    given(fixture, GOOD_SAS, "503 Busy\r\nRetry-After: 7", "<html>");
    queue_get(fixture->queue, 1, 30, 5000, on_done, fixture);
    expect_failed(fixture, ERR_THROTTLED, "Get Messages: 503: ");
    assert_int_equal(fixture->err.retry_after_ms, 7000);
}

static void a_refusal_is_explained_by_the_identity(void **state)
{
    struct fixture *fixture = *state;

    given(fixture, OLD_SAS, "403 Forbidden\r\nx-ms-error-code: AuthenticationFailed", "");
    queue_get(fixture->queue, 1, 30, 5000, on_done, fixture);
    expect_failed(fixture, ERR_AUTH, "Get Messages: 403 AuthenticationFailed: ");
    assert_non_null(strstr(fixture->err.text, "; the SAS expired at 2020-01-01T00:00:00Z"));
}

static void a_good_status_with_nonsense_is_the_services_failure(void **state)
{
    struct fixture *fixture = *state;

    given(fixture, GOOD_SAS, "200 OK", "<html>Welcome to the hotel</html>");
    queue_get(fixture->queue, 1, 30, 5000, on_done, fixture);
    expect_failed(fixture, ERR_SERVER, "Get Messages: 200, but not a list of messages: ");
}

static void another_good_status_is_the_services_failure(void **state)
{
    struct fixture *fixture = *state;

    given(fixture, GOOD_SAS, "202 Accepted", "");
    queue_delete(fixture->queue, "id-1", "r", 5000, on_done, fixture);
    expect_failed(fixture, ERR_SERVER, "Delete Message: 202: ");
}

static void an_update_without_receipt_is_the_services_failure(void **state)
{
    struct fixture *fixture = *state;

    given(fixture, GOOD_SAS, "204 No Content", "");
    queue_update(fixture->queue, "id-1", "r", 30, 5000, on_done, fixture);
    expect_failed(fixture, ERR_SERVER, "Update Message: 204, but no x-ms-popreceipt in the answer");
}

static void a_redirect_is_not_followed(void **state)
{
    struct fixture *fixture = *state;

    given(fixture, GOOD_SAS, "302 Found\r\nLocation: http://127.0.0.1:1/", "");
    queue_get(fixture->queue, 1, 30, 5000, on_done, fixture);
    expect_failed(fixture, ERR_REJECTED, "Get Messages: 302: the host answered a redirect");
}

static void silence_ends_in_time(void **state)
{
    struct fixture *fixture = *state;

    given(fixture, GOOD_SAS, NULL, NULL);
    queue_get(fixture->queue, 1, 30, 200, on_done, fixture);
    expect_failed(fixture, ERR_NETWORK, "Get Messages: ");
}

static void without_a_credential_nothing_is_sent(void **state)
{
    struct fixture *fixture = *state;

    given(fixture, "{kind: sas, sas_file: /nonexistent/sas}", "200 OK", "");
    queue_get(fixture->queue, 1, 30, 5000, on_done, fixture);
    expect_failed(fixture, ERR_AUTH, "Get Messages: ");
    assert_int_equal(fixture->server.seen.len, 0);
    assert_int_equal(http_requests_sent(fixture->http), 0);
}

static void it_can_be_made_ready_without_a_request(void **state)
{
    struct fixture *fixture = *state;

    given(fixture, GOOD_SAS, "200 OK", "");
    assert_false(queue_is_ready(fixture->queue));
    queue_prepare(fixture->queue, 5000, on_done, fixture);
    finish(fixture);
    assert_int_equal(fixture->err.code, ERR_NONE);
    assert_true(queue_is_ready(fixture->queue));
    assert_int_equal(http_requests_sent(fixture->http), 0);
}

static void being_made_ready_fails_as_a_get_does(void **state)
{
    struct fixture *fixture = *state;

    given(fixture, "{kind: sas, sas_file: /nonexistent/sas}", "200 OK", "");
    queue_prepare(fixture->queue, 5000, on_done, fixture);
    expect_failed(fixture, ERR_AUTH, "Get Messages: ");
    queue_call_cancel(queue_prepare(fixture->queue, 5000, on_done, fixture));
    assert_int_equal(fixture->fired, 1);
}

static void the_callback_may_free_the_queue(void **state)
{
    struct fixture *fixture = *state;

    given(fixture, GOOD_SAS, "200 OK", GET_BODY);
    fixture->free_queue_inside = true;
    queue_get(fixture->queue, 1, 30, 5000, on_done, fixture);
    queue_metadata(fixture->queue, 5000, on_done, fixture); /* cancelled with the queue */
    finish(fixture);
}

static void stop(void *arg, const struct err *err)
{
    struct fixture *fixture = arg;

    (void)err;
    loop_stop(fixture->loop);
}

static void a_cancelled_call_never_fires(void **state)
{
    struct fixture *fixture = *state;

    given(fixture, GOOD_SAS, NULL, NULL);
    queue_call_cancel(NULL);
    queue_call_cancel(queue_get(fixture->queue, 1, 30, 5000, on_done, fixture));
    struct queue_call *call = queue_get(fixture->queue, 1, 30, 5000, on_done, fixture);
    identity_wait_start(fixture->identity, stop, fixture); /* fires when the call is on its way */
    loop_run(fixture->loop);
    assert_int_equal(http_requests_sent(fixture->http), 1);
    queue_call_cancel(call);
    assert_int_equal(fixture->fired, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(get_asks_and_reads),
        TEST(put_escapes_its_text),
        TEST(put_leaves_the_lifetime_to_the_service),
        TEST(update_encodes_and_gives_the_new_receipt),
        TEST(delete_names_the_message),
        TEST(metadata_counts),
        TEST(create_makes_a_queue),
        TEST(create_is_content_with_one_that_exists),
        TEST(a_stale_receipt_is_gone),
        TEST(a_busy_service_names_its_floor),
        TEST(a_refusal_is_explained_by_the_identity),
        TEST(a_good_status_with_nonsense_is_the_services_failure),
        TEST(another_good_status_is_the_services_failure),
        TEST(an_update_without_receipt_is_the_services_failure),
        TEST(a_redirect_is_not_followed),
        TEST(silence_ends_in_time),
        TEST(without_a_credential_nothing_is_sent),
        TEST(it_can_be_made_ready_without_a_request),
        TEST(being_made_ready_fails_as_a_get_does),
        TEST(the_callback_may_free_the_queue),
        TEST(a_cancelled_call_never_fires),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
