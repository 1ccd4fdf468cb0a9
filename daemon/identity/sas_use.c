/* SPDX-License-Identifier: MIT */
/* A SAS in use. */
#include "identity/sas_use.h"

#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "base/unit.h"
#include "codec/date.h"
#include "identity/identity.h"
#include "net/http.h"

static bool read_pasted(const char *pasted, struct secret *ret_query, struct sas_token *ret_token,
                        struct err *err)
{
    autobuf query;

    buf_init(&query, BUF_ANY_SIZE);
    bool good = sas_token_clean(pasted, &query, err) && sas_token_parse(query.data, ret_token, err);
    if (good)
        secret_set(ret_query, query.data, query.len);
    buf_wipe(&query);
    return good;
}

bool sas_use_adopt(struct sas_use *use, const char *pasted, struct err *err)
{
    autosecret query = {0};
    struct sas_token token;

    if (!read_pasted(pasted, &query, &token, err))
        return false;
    if (secret_equal(&query, &use->query))
        return true;
    secret_set(&use->query, query.bytes, query.len);
    use->token = token;
    expiry_watch_begin(&use->watch, token.has_expiry ? token.expiry_ms : INT64_MAX);
    return true;
}

void sas_use_done(struct sas_use *use)
{
    secret_done(&use->query);
}

bool sas_use_check(const char *pasted, const char *permissions, struct err *err)
{
    autosecret query = {0};
    struct sas_token token;

    return read_pasted(pasted, &query, &token, err) && sas_token_suits(&token, permissions, err);
}

static bool lacks(const struct sas_token *token, char permission)
{
    return token->kind != SAS_POLICY && token->permissions[0] != '\0' &&
           strchr(token->permissions, permission) == NULL;
}

bool sas_use_lacks(const struct sas_use *use, char permission)
{
    return lacks(&use->token, permission);
}

bool sas_use_facts(const char *pasted, struct identity_facts *ret_facts)
{
    autosecret query = {0};
    struct sas_token token;
    struct err err;

    if (!read_pasted(pasted, &query, &token, &err))
        return false;
    *ret_facts = (struct identity_facts){.what = "SAS",
                                         .of_one_queue = token.kind != SAS_ACCOUNT,
                                         .may_not_update = lacks(&token, 'u'),
                                         .has_expiry = token.has_expiry,
                                         .expiry_ms = token.expiry_ms};
    return true;
}

bool sas_use_is_stale(const struct sas_use *use, int64_t read_ms)
{
    return expiry_watch_is_stale(&use->watch, read_ms);
}

/* The permissions to make the next SAS with. */
static const char *wanted_permissions(const struct sas_token *token)
{
    return token->permissions[0] != '\0' ? token->permissions : "rup";
}

static void warn(const struct sas_use *use, const char *label, int64_t left_ms)
{
    const struct log_field fields[] = {{"identity", label}, {NULL, NULL}};
    char date[DATE_TEXT_MAX], left[UNIT_TEXT_MAX];

    date_format_iso(use->token.expiry_ms, date);
    if (left_ms > 0)
        log_warning(fields, "the SAS expires in %s, at %s: make a new one with permissions %s",
                    unit_duration_human(left_ms, left), date, wanted_permissions(&use->token));
    else
        log_warning(fields,
                    "the SAS expired at %s by this machine's clock: make a new one with "
                    "permissions %s",
                    date, wanted_permissions(&use->token));
}

bool sas_use_sign(struct sas_use *use, struct http_request *request, const char *label,
                  struct err *err)
{
    int64_t left_ms;

    if (expiry_watch_is_due(&use->watch, &left_ms))
        warn(use, label, left_ms);
    bool has_query = strchr(request->url.data, '?') != NULL;
    if (!buf_putc(&request->url, has_query ? '&' : '?') ||
        !buf_append(&request->url, secret_reveal(&use->query), use->query.len))
        return err_set(err, ERR_AUTH, "the SAS is too long for a URL");
    return true;
}

/* Whether the service took the SAS and found that it lacks the right. */
static bool is_of_right(const struct err *err)
{
    return str_equal(err->service_code, "AuthorizationPermissionMismatch") ||
           str_equal(err->service_code, "InsufficientAccountPermissions");
}

/* What it has, beside what the service wants. */
static void explain_rights(const struct sas_token *token, struct err *err)
{
    if (token->permissions[0] != '\0')
        identity_add_reason(err, "it has sp=%s", token->permissions);
    if (token->kind == SAS_POLICY)
        identity_add_reason(err, "mend the queue's stored access policy that it names (si)");
    else if (token->kind == SAS_USER_DELEGATION)
        identity_add_reason(err, "it can do no more than the roles of who made it (skoid)");
}

void sas_use_explain(const struct sas_use *use, struct err *err)
{
    const struct sas_token *token = &use->token;
    int64_t now_ms = clock_wall_ms();
    char date[DATE_TEXT_MAX];

    if (token->has_expiry && now_ms >= token->expiry_ms) {
        date_format_iso(token->expiry_ms, date);
        identity_add_reason(err, "the SAS expired at %s, make a new one with permissions %s", date,
                            wanted_permissions(token));
    } else if (token->has_start && now_ms < token->start_ms) {
        date_format_iso(token->start_ms, date);
        identity_add_reason(err, "the SAS begins to be good at %s", date);
    } else if (is_of_right(err)) {
        explain_rights(token, err);
    }
}
