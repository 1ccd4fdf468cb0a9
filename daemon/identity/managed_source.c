/* SPDX-License-Identifier: MIT */
/* Where a managed identity's tokens come from: which source, and what all of them share. */
#include "identity/managed_source.h"

#include <string.h>

#include "base/str.h"
#include "identity/identity.h"
#include "identity/token_refusal.h"
#include "net/http_request.h"

/* In the order in which they are looked for; the last is where nothing tells. */
/* clang-format off */
#define SOURCES(row) \
    row(app_service) \
    row(azure_ml) \
    row(cloud_shell) \
    row(arc) \
    row(imds)
/* clang-format on */

#define DECLARE(source) extern const struct managed_source managed_source_##source;
#define ADDRESS(source) &managed_source_##source,
#define NAME(source)    #source,

SOURCES(DECLARE)

static const struct managed_source *const sources[] = {SOURCES(ADDRESS)};
const char *const managed_source_names[] = {"auto", SOURCES(NAME) NULL};
const char *const managed_id_names[] = {"client_id", "object_id", "resource_id"};

const char *managed_source_variable(const char *name)
{
    const char *value = config_getenv(name);

    return value == NULL || *value == '\0' ? NULL : value;
}

static bool has_variables(const struct managed_source *source)
{
    for (const char *const *name = source->variables; *name != NULL; name++) {
        if (managed_source_variable(*name) == NULL)
            return false;
    }
    return true;
}

const struct managed_source *managed_source_find(const struct managed_settings *settings)
{
    if (settings->source != 0)
        return sources[settings->source - 1];
    for (size_t i = 0; i < array_size(sources) - 1; i++) {
        if (has_variables(sources[i]))
            return sources[i];
    }
    return settings->has_arc_agent ? &managed_source_arc : &managed_source_imds;
}

bool managed_source_is_service_fabric(void)
{
    return has_variables(&managed_source_app_service) &&
           managed_source_variable("IDENTITY_SERVER_THUMBPRINT") != NULL;
}

const char *managed_source_endpoint(const struct managed_source *source,
                                    const struct managed_settings *settings, const char **ret_where)
{
    if (settings->endpoint != NULL && *settings->endpoint != '\0') {
        *ret_where = "endpoint";
        return settings->endpoint;
    }
    *ret_where = source->variables[0];
    return has_variables(source) ? managed_source_variable(source->variables[0]) : NULL;
}

char *managed_source_url(const struct managed_source *source, const char *url)
{
    const char *host = strstr(url, "://") + 3;
    const char *slash = strchrnul(host, '/');

    if (*slash != '\0' && slash[1] != '\0')
        return xstrdup(url);
    return xasprintf("%.*s%s", (int)(slash - url), url, source->path);
}

const char *managed_source_id(const struct managed_settings *settings, enum managed_id *ret_id)
{
    for (enum managed_id id = 0; id < MANAGED_IDS; id++) {
        if (settings->ids[id] != NULL && *settings->ids[id] != '\0') {
            *ret_id = id;
            return settings->ids[id];
        }
    }
    return NULL;
}

void managed_source_ask(const struct managed_identity *identity, const char *api_version,
                        const char *audience, struct http_request *request)
{
    enum managed_id id;
    const char *value = managed_source_id(identity->settings, &id);

    request->direct = true;
    buf_puts(&request->url, identity->endpoint);
    http_request_query(request, "api-version", api_version);
    http_request_query(request, "resource", audience);
    if (value != NULL)
        http_request_query(request, identity->source->id_names[id], value);
}

const struct secret *managed_source_shown(void *self)
{
    return &((struct managed_identity *)self)->secret;
}

void managed_source_explain(void *self, const struct token_refusal *refusal, struct err *err)
{
    const struct managed_identity *identity = self;
    const char *place = identity->source->place;
    enum managed_id id;

    if (!str_equal(refusal->told, TOKEN_NO_IDENTITY))
        return;
    if (managed_source_id(identity->settings, &id) != NULL)
        identity_add_reason(err, "assign the identity to this %s, or mend %s", place,
                            managed_id_names[id]);
    else
        identity_add_reason(err,
                            "this %s has no identity of its own: turn on the system-assigned one, "
                            "or assign another and say which by client_id",
                            place);
}
