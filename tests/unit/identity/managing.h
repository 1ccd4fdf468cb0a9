/* SPDX-License-Identifier: MIT */
/*
 * What the tests of managed identities share: the environment that a platform makes, and a configuration read
 * in it.
 */
#ifndef TESTS_IDENTITY_MANAGING_H
#define TESTS_IDENTITY_MANAGING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "config/mistakes.h"
#include "config/node.h"
#include "identity/identity.h"
#include "identity/managed_source.h"
#include "loop/worker.h"

extern const struct identity_kind identity_kind_managed_identity;

struct managing {
    struct node *node;
    struct mistakes mistakes;
    struct identity_settings *settings;
    struct managed_identity *identity; /* NULL until managing_create */
};

/* Of all platforms; unset before each test. */
static const char *const managing_variables[] = {
    "AZURE_POD_IDENTITY_AUTHORITY_HOST",
    "DEFAULT_IDENTITY_CLIENT_ID",
    "IDENTITY_ENDPOINT",
    "IDENTITY_HEADER",
    "IDENTITY_SERVER_THUMBPRINT",
    "IMDS_ENDPOINT",
    "MSI_ENDPOINT",
    "MSI_SECRET",
};

static inline int managing_set_up(void **state)
{
    for (size_t i = 0; i < array_size(managing_variables); i++)
        unsetenv(managing_variables[i]);
    *state = xcalloc(1, sizeof(struct managing));
    return 0;
}

/* What stands between braces, beside the kind. */
static inline void managing_read(struct managing *managing, const char *settings)
{
    autofree char *yaml = xasprintf("{kind: managed_identity, %s}", settings);

    managing->node = node_parse("test.yaml", yaml, strlen(yaml), &managing->mistakes);
    managing->settings =
        config_read(&identity_table, managing->node, config_getenv, &managing->mistakes);
}

static inline void managing_create(struct managing *managing, const char *settings,
                                   struct worker *worker)
{
    const struct identity_context context = {.worker = worker};

    managing_read(managing, settings);
    if (managing->mistakes.count > 0)
        fail_msg("%s", managing->mistakes.lines[0]);
    managing->identity =
        identity_kind_managed_identity.create(NULL, &context, managing->settings->kind.object);
}

/* For another try in the same test. */
static inline void managing_end(struct managing *managing)
{
    if (managing->identity != NULL)
        identity_kind_managed_identity.destroy(managing->identity);
    config_free(&identity_table, managing->settings);
    node_free(managing->node);
    mistakes_done(&managing->mistakes);
    *managing = (struct managing){.identity = NULL};
}

static inline int managing_tear_down(void **state)
{
    managing_end(*state);
    free(*state);
    return 0;
}

#endif
