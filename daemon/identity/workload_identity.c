/* SPDX-License-Identifier: MIT */
/* The identity kind `workload_identity`: an application of Microsoft Entra that trusts tokens of a platform,
 * such as a Kubernetes cluster, which puts them into a file. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/secret.h"
#include "base/str.h"
#include "codec/base64.h"
#include "codec/date.h"
#include "codec/json.h"
#include "config/mistakes.h"
#include "config/table.h"
#include "identity/entra.h"
#include "identity/identity.h"
#include "identity/issuer.h"
#include "identity/token_error.h"

#define MAX_DEPTH 16
#define LATEST_S  253402300799 /* the end of the year 9999 */
#define MAX_CLAIM 200          /* an AKS cluster's issuer has 110 to 125 bytes */

struct settings {
    struct config_place place;
    struct entra_app app;
    char *token_file;
};

struct workload_identity {
    const struct settings *settings;
    struct config_secret file; /* for the source; its text is the settings' */
    struct secret token;
};

static const struct config_row rows[] = {
    {.name = "tenant_id",
     .type = CONFIG_TEXT,
     .offset = offsetof(struct settings, app.tenant_id),
     .max = 255,
     .help = "The tenant that the application is in: its id (a GUID) or one of its domains. "
             "$AZURE_TENANT_ID when absent."},
    {.name = "client_id",
     .type = CONFIG_TEXT,
     .offset = offsetof(struct settings, app.client_id),
     .help = "The client id, a GUID, of the application or the managed identity that trusts the "
             "token. $AZURE_CLIENT_ID when absent."},
    {.name = "token_file",
     .type = CONFIG_TEXT,
     .offset = offsetof(struct settings, token_file),
     .absolute = true,
     .help = "Where the platform keeps the token, which is read anew each time. "
             "$AZURE_FEDERATED_TOKEN_FILE when absent."},
    {.name = "authority",
     .type = CONFIG_TEXT,
     .offset = offsetof(struct settings, app.authority),
     .max = 255,
     .help = "Where tokens are asked for. $AZURE_AUTHORITY_HOST when absent, and "
             "https://login.microsoftonline.com without it. Other clouds: "
             "https://login.microsoftonline.us (Azure Government), "
             "https://login.partner.microsoftonline.cn (Azure in China)."},
    {0},
};

/* --- settings --- */

/* A setting, or its variable; there must be one. */
static void need(char **member, const char *key, const char *variable, const struct node *map,
                 struct mistakes *mistakes)
{
    if (entra_is_written(map, key) || entra_take_variable(member, variable))
        return;
    mistakes_at(
        mistakes, map,
        "a workload_identity identity needs %s, and $%s, which may stand for it, is not set", key,
        variable);
}

static void check_settings(void *object, const struct node *map, struct mistakes *mistakes)
{
    struct settings *settings = object;

    need(&settings->app.tenant_id, "tenant_id", "AZURE_TENANT_ID", map, mistakes);
    need(&settings->app.client_id, "client_id", "AZURE_CLIENT_ID", map, mistakes);
    need(&settings->token_file, "token_file", "AZURE_FEDERATED_TOKEN_FILE", map, mistakes);
    if (!entra_is_written(map, "token_file") && settings->token_file != NULL &&
        *settings->token_file != '/')
        mistakes_at(mistakes, map,
                    "AZURE_FEDERATED_TOKEN_FILE: the absolute path of a file is due");
    if (!entra_is_written(map, "authority") &&
        !entra_take_variable(&settings->app.authority, "AZURE_AUTHORITY_HOST"))
        settings->app.authority = xstrdup(ENTRA_AUTHORITY);
    entra_check(&settings->app, map, mistakes);
}

/* --- the platform's token --- */

static bool decode_part(const char *part, size_t len, struct buf *out)
{
    return len > 0 && base64url_decode(part, len, out);
}

/* Whether a text is like a signed JSON web token; appends its claims. */
static bool read_claims(const char *token, struct buf *out)
{
    const char *claims = strchr(token, '.');
    const char *signature = claims == NULL ? NULL : strchr(claims + 1, '.');
    autobuf other;

    buf_init(&other, BUF_ANY_SIZE);
    if (signature == NULL)
        return false;
    claims++;
    return decode_part(token, (size_t)(claims - 1 - token), &other) &&
           decode_part(claims, (size_t)(signature - claims), out) &&
           decode_part(signature + 1, strlen(signature + 1), &other);
}

static bool adopt(void *self, const struct secret *text, struct err *err)
{
    struct workload_identity *workload = self;
    autobuf claims;

    buf_init(&claims, BUF_ANY_SIZE);
    if (!read_claims(secret_reveal(text), &claims))
        return err_set(err, ERR_AUTH,
                       "the file %s holds no token: three parts of base64url with dots between are "
                       "due",
                       workload->settings->token_file);
    secret_set(&workload->token, text->bytes, text->len);
    return true;
}

static const struct config_secret *secret_of(void *self)
{
    return &((struct workload_identity *)self)->file;
}

/* --- life --- */

static void *create(struct identity *owner, const struct identity_context *context,
                    const void *settings)
{
    struct workload_identity *workload = xcalloc(1, sizeof(*workload));

    (void)owner, (void)context;
    workload->settings = settings;
    workload->file.file = workload->settings->token_file;
    return workload;
}

static void destroy(void *self)
{
    struct workload_identity *workload = self;

    secret_done(&workload->token);
    free(workload);
}

/* --- tokens --- */

static bool ask(void *self, const char *audience, struct http_request *request, struct err *err)
{
    struct workload_identity *workload = self;

    (void)err;
    entra_ask(&workload->settings->app, ENTRA_V2, audience, request);
    entra_add_assertion(request, &workload->token);
    return true;
}

/* --- refusals --- */

/* A claim that a federated credential must have, too. Entra names some of them itself. */
static void add_claim(const struct json *claims, const char *name, const char *what,
                      struct err *err)
{
    const struct json *member = json_member(claims, name);

    if (member != NULL && member->type == JSON_ARRAY)
        member = member->first;
    if (member != NULL && member->type == JSON_STRING && member->len > 0 &&
        member->len <= MAX_CLAIM && str_is_visible(member->text) &&
        strstr(err->text, member->text) == NULL)
        identity_add_reason(err, "the token's %s is %s", what, member->text);
}

static void add_expiry(const struct json *claims, const char *file, struct err *err)
{
    const struct json *member = json_member(claims, "exp");
    uint64_t expiry_s;
    char date[DATE_TEXT_MAX];

    if (member == NULL || member->type != JSON_NUMBER ||
        !str_to_uint(member->text, LATEST_S, &expiry_s) ||
        (int64_t)expiry_s * 1000 > clock_wall_ms())
        return;
    date_format_iso((int64_t)expiry_s * 1000, date);
    identity_add_reason(err, "the token in %s expired at %s: does anything renew it?", file, date);
}

/* The refusals that say that no federated credential matches: 70021, 700211 to 700213, 7002138 ...; or that
 * there is none. */
static bool is_of_match(const char *code)
{
    return str_starts(code, "AADSTS70021") || str_equal(code, "AADSTS70025");
}

static void explain(void *self, const struct token_refusal *refusal, struct err *err)
{
    struct workload_identity *workload = self;
    struct json_doc *claims;
    autobuf text;

    buf_init(&text, BUF_ANY_SIZE);
    if (err->code == ERR_AUTH && read_claims(secret_reveal(&workload->token), &text) &&
        json_parse(text.data, text.len, MAX_DEPTH, &claims) == JSON_OK) {
        if (is_of_match(refusal->aadsts)) {
            add_claim(json_root(claims), "iss", "issuer", err);
            add_claim(json_root(claims), "sub", "subject", err);
            add_claim(json_root(claims), "aud", "audience", err);
        }
        add_expiry(json_root(claims), workload->settings->token_file, err);
        json_doc_free(claims);
    }
    entra_explain(&workload->settings->app, refusal, err);
}

static const struct secret *shown(void *self)
{
    return &((struct workload_identity *)self)->token;
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

const struct identity_kind identity_kind_workload_identity = {
    .name = "workload_identity",
    .doc = "An application of Microsoft Entra that trusts the tokens of this machine's platform, "
           "as in "
           "Kubernetes.",
    .table = {.name = "workload_identity identity",
              .size = sizeof(struct settings),
              .rows = rows,
              .check = check_settings},
    .secret_of = secret_of,
    .adopt = adopt,
    .issuer = issuer,
    .create = create,
    .destroy = destroy,
};
