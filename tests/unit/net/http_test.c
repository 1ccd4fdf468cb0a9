/* SPDX-License-Identifier: MIT */
/* The HTTP client against a server on the loopback that answers by path: well, badly, slowly, never. */
#include "../loop/waiting.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "net/http.h"

#define MAX_PEERS 64
#define OK_HELLO  "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

/* --- the server --- */

enum manner {
    MANNER_KEEP,  /* answers and keeps the connection */
    MANNER_CLOSE, /* answers and closes it */
    MANNER_DRIP,  /* answers, then one byte of body now and then, for ever */
    MANNER_RESET, /* answers and resets the connection */
    MANNER_FRESH, /* answers on a new connection, and resets one that was kept */
};

struct page {
    const char *path;
    enum manner manner;
    const char *text; /* whole answer; NULL: silence */
};

struct peer {
    int fd;
    struct buf seen; /* of the present request */
    bool drips;
    bool kept; /* has had an answer */
};

struct server {
    pthread_t thread;
    int fd;
    int port;
    int stop[2];
    const struct page *pages;
    struct peer peers[MAX_PEERS];
    bool joined;
    /* Look at these after server_join. */
    unsigned connections;
    struct buf seen; /* every request */
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

static void peer_close(struct peer *peer, bool reset)
{
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};

    if (reset)
        setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    close(peer->fd);
    buf_done(&peer->seen);
    *peer = (struct peer){.fd = -1};
}

static const struct page *find_page(const struct server *server, const char *request)
{
    const char *path = strchr(request, ' ') + 1;
    size_t len = strcspn(path, " ?");

    for (const struct page *page = server->pages; page->path != NULL; page++) {
        if (strlen(page->path) == len && strncmp(page->path, path, len) == 0)
            return page;
    }
    return NULL;
}

static void send_all(int fd, const char *text)
{
    size_t len = strlen(text);

    while (len > 0) {
        ssize_t sent = send(fd, text, len, MSG_NOSIGNAL);
        if (sent <= 0)
            return;
        text += sent;
        len -= (size_t)sent;
    }
}

static void answer(struct server *server, struct peer *peer)
{
    static const struct page missing = {NULL, MANNER_KEEP,
                                        "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"};
    const struct page *page = find_page(server, peer->seen.data);

    buf_append(&server->seen, peer->seen.data, peer->seen.len);
    buf_reset(&peer->seen);
    if (page == NULL)
        page = &missing;
    if (page->text == NULL)
        return;
    if (page->manner == MANNER_FRESH && peer->kept) {
        peer_close(peer, true);
        return;
    }
    peer->kept = true;
    send_all(peer->fd, page->text);
    peer->drips = page->manner == MANNER_DRIP;
    if (page->manner == MANNER_CLOSE || page->manner == MANNER_RESET)
        peer_close(peer, page->manner == MANNER_RESET);
}

static void receive(struct server *server, struct peer *peer)
{
    char part[16384];
    ssize_t len = recv(peer->fd, part, sizeof(part), 0);

    if (len <= 0) {
        peer_close(peer, false);
        return;
    }
    buf_append(&peer->seen, part, (size_t)len);
    if (is_whole(&peer->seen))
        answer(server, peer);
}

static void greet(struct server *server)
{
    int fd = accept(server->fd, NULL, NULL);

    for (unsigned i = 0; fd >= 0 && i < MAX_PEERS; i++) {
        if (server->peers[i].fd >= 0)
            continue;
        server->connections++;
        server->peers[i].fd = fd;
        buf_init(&server->peers[i].seen, BUF_ANY_SIZE);
        return;
    }
}

static void *serve(void *arg)
{
    struct server *server = arg;
    struct pollfd ready[MAX_PEERS + 2];

    for (;;) {
        ready[MAX_PEERS] = (struct pollfd){.fd = server->fd, .events = POLLIN};
        ready[MAX_PEERS + 1] = (struct pollfd){.fd = server->stop[0], .events = POLLIN};
        for (unsigned i = 0; i < MAX_PEERS; i++)
            ready[i] = (struct pollfd){.fd = server->peers[i].fd, .events = POLLIN};
        poll(ready, MAX_PEERS + 2, 10);
        if (ready[MAX_PEERS + 1].revents != 0)
            break;
        for (unsigned i = 0; i < MAX_PEERS; i++) {
            if (server->peers[i].drips)
                send_all(server->peers[i].fd, "x");
            if (ready[i].revents != 0)
                receive(server, &server->peers[i]);
        }
        if (ready[MAX_PEERS].revents != 0)
            greet(server);
    }
    for (unsigned i = 0; i < MAX_PEERS; i++) {
        if (server->peers[i].fd >= 0)
            peer_close(&server->peers[i], false);
    }
    return NULL;
}

static int bind_loopback(int *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

static void server_start(struct server *server, const struct page *pages)
{
    *server = (struct server){.pages = pages};
    for (unsigned i = 0; i < MAX_PEERS; i++)
        server->peers[i].fd = -1;
    buf_init(&server->seen, BUF_ANY_SIZE);
    server->fd = bind_loopback(&server->port);
    assert_int_equal(listen(server->fd, MAX_PEERS), 0);
    assert_int_equal(pipe(server->stop), 0);
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void server_join(struct server *server)
{
    if (server->joined)
        return;
    server->joined = true;
    assert_int_equal(write(server->stop[1], "x", 1), 1);
    pthread_join(server->thread, NULL);
    close(server->stop[0]);
    close(server->stop[1]);
    close(server->fd);
}

/* --- calls --- */

struct fixture {
    struct loop *loop;
    struct http *http;
    struct server server;
    unsigned open;
};

struct call {
    struct fixture *fixture;
    struct http_call *call;
    unsigned fired;
    struct err err;
    int status;
    char *body;
    size_t len;
    uint32_t retry_after_ms;
    bool sent_twice;
    char *header; /* X-Test of the reply */
    void (*inside)(struct call *call);
    struct call *other; /* for inside */
};

static const struct page *pages_of(void);

static void make_client(struct fixture *fixture, const struct http_settings *settings)
{
    http_free(fixture->http);
    fixture->http = http_new(fixture->loop, settings);
}

static int set_up(void **state)
{
    static const struct http_settings settings = {
        .timeout_ms = 10000, .user_agent = "test/1", .max_connections = 8};
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));

    signal(SIGPIPE, SIG_IGN);
    fixture->loop = loop_new();
    make_client(fixture, &settings);
    server_start(&fixture->server, pages_of());
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    http_free(fixture->http);
    server_join(&fixture->server);
    buf_done(&fixture->server.seen);
    loop_free(fixture->loop);
    free(fixture);
    return 0;
}

static void request_init(struct http_request *request, const struct fixture *fixture,
                         enum http_method method, const char *path)
{
    http_request_init(request, method);
    buf_printf(&request->url, "http://127.0.0.1:%d%s", fixture->server.port, path);
}

static void on_done(void *arg, const struct http_reply *reply, const struct err *err)
{
    struct call *call = arg;

    assert_true((reply == NULL) != (err == NULL));
    call->fired++;
    call->call = NULL;
    if (err != NULL) {
        call->err = *err;
    } else {
        call->status = reply->status;
        call->len = reply->len;
        assert_int_equal(reply->body[reply->len], '\0');
        call->body = memcpy(xmalloc(reply->len + 1), reply->body, reply->len + 1);
        call->retry_after_ms = reply->retry_after_ms;
        call->sent_twice = reply->sent_twice;
        call->header = xstrdup(http_reply_header(reply, "x-tEsT"));
    }
    call->fixture->open--;
    if (call->inside != NULL)
        call->inside(call);
    if (call->fixture->open == 0)
        loop_stop(call->fixture->loop);
}

/* Sends a request that the test has made. */
static void send_request(struct call *call, struct http_request *request)
{
    unsigned fired = call->fired;

    call->fixture->open++;
    call->call = http_call_start(call->fixture->http, request, on_done, call);
    assert_int_equal(call->fired, fired);
    http_request_done(request);
}

static void start(struct call *call, struct fixture *fixture, const char *path)
{
    struct http_request request;

    call->fixture = fixture;
    request_init(&request, fixture, HTTP_GET, path);
    send_request(call, &request);
}

static void finish(struct call *call)
{
    run_until_stopped(call->fixture->loop);
    assert_int_equal(call->fired, 1);
}

static void call_done(struct call *call)
{
    free(call->body);
    free(call->header);
}

static void expect_status(struct call *call, int status)
{
    finish(call);
    if (call->err.code != ERR_NONE)
        fail_msg("%s", call->err.text);
    assert_int_equal(call->status, status);
}

static void expect_failed(struct call *call, enum err_code code)
{
    finish(call);
    if (call->err.code != code)
        fail_msg("%s: %s", err_code_name(call->err.code), call->err.text);
    assert_null(strchr(call->err.text, '\n'));
}

static void expect_in(const char *text, const char *part)
{
    if (strcasestr(text, part) == NULL)
        assert_string_equal(text, part);
}

static void expect_not_in(const char *text, const char *part)
{
    if (strcasestr(text, part) != NULL)
        fail_msg("\"%s\" is in \"%s\"", part, text);
}

static const char *requests(struct fixture *fixture)
{
    server_join(&fixture->server);
    return fixture->server.seen.data;
}

/* --- what goes out --- */

static void a_get_asks(void **state)
{
    struct fixture *fixture = *state;
    struct call call = {0};

    start(&call, fixture, "/hello?a=b");
    expect_status(&call, 200);
    assert_string_equal(call.body, "hello");
    assert_int_equal(call.len, 5);
    const char *seen = requests(fixture);
    assert_memory_equal(seen, "GET /hello?a=b HTTP/1.1\r\n", 25);
    expect_in(seen, "\r\nUser-Agent: test/1\r\n");
    expect_in(seen, "\r\nHost: 127.0.0.1:");
    expect_not_in(seen, "\r\nContent-");
    expect_not_in(seen, "\r\nExpect");
    expect_not_in(seen, "\r\nAccept-Encoding");
    call_done(&call);
}

static void a_target_goes_out_as_it_is_written(void **state)
{
    struct fixture *fixture = *state;
    struct call calls[3] = {{0}};

    start(&calls[0], fixture, "/hello?sig=a%2fb%2B;c=&d");
    expect_status(&calls[0], 200);
    /* The same client and handle, another query; then one that libcurl has to read. */
    start(&calls[1], fixture, "/hello");
    expect_status(&calls[1], 200);
    start(&calls[2], fixture, "/away/../hello?e#f");
    expect_status(&calls[2], 200);
    const char *seen = requests(fixture);
    expect_in(seen, "GET /hello?sig=a%2fb%2B;c=&d HTTP/1.1\r\n");
    expect_in(seen, "GET /hello HTTP/1.1\r\n");
    expect_in(seen, "GET /hello?e HTTP/1.1\r\n");
    for (unsigned i = 0; i < array_size(calls); i++)
        call_done(&calls[i]);
}

static void a_url_can_not_split_a_request(void **state)
{
    static const char *const paths[] = {"/hello\r\nX-Evil: 1", "/hello HTTP/1.1\r\n\r\nGET /x",
                                        "/hello\x7f"};
    struct fixture *fixture = *state;

    for (unsigned i = 0; i < array_size(paths); i++) {
        struct call call = {0};

        start(&call, fixture, paths[i]);
        expect_failed(&call, ERR_CONFIG);
        call_done(&call);
    }
    assert_string_equal(requests(fixture), "");
}

static void send_body(struct call *call, struct fixture *fixture, enum http_method method,
                      const char *body)
{
    struct http_request request;

    call->fixture = fixture;
    request_init(&request, fixture, method, "/hello");
    buf_puts(&request.body, body);
    send_request(call, &request);
    expect_status(call, 200);
}

static void an_empty_put_has_a_length_and_no_type(void **state)
{
    struct fixture *fixture = *state;
    struct call call = {0};

    send_body(&call, fixture, HTTP_PUT, "");
    const char *seen = requests(fixture);
    assert_memory_equal(seen, "PUT /hello HTTP/1.1\r\n", 21);
    expect_in(seen, "\r\nContent-Length: 0\r\n");
    expect_not_in(seen, "Content-Type");
    expect_not_in(seen, "Transfer-Encoding");
    call_done(&call);
}

static void an_empty_post_has_a_length_and_no_type(void **state)
{
    struct fixture *fixture = *state;
    struct call call = {0};

    send_body(&call, fixture, HTTP_POST, "");
    const char *seen = requests(fixture);
    assert_memory_equal(seen, "POST /hello HTTP/1.1\r\n", 22);
    expect_in(seen, "\r\nContent-Length: 0\r\n");
    expect_not_in(seen, "Content-Type");
    call_done(&call);
}

static void a_put_carries_its_body(void **state)
{
    struct fixture *fixture = *state;
    struct call call = {0};

    send_body(&call, fixture, HTTP_PUT, "some body");
    expect_in(requests(fixture), "\r\nContent-Length: 9\r\n");
    expect_in(requests(fixture), "\r\n\r\nsome body");
    expect_not_in(requests(fixture), "Content-Type");
    call_done(&call);
}

static void a_big_body_is_not_announced(void **state)
{
    struct fixture *fixture = *state;
    struct call call = {0};
    autofree char *body = xcalloc(1, 3 * 1024 * 1024 + 1);

    memset(body, 'b', 3 * 1024 * 1024);
    send_body(&call, fixture, HTTP_POST, body);
    const char *seen = requests(fixture);
    expect_not_in(seen, "\r\nExpect");
    assert_string_equal(strstr(seen, "\r\n\r\n") + 4, body);
    call_done(&call);
}

static void a_delete_has_no_body(void **state)
{
    struct fixture *fixture = *state;
    struct call call = {0};

    send_body(&call, fixture, HTTP_DELETE, "");
    assert_memory_equal(requests(fixture), "DELETE /hello HTTP/1.1\r\n", 24);
    expect_not_in(requests(fixture), "Content-Length");
    call_done(&call);
}

static void a_head_gets_headers_only(void **state)
{
    struct fixture *fixture = *state;
    struct call call = {.fixture = fixture};
    struct http_request request;

    request_init(&request, fixture, HTTP_HEAD, "/head");
    send_request(&call, &request);
    expect_status(&call, 200);
    assert_int_equal(call.len, 0);
    assert_string_equal(call.header, "one");
    assert_memory_equal(requests(fixture), "HEAD /head HTTP/1.1\r\n", 21);
    call_done(&call);
}

/* A handle is used again for another method: nothing of the one before may stick. */
static void methods_do_not_stick_to_handles(void **state)
{
    static const enum http_method methods[] = {HTTP_PUT,  HTTP_GET,    HTTP_HEAD, HTTP_POST,
                                               HTTP_GET,  HTTP_DELETE, HTTP_HEAD, HTTP_GET,
                                               HTTP_POST, HTTP_HEAD,   HTTP_PUT,  HTTP_DELETE};
    struct fixture *fixture = *state;

    for (unsigned i = 0; i < array_size(methods); i++) {
        bool has_body = methods[i] == HTTP_PUT || methods[i] == HTTP_POST;
        struct call call = {.fixture = fixture};
        struct http_request request;

        request_init(&request, fixture, methods[i], methods[i] == HTTP_HEAD ? "/head" : "/hello");
        if (has_body)
            buf_puts(&request.body, "BODY");
        if (i % 2 == 0)
            http_request_header(&request, "X-Once", "1");
        send_request(&call, &request);
        expect_status(&call, 200);
        assert_int_equal(call.len, methods[i] == HTTP_HEAD ? 0 : 5);
        call_done(&call);
    }
    const char *at = requests(fixture);
    for (unsigned i = 0; i < array_size(methods); i++) {
        bool has_body = methods[i] == HTTP_PUT || methods[i] == HTTP_POST;
        const char *end = strstr(at, "\r\n\r\n") + 4;
        autofree char *head = xstrndup(at, (size_t)(end - at));
        autofree char *line = xasprintf("%s /", http_method_name(methods[i]));

        assert_int_equal(strncmp(head, line, strlen(line)), 0);
        assert_int_equal(strstr(head, "Content-Length: 4\r\n") != NULL, has_body);
        assert_int_equal(strstr(head, "X-Once") != NULL, i % 2 == 0);
        at = end + (has_body ? 4 : 0);
    }
    assert_string_equal(at, "");
    assert_int_equal(fixture->server.connections, 1);
}

static void headers_and_query_go_out(void **state)
{
    struct fixture *fixture = *state;
    struct call call = {.fixture = fixture};
    struct http_request request;

    request_init(&request, fixture, HTTP_POST, "/hello");
    http_request_query(&request, "a b", "c&d=é");
    http_request_query(&request, "e", "");
    http_request_header(&request, "Content-Type", "application/xml");
    http_request_header(&request, "x-ms-date", "now");
    assert_string_equal(http_request_find_header(&request, "X-MS-Date"), "now");
    assert_null(http_request_find_header(&request, "x-ms"));
    assert_null(http_request_find_header(&request, "x-ms-date2"));
    send_request(&call, &request);
    expect_status(&call, 200);
    const char *seen = requests(fixture);
    expect_in(seen, "POST /hello?a%20b=c%26d%3D%C3%A9&e= HTTP/1.1\r\n");
    expect_in(seen, "\r\nContent-Type: application/xml\r\n");
    expect_in(seen, "\r\nx-ms-date: now\r\n");
    call_done(&call);
}

static void a_header_without_value_goes_out(void **state)
{
    struct fixture *fixture = *state;
    struct call call = {.fixture = fixture};
    struct http_request request;

    request_init(&request, fixture, HTTP_GET, "/hello");
    http_request_header(&request, "x-ms-empty", "");
    assert_string_equal(http_request_find_header(&request, "x-ms-empty"), "");
    send_request(&call, &request);
    expect_status(&call, 200);
    expect_in(requests(fixture), "\r\nx-ms-empty:");
    call_done(&call);
}

static void the_request_is_taken(void **state)
{
    struct fixture *fixture = *state;
    struct call call = {.fixture = fixture};
    struct http_request request;

    request_init(&request, fixture, HTTP_PUT, "/hello");
    http_request_header(&request, "A", "b");
    buf_puts(&request.body, "x");
    fixture->open++;
    call.call = http_call_start(fixture->http, &request, on_done, &call);
    assert_int_equal(request.header_count, 0);
    assert_int_equal(request.url.len, 0);
    assert_int_equal(request.body.len, 0);
    http_request_done(&request);
    expect_status(&call, 200);
    call_done(&call);
}

/* --- what comes back --- */

static void any_status_is_an_answer(void **state)
{
    struct fixture *fixture = *state;
    struct call missing = {0}, failed = {0}, odd = {0};

    start(&missing, fixture, "/nothing");
    expect_status(&missing, 404);
    start(&failed, fixture, "/500");
    expect_status(&failed, 500);
    assert_string_equal(failed.body, "sorry");
    start(&odd, fixture, "/599");
    expect_status(&odd, 599);
    call_done(&missing);
    call_done(&failed);
    call_done(&odd);
}

static void reply_headers_are_found_in_any_case(void **state)
{
    struct fixture *fixture = *state;
    struct call with = {0}, without = {0};

    start(&with, fixture, "/header");
    expect_status(&with, 200);
    assert_string_equal(with.header, "one, two");
    start(&without, fixture, "/hello"); /* of the same handle */
    expect_status(&without, 200);
    assert_null(without.header);
    call_done(&with);
    call_done(&without);
}

static void a_chunked_body_comes_whole(void **state)
{
    struct call call = {0};

    start(&call, *state, "/chunked");
    expect_status(&call, 200);
    assert_string_equal(call.body, "hello world");
    call_done(&call);
}

static void a_body_without_length_ends_with_the_connection(void **state)
{
    struct call call = {0};

    start(&call, *state, "/endless");
    expect_status(&call, 200);
    assert_string_equal(call.body, "until the end");
    call_done(&call);
}

static void an_answer_without_body_is_empty(void **state)
{
    struct call call = {0};

    start(&call, *state, "/204");
    expect_status(&call, 204);
    assert_string_equal(call.body, "");
    call_done(&call);
}

static void an_interim_answer_is_passed_over(void **state)
{
    struct call call = {0};

    start(&call, *state, "/interim");
    expect_status(&call, 200);
    assert_string_equal(call.body, "hello");
    call_done(&call);
}

static void a_redirect_is_an_answer(void **state)
{
    struct fixture *fixture = *state;
    struct call call = {0};

    start(&call, fixture, "/redirect");
    expect_status(&call, 302);
    assert_int_equal(http_requests_sent(fixture->http), 1);
    expect_not_in(requests(fixture), "GET /hello");
    call_done(&call);
}

static void expect_retry_after(struct fixture *fixture, const char *path, uint32_t least_ms,
                               uint32_t most_ms)
{
    struct call call = {0};

    start(&call, fixture, path);
    finish(&call);
    assert_in_range(call.retry_after_ms, least_ms, most_ms);
    call_done(&call);
}

static void retry_after_is_read(void **state)
{
    struct fixture *fixture = *state;

    expect_retry_after(fixture, "/retry-7", 7000, 7000);
    expect_retry_after(fixture, "/500", 0, 0); /* on the same handle */
    expect_retry_after(fixture, "/retry-past", 0, 0);
    expect_retry_after(fixture, "/retry-negative", 0, 0);
    expect_retry_after(fixture, "/retry-nonsense", 0, 0);
    expect_retry_after(fixture, "/retry-year", 60 * 1000, 24 * 3600 * 1000); /* capped somewhere */
    expect_retry_after(fixture, "/retry-huge", 0, 24 * 3600 * 1000);
}

static void retry_after_may_be_a_date(void **state)
{
    struct fixture *fixture = *state;
    static char text[256];
    static struct page pages[2] = {{"/", MANNER_KEEP, text}, {NULL, MANNER_KEEP, NULL}};
    time_t then = time(NULL) + 100;
    char date[64];
    struct tm utc;

    strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&then, &utc));
    snprintf(text, sizeof(text),
             "HTTP/1.1 503 Busy\r\nRetry-After: %s\r\nContent-Length: 0\r\n\r\n", date);
    server_join(&fixture->server);
    buf_done(&fixture->server.seen);
    server_start(&fixture->server, pages);
    expect_retry_after(fixture, "/", 80000, 100000);
}

static void retry_after_on_success_is_none(void **state)
{
    expect_retry_after(*state, "/retry-success", 0, 0);
}

/* --- what goes wrong --- */

static void with_limit(struct call *call, struct fixture *fixture, const char *path, size_t bytes)
{
    struct http_request request;

    call->fixture = fixture;
    request_init(&request, fixture, HTTP_GET, path);
    request.max_reply_bytes = bytes;
    send_request(call, &request);
}

static void an_answer_larger_than_allowed_fails(void **state)
{
    struct fixture *fixture = *state;
    struct call large = {0}, chunked = {0}, just = {0};

    with_limit(&large, fixture, "/hello", 4);
    expect_failed(&large, ERR_SERVER);
    expect_in(large.err.text, "127.0.0.1");
    expect_in(large.err.text, "4 bytes");
    with_limit(&chunked, fixture, "/chunked", 10);
    expect_failed(&chunked, ERR_SERVER);
    with_limit(&just, fixture, "/hello", 5);
    expect_status(&just, 200);
    call_done(&just);
}

static void an_endless_answer_fails(void **state)
{
    struct call call = {0};

    with_limit(&call, *state, "/drip", 20);
    expect_failed(&call, ERR_SERVER);
}

static char *big_headers(unsigned count)
{
    struct buf text;

    buf_init(&text, BUF_ANY_SIZE);
    buf_puts(&text, "HTTP/1.1 200 OK\r\n");
    for (unsigned i = 0; i < count; i++)
        buf_printf(&text, "X-%u: %0*d\r\n", i, 1000, 0);
    buf_puts(&text, "Content-Length: 0\r\n\r\n");
    return buf_take(&text);
}

static void headers_larger_than_allowed_fail(void **state)
{
    struct fixture *fixture = *state;
    autofree char *many = big_headers(70);
    autofree char *few = big_headers(50);
    struct page pages[] = {{"/many", MANNER_KEEP, many},
                           {"/few", MANNER_KEEP, few},
                           {"/hello", MANNER_KEEP, OK_HELLO},
                           {NULL, MANNER_KEEP, NULL}};
    struct call good = {0}, bad = {0}, again = {0};

    server_join(&fixture->server);
    buf_done(&fixture->server.seen);
    server_start(&fixture->server, pages);
    start(&good, fixture, "/few");
    expect_status(&good, 200);
    start(&bad, fixture, "/many");
    expect_failed(&bad, ERR_SERVER);
    start(&again, fixture, "/hello");
    expect_status(&again, 200);
    server_join(&fixture->server);
    call_done(&good);
    call_done(&again);
}

static void with_timeout(struct call *call, struct fixture *fixture, const char *path,
                         int64_t timeout_ms)
{
    struct http_request request;

    call->fixture = fixture;
    request_init(&request, fixture, HTTP_GET, path);
    request.timeout_ms = timeout_ms;
    send_request(call, &request);
}

static void silence_ends_in_time(void **state)
{
    struct call call = {0};
    int64_t before_ms = clock_mono_ms();

    with_timeout(&call, *state, "/silence", 150);
    expect_failed(&call, ERR_NETWORK);
    expect_in(call.err.text, "127.0.0.1");
    assert_in_range(clock_mono_ms() - before_ms, 150 - GRAIN_MS, 9500);
}

static void slow_bytes_end_in_time(void **state)
{
    struct call call = {0};
    int64_t before_ms = clock_mono_ms();

    with_timeout(&call, *state, "/drip", 150);
    expect_failed(&call, ERR_NETWORK);
    assert_in_range(clock_mono_ms() - before_ms, 150 - GRAIN_MS, 9500);
}

static void the_clients_timeout_holds_when_the_request_names_none(void **state)
{
    static const struct http_settings settings = {
        .timeout_ms = 100, .user_agent = "test", .max_connections = 8};
    struct fixture *fixture = *state;
    struct call call = {0};

    make_client(fixture, &settings);
    start(&call, fixture, "/silence");
    expect_failed(&call, ERR_NETWORK);
}

static void waiting_for_a_connection_counts(void **state)
{
    static const struct http_settings settings = {
        .timeout_ms = 10000, .user_agent = "test", .max_connections = 1};
    struct fixture *fixture = *state;
    struct call first = {0}, second = {0};

    make_client(fixture, &settings);
    with_timeout(&first, fixture, "/silence", 600);
    with_timeout(&second, fixture, "/hello", 100);
    run_until_stopped(fixture->loop);
    assert_int_equal(first.err.code, ERR_NETWORK);
    assert_int_equal(second.err.code, ERR_NETWORK);
    assert_int_equal(second.fired, 1);
}

static void a_refused_connection_is_the_networks(void **state)
{
    struct fixture *fixture = *state;
    struct call call = {.fixture = fixture};
    struct http_request request;
    int port;
    int fd = bind_loopback(&port); /* nobody listens */

    http_request_init(&request, HTTP_GET);
    buf_printf(&request.url, "http://127.0.0.1:%d/secret?sig=abc", port);
    send_request(&call, &request);
    expect_failed(&call, ERR_NETWORK);
    autofree char *host = xasprintf("127.0.0.1:%d", port);
    expect_in(call.err.text, host);
    expect_not_in(call.err.text, "abc");
    close(fd);
}

static void a_cut_body_is_the_servers(void **state)
{
    struct call call = {0};

    start(&call, *state, "/cut");
    expect_failed(&call, ERR_SERVER);
    expect_in(call.err.text, "127.0.0.1");
}

static void a_cut_chunk_is_the_servers(void **state)
{
    struct call call = {0};

    start(&call, *state, "/cut-chunk");
    expect_failed(&call, ERR_SERVER);
}

static void a_connection_closed_without_answer_is_the_networks(void **state)
{
    struct call call = {0}, reset = {0};

    start(&call, *state, "/close");
    expect_failed(&call, ERR_NETWORK);
    start(&reset, *state, "/reset");
    expect_failed(&reset, ERR_NETWORK);
    expect_in(reset.err.text, "broke");
}

static void what_is_no_http_is_the_servers(void **state)
{
    struct fixture *fixture = *state;
    struct call call = {0}, again = {0};

    start(&call, fixture, "/garbage");
    expect_failed(&call, ERR_SERVER);
    start(&again, fixture, "/hello");
    expect_status(&again, 200);
    call_done(&again);
}

static void a_status_of_four_digits_is_none(void **state)
{
    struct call call = {0};

    start(&call, *state, "/2000");
    expect_failed(&call, ERR_SERVER);
    expect_in(call.err.text, "127.0.0.1");
    call_done(&call);
}

static void expect_bad_url(struct fixture *fixture, const char *url)
{
    struct call call = {.fixture = fixture};
    struct http_request request;

    http_request_init(&request, HTTP_GET);
    buf_puts(&request.url, url);
    send_request(&call, &request);
    expect_failed(&call, ERR_CONFIG);
    expect_not_in(call.err.text, "s3cret");
    call_done(&call);
}

static void a_url_that_can_not_be_asked_is_the_configurations(void **state)
{
    struct fixture *fixture = *state;

    expect_bad_url(fixture, "file:///etc/passwd?sig=s3cret");
    expect_bad_url(fixture, "ftp://127.0.0.1/x?sig=s3cret");
    expect_bad_url(fixture, "gopher://127.0.0.1:1/_s3cret");
    expect_bad_url(fixture, "http://127.0.0.1:99999999/x?sig=s3cret");
    expect_bad_url(fixture, "http://[::1/?sig=s3cret");
    expect_bad_url(fixture, "http://");
    expect_bad_url(fixture, "");
}

static void a_secret_does_not_get_into_a_sentence(void **state)
{
    static const char *const paths[] = {"/silence", "/cut", "/close", "/garbage", "/reset"};
    struct fixture *fixture = *state;

    for (unsigned i = 0; i < array_size(paths); i++) {
        struct call call = {.fixture = fixture};
        struct http_request request;

        request_init(&request, fixture, HTTP_GET, paths[i]);
        http_request_query(&request, "sig", "s3cret");
        http_request_header(&request, "Authorization", "Bearer t0ken");
        request.timeout_ms = 100;
        send_request(&call, &request);
        finish(&call);
        assert_int_not_equal(call.err.code, ERR_NONE);
        expect_not_in(call.err.text, "s3cret");
        expect_not_in(call.err.text, "t0ken");
    }
}

static void a_password_in_a_url_does_not_get_into_a_sentence(void **state)
{
    struct fixture *fixture = *state;
    struct call call = {.fixture = fixture};
    struct http_request request;

    http_request_init(&request, HTTP_GET);
    buf_printf(&request.url, "http://user:s3cret@127.0.0.1:%d/close", fixture->server.port);
    send_request(&call, &request);
    finish(&call);
    expect_in(call.err.text, "127.0.0.1");
    expect_not_in(call.err.text, "s3cret");
}

/* --- cancelling, and calls from inside calls --- */

static void a_cancelled_call_never_fires(void **state)
{
    struct fixture *fixture = *state;
    struct call first = {0}, second = {0};

    http_call_cancel(NULL);
    start(&first, fixture, "/hello");
    http_call_cancel(first.call);
    start(&second, fixture, "/silence");
    run_a_moment(fixture->loop);
    http_call_cancel(second.call);
    run_a_moment(fixture->loop);
    assert_int_equal(first.fired + second.fired, 0);
}

static bool has_fired(void *arg)
{
    return ((const struct call *)arg)->fired > 0;
}

static void freeing_the_client_cancels(void **state)
{
    struct fixture *fixture = *state;
    struct call calls[3] = {0};

    start(&calls[0], fixture, "/silence");
    start(&calls[1], fixture, "/hello");
    run_until(fixture->loop, has_fired, &calls[1]);
    start(&calls[2], fixture, "/hello");
    http_free(take(fixture->http));
    run_a_moment(fixture->loop);
    assert_int_equal(calls[0].fired, 0);
    assert_int_equal(calls[1].fired, 1);
    assert_int_equal(calls[2].fired, 0);
    call_done(&calls[1]);
}

static void start_other(struct call *call)
{
    start(call->other, call->fixture, "/hello");
}

static void a_callback_may_start_a_call(void **state)
{
    struct fixture *fixture = *state;
    struct call second = {0}, first = {.inside = start_other, .other = &second};

    start(&first, fixture, "/500");
    run_until_stopped(fixture->loop);
    assert_int_equal(second.fired, 1);
    assert_int_equal(second.status, 200);
    assert_string_equal(first.body, "sorry");
    call_done(&first);
    call_done(&second);
}

static void cancel_other(struct call *call)
{
    if (call->other->call != NULL) {
        http_call_cancel(take(call->other->call));
        call->fixture->open--;
    }
}

static void a_callback_may_cancel_another_call(void **state)
{
    struct fixture *fixture = *state;

    /* Both may have ended in the same turn: whoever fires first silences the other. */
    for (int i = 0; i < 50; i++) {
        struct call a = {.inside = cancel_other}, b = {.inside = cancel_other};

        a.other = &b;
        b.other = &a;
        start(&a, fixture, "/hello");
        start(&b, fixture, i % 2 == 0 ? "/hello" : "/silence");
        run_until_stopped(fixture->loop);
        assert_int_equal(a.fired + b.fired, 1);
        call_done(&a);
        call_done(&b);
    }
}

/* --- connections --- */

static void connections_are_used_again(void **state)
{
    struct fixture *fixture = *state;

    for (int i = 0; i < 20; i++) {
        struct call call = {0};
        start(&call, fixture, i % 2 == 0 ? "/hello" : "/500");
        finish(&call);
        call_done(&call);
    }
    assert_int_equal(http_requests_sent(fixture->http), 20);
    (void)requests(fixture);
    assert_int_equal(fixture->server.connections, 1);
}

static void no_more_connections_than_allowed(void **state)
{
    static const struct http_settings settings = {
        .timeout_ms = 10000, .user_agent = "test", .max_connections = 3};
    struct fixture *fixture = *state;
    struct call calls[30] = {0};

    make_client(fixture, &settings);
    for (unsigned i = 0; i < array_size(calls); i++)
        start(&calls[i], fixture, "/hello");
    run_until_stopped(fixture->loop);
    for (unsigned i = 0; i < array_size(calls); i++) {
        assert_int_equal(calls[i].fired, 1);
        assert_int_equal(calls[i].status, 200);
        call_done(&calls[i]);
    }
    (void)requests(fixture);
    assert_int_equal(fixture->server.connections, 3);
}

static void note_order(struct call *call)
{
    static unsigned ended;

    if (call->other == call) /* the first */
        ended = 0;
    call->len = ended++;
}

static void calls_take_their_turn_in_order(void **state)
{
    static const struct http_settings settings = {
        .timeout_ms = 10000, .user_agent = "test", .max_connections = 1};
    struct fixture *fixture = *state;
    struct call calls[10] = {{0}};

    make_client(fixture, &settings);
    calls[0].other = &calls[0];
    for (unsigned i = 0; i < array_size(calls); i++) {
        calls[i].inside = note_order;
        start(&calls[i], fixture, "/hello");
    }
    /* One that leaves the line takes nobody with it. */
    http_call_cancel(calls[5].call);
    fixture->open--;
    run_until_stopped(fixture->loop);
    for (unsigned i = 0; i < array_size(calls); i++) {
        if (i != 5)
            assert_int_equal(calls[i].len, i < 5 ? i : i - 1);
        call_done(&calls[i]);
    }
}

static void a_kept_connection_that_was_closed_meanwhile_is_no_failure(void **state)
{
    struct fixture *fixture = *state;

    for (int i = 0; i < 10; i++) {
        struct call call = {0};
        start(&call, fixture, "/hello-close"); /* keeps it in words, and closes it */
        expect_status(&call, 200);
        call_done(&call);
    }
}

static void a_request_that_went_out_twice_says_so(void **state)
{
    struct fixture *fixture = *state;
    struct call calls[4] = {0};

    start(&calls[0], fixture, "/fresh");
    expect_status(&calls[0], 200);
    assert_false(calls[0].sent_twice);
    start(&calls[1], fixture, "/fresh"); /* breaks the kept connection, and is well on a new one */
    expect_status(&calls[1], 200);
    assert_true(calls[1].sent_twice);
    start(&calls[2], fixture, "/hello"); /* on a kept connection, with a handle that was used */
    expect_status(&calls[2], 200);
    assert_false(calls[2].sent_twice);
    start(&calls[3], fixture, "/500");
    expect_status(&calls[3], 500);
    assert_false(calls[3].sent_twice);
    for (unsigned i = 0; i < array_size(calls); i++)
        call_done(&calls[i]);
}

static void many_calls_at_once_all_end(void **state)
{
    struct fixture *fixture = *state;
    static struct call calls[200];

    for (unsigned i = 0; i < array_size(calls); i++) {
        calls[i] = (struct call){0};
        start(&calls[i], fixture, i % 3 == 0 ? "/hello" : i % 3 == 1 ? "/cut" : "/chunked");
    }
    run_until_stopped(fixture->loop);
    for (unsigned i = 0; i < array_size(calls); i++) {
        assert_int_equal(calls[i].fired, 1);
        assert_int_equal(calls[i].status, i % 3 == 1 ? 0 : 200);
        call_done(&calls[i]);
    }
}

static void the_environments_proxy_is_not_for_this_machine(void **state)
{
    struct fixture *fixture = *state;
    struct call call = {0};

    setenv("http_proxy", "http://127.0.0.1:1", 1);
    start(&call, fixture, "/hello");
    finish(&call);
    unsetenv("http_proxy");
    if (call.err.code != ERR_NONE)
        fail_msg("%s", call.err.text);
    assert_int_equal(call.status, 200);
    call_done(&call);
}

static void the_settings_proxy_is_not_for_this_machine(void **state)
{
    static const struct http_settings settings = {.proxy = "http://127.0.0.1:1",
                                                  .timeout_ms = 10000,
                                                  .user_agent = "test",
                                                  .max_connections = 3};
    struct fixture *fixture = *state;
    struct call call = {0};

    make_client(fixture, &settings);
    start(&call, fixture, "/hello");
    expect_status(&call, 200);
    call_done(&call);
}

/* The name is the proxy's to resolve. */
static void a_proxys_word_is_no_part_of_an_answer(void **state)
{
    struct fixture *fixture = *state;
    struct call call = {.fixture = fixture};
    struct http_request request;
    autofree char *proxy = xasprintf("http://127.0.0.1:%d", fixture->server.port);

    make_client(fixture,
                &(struct http_settings){
                    .proxy = proxy, .timeout_ms = 300, .user_agent = "test", .max_connections = 3});
    http_request_init(&request, HTTP_GET);
    buf_puts(&request.url, "https://example.test/");
    send_request(&call, &request);
    expect_failed(&call, ERR_NETWORK);
    expect_in(call.err.text, "no answer from example.test within 300ms: no connection");
}

#define RETRY(status, value)                                                                       \
    "HTTP/1.1 " status "\r\nRetry-After: " value "\r\nContent-Length: 0\r\n\r\n"

static const struct page *pages_of(void)
{
    static const struct page pages[] = {
        {"/hello", MANNER_KEEP, OK_HELLO},
        {"/fresh", MANNER_FRESH, OK_HELLO},
        {"/hello-close", MANNER_CLOSE, OK_HELLO},
        {"example.test:443", MANNER_KEEP, "HTTP/1.1 200 Connection established\r\n\r\n"},
        {"/head", MANNER_KEEP, "HTTP/1.1 200 OK\r\nX-Test: one\r\nContent-Length: 5\r\n\r\n"},
        {"/header", MANNER_KEEP,
         "HTTP/1.1 200 OK\r\nX-TEST:   one, two  \r\nContent-Length: 0\r\n\r\n"},
        {"/500", MANNER_KEEP, "HTTP/1.1 500 Failed\r\nContent-Length: 5\r\n\r\nsorry"},
        {"/599", MANNER_KEEP, "HTTP/1.1 599 Odd\r\nContent-Length: 0\r\n\r\n"},
        {"/204", MANNER_KEEP, "HTTP/1.1 204 No Content\r\n\r\n"},
        {"/interim", MANNER_KEEP,
         "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nX-Test: x\r\n\r\n" OK_HELLO},
        {"/chunked", MANNER_KEEP,
         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n"
         "0\r\nX-Trailer: 1\r\n\r\n"},
        {"/endless", MANNER_CLOSE, "HTTP/1.1 200 OK\r\n\r\nuntil the end"},
        {"/redirect", MANNER_KEEP,
         "HTTP/1.1 302 Found\r\nLocation: /hello\r\nContent-Length: 0\r\n\r\n"},
        {"/silence", MANNER_KEEP, NULL},
        {"/drip", MANNER_DRIP, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"},
        {"/cut", MANNER_CLOSE, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"},
        {"/cut-chunk", MANNER_CLOSE,
         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhalf"},
        {"/close", MANNER_CLOSE, ""},
        {"/reset", MANNER_RESET, ""},
        {"/garbage", MANNER_CLOSE, "SSH-2.0-OpenSSH_9.2\r\n"},
        {"/2000", MANNER_CLOSE, "HTTP/2 2000 OK\r\n\r\n"},
        {"/retry-7", MANNER_KEEP, RETRY("503 Busy", "7")},
        {"/retry-past", MANNER_KEEP, RETRY("503 Busy", "Sat, 21 Nov 2015 03:23:37 GMT")},
        {"/retry-negative", MANNER_KEEP, RETRY("503 Busy", "-7")},
        {"/retry-nonsense", MANNER_KEEP, RETRY("503 Busy", "soon")},
        {"/retry-year", MANNER_KEEP, RETRY("429 Slow", "31536000")},
        {"/retry-huge", MANNER_KEEP, RETRY("429 Slow", "99999999999999999999999")},
        {"/retry-success", MANNER_KEEP, RETRY("200 OK", "7")},
        {NULL, MANNER_KEEP, NULL},
    };

    return pages;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_get_asks),
        TEST(a_target_goes_out_as_it_is_written),
        TEST(a_url_can_not_split_a_request),
        TEST(an_empty_put_has_a_length_and_no_type),
        TEST(an_empty_post_has_a_length_and_no_type),
        TEST(a_put_carries_its_body),
        TEST(a_big_body_is_not_announced),
        TEST(a_delete_has_no_body),
        TEST(a_head_gets_headers_only),
        TEST(methods_do_not_stick_to_handles),
        TEST(headers_and_query_go_out),
        TEST(a_header_without_value_goes_out),
        TEST(the_request_is_taken),
        TEST(any_status_is_an_answer),
        TEST(reply_headers_are_found_in_any_case),
        TEST(a_chunked_body_comes_whole),
        TEST(a_body_without_length_ends_with_the_connection),
        TEST(an_answer_without_body_is_empty),
        TEST(an_interim_answer_is_passed_over),
        TEST(a_redirect_is_an_answer),
        TEST(retry_after_is_read),
        TEST(retry_after_may_be_a_date),
        TEST(retry_after_on_success_is_none),
        TEST(an_answer_larger_than_allowed_fails),
        TEST(an_endless_answer_fails),
        TEST(headers_larger_than_allowed_fail),
        TEST(silence_ends_in_time),
        TEST(slow_bytes_end_in_time),
        TEST(the_clients_timeout_holds_when_the_request_names_none),
        TEST(waiting_for_a_connection_counts),
        TEST(a_refused_connection_is_the_networks),
        TEST(a_cut_body_is_the_servers),
        TEST(a_cut_chunk_is_the_servers),
        TEST(a_connection_closed_without_answer_is_the_networks),
        TEST(what_is_no_http_is_the_servers),
        TEST(a_status_of_four_digits_is_none),
        TEST(a_url_that_can_not_be_asked_is_the_configurations),
        TEST(a_secret_does_not_get_into_a_sentence),
        TEST(a_password_in_a_url_does_not_get_into_a_sentence),
        TEST(a_cancelled_call_never_fires),
        TEST(freeing_the_client_cancels),
        TEST(a_callback_may_start_a_call),
        TEST(a_callback_may_cancel_another_call),
        TEST(connections_are_used_again),
        TEST(no_more_connections_than_allowed),
        TEST(calls_take_their_turn_in_order),
        TEST(a_kept_connection_that_was_closed_meanwhile_is_no_failure),
        TEST(a_request_that_went_out_twice_says_so),
        TEST(many_calls_at_once_all_end),
        TEST(the_environments_proxy_is_not_for_this_machine),
        TEST(the_settings_proxy_is_not_for_this_machine),
        TEST(a_proxys_word_is_no_part_of_an_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
