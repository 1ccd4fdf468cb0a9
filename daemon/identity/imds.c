/* SPDX-License-Identifier: MIT */
/* The source `imds` of managed identities: the metadata service of a virtual machine or scale set. */
#include "identity/managed_source.h"
#include "net/http_request.h"

static bool ask(void *self, const char *audience, struct http_request *request, struct err *err)
{
    (void)err;
    managed_source_ask(self, "2018-02-01", audience, request);
    http_request_header(request, "Metadata", "true");
    return true;
}

const struct managed_source managed_source_imds = {
    .name = "imds",
    .place = "machine",
    .variables = {"AZURE_POD_IDENTITY_AUTHORITY_HOST"},
    .default_endpoint = "http://169.254.169.254",
    .path = "/metadata/identity/oauth2/token",
    .id_names = {"client_id", "object_id", "msi_res_id"},
    .issuer = {.name = "IMDS",
               .pace = TOKEN_PACE_IMDS,
               .unreachable =
                   "is this an Azure machine? Elsewhere, and in a container that is kept "
                   "from the metadata service, use another source or kind of identity",
               .ask = ask,
               .explain = managed_source_explain},
};
