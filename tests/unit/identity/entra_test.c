/* SPDX-License-Identifier: MIT */
/* What both kinds of application share: the settings, the token endpoint's URL, the form. */
#include "tokens.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/secret.h"
#include "config/mistakes.h"
#include "config/node.h"
#include "identity/entra.h"
#include "identity/token_error.h"
#include "net/http_request.h"

#define CLIENT "0c9f5a52-7a44-4d6c-8f0e-6c1f2f6d3b10"

/* The first mistake about such settings, "" when there is none; the caller frees. The authority is brought
 * into its form. */
static char *check(const char *tenant, const char *client, char **authority)
{
    struct entra_app app = {.tenant_id = xstrdup(tenant),
                            .client_id = xstrdup(client),
                            .authority = xstrdup(*authority)};
    struct mistakes mistakes = {0};
    struct node *map = node_parse("x.yaml", "{tenant_id: x, authority: y}", 28, &mistakes);

    entra_check(&app, map, &mistakes);
    char *first = xstrdup(mistakes.count == 0 ? "" : mistakes.lines[0]);
    assert_true(mistakes.count <= 1);
    *authority = app.authority;
    free(app.tenant_id);
    free(app.client_id);
    node_free(map);
    mistakes_done(&mistakes);
    return first;
}

static void test_tenants(void **state)
{
    (void)state;
    static const struct {
        const char *tenant, *mistake;
    } rows[] = {
        {"8f1c1b2e-53a5-4b52-9e2a-0d6a54e5a1f0", ""},
        {"contoso.onmicrosoft.com", ""},
        {"contoso.com", ""},
        {"", "is no tenant"},
        {"..", "is no tenant"},
        {"a/b", "is no tenant"},
        {"a b", "is no tenant"},
        {"a?b", "is no tenant"},
        {"contoso.com/v2.0", "is no tenant"},
        {"m\xc3\xbcller.de", "is no tenant"},
        {"common", "is for users"},
        {"Organizations", "is for users"},
    };

    for (size_t i = 0; i < array_size(rows); i++) {
        char *authority = (char *)ENTRA_AUTHORITY;
        autofree char *mistake = check(rows[i].tenant, CLIENT, &authority);

        if (*rows[i].mistake == '\0')
            assert_string_equal(mistake, "");
        else if (strstr(mistake, rows[i].mistake) == NULL)
            fail_msg("%s: %s", rows[i].tenant, mistake);
        free(authority);
    }
}

/* Of a value that may be a secret nothing is shown; and the variable is named that it came from. */
static void test_a_client_id_is_a_guid(void **state)
{
    (void)state;
    char *authority = (char *)ENTRA_AUTHORITY;
    autofree char *mistake = check("contoso.com", "8Q~s3cret", &authority);

    assert_non_null(strstr(mistake, "AZURE_CLIENT_ID: a GUID is due"));
    assert_null(strstr(mistake, "s3cret"));
    free(authority);
}

static void test_authorities(void **state)
{
    (void)state;
    static const struct {
        const char *written, *taken, *mistake;
    } rows[] = {
        {"https://login.microsoftonline.com", "https://login.microsoftonline.com", NULL},
        {"https://login.microsoftonline.us/", "https://login.microsoftonline.us", NULL},
        {"login.partner.microsoftonline.cn", "https://login.partner.microsoftonline.cn", NULL},
        {"login.microsoftonline.com/", "https://login.microsoftonline.com", NULL},
        {"https://localhost:8443/", "https://localhost:8443", NULL},
        {"http://127.0.0.1:8080", "http://127.0.0.1:8080", NULL},
        {"http://[::1]:8080/", "http://[::1]:8080", NULL},
        {"http://login.microsoftonline.com", NULL, "https:// is due"},
        {"http://127.0.0.1.example.com", NULL, "https:// is due"},
        {"ftp://127.0.0.1", NULL, "https:// is due"},
        {"https://adfs.contoso.com/adfs", NULL, "AD FS (/adfs) is not supported"},
        {"https://login.microsoftonline.com/contoso.com/", NULL, "only scheme and host"},
        {"https://login.microsoftonline.com//", NULL, "only scheme and host"},
        {"https://login.microsoftonline.com?x=1", NULL, "only scheme and host"},
        {"https://login.microsoftonline.com/#", NULL, "only scheme and host"},
        {"https://user:pass@login.microsoftonline.com", NULL, "only scheme and host"},
        {"https://", NULL, "not a URL"},
        {"https://a b", NULL, "not a URL"},
        {"/", NULL, "not a URL"},
    };

    for (size_t i = 0; i < array_size(rows); i++) {
        char *authority = (char *)rows[i].written;
        autofree char *mistake = check("contoso.com", CLIENT, &authority);

        if (rows[i].mistake == NULL) {
            assert_string_equal(mistake, "");
            assert_string_equal(authority, rows[i].taken);
        } else if (strstr(mistake, rows[i].mistake) == NULL || strstr(mistake, "pass") != NULL) {
            fail_msg("%s: %s", rows[i].written, mistake);
        }
        free(authority);
    }
}

static const struct entra_app app = {.tenant_id = (char *)"contoso.com",
                                     .client_id = (char *)CLIENT,
                                     .authority = (char *)"https://login.microsoftonline.us"};

static void test_requests_of_both_versions(void **state)
{
    (void)state;
    static const struct {
        enum entra_version version;
        const char *url, *scope, *resource;
    } rows[] = {
        {ENTRA_V2, "https://login.microsoftonline.us/contoso.com/oauth2/v2.0/token",
         "https://storage.azure.com/.default", NULL},
        {ENTRA_V1, "https://login.microsoftonline.us/contoso.com/oauth2/token", NULL,
         "https://storage.azure.com/"},
    };

    for (size_t i = 0; i < array_size(rows); i++) {
        struct http_request request;

        http_request_init(&request, HTTP_GET);
        entra_ask(&app, rows[i].version, "https://storage.azure.com/", &request);
        assert_int_equal(request.method, HTTP_POST);
        assert_string_equal(request.url.data, rows[i].url);
        assert_string_equal(http_request_find_header(&request, "Content-Type"),
                            "application/x-www-form-urlencoded");
        assert_string_equal(http_request_find_header(&request, "Accept"), "application/json");
        assert_field(request.body.data, "client_id", CLIENT);
        assert_field(request.body.data, "grant_type", "client_credentials");
        assert_field(request.body.data, "scope", rows[i].scope);
        assert_field(request.body.data, "resource", rows[i].resource);
        assert_false(request.direct);
        http_request_done(&request);
    }
}

/* Nothing in a value ends it, and a plus is one. */
static void test_values_are_encoded(void **state)
{
    (void)state;
    static const char secret[] = "a&client_id=x=+ %41~\xc3\xa9;#";
    struct http_request request;

    http_request_init(&request, HTTP_GET);
    entra_ask(&app, ENTRA_V2, "https://storage.azure.com/", &request);
    entra_add(&request, "client_secret", secret);
    assert_field(request.body.data, "client_secret", secret);
    assert_field(request.body.data, "client_id", CLIENT);
    assert_non_null(strstr(request.body.data, "%2B%20%2541~%C3%A9"));
    http_request_done(&request);
}

static void test_an_assertion_is_a_jwt_bearer(void **state)
{
    (void)state;
    struct http_request request;
    autosecret token = {0};

    secret_set(&token, "a.b-c_d.e", 9);
    http_request_init(&request, HTTP_GET);
    entra_add_assertion(&request, &token);
    assert_string_equal(request.body.data, "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3A"
                                           "client-assertion-type%3Ajwt-bearer"
                                           "&client_assertion=a.b-c_d.e");
    http_request_done(&request);
}

static void test_a_refusal_names_who_was_refused_once(void **state)
{
    (void)state;
    struct token_refusal refusal = {.aadsts = "AADSTS700016"};
    struct err err;

    err_set(&err, ERR_AUTH, "refused");
    entra_explain(&app, &refusal, &err);
    assert_string_equal(err.text, "refused; client_id is " CLIENT "; tenant_id is contoso.com");
    err_set(&err, ERR_AUTH, "refused " CLIENT " in contoso.com");
    entra_explain(&app, &refusal, &err);
    assert_string_equal(err.text, "refused " CLIENT " in contoso.com");
    /* what passes is nobody's fault, and what is not Entra's has another cause */
    err_set(&err, ERR_SERVER, "busy");
    entra_explain(&app, &refusal, &err);
    assert_string_equal(err.text, "busy");
    refusal.aadsts[0] = '\0';
    err_set(&err, ERR_AUTH, "a portal");
    entra_explain(&app, &refusal, &err);
    assert_string_equal(err.text, "a portal");
}

static void test_variables(void **state)
{
    (void)state;
    char *member = NULL;

    unsetenv("AZURE_TENANT_ID");
    assert_false(entra_take_variable(&member, "AZURE_TENANT_ID"));
    setenv("AZURE_TENANT_ID", "", 1);
    assert_false(entra_take_variable(&member, "AZURE_TENANT_ID"));
    assert_null(member);
    setenv("AZURE_TENANT_ID", "contoso.com", 1);
    assert_true(entra_take_variable(&member, "AZURE_TENANT_ID"));
    assert_string_equal(member, "contoso.com");
    setenv("AZURE_TENANT_ID", "other.com", 1);
    assert_true(entra_take_variable(&member, "AZURE_TENANT_ID"));
    assert_string_equal(member, "contoso.com");
    free(member);
    unsetenv("AZURE_TENANT_ID");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tenants),
        cmocka_unit_test(test_a_client_id_is_a_guid),
        cmocka_unit_test(test_authorities),
        cmocka_unit_test(test_requests_of_both_versions),
        cmocka_unit_test(test_values_are_encoded),
        cmocka_unit_test(test_an_assertion_is_a_jwt_bearer),
        cmocka_unit_test(test_a_refusal_names_who_was_refused_once),
        cmocka_unit_test(test_variables),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
