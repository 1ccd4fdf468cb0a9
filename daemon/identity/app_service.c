/* SPDX-License-Identifier: MIT */
/* The source `app_service` of managed identities: App Service, Functions and Container Apps. */
#include "identity/identity.h"
#include "identity/managed_source.h"
#include "identity/token_refusal.h"
#include "net/http_request.h"

static bool ask(void *self, const char *audience, struct http_request *request, struct err *err)
{
    const struct managed_identity *identity = self;

    (void)err;
    managed_source_ask(identity, "2019-08-01", audience, request);
    http_request_header(request, "X-IDENTITY-HEADER", secret_reveal(&identity->secret));
    return true;
}

static void explain(void *self, const struct token_refusal *refusal, struct err *err)
{
    managed_source_explain(self, refusal, err);
    if (refusal->status == 401 || refusal->status == 403)
        identity_add_reason(err, "the platform sets IDENTITY_HEADER anew at each start: hand it to "
                                 "the daemon as it is now");
}

const struct managed_source managed_source_app_service = {
    .name = "app_service",
    .place = "app",
    .variables = {"IDENTITY_ENDPOINT", "IDENTITY_HEADER"},
    .secret_variable = "IDENTITY_HEADER",
    .path = "/msi/token",
    .id_names = {"client_id", "principal_id", "mi_res_id"},
    .issuer = {.name = "App Service",
               .pace = TOKEN_PACE_OTHER,
               .unreachable = "is IDENTITY_ENDPOINT still the platform's? It sets it at each start",
               .ask = ask,
               .shown = managed_source_shown,
               .explain = explain},
};
