/* SPDX-License-Identifier: MIT */
/*
 * Microsoft Entra's token endpoint, and how an application asks it for a token of its own ("OAuth 2.0
 * client credentials flow"). What the kinds service_principal and workload_identity share; with what
 * the application proves itself is theirs.
 */
#ifndef IDENTITY_ENTRA_H
#define IDENTITY_ENTRA_H

#include <stdbool.h>

struct err;
struct http_request;
struct mistakes;
struct node;
struct secret;
struct token_refusal;

#define ENTRA_NAME      "Microsoft Entra"
#define ENTRA_AUTHORITY "https://login.microsoftonline.com"

/* Indexes entra_versions, whose names the setting has. */
enum entra_version { ENTRA_V2, ENTRA_V1 };
extern const char *const entra_versions[];

/* A part of both kinds' settings; the texts are the settings object's. */
struct entra_app {
    char *tenant_id;
    char *client_id;
    char *authority; /* after entra_check scheme://host[:port] */
};

/* For a table's check: what was not set is taken from the environment, where an empty variable is none.
 * Whether it is set then. */
bool entra_take_variable(char **member, const char *variable);
/* For a table's check: looks at what is set, and brings the authority into its form. Mistakes go to the
 * keys, or name the variables that stand for them. */
void entra_check(struct entra_app *app, const struct node *map, struct mistakes *mistakes);
/* Whether a key has a value, well or not: what is wrong was said already. */
bool entra_is_written(const struct node *map, const char *key);

/* The token endpoint's URL, in fresh memory. */
char *entra_token_url(const struct entra_app *app, enum entra_version version);
/* Fills in a request, initialised for GET, for a token that is good for audience, but for the proof. */
void entra_ask(const struct entra_app *app, enum entra_version version, const char *audience,
               struct http_request *request);
/* Adds a value to the form; it is wiped with the request. */
void entra_add(struct http_request *request, const char *name, const char *value);
/* Adds the proof: a JSON web token. */
void entra_add_assertion(struct http_request *request, const struct secret *assertion);

/* Adds to a refusal's sentence the application and the tenant, where it does not name them. */
void entra_explain(const struct entra_app *app, const struct token_refusal *refusal,
                   struct err *err);

#endif
