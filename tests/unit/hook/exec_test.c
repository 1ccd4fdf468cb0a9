/* SPDX-License-Identifier: MIT */
/* The exec hook with real programs: what it makes of their ends, and what they get. */
#include "runs.h"

/* A script as the hook's command, which gets the test's directory, and more settings, as in ", timeout: 100ms". */
static void given_script(struct fixture *fixture, const char *script, const char *more)
{
    autofree char *kind = xasprintf("exec: {command: [/bin/sh, '@/script', '@']%s}", more);
    autofree char *path = path_of(fixture, "script");
    FILE *file = fopen(path, "w");

    fputs(script, file);
    fclose(file);
    given_hook(fixture, kind);
}

static void expect_exit(void **state, int status, enum hook_outcome wanted)
{
    struct fixture *fixture = *state;
    autofree char *script = xasprintf("exit %d", status);
    struct outcome outcome;

    given_script(fixture, script, "");
    run_hook(fixture, &outcome);
    assert_int_equal(outcome.result.outcome, wanted);
    assert_int_equal(outcome.result.exit_status, status);
    if (status != 0) {
        autofree char *text = xasprintf("exit status %d", status);
        assert_string_equal(outcome.text, text);
    }
    assert_null(outcome.tail);
    outcome_done(&outcome);
}

static void exit_0_is_done(void **state)
{
    expect_exit(state, 0, HOOK_DONE);
}

static void exit_75_is_later(void **state)
{
    expect_exit(state, 75, HOOK_LATER);
}

static void exit_65_rejects(void **state)
{
    expect_exit(state, 65, HOOK_REJECTED);
}

static void any_other_exit_has_failed(void **state)
{
    static const int statuses[] = {1, 2, 3, 64, 66, 74, 76, 126, 127, 128, 143, 255};

    for (unsigned i = 0; i < array_size(statuses); i++)
        expect_exit(state, statuses[i], HOOK_FAILED);
}

static void a_signal_has_failed(void **state)
{
    struct fixture *fixture = *state;
    struct outcome outcome;

    given_script(fixture, "kill -ABRT $$", "");
    run_hook(fixture, &outcome);
    assert_int_equal(outcome.result.outcome, HOOK_FAILED);
    expect_contains(outcome.text, "signal 6");
    outcome_done(&outcome);
}

static void a_timeout_has_failed(void **state)
{
    struct fixture *fixture = *state;

    given_script(fixture, "exec sleep 60", ", timeout: 100ms");
    expect_run(fixture, HOOK_FAILED, "timeout of 100ms");
}

static void a_timeout_answered_with_0_has_failed_too(void **state)
{
    struct fixture *fixture = *state;

    given_script(fixture, "trap 'exit 0' TERM; while :; do sleep 0.02; done", ", timeout: 200ms");
    expect_run(fixture, HOOK_FAILED, "timeout");
}

static bool is_ready(void *arg)
{
    struct fixture *fixture = arg;

    autofree char *text = read_named(fixture, "ready");
    return text != NULL;
}

static void stop_when_ready(struct fixture *fixture, const char *script, enum hook_outcome wanted)
{
    struct outcome outcome;

    given_script(fixture, script, ", grace: 100ms");
    start_run(fixture, &fixture->message, &outcome);
    run_until(fixture->loop, is_ready, fixture);
    hook_run_stop(outcome.run);
    if (outcome.fired == 0)
        run_until_stopped(fixture->loop);
    assert_int_equal(outcome.result.outcome, wanted);
    outcome_done(&outcome);
}

static void a_stop_interrupts(void **state)
{
    stop_when_ready(*state, "touch $1/ready; sleep 60", HOOK_INTERRUPTED);
}

static void a_stop_answered_with_0_is_done(void **state)
{
    stop_when_ready(*state, "trap 'exit 0' TERM; touch $1/ready; while :; do sleep 0.02; done",
                    HOOK_DONE);
}

static void a_stop_that_is_ignored_interrupts(void **state)
{
    stop_when_ready(*state, "trap '' TERM; touch $1/ready; while :; do sleep 1; done",
                    HOOK_INTERRUPTED);
}

static void a_missing_program_is_the_hosts_fault(void **state)
{
    struct fixture *fixture = *state;

    given_hook(fixture, "exec: {command: /nonexistent/deploy}");
    expect_run(fixture, HOOK_HOST_FAULT, "/nonexistent/deploy");
}

static void what_the_host_lacks_is_its_fault_and_mends(void **state)
{
    struct fixture *fixture = *state;

    given_hook(fixture, "exec: {command: [/bin/sh, -c, 'exit 0'], directory: '@/later'}");
    expect_run(fixture, HOOK_HOST_FAULT, "later");
    autofree char *path = path_of(fixture, "later");
    assert_int_equal(mkdir(path, 0755), 0);
    expect_run(fixture, HOOK_DONE, NULL);
}

static void a_value_that_is_missing_has_failed(void **state)
{
    struct fixture *fixture = *state;

    given_event(fixture,
                "{\"version\":\"1.0\",\"type\":\"Training\",\"Content\":{\"projectId\":\"" PROJECT
                "\",\"iterationId\":\"" ITERATION "\",\"trainingStatus\":\"TrainingCompleted\"}}");
    given_hook(fixture, "exec: {command: [/bin/true, '{platform}']}");
    expect_untried(fixture, HOOK_FAILED, "platform");
    given_hook(fixture, "exec: {command: /bin/true, env: {A: '{model_uri}'}}");
    expect_untried(fixture, HOOK_FAILED, "env: A: ");
    given_hook(fixture, "exec: {command: [/bin/true, '{platform:-none}']}");
    expect_run(fixture, HOOK_DONE, NULL);
}

/* --- what it gets --- */

static char *tail_of(struct fixture *fixture)
{
    struct outcome outcome;

    run_hook(fixture, &outcome);
    if (outcome.result.outcome != HOOK_DONE)
        fail_msg("%s", outcome.text);
    char *tail = take(outcome.tail);
    outcome_done(&outcome);
    return tail;
}

static void it_gets_the_message_in_its_environment(void **state)
{
    struct fixture *fixture = *state;

    setenv("CVN_TEST_OWN", "own", 1);
    setenv("CVN_TEST_OTHER", "other", 1);
    given_hook(fixture, "exec: {command: /usr/bin/env, env: {MINE: 'x {queue}'}, "
                        "pass_env: [CVN_TEST_OWN, CVN_TEST_ABSENT]}");
    autofree char *tail = tail_of(fixture);
    autofree char *lines = xasprintf("\n%s", tail);
    static const char *const wanted[] = {
        "\nCVN_EVENT=export.completed\n",
        "\nCVN_TYPE=Export\n",
        "\nCVN_STATUS=ExportCompleted\n",
        "\nCVN_PROJECT_ID=" PROJECT "\n",
        "\nCVN_ITERATION_ID=" ITERATION "\n",
        "\nCVN_PLATFORM=ONNX\n",
        "\nCVN_MESSAGE_ID=message-1\n",
        "\nCVN_QUEUE=events\n",
        "\nCVN_INSERTED=2026-11-21T03:23:37Z\n",
        "\nCVN_ATTEMPT=1\n",
        "\nCVN_HOOK=deploy\n",
        "\nMINE=x events\n",
        "\nCVN_TEST_OWN=own\n",
        "\nPATH=",
        "\nLANG=",
        "\nHOME=",
    };
    for (unsigned i = 0; i < array_size(wanted); i++)
        expect_contains(lines, wanted[i]);
    expect_lacks(lines, "CVN_TEST_OTHER");
    expect_lacks(lines, "CVN_TEST_ABSENT");
}

static void the_whole_uri_is_in_the_environment_only(void **state)
{
    struct fixture *fixture = *state;

    given_hook(fixture,
               "exec: {command: [/bin/sh, -c, "
               "'printf %s \"$CVN_MODEL_URI\" >@/env; printf %s \"$1\" >@/arg; cat >@/in', "
               "sh, '{model_uri}']}");
    expect_run(fixture, HOOK_DONE, NULL);
    autofree char *env = read_named(fixture, "env");
    autofree char *arg = read_named(fixture, "arg");
    autofree char *in = read_named(fixture, "in");
    assert_string_equal(env, SIGNED_URI);
    assert_string_equal(arg, "https://a.blob.core.windows.net/m/x.ONNX");
    expect_contains(in, SIGNED_URI);
}

static void it_reads_the_document(void **state)
{
    struct fixture *fixture = *state;
    struct buf document;

    given_hook(fixture, "exec: {command: [/bin/sh, -c, 'cat >@/in']}");
    expect_run(fixture, HOOK_DONE, NULL);
    autofree char *in = read_named(fixture, "in");
    buf_init(&document, BUF_ANY_SIZE);
    event_document(fixture->event, "message-1", fixture->message.queue_url, INSERTED_MS, &document);
    buf_putc(&document, '\n');
    assert_string_equal(in, document.data);
    buf_done(&document);
}

static void values_are_arguments_and_never_a_shells(void **state)
{
    struct fixture *fixture = *state;

    fixture->message.id = "$(touch /tmp/x); `id` \"'{queue}\n";
    given_hook(fixture, "exec: {command: [/bin/sh, -c, 'printf %s \"$1\" >@/arg', sh, "
                        "'{message_id}{{x']}");
    expect_run(fixture, HOOK_DONE, NULL);
    autofree char *arg = read_named(fixture, "arg");
    assert_string_equal(arg, "$(touch /tmp/x); `id` \"'{queue}\n{x");
}

/* --- its output --- */

static void output_goes_to_the_log_with_its_message(void **state)
{
    struct fixture *fixture = *state;

    given_script(fixture, "echo one; echo two >&2", "");
    expect_run(fixture, HOOK_DONE, NULL);
    assert_string_equal(logged.data, "one hook=deploy queue=events message_id=message-1\n"
                                     "two hook=deploy queue=events message_id=message-1\n");
}

static void the_tail_is_the_end(void **state)
{
    struct fixture *fixture = *state;
    struct outcome outcome;

    given_script(fixture, "seq 100000 103000; exit 1", "");
    run_hook(fixture, &outcome);
    assert_int_equal(outcome.result.outcome, HOOK_FAILED);
    size_t len = strlen(outcome.tail);
    assert_in_range(len, 4000, 4096);
    assert_string_equal(outcome.tail + len - 7, "103000\n");
    assert_int_equal(outcome.tail[6], '\n'); /* whole lines */
    outcome_done(&outcome);
}

static void a_long_last_line_fits_the_tail(void **state)
{
    struct fixture *fixture = *state;
    struct outcome outcome;

    given_script(fixture, "echo first; head -c 20000 /dev/zero | tr '\\0' x; exit 1", "");
    run_hook(fixture, &outcome);
    assert_in_range(strlen(outcome.tail), 1, 4096);
    outcome_done(&outcome);
}

static void cut_output_is_told(void **state)
{
    struct fixture *fixture = *state;

    given_script(fixture, "seq 1 1000", ", output_limit: 100");
    autofree char *tail = tail_of(fixture);
    expect_contains(tail, "output_limit");
    expect_lacks(tail, "\n1000\n");
}

static void a_signature_is_masked_in_log_and_tail(void **state)
{
    struct fixture *fixture = *state;

    given_script(fixture, "echo \"got $CVN_MODEL_URI\"; echo 'SIG=s3cret&x=1'", "");
    autofree char *tail = tail_of(fixture);
    expect_contains(tail, "got https://a.blob.core.windows.net/m/x.ONNX?sv=2021&sig=");
    expect_lacks(tail, "s3cret");
    expect_lacks(logged.data, "s3cret");
}

/* A line is passed on in parts of 4096 bytes; wherever the cut falls, nothing may show. */
static void a_signature_is_masked_across_the_parts_of_a_long_line(void **state)
{
    struct fixture *fixture = *state;

    for (int before = 4086; before <= 4097; before++) {
        autofree char *script = xasprintf(
            "head -c %d /dev/zero | tr '\\0' x; echo 'sig=s3cretS3CRETs3cret&se=1'", before);

        given_script(fixture, script, "");
        autofree char *tail = tail_of(fixture);
        expect_lacks(tail, "s3cret");
        expect_lacks(tail, "S3CRET");
        expect_lacks(logged.data, "s3cret");
        expect_lacks(logged.data, "S3CRET");
    }
}

static void many_at_once_each_get_their_own(void **state)
{
    struct fixture *fixture = *state;
    static struct outcome outcomes[40];
    static struct hook_message messages[40];
    static char ids[40][16];

    given_hook(fixture, "exec: {command: [/bin/sh, -c, 'echo $CVN_MESSAGE_ID'], parallel: 40}");
    assert_int_equal(hook_parallel(fixture->hook), 40);
    for (unsigned i = 0; i < array_size(outcomes); i++) {
        snprintf(ids[i], sizeof(ids[i]), "id-%u", i);
        messages[i] = fixture->message;
        messages[i].id = ids[i];
        start_run(fixture, &messages[i], &outcomes[i]);
    }
    run_until_stopped(fixture->loop);
    for (unsigned i = 0; i < array_size(outcomes); i++) {
        autofree char *line = xasprintf("%s\n", ids[i]);
        assert_int_equal(outcomes[i].result.outcome, HOOK_DONE);
        assert_string_equal(outcomes[i].tail, line);
        outcome_done(&outcomes[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HOOK_TEST(exit_0_is_done),
        HOOK_TEST(exit_75_is_later),
        HOOK_TEST(exit_65_rejects),
        HOOK_TEST(any_other_exit_has_failed),
        HOOK_TEST(a_signal_has_failed),
        HOOK_TEST(a_timeout_has_failed),
        HOOK_TEST(a_timeout_answered_with_0_has_failed_too),
        HOOK_TEST(a_stop_interrupts),
        HOOK_TEST(a_stop_answered_with_0_is_done),
        HOOK_TEST(a_stop_that_is_ignored_interrupts),
        HOOK_TEST(a_missing_program_is_the_hosts_fault),
        HOOK_TEST(what_the_host_lacks_is_its_fault_and_mends),
        HOOK_TEST(a_value_that_is_missing_has_failed),
        HOOK_TEST(it_gets_the_message_in_its_environment),
        HOOK_TEST(the_whole_uri_is_in_the_environment_only),
        HOOK_TEST(it_reads_the_document),
        HOOK_TEST(values_are_arguments_and_never_a_shells),
        HOOK_TEST(output_goes_to_the_log_with_its_message),
        HOOK_TEST(the_tail_is_the_end),
        HOOK_TEST(a_long_last_line_fits_the_tail),
        HOOK_TEST(cut_output_is_told),
        HOOK_TEST(a_signature_is_masked_in_log_and_tail),
        HOOK_TEST(a_signature_is_masked_across_the_parts_of_a_long_line),
        HOOK_TEST(many_at_once_each_get_their_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
