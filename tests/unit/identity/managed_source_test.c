/* SPDX-License-Identifier: MIT */
/* The sources of managed identities: which is found, what each is sent, what each makes of a refusal. */
#include "managing.h"

#include "identity/token_refusal.h"
#include "net/http_request.h"

#define AUDIENCE "https://storage.azure.com/"
#define RESOURCE "resource=https%3A%2F%2Fstorage.azure.com%2F"
#define IMDS     "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&"
#define ARC      "/metadata/identity/oauth2/token?api-version=2020-06-01&"

static void expect_found(struct managing *managing, const char *settings, const char *name)
{
    managing_create(managing, settings, NULL);
    assert_string_equal(managing->identity->source->name, name);
    managing_end(managing);
}

/* All that is sent, in one text: method, URL, headers, body. */
static void expect_request(struct managing *managing, const char *settings, const char *expected)
{
    struct http_request request;
    struct err err;
    autobuf sent;

    managing_create(managing, settings, NULL);
    http_request_init(&request, HTTP_GET);
    assert_true(
        managing->identity->source->issuer.ask(managing->identity, AUDIENCE, &request, &err));
    buf_init(&sent, BUF_ANY_SIZE);
    buf_printf(&sent, "%s %s", http_method_name(request.method), request.url.data);
    for (unsigned i = 0; i < request.header_count; i++)
        buf_printf(&sent, "\n%s", request.headers[i]);
    if (request.body.len != 0)
        buf_printf(&sent, "\n\n%s", request.body.data);
    assert_string_equal(sent.data, expected);
    assert_true(request.direct);
    http_request_done(&request);
    managing_end(managing);
}

static void test_found_by_the_environment(void **state)
{
    expect_found(*state, "", "imds");
    setenv("IDENTITY_ENDPOINT", "http://127.0.0.1/msi/token", 1);
    expect_found(*state, "", "imds");
    setenv("IMDS_ENDPOINT", "http://127.0.0.1", 1);
    expect_found(*state, "", "arc");
    setenv("MSI_ENDPOINT", "http://127.0.0.1/msi", 1);
    expect_found(*state, "", "cloud_shell");
    setenv("MSI_SECRET", "hush", 1);
    expect_found(*state, "", "azure_ml");
    setenv("IDENTITY_HEADER", "hush", 1);
    expect_found(*state, "", "app_service");
    expect_found(*state, "endpoint: 'http://127.0.0.1'", "app_service");
    expect_found(*state, "source: imds", "imds");
    expect_found(*state, "source: arc", "arc");
}

static void test_an_empty_variable_is_none(void **state)
{
    setenv("MSI_ENDPOINT", "", 1);
    expect_found(*state, "", "imds");
}

static void test_found_by_the_agent(void **state)
{
    struct managing *managing = *state;

    managing_read(managing, "");
    struct managed_settings *settings = managing->settings->kind.object;
    assert_string_equal(managed_source_find(settings)->name, "imds");
    settings->has_arc_agent = true;
    assert_string_equal(managed_source_find(settings)->name, "arc");
    setenv("MSI_ENDPOINT", "http://127.0.0.1/msi", 1);
    assert_string_equal(managed_source_find(settings)->name, "cloud_shell");
}

static void test_imds(void **state)
{
    expect_request(*state, "", "GET " IMDS RESOURCE "\nMetadata: true");
    expect_request(*state, "client_id: a", "GET " IMDS RESOURCE "&client_id=a\nMetadata: true");
    expect_request(*state, "object_id: a", "GET " IMDS RESOURCE "&object_id=a\nMetadata: true");
    expect_request(*state, "resource_id: /subscriptions/a",
                   "GET " IMDS RESOURCE "&msi_res_id=%2Fsubscriptions%2Fa\nMetadata: true");
}

static void test_app_service(void **state)
{
    setenv("IDENTITY_ENDPOINT", "http://127.0.0.1:8081/msi/token/", 1);
    setenv("IDENTITY_HEADER", "hush", 1);
#define APP_SERVICE "GET http://127.0.0.1:8081/msi/token/?api-version=2019-08-01&" RESOURCE
    expect_request(*state, "", APP_SERVICE "\nX-IDENTITY-HEADER: hush");
    expect_request(*state, "client_id: a", APP_SERVICE "&client_id=a\nX-IDENTITY-HEADER: hush");
    expect_request(*state, "object_id: a", APP_SERVICE "&principal_id=a\nX-IDENTITY-HEADER: hush");
    expect_request(*state, "resource_id: /subscriptions/a",
                   APP_SERVICE "&mi_res_id=%2Fsubscriptions%2Fa\nX-IDENTITY-HEADER: hush");
}

static void test_azure_ml(void **state)
{
    setenv("MSI_ENDPOINT", "http://127.0.0.1/MSI/auth", 1);
    setenv("MSI_SECRET", "hush", 1);
#define AZURE_ML "GET http://127.0.0.1/MSI/auth?api-version=2017-09-01&" RESOURCE
    expect_request(*state, "", AZURE_ML "\nsecret: hush");
    setenv("DEFAULT_IDENTITY_CLIENT_ID", "b", 1);
    expect_request(*state, "", AZURE_ML "&clientid=b\nsecret: hush");
    expect_request(*state, "client_id: a", AZURE_ML "&clientid=a\nsecret: hush");
}

static void test_cloud_shell(void **state)
{
    setenv("MSI_ENDPOINT", "http://localhost:50342/oauth2/token", 1);
    expect_request(*state, "",
                   "POST http://localhost:50342/oauth2/token\nMetadata: true\n"
                   "Content-Type: application/x-www-form-urlencoded\n\n" RESOURCE);
}

static void test_arc(void **state)
{
    struct managing *managing = *state;

    expect_request(managing, "source: arc",
                   "GET http://127.0.0.1:40342" ARC RESOURCE "\nMetadata: true");
    setenv("IDENTITY_ENDPOINT", "http://localhost:1/metadata/identity/oauth2/token", 1);
    setenv("IMDS_ENDPOINT", "http://localhost:1", 1);
    expect_request(managing, "resource_id: /subscriptions/a",
                   "GET http://localhost:1" ARC RESOURCE
                   "&msi_res_id=%2Fsubscriptions%2Fa\nMetadata: true");
}

static void test_an_endpoint_elsewhere(void **state)
{
    static const char *const paths[][2] = {
        {"http://127.0.0.1:1", "http://127.0.0.1:1/metadata/identity/oauth2/token"},
        {"http://[::1]:1/", "http://[::1]:1/metadata/identity/oauth2/token"},
        {"https://broker.example/tokens", "https://broker.example/tokens"},
        {"http://broker.example/a/", "http://broker.example/a/"},
    };

    setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:2/", 1);
    expect_request(
        *state, "",
        "GET http://127.0.0.1:2/metadata/identity/oauth2/token?api-version=2018-02-01&" RESOURCE
        "\nMetadata: true");
    for (size_t i = 0; i < array_size(paths); i++) {
        autofree char *settings = xasprintf("endpoint: '%s'", paths[i][0]);
        autofree char *expected = xasprintf("GET %s%s", paths[i][1],
                                            "?api-version=2018-02-01&" RESOURCE "\nMetadata: true");
        expect_request(*state, settings, expected);
    }
    setenv("IDENTITY_HEADER", "hush", 1);
    expect_request(*state, "source: app_service, endpoint: 'http://127.0.0.1:3'",
                   "GET http://127.0.0.1:3/msi/token?api-version=2019-08-01&" RESOURCE
                   "\nX-IDENTITY-HEADER: hush");
    expect_request(*state, "source: cloud_shell, endpoint: 'http://127.0.0.1:3'",
                   "POST http://127.0.0.1:3/oauth2/token\nMetadata: true\n"
                   "Content-Type: application/x-www-form-urlencoded\n\n" RESOURCE);
}

static void expect_explained(struct managing *managing, const char *settings,
                             const struct token_refusal *refusal, const char *expected)
{
    struct err err;

    managing_create(managing, settings, NULL);
    err_set(&err, ERR_AUTH, "no");
    managing->identity->source->issuer.explain(managing->identity, refusal, &err);
    assert_string_equal(err.text, expected);
    managing_end(managing);
}

static void test_a_refusal_is_explained(void **state)
{
    static const struct token_refusal absent = {.status = 400, .told = TOKEN_NO_IDENTITY},
                                      several = {.status = 400, .told = TOKEN_MANY_IDENTITIES},
                                      denied = {.status = 401};

    expect_explained(*state, "", &absent,
                     "no; this machine has no identity of its own: turn on the system-assigned "
                     "one, or assign another and say which by client_id");
    expect_explained(*state, "object_id: a", &absent,
                     "no; assign the identity to this machine, or mend object_id");
    expect_explained(*state, "", &several, "no");
    expect_explained(*state, "", &denied, "no");
    setenv("IDENTITY_ENDPOINT", "http://127.0.0.1/msi/token/", 1);
    setenv("IDENTITY_HEADER", "hush", 1);
    expect_explained(*state, "client_id: a", &absent,
                     "no; assign the identity to this app, or mend client_id");
    expect_explained(*state, "", &denied,
                     "no; the platform sets IDENTITY_HEADER anew at each start: hand it to the "
                     "daemon as it is now");
}

int main(void)
{
#define row(test) cmocka_unit_test_setup_teardown(test, managing_set_up, managing_tear_down)
    const struct CMUnitTest tests[] = {
        row(test_found_by_the_environment),
        row(test_an_empty_variable_is_none),
        row(test_found_by_the_agent),
        row(test_imds),
        row(test_app_service),
        row(test_azure_ml),
        row(test_cloud_shell),
        row(test_arc),
        row(test_an_endpoint_elsewhere),
        row(test_a_refusal_is_explained),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
