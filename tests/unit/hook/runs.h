/* SPDX-License-Identifier: MIT */
/* What the tests of hook kinds share: one hook with everything it needs, and a message to run it for. */
#ifndef TESTS_HOOK_RUNS_H
#define TESTS_HOOK_RUNS_H

#include "hooks.h"
#include "../loop/waiting.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/log.h"
#include "loop/child.h"
#include "loop/worker.h"

#define INSERTED_MS 1795231417000 /* 2026-11-21T03:23:37Z */

struct fixture {
    struct loop *loop;
    struct worker *worker;
    struct children *children;
    struct written written;
    struct hook *hook;
    struct event *event;
    struct hook_message message;
    unsigned open;
    char directory[64];
};

/* What came of one run. */
struct outcome {
    struct fixture *fixture;
    struct hook_run *run;
    unsigned fired;
    struct hook_result result;
    char *text;
    char *tail;
};

/* What the log got, for it is where a hook's output goes. */
static struct buf logged;

static void note_log(enum log_level level, const char *text, const struct log_field *fields)
{
    (void)level;
    buf_printf(&logged, "%s", text);
    for (; fields != NULL && fields->name != NULL; fields++)
        buf_printf(&logged, " %s=%s", fields->name, fields->value);
    buf_putc(&logged, '\n');
}

static inline int hook_set_up(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));

    signal(SIGPIPE, SIG_IGN);
    buf_init(&logged, BUF_ANY_SIZE);
    log_set_sink(note_log);
    strcpy(fixture->directory, "/tmp/cvnotifyd-test-XXXXXX");
    if (mkdtemp(fixture->directory) == NULL)
        return -1;
    fixture->loop = loop_new();
    fixture->worker = worker_new(fixture->loop);
    fixture->children = children_new(fixture->loop, fixture->worker);
    fixture->event = event_of(EXPORT_OF(PROJECT, SIGNED_URI));
    fixture->message = (struct hook_message){
        .event = fixture->event,
        .id = "message-1",
        .queue = "events",
        .queue_url = "https://a.queue.core.windows.net/q",
        .inserted_ms = INSERTED_MS,
        .dequeue_count = 1,
    };
    *state = fixture;
    return 0;
}

static inline void forget_hook(struct fixture *fixture)
{
    hook_free(take(fixture->hook));
    written_done(&fixture->written);
}

static inline int hook_tear_down(void **state)
{
    struct fixture *fixture = *state;
    autofree char *command = xasprintf("rm -rf '%s'", fixture->directory);

    worker_free(fixture->worker);
    forget_hook(fixture);
    children_free(fixture->children);
    loop_free(fixture->loop);
    event_discard(fixture->event);
    log_set_sink(NULL);
    buf_done(&logged);
    int status = system(command);
    free(fixture);
    return status;
}

/* The hook, by its kind and that kind's settings, as in "exec: {command: /bin/true}". In them each @
 * stands for the test's directory. */
static inline void given_hook(struct fixture *fixture, const char *kind)
{
    const struct hook_context context = {
        .loop = fixture->loop, .worker = fixture->worker, .children = fixture->children};
    struct buf text;

    forget_hook(fixture);
    buf_init(&text, BUF_ANY_SIZE);
    buf_puts(&text, "name: deploy\non: '*'\n");
    for (; *kind != '\0'; kind++) {
        if (*kind == '@')
            buf_puts(&text, fixture->directory);
        else
            buf_putc(&text, *kind);
    }
    written_good(&fixture->written, text.data);
    buf_done(&text);
    fixture->hook = hook_new(&context, fixture->written.settings);
}

static inline void given_event(struct fixture *fixture, const char *text)
{
    event_discard(fixture->event);
    fixture->event = event_of(text);
    fixture->message.event = fixture->event;
}

static void note_outcome(void *arg, const struct hook_result *result)
{
    struct outcome *outcome = arg;

    outcome->fired++;
    outcome->result = *result;
    outcome->text = xstrdup(result->text);
    outcome->tail = xstrdup(result->tail);
    assert_int_equal(result->text == NULL, result->outcome == HOOK_DONE);
    if (--outcome->fixture->open == 0)
        loop_stop(outcome->fixture->loop);
}

static inline void outcome_done(struct outcome *outcome)
{
    free(outcome->text);
    free(outcome->tail);
    *outcome = (struct outcome){0};
}

/* Begins a run for a message that lives until it has ended. */
static inline void start_run(struct fixture *fixture, const struct hook_message *message,
                             struct outcome *outcome)
{
    *outcome = (struct outcome){.fixture = fixture};
    fixture->open++;
    outcome->run = hook_run_start(fixture->hook, message, 1, note_outcome, outcome);
    assert_int_equal(outcome->fired, 0);
}

static inline void run_hook(struct fixture *fixture, struct outcome *outcome)
{
    start_run(fixture, &fixture->message, outcome);
    run_until_stopped(fixture->loop);
    assert_int_equal(outcome->fired, 1);
}

static inline void expect_outcome(struct fixture *fixture, enum hook_outcome wanted, bool untried,
                                  const char *text)
{
    struct outcome outcome;

    run_hook(fixture, &outcome);
    if (outcome.result.outcome != wanted)
        fail_msg("%s: %s", hook_outcome_name(outcome.result.outcome),
                 outcome.text != NULL ? outcome.text : "");
    assert_int_equal(outcome.result.untried, untried);
    if (text != NULL && strstr(outcome.text, text) == NULL)
        assert_string_equal(outcome.text, text);
    outcome_done(&outcome);
}

/* Runs the hook and checks its outcome and the beginning of its sentence (NULL: none). */
static inline void expect_run(struct fixture *fixture, enum hook_outcome wanted, const char *text)
{
    expect_outcome(fixture, wanted, false, text);
}

/* The same, for what never came to trying. */
static inline void expect_untried(struct fixture *fixture, enum hook_outcome wanted,
                                  const char *text)
{
    expect_outcome(fixture, wanted, true, text);
}

/* A file's bytes, NUL-terminated, in fresh memory; NULL when it is not there. */
static inline char *read_path(const char *path)
{
    FILE *file = fopen(path, "r");
    char part[4096];
    struct buf text;
    size_t got;

    if (file == NULL)
        return NULL;
    buf_init(&text, BUF_ANY_SIZE);
    while ((got = fread(part, 1, sizeof(part), file)) > 0)
        buf_append(&text, part, got);
    fclose(file);
    return buf_take(&text);
}

static inline char *path_of(const struct fixture *fixture, const char *name)
{
    return xasprintf("%s/%s", fixture->directory, name);
}

static inline char *read_named(const struct fixture *fixture, const char *name)
{
    autofree char *path = path_of(fixture, name);

    return read_path(path);
}

static inline void write_named(const struct fixture *fixture, const char *name, const char *text)
{
    autofree char *path = path_of(fixture, name);
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* The line of a file hook for the fixture's event under another id. */
static inline char *line_of(const struct fixture *fixture, const char *id)
{
    struct buf line;

    buf_init(&line, BUF_ANY_SIZE);
    event_document(fixture->event, id, fixture->message.queue_url, INSERTED_MS, &line);
    buf_putc(&line, '\n');
    return buf_take(&line);
}

static inline void expect_file(const struct fixture *fixture, const char *wanted)
{
    autofree char *text = read_named(fixture, "events.jsonl");

    assert_non_null(text);
    assert_string_equal(text, wanted);
}

static inline void expect_contains(const char *text, const char *part)
{
    assert_non_null(text);
    if (strstr(text, part) == NULL)
        assert_string_equal(text, part);
}

static inline void expect_lacks(const char *text, const char *part)
{
    if (text != NULL && strstr(text, part) != NULL)
        fail_msg("\"%s\" is in \"%s\"", part, text);
}

#define HOOK_TEST(name) cmocka_unit_test_setup_teardown(name, hook_set_up, hook_tear_down)

#endif
