/* SPDX-License-Identifier: MIT */
/*
 * An RSA certificate with its private key, through libcrypto: read from PEM, told about, signed with.
 * Whether anybody trusts the certificate is not asked, nor what time it is. The key is wiped when it is
 * freed, and no sentence shows any of it.
 */
#ifndef CODEC_CERTIFICATE_H
#define CODEC_CERTIFICATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"

struct buf;
struct certificate;
struct err;

#define CERTIFICATE_SHA1_SIZE   20
#define CERTIFICATE_SHA256_SIZE 32

/* RFC 7518's names: RSASSA-PKCS1-v1_5 and RSASSA-PSS, both over SHA-256. */
enum certificate_signature { CERTIFICATE_RS256, CERTIFICATE_PS256 };

/* Whether a text claims to be PEM. */
bool certificate_is_pem(const char *text, size_t len);

/* Reads a PEM text: one private key, PKCS#8 or RSA's own form, not encrypted, and certificates, in any
 * order; of them the first that the key belongs to counts, the others may be its issuers. Other blocks
 * and what stands between are passed over. ERR_AUTH with what is wrong and what mends it. */
bool certificate_read(const char *pem, size_t len, struct certificate **ret_certificate,
                      struct err *err) MUST_CHECK;
/* NULL is fine. */
void certificate_free(struct certificate *certificate);
#define autocertificate __attribute__((cleanup(certificate_free_slot))) struct certificate
void certificate_free_slot(struct certificate **slot);

/* Digests of the certificate in DER: "thumbprints". */
const unsigned char *certificate_sha1(const struct certificate *certificate);
const unsigned char *certificate_sha256(const struct certificate *certificate);
/* The wall-clock time between which it is valid, both included; milliseconds since 1970. */
int64_t certificate_not_before_ms(const struct certificate *certificate);
int64_t certificate_not_after_ms(const struct certificate *certificate);
/* The certificate itself, number 0, and the issuers that the text had, each the one before's. */
unsigned certificate_chain_count(const struct certificate *certificate);
/* Appends one of them, DER in base64. */
void certificate_chain_base64(const struct certificate *certificate, unsigned number,
                              struct buf *out);

/* Appends the signature of bytes. ERR_AUTH when the key is of no use after all. */
bool certificate_sign(const struct certificate *certificate, enum certificate_signature how,
                      const void *data, size_t len, struct buf *out, struct err *err) MUST_CHECK;

#endif
