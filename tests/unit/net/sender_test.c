/* SPDX-License-Identifier: MIT */
/* The sender against servers of our own: what arrives, what comes again, what is given up, and when. */
#include "../loop/waiting.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "net/link.h"
#include "net/sender.h"

#define SHORT_MS 400   /* a deadline that a test waits for */
#define LONG_MS  10000 /* one that it does not */
#define IDLE_MS  1500
#define MAX_OPEN 8

struct fixture {
    struct loop *loop;
    struct sender *sender;
    int listener; /* the server's, TCP or UDP */
    int port;
    int peer; /* what it has accepted */
    struct buf got;
    const char *wanted;
    unsigned open;
};

/* What came of one record. */
struct outcome {
    struct fixture *fixture;
    struct sending *sending;
    unsigned fired;
    struct err err;
};

#define TWO_ADDRESSES "two.test" /* at the first of them nobody listens */

/* Before libc's, which knows no such name. */
int getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                struct addrinfo **ret_addresses)
{
    static int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    int status;

    *(void **)(void *)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    if (strcmp(host, TWO_ADDRESSES) != 0)
        return real(host, port, hints, ret_addresses);
    status = real("127.0.0.2", port, hints, ret_addresses);
    return status != 0 ? status : real("127.0.0.1", port, hints, &(*ret_addresses)->ai_next);
}

static int set_up(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));

    signal(SIGPIPE, SIG_IGN);
    fixture->loop = loop_new();
    fixture->listener = -1;
    fixture->peer = -1;
    buf_init(&fixture->got, BUF_ANY_SIZE);
    *state = fixture;
    return 0;
}

static void hang_up(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    sender_free(fixture->sender);
    loop_free(fixture->loop);
    hang_up(&fixture->listener);
    hang_up(&fixture->peer);
    buf_done(&fixture->got);
    free(fixture);
    return 0;
}

/* A server on 127.0.0.1, on the same port as before if there was one. */
static void given_server(struct fixture *fixture, int type)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)fixture->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int yes = 1;

    fixture->listener = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    setsockopt(fixture->listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    assert_int_equal(bind(fixture->listener, (struct sockaddr *)&address, len), 0);
    if (type == SOCK_STREAM)
        assert_int_equal(listen(fixture->listener, 8), 0);
    getsockname(fixture->listener, (struct sockaddr *)&address, &len);
    fixture->port = ntohs(address.sin_port);
}

static void given_sender(struct fixture *fixture, const struct link_kind *link, const char *host,
                         int64_t deadline_ms)
{
    autofree char *port = xasprintf("%d", fixture->port);
    const struct sender_settings settings = {.link = link,
                                             .host = host,
                                             .port = port,
                                             .deadline_ms = deadline_ms,
                                             .idle_ms = IDLE_MS,
                                             .max_open = MAX_OPEN};

    fixture->sender = sender_new(fixture->loop, &settings);
}

static void note_outcome(void *arg, const struct err *err)
{
    struct outcome *outcome = arg;

    outcome->fired++;
    if (err != NULL)
        outcome->err = *err;
    outcome->fixture->open--;
}

static void send_bytes(struct fixture *fixture, const char *data, size_t len,
                       struct outcome *outcome)
{
    struct buf record;

    buf_init(&record, BUF_ANY_SIZE);
    buf_append(&record, data, len);
    *outcome = (struct outcome){.fixture = fixture};
    fixture->open++;
    outcome->sending = sender_send(fixture->sender, &record, note_outcome, outcome);
    assert_int_equal(outcome->fired, 0);
    assert_int_equal(record.len, 0);
}

static void send_text(struct fixture *fixture, const char *text, struct outcome *outcome)
{
    send_bytes(fixture, text, strlen(text), outcome);
}

static bool nothing_is_open(void *arg)
{
    const struct fixture *fixture = arg;

    return fixture->open == 0;
}

static void run_until_all_ended(struct fixture *fixture)
{
    run_until(fixture->loop, nothing_is_open, fixture);
}

static bool is_accepted(void *arg)
{
    struct fixture *fixture = arg;

    fixture->peer = accept4(fixture->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    return fixture->peer >= 0;
}

static void accept_one(struct fixture *fixture)
{
    int before = fixture->peer;

    run_until(fixture->loop, is_accepted, fixture);
    hang_up(&before);
}

/* Reads what is there; a datagram's end is shown as a bar. */
static bool has_all(void *arg)
{
    struct fixture *fixture = arg;
    int fd = fixture->peer >= 0 ? fixture->peer : fixture->listener;
    char part[4096];
    ssize_t len;

    while ((len = recv(fd, part, sizeof(part), 0)) > 0) {
        buf_append(&fixture->got, part, (size_t)len);
        if (fd == fixture->listener)
            buf_putc(&fixture->got, '|');
    }
    return fixture->got.len >= strlen(fixture->wanted);
}

static void expect_bytes(struct fixture *fixture, const char *wanted)
{
    fixture->wanted = wanted;
    run_until(fixture->loop, has_all, fixture);
    assert_string_equal(fixture->got.data, wanted);
    buf_reset(&fixture->got);
}

static void expect_done(const struct outcome *outcome)
{
    if (outcome->err.code != ERR_NONE)
        fail_msg("%s", outcome->err.text);
    assert_int_equal(outcome->fired, 1);
}

static void expect_failed(const struct outcome *outcome, const char *text)
{
    assert_int_equal(outcome->fired, 1);
    if (outcome->err.code == ERR_NONE || strstr(outcome->err.text, text) == NULL)
        assert_string_equal(outcome->err.text, text);
}

/* From now on the peer's kernel drops what comes, as when a cable is cut. */
static void fall_silent(int fd)
{
    struct sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
    struct sock_fprog program = {.len = 1, .filter = &drop};

    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)), 0);
}

static void reset(int *fd)
{
    struct linger now = {.l_onoff = 1};

    setsockopt(*fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    hang_up(fd);
}

static bool is_late(void *arg)
{
    return clock_mono_ms() >= *(const int64_t *)arg;
}

static void let_pass(struct fixture *fixture, int64_t ms)
{
    int64_t until_ms = clock_mono_ms() + ms;

    run_until(fixture->loop, is_late, &until_ms);
}

/* --- TCP --- */

static void given_connection(struct fixture *fixture, int64_t deadline_ms)
{
    struct outcome outcome;

    given_server(fixture, SOCK_STREAM);
    given_sender(fixture, &link_tcp, "127.0.0.1", deadline_ms);
    send_text(fixture, "first;", &outcome);
    accept_one(fixture);
    run_until_all_ended(fixture);
    expect_done(&outcome);
    expect_bytes(fixture, "first;");
}

static void records_arrive_in_order_through_one_connection(void **state)
{
    struct fixture *fixture = *state;
    struct outcome outcomes[3];

    given_connection(fixture, LONG_MS);
    send_text(fixture, "a;", &outcomes[0]);
    send_text(fixture, "b;", &outcomes[1]);
    send_text(fixture, "c;", &outcomes[2]);
    run_until_all_ended(fixture);
    for (unsigned i = 0; i < array_size(outcomes); i++)
        expect_done(&outcomes[i]);
    expect_bytes(fixture, "a;b;c;");
}

static void a_name_is_looked_up(void **state)
{
    struct fixture *fixture = *state;
    struct outcome outcome;

    given_server(fixture, SOCK_STREAM);
    given_sender(fixture, &link_tcp, "localhost", LONG_MS);
    send_text(fixture, "x", &outcome);
    accept_one(fixture);
    run_until_all_ended(fixture);
    expect_done(&outcome);
}

static void a_name_that_does_not_exist_is_told(void **state)
{
    struct fixture *fixture = *state;
    struct outcome outcome;
    char host[80] = "";

    memset(host, 'x', 70); /* longer than a label may be: no packet asks for it */
    given_sender(fixture, &link_tcp, host, SHORT_MS);
    send_text(fixture, "x", &outcome);
    run_until_all_ended(fixture);
    expect_failed(&outcome, "can not look up xxxx");
}

static void a_server_that_comes_within_the_deadline_is_reached(void **state)
{
    struct fixture *fixture = *state;
    struct outcome outcome;

    given_server(fixture, SOCK_STREAM);
    hang_up(&fixture->listener);
    given_sender(fixture, &link_tcp, "127.0.0.1", LONG_MS);
    send_text(fixture, "x", &outcome);
    let_pass(fixture, 300);
    assert_int_equal(outcome.fired, 0);
    given_server(fixture, SOCK_STREAM);
    accept_one(fixture);
    run_until_all_ended(fixture);
    expect_done(&outcome);
    expect_bytes(fixture, "x");
}

static void a_server_that_does_not_come_is_told(void **state)
{
    struct fixture *fixture = *state;
    struct outcome outcome;

    given_server(fixture, SOCK_STREAM);
    hang_up(&fixture->listener);
    given_sender(fixture, &link_tcp, "127.0.0.1", SHORT_MS);
    send_text(fixture, "x", &outcome);
    run_until_all_ended(fixture);
    expect_failed(&outcome, "Connection refused");
    assert_int_equal(outcome.err.code, ERR_NETWORK);
}

/* The closed end answers with a reset, but only after the record has gone into it. */
static void nothing_goes_into_a_connection_that_the_server_has_closed(void **state)
{
    struct fixture *fixture = *state;
    struct outcome outcome;

    given_connection(fixture, LONG_MS);
    hang_up(&fixture->peer);
    /* The loop has not turned yet: nobody has told of the end. */
    send_text(fixture, "second", &outcome);
    accept_one(fixture);
    run_until_all_ended(fixture);
    expect_done(&outcome);
    expect_bytes(fixture, "second");
}

static void a_server_that_has_closed_its_half_is_left(void **state)
{
    struct fixture *fixture = *state;
    struct outcome outcome;
    char byte;

    given_connection(fixture, LONG_MS);
    int before = dup(fixture->peer);
    shutdown(fixture->peer, SHUT_WR);
    send_text(fixture, "second", &outcome);
    accept_one(fixture);
    run_until_all_ended(fixture);
    expect_done(&outcome);
    expect_bytes(fixture, "second");
    assert_int_equal(recv(before, &byte, 1, MSG_DONTWAIT), 0); /* its end, and no byte before */
    hang_up(&before);
}

static void what_was_not_acknowledged_before_a_reset_comes_again(void **state)
{
    struct fixture *fixture = *state;
    struct outcome outcome;

    given_connection(fixture, LONG_MS);
    fall_silent(fixture->peer);
    send_text(fixture, "second", &outcome);
    let_pass(fixture, 150);
    assert_int_equal(outcome.fired, 0); /* the kernel has it; that is not enough */
    reset(&fixture->peer);
    accept_one(fixture);
    run_until_all_ended(fixture);
    expect_done(&outcome);
    expect_bytes(fixture, "second");
}

static void a_silent_server_is_given_up_and_the_others_go_anew(void **state)
{
    struct fixture *fixture = *state;
    struct outcome first, second;

    given_connection(fixture, SHORT_MS * 2);
    fall_silent(fixture->peer);
    send_text(fixture, "early;", &first);
    let_pass(fixture, SHORT_MS);
    send_text(fixture, "late;", &second);
    accept_one(fixture);
    expect_failed(&first, "it took nothing within 800ms");
    run_until_all_ended(fixture);
    expect_done(&second);
    expect_bytes(fixture, "late;");
}

static void an_old_reason_is_not_told_again(void **state)
{
    struct fixture *fixture = *state;
    struct outcome outcome;

    given_connection(fixture, SHORT_MS);
    hang_up(&fixture->peer);
    let_pass(fixture, 200); /* the connection that nobody needed was closed by the server */
    fall_silent(fixture->listener);
    send_text(fixture, "x", &outcome);
    run_until_all_ended(fixture);
    expect_failed(&outcome, "it took nothing within 400ms");
}

/* Fills all buffers on the way to a server that does not read. */
static unsigned fill(struct fixture *fixture)
{
    static char record[8192];
    struct outcome outcome = {0};
    unsigned sent = 0;

    memset(record, 'x', sizeof(record));
    while (outcome.err.code == ERR_NONE) {
        send_bytes(fixture, record, sizeof(record), &outcome);
        run_until_all_ended(fixture);
        sent++;
        assert_in_range(sent, 1, 10000);
    }
    expect_failed(&outcome, "it took nothing within");
    return sent;
}

static bool is_another_accepted(const struct fixture *fixture)
{
    int fd = accept4(fixture->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    hang_up(&fd);
    return fd >= 0;
}

static void a_server_that_does_not_read_holds_the_records_up(void **state)
{
    struct fixture *fixture = *state;
    static char part[65536];
    struct outcome outcome;
    ssize_t len;

    given_connection(fixture, SHORT_MS);
    fill(fixture);
    for (int i = 0; i < 3; i++) {
        send_text(fixture, "x", &outcome);
        run_until_all_ended(fixture);
        expect_failed(&outcome, "it took nothing within");
        let_pass(fixture, 100);
    }
    let_pass(fixture, IDLE_MS + 100);
    /* No other connection was made, which would have swallowed more; and this one goes on. */
    send_text(fixture, "the last", &outcome);
    while (outcome.fired == 0) {
        while ((len = recv(fixture->peer, part, sizeof(part), 0)) > 0)
            buf_append(&fixture->got, part, (size_t)len);
        run_a_moment(fixture->loop);
    }
    expect_done(&outcome);
    while ((len = recv(fixture->peer, part, sizeof(part), 0)) > 0)
        buf_append(&fixture->got, part, (size_t)len);
    assert_string_equal(fixture->got.data + fixture->got.len - 8, "the last");
    assert_false(is_another_accepted(fixture));
}

static bool has_ended(void *arg)
{
    char byte;

    return recv(((const struct fixture *)arg)->peer, &byte, 1, 0) == 0;
}

/* A server on a thread: it accepts, reads one record up to its semicolon, closes, and accepts again. */
struct curt {
    int listener;
    unsigned records;
};

static void *serve_curtly(void *arg)
{
    struct curt *curt = arg;
    char byte;

    for (;;) {
        int peer = accept4(curt->listener, NULL, NULL, SOCK_CLOEXEC);
        if (peer < 0)
            return NULL;
        while (recv(peer, &byte, 1, 0) == 1 && byte != ';')
            ;
        curt->records++;
        close(peer);
    }
}

static void what_was_acknowledged_before_the_server_closed_has_arrived(void **state)
{
    struct fixture *fixture = *state;
    struct outcome outcome;
    pthread_t thread;

    given_server(fixture, SOCK_STREAM);
    fcntl(fixture->listener, F_SETFL, 0);
    struct curt curt = {.listener = fixture->listener};
    assert_int_equal(pthread_create(&thread, NULL, serve_curtly, &curt), 0);
    given_sender(fixture, &link_tcp, "127.0.0.1", LONG_MS);
    for (unsigned i = 1; i <= 5; i++) {
        send_text(fixture, "line;", &outcome);
        run_until_all_ended(fixture);
        expect_done(&outcome);
    }
    shutdown(fixture->listener, SHUT_RDWR);
    pthread_join(thread, NULL);
    assert_int_equal(curt.records, 5);
}

static void an_idle_connection_is_closed_and_made_anew(void **state)
{
    struct fixture *fixture = *state;
    struct outcome outcome;

    given_connection(fixture, LONG_MS);
    run_until(fixture->loop, has_ended, fixture);
    send_text(fixture, "second", &outcome);
    accept_one(fixture);
    run_until_all_ended(fixture);
    expect_done(&outcome);
    expect_bytes(fixture, "second");
}

static void one_too_many_fails_at_once(void **state)
{
    struct fixture *fixture = *state;
    struct outcome outcomes[MAX_OPEN + 1];

    given_server(fixture, SOCK_STREAM);
    given_sender(fixture, &link_tcp, "127.0.0.1", LONG_MS);
    for (unsigned i = 0; i <= MAX_OPEN; i++)
        send_text(fixture, "x", &outcomes[i]);
    accept_one(fixture);
    run_until_all_ended(fixture);
    for (unsigned i = 0; i < MAX_OPEN; i++)
        expect_done(&outcomes[i]);
    expect_failed(&outcomes[MAX_OPEN], "8 lines wait for it already");
    assert_int_equal(outcomes[MAX_OPEN].err.code, ERR_HOST);
    expect_bytes(fixture, "xxxxxxxx");
}

static void what_is_cancelled_does_not_fire(void **state)
{
    struct fixture *fixture = *state;
    struct outcome before, after, last;

    given_connection(fixture, LONG_MS);
    send_text(fixture, "before;", &before); /* the link has it */
    sending_cancel(before.sending);
    hang_up(&fixture->peer);
    run_a_moment(fixture->loop);
    send_text(fixture, "after;", &after); /* there is no link */
    sending_cancel(after.sending);
    fixture->open -= 2;
    send_text(fixture, "last;", &last);
    accept_one(fixture);
    run_until_all_ended(fixture);
    expect_done(&last);
    expect_bytes(fixture, "last;");
    assert_int_equal(before.fired + after.fired, 0);
}

/* --- UDP --- */

static void each_record_is_a_datagram(void **state)
{
    struct fixture *fixture = *state;
    struct outcome outcomes[2];

    given_server(fixture, SOCK_DGRAM);
    given_sender(fixture, &link_udp, "127.0.0.1", LONG_MS);
    send_text(fixture, "one", &outcomes[0]);
    send_text(fixture, "two", &outcomes[1]);
    run_until_all_ended(fixture);
    expect_done(&outcomes[0]);
    expect_done(&outcomes[1]);
    expect_bytes(fixture, "one|two|");
}

static void a_refused_datagram_is_told(void **state)
{
    struct fixture *fixture = *state;
    struct outcome outcome;

    given_server(fixture, SOCK_DGRAM);
    hang_up(&fixture->listener);
    given_sender(fixture, &link_udp, "127.0.0.1", SHORT_MS);
    send_text(fixture, "x", &outcome);
    run_until_all_ended(fixture);
    expect_failed(&outcome, "Connection refused");
}

static void a_datagram_that_one_address_refuses_goes_to_the_next(void **state)
{
    struct fixture *fixture = *state;
    struct outcome outcome;

    given_server(fixture, SOCK_DGRAM);
    given_sender(fixture, &link_udp, TWO_ADDRESSES, SHORT_MS * 2);
    send_text(fixture, "x", &outcome);
    run_until_all_ended(fixture);
    expect_done(&outcome);
    expect_bytes(fixture, "x|");
}

static void a_refused_datagram_goes_again(void **state)
{
    struct fixture *fixture = *state;
    struct outcome outcome;

    given_server(fixture, SOCK_DGRAM);
    hang_up(&fixture->listener);
    given_sender(fixture, &link_udp, "127.0.0.1", LONG_MS);
    send_text(fixture, "x", &outcome);
    let_pass(fixture, 300);
    assert_int_equal(outcome.fired, 0);
    given_server(fixture, SOCK_DGRAM);
    run_until_all_ended(fixture);
    expect_done(&outcome);
    expect_bytes(fixture, "x|");
}

/* Waits for a datagram; the port that it came from. */
static int source_of(struct fixture *fixture, const char *wanted)
{
    struct sockaddr_in address;
    socklen_t len = sizeof(address);
    char text[16] = "";

    while (recvfrom(fixture->listener, text, sizeof(text) - 1, 0, (struct sockaddr *)&address,
                    &len) < 0)
        run_a_moment(fixture->loop);
    assert_string_equal(text, wanted);
    return ntohs(address.sin_port);
}

static void a_name_is_looked_up_again_though_records_never_cease(void **state)
{
    struct fixture *fixture = *state;
    struct outcome first, second, third;
    int64_t began_ms = clock_mono_ms();

    given_server(fixture, SOCK_DGRAM);
    given_sender(fixture, &link_udp, "127.0.0.1", LONG_MS);
    clock_freeze(began_ms, -1);
    send_text(fixture, "first", &first);
    int source = source_of(fixture, "first");
    clock_freeze(began_ms + 59950, -1);
    send_text(fixture, "second", &second);
    assert_int_equal(source_of(fixture, "second"), source);
    clock_freeze(began_ms + 60010, -1); /* the second is still on its way */
    send_text(fixture, "third", &third);
    run_a_moment(fixture->loop);
    clock_freeze(began_ms + 60100, -1);
    assert_int_not_equal(source_of(fixture, "third"), source);
    clock_freeze(-1, -1);
    sending_cancel(third.sending);
    fixture->open--;
    run_until_all_ended(fixture);
}

#define SENDER_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SENDER_TEST(records_arrive_in_order_through_one_connection),
        SENDER_TEST(a_name_is_looked_up),
        SENDER_TEST(a_name_that_does_not_exist_is_told),
        SENDER_TEST(a_server_that_comes_within_the_deadline_is_reached),
        SENDER_TEST(a_server_that_does_not_come_is_told),
        SENDER_TEST(nothing_goes_into_a_connection_that_the_server_has_closed),
        SENDER_TEST(a_server_that_has_closed_its_half_is_left),
        SENDER_TEST(what_was_not_acknowledged_before_a_reset_comes_again),
        SENDER_TEST(a_silent_server_is_given_up_and_the_others_go_anew),
        SENDER_TEST(an_old_reason_is_not_told_again),
        SENDER_TEST(a_server_that_does_not_read_holds_the_records_up),
        SENDER_TEST(what_was_acknowledged_before_the_server_closed_has_arrived),
        SENDER_TEST(an_idle_connection_is_closed_and_made_anew),
        SENDER_TEST(one_too_many_fails_at_once),
        SENDER_TEST(what_is_cancelled_does_not_fire),
        SENDER_TEST(each_record_is_a_datagram),
        SENDER_TEST(a_refused_datagram_is_told),
        SENDER_TEST(a_datagram_that_one_address_refuses_goes_to_the_next),
        SENDER_TEST(a_refused_datagram_goes_again),
        SENDER_TEST(a_name_is_looked_up_again_though_records_never_cease),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
