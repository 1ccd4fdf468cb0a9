/* SPDX-License-Identifier: MIT */
/* The identity kind `service_principal`: an application of Microsoft Entra, with a secret or a certificate. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "base/str.h"
#include "codec/certificate.h"
#include "codec/uuid.h"
#include "config/mistakes.h"
#include "config/table.h"
#include "identity/assertion.h"
#include "identity/certificate_use.h"
#include "identity/entra.h"
#include "identity/identity.h"
#include "identity/issuer.h"
#include "identity/token_error.h"

struct settings {
    struct config_place place;
    struct entra_app app;
    struct config_secret client_secret;
    struct config_secret certificate;
    int endpoint_version; /* enum entra_version */
    bool send_certificate_chain;
};

/* Holds either a secret or a certificate. */
struct service_principal {
    struct identity *owner;
    const struct settings *settings;
    struct secret secret;
    struct certificate_use certificate;
};

static const struct config_row rows[] = {
    {.name = "tenant_id",
     .type = CONFIG_TEXT,
     .offset = offsetof(struct settings, app.tenant_id),
     .required = true,
     .max = 255,
     .help = "The tenant that the application signs in to: its id (a GUID) or one of its domains."},
    {.name = "client_id",
     .type = CONFIG_TEXT,
     .offset = offsetof(struct settings, app.client_id),
     .required = true,
     .help = "The application's (client) id, a GUID."},
    {.name = "client_secret",
     .type = CONFIG_SECRET,
     .offset = offsetof(struct settings, client_secret),
     .help = "A client secret of the application: its value, which is shown only when it is made, "
             "not its id. Either this or a certificate is needed."},
    {.name = "certificate",
     .type = CONFIG_SECRET,
     .offset = offsetof(struct settings, certificate),
     .help = "A certificate that the application knows and its private key, both in PEM: RSA, 2048 "
             "bits or more, not encrypted. Certificates of its issuers may stand there too."},
    {.name = "send_certificate_chain",
     .type = CONFIG_BOOL,
     .offset = offsetof(struct settings, send_certificate_chain),
     .text = "false",
     .help =
         "Send the certificate and its issuers along (x5c), for applications that trust a subject "
         "name and issuer instead of one certificate."},
    {.name = "authority",
     .type = CONFIG_TEXT,
     .offset = offsetof(struct settings, app.authority),
     .text = "https://login.microsoftonline.com",
     .max = 255,
     .help = "Where tokens are asked for. Other clouds: https://login.microsoftonline.us (Azure "
             "Government), https://login.partner.microsoftonline.cn (Azure in China)."},
    {.name = "endpoint_version",
     .type = CONFIG_CHOICE,
     .offset = offsetof(struct settings, endpoint_version),
     .choices = entra_versions,
     .text = "v2",
     .help = "The authority's token endpoint: /oauth2/v2.0/token, or the older /oauth2/token. Both "
             "give tokens that are good for storage."},
    {0},
};

/* --- settings --- */

static bool is_written(const struct node *map, const char *const *keys)
{
    for (; *keys != NULL; keys++) {
        if (entra_is_written(map, *keys))
            return true;
    }
    return false;
}

static void check_settings(void *object, const struct node *map, struct mistakes *mistakes)
{
    static const char *const secret_keys[] = {"client_secret", "client_secret_file",
                                              "client_secret_credential", NULL};
    static const char *const certificate_keys[] = {"certificate", "certificate_file",
                                                   "certificate_credential", NULL};
    struct settings *settings = object;
    bool secret = is_written(map, secret_keys), certificate = is_written(map, certificate_keys);

    entra_check(&settings->app, map, mistakes);
    if (secret && certificate)
        mistakes_at(mistakes, map, "write one of client_secret and certificate, not both");
    if (!secret && !certificate)
        mistakes_at(mistakes, map,
                    "a service_principal identity needs client_secret or certificate; \"_file\" or "
                    "\"_credential\" may stand behind either");
    if (settings->send_certificate_chain && secret && !certificate)
        mistakes_at_key(mistakes, map, "send_certificate_chain",
                        "send_certificate_chain: there is no certificate to send");
}

static bool check_client_secret(const char *text, const char *permissions, struct err *err)
{
    (void)permissions;
    if (certificate_is_pem(text, strlen(text)))
        return err_set(err, ERR_AUTH,
                       "it holds a certificate or a key, for which `certificate` is");
    for (const char *c = text; *c != '\0'; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            return err_set(
                err, ERR_AUTH,
                "it holds a control character or several lines, as no client secret does");
    }
    return true;
}

/* Of a client secret nothing is known. */
static bool facts(const char *text, struct identity_facts *ret_facts)
{
    return certificate_is_pem(text, strlen(text)) && certificate_use_facts(text, ret_facts);
}

/* --- life --- */

static void *create(struct identity *owner, const struct identity_context *context,
                    const void *settings)
{
    struct service_principal *principal = xcalloc(1, sizeof(*principal));

    (void)context;
    principal->owner = owner;
    principal->settings = settings;
    return principal;
}

static void destroy(void *self)
{
    struct service_principal *principal = self;

    secret_done(&principal->secret);
    certificate_use_done(&principal->certificate);
    free(principal);
}

static bool has_certificate(const struct service_principal *principal)
{
    return config_secret_is_set(&principal->settings->certificate);
}

static bool adopt(void *self, const struct secret *text, struct err *err)
{
    struct service_principal *principal = self;

    if (has_certificate(principal))
        return certificate_use_adopt(&principal->certificate, text, err);
    if (!check_client_secret(secret_reveal(text), "", err))
        return err_prefix(err, "client_secret");
    secret_set(&principal->secret, text->bytes, text->len);
    return true;
}

static bool is_stale(void *self, int64_t read_ms)
{
    struct service_principal *principal = self;

    return has_certificate(principal) && certificate_use_is_stale(&principal->certificate, read_ms);
}

/* --- tokens --- */

static bool add_assertion(struct service_principal *principal, struct http_request *request,
                          struct err *err)
{
    const struct settings *settings = principal->settings;
    autofree char *url =
        entra_token_url(&settings->app, (enum entra_version)settings->endpoint_version);
    const struct assertion assertion = {
        .client_id = settings->app.client_id,
        .audience = url,
        .how = settings->endpoint_version == ENTRA_V2 ? CERTIFICATE_PS256 : CERTIFICATE_RS256,
        .send_chain = settings->send_certificate_chain,
    };
    autosecret text = {0};

    if (!certificate_use_sign(&principal->certificate, &assertion, identity_label(principal->owner),
                              &text, err))
        return false;
    entra_add_assertion(request, &text);
    return true;
}

static bool ask(void *self, const char *audience, struct http_request *request, struct err *err)
{
    struct service_principal *principal = self;
    const struct settings *settings = principal->settings;

    entra_ask(&settings->app, (enum entra_version)settings->endpoint_version, audience, request);
    if (has_certificate(principal))
        return add_assertion(principal, request, err);
    entra_add(request, "client_secret", secret_reveal(&principal->secret));
    return true;
}

/* --- refusals --- */

/* Where a new one is to go; what a credential needs is said elsewhere. */
static void add_file(const struct config_secret *setting, const char *what, struct err *err)
{
    if (setting->file != NULL)
        identity_add_reason(err, "a new %s goes into %s", what, setting->file);
}

static void explain_secret(const struct service_principal *principal, const char *code,
                           bool is_refused, struct err *err)
{
    if (str_equal(code, "AADSTS7000215") && uuid_is_valid(secret_reveal(&principal->secret)))
        identity_add_reason(err, "what client_secret holds looks like a secret's id");
    if (is_refused)
        add_file(&principal->settings->client_secret, "secret", err);
}

static void explain_certificate(const struct service_principal *principal, bool is_refused,
                                struct err *err)
{
    if (err->code == ERR_AUTH)
        certificate_use_explain(&principal->certificate, is_refused, err);
    if (is_refused)
        add_file(&principal->settings->certificate, "certificate", err);
}

static void explain(void *self, const struct token_refusal *refusal, struct err *err)
{
    struct service_principal *principal = self;
    bool is_refused = token_error_is_of_secret(err);

    if (has_certificate(principal))
        explain_certificate(principal, is_refused, err);
    else
        explain_secret(principal, refusal->aadsts, is_refused, err);
    entra_explain(&principal->settings->app, refusal, err);
}

static const struct secret *shown(void *self)
{
    return &((struct service_principal *)self)->secret;
}

static const struct issuer *issuer(void *self)
{
    static const struct issuer entra = {
        .name = ENTRA_NAME,
        .pace = TOKEN_PACE_OTHER,
        .ask = ask,
        .shown = shown,
        .explain = explain,
    };

    (void)self;
    return &entra;
}

const struct identity_kind identity_kind_service_principal = {
    .name = "service_principal",
    .doc = "An application of Microsoft Entra, with a client secret or a certificate.",
    .table = {.name = "service_principal identity",
              .size = sizeof(struct settings),
              .rows = rows,
              .check = check_settings},
    .secrets = {{"client_secret", offsetof(struct settings, client_secret), check_client_secret},
                {"certificate", offsetof(struct settings, certificate), certificate_use_check}},
    .adopt = adopt,
    .is_stale = is_stale,
    .facts = facts,
    .issuer = issuer,
    .create = create,
    .destroy = destroy,
};
