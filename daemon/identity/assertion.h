/* SPDX-License-Identifier: MIT */
/*
 * How an application proves to Microsoft Entra that it holds a certificate's key: a JSON web token that
 * it signs itself ("Microsoft identity platform application authentication certificate credentials").
 */
#ifndef IDENTITY_ASSERTION_H
#define IDENTITY_ASSERTION_H

#include <stdbool.h>

#include "base/alloc.h"
#include "codec/certificate.h"

struct err;
struct secret;

#define ASSERTION_LIFE_S 600

struct assertion {
    const char *client_id; /* who signs: `iss` and `sub` */
    const char *audience;  /* the URL of the token endpoint: `aud` */
    enum certificate_signature how;
    bool send_chain; /* the certificate and its issuers go with it: `x5c` */
};

/* Makes one that begins now, by the wall clock, and lives for ASSERTION_LIFE_S, with an id of its own.
 * ret_assertion's old value is wiped. ERR_AUTH when the key is of no use. */
bool assertion_make(const struct assertion *assertion, const struct certificate *certificate,
                    struct secret *ret_assertion, struct err *err) MUST_CHECK;

#endif
