/* SPDX-License-Identifier: MIT */
/* The identity kinds that there are: one row each. */
#include "identity/identity.h"

/* clang-format off */
#define KINDS(row) \
    row(sas) \
    row(shared_key) \
    row(connection_string) \
    row(managed_identity) \
    row(workload_identity) \
    row(service_principal)
/* clang-format on */

#define DECLARE(kind) extern const struct identity_kind identity_kind_##kind;
#define ADDRESS(kind) &identity_kind_##kind,
#define TABLE(kind)   {#kind, &identity_kind_##kind.table, &identity_kind_##kind.doc},

KINDS(DECLARE)

const struct identity_kind *const identity_kinds[] = {KINDS(ADDRESS) NULL};
const struct config_kind identity_kind_tables[] = {KINDS(TABLE){NULL, NULL, NULL}};
