/* SPDX-License-Identifier: MIT */
/* Microsoft Entra's token endpoint, as applications ask it. */
#include "identity/entra.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/secret.h"
#include "base/str.h"
#include "codec/uuid.h"
#include "config/mistakes.h"
#include "config/node.h"
#include "config/table.h"
#include "identity/identity.h"
#include "identity/token_error.h"
#include "net/http_request.h"
#include "net/url.h"

#define ASSERTION_TYPE "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

const char *const entra_versions[] = {"v2", "v1", NULL};

/* --- settings --- */

bool entra_is_written(const struct node *map, const char *key)
{
    const struct node *value = node_member(map, key);

    return value != NULL && value->type != NODE_NULL;
}

bool entra_take_variable(char **member, const char *variable)
{
    const char *value = config_getenv(variable);

    if (*member == NULL && value != NULL && *value != '\0')
        *member = xstrdup(value);
    return *member != NULL;
}

/* What a mistake calls a setting: its key, or the variable that it came from. */
static const char *name_of(const struct node *map, const char *key, const char *variable)
{
    return entra_is_written(map, key) ? key : variable;
}

static bool is_tenant(const char *text)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.";

    return text[0] != '\0' && text[0] != '.' && text[0] != '-' &&
           text[strspn(text, letters)] == '\0';
}

/* Names that stand for all tenants, in which users sign in but no application does. */
static bool is_any_tenant(const char *text)
{
    return str_equal_nocase(text, "common") || str_equal_nocase(text, "organizations") ||
           str_equal_nocase(text, "consumers");
}

static void check_tenant(const char *tenant, const struct node *map, struct mistakes *mistakes)
{
    const char *name = name_of(map, "tenant_id", "AZURE_TENANT_ID");
    char excerpt[MISTAKES_EXCERPT_MAX];

    if (!is_tenant(tenant))
        mistakes_at_key(mistakes, map, "tenant_id",
                        "%s: \"%s\" is no tenant: its id, a GUID, or one of its domains is due",
                        name, mistakes_excerpt(tenant, excerpt));
    else if (is_any_tenant(tenant))
        mistakes_at_key(
            mistakes, map, "tenant_id",
            "%s: \"%s\" is for users; an application needs the one tenant that it is in", name,
            tenant);
}

/* Whether the secret may go there. */
static bool is_safe(const struct url *url)
{
    return str_equal(url->scheme, "https") ||
           (str_equal(url->scheme, "http") && url_is_loopback(url));
}

static bool is_origin(const struct url *url)
{
    return str_equal(url->path, "/") && url->query == NULL && !url->has_user && !url->has_fragment;
}

/* SDKs take AZURE_AUTHORITY_HOST without a scheme, too. */
static void add_scheme(char **authority)
{
    if (strstr(*authority, "://") != NULL)
        return;
    char *whole = xasprintf("https://%s", *authority);
    free(*authority);
    *authority = whole;
}

static void drop_slash(char *authority)
{
    size_t len = strlen(authority);

    if (authority[len - 1] == '/')
        authority[len - 1] = '\0';
}

static void check_authority(char **authority, const struct node *map, struct mistakes *mistakes)
{
    const char *name = name_of(map, "authority", "AZURE_AUTHORITY_HOST");
    autourl url = {0};
    struct err err;

    add_scheme(authority);
    if (!url_parse(*authority, &url, &err))
        mistakes_at_key(mistakes, map, "authority", "%s: %s; %s is the usual one", name, err.text,
                        ENTRA_AUTHORITY);
    else if (!is_safe(&url))
        mistakes_at_key(mistakes, map, "authority",
                        "%s: https:// is due; http:// would show the secret, and is for this "
                        "machine only",
                        name);
    else if (!is_origin(&url))
        mistakes_at_key(mistakes, map, "authority",
                        "%s: only scheme and host are due, as in %s; the tenant has a setting of "
                        "its own, and AD FS (/adfs) is not supported",
                        name, ENTRA_AUTHORITY);
    else
        drop_slash(*authority);
}

/* A GUID, at Entra. Others who speak its protocol have names; a secret is longer. */
static bool is_client_id(const char *text)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.";

    return text[strspn(text, allowed)] == '\0' && strlen(text) <= UUID_TEXT_MAX - 1;
}

void entra_check(struct entra_app *app, const struct node *map, struct mistakes *mistakes)
{
    if (app->tenant_id != NULL)
        check_tenant(app->tenant_id, map, mistakes);
    /* Not shown: a secret may stand there by mistake. */
    if (app->client_id != NULL && !is_client_id(app->client_id))
        mistakes_at_key(mistakes, map, "client_id",
                        "%s: a GUID is due, the application's (client) id",
                        name_of(map, "client_id", "AZURE_CLIENT_ID"));
    if (app->authority != NULL)
        check_authority(&app->authority, map, mistakes);
}

/* --- requests --- */

char *entra_token_url(const struct entra_app *app, enum entra_version version)
{
    return xasprintf("%s/%s/oauth2/%stoken", app->authority, app->tenant_id,
                     version == ENTRA_V2 ? "v2.0/" : "");
}

void entra_add(struct http_request *request, const char *name, const char *value)
{
    if (request->body.len > 0)
        buf_putc(&request->body, '&');
    buf_puts(&request->body, name);
    buf_putc(&request->body, '=');
    url_encode(&request->body, value);
}

void entra_ask(const struct entra_app *app, enum entra_version version, const char *audience,
               struct http_request *request)
{
    autofree char *url = entra_token_url(app, version);
    autofree char *scope = xasprintf("%s.default", audience);

    request->method = HTTP_POST;
    buf_puts(&request->url, url);
    http_request_header(request, "Content-Type", "application/x-www-form-urlencoded");
    http_request_header(request, "Accept", "application/json");
    entra_add(request, "client_id", app->client_id);
    if (version == ENTRA_V2)
        entra_add(request, "scope", scope);
    else
        entra_add(request, "resource", audience);
    entra_add(request, "grant_type", "client_credentials");
}

void entra_add_assertion(struct http_request *request, const struct secret *assertion)
{
    entra_add(request, "client_assertion_type", ASSERTION_TYPE);
    entra_add(request, "client_assertion", secret_reveal(assertion));
}

void entra_explain(const struct entra_app *app, const struct token_refusal *refusal,
                   struct err *err)
{
    if (refusal->aadsts[0] == '\0' || err->code != ERR_AUTH)
        return;
    if (strstr(err->text, app->client_id) == NULL)
        identity_add_reason(err, "client_id is %s", app->client_id);
    if (strstr(err->text, app->tenant_id) == NULL)
        identity_add_reason(err, "tenant_id is %s", app->tenant_id);
}
