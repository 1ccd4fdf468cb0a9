/* SPDX-License-Identifier: MIT */
/*
 * Certificates and keys for tests, made by libcrypto on the spot, and its own verdict on a signature.
 */
#ifndef TESTS_CODEC_CERTIFICATES_H
#define TESTS_CODEC_CERTIFICATES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/buf.h"

/* 2026-01-01 and 2027-01-01. */
#define MADE_FROM_S  1767225600
#define MADE_UNTIL_S 1798761600

/* A name that a certificate is made for or by. */
static inline X509_NAME *made_name(const char *text)
{
    X509_NAME *name = X509_NAME_new();

    assert_int_equal(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                                (const unsigned char *)text, -1, -1, 0),
                     1);
    return name;
}

/* issuer_key signs; the names differ unless it signs itself. */
static inline X509 *made_certificate(const char *subject, EVP_PKEY *key, const char *issuer,
                                     EVP_PKEY *issuer_key)
{
    static long serial;
    X509 *certificate = X509_new();
    X509_NAME *names[] = {made_name(subject), made_name(issuer)};
    X509_EXTENSION *extension =
        X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, "critical,CA:TRUE");

    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial);
    ASN1_TIME_set(X509_getm_notBefore(certificate), MADE_FROM_S);
    ASN1_TIME_set(X509_getm_notAfter(certificate), MADE_UNTIL_S);
    X509_set_subject_name(certificate, names[0]);
    X509_set_issuer_name(certificate, names[1]);
    X509_set_pubkey(certificate, key);
    assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
    assert_true(X509_sign(certificate, issuer_key, EVP_sha256()) > 0);
    X509_EXTENSION_free(extension);
    X509_NAME_free(names[0]);
    X509_NAME_free(names[1]);
    return certificate;
}

/* Appends what libcrypto wrote, and frees it. */
static inline void made_take(BIO *bio, struct buf *out)
{
    char *text;
    long len = BIO_get_mem_data(bio, &text);

    assert_true(len > 0 && buf_append(out, text, (size_t)len));
    BIO_free(bio);
}

static inline void made_put_certificate(X509 *certificate, struct buf *out)
{
    BIO *bio = BIO_new(BIO_s_mem());

    assert_int_equal(PEM_write_bio_X509(bio, certificate), 1);
    made_take(bio, out);
}

/* PKCS#8; encrypted with a passphrase. */
static inline void made_put_key(EVP_PKEY *key, const char *passphrase, struct buf *out)
{
    BIO *bio = BIO_new(BIO_s_mem());

    assert_int_equal(PEM_write_bio_PKCS8PrivateKey(
                         bio, key, passphrase == NULL ? NULL : EVP_aes_256_cbc(), passphrase,
                         passphrase == NULL ? 0 : (int)strlen(passphrase), NULL, NULL),
                     1);
    made_take(bio, out);
}

/* The form that openssl wrote before PKCS#8; encrypted with a passphrase. */
static inline void made_put_old_key(EVP_PKEY *key, const char *passphrase, struct buf *out)
{
    BIO *bio = BIO_new(BIO_s_mem());

    assert_int_equal(PEM_write_bio_PrivateKey_traditional(
                         bio, key, passphrase == NULL ? NULL : EVP_aes_256_cbc(),
                         (const unsigned char *)passphrase,
                         passphrase == NULL ? 0 : (int)strlen(passphrase), NULL, NULL),
                     1);
    made_take(bio, out);
}

/* libcrypto's own verdict on RS256, or with pss on PS256 (a salt as long as the digest). */
static inline bool made_verifies(EVP_PKEY *key, bool pss, const void *signature,
                                 size_t signature_len, const void *data, size_t len)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *options;

    assert_int_equal(EVP_DigestVerifyInit(context, &options, EVP_sha256(), NULL, key), 1);
    assert_int_equal(
        EVP_PKEY_CTX_set_rsa_padding(options, pss ? RSA_PKCS1_PSS_PADDING : RSA_PKCS1_PADDING), 1);
    if (pss)
        assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST), 1);
    bool good = EVP_DigestVerify(context, signature, signature_len, data, len) == 1;
    EVP_MD_CTX_free(context);
    return good;
}

#endif
