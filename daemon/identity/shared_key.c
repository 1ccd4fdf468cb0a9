/* SPDX-License-Identifier: MIT */
/* The identity kind `shared_key`: an account and its key. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "config/mistakes.h"
#include "config/table.h"
#include "identity/identity.h"
#include "identity/shared_key_sign.h"
#include "identity/source.h"

struct settings {
    struct config_place place;
    char *account;
    struct config_secret key;
};

struct shared_key {
    const struct settings *settings;
    struct source *source;
    struct secret key; /* decoded */
};

static const struct config_row rows[] = {
    {.name = "account",
     .type = CONFIG_TEXT,
     .offset = offsetof(struct settings, account),
     .required = true,
     .help = "The storage account's name."},
    {.name = "key",
     .type = CONFIG_SECRET,
     .offset = offsetof(struct settings, key),
     .required = true,
     .help = "One of the account's two keys, in base64 as the portal shows it."},
    {0},
};

/* 3 to 24 small letters and digits. */
static bool is_account_name(const char *name)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789");

    return name[len] == '\0' && len >= 3 && len <= 24;
}

static void check_settings(void *object, const struct node *map, struct mistakes *mistakes)
{
    const struct settings *settings = object;

    if (settings->account != NULL && !is_account_name(settings->account))
        mistakes_at_key(mistakes, map, "account",
                        "\"%s\" is no storage account's name: 3 to 24 small letters and digits",
                        settings->account);
}

static void check(const void *opaque, bool allow_readable, const char *permissions,
                  struct mistakes *mistakes)
{
    const struct settings *settings = opaque;
    autosecret text = {0};
    autosecret key = {0};
    struct err err;

    (void)permissions; /* a key may do everything */
    if (!source_check(&settings->key, "key", settings->place.map, allow_readable, mistakes, &text))
        return;
    if (!shared_key_decode(secret_reveal(&text), &key, &err))
        source_mistake(&settings->key, "key", settings->place.map, mistakes, err.text);
}

static bool adopt(void *self, const struct secret *secret, struct err *err)
{
    struct shared_key *shared_key = self;

    return shared_key_decode(secret_reveal(secret), &shared_key->key, err);
}

static void *create(struct identity *owner, const struct identity_context *context,
                    const void *opaque, bool allow_readable)
{
    const struct settings *settings = opaque;
    struct shared_key *shared_key = xcalloc(1, sizeof(*shared_key));

    shared_key->settings = settings;
    shared_key->source =
        source_new(owner, context, &settings->key, allow_readable, adopt, shared_key);
    return shared_key;
}

static void destroy(void *self)
{
    struct shared_key *shared_key = self;

    source_free(shared_key->source);
    secret_done(&shared_key->key);
    free(shared_key);
}

static bool is_ready(void *self)
{
    struct shared_key *shared_key = self;

    return source_is_ready(shared_key->source);
}

static void acquire(void *self)
{
    struct shared_key *shared_key = self;

    source_acquire(shared_key->source);
}

static bool sign(void *self, struct http_request *request, struct err *err)
{
    struct shared_key *shared_key = self;

    return shared_key_sign(request, shared_key->settings->account, &shared_key->key, err);
}

static void refused(void *self)
{
    struct shared_key *shared_key = self;

    source_refused(shared_key->source);
}

static void explain(void *self, struct err *err)
{
    struct shared_key *shared_key = self;

    source_explain(shared_key->source, err);
}

const struct identity_kind identity_kind_shared_key = {
    .name = "shared_key",
    .doc = "A storage account's name and key.",
    .table = {.name = "shared_key identity",
              .size = sizeof(struct settings),
              .rows = rows,
              .check = check_settings},
    .check = check,
    .create = create,
    .destroy = destroy,
    .is_ready = is_ready,
    .acquire = acquire,
    .sign = sign,
    .refused = refused,
    .explain = explain,
};
