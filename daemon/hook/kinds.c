/* SPDX-License-Identifier: MIT */
/* The hook kinds: one row each. */
#include "hook/kinds.h"

#include "hook/hook.h"

const struct hook_kind *const hook_kinds[] = {
    &hook_kind_exec,
    &hook_kind_file,
    &hook_kind_syslog,
    NULL,
};

const struct config_kind hook_kind_tables[] = {
    {"exec", &hook_kind_exec.table, &hook_kind_exec.doc},
    {"file", &hook_kind_file.table, &hook_kind_file.doc},
    {"syslog", &hook_kind_syslog.table, &hook_kind_syslog.doc},
    {NULL, NULL, NULL},
};
