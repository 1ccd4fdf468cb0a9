/* SPDX-License-Identifier: MIT */
/* Every hook kind, for kinds.c's rows. A new kind is one file, one line here, one row there. */
#ifndef HOOK_KINDS_H
#define HOOK_KINDS_H

struct hook_kind;

extern const struct hook_kind hook_kind_exec;
extern const struct hook_kind hook_kind_file;
extern const struct hook_kind hook_kind_syslog;

#endif
