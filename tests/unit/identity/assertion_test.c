/* SPDX-License-Identifier: MIT */
/* Client assertions, verified by libcrypto and taken apart as Entra does it. */
#include "../codec/certificates.h"
#include "tokens.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/secret.h"
#include "base/str.h"
#include "codec/base64.h"
#include "codec/json.h"
#include "codec/uuid.h"
#include "identity/assertion.h"

#define CLIENT   "0c9f5a52-7a44-4d6c-8f0e-6c1f2f6d3b10"
#define ENDPOINT "https://login.microsoftonline.com/contoso.com/oauth2/v2.0/token"
#define NOW_S    INT64_C(1795231417)

struct world {
    EVP_PKEY *key, *issuer_key;
    X509 *certificate;
    struct certificate *read;
};

static int set_up(void **state)
{
    struct world *world = xcalloc(1, sizeof(*world));
    struct err err;
    autobuf pem;

    clock_freeze(1, NOW_S * 1000 + 999);
    world->key = EVP_RSA_gen(2048);
    world->issuer_key = EVP_RSA_gen(2048);
    world->certificate = made_certificate("app", world->key, "issuer", world->issuer_key);
    X509 *issuer = made_certificate("issuer", world->issuer_key, "issuer", world->issuer_key);
    buf_init(&pem, BUF_ANY_SIZE);
    made_put_key(world->key, NULL, &pem);
    made_put_certificate(world->certificate, &pem);
    made_put_certificate(issuer, &pem);
    assert_true(certificate_read(pem.data, pem.len, &world->read, &err));
    X509_free(issuer);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    certificate_free(world->read);
    X509_free(world->certificate);
    EVP_PKEY_free(world->key);
    EVP_PKEY_free(world->issuer_key);
    free(world);
    clock_freeze(-1, -1);
    return 0;
}

static void make(const struct world *world, enum certificate_signature how, bool send_chain,
                 struct secret *ret_token)
{
    const struct assertion assertion = {
        .client_id = CLIENT, .audience = ENDPOINT, .how = how, .send_chain = send_chain};
    struct err err;

    *ret_token = (struct secret){0};
    assert_true(assertion_make(&assertion, world->read, ret_token, &err));
}

static void test_signatures(void **state)
{
    const struct world *world = *state;
    const char *const names[] = {"RS256", "PS256"};

    for (int how = CERTIFICATE_RS256; how <= CERTIFICATE_PS256; how++) {
        autosecret token = {0};
        autobuf signature;

        make(world, how, false, &token);
        const char *text = secret_reveal(&token), *last = strrchr(text, '.');
        buf_init(&signature, BUF_ANY_SIZE);
        assert_true(base64url_decode(last + 1, strlen(last + 1), &signature));
        assert_true(made_verifies(world->key, how == CERTIFICATE_PS256, signature.data,
                                  signature.len, text, (size_t)(last - text)));
        struct json_doc *header = token_part(text, 0);
        assert_string_equal(json_member_text(json_root(header), "alg"), names[how]);
        assert_string_equal(json_member_text(json_root(header), "typ"), "JWT");
        json_doc_free(header);
    }
}

static void assert_thumbprint(const struct json *header, const char *name, X509 *certificate,
                              const EVP_MD *digest)
{
    unsigned char bytes[32];
    unsigned len;
    autobuf text;

    buf_init(&text, BUF_ANY_SIZE);
    assert_int_equal(X509_digest(certificate, digest, bytes, &len), 1);
    base64url_encode(bytes, len, &text);
    assert_string_equal(json_member_text(header, name), text.data);
}

static void test_the_header_names_the_certificate(void **state)
{
    const struct world *world = *state;
    autosecret token = {0};

    make(world, CERTIFICATE_PS256, false, &token);
    struct json_doc *header = token_part(secret_reveal(&token), 0);
    assert_thumbprint(json_root(header), "x5t", world->certificate, EVP_sha1());
    assert_thumbprint(json_root(header), "x5t#S256", world->certificate, EVP_sha256());
    assert_null(json_member(json_root(header), "x5c"));
    json_doc_free(header);
}

static void test_the_chain_goes_along_when_asked_for(void **state)
{
    const struct world *world = *state;
    autosecret token = {0};
    autobuf der;
    unsigned char *own = NULL;
    int own_len = i2d_X509(world->certificate, &own);

    make(world, CERTIFICATE_PS256, true, &token);
    struct json_doc *header = token_part(secret_reveal(&token), 0);
    const struct json *chain = json_member(json_root(header), "x5c");
    assert_int_equal(chain->type, JSON_ARRAY);
    buf_init(&der, BUF_ANY_SIZE);
    assert_true(base64_decode(chain->first->text, chain->first->len, &der));
    assert_int_equal(der.len, own_len);
    assert_memory_equal(der.data, own, der.len);
    assert_non_null(chain->first->next);
    assert_null(chain->first->next->next);
    OPENSSL_free(own);
    json_doc_free(header);
}

static void test_claims(void **state)
{
    const struct world *world = *state;
    autosecret token = {0};
    autosecret other = {0};

    make(world, CERTIFICATE_PS256, false, &token);
    make(world, CERTIFICATE_PS256, false, &other);
    struct json_doc *docs[] = {token_part(secret_reveal(&token), 1),
                               token_part(secret_reveal(&other), 1)};
    const struct json *claims = json_root(docs[0]);
    assert_string_equal(json_member_text(claims, "aud"), ENDPOINT);
    assert_string_equal(json_member_text(claims, "iss"), CLIENT);
    assert_string_equal(json_member_text(claims, "sub"), CLIENT);
    assert_string_equal(json_member(claims, "nbf")->text, "1795231417");
    assert_string_equal(json_member(claims, "iat")->text, "1795231417");
    assert_string_equal(json_member(claims, "exp")->text, "1795232017");
    assert_int_equal(json_member(claims, "exp")->type, JSON_NUMBER);
    assert_true(uuid_is_valid(json_member_text(claims, "jti")));
    /* its own each time, for Entra takes none twice */
    assert_string_not_equal(json_member_text(claims, "jti"),
                            json_member_text(json_root(docs[1]), "jti"));
    json_doc_free(docs[0]);
    json_doc_free(docs[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signatures),
        cmocka_unit_test(test_the_header_names_the_certificate),
        cmocka_unit_test(test_the_chain_goes_along_when_asked_for),
        cmocka_unit_test(test_claims),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
