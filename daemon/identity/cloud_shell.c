/* SPDX-License-Identifier: MIT */
/* The source `cloud_shell` of managed identities: Azure Cloud Shell, where it is the user who asks. */
#include "identity/managed_source.h"
#include "net/http_request.h"
#include "net/url.h"

static bool ask(void *self, const char *audience, struct http_request *request, struct err *err)
{
    const struct managed_identity *identity = self;

    (void)err;
    request->method = HTTP_POST;
    request->direct = true;
    buf_puts(&request->url, identity->endpoint);
    http_request_header(request, "Metadata", "true");
    http_request_header(request, "Content-Type", "application/x-www-form-urlencoded");
    buf_puts(&request->body, "resource=");
    url_encode(&request->body, audience);
    return true;
}

const struct managed_source managed_source_cloud_shell = {
    .name = "cloud_shell",
    .place = "shell",
    .variables = {"MSI_ENDPOINT"},
    .path = "/oauth2/token",
    .issuer = {.name = "Cloud Shell",
               .pace = TOKEN_PACE_OTHER,
               .unreachable = "is MSI_ENDPOINT still this shell's? It is set at each start",
               .ask = ask},
};
