/* SPDX-License-Identifier: MIT */
/* All queues together: what a hold keeps back. A server on the loopback counts who asks, and hangs up. */
#include "../loop/waiting.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/err.h"
#include "flow/flow.h"
#include "flow/settings.h"
#include "loop/child.h"
#include "loop/worker.h"
#include "store/ledger.h"
#include "store/spool.h"

#define QUEUE                                                                                      \
    "{name: %s, url: 'http://127.0.0.1:%d/account/%s',"                                            \
    " sas: 'sv=2021-12-02&sp=rup&se=2099-01-01&sig=a%%3D'}"

struct fixture {
    struct loop *loop;
    struct worker *worker;
    struct children *children;
    struct ledger *ledger;
    struct spool *spool;
    struct flow *flow;
    char directory[64];
    char path[96];
    int fd, port;
    struct loop_watch *watch;
    unsigned asked; /* connections */
    unsigned wanted;
};

static void on_connection(void *arg)
{
    struct fixture *fixture = arg;

    close(accept(fixture->fd, NULL, NULL));
    fixture->asked++;
}

static void on_changed(void *arg, bool news)
{
    (void)arg;
    (void)news;
}

static void listen_here(struct fixture *fixture)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    fixture->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(fixture->fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(fixture->fd, 16), 0);
    assert_int_equal(getsockname(fixture->fd, (struct sockaddr *)&address, &len), 0);
    fixture->port = ntohs(address.sin_port);
    fixture->watch = loop_watch_read(fixture->loop, fixture->fd, on_connection, fixture);
}

/* A configuration of two queues, or of another two. */
static struct snapshot *load(const struct fixture *fixture, const char *one, const char *two)
{
    struct mistakes mistakes = {0};
    FILE *file = fopen(fixture->path, "w");

    assert_non_null(file);
    fprintf(file, "queues: [" QUEUE ", " QUEUE "]\n", one, fixture->port, one, two, fixture->port,
            two);
    fclose(file);
    struct snapshot *snapshot = snapshot_load(fixture->path, true, &mistakes);
    if (snapshot == NULL)
        fail_msg("%s", mistakes.lines[0]);
    mistakes_done(&mistakes);
    return snapshot;
}

static void on_broken(void *arg, const struct err *err, int64_t delay_ms)
{
    (void)arg, (void)delay_ms;
    fail_msg("%s", err->text);
}

static const struct ledger_events ledger_events = {.broken = on_broken};

static void remove_all(const char *directory)
{
    autofree char *command = xasprintf("rm -r %s", directory);

    assert_int_equal(system(command), 0);
}

static int set_up(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));
    struct err err;

    strcpy(fixture->directory, "/tmp/cvnotifyd-test-XXXXXX");
    assert_non_null(mkdtemp(fixture->directory));
    snprintf(fixture->path, sizeof(fixture->path), "%s/cvnotifyd.yaml", fixture->directory);
    umask(077);
    fixture->loop = loop_new();
    fixture->worker = worker_new(fixture->loop);
    fixture->children = children_new(fixture->loop, fixture->worker);
    fixture->ledger =
        ledger_open(fixture->loop, fixture->worker, fixture->directory, &ledger_events, NULL, &err);
    assert_non_null(fixture->ledger);
    fixture->spool = spool_open(fixture->worker, fixture->directory);
    listen_here(fixture);
    fixture->flow = flow_new(&(struct flow_context){.loop = fixture->loop,
                                                    .worker = fixture->worker,
                                                    .children = fixture->children,
                                                    .ledger = fixture->ledger,
                                                    .spool = fixture->spool,
                                                    .changed = on_changed},
                             load(fixture, "one", "two"));
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    worker_free(fixture->worker);
    children_free(fixture->children);
    flow_free(fixture->flow);
    ledger_close(fixture->ledger);
    spool_close(fixture->spool);
    loop_watch_free(fixture->watch);
    close(fixture->fd);
    remove_all(fixture->directory);
    loop_free(fixture->loop);
    free(fixture);
    return 0;
}

static bool is_asked(void *arg)
{
    const struct fixture *fixture = arg;

    return fixture->asked >= fixture->wanted;
}

static void wait_asked(struct fixture *fixture, unsigned times)
{
    fixture->wanted = times;
    run_until(fixture->loop, is_asked, fixture);
}

static void each_queue_is_asked_at_once(void **state)
{
    wait_asked(*state, 2);
}

static void a_held_flow_asks_for_nothing(void **state)
{
    struct fixture *fixture = *state;

    flow_hold(fixture->flow, FLOW_HOLD_ORPHANS, true);
    run_a_moment(fixture->loop);
    flow_poll_now(fixture->flow);
    run_a_moment(fixture->loop);
    assert_int_equal(fixture->asked, 0);
}

static void the_release_asks_at_once(void **state)
{
    struct fixture *fixture = *state;

    flow_hold(fixture->flow, FLOW_HOLD_ORPHANS, true);
    run_a_moment(fixture->loop);
    flow_hold(fixture->flow, FLOW_HOLD_ORPHANS, false);
    wait_asked(fixture, 2);
}

static void the_last_hold_counts(void **state)
{
    struct fixture *fixture = *state;

    flow_hold(fixture->flow, FLOW_HOLD_ORPHANS, true);
    flow_hold(fixture->flow, FLOW_HOLD_LEDGER, true);
    flow_hold(fixture->flow, FLOW_HOLD_ORPHANS, false);
    run_a_moment(fixture->loop);
    assert_int_equal(fixture->asked, 0);
    flow_hold(fixture->flow, FLOW_HOLD_LEDGER, false);
    wait_asked(fixture, 2);
}

static void queues_that_a_reload_adds_are_held_too(void **state)
{
    struct fixture *fixture = *state;

    flow_hold(fixture->flow, FLOW_HOLD_ORPHANS, true);
    flow_apply(fixture->flow, load(fixture, "one", "three"));
    run_a_moment(fixture->loop);
    assert_int_equal(fixture->asked, 0);
    flow_hold(fixture->flow, FLOW_HOLD_ORPHANS, false);
    wait_asked(fixture, 2);
}

/* No timer is armed then, and nobody must think that it hangs, or that it is done. */
static void a_held_flow_is_alive_and_not_exhausted(void **state)
{
    struct fixture *fixture = *state;
    const struct err *err;

    flow_hold(fixture->flow, FLOW_HOLD_ORPHANS, true);
    run_a_moment(fixture->loop);
    assert_true(flow_is_alive(fixture->flow));
    flow_drain(fixture->flow);
    assert_true(flow_is_idle(fixture->flow));
    assert_false(flow_is_exhausted(fixture->flow, 0, &err));
    flow_hold(fixture->flow, FLOW_HOLD_ORPHANS, false);
    assert_true(flow_is_exhausted(fixture->flow, 0, &err));
}

static void the_status_tells_what_holds(void **state)
{
    struct fixture *fixture = *state;

    flow_hold(fixture->flow, FLOW_HOLD_ORPHANS, true);
    autofree char *held = flow_status(fixture->flow);
    assert_non_null(strstr(held, "; not polling: runs that outlived an earlier daemon"));
    /* While the ledger is broken, nobody looks for those runs: that is the reason then. */
    flow_hold(fixture->flow, FLOW_HOLD_LEDGER, true);
    autofree char *unwritten = flow_status(fixture->flow);
    assert_non_null(strstr(unwritten, "; not polling: the ledger can not be written"));
    flow_hold(fixture->flow, FLOW_HOLD_LEDGER, false);
    flow_hold(fixture->flow, FLOW_HOLD_ORPHANS, false);
    autofree char *free_again = flow_status(fixture->flow);
    assert_null(strstr(free_again, "not polling"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_queue_is_asked_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_held_flow_asks_for_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_release_asks_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_last_hold_counts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(queues_that_a_reload_adds_are_held_too, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_held_flow_is_alive_and_not_exhausted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_status_tells_what_holds, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
