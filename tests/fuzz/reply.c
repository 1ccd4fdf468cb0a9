/* SPDX-License-Identifier: MIT */
/*
 * net/http: what a server answers, Retry-After included, byte for byte from a port of this machine. The
 * input is the answer; the connection ends behind it.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "fuzz.h"
#include "loop/loop.h"
#include "net/http.h"
#include "net/retry.h"

#define MAX_REPLY 2048

static struct loop *loop;
static int listener;
static char url[64];
static const uint8_t *answer;
static size_t answer_size;
static unsigned ended;
static int peer = -1;
static struct loop_watch *watch;

static void end_peer(void)
{
    loop_watch_free(take(watch));
    if (peer >= 0)
        close(peer);
    peer = -1;
}

/* The request is here. What was sent before the end is still received behind it. */
static void on_request(void *arg)
{
    char request[4096];

    (void)arg;
    check(recv(peer, request, sizeof(request), 0) >= 0);
    (void)!send(peer, answer, answer_size, MSG_NOSIGNAL);
    end_peer();
}

static void on_connection(void *arg)
{
    (void)arg;
    end_peer(); /* libcurl may ask again when an answer was empty */
    peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    check(peer >= 0);
    watch = loop_watch_read(loop, peer, on_request, NULL);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);

    (void)argc, (void)argv;
    loop = loop_new();
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    check(listener >= 0 && bind(listener, (struct sockaddr *)&address, len) == 0);
    check(listen(listener, 16) == 0);
    check(getsockname(listener, (struct sockaddr *)&address, &len) == 0);
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/q/messages", ntohs(address.sin_port));
    check(loop_watch_read(loop, listener, on_connection, NULL) != NULL);
    return 0;
}

static void check_wait(uint32_t retry_after_ms)
{
    struct err err = {.code = ERR_THROTTLED, .retry_after_ms = retry_after_ms};
    struct retry retry;
    int64_t delay_ms;

    retry_init(&retry);
    check(retry_after(&retry, &err, &delay_ms));
    check(delay_ms >= retry_after_ms && delay_ms <= 15 * 60 * 1000);
}

static void on_done(void *arg, const struct http_reply *reply, const struct err *err)
{
    (void)arg;
    ended++;
    loop_stop(loop);
    check((reply == NULL) == (err != NULL));
    if (err != NULL) {
        check(err->code == ERR_NETWORK || err->code == ERR_SERVER);
        check(strstr(err->text, "127.0.0.1") != NULL);
        return;
    }
    check(reply->len <= MAX_REPLY && reply->body[reply->len] == '\0');
    check(reply->status >= 100 && reply->status <= 999);
    check_wait(reply->retry_after_ms);
    const char *code = http_reply_header(reply, "x-ms-error-code");
    check(code == NULL || strlen(code) < answer_size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_settings settings = {
        .timeout_ms = 2000, .user_agent = "fuzz", .max_connections = 1};
    struct http *http = http_new(loop, &settings);
    struct http_request request;

    answer = data;
    answer_size = size;
    ended = 0;
    http_request_init(&request, HTTP_GET);
    buf_puts(&request.url, url);
    request.max_reply_bytes = MAX_REPLY;
    check(http_call_start(http, &request, on_done, NULL) != NULL && ended == 0);
    http_request_done(&request);
    loop_run(loop);
    http_free(http);
    end_peer();
    check(ended == 1);
    return 0;
}
