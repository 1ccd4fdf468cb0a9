/* SPDX-License-Identifier: MIT */
/* codec/certificate: a PEM text. */
#include "codec/certificate.h"

#include <openssl/err.h>

#include "base/buf.h"
#include "base/err.h"
#include "codec/base64.h"
#include "fuzz.h"

static void check_chain(const struct certificate *certificate)
{
    check(certificate_chain_count(certificate) > 0);
    for (unsigned i = 0; i < certificate_chain_count(certificate); i++) {
        autobuf text;
        autobuf der;

        buf_init(&text, BUF_ANY_SIZE);
        buf_init(&der, BUF_ANY_SIZE);
        certificate_chain_base64(certificate, i, &text);
        check(base64_decode(text.data, text.len, &der) && der.len > 0);
    }
}

static void check_signs(const struct certificate *certificate)
{
    for (int how = CERTIFICATE_RS256; how <= CERTIFICATE_PS256; how++) {
        autobuf signature;
        struct err err;

        buf_init(&signature, BUF_ANY_SIZE);
        if (certificate_sign(certificate, how, "a.b", 3, &signature, &err))
            check(signature.len >= 256 && signature.len <= 1024);
        else
            check(err.code == ERR_AUTH && signature.len == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    autofree char *pem = fuzz_bytes(data, size);
    autocertificate *certificate = NULL;
    struct err err;

    if (certificate_read(pem, size, &certificate, &err)) {
        check_chain(certificate);
        check_signs(certificate);
    } else {
        check(err.code == ERR_AUTH && fuzz_is_sentence(err.text));
        check(certificate == NULL);
    }
    check(ERR_peek_error() == 0);
    (void)certificate_is_pem(pem, size);
    return 0;
}
