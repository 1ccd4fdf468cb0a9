/* SPDX-License-Identifier: MIT */
/* Certificates with keys: what is taken, what is told of them, what is refused and how. */
#include "certificates.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>

#include "base/err.h"
#include "base/str.h"
#include "codec/base64.h"
#include "codec/certificate.h"

/* Made once: keys take long. */
struct world {
    EVP_PKEY *key, *other, *small, *curve;
    X509 *alone;                /* of key, signed by itself */
    X509 *leaf, *middle, *root; /* of key; of other; of other, which signed itself */
};

static int set_up(void **state)
{
    struct world *world = xcalloc(1, sizeof(*world));

    world->key = EVP_RSA_gen(2048);
    world->other = EVP_RSA_gen(2048);
    world->small = EVP_RSA_gen(1024);
    world->curve = EVP_EC_gen("P-256");
    world->alone = made_certificate("alone", world->key, "alone", world->key);
    world->root = made_certificate("root", world->other, "root", world->other);
    world->middle = made_certificate("middle", world->other, "root", world->other);
    world->leaf = made_certificate("leaf", world->key, "middle", world->other);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    X509_free(world->alone);
    X509_free(world->leaf);
    X509_free(world->middle);
    X509_free(world->root);
    EVP_PKEY_free(world->key);
    EVP_PKEY_free(world->other);
    EVP_PKEY_free(world->small);
    EVP_PKEY_free(world->curve);
    free(world);
    return 0;
}

/* Without the newline at the end, as a secret's file is read. */
static struct certificate *read_good(const struct buf *pem)
{
    struct certificate *certificate = NULL;
    struct err err;

    if (!certificate_read(pem->data, pem->len - 1, &certificate, &err))
        fail_msg("%s", err.text);
    return certificate;
}

/* Refused with a sentence that holds the words, and nothing of what was read. */
static void assert_refused(const struct buf *pem, const char *words)
{
    struct certificate *certificate = NULL;
    struct err err;

    assert_false(certificate_read(pem->data, pem->len, &certificate, &err));
    assert_null(certificate);
    assert_int_equal(err.code, ERR_AUTH);
    if (strstr(err.text, words) == NULL)
        fail_msg("no \"%s\" in: %s", words, err.text);
    for (const char *line = pem->data; line != NULL && *line != '\0';) {
        size_t len = strcspn(line, "\n");
        autofree char *copy = xstrndup(line, min_of(len, 16));
        assert_true(len < 16 || strstr(err.text, copy) == NULL);
        line = line[len] == '\n' ? line + len + 1 : NULL;
    }
    /* or the next that uses libcrypto in this thread would find it */
    assert_int_equal(ERR_peek_error(), 0);
}

static void test_what_it_tells(void **state)
{
    const struct world *world = *state;
    unsigned char sha1[20], sha256[32];
    autobuf pem;

    buf_init(&pem, BUF_ANY_SIZE);
    made_put_certificate(world->alone, &pem);
    made_put_key(world->key, NULL, &pem);
    autocertificate *certificate = read_good(&pem);
    X509_digest(world->alone, EVP_sha1(), sha1, NULL);
    X509_digest(world->alone, EVP_sha256(), sha256, NULL);
    assert_memory_equal(certificate_sha1(certificate), sha1, sizeof(sha1));
    assert_memory_equal(certificate_sha256(certificate), sha256, sizeof(sha256));
    assert_int_equal(certificate_not_before_ms(certificate), MADE_FROM_S * INT64_C(1000));
    assert_int_equal(certificate_not_after_ms(certificate), MADE_UNTIL_S * INT64_C(1000));
    assert_int_equal(certificate_chain_count(certificate), 1);
}

/* Either form of the key, in either order, with text, CRLF and other blocks between. */
static void test_forms(void **state)
{
    const struct world *world = *state;

    for (int form = 0; form < 8; form++) {
        autobuf pem;
        autobuf crlf;

        buf_init(&pem, BUF_ANY_SIZE);
        buf_init(&crlf, BUF_ANY_SIZE);
        buf_puts(&pem, "Bag Attributes\n    friendlyName: build\n");
        if (form & 1)
            made_put_certificate(world->alone, &pem);
        buf_puts(&pem, "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n"
                       "-----END EC PARAMETERS-----\n");
        if (form & 2)
            made_put_key(world->key, NULL, &pem);
        else
            made_put_old_key(world->key, NULL, &pem);
        if (!(form & 1))
            made_put_certificate(world->alone, &pem);
        for (size_t i = 0; i < pem.len; i++)
            buf_puts(&crlf, pem.data[i] == '\n' ? "\r\n" : (char[]){pem.data[i], '\0'});
        autocertificate *certificate = read_good(form & 4 ? &crlf : &pem);
        assert_int_equal(certificate_chain_count(certificate), 1);
    }
}

static void assert_chain(const struct certificate *certificate, unsigned number, X509 *expected)
{
    autobuf text, der;
    unsigned char *written = NULL;
    int len = i2d_X509(expected, &written);

    buf_init(&text, BUF_ANY_SIZE);
    buf_init(&der, BUF_ANY_SIZE);
    certificate_chain_base64(certificate, number, &text);
    assert_true(base64_decode(text.data, text.len, &der));
    assert_int_equal(der.len, len);
    assert_memory_equal(der.data, written, der.len);
    OPENSSL_free(written);
}

/* In whatever order they stand, and whoever else is there. */
static void test_the_chain_begins_with_the_keys_own(void **state)
{
    const struct world *world = *state;
    X509 *orders[][4] = {{world->leaf, world->middle, world->root, NULL},
                         {world->root, world->middle, world->leaf, NULL},
                         {world->middle, world->leaf, world->root, NULL}};

    for (size_t i = 0; i < array_size(orders); i++) {
        autobuf pem;

        buf_init(&pem, BUF_ANY_SIZE);
        for (X509 **one = orders[i]; *one != NULL; one++)
            made_put_certificate(*one, &pem);
        made_put_key(world->key, NULL, &pem);
        autocertificate *certificate = read_good(&pem);
        assert_int_equal(certificate_chain_count(certificate), 3);
        assert_chain(certificate, 0, world->leaf);
        assert_chain(certificate, 1, world->middle);
        assert_chain(certificate, 2, world->root);
    }
    autobuf pem;
    buf_init(&pem, BUF_ANY_SIZE);
    made_put_certificate(world->leaf, &pem);
    made_put_certificate(world->root, &pem);
    made_put_key(world->key, NULL, &pem);
    autocertificate *gap = read_good(&pem);
    assert_int_equal(certificate_chain_count(gap), 1);
    assert_chain(gap, 0, world->leaf);
}

static void test_signatures(void **state)
{
    const struct world *world = *state;
    autobuf pem;
    struct err err;

    buf_init(&pem, BUF_ANY_SIZE);
    made_put_certificate(world->alone, &pem);
    made_put_key(world->key, NULL, &pem);
    autocertificate *certificate = read_good(&pem);
    for (int how = CERTIFICATE_RS256; how <= CERTIFICATE_PS256; how++) {
        bool pss = how == CERTIFICATE_PS256;
        autobuf out;

        buf_init(&out, BUF_ANY_SIZE);
        assert_true(certificate_sign(certificate, how, "header.payload", 14, &out, &err));
        assert_int_equal(out.len, 256);
        assert_true(made_verifies(world->key, pss, out.data, out.len, "header.payload", 14));
        assert_false(made_verifies(world->key, !pss, out.data, out.len, "header.payload", 14));
        assert_false(made_verifies(world->key, pss, out.data, out.len, "header.paylaod", 14));
        assert_false(made_verifies(world->other, pss, out.data, out.len, "header.payload", 14));
    }
}

static void test_what_is_not_there(void **state)
{
    const struct world *world = *state;
    autobuf pem;

    buf_init(&pem, BUF_ANY_SIZE);
    assert_refused(&pem, "neither a certificate nor a private key");
    buf_puts(&pem, "8Q~this-is-a-client-secret_and.nothing-else~");
    assert_refused(&pem, "openssl pkcs12 -nodes");
    buf_reset(&pem);
    made_put_certificate(world->alone, &pem);
    assert_refused(&pem, "no private key");
    buf_reset(&pem);
    made_put_key(world->key, NULL, &pem);
    assert_refused(&pem, "no certificate");
}

/* As when it was put into a variable by a shell. */
static void test_lines_that_ran_together(void **state)
{
    const struct world *world = *state;
    autobuf pem;

    buf_init(&pem, BUF_ANY_SIZE);
    made_put_certificate(world->alone, &pem);
    made_put_key(world->key, NULL, &pem);
    for (char *c = pem.data; *c != '\0'; c++)
        *c = *c == '\n' ? ' ' : *c;
    assert_refused(&pem, "its lines have run together");
}

static void test_a_key_of_another(void **state)
{
    const struct world *world = *state;
    autobuf pem;

    buf_init(&pem, BUF_ANY_SIZE);
    made_put_key(world->other, NULL, &pem);
    made_put_certificate(world->alone, &pem);
    assert_refused(&pem, "belongs to another certificate");
    made_put_certificate(world->leaf, &pem);
    assert_refused(&pem, "belongs to none of the certificates");
    made_put_key(world->key, NULL, &pem);
    assert_refused(&pem, "several private keys");
}

static void test_an_encrypted_key(void **state)
{
    const struct world *world = *state;
    autobuf pem;

    buf_init(&pem, BUF_ANY_SIZE);
    made_put_certificate(world->alone, &pem);
    made_put_key(world->key, "s3cret", &pem);
    assert_refused(&pem, "openssl pkey -in");
    buf_reset(&pem);
    made_put_old_key(world->key, "s3cret", &pem);
    made_put_certificate(world->alone, &pem);
    assert_refused(&pem, "is encrypted");
}

static void test_keys_that_will_not_do(void **state)
{
    const struct world *world = *state;
    EVP_PKEY *keys[] = {world->small, world->curve};
    const char *words[] = {"1024 bits: 2048", "not RSA"};

    for (size_t i = 0; i < array_size(keys); i++) {
        X509 *own = made_certificate("own", keys[i], "own", keys[i]);
        autobuf pem;

        buf_init(&pem, BUF_ANY_SIZE);
        made_put_certificate(own, &pem);
        made_put_key(keys[i], NULL, &pem);
        assert_refused(&pem, words[i]);
        X509_free(own);
    }
}

/* A file that an editor or a disk cut short. */
static void test_damage(void **state)
{
    const struct world *world = *state;
    autobuf pem;

    buf_init(&pem, BUF_ANY_SIZE);
    made_put_certificate(world->alone, &pem);
    size_t certificate_len = pem.len;
    made_put_key(world->key, NULL, &pem);
    for (size_t len = certificate_len + 40; len + 2 < pem.len; len += 97) {
        autobuf cut;

        buf_init(&cut, BUF_ANY_SIZE);
        buf_append(&cut, pem.data, len);
        assert_refused(&cut, "damaged");
    }
    pem.data[200] = '!';
    assert_refused(&pem, "the PEM text is damaged");
    buf_reset(&pem);
    buf_puts(&pem, "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n");
    assert_refused(&pem, "certificate number 1 in it is damaged");
    buf_reset(&pem);
    buf_puts(&pem, "-----BEGIN PRIVATE KEY-----\nMAMCAQE=\n-----END PRIVATE KEY-----\n");
    assert_refused(&pem, "private key in it is damaged");
}

static void test_what_looks_like_pem(void **state)
{
    (void)state;
    static const char pem[] = "Bag\n-----BEGIN CERTIFICATE-----\n";

    assert_true(certificate_is_pem(pem, strlen(pem)));
    assert_false(certificate_is_pem(pem, 10)); /* ends before */
    assert_false(certificate_is_pem("8Q~a-client-secret", 18));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_it_tells),
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_the_chain_begins_with_the_keys_own),
        cmocka_unit_test(test_signatures),
        cmocka_unit_test(test_what_is_not_there),
        cmocka_unit_test(test_lines_that_ran_together),
        cmocka_unit_test(test_a_key_of_another),
        cmocka_unit_test(test_an_encrypted_key),
        cmocka_unit_test(test_keys_that_will_not_do),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_what_looks_like_pem),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
