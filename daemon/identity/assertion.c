/* SPDX-License-Identifier: MIT */
/* A client assertion: a JSON web token signed with a certificate's key. */
#include "identity/assertion.h"

#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/secret.h"
#include "codec/base64.h"
#include "codec/json.h"
#include "codec/uuid.h"

static const char *algorithm_name(enum certificate_signature how)
{
    switch (how) {
    case CERTIFICATE_RS256:
        return "RS256";
    case CERTIFICATE_PS256:
        return "PS256";
    }
    return "";
}

static void write_member(struct json_writer *json, const char *name, const char *value)
{
    json_write_name(json, name);
    json_write_text(json, value);
}

static void write_thumbprint(struct json_writer *json, const char *name,
                             const unsigned char *digest, size_t len)
{
    autobuf text;

    buf_init(&text, BUF_ANY_SIZE);
    base64url_encode(digest, len, &text);
    write_member(json, name, text.data);
}

static void write_chain(struct json_writer *json, const struct certificate *certificate)
{
    json_write_name(json, "x5c");
    json_write_open(json, '[');
    for (unsigned i = 0; i < certificate_chain_count(certificate); i++) {
        autobuf text;

        buf_init(&text, BUF_ANY_SIZE);
        certificate_chain_base64(certificate, i, &text);
        json_write_text(json, text.data);
    }
    json_write_close(json, ']');
}

/* Appends what was written in base64url, and ends the writer. */
static void finish_part(struct json_writer *json, struct buf *out)
{
    size_t len;
    const char *text;

    json_write_close(json, '}');
    text = json_writer_text(json, &len);
    base64url_encode(text, len, out);
    json_writer_free(json);
}

static void write_header(const struct assertion *assertion, const struct certificate *certificate,
                         struct buf *out)
{
    struct json_writer *json = json_writer_new();

    json_write_open(json, '{');
    write_member(json, "alg", algorithm_name(assertion->how));
    write_member(json, "typ", "JWT");
    write_thumbprint(json, "x5t", certificate_sha1(certificate), CERTIFICATE_SHA1_SIZE);
    write_thumbprint(json, "x5t#S256", certificate_sha256(certificate), CERTIFICATE_SHA256_SIZE);
    if (assertion->send_chain)
        write_chain(json, certificate);
    finish_part(json, out);
}

static void write_claims(const struct assertion *assertion, struct buf *out)
{
    struct json_writer *json = json_writer_new();
    int64_t now_s = clock_wall_ms() / 1000;
    char id[UUID_TEXT_MAX];

    uuid_new(id);
    json_write_open(json, '{');
    write_member(json, "aud", assertion->audience);
    write_member(json, "iss", assertion->client_id);
    write_member(json, "sub", assertion->client_id);
    write_member(json, "jti", id);
    json_write_name(json, "nbf");
    json_write_int(json, now_s);
    json_write_name(json, "iat");
    json_write_int(json, now_s);
    json_write_name(json, "exp");
    json_write_int(json, now_s + ASSERTION_LIFE_S);
    finish_part(json, out);
}

bool assertion_make(const struct assertion *assertion, const struct certificate *certificate,
                    struct secret *ret_assertion, struct err *err)
{
    autobuf text;
    autobuf signature;

    buf_init(&text, BUF_ANY_SIZE);
    buf_init(&signature, BUF_ANY_SIZE);
    write_header(assertion, certificate, &text);
    buf_putc(&text, '.');
    write_claims(assertion, &text);
    if (!certificate_sign(certificate, assertion->how, text.data, text.len, &signature, err))
        return false;
    buf_putc(&text, '.');
    base64url_encode(signature.data, signature.len, &text);
    secret_set(ret_assertion, text.data, text.len);
    buf_wipe(&text);
    buf_wipe(&signature);
    return true;
}
