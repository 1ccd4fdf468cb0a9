/* SPDX-License-Identifier: MIT */
/* The settings of a managed identity: what is a mistake, and in which environment. */
#include "managing.h"

static void expect_good(struct managing *managing, const char *settings)
{
    managing_read(managing, settings);
    if (managing->mistakes.count != 0)
        fail_msg("%s: %s", settings, managing->mistakes.lines[0]);
    managing_end(managing);
}

/* One mistake, with its place behind the file's name. */
static void expect_mistake(struct managing *managing, const char *settings, const char *expected)
{
    managing_read(managing, settings);
    assert_int_equal(managing->mistakes.count, 1);
    assert_string_equal(managing->mistakes.lines[0], expected);
    managing_end(managing);
}

static void test_one_id_in_its_form(void **state)
{
    expect_good(*state, "client_id: 0c9f5a52-7a44-4d6c-8f0e-6c1f2f6d3b10");
    expect_good(*state, "object_id: x");
    expect_good(*state, "resource_id: /subscriptions/a/resourceGroups/b");
    expect_good(*state, "client_id: '', object_id: a, resource_id: ''");
    expect_mistake(*state, "client_id: a b",
                   "test.yaml:1:37: client_id: an id has no blanks and no letters beyond ASCII; "
                   "copy it anew");
    expect_mistake(*state, "resource_id: build",
                   "test.yaml:1:39: resource_id: no resource id; one begins with /subscriptions/");
}

static void test_the_second_id_is_one_too_many(void **state)
{
    expect_mistake(*state, "object_id: a, client_id: b",
                   "test.yaml:1:51: client_id: object_id says already which identity; keep one of "
                   "them");
    managing_read(*state, "client_id: a, object_id: b, resource_id: c");
    assert_int_equal(((struct managing *)*state)->mistakes.count, 2);
}

static void test_an_id_that_the_source_does_not_know(void **state)
{
    setenv("MSI_ENDPOINT", "http://127.0.0.1/msi", 1);
    expect_good(*state, "");
    expect_mistake(*state, "client_id: a",
                   "test.yaml:1:37: client_id: Cloud Shell knows but one identity; take it out");
    setenv("MSI_SECRET", "hush", 1);
    expect_good(*state, "client_id: a");
    expect_mistake(
        *state, "object_id: a",
        "test.yaml:1:37: object_id: Azure ML knows its identities by client_id; use that");
}

static void test_a_source_needs_its_variables(void **state)
{
    expect_mistake(*state, "source: app_service",
                   "test.yaml:1:34: source: the environment has no IDENTITY_ENDPOINT and "
                   "IDENTITY_HEADER, which App Service sets; run there, or name another source");
    expect_mistake(*state, "source: cloud_shell",
                   "test.yaml:1:34: source: the environment has no MSI_ENDPOINT, which Cloud Shell "
                   "sets; run there, or name another source");
    setenv("MSI_ENDPOINT", "http://127.0.0.1/msi", 1);
    setenv("MSI_SECRET", "", 1);
    expect_mistake(*state, "source: azure_ml",
                   "test.yaml:1:34: source: the environment has no MSI_SECRET, which Azure ML "
                   "sets; run there, or name another source");
    expect_good(*state, "source: cloud_shell");
    expect_good(*state, "source: imds");
    expect_good(*state, "source: arc");
    expect_mistake(*state, "source: imd",
                   "test.yaml:1:34: source: \"imd\" is not known here; did you mean \"imds\"?");
}

static void test_an_endpoint_does_not_stand_for_a_secret(void **state)
{
    expect_mistake(*state, "source: app_service, endpoint: 'http://127.0.0.1:1'",
                   "test.yaml:1:34: source: the environment has no IDENTITY_HEADER, which App "
                   "Service sets; run there, or name another source");
    setenv("IDENTITY_HEADER", "hush", 1);
    expect_good(*state, "source: app_service, endpoint: 'http://127.0.0.1:1'");
    setenv("IDENTITY_HEADER", "hush\nX: y", 1);
    expect_mistake(*state, "source: app_service, endpoint: 'http://127.0.0.1:1'",
                   "test.yaml:1:34: source: IDENTITY_HEADER holds what no header can; it is not "
                   "App Service's");
}

static void test_an_endpoint_is_a_plain_url(void **state)
{
    expect_good(*state, "endpoint: 'http://127.0.0.1:8080'");
    expect_good(*state, "endpoint: 'https://broker.example/tokens'");
    expect_mistake(*state, "endpoint: 127.0.0.1:8080",
                   "test.yaml:1:36: endpoint: not a URL: scheme://host is how it begins");
    expect_mistake(*state, "endpoint: 'ftp://a/b'",
                   "test.yaml:1:36: endpoint: a URL of http:// or https:// is due");
    static const char *const too_much[] = {"http://a/b?c=d", "http://a/?", "http://a/#c",
                                           "http://me@a/b", "http://me:pw@a"};
    for (size_t i = 0; i < array_size(too_much); i++) {
        autofree char *settings = xasprintf("endpoint: '%s'", too_much[i]);
        expect_mistake(*state, settings,
                       "test.yaml:1:36: endpoint: only a host and a path are due, no user, query "
                       "or fragment");
    }
}

static void test_a_platforms_url_is_checked_too(void **state)
{
    setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", "169.254.169.254", 1);
    expect_mistake(*state, "source: imds",
                   "test.yaml:1:34: AZURE_POD_IDENTITY_AUTHORITY_HOST: not a URL: scheme://host "
                   "is how it begins");
    expect_good(*state, "source: imds, endpoint: 'http://127.0.0.1'");
}

static void test_service_fabric_is_refused(void **state)
{
    setenv("IDENTITY_ENDPOINT", "https://127.0.0.1:2377/metadata/identity/oauth2/token", 1);
    setenv("IDENTITY_HEADER", "hush", 1);
    expect_good(*state, "");
    setenv("IDENTITY_SERVER_THUMBPRINT", "0123456789ABCDEF", 1);
    expect_mistake(*state, "",
                   "test.yaml:1:1: this is Service Fabric, whose managed identity is not "
                   "supported; use another kind of identity, or name a source");
    expect_good(*state, "source: imds");
}

int main(void)
{
#define row(test) cmocka_unit_test_setup_teardown(test, managing_set_up, managing_tear_down)
    const struct CMUnitTest tests[] = {
        row(test_one_id_in_its_form),
        row(test_the_second_id_is_one_too_many),
        row(test_an_id_that_the_source_does_not_know),
        row(test_a_source_needs_its_variables),
        row(test_an_endpoint_does_not_stand_for_a_secret),
        row(test_an_endpoint_is_a_plain_url),
        row(test_a_platforms_url_is_checked_too),
        row(test_service_fabric_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
