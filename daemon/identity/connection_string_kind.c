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
#include "identity/source.h"

struct settings {
    struct config_place place;
    struct config_secret connection_string;
};

/* Holds either an account and its key, or a SAS. */
struct connection {
    struct identity *owner;
    struct source *source;
    char *account;
    struct secret key; /* decoded; not set while a SAS is in use */
    struct sas_use sas;
};

static const struct config_row rows[] = {
    {.name = "connection_string",
     .type = CONFIG_SECRET,
     .offset = offsetof(struct settings, connection_string),
     .required = true,
     .help = "The storage account's connection string, as the portal shows it."},
    {0},
};

static void check(const void *opaque, bool allow_readable, const char *permissions,
                  struct mistakes *mistakes)
{
    const struct settings *settings = opaque;
    const struct config_secret *setting = &settings->connection_string;
    const struct node *map = settings->place.map;
    struct connection_string string = {0};
    autosecret text = {0};
    struct err err;

    if (!source_check(setting, "connection_string", map, allow_readable, mistakes, &text))
        return;
    if (!connection_string_parse(secret_reveal(&text), &string, &err) ||
        (string.sas != NULL && !sas_use_check(string.sas, permissions, &err)))
        source_mistake(setting, "connection_string", map, mistakes, err.text);
    connection_string_done(&string);
}

static bool queue_endpoint(const void *opaque, bool allow_readable, char **ret_url, struct err *err)
{
    const struct settings *settings = opaque;
    struct connection_string string;
    autosecret text = {0};
    bool unchecked;

    if (!source_read(&settings->connection_string, allow_readable, &text, &unchecked, err) ||
        !connection_string_parse(secret_reveal(&text), &string, err))
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
                    const void *opaque, bool allow_readable)
{
    const struct settings *settings = opaque;
    struct connection *connection = xcalloc(1, sizeof(*connection));

    connection->owner = owner;
    connection->source =
        source_new(owner, context, &settings->connection_string, allow_readable, adopt, connection);
    return connection;
}

static void destroy(void *self)
{
    struct connection *connection = self;

    source_free(connection->source);
    alloc_free(connection->account);
    secret_done(&connection->key);
    sas_use_done(&connection->sas);
    free(connection);
}

static bool is_ready(void *self)
{
    struct connection *connection = self;

    bool holds_key = secret_is_set(&connection->key);

    return source_is_ready(connection->source) &&
           (holds_key || !sas_use_is_stale(&connection->sas, source_read_ms(connection->source)));
}

static void acquire(void *self)
{
    struct connection *connection = self;

    source_acquire(connection->source);
}

static bool sign(void *self, struct http_request *request, struct err *err)
{
    struct connection *connection = self;

    if (secret_is_set(&connection->key))
        return shared_key_sign(request, connection->account, &connection->key, err);
    return sas_use_sign(&connection->sas, request, identity_label(connection->owner), err);
}

static void refused(void *self)
{
    struct connection *connection = self;

    source_refused(connection->source);
}

static void explain(void *self, struct err *err)
{
    struct connection *connection = self;

    if (!secret_is_set(&connection->key))
        sas_use_explain(&connection->sas, err);
    source_explain(connection->source, err);
}

const struct identity_kind identity_kind_connection_string = {
    .name = "connection_string",
    .doc = "A storage account's connection string.",
    .table = {.name = "connection_string identity", .size = sizeof(struct settings), .rows = rows},
    .check = check,
    .queue_endpoint = queue_endpoint,
    .create = create,
    .destroy = destroy,
    .is_ready = is_ready,
    .acquire = acquire,
    .sign = sign,
    .refused = refused,
    .explain = explain,
};
