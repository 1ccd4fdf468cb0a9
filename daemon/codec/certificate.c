/* SPDX-License-Identifier: MIT */
/* A certificate with its private key, through libcrypto. */
#include "codec/certificate.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "codec/base64.h"

/* NIST's least; and what a signature may take, which is made while all else waits. */
#define KEY_MIN_BITS 2048
#define KEY_MAX_BITS 8192

struct certificate {
    EVP_PKEY *key;
    STACK_OF(X509) * chain; /* the key's own certificate first */
    unsigned char sha1[CERTIFICATE_SHA1_SIZE];
    unsigned char sha256[CERTIFICATE_SHA256_SIZE];
    int64_t not_before_ms;
    int64_t not_after_ms;
};

/* One block of a PEM text. */
struct block {
    char *name;
    char *header;
    unsigned char *der;
    long len;
};

/* What a PEM text holds. */
struct content {
    EVP_PKEY *key;
    STACK_OF(X509) * certificates;
};

static void content_done(struct content *content)
{
    EVP_PKEY_free(content->key);
    sk_X509_pop_free(content->certificates, X509_free);
}

static void block_done(struct block *block)
{
    OPENSSL_secure_free(block->name);
    OPENSSL_secure_free(block->header);
    OPENSSL_secure_clear_free(block->der, (size_t)block->len);
}

bool certificate_is_pem(const char *text, size_t len)
{
    static const char begin[] = "-----BEGIN ";

    return memmem(text, len, begin, strlen(begin)) != NULL;
}

/* --- reading --- */

static bool take_key(struct content *content, const struct block *block, struct err *err)
{
    const unsigned char *der = block->der;

    if (str_equal(block->name, "ENCRYPTED PRIVATE KEY") ||
        strstr(block->header, "ENCRYPTED") != NULL)
        return err_set(err, ERR_AUTH,
                       "the private key is encrypted, and nobody is there to type its passphrase; "
                       "put the output of `openssl pkey -in FILE` in its place");
    if (content->key != NULL)
        return err_set(err, ERR_AUTH, "there are several private keys in it; keep one");
    content->key = d2i_AutoPrivateKey(NULL, &der, block->len);
    if (content->key == NULL)
        return err_set(err, ERR_AUTH, "the private key in it is damaged");
    return true;
}

static bool take_certificate(struct content *content, const struct block *block, struct err *err)
{
    const unsigned char *der = block->der;
    X509 *certificate = d2i_X509(NULL, &der, block->len);

    if (certificate == NULL)
        return err_set(err, ERR_AUTH, "certificate number %d in it is damaged",
                       sk_X509_num(content->certificates) + 1);
    if (sk_X509_push(content->certificates, certificate) == 0)
        fatal("libcrypto is out of memory");
    return true;
}

static bool take_block(struct content *content, const struct block *block, struct err *err)
{
    if (str_equal(block->name, "CERTIFICATE") || str_equal(block->name, "X509 CERTIFICATE"))
        return take_certificate(content, block, err);
    if (str_ends(block->name, "PRIVATE KEY"))
        return take_key(content, block, err);
    return true;
}

static bool read_blocks(BIO *text, struct content *content, struct err *err)
{
    bool good = true;

    while (good) {
        struct block block __attribute__((cleanup(block_done))) = {0};

        if (!PEM_read_bio_ex(text, &block.name, &block.header, &block.der, &block.len,
                             PEM_FLAG_SECURE | PEM_FLAG_EAY_COMPATIBLE))
            break;
        good = take_block(content, &block, err);
    }
    if (good && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
        return err_set(err, ERR_AUTH,
                       "the PEM text is damaged: a block without its end, or no base64");
    return good;
}

static bool check_content(const struct content *content, const char *pem, size_t len,
                          struct err *err)
{
    bool is_empty = content->key == NULL && sk_X509_num(content->certificates) == 0;

    if (is_empty && certificate_is_pem(pem, len))
        return err_set(err, ERR_AUTH,
                       "its lines have run together: in PEM each BEGIN and each END has a line of "
                       "its own; keep it in a file");
    if (is_empty)
        return err_set(
            err, ERR_AUTH,
            "neither a certificate nor a private key is in it: both are due, in PEM; of a "
            ".pfx file, `openssl pkcs12 -nodes -in FILE` writes them");
    if (sk_X509_num(content->certificates) == 0)
        return err_set(err, ERR_AUTH, "there is no certificate in it beside the private key");
    if (content->key == NULL)
        return err_set(err, ERR_AUTH,
                       "there is no private key in it: put it beside the certificate, in PEM");
    if (!EVP_PKEY_is_a(content->key, "RSA"))
        return err_set(err, ERR_AUTH, "the private key is not RSA, which is due");
    if (EVP_PKEY_get_bits(content->key) < KEY_MIN_BITS ||
        EVP_PKEY_get_bits(content->key) > KEY_MAX_BITS)
        return err_set(err, ERR_AUTH, "the RSA key has %d bits: %d to %d are due",
                       EVP_PKEY_get_bits(content->key), KEY_MIN_BITS, KEY_MAX_BITS);
    return true;
}

/* The first certificate that the key belongs to, borrowed; NULL when there is none. */
static X509 *find_own(const struct content *content)
{
    for (int i = 0; i < sk_X509_num(content->certificates); i++) {
        X509 *certificate = sk_X509_value(content->certificates, i);
        if (X509_check_private_key(certificate, content->key) == 1)
            return certificate;
    }
    return NULL;
}

static bool read_time(const ASN1_TIME *time, int64_t *ret_ms)
{
    struct tm tm;

    if (ASN1_TIME_to_tm(time, &tm) != 1)
        return false;
    *ret_ms = (int64_t)timegm(&tm) * 1000;
    return true;
}

/* Takes the key, and what there is to tell of the certificate. */
static bool take_content(struct certificate *certificate, struct content *content, struct err *err)
{
    X509 *own = find_own(content);

    if (own == NULL)
        return err_set(err, ERR_AUTH, "the private key belongs to %s in it",
                       sk_X509_num(content->certificates) == 1 ? "another certificate than that"
                                                               : "none of the certificates");
    if (!read_time(X509_get0_notBefore(own), &certificate->not_before_ms) ||
        !read_time(X509_get0_notAfter(own), &certificate->not_after_ms))
        return err_set(err, ERR_AUTH, "the certificate's dates are none");
    certificate->chain = X509_build_chain(own, content->certificates, NULL, 1, NULL, NULL);
    if (certificate->chain == NULL || X509_digest(own, EVP_sha1(), certificate->sha1, NULL) != 1 ||
        X509_digest(own, EVP_sha256(), certificate->sha256, NULL) != 1)
        return err_set(err, ERR_AUTH, "libcrypto can not work with the certificate");
    certificate->key = take(content->key);
    return true;
}

bool certificate_read(const char *pem, size_t len, struct certificate **ret_certificate,
                      struct err *err)
{
    struct content content __attribute__((cleanup(content_done))) = {0};
    struct certificate *certificate = xcalloc(1, sizeof(*certificate));
    BIO *text = BIO_new_mem_buf(pem, (int)len);

    content.certificates = sk_X509_new_null();
    if (text == NULL || content.certificates == NULL)
        fatal("libcrypto is out of memory");
    bool good = read_blocks(text, &content, err) && check_content(&content, pem, len, err) &&
                take_content(certificate, &content, err);
    BIO_free(text);
    ERR_clear_error(); /* or libcurl may take it for an error of a connection's */
    if (good)
        *ret_certificate = certificate;
    else
        certificate_free(certificate);
    return good;
}

void certificate_free(struct certificate *certificate)
{
    if (certificate == NULL)
        return;
    EVP_PKEY_free(certificate->key);
    sk_X509_pop_free(certificate->chain, X509_free);
    alloc_free(certificate);
}

void certificate_free_slot(struct certificate **slot)
{
    certificate_free(*slot);
}

/* --- telling --- */

const unsigned char *certificate_sha1(const struct certificate *certificate)
{
    return certificate->sha1;
}

const unsigned char *certificate_sha256(const struct certificate *certificate)
{
    return certificate->sha256;
}

int64_t certificate_not_before_ms(const struct certificate *certificate)
{
    return certificate->not_before_ms;
}

int64_t certificate_not_after_ms(const struct certificate *certificate)
{
    return certificate->not_after_ms;
}

unsigned certificate_chain_count(const struct certificate *certificate)
{
    return (unsigned)sk_X509_num(certificate->chain);
}

void certificate_chain_base64(const struct certificate *certificate, unsigned number,
                              struct buf *out)
{
    unsigned char *der = NULL;
    int len = i2d_X509(sk_X509_value(certificate->chain, (int)number), &der);

    if (len < 0)
        fatal("libcrypto can not write a certificate that it has read");
    base64_encode(der, (size_t)len, out);
    OPENSSL_free(der);
}

/* --- signing --- */

static bool begin_signature(EVP_MD_CTX *context, EVP_PKEY *key, enum certificate_signature how)
{
    EVP_PKEY_CTX *options;

    if (EVP_DigestSignInit(context, &options, EVP_sha256(), NULL, key) != 1)
        return false;
    switch (how) {
    case CERTIFICATE_RS256:
        return EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PADDING) == 1;
    case CERTIFICATE_PS256:
        return EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) == 1 &&
               EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST) == 1;
    }
    return false;
}

bool certificate_sign(const struct certificate *certificate, enum certificate_signature how,
                      const void *data, size_t len, struct buf *out, struct err *err)
{
    unsigned char signature[KEY_MAX_BITS / 8];
    size_t signature_len = sizeof(signature);
    EVP_MD_CTX *context = EVP_MD_CTX_new();

    if (context == NULL)
        fatal("libcrypto is out of memory");
    bool good = begin_signature(context, certificate->key, how) &&
                EVP_DigestSign(context, signature, &signature_len, data, len) == 1;
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    if (!good)
        return err_set(err, ERR_AUTH, "libcrypto can not sign with the certificate's key");
    buf_append(out, signature, signature_len);
    return true;
}
