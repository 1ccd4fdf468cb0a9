/* SPDX-License-Identifier: MIT */
/* The ledger as its header says it: receipts, steps, deletions, and callbacks from the loop only. */
#include "../loop/waiting.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/err.h"
#include "store/ledger.h"

#define QUEUE "https://a.queue.core.windows.net/q"

struct fixture {
    struct loop *loop;
    struct ledger *ledger;
    unsigned reads, writes;
    unsigned receipts, count;
    struct ledger_step steps[8]; /* texts are our own */
    bool inside;                 /* a ledger call is under way */
};

static void forget(struct fixture *fixture)
{
    for (unsigned i = 0; i < fixture->count; i++) {
        free((char *)(uintptr_t)fixture->steps[i].hook);
        free((char *)(uintptr_t)fixture->steps[i].reason);
        free((char *)(uintptr_t)fixture->steps[i].tail);
    }
    fixture->count = 0;
}

static int set_up(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));

    fixture->loop = loop_new();
    fixture->ledger = ledger_open(fixture->loop);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    ledger_close(fixture->ledger);
    loop_free(fixture->loop);
    forget(fixture);
    free(fixture);
    return 0;
}

static void on_read(void *arg, const struct ledger_message *message, const struct err *err)
{
    struct fixture *fixture = arg;

    assert_null(err);
    assert_false(fixture->inside);
    forget(fixture);
    fixture->reads++;
    fixture->receipts = message->receipts;
    fixture->count = message->count;
    for (unsigned i = 0; i < message->count; i++) {
        fixture->steps[i] = message->steps[i];
        fixture->steps[i].hook = xstrdup(message->steps[i].hook);
        fixture->steps[i].reason = xstrdup(message->steps[i].reason);
        fixture->steps[i].tail = xstrdup(message->steps[i].tail);
    }
    loop_stop(fixture->loop);
}

static void on_written(void *arg, const struct err *err)
{
    struct fixture *fixture = arg;

    assert_null(err);
    assert_false(fixture->inside);
    fixture->writes++;
    loop_stop(fixture->loop);
}

static struct ledger_op *ask(struct fixture *fixture, const char *queue_url, const char *id)
{
    fixture->inside = true;
    struct ledger_op *op = ledger_receive(fixture->ledger, queue_url, id, on_read, fixture);
    fixture->inside = false;
    return op;
}

static void receive(struct fixture *fixture, const char *id)
{
    unsigned before = fixture->reads;

    ask(fixture, QUEUE, id);
    run_until_stopped(fixture->loop);
    assert_int_equal(fixture->reads, before + 1);
}

static struct ledger_op *record(struct fixture *fixture, const char *id,
                                const struct ledger_step *step)
{
    fixture->inside = true;
    struct ledger_op *op = ledger_record(fixture->ledger, QUEUE, id, step, on_written, fixture);
    fixture->inside = false;
    return op;
}

static void write_step(struct fixture *fixture, const char *id, const struct ledger_step *step)
{
    unsigned before = fixture->writes;

    record(fixture, id, step);
    run_until_stopped(fixture->loop);
    assert_int_equal(fixture->writes, before + 1);
}

static void receipts_count_by_message_and_queue(void **state)
{
    struct fixture *fixture = *state;

    receive(fixture, "id-1");
    assert_int_equal(fixture->receipts, 1);
    assert_int_equal(fixture->count, 0);
    receive(fixture, "id-1");
    assert_int_equal(fixture->receipts, 2);
    receive(fixture, "id-2");
    assert_int_equal(fixture->receipts, 1);
    ask(fixture, "https://b.queue.core.windows.net/q", "id-1");
    run_until_stopped(fixture->loop);
    assert_int_equal(fixture->receipts, 1);
    assert_int_equal(ledger_count(fixture->ledger), 3);
}

static void a_record_is_kept_whole(void **state)
{
    struct fixture *fixture = *state;
    char reason[] = "rejected", tail[] = "the tail\n", hook[] = "deploy";

    receive(fixture, "id-1");
    record(fixture, "id-1",
           &(struct ledger_step){.hook = hook,
                                 .state = LEDGER_REJECTED,
                                 .attempts = 1,
                                 .delays = 2,
                                 .interruptions = 3,
                                 .exit_status = 65,
                                 .ended_ms = 1795231417000,
                                 .reason = reason,
                                 .tail = tail});
    memset(reason, 'x', 8); /* they were copied */
    memset(tail, 'x', 8);
    memset(hook, 'x', 6);
    run_until_stopped(fixture->loop);
    receive(fixture, "id-1");
    assert_int_equal(fixture->count, 1);
    assert_string_equal(fixture->steps[0].hook, "deploy");
    assert_int_equal(fixture->steps[0].state, LEDGER_REJECTED);
    assert_int_equal(fixture->steps[0].attempts, 1);
    assert_int_equal(fixture->steps[0].delays, 2);
    assert_int_equal(fixture->steps[0].interruptions, 3);
    assert_int_equal(fixture->steps[0].exit_status, 65);
    assert_int_equal(fixture->steps[0].ended_ms, 1795231417000);
    assert_string_equal(fixture->steps[0].reason, "rejected");
    assert_string_equal(fixture->steps[0].tail, "the tail\n");
}

static void a_record_replaces_what_was_known_of_its_step(void **state)
{
    struct fixture *fixture = *state;

    receive(fixture, "id-1");
    write_step(
        fixture, "id-1",
        &(struct ledger_step){.hook = "a", .state = LEDGER_FAILED, .attempts = 1, .tail = "old"});
    write_step(fixture, "id-1", &(struct ledger_step){.hook = "b", .state = LEDGER_LATER});
    write_step(fixture, "id-1", &(struct ledger_step){.hook = "a", .state = LEDGER_DONE});
    receive(fixture, "id-1");
    assert_int_equal(fixture->count, 2);
    for (unsigned i = 0; i < 2; i++) {
        bool first = strcmp(fixture->steps[i].hook, "a") == 0;
        assert_int_equal(fixture->steps[i].state, first ? LEDGER_DONE : LEDGER_LATER);
        assert_int_equal(fixture->steps[i].attempts, 0);
        assert_null(fixture->steps[i].tail);
    }
}

static void a_step_may_be_recorded_before_any_receipt(void **state)
{
    struct fixture *fixture = *state;

    write_step(fixture, "id-1", &(struct ledger_step){.hook = "a", .state = LEDGER_STARTED});
    receive(fixture, "id-1");
    assert_int_equal(fixture->receipts, 1);
    assert_int_equal(fixture->count, 1);
}

static void a_deletion_forgets(void **state)
{
    struct fixture *fixture = *state;

    receive(fixture, "id-1");
    receive(fixture, "id-2");
    write_step(fixture, "id-1", &(struct ledger_step){.hook = "a", .state = LEDGER_DONE});
    ledger_deleted(fixture->ledger, QUEUE, "id-1");
    ledger_deleted(fixture->ledger, QUEUE, "id-1");
    ledger_deleted(fixture->ledger, QUEUE, "never seen");
    assert_int_equal(ledger_count(fixture->ledger), 1);
    receive(fixture, "id-1");
    assert_int_equal(fixture->receipts, 1);
    assert_int_equal(fixture->count, 0);
    receive(fixture, "id-2");
    assert_int_equal(fixture->receipts, 2);
}

static void a_deletion_while_a_read_is_under_way_is_safe(void **state)
{
    struct fixture *fixture = *state;

    receive(fixture, "id-1");
    ask(fixture, QUEUE, "id-1");
    ledger_deleted(fixture->ledger, QUEUE, "id-1");
    run_until_stopped(fixture->loop);
    assert_int_equal(fixture->reads, 2);
    assert_int_equal(fixture->count, 0);
}

static void a_cancelled_read_never_fires_but_counts(void **state)
{
    struct fixture *fixture = *state;

    ledger_cancel(NULL);
    ledger_cancel(ask(fixture, QUEUE, "id-1"));
    run_a_moment(fixture->loop);
    assert_int_equal(fixture->reads, 0);
    receive(fixture, "id-1");
    assert_int_equal(fixture->receipts, 2);
}

static void a_cancelled_record_never_fires_but_is_written(void **state)
{
    struct fixture *fixture = *state;

    receive(fixture, "id-1");
    ledger_cancel(
        record(fixture, "id-1", &(struct ledger_step){.hook = "a", .state = LEDGER_DONE}));
    run_a_moment(fixture->loop);
    assert_int_equal(fixture->writes, 0);
    receive(fixture, "id-1");
    assert_int_equal(fixture->count, 1);
    assert_int_equal(fixture->steps[0].state, LEDGER_DONE);
}

static void closing_with_work_under_way_is_safe(void **state)
{
    struct fixture *fixture = *state;

    ask(fixture, QUEUE, "id-1");
    record(fixture, "id-1", &(struct ledger_step){.hook = "a", .state = LEDGER_DONE});
    ledger_close(take(fixture->ledger));
    run_a_moment(fixture->loop);
    assert_int_equal(fixture->reads + fixture->writes, 0);
    ledger_close(NULL);
}

static void many_messages_are_kept_apart(void **state)
{
    struct fixture *fixture = *state;
    char id[32];

    for (unsigned i = 0; i < 500; i++) {
        snprintf(id, sizeof(id), "id-%u", i);
        write_step(fixture, id,
                   &(struct ledger_step){.hook = "a", .state = LEDGER_FAILED, .attempts = i});
    }
    assert_int_equal(ledger_count(fixture->ledger), 500);
    for (unsigned i = 0; i < 500; i += 7) {
        snprintf(id, sizeof(id), "id-%u", i);
        receive(fixture, id);
        assert_int_equal(fixture->steps[0].attempts, i);
        ledger_deleted(fixture->ledger, QUEUE, id);
    }
    assert_int_equal(ledger_count(fixture->ledger), 500 - 72);
}

static void states_have_names(void **state)
{
    (void)state;
    assert_string_equal(ledger_state_name(LEDGER_STARTED), "started");
    assert_string_equal(ledger_state_name(LEDGER_DONE), "done");
    assert_string_equal(ledger_state_name(LEDGER_FAILED), "failed");
    assert_string_equal(ledger_state_name(LEDGER_LATER), "later");
    assert_string_equal(ledger_state_name(LEDGER_REJECTED), "rejected");
    assert_string_equal(ledger_state_name(LEDGER_INTERRUPTED), "interrupted");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(receipts_count_by_message_and_queue),
        TEST(a_record_is_kept_whole),
        TEST(a_record_replaces_what_was_known_of_its_step),
        TEST(a_step_may_be_recorded_before_any_receipt),
        TEST(a_deletion_forgets),
        TEST(a_deletion_while_a_read_is_under_way_is_safe),
        TEST(a_cancelled_read_never_fires_but_counts),
        TEST(a_cancelled_record_never_fires_but_is_written),
        TEST(closing_with_work_under_way_is_safe),
        TEST(many_messages_are_kept_apart),
        cmocka_unit_test(states_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
