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

struct settings {
    struct config_place place;
    char *account;
    struct config_secret key;
};

struct shared_key {
    const struct settings *settings;
    struct secret key; /* decoded */
};

static const struct config_row rows[] = {
    {.name = "account",
     .type = CONFIG_TEXT,
     .offset = offsetof(struct settings, account),
     .required = true,
     .help = "The storage account's name: 3 to 24 small letters and digits."},
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

/* A key may do everything. */
static bool check_secret(const char *text, const char *permissions, struct err *err)
{
    autosecret key = {0};

    (void)permissions;
    return shared_key_decode(text, &key, err);
}

static void *create(struct identity *owner, const struct identity_context *context,
                    const void *settings)
{
    struct shared_key *shared_key = xcalloc(1, sizeof(*shared_key));

    (void)owner, (void)context;
    shared_key->settings = settings;
    return shared_key;
}

static void destroy(void *self)
{
    struct shared_key *shared_key = self;

    secret_done(&shared_key->key);
    free(shared_key);
}

static bool adopt(void *self, const struct secret *secret, struct err *err)
{
    struct shared_key *shared_key = self;

    return shared_key_decode(secret_reveal(secret), &shared_key->key, err);
}

static enum identity_proof proof(void *self)
{
    (void)self;
    return IDENTITY_PROOF_KEY;
}

static bool sign(void *self, struct http_request *request, struct err *err)
{
    struct shared_key *shared_key = self;

    return shared_key_sign(request, shared_key->settings->account, &shared_key->key, err);
}

const struct identity_kind identity_kind_shared_key = {
    .name = "shared_key",
    .doc = "A storage account's name and key.",
    .table = {.name = "shared_key identity",
              .size = sizeof(struct settings),
              .rows = rows,
              .check = check_settings},
    .secrets = {{"key", offsetof(struct settings, key), check_secret}},
    .adopt = adopt,
    .create = create,
    .destroy = destroy,
    .sign = sign,
    .proof = proof,
};
