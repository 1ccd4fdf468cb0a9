/* SPDX-License-Identifier: MIT */
/* Identities from their configuration to a signed request, with the real loop, worker and files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "config/mistakes.h"
#include "config/node.h"
#include "identity/identity.h"
#include "loop/loop.h"
#include "loop/timer.h"
#include "loop/worker.h"
#include "net/http.h"

#define SAS "sv=2021-12-02&sp=rup&se=2099-01-01&sig=a%3D"

struct fixture {
    struct loop *loop;
    struct worker *worker;
    struct node *node;
    struct mistakes mistakes;
    struct identity_settings *settings;
    struct identity *identity;
    char *directory;
    unsigned answers; /* waits that fired */
    unsigned awaited; /* stops the loop when answers gets there */
    struct err last;  /* ERR_NONE after a good answer */
};

static int set_up(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));

    fixture->loop = loop_new();
    fixture->worker = worker_new(fixture->loop);
    fixture->directory = xstrdup("/tmp/identity_test.XXXXXX");
    assert_non_null(mkdtemp(fixture->directory));
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    autofree char *path = xasprintf("%s/secret", fixture->directory);

    clock_freeze(-1, -1);
    unsetenv("CREDENTIALS_DIRECTORY");
    unlink(path);
    rmdir(fixture->directory);
    identity_free(fixture->identity);
    worker_free(fixture->worker);
    config_free(&identity_table, fixture->settings);
    node_free(fixture->node);
    mistakes_done(&fixture->mistakes);
    loop_free(fixture->loop);
    free(fixture->directory);
    free(fixture);
    return 0;
}

static const char *no_env(const char *name)
{
    (void)name;
    return NULL;
}

/* Reads one identity's settings; the mistakes stay in the fixture. */
static void configure(struct fixture *fixture, const char *yaml)
{
    fixture->node = node_parse("test.yaml", yaml, strlen(yaml), &fixture->mistakes);
    assert_non_null(fixture->node);
    fixture->settings = config_read(&identity_table, fixture->node, no_env, &fixture->mistakes);
}

static void given(struct fixture *fixture, const char *yaml)
{
    const struct identity_context context = {.loop = fixture->loop, .worker = fixture->worker};

    configure(fixture, yaml);
    if (fixture->mistakes.count > 0)
        fail_msg("%s", fixture->mistakes.lines[0]);
    fixture->identity = identity_new(&context, fixture->settings, "build");
}

/* The path of the secret's file, now with that text. */
static char *write_secret(struct fixture *fixture, const char *text, mode_t mode)
{
    char *path = xasprintf("%s/secret", fixture->directory);
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(path, mode), 0);
    return path;
}

static void given_file(struct fixture *fixture, const char *text)
{
    autofree char *path = write_secret(fixture, text, 0600);
    autofree char *yaml = xasprintf("{kind: sas, allow_readable: true, sas_file: %s}", path);

    given(fixture, yaml);
}

static void on_ready(void *arg, const struct err *err)
{
    struct fixture *fixture = arg;

    fixture->last = err != NULL ? *err : (struct err){.code = ERR_NONE};
    if (++fixture->answers == fixture->awaited)
        loop_stop(fixture->loop);
}

static void wait_for(struct fixture *fixture, unsigned answers)
{
    fixture->answers = 0;
    fixture->awaited = answers;
    loop_run(fixture->loop);
    assert_int_equal(fixture->answers, answers);
}

static void become_ready(struct fixture *fixture)
{
    fixture->answers = 0;
    identity_wait_start(fixture->identity, on_ready, fixture);
    assert_int_equal(fixture->answers, 0); /* never from inside */
    wait_for(fixture, 1);
    if (fixture->last.code != ERR_NONE)
        fail_msg("%s", fixture->last.text);
    assert_true(identity_is_ready(fixture->identity));
}

/* The URL and the Authorization that a request ends up with, parted by a blank. */
static void expect_signed(struct fixture *fixture, const char *expected)
{
    struct http_request request;
    struct err err;

    http_request_init(&request, HTTP_GET);
    buf_puts(&request.url, "http://127.0.0.1/a/q");
    assert_true(identity_sign(fixture->identity, &request, &err));
    const char *authorization = http_request_find_header(&request, "Authorization");
    autofree char *seen =
        xasprintf("%s %s", request.url.data, authorization != NULL ? authorization : "-");
    if (strncmp(seen, expected, strlen(expected)) != 0)
        assert_string_equal(seen, expected);
    http_request_done(&request);
}

/* What a refusal is to be explained by. */
static void expect_proof(const struct fixture *fixture, enum identity_proof proof)
{
    assert_int_equal(identity_proof(fixture->identity), proof);
}

static void a_sas_signs_the_url(void **state)
{
    given(*state, "{kind: sas, sas: '?" SAS "'}");
    become_ready(*state);
    expect_signed(*state, "http://127.0.0.1/a/q?" SAS " -");
    expect_proof(*state, IDENTITY_PROOF_SAS);
}

static void a_key_signs_a_header(void **state)
{
    given(*state, "{name: x, kind: shared_key, account: contoso, key: a2V5}");
    become_ready(*state);
    expect_signed(*state, "http://127.0.0.1/a/q SharedKey contoso:");
    expect_proof(*state, IDENTITY_PROOF_KEY);
}

static void a_connection_string_does_either(void **state)
{
    struct fixture *fixture = *state;
    char *url;
    bool unchecked;
    struct err err;

    given(fixture, "{kind: connection_string, connection_string: UseDevelopmentStorage=true}");
    become_ready(fixture);
    expect_signed(fixture, "http://127.0.0.1/a/q SharedKey devstoreaccount1:");
    expect_proof(fixture, IDENTITY_PROOF_KEY);
    assert_true(identity_queue_endpoint(fixture->settings, &url, &unchecked, &err));
    assert_string_equal(url, "http://127.0.0.1:10001/devstoreaccount1");
    free(url);
}

static void a_connection_string_with_a_sas_signs_the_url(void **state)
{
    given(*state, "{kind: connection_string, connection_string: "
                  "'QueueEndpoint=https://h/;SharedAccessSignature=" SAS "'}");
    become_ready(*state);
    expect_signed(*state, "http://127.0.0.1/a/q?" SAS " -");
    expect_proof(*state, IDENTITY_PROOF_SAS);
}

static void only_some_kinds_know_their_endpoint(void **state)
{
    struct fixture *fixture = *state;
    struct err err;
    char *url;
    bool unchecked;

    given(fixture, "{kind: sas, sas: '" SAS "'}");
    assert_false(identity_queue_endpoint(fixture->settings, &url, &unchecked, &err));
    assert_int_equal(err.code, ERR_CONFIG);
}

static void many_waits_share_one_acquisition(void **state)
{
    struct fixture *fixture = *state;

    given_file(fixture, SAS);
    for (unsigned i = 0; i < 5; i++)
        identity_wait_start(fixture->identity, on_ready, fixture);
    wait_for(fixture, 5);
    assert_int_equal(fixture->last.code, ERR_NONE);
}

static void a_cancelled_wait_never_fires(void **state)
{
    struct fixture *fixture = *state;

    given(fixture, "{kind: sas, sas: '" SAS "'}");
    struct identity_wait *wait = identity_wait_start(fixture->identity, on_ready, fixture);
    identity_wait_start(fixture->identity, on_ready, fixture);
    identity_wait_cancel(wait);
    identity_wait_cancel(NULL);
    wait_for(fixture, 1);
    become_ready(fixture);
}

static void a_wait_may_be_open_when_its_identity_ends(void **state)
{
    struct fixture *fixture = *state;

    given_file(fixture, SAS);
    identity_wait_start(fixture->identity, on_ready, fixture);
}

struct nested {
    struct fixture *fixture;
    struct identity_wait *other; /* to be cancelled, or NULL */
};

static void cancel_the_other_and_wait_again(void *arg, const struct err *err)
{
    struct nested *nested = arg;

    assert_null(err);
    identity_wait_cancel(nested->other);
    identity_wait_start(nested->fixture->identity, on_ready, nested->fixture);
}

static void a_callback_may_cancel_and_start_waits(void **state)
{
    struct fixture *fixture = *state;
    struct nested nested = {.fixture = fixture};

    given(fixture, "{kind: sas, sas: '" SAS "'}");
    identity_wait_start(fixture->identity, cancel_the_other_and_wait_again, &nested);
    nested.other = identity_wait_start(fixture->identity, on_ready, fixture);
    wait_for(fixture, 1);
}

static void refuse_the_credential(void *arg, const struct err *err)
{
    struct fixture *fixture = arg;
    struct err refusal;

    assert_null(err);
    err_set(&refusal, ERR_AUTH, "refused");
    (void)identity_refused(fixture->identity, 0, &refusal);
}

static void a_wait_is_never_told_of_a_stale_credential(void **state)
{
    struct fixture *fixture = *state;

    given_file(fixture, SAS);
    become_ready(fixture);
    identity_wait_start(fixture->identity, refuse_the_credential, fixture);
    identity_wait_start(fixture->identity, on_ready, fixture);
    wait_for(fixture, 1);
    assert_true(identity_is_ready(fixture->identity)); /* read anew in between */
}

static void a_refused_file_is_read_again(void **state)
{
    struct fixture *fixture = *state;
    struct err err;

    given_file(fixture, SAS "\n");
    become_ready(fixture);
    free(write_secret(fixture, "sv=2021-12-02&sp=rup&se=2099-01-01&sig=new", 0600));
    expect_signed(fixture, "http://127.0.0.1/a/q?" SAS " -");
    err_set(&err, ERR_AUTH, "refused");
    (void)identity_refused(fixture->identity, 0, &err);
    assert_string_equal(err.text, "refused");
    assert_false(identity_is_ready(fixture->identity));
    become_ready(fixture);
    expect_signed(fixture, "http://127.0.0.1/a/q?sv=2021-12-02&sp=rup&se=2099-01-01&sig=new -");
}

static void another_secret_is_another_version(void **state)
{
    struct fixture *fixture = *state;

    given_file(fixture, SAS);
    assert_false(identity_lacks(fixture->identity, 'u')); /* nobody knows yet */
    become_ready(fixture);
    unsigned first = identity_version(fixture->identity);
    assert_false(identity_lacks(fixture->identity, 'u'));
    identity_reload(fixture->identity);
    become_ready(fixture);
    assert_int_equal(identity_version(fixture->identity), first); /* the same as before */
    free(write_secret(fixture, "sv=2021-12-02&sp=rp&se=2099-01-01&sig=new", 0600));
    identity_reload(fixture->identity);
    become_ready(fixture);
    assert_int_not_equal(identity_version(fixture->identity), first);
    assert_true(identity_lacks(fixture->identity, 'u'));
    assert_false(identity_lacks(fixture->identity, 'p'));
}

static void a_look_for_a_better_secret_does_no_harm(void **state)
{
    struct fixture *fixture = *state;
    char *path;

    given_file(fixture, SAS);
    become_ready(fixture);
    path = write_secret(fixture, "sv=2021-12-02&sp=rup&se=2099-01-01&sig=new", 0600);
    identity_look_again(fixture->identity);
    assert_false(identity_is_ready(fixture->identity));
    become_ready(fixture);
    expect_signed(fixture, "http://127.0.0.1/a/q?sv=2021-12-02&sp=rup&se=2099-01-01&sig=new -");
    assert_int_equal(unlink(path), 0);
    free(path);
    identity_look_again(fixture->identity);
    become_ready(fixture);
    expect_signed(fixture, "http://127.0.0.1/a/q?sv=2021-12-02&sp=rup&se=2099-01-01&sig=new -");
}

static void a_connection_strings_sas_says_what_it_lacks(void **state)
{
    struct fixture *fixture = *state;

    given(fixture, "{kind: connection_string, connection_string: "
                   "'QueueEndpoint=http://127.0.0.1/a;SharedAccessSignature=sv=1&sp=rp&sig=x'}");
    become_ready(fixture);
    assert_true(identity_lacks(fixture->identity, 'u'));
    assert_false(identity_lacks(fixture->identity, 'p'));
}

static void a_key_lacks_nothing(void **state)
{
    struct fixture *fixture = *state;

    given(fixture, "{kind: connection_string, connection_string: UseDevelopmentStorage=true}");
    become_ready(fixture);
    assert_false(identity_lacks(fixture->identity, 'u'));
}

static void a_refused_text_stays_what_it_is(void **state)
{
    struct fixture *fixture = *state;
    struct err err;

    given(fixture, "{kind: sas, sas: 'sv=1&sp=rup&se=2020-01-01&sig=x'}");
    become_ready(fixture);
    err_set(&err, ERR_AUTH, "refused");
    (void)identity_refused(fixture->identity, 0, &err);
    assert_string_equal(err.text,
                        "refused; the SAS expired at 2020-01-01T00:00:00Z, make a new one "
                        "with permissions rup");
    assert_true(identity_is_ready(fixture->identity));
}

static void a_credential_says_how_it_changes(void **state)
{
    struct fixture *fixture = *state;
    struct err err;

    free(write_secret(fixture, SAS, 0444)); /* which is fine for a credential */
    setenv("CREDENTIALS_DIRECTORY", fixture->directory, 1);
    given(fixture, "{kind: sas, sas_credential: secret}");
    become_ready(fixture);
    err_set(&err, ERR_AUTH, "refused");
    (void)identity_refused(fixture->identity, 0, &err);
    assert_non_null(strstr(err.text, "only at a start"));
    assert_true(identity_is_ready(fixture->identity));
}

static void expect_failed_wait(struct fixture *fixture)
{
    identity_wait_start(fixture->identity, on_ready, fixture);
    wait_for(fixture, 1);
    assert_int_equal(fixture->last.code, ERR_AUTH);
    assert_false(identity_is_ready(fixture->identity));
}

static void a_missing_file_fails_the_wait_and_heals(void **state)
{
    struct fixture *fixture = *state;

    given_file(fixture, SAS);
    autofree char *path = xasprintf("%s/secret", fixture->directory);
    unlink(path);
    expect_failed_wait(fixture);
    assert_non_null(strstr(fixture->last.text, path));
    free(write_secret(fixture, "not a SAS", 0600));
    expect_failed_wait(fixture);
    free(write_secret(fixture, SAS, 0600));
    become_ready(fixture);
}

static void a_credential_needs_its_directory(void **state)
{
    struct fixture *fixture = *state;

    given(fixture, "{kind: sas, sas_credential: secret}");
    expect_failed_wait(fixture);
    assert_non_null(strstr(fixture->last.text, "$CREDENTIALS_DIRECTORY"));
}

/* Nothing of the secret in use is lost when its file is away at the time of a warning. */
static void a_file_is_looked_at_before_a_warning(void **state)
{
    struct fixture *fixture = *state;
    const int64_t expiry_ms = 4070908800000; /* 2099-01-01 */

    clock_freeze(-1, -1);
    given_file(fixture, SAS);
    become_ready(fixture);
    clock_freeze(clock_mono_ms(), expiry_ms - 1000);
    assert_false(identity_is_ready(fixture->identity));
    autofree char *path = xasprintf("%s/secret", fixture->directory);
    unlink(path);
    become_ready(fixture);
    expect_signed(fixture, "http://127.0.0.1/a/q?" SAS " -");
    assert_true(identity_is_ready(fixture->identity));
}

#define STRING  "QueueEndpoint=https://h/;"
#define EXPIRED "sv=1&sp=rup&se=2020-01-01&sig=x"

static void a_connection_strings_bad_successor_is_not_taken(void **state)
{
    static const char *const bad[] = {
        "nonsense",
        STRING "SharedAccessSignature=sv=1&sp=rup",
        STRING "AccountName=contoso;AccountKey=a?b",
    };
    struct fixture *fixture = *state;
    struct err err;

    autofree char *path = write_secret(fixture, STRING "SharedAccessSignature=" EXPIRED, 0600);
    autofree char *yaml = xasprintf(
        "{kind: connection_string, allow_readable: true, connection_string_file: %s}", path);
    given(fixture, yaml);
    become_ready(fixture);
    err_set(&err, ERR_AUTH, "refused");
    (void)identity_refused(fixture->identity, 0, &err);
    assert_non_null(strstr(err.text, "the SAS expired at 2020-01-01T00:00:00Z"));
    for (size_t i = 0; i < array_size(bad); i++) {
        free(write_secret(fixture, bad[i], 0600));
        expect_failed_wait(fixture);
        expect_signed(fixture, "http://127.0.0.1/a/q?" EXPIRED " -");
    }
    free(write_secret(fixture, STRING "AccountName=contoso;AccountKey=a2V5", 0600));
    become_ready(fixture);
    expect_signed(fixture, "http://127.0.0.1/a/q SharedKey contoso:");
    err_set(&err, ERR_AUTH, "refused");
    (void)identity_refused(fixture->identity, 0, &err);
    assert_string_equal(err.text, "refused");
}

static void stop(void *arg)
{
    loop_stop(arg);
}

static void an_identity_may_end_while_its_file_is_read(void **state)
{
    struct fixture *fixture = *state;

    given_file(fixture, SAS);
    identity_wait_start(fixture->identity, on_ready, fixture);
    /* Behind the timer that begins the reading, before its end is looked at. */
    struct timer behind;
    timer_init(&behind, fixture->loop, stop, fixture->loop);
    timer_set(&behind, 0);
    loop_run(fixture->loop);
    timer_done(&behind);
    identity_free(take(fixture->identity));
    worker_free(take(fixture->worker));
    assert_int_equal(fixture->answers, 0);
}

static void expect_mistake(struct fixture *fixture, const char *yaml, const char *line)
{
    configure(fixture, yaml);
    if (fixture->mistakes.count == 0)
        identity_check(fixture->settings, "p", &fixture->mistakes);
    if (line == NULL) {
        if (fixture->mistakes.count > 0)
            fail_msg("%s", fixture->mistakes.lines[0]);
        return;
    }
    assert_int_equal(fixture->mistakes.count, 1);
    /* Not the system's words, nor base's. */
    if (strncmp(fixture->mistakes.lines[0], line, strlen(line)) != 0)
        assert_string_equal(fixture->mistakes.lines[0], line);
}

static void check_finds_a_broken_sas(void **state)
{
    expect_mistake(*state, "{kind: sas, sas: 'sv=1&sp=p&se=2027-01-01'}",
                   "test.yaml:1:18: sas: not a whole SAS: sig is missing");
}

static void check_finds_a_missing_right(void **state)
{
    expect_mistake(*state, "kind: sas\nsas: sv=1&sp=ru&se=2027-01-01&sig=x",
                   "test.yaml:2:6: sas: the SAS lacks the permission p (get and delete messages): "
                   "it has sp=ru");
}

static void check_lets_an_expired_sas_pass(void **state)
{
    expect_mistake(*state, "{kind: sas, sas: 'sv=1&sp=p&se=2020-01-01&sig=x'}", NULL);
}

static void check_names_the_file(void **state)
{
    expect_mistake(*state, "{kind: sas, sas_file: /nonexistent/sas}", "test.yaml:1:23: sas_file: ");
}

static void check_passes_over_a_credential_it_can_not_see(void **state)
{
    expect_mistake(*state, "{kind: sas, sas_credential: sas}", NULL);
}

static void check_finds_a_bad_credential_name(void **state)
{
    expect_mistake(
        *state, "{kind: sas, sas_credential: ../sas}",
        "test.yaml:1:29: sas_credential: the name of a systemd credential is due here; a "
        "secret itself goes into `sas`");
}

static void check_finds_a_bad_key(void **state)
{
    expect_mistake(*state, "{kind: shared_key, account: contoso, key: 'a?key'}",
                   "test.yaml:1:43: key: the account key is not base64");
}

static void check_finds_a_bad_account(void **state)
{
    expect_mistake(*state, "{kind: shared_key, account: Con-toso, key: a2V5}",
                   "test.yaml:1:29: \"Con-toso\" is no storage account's name: 3 to 24 small "
                   "letters and digits");
}

static void check_finds_a_bad_connection_string(void **state)
{
    expect_mistake(*state, "{kind: connection_string, connection_string: AccountName=x}",
                   "test.yaml:1:46: connection_string: the connection string lacks AccountKey (or "
                   "SharedAccessSignature)");
}

static void check_looks_into_a_connection_strings_sas(void **state)
{
    expect_mistake(*state,
                   "{kind: connection_string, connection_string: "
                   "'QueueEndpoint=https://h;SharedAccessSignature=sv=1&sp=a&se=2027-01-01&sig=x'}",
                   "test.yaml:1:46: connection_string: the SAS lacks the permission p (get and "
                   "delete messages): it has sp=a");
}

static void the_two_lists_of_kinds_agree(void **state)
{
    (void)state;
    int i;

    for (i = 0; identity_kinds[i] != NULL; i++) {
        assert_string_equal(identity_kinds[i]->name, identity_kind_tables[i].name);
        assert_ptr_equal(&identity_kinds[i]->table, identity_kind_tables[i].table);
    }
    assert_null(identity_kind_tables[i].name);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_sas_signs_the_url),
        TEST(a_key_signs_a_header),
        TEST(a_connection_string_does_either),
        TEST(a_connection_string_with_a_sas_signs_the_url),
        TEST(only_some_kinds_know_their_endpoint),
        TEST(many_waits_share_one_acquisition),
        TEST(a_cancelled_wait_never_fires),
        TEST(a_wait_may_be_open_when_its_identity_ends),
        TEST(a_callback_may_cancel_and_start_waits),
        TEST(a_wait_is_never_told_of_a_stale_credential),
        TEST(a_refused_file_is_read_again),
        TEST(another_secret_is_another_version),
        TEST(a_look_for_a_better_secret_does_no_harm),
        TEST(a_connection_strings_sas_says_what_it_lacks),
        TEST(a_key_lacks_nothing),
        TEST(a_refused_text_stays_what_it_is),
        TEST(a_credential_says_how_it_changes),
        TEST(a_missing_file_fails_the_wait_and_heals),
        TEST(a_credential_needs_its_directory),
        TEST(a_file_is_looked_at_before_a_warning),
        TEST(a_connection_strings_bad_successor_is_not_taken),
        TEST(an_identity_may_end_while_its_file_is_read),
        TEST(check_finds_a_broken_sas),
        TEST(check_finds_a_missing_right),
        TEST(check_lets_an_expired_sas_pass),
        TEST(check_names_the_file),
        TEST(check_passes_over_a_credential_it_can_not_see),
        TEST(check_finds_a_bad_credential_name),
        TEST(check_finds_a_bad_key),
        TEST(check_finds_a_bad_account),
        TEST(check_finds_a_bad_connection_string),
        TEST(check_looks_into_a_connection_strings_sas),
        cmocka_unit_test(the_two_lists_of_kinds_agree),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
