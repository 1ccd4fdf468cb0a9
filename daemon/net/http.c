/* SPDX-License-Identifier: MIT */
/* The HTTP client: libcurl's multi interface on libevent. */
#include "net/http.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "base/err.h"
#include "loop/loop.h"
#include "loop/timer.h"
#include "net/failure.h"
#include "net/http_handle.h"
#include "net/sockets.h"

#define MAX_HEADER_BYTES   (64 * 1024)
#define DEFAULT_MAX_REPLY  (1024 * 1024)
#define CONNECT_TIMEOUT_MS 10000L
#define MAX_RETRY_AFTER_S  (15 * 60) /* one bad header must not still a queue for a day */
/* A CA file that was mended counts as soon as the next back-off ends; libcurl's own span is a day. */
#define CA_CACHE_S   15L
#define IDLE_HANDLES 64 /* kept for the next calls */
/* What a buffer for a reply keeps between two calls. */
#define KEEP_REPLY_BYTES ((size_t)4096)

/* A host that is being asked. libcurl would keep calls that wait for a connection too, but it prepares
 * such a call anew at each turn. */
struct host {
    char *name;     /* "host:port", for sentences too */
    unsigned calls; /* to it; the last one to end frees it */
    unsigned open;  /* of them, those that libcurl has */
    TAILQ_HEAD(, http_call) waiting;
    LIST_ENTRY(host) entry;
};

struct http_call {
    struct http *http;
    struct host *host;
    bool is_open;   /* libcurl has it; else it waits at its host */
    bool is_direct; /* its handle asks no proxy */
    struct http_handle handle;
    struct http_request request; /* owns the body while it is being sent */
    http_done_fn *done;
    void *arg;
    struct buf reply;
    size_t header_bytes;
    unsigned sends;        /* how often the request was put on a connection */
    struct timer deadline; /* libcurl's own time-out begins anew when it repeats a request */
    bool too_big;
    char error[CURL_ERROR_SIZE];
    LIST_ENTRY(http_call) entry;
    TAILQ_ENTRY(http_call) turn;
};

struct http {
    struct loop *loop;
    CURLM *multi;
    CURLSH *share; /* TLS sessions, which libcurl would keep per handle */
    struct sockets *sockets;
    struct timer timer;
    struct http_settings settings;
    char *no_proxy;
    bool is_direct; /* no proxy for http:// */
    LIST_HEAD(, host) hosts;
    LIST_HEAD(, http_call) calls; /* that have been started */
    LIST_HEAD(, http_call) idle;
    unsigned idle_count;
    uint64_t sent;
};

const char *http_reply_header(const struct http_reply *reply, const char *name)
{
    struct curl_header *header;

    if (curl_easy_header(reply->call->handle.easy, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
        return NULL;
    return header->value;
}

void http_reply_take_request(const struct http_reply *reply, struct http_request *request)
{
    *request = reply->call->request;
    http_request_init(&reply->call->request, request->method);
}

int64_t http_timeout_ms(const struct http *http)
{
    return http->settings.timeout_ms;
}

uint64_t http_requests_sent(const struct http *http)
{
    return http->sent;
}

/* --- what libcurl calls during a transfer --- */

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
    struct http_call *call = arg;

    if (buf_append(&call->reply, data, size * count))
        return size * count;
    call->too_big = true;
    return 0;
}

static size_t on_header(char *data, size_t size, size_t count, void *arg)
{
    struct http_call *call = arg;

    (void)data;
    call->header_bytes += size * count;
    if (call->header_bytes <= MAX_HEADER_BYTES)
        return size * count;
    call->too_big = true;
    return 0;
}

/* No socket of ours may leak into a hook. */
static int on_socket_made(void *arg, curl_socket_t fd, curlsocktype purpose)
{
    struct http *http = arg;

    (void)purpose;
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    sockets_opened(http->sockets, fd);
    return CURL_SOCKOPT_OK;
}

/* A request goes out on a connection, new or kept. */
static int on_sending(void *arg, char *their_address, char *our_address, int their_port,
                      int our_port)
{
    struct http_call *call = arg;

    (void)their_address, (void)our_address, (void)their_port, (void)our_port;
    call->sends++;
    return CURL_PREREQFUNC_OK;
}

static int on_socket_closing(void *arg, curl_socket_t fd)
{
    struct http *http = arg;

    sockets_closing(http->sockets, fd);
    return close(fd);
}

/* --- calls in turn --- */

/* The entry of a host, made if there is none. */
static struct host *host_get(struct http *http, const char *name, size_t len)
{
    struct host *host;

    LIST_FOREACH (host, &http->hosts, entry) {
        if (strncmp(host->name, name, len) == 0 && host->name[len] == '\0') {
            host->calls++;
            return host;
        }
    }
    host = xcalloc(1, sizeof(*host));
    host->name = xstrndup(name, len);
    host->calls = 1;
    TAILQ_INIT(&host->waiting);
    LIST_INSERT_HEAD(&http->hosts, host, entry);
    return host;
}

static void host_drop(struct host *host)
{
    if (--host->calls > 0)
        return;
    LIST_REMOVE(host, entry);
    free(host->name);
    free(host);
}

static void open_call(struct http_call *call)
{
    call->is_open = true;
    call->host->open++;
    /* Can only fail for a handle that is in use already. */
    if (curl_multi_add_handle(call->http->multi, call->handle.easy) != CURLM_OK)
        fatal("libcurl can not be used");
}

static void await_turn(struct http_call *call)
{
    if (call->host->open < (unsigned)call->http->settings.max_connections)
        open_call(call);
    else
        TAILQ_INSERT_TAIL(&call->host->waiting, call, turn);
}

/* Takes the call from libcurl, or out of the line, and lets the next one go. */
static void leave(struct http_call *call)
{
    struct host *host = call->host;
    struct http_call *next;

    if (!call->is_open) {
        TAILQ_REMOVE(&host->waiting, call, turn);
        return;
    }
    curl_multi_remove_handle(call->http->multi, call->handle.easy);
    call->is_open = false;
    host->open--;
    if ((next = TAILQ_FIRST(&host->waiting)) != NULL) {
        TAILQ_REMOVE(&host->waiting, next, turn);
        open_call(next);
    }
}

/* --- the end of a call --- */

static void explain_too_big(const struct http_call *call, struct err *err)
{
    if (call->header_bytes > MAX_HEADER_BYTES)
        err_set(err, ERR_SERVER, "%s sent larger headers than the %d bytes that are allowed",
                call->host->name, MAX_HEADER_BYTES);
    else
        err_set(err, ERR_SERVER, "%s sent a larger answer than the %zu bytes that are allowed",
                call->host->name, call->reply.max);
}

static void explain(const struct http_call *call, CURLcode code, bool waited, struct err *err)
{
    if (call->too_big) {
        explain_too_big(call, err);
        return;
    }
    struct failure failure = {
        .easy = call->handle.easy,
        .code = code,
        .reason = call->error[0] != '\0' ? call->error : curl_easy_strerror(code),
        .url = call->request.url.data,
        .host = call->host->name,
        .ca_file = call->http->settings.ca_file,
        .timeout_ms = call->request.timeout_ms,
        .connect_timeout_ms = min_of(call->request.timeout_ms, CONNECT_TIMEOUT_MS),
        .waited = waited,
        .answer_began = call->header_bytes > 0,
    };
    failure_explain(&failure, err);
}

static void call_free(struct http_call *call)
{
    timer_done(&call->deadline);
    http_handle_done(&call->handle);
    buf_done(&call->reply);
    free(call);
}

/* Puts a call's handle aside for the next one, and forgets a host that nobody asks any more. */
static void recycle(struct http_call *call)
{
    struct http *http = call->http;

    host_drop(take(call->host));

    if (call->request.secret_reply)
        buf_wipe(&call->reply);
    http_request_done(&call->request);
    if (call->reply.cap > KEEP_REPLY_BYTES)
        buf_done(&call->reply);
    if (http->idle_count < IDLE_HANDLES) {
        LIST_INSERT_HEAD(&http->idle, call, entry);
        http->idle_count++;
        return;
    }
    call_free(call);
}

static uint32_t retry_after_of(CURL *easy)
{
    curl_off_t seconds = 0;

    curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &seconds);
    return (uint32_t)min_of(max_of(seconds, 0), MAX_RETRY_AFTER_S) * 1000;
}

static void finish(struct http_call *call, CURLcode code)
{
    bool waited = !call->is_open;
    long status = 0;
    struct err err;

    leave(call);
    timer_clear(&call->deadline);
    LIST_REMOVE(call, entry);
    curl_easy_getinfo(call->handle.easy, CURLINFO_RESPONSE_CODE, &status);
    /* libcurl reads any number of digits behind HTTP/2. */
    if (code == CURLE_OK && (status < 100 || status > 999))
        code = CURLE_WEIRD_SERVER_REPLY;
    if (code != CURLE_OK) {
        explain(call, code, waited, &err);
        call->done(call->arg, NULL, &err);
    } else {
        struct http_reply reply = {
            .status = (int)status,
            .body = call->reply.data,
            .len = call->reply.len,
            .retry_after_ms = status >= 300 ? retry_after_of(call->handle.easy) : 0,
            .sent_twice = call->sends > 1,
            .call = call,
        };
        call->done(call->arg, &reply, NULL);
    }
    recycle(call);
}

static void on_deadline(void *arg)
{
    struct http_call *call = arg;

    finish(call, CURLE_OPERATION_TIMEDOUT);
}

/* Finishes what has ended. A callback may start and cancel calls, so each turn asks anew. */
static void finish_ended(struct http *http)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(http->multi, &left)) != NULL) {
        struct http_call *call;
        CURLcode code = message->data.result;

        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&call);
        finish(call, code);
    }
}

/* --- libcurl's sockets and timer on the loop --- */

static void on_ready(void *arg, int fd, bool readable, bool writable)
{
    struct http *http = arg;
    int running;

    curl_multi_socket_action(http->multi, fd,
                             (readable ? CURL_CSELECT_IN : 0) | (writable ? CURL_CSELECT_OUT : 0),
                             &running);
    finish_ended(http);
}

static void on_timer(void *arg)
{
    struct http *http = arg;
    int running;

    curl_multi_socket_action(http->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    finish_ended(http);
}

static int on_timer_wanted(CURLM *multi, long delay_ms, void *arg)
{
    struct http *http = arg;

    (void)multi;
    if (delay_ms < 0)
        timer_clear(&http->timer);
    else
        timer_set(&http->timer, delay_ms);
    return 0;
}

static int on_socket_wanted(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
    struct http *http = arg;
    bool ends = what == CURL_POLL_REMOVE;

    (void)easy;
    (void)socket_arg;
    sockets_want(http->sockets, fd, !ends && what & CURL_POLL_IN, !ends && what & CURL_POLL_OUT);
    return 0;
}

/* --- the client --- */

/* This machine and its link are never asked for through a proxy, whatever the environment says. */
static char *no_proxy_list(void)
{
    static const char local[] = "localhost,127.0.0.0/8,::1,169.254.0.0/16,fe80::/10";
    const char *own = getenv("no_proxy");

    if (own == NULL)
        own = getenv("NO_PROXY");
    if (own != NULL && strcmp(own, "*") == 0)
        return xstrdup("*");
    return own == NULL || *own == '\0' ? xstrdup(local) : xasprintf("%s,%s", own, local);
}

/* The variables that libcurl asks for http://. */
static bool has_http_proxy(const struct http_settings *settings)
{
    return settings->proxy != NULL || getenv("http_proxy") != NULL || getenv("all_proxy") != NULL ||
           getenv("ALL_PROXY") != NULL;
}

struct http *http_new(struct loop *loop, const struct http_settings *settings)
{
    struct http *http = xcalloc(1, sizeof(*http));

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        fatal("libcurl can not be used");
    http->loop = loop;
    http->settings = *settings;
    http->settings.ca_file = xstrdup(settings->ca_file);
    http->settings.proxy = xstrdup(settings->proxy);
    http->settings.user_agent = xstrdup(settings->user_agent);
    http->no_proxy = no_proxy_list();
    http->is_direct = !has_http_proxy(settings);
    LIST_INIT(&http->hosts);
    LIST_INIT(&http->calls);
    LIST_INIT(&http->idle);
    http->sockets = sockets_new(loop, on_ready, http);
    timer_init(&http->timer, loop, on_timer, http);
    http->share = curl_share_init();
    curl_share_setopt(http->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
    http->multi = curl_multi_init();
    curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, on_socket_wanted);
    curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http);
    curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, on_timer_wanted);
    curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http);
    curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, settings->max_connections * 4);
    curl_multi_setopt(http->multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
    return http;
}

static void free_idle(struct http *http)
{
    struct http_call *call;

    while ((call = LIST_FIRST(&http->idle)) != NULL) {
        LIST_REMOVE(call, entry);
        call_free(call);
    }
    http->idle_count = 0;
}

void http_free(struct http *http)
{
    struct http_call *call;

    if (http == NULL)
        return;
    while ((call = LIST_FIRST(&http->calls)) != NULL)
        http_call_cancel(call);
    free_idle(http);
    curl_multi_cleanup(http->multi);
    curl_share_cleanup(http->share);
    sockets_free(http->sockets);
    timer_done(&http->timer);
    free((char *)(uintptr_t)http->settings.ca_file);
    free((char *)(uintptr_t)http->settings.proxy);
    free((char *)(uintptr_t)http->settings.user_agent);
    free(http->no_proxy);
    free(http);
}

/* --- starting a call --- */

/* Without the system's folder of certificates, which libcurl would look into as well. */
static void trust_only(CURL *easy, const char *ca_file)
{
    curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file);
    curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    curl_easy_setopt(easy, CURLOPT_PROXY_CAINFO, ca_file);
    curl_easy_setopt(easy, CURLOPT_PROXY_CAPATH, NULL);
}

/* What is the same for every call of this client; set once a handle. */
static void set_up_handle(struct http_call *call)
{
    struct http *http = call->http;
    CURL *easy = call->handle.easy;

    curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
    curl_easy_setopt(easy, CURLOPT_SHARE, http->share);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->error);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
    curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, on_socket_made);
    curl_easy_setopt(easy, CURLOPT_SOCKOPTDATA, http);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_socket_closing);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, http);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_sending);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, call);
    /* Else a call's end waits, and the loop with it, until the resolver gives up. */
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    /* What a proxy says to CONNECT is no part of the answer. */
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, http->settings.user_agent);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_NOPROXY, http->no_proxy);
    if (http->settings.proxy != NULL)
        curl_easy_setopt(easy, CURLOPT_PROXY, http->settings.proxy);
    curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, CA_CACHE_S);
    if (http->settings.ca_file != NULL)
        trust_only(easy, http->settings.ca_file);
}

static struct http_call *call_new(struct http *http)
{
    struct http_call *call = LIST_FIRST(&http->idle);

    if (call != NULL) {
        LIST_REMOVE(call, entry);
        http->idle_count--;
        return call;
    }
    call = xcalloc(1, sizeof(*call));
    call->http = http;
    http_handle_init(&call->handle);
    buf_init(&call->reply, DEFAULT_MAX_REPLY);
    timer_init(&call->deadline, http->loop, on_deadline, call);
    set_up_handle(call);
    return call;
}

/* The "host:port" of a URL, which is all of it that may be shown. */
static struct host *host_of(struct http *http, const char *url)
{
    const char *start = strstr(url, "://"), *end = url + http_handle_origin_len(url);

    start = start == NULL ? url : start + 3;
    const char *user_end = memrchr(start, '@', (size_t)(end - start));
    if (user_end != NULL)
        start = user_end + 1;
    return host_get(http, start, (size_t)(end - start));
}

/* Kept with the handle, like all that seldom changes. */
static void set_direct(struct http_call *call, bool is_direct)
{
    if (is_direct != call->is_direct)
        curl_easy_setopt(call->handle.easy, CURLOPT_NOPROXY,
                         is_direct ? "*" : call->http->no_proxy);
    call->is_direct = is_direct;
}

struct http_call *http_call_start(struct http *http, struct http_request *request,
                                  http_done_fn *done, void *arg)
{
    struct http_call *call = call_new(http);

    call->request = *request;
    http_request_init(request, request->method);
    call->done = done;
    call->arg = arg;
    call->header_bytes = 0;
    call->sends = 0;
    call->too_big = false;
    call->error[0] = '\0';
    call->host = host_of(http, call->request.url.data);
    buf_reset(&call->reply);
    call->reply.max =
        call->request.max_reply_bytes != 0 ? call->request.max_reply_bytes : DEFAULT_MAX_REPLY;
    if (call->request.timeout_ms <= 0)
        call->request.timeout_ms = http->settings.timeout_ms;
    long timeout_ms = (long)max_of(call->request.timeout_ms, 1);
    set_direct(call, call->request.direct);
    http_handle_set(&call->handle, &call->request, http->is_direct || call->is_direct);
    timer_set(&call->deadline, timeout_ms);
    curl_easy_setopt(call->handle.easy, CURLOPT_CONNECTTIMEOUT_MS,
                     min_of(timeout_ms, CONNECT_TIMEOUT_MS));
    LIST_INSERT_HEAD(&http->calls, call, entry);
    http->sent++;
    await_turn(call);
    return call;
}

void http_call_cancel(struct http_call *call)
{
    if (call == NULL)
        return;
    leave(call);
    timer_clear(&call->deadline);
    LIST_REMOVE(call, entry);
    recycle(call);
}
