/* SPDX-License-Identifier: MIT */
/*
 * One configuration in force: the snapshot and the hooks, identities and HTTP client made of it. Kept
 * alive by whoever still works under it, so that a reload never changes what is running.
 */
#ifndef FLOW_GENERATION_H
#define FLOW_GENERATION_H

struct children;
struct hook;
struct http;
struct identity;
struct identity_settings;
struct loop;
struct snapshot;
struct worker;

struct generation_context {
    struct loop *loop;
    struct worker *worker;
    struct children *children;
};

struct generation;

/* Takes the snapshot. Holds one reference. The HTTP client of `previous` (may be NULL) is shared when
 * its settings are the same, and with it the open connections; so are then the identities that did not
 * change, and with them their tokens. */
struct generation *generation_new(const struct generation_context *context,
                                  struct snapshot *snapshot, struct generation *previous);
struct generation *generation_keep(struct generation *generation);
/* The last reference frees everything but what later generations share. NULL is fine. */
void generation_drop(struct generation *generation);

const struct snapshot *generation_snapshot(const struct generation *generation);
struct http *generation_http(const struct generation *generation);
/* In the order written. */
struct hook *const *generation_hooks(const struct generation *generation, unsigned *ret_count);
/* Lets every identity read its files again. */
void generation_reload_identities(struct generation *generation);
/* The one identity object of a setting; made at the first call. label names it in the log where it has no
 * name of its own. */
struct identity *generation_identity(struct generation *generation,
                                     const struct identity_settings *settings, const char *label);

#endif
