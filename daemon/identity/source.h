/* SPDX-License-Identifier: MIT */
/*
 * Where an identity's secret comes from: the text itself, a file, or a systemd credential, read on
 * the worker thread, and read again after a refusal. What the kinds that hold a secret share.
 */
#ifndef IDENTITY_SOURCE_H
#define IDENTITY_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/secret.h"
#include "loop/worker.h"

struct config_secret;
struct mistakes;
struct node;

/* A reading has ended: err is NULL when there is a secret to use. */
typedef void source_done_fn(void *arg, const struct err *err);
/* Takes a freshly read secret into use: parses it, keeps what it needs. False with ERR_AUTH when it
 * is not of the right shape; the source then counts as not ready. */
typedef bool source_adopt_fn(void *self, const struct secret *secret, struct err *err);

struct source; /* one per identity */

/* setting is borrowed. self is for adopt, arg for done. */
struct source *source_new(struct worker *worker, const struct config_secret *setting,
                          bool allow_readable, source_adopt_fn *adopt, void *self,
                          source_done_fn *done, void *arg);
/* Safe while a read is under way. NULL is fine. */
void source_free(struct source *source);
bool source_is_ready(const struct source *source);
/* When the secret was last read, well or not; wall clock. */
int64_t source_read_ms(const struct source *source);
/* Grows when another secret than before was adopted. */
unsigned source_version(const struct source *source);
/* Reads and adopts, then calls done. When that fails for a source that is ready still,
 * nothing is lost: the secret in use stays, and the acquisition counts as good. */
void source_acquire(struct source *source);
/* The next use reads a file again; a text or a credential stays what it is, and so stays ready. */
void source_refused(struct source *source);

/* Adds to a refusal's sentence why the secret can not change by itself. */
void source_explain(const struct source *source, struct err *err);

/* Whether there is a $CREDENTIALS_DIRECTORY that we may look into. */
bool source_has_credentials(void);
/* Reads a setting at once (blocks). ERR_AUTH when it can not be had; a credential without
 * source_has_credentials fails with *ret_unchecked set, which is no mistake of the configuration's. */
bool source_read(const struct config_secret *setting, bool allow_readable,
                 struct secret *ret_secret, bool *ret_unchecked, struct err *err) MUST_CHECK;
/* The same for a kind's check. name is the setting's row in map. False, with a mistake added unless
 * it is only unchecked, when there is nothing to look at. */
bool source_check(const struct config_secret *setting, const char *name, const struct node *map,
                  bool allow_readable, struct mistakes *mistakes,
                  struct secret *ret_secret) MUST_CHECK;
/* Adds a mistake where the secret is written: at `name`, `name_file` or `name_credential`. */
void source_mistake(const struct config_secret *setting, const char *name, const struct node *map,
                    struct mistakes *mistakes, const char *text);

#endif
