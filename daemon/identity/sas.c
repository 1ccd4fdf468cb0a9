/* SPDX-License-Identifier: MIT */
/* The identity kind `sas`: a shared access signature in the query of each request. */
#include <stddef.h>
#include <stdlib.h>

#include "base/secret.h"
#include "config/table.h"
#include "identity/identity.h"
#include "identity/sas_use.h"
#include "identity/source.h"

struct settings {
    struct config_place place;
    struct config_secret sas;
};

struct sas {
    struct identity *owner;
    struct source *source;
    struct sas_use use;
};

static const struct config_row rows[] = {
    {.name = "sas",
     .type = CONFIG_SECRET,
     .offset = offsetof(struct settings, sas),
     .required = true,
     .help = "The SAS as the portal gives it: its query, with or without '?', or a whole URL."},
    {0},
};

static void check(const void *opaque, bool allow_readable, const char *permissions,
                  struct mistakes *mistakes)
{
    const struct settings *settings = opaque;
    autosecret sas = {0};
    struct err err;

    if (!source_check(&settings->sas, "sas", settings->place.map, allow_readable, mistakes, &sas))
        return;
    if (!sas_use_check(secret_reveal(&sas), permissions, &err))
        source_mistake(&settings->sas, "sas", settings->place.map, mistakes, err.text);
}

static bool adopt(void *self, const struct secret *secret, struct err *err)
{
    struct sas *sas = self;

    return sas_use_adopt(&sas->use, secret_reveal(secret), err);
}

static void *create(struct identity *owner, const struct identity_context *context,
                    const void *opaque, bool allow_readable)
{
    const struct settings *settings = opaque;
    struct sas *sas = xcalloc(1, sizeof(*sas));

    sas->owner = owner;
    sas->source = source_new(owner, context, &settings->sas, allow_readable, adopt, sas);
    return sas;
}

static void destroy(void *self)
{
    struct sas *sas = self;

    source_free(sas->source);
    sas_use_done(&sas->use);
    free(sas);
}

static bool is_ready(void *self)
{
    struct sas *sas = self;

    return source_is_ready(sas->source) &&
           !sas_use_is_stale(&sas->use, source_read_ms(sas->source));
}

static void acquire(void *self)
{
    struct sas *sas = self;

    source_acquire(sas->source);
}

static bool sign(void *self, struct http_request *request, struct err *err)
{
    struct sas *sas = self;

    return sas_use_sign(&sas->use, request, identity_label(sas->owner), err);
}

static void refused(void *self)
{
    struct sas *sas = self;

    source_refused(sas->source);
}

static void explain(void *self, struct err *err)
{
    struct sas *sas = self;

    sas_use_explain(&sas->use, err);
    source_explain(sas->source, err);
}

const struct identity_kind identity_kind_sas = {
    .name = "sas",
    .doc = "A shared access signature.",
    .table = {.name = "sas identity", .size = sizeof(struct settings), .rows = rows},
    .check = check,
    .create = create,
    .destroy = destroy,
    .is_ready = is_ready,
    .acquire = acquire,
    .sign = sign,
    .refused = refused,
    .explain = explain,
};
