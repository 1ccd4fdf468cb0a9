/* SPDX-License-Identifier: MIT */
/* The identity kind service_principal: settings, requests, what it adds to refusals. */
#include "../codec/certificates.h"
#include "configured.h"
#include "tokens.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"
#include "identity/token_error.h"

#define TENANT "8f1c1b2e-53a5-4b52-9e2a-0d6a54e5a1f0"
#define CLIENT "0c9f5a52-7a44-4d6c-8f0e-6c1f2f6d3b10"
#define APP    "kind: service_principal\ntenant_id: " TENANT "\nclient_id: " CLIENT "\n"
#define SECRET "8Q~+a/b=c&d"

struct world {
    EVP_PKEY *key;
    X509 *certificate;
    struct buf pem;
    char *file; /* that holds it */
};

static int set_up(void **state)
{
    struct world *world = xcalloc(1, sizeof(*world));
    char path[] = "/tmp/service_principal_test.XXXXXX";
    int fd = mkstemp(path);

    world->key = EVP_RSA_gen(2048);
    world->certificate = made_certificate("app", world->key, "app", world->key);
    buf_init(&world->pem, BUF_ANY_SIZE);
    made_put_certificate(world->certificate, &world->pem);
    made_put_key(world->key, NULL, &world->pem);
    world->file = xstrdup(path);
    assert_int_equal(write(fd, world->pem.data, world->pem.len), world->pem.len);
    close(fd);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    unlink(world->file);
    free(world->file);
    buf_done(&world->pem);
    X509_free(world->certificate);
    EVP_PKEY_free(world->key);
    free(world);
    clock_freeze(-1, -1);
    return 0;
}

/* An identity with the certificate, and further settings. */
static struct configured with_certificate(const struct world *world, const char *more)
{
    autofree char *text = xasprintf(APP "certificate_file: %s\n%s", world->file, more);

    return configure_good(text, world->pem.data);
}

static void test_a_secret_is_sent(void **state)
{
    (void)state;
    autoconfigured made = configure_good(APP "client_secret: \"" SECRET "\"", SECRET);
    struct http_request request;

    ask_for_storage(&made, &request);
    assert_string_equal(request.url.data,
                        "https://login.microsoftonline.com/" TENANT "/oauth2/v2.0/token");
    assert_field(request.body.data, "client_secret", SECRET);
    assert_field(request.body.data, "client_id", CLIENT);
    assert_field(request.body.data, "scope", "https://storage.azure.com/.default");
    assert_field(request.body.data, "client_assertion", NULL);
    http_request_done(&request);
}

static void test_another_cloud_and_version(void **state)
{
    (void)state;
    autoconfigured made = configure_good(APP "client_secret: x\nendpoint_version: v1\n"
                                             "authority: https://login.microsoftonline.us/",
                                         SECRET);
    struct http_request request;

    ask_for_storage(&made, &request);
    assert_string_equal(request.url.data,
                        "https://login.microsoftonline.us/" TENANT "/oauth2/token");
    assert_field(request.body.data, "resource", "https://storage.azure.com/");
    assert_field(request.body.data, "scope", NULL);
    http_request_done(&request);
}

/* The assertion of a request, signed with the certificate's key, for the URL that it goes to. */
static void assert_assertion(const struct world *world, const struct http_request *request,
                             const char *algorithm, bool with_chain)
{
    autofree char *token = form_value(request->body.data, "client_assertion");
    struct json_doc *header = token_part(token, 0), *claims = token_part(token, 1);
    const char *signature = strrchr(token, '.');
    autobuf bytes;

    assert_field(request->body.data, "client_assertion_type",
                 "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    assert_field(request->body.data, "client_secret", NULL);
    assert_string_equal(json_member_text(json_root(header), "alg"), algorithm);
    assert_int_equal(json_member(json_root(header), "x5c") != NULL, with_chain);
    assert_string_equal(json_member_text(json_root(claims), "aud"), request->url.data);
    assert_string_equal(json_member_text(json_root(claims), "iss"), CLIENT);
    buf_init(&bytes, BUF_ANY_SIZE);
    assert_true(base64url_decode(signature + 1, strlen(signature + 1), &bytes));
    assert_true(made_verifies(world->key, str_equal(algorithm, "PS256"), bytes.data, bytes.len,
                              token, (size_t)(signature - token)));
    json_doc_free(header);
    json_doc_free(claims);
}

static void test_a_certificate_signs(void **state)
{
    const struct world *world = *state;
    static const struct {
        const char *settings, *algorithm;
        bool with_chain;
    } rows[] = {
        {"", "PS256", false},
        {"endpoint_version: v1", "RS256", false},
        {"send_certificate_chain: true", "PS256", true},
    };

    for (size_t i = 0; i < array_size(rows); i++) {
        autoconfigured made = with_certificate(world, rows[i].settings);
        struct http_request request;

        ask_for_storage(&made, &request);
        assert_assertion(world, &request, rows[i].algorithm, rows[i].with_chain);
        http_request_done(&request);
    }
}

/* Each request has an assertion of its own, made then. */
static void test_each_time_anew(void **state)
{
    const struct world *world = *state;
    autoconfigured made = with_certificate(world, "");
    struct http_request first, second;

    clock_freeze(1, MADE_FROM_S * INT64_C(1000) + 5000);
    ask_for_storage(&made, &first);
    clock_freeze(1, MADE_FROM_S * INT64_C(1000) + 3605000);
    ask_for_storage(&made, &second);
    autofree char *token = form_value(second.body.data, "client_assertion");
    struct json_doc *claims = token_part(token, 1);
    assert_string_equal(json_member(json_root(claims), "nbf")->text, "1767229205");
    assert_string_not_equal(first.body.data, second.body.data);
    json_doc_free(claims);
    http_request_done(&first);
    http_request_done(&second);
    clock_freeze(-1, -1);
}

static void test_mistakes(void **state)
{
    const struct world *world = *state;
    autofree char *both = xasprintf(APP "client_secret: x\ncertificate_file: %s\n", world->file);

    assert_one_mistake(APP, "needs client_secret or certificate");
    assert_one_mistake(both, "write one of client_secret and certificate");
    assert_one_mistake(APP "client_secret: x\nsend_certificate_chain: true", "no certificate to");
    assert_one_mistake(APP "client_secret: x\nendpoint_version: v3", "endpoint_version");
    assert_one_mistake("kind: service_principal\nclient_id: " CLIENT "\nclient_secret: x",
                       "has no \"tenant_id\"");
    assert_one_mistake("kind: service_principal\ntenant_id: " TENANT "\nclient_secret: x",
                       "has no \"client_id\"");
    assert_one_mistake(APP "client_secret: x\nauthority: https://sts.contoso.com/adfs", "/adfs");
    assert_one_mistake(APP "certificate: " SECRET, "certificate: neither a certificate nor");
    assert_one_mistake(APP "client_secret: \"-----BEGIN CERTIFICATE-----\"",
                       "client_secret: it holds a certificate");
    assert_one_mistake(APP "client_secret: \"a\\nb\"", "several lines");
    assert_one_mistake(APP "client_secret_file: /nowhere", "client_secret_file: cannot read");
}

/* A file that was replaced by something else leaves what is in use. */
static void test_a_bad_rotation_changes_nothing(void **state)
{
    const struct world *world = *state;
    autoconfigured made = with_certificate(world, "");
    struct http_request request;
    autosecret bad = {0};
    struct err err;

    secret_set(&bad, SECRET, strlen(SECRET));
    assert_false(made.kind->adopt(made.self, &bad, &err));
    assert_int_equal(err.code, ERR_AUTH);
    assert_true(str_starts(err.text, "certificate: neither"));
    ask_for_storage(&made, &request);
    assert_assertion(world, &request, "PS256", false);
    http_request_done(&request);
}

static void test_facts(void **state)
{
    const struct world *world = *state;
    autoconfigured made = with_certificate(world, "");
    struct identity_facts facts;

    assert_true(made.kind->facts(world->pem.data, &facts));
    assert_true(facts.has_expiry && facts.expiry_ms == MADE_UNTIL_S * INT64_C(1000));
    assert_string_equal(facts.what, "certificate");
    assert_false(facts.of_one_queue || facts.may_not_update);
    assert_false(made.kind->facts(SECRET, &facts));
    assert_false(made.kind->facts("-----BEGIN nothing", &facts));
}

/* What explain makes of a refusal with that code; its sentence is in err. */
static void refuse(const struct configured *made, const char *code, struct err *err)
{
    struct token_refusal refusal = {.status = 401};

    strncpy(refusal.aadsts, code, sizeof(refusal.aadsts) - 1);
    err_set(err, ERR_AUTH, "refused " CLIENT " " TENANT);
    err->http_status = 401;
    strncpy(err->service_code, code, sizeof(err->service_code) - 1);
    made->kind->issuer(made->self)->explain(made->self, &refusal, err);
}

static void test_what_a_refused_secret_needs(void **state)
{
    (void)state;
    autoconfigured written = configure_good(APP "client_secret: x", SECRET);
    autoconfigured id = configure_good(APP "client_secret: x", TENANT);
    struct err err;

    refuse(&written, "AADSTS7000222", &err);
    assert_string_equal(err.text, "refused " CLIENT " " TENANT);
    refuse(&id, "AADSTS7000215", &err);
    assert_non_null(strstr(err.text, "; what client_secret holds looks like a secret's id"));
    refuse(&written, "AADSTS7000215", &err);
    assert_null(strstr(err.text, "secret's id"));
}

static void test_what_a_refused_certificate_needs(void **state)
{
    const struct world *world = *state;
    autoconfigured made = with_certificate(world, "");
    autofree char *file = xasprintf("; a new certificate goes into %s", world->file);
    unsigned char sha1[20];
    char thumbprint[41] = "";
    struct err err;

    X509_digest(world->certificate, EVP_sha1(), sha1, NULL);
    for (size_t i = 0; i < sizeof(sha1); i++)
        snprintf(thumbprint + 2 * i, 3, "%02X", sha1[i]);
    clock_freeze(1, MADE_UNTIL_S * INT64_C(1000));
    refuse(&made, "AADSTS700027", &err);
    assert_non_null(strstr(err.text, thumbprint));
    assert_non_null(strstr(err.text, file));
    assert_null(strstr(err.text, "expired"));
    assert_null(strstr(err.text, "valid from"));
    clock_freeze(1, MADE_UNTIL_S * INT64_C(1000) + 1);
    refuse(&made, "AADSTS700027", &err);
    assert_non_null(strstr(err.text, "; the certificate expired at 2027-01-01T00:00:00Z"));
    clock_freeze(1, MADE_FROM_S * INT64_C(1000) - 1);
    refuse(&made, "AADSTS700027", &err);
    assert_non_null(strstr(err.text, "; the certificate is valid from 2026-01-01T00:00:00Z only"));
    refuse(&made, "AADSTS90002", &err);
    assert_null(strstr(err.text, thumbprint));
    clock_freeze(-1, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_secret_is_sent),
        cmocka_unit_test(test_another_cloud_and_version),
        cmocka_unit_test(test_a_certificate_signs),
        cmocka_unit_test(test_each_time_anew),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_a_bad_rotation_changes_nothing),
        cmocka_unit_test(test_facts),
        cmocka_unit_test(test_what_a_refused_secret_needs),
        cmocka_unit_test(test_what_a_refused_certificate_needs),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
