/* SPDX-License-Identifier: MIT */
/* The identity kind `managed_identity`: who Azure says that this machine, app or container is. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/str.h"
#include "config/mistakes.h"
#include "config/node.h"
#include "config/table.h"
#include "identity/identity.h"
#include "identity/managed_source.h"
#include "net/url.h"

#define ARC_AGENT "/opt/azcmagent/bin/himds"

static const struct config_row rows[] = {
    {.name = "source",
     .type = CONFIG_CHOICE,
     .offset = offsetof(struct managed_settings, source),
     .choices = managed_source_names,
     .text = "auto",
     .help = "Whom to ask for tokens. auto goes by the variables that App Service, Azure ML, Cloud "
             "Shell and Azure Arc set, and by Azure Arc's agent; else it is imds, a virtual "
             "machine's metadata service."},
    {.name = "client_id",
     .type = CONFIG_TEXT,
     .offset = offsetof(struct managed_settings, ids[MANAGED_CLIENT_ID]),
     .max = 128,
     .help = "Which user-assigned identity, by its client id (an app registration's, a UUID). "
             "Without an id it is the system-assigned one, or the only one there is."},
    {.name = "object_id",
     .type = CONFIG_TEXT,
     .offset = offsetof(struct managed_settings, ids[MANAGED_OBJECT_ID]),
     .max = 128,
     .help = "The same by its object id, which the portal also calls principal id."},
    {.name = "resource_id",
     .type = CONFIG_TEXT,
     .offset = offsetof(struct managed_settings, ids[MANAGED_RESOURCE_ID]),
     .max = 1024,
     .help = "The same by its resource id: /subscriptions/..."},
    {.name = "endpoint",
     .type = CONFIG_TEXT,
     .offset = offsetof(struct managed_settings, endpoint),
     .max = 1024,
     .help = "Where the source is, http:// or https://, instead of its usual place. A URL without "
             "a path gets the source's own. It is never asked through a proxy."},
    {0},
};

/* --- what is wrong with the settings --- */

static void check_id(enum managed_id id, const char *value, const struct managed_source *source,
                     const struct node *map, struct mistakes *mistakes)
{
    const char *key = managed_id_names[id];

    if (!str_is_visible(value))
        mistakes_at_key(mistakes, map, key,
                        "%s: an id has no blanks and no letters beyond ASCII; copy it anew", key);
    else if (id == MANAGED_RESOURCE_ID && !str_starts(value, "/subscriptions/"))
        mistakes_at_key(mistakes, map, key, "%s: no resource id; one begins with /subscriptions/",
                        key);
    else if (source->id_names[id] == NULL)
        mistakes_at_key(mistakes, map, key, "%s: %s knows %s; %s", key, source->issuer.name,
                        source->id_names[MANAGED_CLIENT_ID] == NULL ? "but one identity"
                                                                    : "its identities by client_id",
                        source->id_names[MANAGED_CLIENT_ID] == NULL ? "take it out" : "use that");
}

/* The id that a member of the map sets; MANAGED_IDS when it sets none. */
static enum managed_id id_at(const struct node *member, const struct managed_settings *settings)
{
    enum managed_id id = 0;

    while (id < MANAGED_IDS && !str_equal(member->key, managed_id_names[id]))
        id++;
    if (id < MANAGED_IDS && (settings->ids[id] == NULL || *settings->ids[id] == '\0'))
        return MANAGED_IDS;
    return id;
}

/* In the order written: the first says who. */
static void check_ids(const struct managed_settings *settings, const struct managed_source *source,
                      const struct node *map, struct mistakes *mistakes)
{
    const char *first = NULL;

    for (const struct node *member = map->first; member != NULL; member = member->next) {
        enum managed_id id = id_at(member, settings);

        if (id == MANAGED_IDS)
            continue;
        if (first != NULL)
            mistakes_at_key(mistakes, map, member->key,
                            "%s: %s says already which identity; keep one of them", member->key,
                            first);
        else
            check_id(id, settings->ids[id], source, map, mistakes);
        first = first == NULL ? member->key : first;
    }
}

static void check_endpoint(const char *text, const char *where, const struct node *map,
                           struct mistakes *mistakes)
{
    const char *key = str_equal(where, "endpoint") ? "endpoint" : "source";
    autourl url = {0};
    struct err err;

    if (!url_parse(text, &url, &err))
        mistakes_at_key(mistakes, map, key, "%s: %s", where, err.text);
    else if (!str_equal(url.scheme, "http") && !str_equal(url.scheme, "https"))
        mistakes_at_key(mistakes, map, key, "%s: a URL of http:// or https:// is due", where);
    else if (strpbrk(text, "?#") != NULL || url.has_user)
        mistakes_at_key(mistakes, map, key,
                        "%s: only a host and a path are due, no user, query or fragment", where);
}

/* What the source can not be asked without. */
static void check_variables(const struct managed_source *source, bool has_endpoint,
                            const struct node *map, struct mistakes *mistakes)
{
    const char *secret = source->secret_variable;
    autobuf missing;

    buf_init(&missing, BUF_ANY_SIZE);
    for (const char *const *name = source->variables; *name != NULL; name++) {
        bool needed = !has_endpoint && source->default_endpoint == NULL;

        if ((needed || str_equal(*name, secret)) && managed_source_variable(*name) == NULL)
            buf_printf(&missing, "%s%s", missing.len == 0 ? "" : " and ", *name);
    }
    if (missing.len != 0)
        mistakes_at_key(mistakes, map, "source",
                        "source: the environment has no %s, which %s sets; run there, or name "
                        "another source",
                        missing.data, source->issuer.name);
    else if (secret != NULL && !str_is_visible(managed_source_variable(secret)))
        mistakes_at_key(mistakes, map, "source",
                        "source: %s holds what no header can; it is not %s's", secret,
                        source->issuer.name);
}

static void check_settings(void *object, const struct node *map, struct mistakes *mistakes)
{
    const struct managed_settings *settings = object;
    /* Where Azure Arc's agent is, which nobody has looked for yet, it is that instead of IMDS. Their rules
     * are the same. */
    const struct managed_source *source = managed_source_find(settings);
    const char *where;
    const char *endpoint = managed_source_endpoint(source, settings, &where);

    if (settings->source == 0 && managed_source_is_service_fabric()) {
        mistakes_at(mistakes, map,
                    "this is Service Fabric, whose managed identity is not supported; use another "
                    "kind of identity, or name a source");
        return;
    }
    check_ids(settings, source, map, mistakes);
    check_variables(source, endpoint != NULL, map, mistakes);
    if (endpoint != NULL)
        check_endpoint(endpoint, where, map, mistakes);
}

static void look(void *settings)
{
    ((struct managed_settings *)settings)->has_arc_agent = access(ARC_AGENT, R_OK) == 0;
}

/* --- the identity --- */

static void *create(struct identity *owner, const struct identity_context *context,
                    const void *settings)
{
    struct managed_identity *identity = xcalloc(1, sizeof(*identity));
    const char *where;

    identity->settings = settings;
    identity->source = managed_source_find(settings);
    identity->owner = owner;
    identity->worker = context->worker;
    const char *endpoint = managed_source_endpoint(identity->source, settings, &where);
    identity->endpoint = managed_source_url(
        identity->source, endpoint != NULL ? endpoint : identity->source->default_endpoint);
    if (identity->source->secret_variable != NULL) {
        const char *secret = managed_source_variable(identity->source->secret_variable);
        secret_set(&identity->secret, secret, strlen(secret));
    }
    return identity;
}

static void destroy(void *self)
{
    struct managed_identity *identity = self;

    if (identity->source->issuer.forget != NULL)
        identity->source->issuer.forget(identity);
    secret_done(&identity->secret);
    free(identity->endpoint);
    free(identity);
}

static const struct issuer *issuer(void *self)
{
    return &((struct managed_identity *)self)->source->issuer;
}

const struct identity_kind identity_kind_managed_identity = {
    .name = "managed_identity",
    .doc = "The identity that Azure gave this machine, app or container: no secret at all.",
    .table = {.name = "managed_identity identity",
              .size = sizeof(struct managed_settings),
              .rows = rows,
              .check = check_settings},
    .look = look,
    .issuer = issuer,
    .create = create,
    .destroy = destroy,
};
