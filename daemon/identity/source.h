/* SPDX-License-Identifier: MIT */
/*
 * Where an identity's secret comes from: the text itself, a file, or a systemd credential, read on
 * the worker thread, and read again after a refusal. What the kinds that hold a secret share.
 */
#ifndef IDENTITY_SOURCE_H
#define IDENTITY_SOURCE_H

#include <stdbool.h>

#include "base/err.h"
#include "base/secret.h"
#include "loop/worker.h"

struct config_secret;
struct identity;
struct identity_context;
struct mistakes;
struct node;

/* Takes a freshly read secret into use: parses it, keeps what it needs. False with ERR_AUTH when it
 * is not of the right shape; the source then counts as not ready. */
typedef bool source_adopt_fn(void *self, const struct secret *secret, struct err *err);

struct source; /* one per identity */

struct source *source_new(struct identity *owner, const struct identity_context *context,
                          const struct config_secret *setting, bool allow_readable,
                          source_adopt_fn *adopt, void *self);
/* Safe while a read is under way. NULL is fine. */
void source_free(struct source *source);
bool source_is_ready(const struct source *source);
/* Reads and adopts, then calls identity_acquired. */
void source_acquire(struct source *source);
/* The next use reads a file again; a text or a credential stays what it is, and so stays ready. */
void source_refused(struct source *source);

/* Reads a setting at once (blocks): for checks. ERR_CONFIG-style sentences; a credential without
 * $CREDENTIALS_DIRECTORY fails with ret_unchecked set, which is no mistake. */
bool source_read(const struct config_secret *setting, bool allow_readable,
                 struct secret *ret_secret, bool *ret_unchecked, struct err *err) MUST_CHECK;

#endif
