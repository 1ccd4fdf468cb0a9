/* SPDX-License-Identifier: MIT */
/* The identity kind workload_identity: settings and variables, the platform's token, refusals. */
#include "configured.h"
#include "tokens.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"
#include "identity/token_error.h"

#define TENANT "8f1c1b2e-53a5-4b52-9e2a-0d6a54e5a1f0"
#define CLIENT "0c9f5a52-7a44-4d6c-8f0e-6c1f2f6d3b10"
#define POD    "kind: workload_identity\n"
#define WHOLE                                                                                      \
    POD "tenant_id: " TENANT "\nclient_id: " CLIENT "\ntoken_file: /run/token\n"                   \
        "authority: https://login.microsoftonline.us\n"
#define CLAIMS                                                                                     \
    "{\"iss\":\"https://oidc.example/1/\",\"sub\":\"system:serviceaccount:cv:daemon\","            \
    "\"aud\":[\"api://AzureADTokenExchange\"],\"exp\":1795231417}"

static const char *const variables[] = {"AZURE_TENANT_ID", "AZURE_CLIENT_ID",
                                        "AZURE_FEDERATED_TOKEN_FILE", "AZURE_AUTHORITY_HOST"};

static int set_up(void **state)
{
    (void)state;
    for (size_t i = 0; i < array_size(variables); i++)
        unsetenv(variables[i]);
    clock_freeze(-1, -1);
    return 0;
}

static void set_variables(void)
{
    setenv("AZURE_TENANT_ID", TENANT, 1);
    setenv("AZURE_CLIENT_ID", CLIENT, 1);
    setenv("AZURE_FEDERATED_TOKEN_FILE", "/var/run/secrets/azure/tokens/azure-identity-token", 1);
    setenv("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.com/", 1);
}

static void assert_asks(const struct configured *made, const char *url, const char *token)
{
    struct http_request request;

    ask_for_storage(made, &request);
    assert_string_equal(request.url.data, url);
    assert_field(request.body.data, "client_id", CLIENT);
    assert_field(request.body.data, "scope", "https://storage.azure.com/.default");
    assert_field(request.body.data, "client_assertion", token);
    assert_field(request.body.data, "client_assertion_type",
                 "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    http_request_done(&request);
}

static void test_the_pods_variables_are_enough(void **state)
{
    (void)state;
    autofree char *token = token_of(CLAIMS);

    set_variables();
    autoconfigured made = configure_good(POD, token);
    assert_string_equal(made.kind->secret_of(made.self)->file,
                        "/var/run/secrets/azure/tokens/azure-identity-token");
    assert_asks(&made, "https://login.microsoftonline.com/" TENANT "/oauth2/v2.0/token", token);
}

static void test_settings_outrank_variables(void **state)
{
    (void)state;
    autofree char *token = token_of(CLAIMS);

    for (size_t i = 0; i < array_size(variables); i++)
        setenv(variables[i], "wrong in any place", 1);
    autoconfigured made = configure_good(WHOLE, token);
    assert_string_equal(made.kind->secret_of(made.self)->file, "/run/token");
    assert_asks(&made, "https://login.microsoftonline.us/" TENANT "/oauth2/v2.0/token", token);
}

static void test_the_usual_authority(void **state)
{
    (void)state;
    autofree char *token = token_of(CLAIMS);

    set_variables();
    setenv("AZURE_AUTHORITY_HOST", "", 1);
    autoconfigured made = configure_good(POD, token);
    assert_asks(&made, "https://login.microsoftonline.com/" TENANT "/oauth2/v2.0/token", token);
}

static void test_what_is_missing_is_named(void **state)
{
    (void)state;
    static const char *const keys[] = {"tenant_id", "client_id", "token_file"};

    for (size_t i = 0; i < array_size(keys); i++) {
        set_variables();
        setenv(variables[i], "", 1);
        autofree char *words = xasprintf("needs %s, and $%s, which", keys[i], variables[i]);
        assert_one_mistake(POD, words);
    }
}

/* By the name that it was given under. */
static void test_what_is_wrong_is_named(void **state)
{
    (void)state;
    set_variables();
    setenv("AZURE_AUTHORITY_HOST", "http://login.example.com", 1);
    assert_one_mistake(POD, "AZURE_AUTHORITY_HOST: https:// is due");
    set_variables();
    setenv("AZURE_TENANT_ID", "con/toso", 1);
    assert_one_mistake(POD, "AZURE_TENANT_ID: \"con/toso\" is no tenant");
    assert_one_mistake(POD "tenant_id: a b", "tenant_id: \"a b\" is no tenant");
    /* and what was said to be wrong is not said to be missing, too */
    unsetenv("AZURE_FEDERATED_TOKEN_FILE");
    setenv("AZURE_TENANT_ID", TENANT, 1);
    assert_one_mistake(POD "token_file: token", "token_file");
    set_variables();
    setenv("AZURE_FEDERATED_TOKEN_FILE", "token", 1);
    assert_one_mistake(POD, "AZURE_FEDERATED_TOKEN_FILE: the absolute path");
}

static void test_the_token_is_taken_anew(void **state)
{
    (void)state;
    autofree char *first = token_of(CLAIMS), *second = token_of("{}");
    autoconfigured made = configure_good(WHOLE, first);
    autosecret next = {0};
    struct err err;

    secret_set(&next, second, strlen(second));
    assert_true(made.kind->adopt(made.self, &next, &err));
    assert_asks(&made, "https://login.microsoftonline.us/" TENANT "/oauth2/v2.0/token", second);
}

static void test_a_file_without_a_token(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",        "hello",     "a.b",        "YQ.YQ",
                                        "YQ.YQ.",  ".YQ.YQ",    "YQ..YQ",     "YQ.YQ.YQ.YQ",
                                        "YQ.Y.YQ", "Y Q.YQ.YQ", "YQ==.YQ.YQ", "<html>.YQ.YQ"};
    autofree char *token = token_of(CLAIMS);
    autoconfigured made = configure_good(WHOLE, token);

    for (size_t i = 0; i < array_size(wrong); i++) {
        autosecret text = {0};
        struct err err;

        secret_set(&text, wrong[i], strlen(wrong[i]));
        if (made.kind->adopt(made.self, &text, &err))
            fail_msg("'%s' was taken", wrong[i]);
        assert_int_equal(err.code, ERR_AUTH);
        assert_true(str_starts(err.text, "the file /run/token holds no token"));
    }
    assert_asks(&made, "https://login.microsoftonline.us/" TENANT "/oauth2/v2.0/token", token);
}

/* What explain adds to a refusal with that code and description. */
static void refuse(const struct configured *made, const char *code, const char *description,
                   struct err *err)
{
    struct token_refusal refusal = {.status = 401};

    strncpy(refusal.aadsts, code, sizeof(refusal.aadsts) - 1);
    err_set(err, ERR_AUTH, CLIENT " " TENANT " refused %s", description);
    made->kind->issuer(made->self)->explain(made->self, &refusal, err);
}

static void test_a_refusal_tells_what_must_match(void **state)
{
    (void)state;
    autofree char *token = token_of(CLAIMS);
    autoconfigured made = configure_good(WHOLE, token);
    struct err err;

    clock_freeze(1, INT64_C(1795231417000) - 1);
    refuse(&made, "AADSTS70021", "", &err);
    assert_string_equal(err.text, CLIENT " " TENANT " refused "
                                         "; the token's issuer is https://oidc.example/1/"
                                         "; the token's subject is system:serviceaccount:cv:daemon"
                                         "; the token's audience is api://AzureADTokenExchange");
    /* what Entra said itself is not said again */
    refuse(&made, "AADSTS700213", "'system:serviceaccount:cv:daemon'", &err);
    assert_null(strstr(err.text, "subject is"));
    assert_non_null(strstr(err.text, "issuer is https://oidc.example/1/"));
    refuse(&made, "AADSTS7002138", "", &err);
    assert_non_null(strstr(err.text, "subject is system:serviceaccount:cv:daemon"));
    refuse(&made, "AADSTS70025", "", &err);
    assert_non_null(strstr(err.text, "subject is system:serviceaccount:cv:daemon"));
    refuse(&made, "AADSTS90002", "", &err);
    assert_string_equal(err.text, CLIENT " " TENANT " refused ");
}

/* As long as they come: a cluster's issuer, and all that Entra says. */
static void test_a_refusal_is_told_whole(void **state)
{
    (void)state;
    static const char claims[] =
        "{\"iss\":\"https://germanywestcentral.oic.prod-aks.azure.com/"
        "5d1f8b1e-2f0c-4d7a-9b53-0e9a4c1d7f21/d3ecec13-3cfc-4bad-892d-f18b8d3c82d6/\","
        "\"sub\":\"system:serviceaccount:computer-vision-production:custom-vision-notifications\","
        "\"aud\":[\"api://AzureADTokenExchange\"],\"exp\":1795231417}";
    struct token_refusal refusal = {.status = 401, .aadsts = "AADSTS70021", .is_json = true};
    autofree char *token = token_of(claims);
    autoconfigured made = configure_good(WHOLE, token);
    struct err err;

    clock_freeze(1, INT64_C(1795231417000) - 1);
    memset(refusal.description, 'a', sizeof(refusal.description) - 1);
    token_error_explain(&refusal, "Microsoft Entra", &err);
    made.kind->issuer(made.self)->explain(made.self, &refusal, &err);
    err_prefix(&err, "Get Queue Metadata");
    assert_non_null(strstr(err.text, "; the token's issuer is https://germanywestcentral"));
    assert_non_null(strstr(err.text, "; the token's audience is api://AzureADTokenExchange; "));
    assert_true(str_ends(err.text, "; tenant_id is " TENANT));
}

/* What has no room is left out, not cut. */
static void test_no_reason_is_cut(void **state)
{
    (void)state;
    struct err err;
    size_t size = sizeof(err.text);

    memset(err.text, 'a', size);
    err.text[size - 6] = '\0';
    identity_add_reason(&err, "bcde");
    assert_int_equal(strlen(err.text), size - 6);
    identity_add_reason(&err, "bcd");
    assert_true(str_ends(err.text, "aa; bcd"));
    assert_int_equal(strlen(err.text), size - 1);
}

static void test_a_refusal_tells_that_the_token_is_old(void **state)
{
    (void)state;
    autofree char *token = token_of(CLAIMS);
    autoconfigured made = configure_good(WHOLE, token);
    struct err err;

    clock_freeze(1, INT64_C(1795231417000));
    refuse(&made, "AADSTS700024", "", &err);
    assert_non_null(strstr(err.text, "; the token in /run/token expired at 2026-11-21T03:23:37Z: "
                                     "does anything renew it?"));
    clock_freeze(1, INT64_C(1795231417000) - 1);
    refuse(&made, "AADSTS700024", "", &err);
    assert_null(strstr(err.text, "expired"));
    /* beyond what 32 bits hold */
    autofree char *late = token_of("{\"exp\":4102444800}");
    autoconfigured later = configure_good(WHOLE, late);
    clock_freeze(1, INT64_C(4102444800000));
    refuse(&later, "AADSTS700024", "", &err);
    assert_non_null(strstr(err.text, "expired at 2100-01-01T00:00:00Z"));
}

/* A token may hold anything. */
static void test_claims_that_can_not_be_shown(void **state)
{
    (void)state;
    static const char *const claims[] = {
        "no JSON",
        "[]",
        "\"iss\"",
        "{\"iss\":1,\"sub\":null,\"aud\":[],\"exp\":\"soon\"}",
        "{\"iss\":\"a\\nb\",\"sub\":\"\",\"aud\":{\"a\":1},\"exp\":-1}",
        "{\"iss\":\"\\u00e9\",\"sub\":\" \",\"aud\":[[]],\"exp\":1e99}"};

    for (size_t i = 0; i < array_size(claims); i++) {
        autofree char *token = token_of(claims[i]);
        autoconfigured made = configure_good(WHOLE, token);
        struct err err;

        refuse(&made, "AADSTS70021", "", &err);
        assert_string_equal(err.text, CLIENT " " TENANT " refused ");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_the_pods_variables_are_enough, set_up),
        cmocka_unit_test_setup(test_settings_outrank_variables, set_up),
        cmocka_unit_test_setup(test_the_usual_authority, set_up),
        cmocka_unit_test_setup(test_what_is_missing_is_named, set_up),
        cmocka_unit_test_setup(test_what_is_wrong_is_named, set_up),
        cmocka_unit_test_setup(test_the_token_is_taken_anew, set_up),
        cmocka_unit_test_setup(test_a_file_without_a_token, set_up),
        cmocka_unit_test_setup(test_a_refusal_tells_what_must_match, set_up),
        cmocka_unit_test_setup(test_a_refusal_is_told_whole, set_up),
        cmocka_unit_test_setup(test_no_reason_is_cut, set_up),
        cmocka_unit_test_setup(test_a_refusal_tells_that_the_token_is_old, set_up),
        cmocka_unit_test_setup(test_claims_that_can_not_be_shown, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
