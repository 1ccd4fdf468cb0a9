/* SPDX-License-Identifier: MIT */
/* The identity kind `sas`: a shared access signature in the query of each request. */
#include <stddef.h>
#include <stdlib.h>

#include "base/secret.h"
#include "config/table.h"
#include "identity/identity.h"
#include "identity/sas_use.h"

struct settings {
    struct config_place place;
    struct config_secret sas;
};

struct sas {
    struct identity *owner;
    struct sas_use use;
};

static const struct config_row rows[] = {
    {.name = "sas",
     .type = CONFIG_SECRET,
     .offset = offsetof(struct settings, sas),
     .required = true,
     .help = "The SAS as the portal gives it: its query, with or without '?', or "
             "a whole URL."},
    {0},
};

static void *create(struct identity *owner, const struct identity_context *context,
                    const void *settings)
{
    struct sas *sas = xcalloc(1, sizeof(*sas));

    (void)context, (void)settings;
    sas->owner = owner;
    return sas;
}

static void destroy(void *self)
{
    struct sas *sas = self;

    sas_use_done(&sas->use);
    free(sas);
}

static bool is_stale(void *self, int64_t read_ms)
{
    return sas_use_is_stale(&((struct sas *)self)->use, read_ms);
}

static void explain(void *self, struct err *err)
{
    sas_use_explain(&((struct sas *)self)->use, err);
}

static enum identity_proof proof(void *self)
{
    (void)self;
    return IDENTITY_PROOF_SAS;
}

static bool lacks(void *self, char permission)
{
    return sas_use_lacks(&((struct sas *)self)->use, permission);
}

static bool adopt(void *self, const struct secret *secret, struct err *err)
{
    struct sas *sas = self;

    return sas_use_adopt(&sas->use, secret_reveal(secret), err);
}

static bool sign(void *self, struct http_request *request, struct err *err)
{
    struct sas *sas = self;

    return sas_use_sign(&sas->use, request, identity_label(sas->owner), err);
}

const struct identity_kind identity_kind_sas = {
    .name = "sas",
    .doc = "A shared access signature.",
    .table = {.name = "sas identity", .size = sizeof(struct settings), .rows = rows},
    .secrets = {{"sas", offsetof(struct settings, sas), sas_use_check}},
    .facts = sas_use_facts,
    .adopt = adopt,
    .is_stale = is_stale,
    .explain = explain,
    .proof = proof,
    .lacks = lacks,
    .create = create,
    .destroy = destroy,
    .sign = sign,
};
