/* SPDX-License-Identifier: MIT */
/*
 * What a queue's settings mean: its URL (written, or of the account that a connection string names), its
 * identity (named, or made of the queue's own `sas` or `connection_string`), its poison queue. Blocks
 * where a secret's file has to be looked into.
 */
#ifndef FLOW_RESOLVE_H
#define FLOW_RESOLVE_H

#include <stdbool.h>

struct identity_settings;
struct mistakes;
struct own_identity;
struct queue_plan;
struct queue_settings;
struct snapshot;

/* Fills a zeroed plan; what could not be resolved stays NULL, its mistake told. */
void resolve_queue(struct snapshot *snapshot, const struct queue_settings *queue,
                   struct queue_plan *plan, struct mistakes *mistakes);
/* Frees the identities that were made of short forms. */
void resolve_free(struct own_identity *own);
/* Whether an identity's kind is known; a half-read one can not be asked anything. */
bool resolve_is_whole(const struct identity_settings *identity);
/* A queue's name for sentences; it may be what is missing. */
const char *resolve_label(const struct queue_settings *queue);

#endif
