/* SPDX-License-Identifier: MIT */
/* Hooks' settings and filters. */
#include "hooks.h"

#include <stdio.h>

static struct hook_settings *settings_of(struct written *written, const char *more)
{
    autofree char *text = xasprintf("{name: a, exec: {command: /bin/true}, %s}", more);

    written_good(written, text);
    return written->settings;
}

static void expect_match(const char *more, const char *text, const char *queue, bool wanted)
{
    struct written written;
    struct event *event = event_of(text);

    if (hook_matches(settings_of(&written, more), event, queue) != wanted)
        fail_msg("{%s} %s %s on %s", more, wanted ? "misses" : "takes", event->name, queue);
    event_discard(event);
    written_done(&written);
}

#define ONNX EXPORT_OF(PROJECT, "https://a.blob.core.windows.net/m/x.ONNX")
#define BARE EXPORT_OF(PROJECT, "")
#define TRAINING(status)                                                                           \
    "{\"version\":\"1.0\",\"type\":\"Training\",\"Content\":{\"projectId\":\"" PROJECT             \
    "\",\"iterationId\":\"" ITERATION "\",\"trainingStatus\":\"Training" status "\"}}"

static void events_are_matched(void **state)
{
    (void)state;
    expect_match("on: '*'", BARE, "q", true);
    expect_match("on: [export.completed]", BARE, "q", true);
    expect_match("on: [training.*, '*.failed']", BARE, "q", false);
    expect_match("on: [training.*, export.*]", BARE, "q", true);
    expect_match("on: '*.failed'", TRAINING("Failed"), "q", true);
    expect_match("on: '*.failed'", TRAINING("Completed"), "q", false);
    expect_match("on: '*'", "{\"version\":\"1.0\",\"type\":\"New\",\"Content\":{}}", "q", false);
    expect_match("on: unknown", "{\"version\":\"1.0\",\"type\":\"New\",\"Content\":{}}", "q", true);
}

static void queues_are_matched(void **state)
{
    (void)state;
    expect_match("on: '*', queues: [a, events]", BARE, "events", true);
    expect_match("on: '*', queues: a", BARE, "events", false);
    expect_match("on: '*', queues: event", BARE, "events", false);
    expect_match("on: '*', queues: Events", BARE, "events", false); /* may be another's name */
}

static void projects_are_matched_in_any_case(void **state)
{
    (void)state;
    expect_match("on: '*', projects: " PROJECT, BARE, "q", true);
    expect_match("on: '*', projects: 6C4A1D0E-2F53-4A6B-9C11-0D6F3B7A8E21", BARE, "q", true);
    expect_match("on: '*', projects: " ITERATION, BARE, "q", false);
    expect_match("on: '*', projects: [" ITERATION ", " PROJECT "]", BARE, "q", true);
}

static void platforms_are_matched_in_any_case(void **state)
{
    (void)state;
    expect_match("on: '*', platforms: onnx", ONNX, "q", true);
    expect_match("on: '*', platforms: [CoreML, ONNX]", ONNX, "q", true);
    expect_match("on: '*', platforms: CoreML", ONNX, "q", false);
}

static void what_an_event_lacks_does_not_pass_a_filter(void **state)
{
    (void)state;
    expect_match("on: '*', platforms: ONNX", BARE, "q", false);
    expect_match("on: '*', platforms: ONNX", TRAINING("Completed"), "q", false);
    expect_match("on: unknown, projects: " PROJECT,
                 "{\"version\":\"1.0\",\"type\":\"New\",\"Content\":{}}", "q", false);
}

static void every_filter_must_take_it(void **state)
{
    (void)state;
    expect_match("on: '*', queues: q, projects: " PROJECT ", platforms: ONNX", ONNX, "q", true);
    expect_match("on: '*', queues: q, projects: " PROJECT ", platforms: ONNX", ONNX, "x", false);
    expect_match("on: '*', queues: q, projects: " ITERATION ", platforms: ONNX", ONNX, "q", false);
    expect_match("on: 'training.*', queues: q, platforms: ONNX", ONNX, "q", false);
}

static void defaults_are_the_contracts(void **state)
{
    struct written written;
    const struct hook_settings *settings = settings_of(&written, "on: '*'");

    (void)state;
    assert_int_equal(settings->max_age_ms, 0);
    assert_int_equal(settings->serialize, HOOK_SERIALIZE_NONE);
    assert_int_equal(settings->on_failure, HOOK_FAILURE_STOP);
    assert_int_equal(settings->on_lease_lost, HOOK_LEASE_FINISH);
    assert_int_equal(settings->queues.count, 0);
    written_done(&written);
}

static void choices_are_read(void **state)
{
    struct written written;
    const struct hook_settings *settings =
        settings_of(&written, "on: '*', max_age: 1h, serialize: project, on_failure: continue, "
                              "on_lease_lost: stop");

    (void)state;
    assert_int_equal(settings->max_age_ms, 3600000);
    assert_int_equal(settings->serialize, HOOK_SERIALIZE_PROJECT);
    assert_int_equal(settings->on_failure, HOOK_FAILURE_CONTINUE);
    assert_int_equal(settings->on_lease_lost, HOOK_LEASE_STOP);
    written_done(&written);
}

static void expect_mistake(const char *text, const char *words)
{
    struct written written;

    written_read(&written, text);
    bool found = false;
    for (unsigned i = 0; i < written.mistakes.count; i++)
        found |= strstr(written.mistakes.lines[i], words) != NULL;
    if (!found)
        fail_msg("%s: \"%s\", not \"%s\"", text,
                 written.mistakes.count > 0 ? written.mistakes.lines[0] : "no mistake", words);
    written_done(&written);
}

static void mistakes_in_a_hook_are_told(void **state)
{
    (void)state;
    expect_mistake("{on: '*', exec: {command: x}}", "name");
    expect_mistake("{name: 'a b', on: '*', exec: {command: x}}", "letters, digits, _ and - only");
    expect_mistake("{name: '../a', on: '*', exec: {command: x}}", "letters, digits, _ and - only");
    expect_mistake("{name: a, exec: {command: x}}", "on");
    expect_mistake("{name: a, on: [], exec: {command: x}}", "on: name at least one event");
    expect_mistake("{name: a, on: export.complete, exec: {command: x}}",
                   "did you mean \"export.completed\"?");
    expect_mistake("{name: a, on: 'nothing.*', exec: {command: x}}", "matches no event; it may be");
    expect_mistake("{name: a, on: export, exec: {command: x}}", "did you mean \"export.*\"?");
    expect_mistake("{name: a, on: '*'}", "exec");
    expect_mistake("{name: a, on: '*', exec: {command: x}, file: {path: /x}}", "file");
    expect_mistake("{name: a, on: '*', exec: {command: x}, projects: MyProject}",
                   "is not a project id");
    expect_mistake("{name: a, on: '*', exec: {command: x}, max_age: 10ms}", "max_age");
    expect_mistake("{name: a, on: '*', exec: {command: x}, serialise: project}", "serialize");
}

static void mistakes_in_an_exec_are_told(void **state)
{
    (void)state;
    expect_mistake("{name: a, on: '*', exec: {}}", "command");
    expect_mistake("{name: a, on: '*', exec: {command: []}}", "name a program");
    expect_mistake("{name: a, on: '*', exec: {command: ''}}", "command");
    expect_mistake("{name: a, on: '*', exec: {command: ./x}}", "must be an absolute path");
    expect_mistake("{name: a, on: '*', exec: {command: [x, '{iteration}']}}",
                   "did you mean {iteration_id}");
    expect_mistake("{name: a, on: '*', exec: {command: [x, '{event']}}", "command: ");
    expect_mistake("{name: a, on: '*', exec: {command: x, directory: tmp}}",
                   "not an absolute path");
    expect_mistake("{name: a, on: '*', exec: {command: '/bin/deploy {event}'}}", "no shell");
    expect_mistake("{name: a, on: '*', exec: {command: x, env: {'A B': x}}}", "A B");
    expect_mistake("{name: a, on: '*', exec: {command: x, env: {CVN_QUEUE: x}}}", "CVN_QUEUE");
    expect_mistake("{name: a, on: '*', exec: {command: x, env: {A: '{nothing}'}}}", "{nothing}");
    expect_mistake("{name: a, on: '*', exec: {command: x, parallel: 0}}", "parallel");
    expect_mistake("{name: a, on: '*', exec: {command: x, umask: '0999'}}", "umask");
}

static void mistakes_in_a_file_are_told(void **state)
{
    (void)state;
    expect_mistake("{name: a, on: '*', file: {}}", "write either path, or directory and name");
    expect_mistake("{name: a, on: '*', file: {path: /a, directory: /b, name: x}}",
                   "write either path, or directory and name");
    expect_mistake("{name: a, on: '*', file: {directory: /b}}", "go together");
    expect_mistake("{name: a, on: '*', file: {path: /b, name: x}}", "go together");
    expect_mistake("{name: a, on: '*', file: {path: b}}", "not an absolute path");
    expect_mistake("{name: a, on: '*', file: {directory: /b, name: '../{event}'}}", "no /");
    expect_mistake("{name: a, on: '*', file: {directory: /b, name: '{model_uri}'}}", "model_uri");
    expect_mistake("{name: a, on: '*', file: {directory: /b, name: '{nam}'}}", "{nam}");
    expect_mistake("{name: a, on: '*', file: {path: /b, mode: '0040'}}", "mode");
    expect_mistake("{name: a, on: '*', file: {path: /b, mode: '0220'}}", "reads and writes");
    expect_mistake("{name: a, on: '*', file: {path: /b, mode: '0444'}}", "reads and writes");
}

static void mistakes_in_a_syslog_are_told(void **state)
{
    (void)state;
    expect_mistake("{name: a, on: '*', syslog: {server: 'http://127.0.0.1:1'}}", "server");
    expect_mistake("{name: a, on: '*', syslog: {server: 'unix://dev/log'}}", "server");
    expect_mistake("{name: a, on: '*', syslog: {facility: local9}}", "facility");
    expect_mistake("{name: a, on: '*', syslog: {ident: 'a b'}}", "ident");
    expect_mistake("{name: a, on: '*', syslog: {text: '{x}'}}", "{x}");
    expect_mistake("{name: a, on: '*', syslog: {server: 'unix:///"
                   "0123456789012345678901234567890123456789012345678901234567890123456789"
                   "0123456789012345678901234567890123456789'}}",
                   "107 characters");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_are_matched),
        cmocka_unit_test(queues_are_matched),
        cmocka_unit_test(projects_are_matched_in_any_case),
        cmocka_unit_test(platforms_are_matched_in_any_case),
        cmocka_unit_test(what_an_event_lacks_does_not_pass_a_filter),
        cmocka_unit_test(every_filter_must_take_it),
        cmocka_unit_test(defaults_are_the_contracts),
        cmocka_unit_test(choices_are_read),
        cmocka_unit_test(mistakes_in_a_hook_are_told),
        cmocka_unit_test(mistakes_in_an_exec_are_told),
        cmocka_unit_test(mistakes_in_a_file_are_told),
        cmocka_unit_test(mistakes_in_a_syslog_are_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
