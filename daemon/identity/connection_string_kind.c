/* SPDX-License-Identifier: MIT */
/* The identity kind `connection_string`: an account with a key, or a SAS, and its endpoint. */
#include <stddef.h>
#include <stdlib.h>

#include "base/secret.h"
#include "config/table.h"
#include "identity/connection_string.h"
#include "identity/identity.h"
#include "identity/sas_use.h"
#include "identity/shared_key_sign.h"

struct settings {
    struct config_place place;
    struct config_secret connection_string;
};

/* Holds either an account and its key, or a SAS. */
struct connection {
    struct identity *owner;
    char *account;
    struct secret key; /* decoded; not set while a SAS is in use */
    struct sas_use sas;
};

static const struct config_row rows[] = {
    {.name = "connection_string",
     .type = CONFIG_SECRET,
     .offset = offsetof(struct settings, connection_string),
     .required = true,
     .help = "The string as the portal shows it, or UseDevelopmentStorage=true "
             "for the emulator on this machine. A key in it outranks a SAS."},
    {0},
};

static bool check_secret(const char *text, const char *permissions, struct err *err)
{
    struct connection_string string;

    if (!connection_string_parse(text, &string, err))
        return false;
    bool good = string.sas == NULL || sas_use_check(string.sas, permissions, err);
    connection_string_done(&string);
    return good;
}

static bool queue_endpoint(const char *text, char **ret_url, struct err *err)
{
    struct connection_string string;

    if (!connection_string_parse(text, &string, err))
        return false;
    *ret_url = take(string.queue_endpoint);
    connection_string_done(&string);
    return true;
}

/* Takes what a parsed string authorises with; what was there before stays when it is no good. */
static bool take_credential(struct connection *connection, struct connection_string *string,
                            struct err *err)
{
    if (string->sas != NULL && !sas_use_adopt(&connection->sas, string->sas, err))
        return false;
    if (string->sas != NULL)
        secret_done(&connection->key);
    else if (!shared_key_decode(string->key, &connection->key, err))
        return false;
    alloc_free(connection->account);
    connection->account = take(string->account);
    return true;
}

static bool adopt(void *self, const struct secret *secret, struct err *err)
{
    struct connection *connection = self;
    struct connection_string string;

    if (!connection_string_parse(secret_reveal(secret), &string, err))
        return false;
    bool good = take_credential(connection, &string, err);
    connection_string_done(&string);
    return good;
}

static void *create(struct identity *owner, const struct identity_context *context,
                    const void *settings)
{
    struct connection *connection = xcalloc(1, sizeof(*connection));

    (void)context, (void)settings;
    connection->owner = owner;
    return connection;
}

static void destroy(void *self)
{
    struct connection *connection = self;

    alloc_free(connection->account);
    secret_done(&connection->key);
    sas_use_done(&connection->sas);
    free(connection);
}

static bool is_stale(void *self, int64_t read_ms)
{
    struct connection *connection = self;

    return !secret_is_set(&connection->key) && sas_use_is_stale(&connection->sas, read_ms);
}

static void explain(void *self, struct err *err)
{
    struct connection *connection = self;

    if (!secret_is_set(&connection->key))
        sas_use_explain(&connection->sas, err);
}

static enum identity_proof proof(void *self)
{
    struct connection *connection = self;

    return secret_is_set(&connection->key) ? IDENTITY_PROOF_KEY : IDENTITY_PROOF_SAS;
}

static bool lacks(void *self, char permission)
{
    struct connection *connection = self;

    return !secret_is_set(&connection->key) && sas_use_lacks(&connection->sas, permission);
}

static bool sign(void *self, struct http_request *request, struct err *err)
{
    struct connection *connection = self;

    if (secret_is_set(&connection->key))
        return shared_key_sign(request, connection->account, &connection->key, err);
    return sas_use_sign(&connection->sas, request, identity_label(connection->owner), err);
}

const struct identity_kind identity_kind_connection_string = {
    .name = "connection_string",
    .doc = "A storage account's connection string.",
    .table = {.name = "connection_string identity", .size = sizeof(struct settings), .rows = rows},
    .queue_endpoint = queue_endpoint,
    .secrets = {{"connection_string", offsetof(struct settings, connection_string), check_secret}},
    .adopt = adopt,
    .is_stale = is_stale,
    .explain = explain,
    .proof = proof,
    .lacks = lacks,
    .create = create,
    .destroy = destroy,
    .sign = sign,
};
