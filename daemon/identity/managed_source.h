/* SPDX-License-Identifier: MIT */
/*
 * Where a managed identity's tokens come from: each platform of Azure has an endpoint of its own, found by
 * other variables, asked with other words. One platform is one file with one const struct managed_source
 * and one row in managed_source.c. What they share is here; the kind's settings are managed_identity.c's.
 *
 * Sources of all of it: "How to use managed identities for App Service and Azure Functions", "How to use
 * managed identities on Azure VMs to acquire an access token", "Authenticate against Azure resources with
 * Azure Arc-enabled servers".
 */
#ifndef IDENTITY_MANAGED_SOURCE_H
#define IDENTITY_MANAGED_SOURCE_H

#include <stdbool.h>

#include "base/secret.h"
#include "config/table.h"
#include "identity/issuer.h"

struct arc_reading;
struct err;
struct http_request;
struct identity;
struct worker;

/* How one of several identities is told from the others. */
enum managed_id { MANAGED_CLIENT_ID, MANAGED_OBJECT_ID, MANAGED_RESOURCE_ID, MANAGED_IDS };

struct managed_settings {
    struct config_place place;
    int source; /* indexes managed_source_names; 0: to be found */
    char *ids[MANAGED_IDS];
    char *endpoint;
    bool has_arc_agent; /* not a setting: what a look at this machine found */
};

struct managed_source {
    const char *name;         /* of the setting `source` */
    const char *place;        /* what an identity is assigned to, in sentences: "machine" */
    const char *variables[3]; /* what the platform sets, the endpoint's URL first; ends with NULL */
    const char *secret_variable;  /* the one of them that a request must show; NULL: none */
    const char *default_endpoint; /* where it is without variables; NULL: nowhere */
    const char *path;             /* of an endpoint whose URL has none */
    const char
        *id_names[MANAGED_IDS]; /* its words for the ids; NULL: it can not be asked by that */
    struct issuer issuer;       /* self is a struct managed_identity */
};

/* The kind's object. */
struct managed_identity {
    const struct managed_source *source;
    const struct managed_settings *settings;
    struct identity *owner;
    struct worker *worker;
    char *endpoint;              /* the whole URL but for the query */
    struct secret secret;        /* of secret_variable; or the key that met Arc's challenge */
    struct arc_reading *reading; /* arc.c's: its key is being read; else NULL */
};

/* "auto" and the sources' names, ending with NULL. */
extern const char *const managed_source_names[];
/* The settings' names of the ids. */
extern const char *const managed_id_names[MANAGED_IDS];

/* The source that is set, or the one that the environment tells of: the first of App Service, Azure ML, Cloud
 * Shell and Azure Arc whose variables are all there; else Arc where its agent is installed; else IMDS. Asks
 * nobody. */
const struct managed_source *managed_source_find(const struct managed_settings *settings);
/* Service Fabric's variables are those of App Service and one more; it is not supported. */
bool managed_source_is_service_fabric(void);
/* Of the environment; NULL when it is unset or empty. */
const char *managed_source_variable(const char *name);
/* The endpoint as a person or the platform wrote it, and where: "endpoint", or a variable's name. NULL when
 * it is written nowhere. */
const char *managed_source_endpoint(const struct managed_source *source,
                                    const struct managed_settings *settings,
                                    const char **ret_where);
/* An endpoint's URL in fresh memory, with the source's path if it has none. url has no query. */
char *managed_source_url(const struct managed_source *source, const char *url);
/* The id that is set; NULL when none is. */
const char *managed_source_id(const struct managed_settings *settings, enum managed_id *ret_id);

/* --- what the sources share --- */

/* Puts the URL into a request that no proxy will see: api-version, resource, the id in the source's words. */
void managed_source_ask(const struct managed_identity *identity, const char *api_version,
                        const char *audience, struct http_request *request);
/* An issuer's shown. */
const struct secret *managed_source_shown(void *self);
/* An issuer's explain: what to do where the identity that is asked for is not there. */
void managed_source_explain(void *self, const struct token_refusal *refusal, struct err *err);

#endif
