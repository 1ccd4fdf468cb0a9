/* SPDX-License-Identifier: MIT */
/*
 * What libcurl costs by itself: takes messages 32 at a time and deletes each, the next Get under way
 * while the deletes go. Nothing is decoded; ids and receipts are searched for. Easy handles are used
 * again. Ends when a Get finds nothing more and all is deleted.
 *
 * usage: curl_drain [-c CONNECTIONS] [-p] URL-OF-QUEUE QUERY      -p: multi_perform, without sockets of our own
 */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "net/url.h"

#define GET_MAX   32
#define MAX_REPLY ((size_t)4 * 1024 * 1024)

/* A delete to be sent. */
struct job {
    char *url;
    STAILQ_ENTRY(job) entry;
};

struct transfer {
    CURL *easy;
    struct drain *drain;
    struct buf reply;
    bool is_get;
    SLIST_ENTRY(transfer) entry;
};

struct drain {
    const char *url, *query;
    unsigned connections;
    CURLM *multi;
    struct curl_slist *headers;
    STAILQ_HEAD(, job) jobs;
    unsigned job_count;
    SLIST_HEAD(, transfer) idle;
    unsigned running;
    bool getting, empty;
    unsigned long deleted;
    int epoll;
    double timer_s; /* when libcurl wants to be called; negative: not */
};

static void die(const char *what)
{
    fprintf(stderr, "curl_drain: %s\n", what);
    exit(1);
}

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* --- transfers --- */

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
    struct transfer *transfer = arg;

    (void)size;
    return buf_append(&transfer->reply, data, count) ? count : 0;
}

static struct transfer *transfer_new(struct drain *drain)
{
    struct transfer *transfer = SLIST_FIRST(&drain->idle);

    if (transfer != NULL) {
        SLIST_REMOVE_HEAD(&drain->idle, entry);
        return transfer;
    }
    transfer = xcalloc(1, sizeof(*transfer));
    transfer->drain = drain;
    transfer->easy = curl_easy_init();
    buf_init(&transfer->reply, MAX_REPLY);
    curl_easy_setopt(transfer->easy, CURLOPT_PRIVATE, transfer);
    curl_easy_setopt(transfer->easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(transfer->easy, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER, drain->headers);
    curl_easy_setopt(transfer->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(transfer->easy, CURLOPT_NOPROXY, "*");
    return transfer;
}

static void start(struct drain *drain, const char *url, bool is_get)
{
    struct transfer *transfer = transfer_new(drain);

    transfer->is_get = is_get;
    buf_reset(&transfer->reply);
    curl_easy_setopt(transfer->easy, CURLOPT_URL, url);
    curl_easy_setopt(transfer->easy, CURLOPT_CUSTOMREQUEST, is_get ? NULL : "DELETE");
    if (curl_multi_add_handle(drain->multi, transfer->easy) != CURLM_OK)
        die("libcurl can not be used");
    drain->running++;
}

static void start_get(struct drain *drain)
{
    autofree char *url = xasprintf("%s/messages?numofmessages=%d&visibilitytimeout=600&%s",
                                   drain->url, GET_MAX, drain->query);

    drain->getting = true;
    start(drain, url, true);
}

/* Starts what there is room for: a Get as soon as no whole batch of deletes waits. */
static void start_more(struct drain *drain)
{
    if (!drain->getting && !drain->empty && drain->job_count < GET_MAX &&
        drain->running < drain->connections)
        start_get(drain);
    while (drain->running < drain->connections && !STAILQ_EMPTY(&drain->jobs)) {
        struct job *job = STAILQ_FIRST(&drain->jobs);

        STAILQ_REMOVE_HEAD(&drain->jobs, entry);
        drain->job_count--;
        start(drain, job->url, false);
        free(job->url);
        free(job);
    }
}

/* The text of the next element of this name; moves *cursor behind it. NULL when there is none. */
static char *next_element(const char **cursor, const char *open)
{
    const char *text = strstr(*cursor, open);

    if (text == NULL)
        return NULL;
    text += strlen(open);
    size_t len = strcspn(text, "<");
    *cursor = text + len;
    return xstrndup(text, len);
}

static void queue_deletes(struct drain *drain, const char *xml)
{
    char *id;

    drain->empty = true;
    while ((id = next_element(&xml, "<MessageId>")) != NULL) {
        autofree char *receipt = next_element(&xml, "<PopReceipt>");
        struct job *job = xcalloc(1, sizeof(*job));
        autobuf encoded;

        if (receipt == NULL)
            die("a message without a receipt");
        buf_init(&encoded, MAX_REPLY);
        url_encode(&encoded, receipt);
        job->url = xasprintf("%s/messages/%s?popreceipt=%s&%s", drain->url, id, encoded.data,
                             drain->query);
        STAILQ_INSERT_TAIL(&drain->jobs, job, entry);
        drain->job_count++;
        drain->empty = false;
        free(id);
    }
}

static void finish(struct transfer *transfer, CURLcode code)
{
    struct drain *drain = transfer->drain;
    long status = 0;

    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    if (code != CURLE_OK || status != (transfer->is_get ? 200 : 204))
        die(code != CURLE_OK ? curl_easy_strerror(code) : "refused");
    curl_multi_remove_handle(drain->multi, transfer->easy);
    drain->running--;
    SLIST_INSERT_HEAD(&drain->idle, transfer, entry);
    if (transfer->is_get) {
        drain->getting = false;
        queue_deletes(drain, transfer->reply.data);
    } else {
        drain->deleted++;
    }
}

static void finish_ended(struct drain *drain)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(drain->multi, &left)) != NULL) {
        struct transfer *transfer;

        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&transfer);
        finish(transfer, message->data.result);
    }
    start_more(drain);
}

/* --- by socket_action, on epoll --- */

static int on_socket_wanted(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
    struct drain *drain = arg;
    struct epoll_event event = {.events = (what & CURL_POLL_IN ? EPOLLIN : 0) |
                                          (what & CURL_POLL_OUT ? EPOLLOUT : 0),
                                .data.fd = fd};

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(drain->epoll, EPOLL_CTL_DEL, fd, NULL);
        return 0;
    }
    epoll_ctl(drain->epoll, known != NULL ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);
    curl_multi_assign(drain->multi, fd, drain);
    return 0;
}

static int on_timer_wanted(CURLM *multi, long delay_ms, void *arg)
{
    struct drain *drain = arg;

    (void)multi;
    drain->timer_s = delay_ms < 0 ? -1 : now_s() + (double)delay_ms / 1000;
    return 0;
}

static int wait_ms(const struct drain *drain)
{
    double left = drain->timer_s < 0 ? 10 : drain->timer_s - now_s();

    return left <= 0 ? 0 : (int)(left * 1000) + 1;
}

static void run_sockets(struct drain *drain)
{
    struct epoll_event events[64];
    int running;
    int n = epoll_wait(drain->epoll, events, array_size(events), wait_ms(drain));

    for (int i = 0; i < n; i++) {
        int what = (events[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                   (events[i].events & ~(unsigned)EPOLLOUT ? CURL_CSELECT_IN : 0);

        curl_multi_socket_action(drain->multi, events[i].data.fd, what, &running);
        finish_ended(drain);
    }
    if (drain->timer_s >= 0 && drain->timer_s <= now_s()) {
        drain->timer_s = -1;
        curl_multi_socket_action(drain->multi, CURL_SOCKET_TIMEOUT, 0, &running);
        finish_ended(drain);
    }
}

/* --- by multi_perform --- */

static void run_perform(struct drain *drain)
{
    int running;

    curl_multi_perform(drain->multi, &running);
    finish_ended(drain);
    if (drain->running > 0)
        curl_multi_poll(drain->multi, NULL, 0, 1000, NULL);
}

static void set_up(struct drain *drain, bool by_perform)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        die("libcurl can not be used");
    drain->multi = curl_multi_init();
    drain->headers = curl_slist_append(NULL, "x-ms-version: 2021-12-02");
    STAILQ_INIT(&drain->jobs);
    SLIST_INIT(&drain->idle);
    drain->timer_s = -1;
    curl_multi_setopt(drain->multi, CURLMOPT_MAXCONNECTS, (long)drain->connections);
    if (by_perform)
        return;
    drain->epoll = epoll_create1(EPOLL_CLOEXEC);
    curl_multi_setopt(drain->multi, CURLMOPT_SOCKETFUNCTION, on_socket_wanted);
    curl_multi_setopt(drain->multi, CURLMOPT_SOCKETDATA, drain);
    curl_multi_setopt(drain->multi, CURLMOPT_TIMERFUNCTION, on_timer_wanted);
    curl_multi_setopt(drain->multi, CURLMOPT_TIMERDATA, drain);
}

static void tear_down(struct drain *drain)
{
    struct transfer *transfer;

    while ((transfer = SLIST_FIRST(&drain->idle)) != NULL) {
        SLIST_REMOVE_HEAD(&drain->idle, entry);
        curl_easy_cleanup(transfer->easy);
        buf_done(&transfer->reply);
        free(transfer);
    }
    curl_multi_cleanup(drain->multi);
    curl_slist_free_all(drain->headers);
    curl_global_cleanup();
}

int main(int argc, char **argv)
{
    struct drain drain = {.connections = 16};
    bool by_perform = false;
    int option;

    while ((option = getopt(argc, argv, "c:p")) != -1) {
        if (option == 'c')
            drain.connections = (unsigned)strtoul(optarg, NULL, 10);
        else if (option == 'p')
            by_perform = true;
        else
            return 64;
    }
    if (argc - optind != 2)
        return 64;
    drain.url = argv[optind];
    drain.query = argv[optind + 1];
    set_up(&drain, by_perform);
    start_more(&drain);
    while (!drain.empty || drain.running > 0 || drain.job_count > 0) {
        if (by_perform)
            run_perform(&drain);
        else
            run_sockets(&drain);
    }
    tear_down(&drain);
    printf("deleted %lu\n", drain.deleted);
}
