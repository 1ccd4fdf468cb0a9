/* SPDX-License-Identifier: MIT */
/*
 * The source `azure_ml` of managed identities: the compute of Azure Machine Learning. App Service was asked
 * in the same way once, and apps that are still are served by it.
 */
#include "identity/identity.h"
#include "identity/managed_source.h"
#include "identity/token_refusal.h"
#include "net/http_request.h"

#define DEFAULT_CLIENT_ID "DEFAULT_IDENTITY_CLIENT_ID"

static bool ask(void *self, const char *audience, struct http_request *request, struct err *err)
{
    const struct managed_identity *identity = self;
    const char *fallback = managed_source_variable(DEFAULT_CLIENT_ID);
    enum managed_id id;

    (void)err;
    managed_source_ask(identity, "2017-09-01", audience, request);
    if (managed_source_id(identity->settings, &id) == NULL && fallback != NULL)
        http_request_query(request, "clientid", fallback);
    http_request_header(request, "secret", secret_reveal(&identity->secret));
    return true;
}

static void explain(void *self, const struct token_refusal *refusal, struct err *err)
{
    managed_source_explain(self, refusal, err);
    if (refusal->status == 401 || refusal->status == 403)
        identity_add_reason(err, "the platform sets MSI_SECRET anew at each start: hand it to the "
                                 "daemon as it is now");
}

const struct managed_source managed_source_azure_ml = {
    .name = "azure_ml",
    .place = "compute",
    .variables = {"MSI_ENDPOINT", "MSI_SECRET"},
    .secret_variable = "MSI_SECRET",
    .path = "/msi/token",
    .id_names = {"clientid"},
    .issuer = {.name = "Azure ML",
               .pace = TOKEN_PACE_OTHER,
               .unreachable = "is MSI_ENDPOINT still the platform's? It sets it at each start",
               .ask = ask,
               .shown = managed_source_shown,
               .explain = explain},
};
