/* SPDX-License-Identifier: MIT */
/*
 * Why an issuer gave no token: its status, its own code, the decision that forces and the mend. Sources:
 * IMDS "Error handling", App Service "REST endpoint reference", "Microsoft Entra authentication and
 * authorization error codes" (AADSTS...).
 */
#ifndef IDENTITY_TOKEN_ERROR_H
#define IDENTITY_TOKEN_ERROR_H

#include <stdbool.h>

#include "identity/token_refusal.h"

struct err;

/* Fills err: "ISSUER: STATUS CODE: meaning and mend (description)". Codes: 404 408 410 5xx ERR_SERVER (with
 * the issuer's retry_after_ms), 429 ERR_THROTTLED, all others ERR_AUTH, but for codes that say that it may
 * pass; a redirect is ERR_AUTH and not followed. service_code is the AADSTS code where there is one, else
 * `code`. A clock that differs from the answer's Date by five minutes is named when the refusal may come of
 * it. */
void token_error_explain(const struct token_refusal *refusal, const char *issuer,
                         struct err *ret_err);
/* Whether the issuer refused the secret, certificate or assertion that it was given: it has expired, is
 * wrong or unknown. A file that it came from is read again before the next try. */
bool token_error_is_of_secret(const struct err *err);

#endif
