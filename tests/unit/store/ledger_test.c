/* SPDX-License-Identifier: MIT */
/* The ledger as its header says it: what is told, when it counts, and what becomes of it on a bad disk. */
#include "../loop/waiting.h"
#include "place.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "base/clock.h"
#include "loop/worker.h"
#include "store/ledger.h"

#define QUEUE "https://a.queue.core.windows.net/q"
#define NOW   INT64_C(1795231417000)
#define DAY   INT64_C(86400000)

/* --- syncs, counted, and made to fail --- */

static atomic_uint syncs;
static atomic_bool syncs_fail;

static int count_sync(long call, int fd)
{
    if (syncs_fail) {
        errno = EIO;
        return -1;
    }
    syncs++;
    return (int)syscall(call, fd);
}

/* In the place of libc's, for SQLite. */
int fdatasync(int fd)
{
    return count_sync(SYS_fdatasync, fd);
}

int fsync(int fd)
{
    return count_sync(SYS_fsync, fd);
}

/* No file may be written beyond that. */
static void limit_files(rlim_t bytes)
{
    struct rlimit limit;

    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* --- the ledger under test --- */

struct fixture {
    struct place place;
    struct loop *loop;
    struct worker *worker;
    struct ledger *ledger;
    struct err err;
    bool inside; /* a call is under way */
    unsigned fired, wanted;
    char order[64]; /* a letter for each callback */
    /* what was read last */
    unsigned receipts, count;
    char stored_reason[64];
    char steps[512]; /* "hook=state hook=state" */
    /* events */
    unsigned broken, works, mended;
    int64_t delay_ms;
    char text[1024];
};

static void on_broken(void *arg, const struct err *err, int64_t delay_ms)
{
    struct fixture *fixture = arg;

    fixture->broken++;
    fixture->delay_ms = delay_ms;
    fixture->err = *err;
}

static void on_works(void *arg)
{
    struct fixture *fixture = arg;

    fixture->works++;
}

static void on_mended(void *arg, const char *text)
{
    struct fixture *fixture = arg;

    fixture->mended++;
    snprintf(fixture->text, sizeof(fixture->text), "%s", text);
}

static const struct ledger_events events = {on_broken, on_works, on_mended};

static bool start(struct fixture *fixture)
{
    fixture->loop = loop_new();
    fixture->worker = worker_new(fixture->loop);
    fixture->ledger = ledger_open(fixture->loop, fixture->worker, fixture->place.state_dir, &events,
                                  fixture, &fixture->err);
    return fixture->ledger != NULL;
}

static void stop(struct fixture *fixture)
{
    worker_free(take(fixture->worker));
    ledger_close(take(fixture->ledger));
    if (fixture->loop != NULL)
        loop_free(take(fixture->loop));
}

static int set_up(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));

    place_init(&fixture->place);
    assert_true(start(fixture));
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    syncs_fail = false;
    limit_files(RLIM_INFINITY);
    stop(fixture);
    int status = place_done(&fixture->place);
    free(fixture);
    return status;
}

/* Ends it and looks into the file. */
static void expect(struct fixture *fixture, const char *query, const char *wanted)
{
    stop(fixture);
    expect_sql(&fixture->place, query, wanted);
}

static void restart(struct fixture *fixture)
{
    stop(fixture);
    assert_true(start(fixture));
}

/* --- what is asked of it --- */

static struct ledger_entry *entry_of(struct fixture *fixture, const char *queue, const char *id,
                                     unsigned dequeue_count)
{
    return ledger_entry_new(fixture->ledger, &(struct ledger_receipt){
                                                 .queue_url = queue,
                                                 .message_id = id,
                                                 .event = "export.completed",
                                                 .inserted_ms = NOW,
                                                 .expires_ms = NOW + 7 * DAY,
                                                 .dequeue_count = dequeue_count,
                                             });
}

static void fired(struct fixture *fixture, char letter)
{
    assert_false(fixture->inside);
    fixture->order[fixture->fired++ % sizeof(fixture->order)] = letter;
}

static void on_read(void *arg, const struct ledger_message *message)
{
    struct fixture *fixture = arg;

    fired(fixture, 'r');
    fixture->receipts = message->receipts;
    fixture->count = message->count;
    snprintf(fixture->stored_reason, sizeof(fixture->stored_reason), "%s",
             message->stored_reason != NULL ? message->stored_reason : "");
    fixture->steps[0] = '\0';
    for (unsigned i = 0; i < message->count; i++) {
        size_t len = strlen(fixture->steps);
        snprintf(fixture->steps + len, sizeof(fixture->steps) - len, "%s%s=%s", i > 0 ? " " : "",
                 message->steps[i].hook, ledger_state_name(message->steps[i].state));
    }
}

static void on_written(void *arg)
{
    fired(arg, 'w');
}

static void on_other_written(void *arg)
{
    fired(arg, 'x');
}

static struct ledger_op *ask(struct fixture *fixture, struct ledger_entry *entry)
{
    fixture->inside = true;
    struct ledger_op *op = ledger_read(entry, on_read, fixture);
    fixture->inside = false;
    return op;
}

static struct ledger_op *record(struct fixture *fixture, struct ledger_entry *entry,
                                const char *hook, enum ledger_state state)
{
    fixture->inside = true;
    struct ledger_op *op =
        ledger_record(entry, &(struct ledger_step){.hook = hook, .state = state},
                      strcmp(hook, "x") == 0 ? on_other_written : on_written, fixture);
    fixture->inside = false;
    return op;
}

static bool have_fired(void *arg)
{
    const struct fixture *fixture = arg;

    return fixture->fired >= fixture->wanted;
}

/* Waits for so many callbacks more. */
static void wait_fired(struct fixture *fixture, unsigned more)
{
    fixture->wanted = fixture->fired + more;
    run_until(fixture->loop, have_fired, fixture);
    assert_int_equal(fixture->fired, fixture->wanted);
}

static bool is_broken(void *arg)
{
    const struct fixture *fixture = arg;

    return fixture->broken > 0;
}

static bool has_synced(void *arg)
{
    const struct fixture *fixture = arg;

    return syncs > fixture->wanted;
}

/* Receives a message and tells what is known of it. */
static struct ledger_entry *receive(struct fixture *fixture, const char *id, unsigned dequeue_count)
{
    struct ledger_entry *entry = entry_of(fixture, QUEUE, id, dequeue_count);

    ask(fixture, entry);
    wait_fired(fixture, 1);
    return entry;
}

static void expect_known(struct fixture *fixture, const char *id, const char *steps)
{
    ledger_entry_free(receive(fixture, id, 2));
    assert_string_equal(fixture->steps, steps);
}

static void given_step(struct fixture *fixture, const char *id, const char *hook)
{
    struct ledger_entry *entry = receive(fixture, id, 1);

    record(fixture, entry, hook, LEDGER_DONE);
    wait_fired(fixture, 1);
    ledger_entry_free(entry);
}

/* --- what is known --- */

static void receipts_count_by_message_and_queue(void **state)
{
    struct fixture *fixture = *state;

    for (unsigned time = 1; time <= 3; time++) {
        ledger_entry_free(receive(fixture, "id-1", time));
        assert_int_equal(fixture->receipts, time);
        assert_int_equal(fixture->count, 0);
    }
    ledger_entry_free(receive(fixture, "id-2", 7)); /* others have had it */
    assert_int_equal(fixture->receipts, 1);
    struct ledger_entry *entry = entry_of(fixture, "https://b/q", "id-1", 2);
    ask(fixture, entry);
    wait_fired(fixture, 1);
    assert_int_equal(fixture->receipts, 1);
    ledger_entry_free(entry);
    restart(fixture);
    ledger_entry_free(receive(fixture, "id-1", 4));
    assert_int_equal(fixture->receipts, 4);
}

static void a_receipt_while_it_is_in_hand_counts(void **state)
{
    struct fixture *fixture = *state;
    struct ledger_entry *entry = entry_of(fixture, QUEUE, "id-1", 1);

    ask(fixture, entry); /* and before that has been answered */
    ledger_received_again(entry);
    wait_fired(fixture, 1);
    ledger_received_again(entry);
    ledger_entry_free(entry);
    ledger_entry_free(receive(fixture, "id-1", 4));
    assert_int_equal(fixture->receipts, 4);
    expect(fixture, "SELECT receipts FROM message", "4");
}

static void the_first_receipt_waits_for_no_disk(void **state)
{
    struct fixture *fixture = *state;

    run_a_moment(fixture->loop);
    unsigned before = syncs;
    ledger_entry_free(receive(fixture, "id-1", 1));
    assert_int_equal(fixture->receipts, 1);
    assert_int_equal(fixture->count, 0);
    assert_int_equal(syncs, before);
    expect(fixture, "SELECT message_id, event, receipts FROM message", "id-1|export.completed|1");
}

static void what_was_recorded_is_known_also_while_it_is_in_hand(void **state)
{
    struct fixture *fixture = *state;
    struct ledger_entry *entry = receive(fixture, "id-1", 1);

    record(fixture, entry, "a", LEDGER_DONE);
    ask(fixture, entry);
    wait_fired(fixture, 2);
    assert_string_equal(fixture->steps, "a=done");
    assert_int_equal(fixture->receipts, 1);
    ledger_entry_free(entry);
}

static void steps_are_whole_after_a_restart(void **state)
{
    struct fixture *fixture = *state;
    char hook[] = "deploy", reason[] = "rejected", tail[] = "a tail\n", published[] = "{}";
    struct ledger_entry *entry = receive(fixture, "id-1", 1);

    ledger_record(entry,
                  &(struct ledger_step){.hook = hook,
                                        .state = LEDGER_REJECTED,
                                        .attempts = 1,
                                        .delays = 2,
                                        .interruptions = 3,
                                        .exit_status = 65,
                                        .started_ms = 4,
                                        .ended_ms = 5,
                                        .duration_ms = 6,
                                        .reason = reason,
                                        .tail = tail,
                                        .published = published},
                  on_written, fixture);
    memset(hook, 'x', 6); /* they were copied */
    memset(reason, 'x', 8);
    memset(tail, 'x', 6);
    memset(published, 'x', 2);
    wait_fired(fixture, 1);
    ledger_entry_free(entry);
    expect(fixture, "SELECT * FROM step", "1|deploy|rejected|1|2|3|65|4|5|6|rejected|a tail\n|{}");
}

static void a_deleted_message_is_forgotten(void **state)
{
    struct fixture *fixture = *state;

    given_step(fixture, "id-1", "a");
    struct ledger_entry *entry = receive(fixture, "id-1", 2);
    assert_string_equal(fixture->steps, "a=done");
    ledger_deleted(entry, "done");
    ledger_entry_free(entry);
    entry = receive(fixture, "id-1", 3);
    assert_string_equal(fixture->steps, "");
    assert_int_equal(fixture->receipts, 1);
    ledger_entry_free(entry);
}

static void a_message_that_comes_right_after_its_deletion_is_another(void **state)
{
    struct fixture *fixture = *state;
    struct ledger_entry *first = receive(fixture, "id-1", 1);
    struct ledger_entry *second = entry_of(fixture, QUEUE, "id-1", 1);

    /* all in one batch */
    record(fixture, first, "a", LEDGER_DONE);
    ledger_deleted(first, "done");
    record(fixture, second, "b", LEDGER_DONE);
    wait_fired(fixture, 2);
    ledger_entry_free(first);
    ledger_entry_free(second);
    expect_known(fixture, "id-1", "b=done");
}

static void many_deletions_mark_each_and_no_other(void **state)
{
    struct fixture *fixture = *state;
    struct ledger_entry *entries[40];
    char id[16];

    for (unsigned i = 0; i < 40; i++) {
        snprintf(id, sizeof(id), "id-%u", i);
        entries[i] = receive(fixture, id, 1);
    }
    /* in no order, with two outcomes, and some of them not */
    for (unsigned i = 0; i < 40; i++) {
        unsigned which = i * 7 % 40;
        if (which % 10 != 3)
            ledger_deleted(entries[which], which < 20 ? "done" : "unmatched");
    }
    for (unsigned i = 0; i < 40; i++)
        ledger_entry_free(entries[i]);
    stop(fixture);
    expect_sql(&fixture->place,
               "SELECT group_concat(message_id) FROM message WHERE deleted_ms IS NULL",
               "id-13,id-23,id-3,id-33");
    expect_sql(&fixture->place,
               "SELECT outcome, count(*) FROM message WHERE deleted_ms NOTNULL "
               "GROUP BY outcome",
               "done|18\nunmatched|18");
}

static void a_stored_poison_record_is_told(void **state)
{
    struct fixture *fixture = *state;
    struct ledger_entry *entry = receive(fixture, "id-1", 1);

    ledger_stored(entry, "out-of-attempts", NULL);
    ask(fixture, entry); /* while it is in hand, too */
    wait_fired(fixture, 1);
    assert_string_equal(fixture->stored_reason, "out-of-attempts");
    ledger_entry_free(entry);
    restart(fixture);
    ledger_entry_free(receive(fixture, "id-1", 2));
    assert_string_equal(fixture->stored_reason, "out-of-attempts");
    ledger_entry_free(receive(fixture, "id-2", 2));
    assert_string_equal(fixture->stored_reason, "");
}

static void what_is_not_deleted_is_counted(void **state)
{
    struct fixture *fixture = *state;
    int64_t started_ms = clock_wall_ms();
    unsigned count;

    struct ledger_entry *one = receive(fixture, "id-1", 1), *two = receive(fixture, "id-2", 1);
    ledger_deleted(one, "done");
    ledger_entry_free(one);
    ledger_entry_free(two);
    worker_free(take(fixture->worker));
    assert_true(ledger_count_undeleted(fixture->ledger, started_ms, &count));
    assert_int_equal(count, 1);
    assert_true(ledger_count_undeleted(fixture->ledger, started_ms + DAY, &count));
    assert_int_equal(count, 0);
}

/* --- callbacks --- */

static void callbacks_fire_in_the_order_asked(void **state)
{
    struct fixture *fixture = *state;
    struct ledger_entry *entry = entry_of(fixture, QUEUE, "id-1", 2);

    record(fixture, entry, "a", LEDGER_STARTED);
    record(fixture, entry, "x", LEDGER_STARTED);
    ask(fixture, entry);
    record(fixture, entry, "x", LEDGER_DONE);
    record(fixture, entry, "a", LEDGER_DONE);
    wait_fired(fixture, 5);
    assert_memory_equal(fixture->order, "wxrxw", 5);
    assert_string_equal(fixture->steps, "a=started x=started");
    ledger_entry_free(entry);
}

static void a_start_waits_for_two_syncs_at_most(void **state)
{
    struct fixture *fixture = *state;

    /* Of the new file, and of its name. */
    stop(fixture);
    remove_in(&fixture->place, "ledger.db");
    unsigned before = syncs;
    assert_true(start(fixture));
    assert_int_equal(syncs, before + 2);
    /* What is as it was left needs none, however little is in it. */
    restart(fixture);
    assert_int_equal(syncs, before + 2);
    given_step(fixture, "id-1", "a");
    stop(fixture);
    before = syncs;
    assert_true(start(fixture));
    assert_int_equal(syncs, before);
}

static void what_is_asked_together_is_synced_together(void **state)
{
    struct fixture *fixture = *state;
    struct ledger_entry *entries[30];
    char id[16];

    for (unsigned i = 0; i < 30; i++) {
        snprintf(id, sizeof(id), "id-%u", i);
        entries[i] = receive(fixture, id, 1);
    }
    /* The first one begins the log. */
    given_step(fixture, "id", "a");
    unsigned before = syncs;
    for (unsigned i = 0; i < 30; i++)
        record(fixture, entries[i], "a", LEDGER_DONE);
    wait_fired(fixture, 30);
    assert_int_equal(syncs, before + 1);
    /* Deletions wait for company, for nobody waits for them, but for no longer than a second. */
    int64_t began_ms = clock_mono_ms();
    for (unsigned i = 0; i < 30; i++)
        ledger_deleted(entries[i], "done");
    run_a_moment(fixture->loop);
    if (clock_mono_ms() - began_ms < 1000)
        assert_int_equal(syncs, before + 1);
    for (unsigned i = 0; i < 30; i++)
        ledger_entry_free(entries[i]);
    fixture->wanted = before + 1;
    run_until(fixture->loop, has_synced, fixture);
    assert_int_equal(syncs, before + 2);
}

static void no_callback_fires_before_its_sync(void **state)
{
    struct fixture *fixture = *state;
    struct ledger_entry *entry = receive(fixture, "id-1", 1);

    unsigned before = syncs;
    record(fixture, entry, "a", LEDGER_DONE);
    wait_fired(fixture, 1);
    assert_true(syncs > before);
    ledger_entry_free(entry);
}

static void a_cancelled_read_never_fires_but_counts(void **state)
{
    struct fixture *fixture = *state;
    struct ledger_entry *one = entry_of(fixture, QUEUE, "id-1", 1);
    struct ledger_entry *two = entry_of(fixture, QUEUE, "id-2", 2);

    ledger_cancel(NULL);
    ledger_cancel(ask(fixture, one));
    ledger_cancel(ask(fixture, two));
    ledger_entry_free(one);
    ledger_entry_free(two);
    run_a_moment(fixture->loop);
    assert_int_equal(fixture->fired, 0);
    ledger_entry_free(receive(fixture, "id-1", 2));
    assert_int_equal(fixture->receipts, 2);
    ledger_entry_free(receive(fixture, "id-2", 3));
    assert_int_equal(fixture->receipts, 2);
}

static void a_cancelled_record_never_fires_but_is_written(void **state)
{
    struct fixture *fixture = *state;
    struct ledger_entry *entry = receive(fixture, "id-1", 1);
    unsigned before = fixture->fired;

    ledger_cancel(record(fixture, entry, "a", LEDGER_DONE));
    ledger_entry_free(entry);
    run_a_moment(fixture->loop);
    assert_int_equal(fixture->fired, before);
    expect_known(fixture, "id-1", "a=done");
}

static void what_is_under_way_at_the_end_is_written_in_silence(void **state)
{
    struct fixture *fixture = *state;
    struct ledger_entry *entry = entry_of(fixture, QUEUE, "id-1", 1);
    struct ledger_entry *asked = entry_of(fixture, QUEUE, "id-2", 1);

    worker_free(take(fixture->worker));
    ask(fixture, asked);
    record(fixture, entry, "a", LEDGER_DONE);
    ledger_entry_free(entry);
    ledger_entry_free(asked);
    expect(fixture, "SELECT message_id, step.hook FROM message LEFT JOIN step ON message = id",
           "id-1|a\nid-2|");
    assert_int_equal(fixture->fired, 0);
    assert_int_equal(fixture->broken, 0);
    ledger_close(NULL);
    ledger_entry_free(NULL);
}

/* --- a bad end --- */

static void what_has_fired_outlives_a_kill(void **state)
{
    struct fixture *fixture = *state;

    stop(fixture);
    pid_t pid = fork();
    if (pid == 0) {
        if (!start(fixture))
            _exit(1);
        given_step(fixture, "id-1", "a");
        kill(getpid(), SIGKILL);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_true(is_there(&fixture->place, "ledger.db-wal"));
    assert_true(start(fixture));
    expect_known(fixture, "id-1", "a=done");
    assert_int_equal(fixture->mended, 0);
}

/* --- a bad disk --- */

static void when_a_sync_fails_all_waits_and_is_written_in_order(void **state)
{
    struct fixture *fixture = *state;
    struct ledger_entry *entry = receive(fixture, "id-1", 3);
    struct ledger_entry *other = receive(fixture, "id-2", 2);
    unsigned before = fixture->fired;

    syncs_fail = true;
    ledger_received_again(entry);
    record(fixture, entry, "a", LEDGER_DONE);
    run_until(fixture->loop, is_broken, fixture);
    assert_true(ledger_is_broken(fixture->ledger));
    assert_true(fixture->delay_ms > 0);
    assert_int_equal(fixture->err.code, ERR_HOST);
    expect_text(fixture->err.text, "Input/output error");
    record(fixture, other, "x", LEDGER_DONE);
    run_a_moment(fixture->loop);
    assert_int_equal(fixture->fired, before);
    syncs_fail = false;
    wait_fired(fixture, 2);
    assert_memory_equal(fixture->order + before, "wx", 2);
    assert_int_equal(fixture->works, 1);
    assert_false(ledger_is_broken(fixture->ledger));
    assert_int_equal(fixture->mended, 0);
    ledger_entry_free(entry);
    ledger_entry_free(other);
    expect(fixture, "SELECT message_id, step.hook, state FROM message JOIN step ON message = id",
           "id-1|a|done\nid-2|x|done");
}

static void a_receipt_that_a_bad_disk_sees_counts_once(void **state)
{
    struct fixture *fixture = *state;

    given_step(fixture, "id-0", "a");
    limit_files(0);
    struct ledger_entry *one = entry_of(fixture, QUEUE, "id-1", 1);
    struct ledger_entry *two = entry_of(fixture, QUEUE, "id-2", 2);
    struct ledger_entry *known = entry_of(fixture, QUEUE, "id-0", 2);
    ask(fixture, one);
    ask(fixture, two);
    ask(fixture, known);
    run_until(fixture->loop, is_broken, fixture);
    limit_files(RLIM_INFINITY);
    wait_fired(fixture, 2);
    expect_text(fixture->err.text, "File too large");
    assert_int_equal(fixture->receipts, 2);
    ledger_entry_free(known);
    ledger_deleted(one, "done");
    ledger_entry_free(one);
    ledger_entry_free(two);
    expect(fixture,
           "SELECT group_concat(message_id || ' ' || receipts || ' ' || "
           "coalesce(outcome, '-'), ', ') FROM message",
           "id-0 2 -, id-2 1 -, id-1 1 done");
}

static void a_full_disk_mends(void **state)
{
    struct fixture *fixture = *state;
    char tail[8192];

    stop(fixture);
    if (!mount_small(&fixture->place, 400))
        skip();
    assert_true(start(fixture));
    struct ledger_entry *entry = receive(fixture, "id-1", 2);
    unsigned before = fixture->fired;
    fill(&fixture->place);
    memset(tail, 't', sizeof(tail));
    tail[sizeof(tail) - 1] = '\0';
    ledger_record(entry, &(struct ledger_step){.hook = "a", .tail = tail, .state = LEDGER_DONE},
                  on_written, fixture);
    run_until(fixture->loop, is_broken, fixture);
    unsigned while_full = fixture->fired;
    remove_in(&fixture->place, "filler");
    wait_fired(fixture, 1);
    ledger_entry_free(entry);
    stop(fixture);
    autofree char *step =
        ask_sql(&fixture->place, "ledger.db", "SELECT hook, length(tail) FROM step");
    unmount_small(&fixture->place);
    assert_int_equal(while_full, before);
    assert_string_equal(step, "a|8191");
    assert_int_equal(fixture->works, 1);
}

static void its_log_does_not_fill_a_small_disk(void **state)
{
    struct fixture *fixture = *state;
    char id[32];

    stop(fixture);
    if (!mount_small(&fixture->place, 1024))
        skip();
    assert_true(start(fixture));
    for (unsigned i = 0; i < 400; i++) {
        snprintf(id, sizeof(id), "id-%u", i);
        given_step(fixture, id, "a");
    }
    stop(fixture);
    unmount_small(&fixture->place);
    assert_int_equal(fixture->broken, 0);
}

static void a_disk_that_is_bad_at_the_start_mends(void **state)
{
    struct fixture *fixture = *state;
    autofree char *command = xasprintf("rm -r '%s'", fixture->place.state_dir);

    stop(fixture);
    assert_int_equal(system(command), 0);
    int fd = open(fixture->place.state_dir, O_WRONLY | O_CREAT, 0600); /* no directory */
    close(fd);
    assert_true(start(fixture));
    assert_true(ledger_is_broken(fixture->ledger));
    assert_int_equal(fixture->broken, 0); /* told from the loop */
    struct ledger_entry *entry = entry_of(fixture, QUEUE, "id-1", 2);
    record(fixture, entry, "a", LEDGER_DONE);
    run_until(fixture->loop, is_broken, fixture);
    assert_int_equal(fixture->fired, 0);
    assert_int_equal(unlink(fixture->place.state_dir), 0);
    wait_fired(fixture, 1);
    assert_int_equal(fixture->works, 1);
    ledger_entry_free(entry);
}

static void a_disk_that_is_bad_at_the_end_is_told_and_ends(void **state)
{
    struct fixture *fixture = *state;
    struct ledger_entry *entry = receive(fixture, "id-1", 1);

    syncs_fail = true;
    record(fixture, entry, "a", LEDGER_DONE);
    run_until(fixture->loop, is_broken, fixture);
    ledger_entry_free(entry);
    unsigned before = fixture->broken, written = fixture->fired;
    stop(fixture);
    assert_int_equal(fixture->broken, before + 1);
    assert_int_equal(fixture->delay_ms, 0);
    assert_int_equal(fixture->fired, written);
}

/* --- what is not ours to use, and what people do to it --- */

static void a_second_one_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct err err;

    assert_null(ledger_open(fixture->loop, fixture->worker, fixture->place.state_dir, &events,
                            fixture, &err));
    assert_int_equal(err.code, ERR_CONFIG);
    expect_text(err.text, "in use");
}

static void a_newer_one_is_refused(void **state)
{
    struct fixture *fixture = *state;

    stop(fixture);
    run_sql(&fixture->place, "ledger.db", "PRAGMA user_version = 2");
    assert_false(start(fixture));
    assert_int_equal(fixture->err.code, ERR_CONFIG);
    expect_sql(&fixture->place, "PRAGMA user_version", "2");
}

static void a_damaged_one_is_told_at_once(void **state)
{
    struct fixture *fixture = *state;

    given_step(fixture, "id-1", "a");
    stop(fixture);
    spoil(&fixture->place, "ledger.db", 512);
    assert_true(start(fixture));
    run_a_moment(fixture->loop);
    assert_int_equal(fixture->mended, 1);
    expect_text(fixture->text, "is damaged");
    assert_int_equal(fixture->broken, 0);
    expect_known(fixture, "id-1", "");
}

static void damage_that_is_met_in_use_begins_a_new_one(void **state)
{
    struct fixture *fixture = *state;

    given_step(fixture, "id-1", "a");
    given_step(fixture, "id-2", "a");
    stop(fixture);
    run_sql(&fixture->place, "ledger.db", "UPDATE step SET state = 'dnoe' WHERE message = 2");
    assert_true(start(fixture));
    struct ledger_entry *in_hand = receive(fixture, "id-1", 2);
    assert_string_equal(fixture->steps, "a=done");
    ledger_entry_free(receive(fixture, "id-2", 2));
    assert_string_equal(fixture->steps, "");
    assert_int_equal(fixture->mended, 1);
    expect_text(fixture->text, "no such state");
    assert_int_equal(fixture->works, 1);
    /* Row 1 is another's now. */
    record(fixture, in_hand, "b", LEDGER_DONE);
    wait_fired(fixture, 1);
    ledger_entry_free(in_hand);
    expect_known(fixture, "id-1", "b=done");
    expect_known(fixture, "id-2", "");
    assert_int_equal(fixture->mended, 1);
}

static void what_somebody_deletes_in_use_is_kept(void **state)
{
    struct fixture *fixture = *state;
    autofree char *command = xasprintf("rm -r '%s'/*", fixture->place.state_dir);

    given_step(fixture, "id-1", "a");
    assert_int_equal(system(command), 0);
    given_step(fixture, "id-2", "b");
    assert_int_equal(fixture->mended, 1);
    expect_text(fixture->text, "deleted");
    assert_int_equal(fixture->broken, 0);
    restart(fixture);
    expect_known(fixture, "id-1", "a=done");
    expect_known(fixture, "id-2", "b=done");
}

static void a_step_that_is_refused_keeps_no_other_waiting(void **state)
{
    struct fixture *fixture = *state;

    stop(fixture);
    run_sql(&fixture->place, "ledger.db",
            "CREATE TRIGGER picky BEFORE INSERT ON step WHEN new.hook = 'x'"
            " BEGIN SELECT raise(ABORT, 'not this one'); END");
    assert_true(start(fixture));
    struct ledger_entry *one = receive(fixture, "id-1", 1), *two = receive(fixture, "id-2", 1);
    record(fixture, one, "a", LEDGER_DONE);
    record(fixture, one, "x", LEDGER_DONE);
    record(fixture, two, "b", LEDGER_DONE);
    wait_fired(fixture, 3);
    assert_int_equal(fixture->broken, 0);
    assert_int_equal(fixture->mended, 1);
    expect_text(fixture->text, "step x of message id-1 can not be put on record");
    expect_text(fixture->text, "not this one");
    ledger_entry_free(one);
    ledger_entry_free(two);
    expect(fixture, "SELECT group_concat(hook) FROM step", "a,b");
}

static void a_table_that_refuses_all_is_no_table_of_ours(void **state)
{
    struct fixture *fixture = *state;

    stop(fixture);
    run_sql(&fixture->place, "ledger.db",
            "CREATE TRIGGER picky BEFORE INSERT ON message"
            " BEGIN SELECT raise(ABORT, 'none'); END");
    assert_true(start(fixture));
    given_step(fixture, "id-1", "a");
    assert_int_equal(fixture->mended, 1);
    expect_text(fixture->text, "is damaged: ");
    expect_known(fixture, "id-1", "a=done");
}

/* --- history --- */

static void history_goes_when_it_is_old(void **state)
{
    struct fixture *fixture = *state;

    given_step(fixture, "id-1", "a");
    given_step(fixture, "id-2", "a");
    given_step(fixture, "id-3", "a");
    stop(fixture);
    run_sql(&fixture->place, "ledger.db",
            "UPDATE message SET deleted_ms = received_ms - 31 * 86400000,"
            " received_ms = received_ms - 31 * 86400000 WHERE id = 1;"
            "UPDATE message SET deleted_ms = received_ms - 29 * 86400000 WHERE id = 2");
    assert_true(start(fixture));
    ledger_keep_history(fixture->ledger, 30);
    fixture->wanted = syncs;
    run_until(fixture->loop, has_synced, fixture);
    expect(fixture, "SELECT group_concat(message_id) FROM message", "id-2,id-3");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(receipts_count_by_message_and_queue),
        TEST(a_receipt_while_it_is_in_hand_counts),
        TEST(the_first_receipt_waits_for_no_disk),
        TEST(what_was_recorded_is_known_also_while_it_is_in_hand),
        TEST(steps_are_whole_after_a_restart),
        TEST(a_deleted_message_is_forgotten),
        TEST(a_message_that_comes_right_after_its_deletion_is_another),
        TEST(many_deletions_mark_each_and_no_other),
        TEST(a_stored_poison_record_is_told),
        TEST(what_is_not_deleted_is_counted),
        TEST(callbacks_fire_in_the_order_asked),
        TEST(a_start_waits_for_two_syncs_at_most),
        TEST(what_is_asked_together_is_synced_together),
        TEST(no_callback_fires_before_its_sync),
        TEST(a_cancelled_read_never_fires_but_counts),
        TEST(a_cancelled_record_never_fires_but_is_written),
        TEST(what_is_under_way_at_the_end_is_written_in_silence),
        TEST(what_has_fired_outlives_a_kill),
        TEST(when_a_sync_fails_all_waits_and_is_written_in_order),
        TEST(a_receipt_that_a_bad_disk_sees_counts_once),
        TEST(a_full_disk_mends),
        TEST(its_log_does_not_fill_a_small_disk),
        TEST(a_disk_that_is_bad_at_the_start_mends),
        TEST(a_disk_that_is_bad_at_the_end_is_told_and_ends),
        TEST(a_second_one_is_refused),
        TEST(a_newer_one_is_refused),
        TEST(a_damaged_one_is_told_at_once),
        TEST(damage_that_is_met_in_use_begins_a_new_one),
        TEST(what_somebody_deletes_in_use_is_kept),
        TEST(a_step_that_is_refused_keeps_no_other_waiting),
        TEST(a_table_that_refuses_all_is_no_table_of_ours),
        TEST(history_goes_when_it_is_old),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
