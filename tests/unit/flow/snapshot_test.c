/* SPDX-License-Identifier: MIT */
/* Whole configurations from files: what they come to, and the mistakes that are told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "flow/settings.h"

#define SAS       "sas: 'sv=2021-12-02&sp=rup&se=2099-01-01&sig=s3cretA='"
#define QUEUE_URL "https://contoso.queue.core.windows.net/cv-events"
#define QUEUE     "queues: [{name: events, url: '" QUEUE_URL "', " SAS "}]\n"

struct fixture {
    char directory[64];
    char *path;
    struct mistakes mistakes;
    struct snapshot *snapshot;
};

static char *path_of(const struct fixture *fixture, const char *name)
{
    return xasprintf("%s/%s", fixture->directory, name);
}

static void write_mode(const struct fixture *fixture, const char *name, const char *text,
                       mode_t mode)
{
    autofree char *path = path_of(fixture, name);
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(path, mode), 0);
}

static void write_file(const struct fixture *fixture, const char *name, const char *text)
{
    write_mode(fixture, name, text, 0600);
}

static int set_up(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));

    strcpy(fixture->directory, "/tmp/cvnotifyd-test-XXXXXX");
    if (mkdtemp(fixture->directory) == NULL)
        return -1;
    autofree char *below = path_of(fixture, "conf.d");
    fixture->path = path_of(fixture, "main.yaml");
    *state = fixture;
    return mkdir(below, 0755);
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    autofree char *command = xasprintf("rm -rf '%s'", fixture->directory);

    snapshot_free(fixture->snapshot);
    mistakes_done(&fixture->mistakes);
    free(fixture->path);
    free(fixture);
    return system(command);
}

static void load(struct fixture *fixture)
{
    snapshot_free(take(fixture->snapshot));
    mistakes_done(&fixture->mistakes);
    fixture->mistakes = (struct mistakes){0};
    fixture->snapshot = snapshot_load(fixture->path, true, &fixture->mistakes);
    assert_int_equal(fixture->snapshot == NULL, fixture->mistakes.count > 0);
}

static const struct snapshot *load_good(struct fixture *fixture, const char *text)
{
    write_file(fixture, "main.yaml", text);
    load(fixture);
    if (fixture->mistakes.count > 0)
        fail_msg("%s", fixture->mistakes.lines[0]);
    return fixture->snapshot;
}

static bool has_mistake(const struct fixture *fixture, const char *words)
{
    for (unsigned i = 0; i < fixture->mistakes.count; i++) {
        if (strstr(fixture->mistakes.lines[i], words) != NULL)
            return true;
    }
    return false;
}

static void expect_mistake(const struct fixture *fixture, const char *words)
{
    for (unsigned i = 0; i < fixture->mistakes.count; i++)
        assert_null(strstr(fixture->mistakes.lines[i], "s3cret"));
    if (!has_mistake(fixture, words))
        fail_msg("\"%s\" is not told; but %s", words,
                 fixture->mistakes.count > 0 ? fixture->mistakes.lines[0] : "nothing");
}

static void load_bad(struct fixture *fixture, const char *text, const char *words)
{
    write_file(fixture, "main.yaml", text);
    load(fixture);
    expect_mistake(fixture, words);
}

/* --- what a good one comes to --- */

static void defaults_are_the_contracts(void **state)
{
    const struct snapshot *snapshot = load_good(*state, QUEUE);
    const struct settings *settings = snapshot->settings;
    const struct queue_plan *plan = &snapshot->queues[0];

    assert_string_equal(settings->state_dir, "/var/lib/cvnotifyd");
    assert_int_equal(settings->stop_timeout_ms, 30000);
    assert_int_equal(settings->http->timeout_ms, 30000);
    assert_int_equal(snapshot->queue_count, 1);
    assert_string_equal(plan->url, QUEUE_URL);
    assert_string_equal(plan->poison_url, QUEUE_URL "-poison");
    assert_ptr_equal(plan->identity, plan->poison_identity);
    assert_int_equal(plan->settings->lease_ms, 120000);
    assert_int_equal(plan->settings->poll_min_ms, 250);
    assert_int_equal(plan->settings->poll_max_ms, 30000);
    assert_int_equal(plan->settings->parallel, 8);
    assert_int_equal(plan->settings->max_attempts, 5);
    assert_int_equal(plan->settings->retry_delay.count, 4);
    assert_int_equal(plan->settings->retry_delay.items_ms[3], 15 * 60000);
    assert_int_equal(plan->expiry_margin_ms, 3600000);
    assert_int_equal(snapshot->file_count, 1);
}

static void the_longest_wait_is_no_shorter_than_the_shortest(void **state)
{
    struct fixture *fixture = *state;

    load_bad(fixture,
             "queues: [{name: e, url: '" QUEUE_URL "', " SAS ", poll_min: 10s, poll_max: 5s}]\n",
             "poll_max: must not be less than poll_min, 10s");
}

static void a_long_lease_widens_the_margin(void **state)
{
    const struct snapshot *snapshot =
        load_good(*state, "queues: [{name: e, url: '" QUEUE_URL "', lease: 2h, " SAS "}]\n");

    assert_int_equal(snapshot->queues[0].expiry_margin_ms, 4 * 3600000);
}

static void a_trailing_slash_is_cut(void **state)
{
    const struct snapshot *snapshot =
        load_good(*state, "queues: [{name: e, url: '" QUEUE_URL "/', " SAS "}]\n");

    assert_string_equal(snapshot->queues[0].url, QUEUE_URL);
    assert_string_equal(snapshot->queues[0].poison_url, QUEUE_URL "-poison");
}

static void a_poison_map_may_leave_the_name_to_us(void **state)
{
    struct fixture *fixture = *state;
    const struct snapshot *snapshot =
        load_good(fixture, "queues: [{name: e, url: '" QUEUE_URL "', " SAS
                           ", poison: {sas: 'sv=2021-12-02&sp=a&se=2099-01-01&sig=s3cretA='}}]\n");

    assert_string_equal(snapshot->queues[0].poison_url, QUEUE_URL "-poison");
    snapshot =
        load_good(fixture, "queues: [{name: e, url: '" QUEUE_URL "', " SAS ", poison: {}}]\n");
    assert_string_equal(snapshot->queues[0].poison_url, QUEUE_URL "-poison");
}

static void an_included_file_must_be_a_map(void **state)
{
    struct fixture *fixture = *state;

    write_file(fixture, "conf.d/a.yaml", "- name: deploy\n");
    load_bad(fixture, "queues: [{name: e, url: '" QUEUE_URL "', " SAS "}]\n", "a map is due here");
    write_file(fixture, "conf.d/a.yaml", "hooks\n");
    load_bad(fixture, "queues: [{name: e, url: '" QUEUE_URL "', " SAS "}]\n", "a map is due here");
}

/* A key with an empty value is as if it were not there: what needs it is told. */
static void an_empty_value_is_none(void **state)
{
    struct fixture *fixture = *state;

    load_bad(fixture, "queues: [{name: e, url: , " SAS "}]\n", "write url");
    load_bad(fixture, "queues: [{name: e, queue: , " SAS "}]\n", "write url");
    load_bad(fixture, "queues: [{name: e, url: '" QUEUE_URL "', sas: }]\n", "say who we are");
    const struct snapshot *snapshot = load_good(
        fixture, "queues: [{name: e, url: '" QUEUE_URL "', queue: , " SAS ", poison: {url: }}]\n");
    assert_string_equal(snapshot->queues[0].poison_url, QUEUE_URL "-poison");
    snapshot = load_good(fixture, "queues: [{name: e, url: '" QUEUE_URL "', " SAS ", poison: }]\n");
    assert_string_equal(snapshot->queues[0].poison_url, QUEUE_URL "-poison");
}

/* If each were looked for among all the others, this would not end within the tests' time. */
static void many_keys_are_merged_at_once(void **state)
{
    struct fixture *fixture = *state;
    autobuf text;
    autobuf other;

    buf_init(&text, BUF_ANY_SIZE);
    buf_init(&other, BUF_ANY_SIZE);
    for (int i = 0; i < 100000; i++) {
        buf_printf(&text, "k%d:\n", i);
        buf_printf(&other, "j%d:\n", i);
    }
    buf_puts(&text, "a: 1\n");
    buf_puts(&other, "a: 2\n");
    write_file(fixture, "conf.d/a.yaml", other.data);
    load_bad(fixture, text.data, "\"a\" is set already");
    assert_int_equal(fixture->mistakes.count, MISTAKES_MAX);
}

static void an_account_of_a_connection_string_obeys_the_rules_for_urls(void **state)
{
    load_bad(*state,
             "queues: [{name: e, queue: events, connection_string: 'DefaultEndpointsProtocol=http;"
             "AccountName=contoso;AccountKey=czNjcmV0'}]\n",
             "http:// is for this machine only");
    load_bad(*state,
             "queues: [{name: e, queue: events, connection_string: 'QueueEndpoint="
             "http://127.0.0.1:1;AccountName=contoso;AccountKey=czNjcmV0'}]\n",
             "/ACCOUNT/QUEUE");
}

static void one_queue_in_two_writings_is_one(void **state)
{
    load_bad(*state,
             "queues:\n- {name: a, url: 'https://contoso.queue.core.windows.net/aaa', " SAS "}\n"
             "- {name: b, url: 'HTTPS://Contoso.queue.core.windows.net/aaa/', " SAS "}\n",
             "reads the same queue already");
    load_bad(*state,
             "queues:\n- {name: a, url: 'https://contoso.queue.core.windows.net/aaa', " SAS "}\n"
             "- {name: b, url: 'https://contoso.queue.core.windows.net:443/aaa', " SAS "}\n",
             "reads the same queue already");
}

static void a_poison_queue_is_named_or_elsewhere(void **state)
{
    const struct snapshot *snapshot = load_good(
        *state, "queues:\n"
                "- {name: a, url: 'https://c.queue.core.windows.net/aaa', " SAS ", poison: bad}\n"
                "- {name: b, url: 'https://c.queue.core.windows.net/bbb', " SAS
                ", poison: {url: 'https://d.queue.core.windows.net/bad', "
                "sas: 'sv=2021-12-02&sp=a&se=2099-01-01&sig=s3cretA='}}\n");

    assert_string_equal(snapshot->queues[0].poison_url, "https://c.queue.core.windows.net/bad");
    assert_string_equal(snapshot->queues[1].poison_url, "https://d.queue.core.windows.net/bad");
    assert_ptr_not_equal(snapshot->queues[1].poison_identity, snapshot->queues[1].identity);
}

static void a_connection_string_gives_the_endpoint(void **state)
{
    const struct snapshot *snapshot = load_good(
        *state,
        "queues: [{name: a, queue: cv-events, connection_string: 'DefaultEndpointsProtocol="
        "https;AccountName=contoso;AccountKey=czNjcmV0;EndpointSuffix=core.windows.net'}]\n");

    assert_string_equal(snapshot->queues[0].url, QUEUE_URL);
}

static void addresses_take_the_account_in_the_path(void **state)
{
    const struct snapshot *snapshot = load_good(
        *state, "queues:\n"
                "- {name: a, url: 'http://127.0.0.1:10001/devstoreaccount1/qqq', " SAS "}\n"
                "- {name: b, url: 'http://localhost:10001/devstoreaccount1/qqq', " SAS "}\n");

    assert_string_equal(snapshot->queues[0].url, "http://127.0.0.1:10001/devstoreaccount1/qqq");
}

static void the_same_twice_is_equal_and_a_change_is_not(void **state)
{
    struct fixture *fixture = *state;
    static const char *const changed[] = {
        "queues: [{name: events, url: '" QUEUE_URL "', lease: 3m, " SAS "}]\n",
        "queues: [{name: events, url: '" QUEUE_URL "2', " SAS "}]\n",
        "queues: [{name: events, url: '" QUEUE_URL "', poison: other, " SAS "}]\n",
        "queues: [{name: events, url: '" QUEUE_URL "', sas: 'sv=2021-12-02&sp=rup&sig=other'}]\n",
    };

    write_file(fixture, "main.yaml", "\n\n" QUEUE); /* at other places in the file */
    struct mistakes mistakes = {0};
    struct snapshot *first = snapshot_load(fixture->path, true, &mistakes);
    assert_non_null(first);
    assert_true(queue_plan_equal(&load_good(fixture, QUEUE)->queues[0], &first->queues[0]));
    for (unsigned i = 0; i < array_size(changed); i++)
        assert_false(
            queue_plan_equal(&load_good(fixture, changed[i])->queues[0], &first->queues[0]));
    snapshot_free(first);
    mistakes_done(&mistakes);
}

/* --- includes --- */

#define HOOK(name) "hooks: [{name: " name ", on: '*', exec: {command: /bin/true}}]\n"

static const char *hook_name(const struct snapshot *snapshot, unsigned i)
{
    return ((const struct hook_settings *)snapshot->settings->hooks.items[i])->name;
}

static void lists_are_appended_in_lexical_order(void **state)
{
    struct fixture *fixture = *state;

    write_file(fixture, "conf.d/20.yaml", HOOK("c"));
    write_file(fixture, "conf.d/10.yaml", HOOK("b"));
    write_file(fixture, "conf.d/30.yml", HOOK("not-read"));
    write_file(fixture, "conf.d/.40.yaml", HOOK("hidden"));
    const struct snapshot *snapshot = load_good(fixture, QUEUE HOOK("a"));
    assert_int_equal(snapshot->settings->hooks.count, 3);
    assert_string_equal(hook_name(snapshot, 0), "a");
    assert_string_equal(hook_name(snapshot, 1), "b");
    assert_string_equal(hook_name(snapshot, 2), "c");
    assert_int_equal(snapshot->file_count, 3);
}

static void what_the_main_file_leaves_empty_is_filled(void **state)
{
    struct fixture *fixture = *state;

    write_file(fixture, "conf.d/10.yaml", HOOK("b"));
    const struct snapshot *snapshot = load_good(fixture, QUEUE "hooks:\n");
    assert_int_equal(snapshot->settings->hooks.count, 1);
}

static void what_an_included_file_leaves_empty_changes_nothing(void **state)
{
    struct fixture *fixture = *state;

    write_file(fixture, "conf.d/10.yaml", "hooks:\nlog:\n");
    write_file(fixture, "conf.d/20.yaml", "# nothing\n");
    const struct snapshot *snapshot = load_good(fixture, QUEUE HOOK("a"));
    assert_int_equal(snapshot->settings->hooks.count, 1);
}

static void maps_are_merged(void **state)
{
    struct fixture *fixture = *state;

    write_file(fixture, "conf.d/10.yaml", "log: {format: json}\nhttp: {timeout: 5s}\n");
    const struct snapshot *snapshot = load_good(fixture, QUEUE "log: {level: debug}\n");
    assert_int_equal(snapshot->settings->log->level, 0);
    assert_int_equal(snapshot->settings->log->format, 3);
    assert_int_equal(snapshot->settings->http->timeout_ms, 5000);
}

static void a_scalar_set_twice_is_a_mistake(void **state)
{
    struct fixture *fixture = *state;

    write_file(fixture, "conf.d/10.yaml", "stop_timeout: 5s\nlog: {level: info}\n");
    load_bad(fixture, QUEUE "stop_timeout: 5s\nlog: {level: info}\n",
             "conf.d/10.yaml:1:1: \"stop_timeout\"");
    expect_mistake(fixture, "\"level\" is set already, at ");
}

static void a_list_and_a_map_do_not_mix(void **state)
{
    struct fixture *fixture = *state;

    write_file(fixture, "conf.d/10.yaml", "hooks: {a: b}\n");
    load_bad(fixture, QUEUE HOOK("a"), "\"hooks\"");
}

static void an_included_file_can_not_include(void **state)
{
    struct fixture *fixture = *state;

    write_file(fixture, "conf.d/10.yaml", "include: other.yaml\n");
    load_bad(fixture, QUEUE, "conf.d/10.yaml:1:10: an included file can not include others");
}

static void a_mistake_in_an_included_file_names_it(void **state)
{
    struct fixture *fixture = *state;

    write_file(fixture, "conf.d/10.yaml",
               "\nhooks: [{name: x, on: nothing, exec: {command: x}}]\n");
    load_bad(fixture, QUEUE, "conf.d/10.yaml:2:");
}

static void an_included_file_that_is_not_yaml_is_told(void **state)
{
    struct fixture *fixture = *state;

    write_file(fixture, "conf.d/10.yaml", "hooks: [\n");
    load_bad(fixture, QUEUE, "conf.d/10.yaml:");
}

static void no_match_is_fine(void **state)
{
    (void)load_good(*state, "include: [nothing/*.yaml, /nonexistent/*.yaml]\n" QUEUE);
}

static void a_directory_with_odd_letters_has_includes_too(void **state)
{
    struct fixture *fixture = *state;
    autofree char *odd = path_of(fixture, "a[b]*");
    autofree char *below = path_of(fixture, "a[b]*/conf.d");

    assert_int_equal(mkdir(odd, 0755), 0);
    assert_int_equal(mkdir(below, 0755), 0);
    write_file(fixture, "a[b]*/conf.d/10.yaml", HOOK("b"));
    write_file(fixture, "a[b]*/main.yaml", QUEUE);
    free(fixture->path);
    fixture->path = path_of(fixture, "a[b]*/main.yaml");
    load(fixture);
    assert_non_null(fixture->snapshot);
    assert_int_equal(fixture->snapshot->settings->hooks.count, 1);
}

/* --- mistakes --- */

static void a_missing_file_is_told(void **state)
{
    struct fixture *fixture = *state;

    load(fixture);
    expect_mistake(fixture, "main.yaml: can not be opened: No such file");
}

static void what_is_too_large_is_told(void **state)
{
    struct fixture *fixture = *state;
    autofree char *text = xcalloc(1, 1024 * 1024 + 2);

    memset(text, '#', 1024 * 1024 + 1);
    load_bad(fixture, text, "1 MiB");
}

static void urls_have_rules(void **state)
{
    static const struct {
        const char *url, *words;
    } table[] = {
        {QUEUE_URL "?sv=2021&sig=s3cret", "must not have a query"},
        {"https://user:s3cret@c.queue.core.windows.net/qqq", "must not have a user name"},
        {QUEUE_URL "#x", "fragment"},
        {"ftp://c.queue.core.windows.net/qqq", "https://"},
        {"http://c.queue.core.windows.net/qqq", "allow_insecure"},
        {"https://c.blob.core.windows.net/qqq", "c.blob.core.windows.net is not the queue service"},
        {"https://c.queue.core.windows.net/", "the path must be /QUEUE"},
        {"https://c.queue.core.windows.net", "the path must be /QUEUE"},
        {"https://c.queue.core.windows.net/a/qqq", "the path must be /QUEUE"},
        {"http://127.0.0.1:10001/qqq", "/ACCOUNT/QUEUE"},
        {"https://c.queue.core.windows.net/Events", "no queue name"},
        {"https://c.queue.core.windows.net/ab", "no queue name"},
        {"https://c.queue.core.windows.net/a--b", "no queue name"},
        {"https://c.queue.core.windows.net/-ab", "no queue name"},
        {"https://c.queue.core.windows.net/ab-", "no queue name"},
        {"https://c.queue.core.windows.net//qqq", "url: "},
        {"https://c.queue.core.windows.net/x/../qqq", "url: "},
        {"https://c.queue.core.windows.net/q%71q", "url: "},
        {"nonsense", "url: "},
        {"https://", "url: "},
        {"https:///qqq", "url: "},
    };
    struct fixture *fixture = *state;
    unsigned passed = 0;

    for (unsigned i = 0; i < array_size(table); i++) {
        autofree char *text = xasprintf("queues: [{name: e, url: '%s', " SAS "}]\n", table[i].url);
        write_file(fixture, "main.yaml", text);
        load(fixture);
        if (!has_mistake(fixture, table[i].words)) {
            print_message("%s\n", table[i].url);
            passed++;
        }
    }
    assert_int_equal(passed, 0);
}

static void insecure_urls_may_be_allowed(void **state)
{
    (void)load_good(*state, "allow_insecure: true\n"
                            "queues: [{name: e, url: 'http://c.example/qqq', " SAS "}]\n");
}

#define TOKENS "identities: [{name: vm, kind: managed_identity, source: imds}]\n"

static void a_token_goes_over_https_alone(void **state)
{
    static const char *const bad[] = {
        "allow_insecure: true\n" TOKENS
        "queues: [{name: e, url: 'http://c.example/qqq', identity: vm}]\n",
        TOKENS "queues: [{name: e, url: 'http://127.0.0.1:1/account/qqq', identity: vm}]\n",
        "allow_insecure: true\n" TOKENS "queues: [{name: e, url: '" QUEUE_URL "', identity: vm,"
        " poison: {url: 'http://c.example/ppp'}}]\n",
        "allow_insecure: true\n" TOKENS "queues: [{name: e, url: 'http://c.example/qqq', " SAS
        ", poison: {identity: vm}}]\n",
        "allow_insecure: true\n" TOKENS "queues: [{name: e, url: 'http://c.example/qqq', " SAS
        ", poison: {queue: ppp, identity: vm}}]\n",
    };

    for (size_t i = 0; i < array_size(bad); i++)
        load_bad(*state, bad[i], "url: a token is sent over https:// only");
    (void)load_good(*state, TOKENS "queues: [{name: e, url: '" QUEUE_URL "', identity: vm}]\n");
}

static void to_this_machine_a_token_may_go_otherwise(void **state)
{
    (void)load_good(*state, "allow_insecure: true\n" TOKENS
                            "queues: [{name: e, url: 'http://127.0.0.1:1/account/qqq',"
                            " identity: vm}]\n");
}

static char *named_queue(unsigned length)
{
    return xasprintf("queues: [{name: e, url: 'https://c.queue.core.windows.net/%0*d', " SAS "}]\n",
                     (int)length, 0);
}

static void a_default_poison_name_must_fit(void **state)
{
    struct fixture *fixture = *state;
    autofree char *just = named_queue(56);
    autofree char *longer = named_queue(57);

    (void)load_good(fixture, just);
    load_bad(fixture, longer, "longer than 63 characters");
}

static void a_poison_name_has_rules(void **state)
{
    struct fixture *fixture = *state;
    static const char *const names[] = {
        "Bad", "'a b'", "x", "cv_events",
        "a123456789012345678901234567890123456789012345678901234567890123"};

    for (unsigned i = 0; i < array_size(names); i++) {
        autofree char *text =
            xasprintf("queues: [{name: e, url: '" QUEUE_URL "', poison: %s, " SAS "}]\n", names[i]);
        write_file(fixture, "main.yaml", text);
        load(fixture);
        assert_true(fixture->mistakes.count > 0);
    }
    load_bad(fixture, "queues: [{name: e, url: '" QUEUE_URL "', poison: cv-events, " SAS "}]\n",
             "is the queue itself");
}

static void names_that_are_not_there_are_told(void **state)
{
    struct fixture *fixture = *state;

    load_bad(fixture, "queues: [{name: e, url: '" QUEUE_URL "', identity: nobody}]\n",
             "there is no \"nobody\" in identities");
    load_bad(fixture,
             QUEUE "hooks: [{name: a, on: '*', queues: other, exec: {command: /bin/true}}]\n",
             "there is no queue named \"other\"");
}

static void names_are_unique(void **state)
{
    struct fixture *fixture = *state;

    load_bad(fixture,
             "queues:\n- {name: e, url: '" QUEUE_URL "', " SAS "}\n- {name: e, url: '" QUEUE_URL
             "2', " SAS "}\n",
             "another queue is called \"e\" already");
    load_bad(fixture,
             "queues:\n- {name: e, url: '" QUEUE_URL "', " SAS "}\n- {name: f, url: '" QUEUE_URL
             "', " SAS "}\n",
             "reads the same queue already");
    write_file(fixture, "conf.d/10.yaml", HOOK("a"));
    load_bad(fixture, QUEUE HOOK("a"), "another hook is called \"a\" already");
}

static void who_we_are_is_said_once(void **state)
{
    struct fixture *fixture = *state;

    load_bad(fixture, "queues: [{name: e, url: '" QUEUE_URL "'}]\n", "say who we are");
    load_bad(fixture,
             "identities: [{name: i, kind: sas, " SAS "}]\n"
             "queues: [{name: e, url: '" QUEUE_URL "', identity: i, " SAS "}]\n",
             "write one of identity, sas and connection_string");
}

static void a_url_and_a_queue_exclude_each_other(void **state)
{
    struct fixture *fixture = *state;

    load_bad(fixture, "queues: [{name: e, url: '" QUEUE_URL "', queue: qqq, " SAS "}]\n",
             "not both");
    load_bad(fixture, "queues: [{name: e, " SAS "}]\n", "url");
}

static void a_literal_secret_wants_a_private_file(void **state)
{
    struct fixture *fixture = *state;

    write_mode(fixture, "main.yaml", QUEUE, 0644);
    load(fixture);
    expect_mistake(fixture, "others can read this file");
    write_mode(fixture, "main.yaml", QUEUE, 0640);
    load(fixture);
    assert_non_null(fixture->snapshot);
}

static void a_literal_secret_in_an_included_file_wants_that_private(void **state)
{
    struct fixture *fixture = *state;

    write_mode(fixture, "main.yaml", "stop_timeout: 5s\n", 0644);
    write_mode(fixture, "conf.d/10.yaml", QUEUE, 0600);
    load(fixture);
    assert_non_null(fixture->snapshot);
    write_mode(fixture, "conf.d/10.yaml", QUEUE, 0644);
    load(fixture);
    expect_mistake(fixture, "conf.d/10.yaml");
}

static void a_secret_from_the_environment_or_a_file_needs_none(void **state)
{
    struct fixture *fixture = *state;
    autofree char *secret = path_of(fixture, "sas");

    setenv("CVN_TEST_SAS", "sv=2021-12-02&sp=rup&se=2099-01-01&sig=s3cretA=", 1);
    write_mode(fixture, "main.yaml",
               "queues: [{name: e, url: '" QUEUE_URL "', sas: '${CVN_TEST_SAS}'}]\n", 0644);
    load(fixture);
    unsetenv("CVN_TEST_SAS");
    assert_non_null(fixture->snapshot);
    write_file(fixture, "sas", "sv=2021-12-02&sp=rup&se=2099-01-01&sig=s3cretA=");
    autofree char *text =
        xasprintf("queues: [{name: e, url: '" QUEUE_URL "', sas_file: '%s'}]\n", secret);
    write_mode(fixture, "main.yaml", text, 0644);
    load(fixture);
    assert_non_null(fixture->snapshot);
}

static void a_proxy_is_a_url_and_may_be_secret(void **state)
{
    struct fixture *fixture = *state;

    load_good(fixture, "http: {proxy: 'http://u:s3cret@proxy:3128'}\n" QUEUE);
    load_bad(fixture, "http: {proxy: 'proxy:3128'}\n" QUEUE, "proxy: is no URL; http://HOST:PORT");
    load_bad(fixture, "http: {proxy: 'ftp://s3cret@proxy'}\n" QUEUE, "is not the URL of a proxy");
    load_bad(fixture, "http: {proxy: 'http://proxy/path'}\n" QUEUE, "is not the URL of a proxy");
    setenv("CVN_TEST_PROXY", "u:s3cret", 1);
    autofree char *secret = path_of(fixture, "sas");
    write_file(fixture, "sas", "sv=2021-12-02&sp=rup&se=2099-01-01&sig=s3cretA=");
    static const char *const users[] = {"${CVN_TEST_PROXY}", "u:s3cret"};
    for (unsigned i = 0; i < array_size(users); i++) {
        autofree char *text =
            xasprintf("http: {proxy: 'http://%s@proxy:3128'}\n"
                      "queues: [{name: e, url: '" QUEUE_URL "', sas_file: '%s'}]\n",
                      users[i], secret);
        write_mode(fixture, "main.yaml", text, 0644);
        load(fixture);
        assert_int_equal(fixture->snapshot != NULL, i == 0);
    }
    unsetenv("CVN_TEST_PROXY");
    expect_mistake(fixture, "proxy: holds a user, and others can read this file");
}

static void a_poison_queues_literal_secret_counts(void **state)
{
    struct fixture *fixture = *state;
    autofree char *secret = path_of(fixture, "sas");
    autofree char *text = xasprintf("queues: [{name: e, url: '" QUEUE_URL
                                    "', sas_file: '%s', poison: {queue: bad, " SAS "}}]\n",
                                    secret);

    write_file(fixture, "sas", "sv=2021-12-02&sp=rup&se=2099-01-01&sig=s3cretA=");
    write_mode(fixture, "main.yaml", text, 0644);
    load(fixture);
    expect_mistake(fixture, "others can read this file");
}

static void every_mistake_is_told_in_one_pass(void **state)
{
    struct fixture *fixture = *state;

    load_bad(fixture,
             "stop_timeout: soon\n"
             "queues: [{name: e, url: '" QUEUE_URL "', identity: nobody, leese: 1m}]\n"
             "hooks: [{name: 'a b', on: nothing, queues: other, exec: {command: ./x}}]\n",
             "main.yaml:1:15: stop_timeout");
    expect_mistake(fixture, "lease");
    expect_mistake(fixture, "there is no \"nobody\" in identities");
    expect_mistake(fixture, "letters, digits, _ and - only");
    expect_mistake(fixture, "matches no event");
    expect_mistake(fixture, "there is no queue named \"other\"");
    expect_mistake(fixture, "must be an absolute path");
}

/* Whatever is written, it is told and nothing breaks. */
static void half_written_files_are_mistakes_and_no_crash(void **state)
{
    static const char *const texts[] = {
        "",
        "{}",
        "[]",
        "x",
        "queues:",
        "queues: []",
        "queues: [{}]",
        "queues: [x, [], {}]",
        "queues: {a: b}",
        "queues: [{name: e}]",
        "queues: [{url: '" QUEUE_URL "'}]",
        "queues: [{name: [], url: [], identity: {}}]",
        "queues: [{name: e, url: '" QUEUE_URL "', sas: []}]",
        "queues: [{name: e, url: '" QUEUE_URL "', sas: x, sas_file: y}]",
        "queues: [{name: e, queue: qqq, connection_string: nonsense}]",
        "queues: [{name: e, queue: qqq, identity: i}]\nidentities: [{name: i}]",
        "queues: [{name: e, queue: qqq, identity: i}]\nidentities: [{name: i, kind: x}]",
        "queues: [{name: e, queue: qqq, identity: i}]\nidentities: [{name: i, kind: sas}]",
        "queues: [{name: e, url: '" QUEUE_URL "', poison: {}, " SAS "}, {}]",
        "queues: [{name: e, url: '" QUEUE_URL "', poison: [], " SAS "}]",
        "queues: [{name: e, url: '" QUEUE_URL "', poison: {queue: [], url: []}, " SAS "}]",
        "queues: [{name: e, url: '" QUEUE_URL "', retry_delay: [], " SAS "}]",
        "queues: [{name: e, url: '" QUEUE_URL "', retry_delay: [x], " SAS "}]",
        QUEUE "hooks: [{}]",
        QUEUE "hooks: [{name: a}]",
        QUEUE "hooks: [{name: a, on: [[]], exec: }]",
        QUEUE "hooks: [{name: a, on: x, exec: {command: [[]]}}]",
        QUEUE "hooks: [{name: [], on: {}, exec: []}]",
        QUEUE "hooks: [{name: a, on: '*', file: {}, syslog: {}}]",
        QUEUE "hooks: [{name: a, on: '*', file: {directory: []}}]",
        QUEUE "hooks: [{name: a, on: '*', syslog: {server: [], ident: {}, text: []}}]",
        QUEUE "hooks: [{name: a, on: '*', exec: {command: x, user: [], env: []}}]",
        QUEUE "identities: [{}, x]",
        QUEUE "identities: [{kind: sas, sas: x}]",
        QUEUE "state_dir: []",
        QUEUE "state_dir: relative",
        QUEUE "log: x\nhttp: []\ncontrol: [x]",
        QUEUE "include: {a: b}",
        QUEUE "include: [[x]]",
    };
    struct fixture *fixture = *state;

    for (unsigned i = 0; i < array_size(texts); i++) {
        write_file(fixture, "main.yaml", texts[i]);
        load(fixture);
        if (fixture->mistakes.count == 0)
            fail_msg("no mistake in %s", texts[i]);
    }
}

/* As `hooks:` with a lone dash below it, or with what is no map. */
static void an_entry_that_is_no_map_is_a_mistake(void **state)
{
    static const char *const texts[] = {"queues: [null]", QUEUE "identities: [null]",
                                        QUEUE "hooks: [null]"};
    struct fixture *fixture = *state;

    for (unsigned i = 0; i < array_size(texts); i++) {
        write_file(fixture, "main.yaml", texts[i]);
        load(fixture);
        assert_true(fixture->mistakes.count > 0);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(defaults_are_the_contracts),
        TEST(the_longest_wait_is_no_shorter_than_the_shortest),
        TEST(a_long_lease_widens_the_margin),
        TEST(a_trailing_slash_is_cut),
        TEST(a_poison_map_may_leave_the_name_to_us),
        TEST(an_included_file_must_be_a_map),
        TEST(an_empty_value_is_none),
        TEST(many_keys_are_merged_at_once),
        TEST(an_account_of_a_connection_string_obeys_the_rules_for_urls),
        TEST(one_queue_in_two_writings_is_one),
        TEST(a_poison_queue_is_named_or_elsewhere),
        TEST(a_connection_string_gives_the_endpoint),
        TEST(addresses_take_the_account_in_the_path),
        TEST(the_same_twice_is_equal_and_a_change_is_not),
        TEST(lists_are_appended_in_lexical_order),
        TEST(what_the_main_file_leaves_empty_is_filled),
        TEST(what_an_included_file_leaves_empty_changes_nothing),
        TEST(maps_are_merged),
        TEST(a_scalar_set_twice_is_a_mistake),
        TEST(a_list_and_a_map_do_not_mix),
        TEST(an_included_file_can_not_include),
        TEST(a_mistake_in_an_included_file_names_it),
        TEST(an_included_file_that_is_not_yaml_is_told),
        TEST(no_match_is_fine),
        TEST(a_directory_with_odd_letters_has_includes_too),
        TEST(a_missing_file_is_told),
        TEST(what_is_too_large_is_told),
        TEST(urls_have_rules),
        TEST(insecure_urls_may_be_allowed),
        TEST(a_token_goes_over_https_alone),
        TEST(to_this_machine_a_token_may_go_otherwise),
        TEST(a_default_poison_name_must_fit),
        TEST(a_poison_name_has_rules),
        TEST(names_that_are_not_there_are_told),
        TEST(names_are_unique),
        TEST(who_we_are_is_said_once),
        TEST(a_url_and_a_queue_exclude_each_other),
        TEST(a_literal_secret_wants_a_private_file),
        TEST(a_literal_secret_in_an_included_file_wants_that_private),
        TEST(a_secret_from_the_environment_or_a_file_needs_none),
        TEST(a_proxy_is_a_url_and_may_be_secret),
        TEST(a_poison_queues_literal_secret_counts),
        TEST(every_mistake_is_told_in_one_pass),
        TEST(half_written_files_are_mistakes_and_no_crash),
        TEST(an_entry_that_is_no_map_is_a_mistake),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
