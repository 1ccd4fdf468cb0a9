/* SPDX-License-Identifier: MIT */
/*
 * Who we are to Azure. An identity authorises requests: a SAS goes into the query, a shared key or a
 * token into a header. Getting a credential may take a while (a file on the worker thread, a token
 * from the network), so authorising has two steps: wait until the identity is ready, then sign, which
 * is immediate.
 *
 * A kind is one file, one const struct identity_kind, one row in kinds.c.
 */
#ifndef IDENTITY_IDENTITY_H
#define IDENTITY_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "config/table.h"

struct http;
struct http_request;
struct identity;
struct identity_wait;
struct loop;
struct mistakes;
struct node;
struct worker;

/* What an identity may use. */
struct identity_context {
    struct loop *loop;
    struct worker *worker;
    struct http *http;
};

struct identity_kind {
    const char *name;
    const char *doc;           /* one line */
    struct config_table table; /* of its settings, which begin with struct config_place */
    /* Looks at what the settings point at: files, the shape of a secret. Blocks; runs at start, on
     * `-t`, and on the worker thread at a reload. Adds mistakes. May be NULL. permissions as in
     * identity_check. */
    void (*check)(const void *settings, bool allow_readable, const char *permissions,
                  struct mistakes *mistakes);
    /* The queue service's URL that the credential names, without a trailing slash, in fresh memory.
     * Blocks. NULL for kinds that know none. */
    bool (*queue_endpoint)(const void *settings, bool allow_readable, char **ret_url,
                           struct err *err);
    /* settings outlives the object. owner is for identity_acquired and logging. */
    void *(*create)(struct identity *owner, const struct identity_context *context,
                    const void *settings, bool allow_readable);
    void (*destroy)(void *self);
    bool (*is_ready)(void *self);
    /* Starts getting a credential; identity_acquired(owner, ...) must follow, never from inside. */
    void (*acquire)(void *self);
    /* Adds the credential to the request. Called only while ready. */
    bool (*sign)(void *self, struct http_request *request, struct err *err);
    /* The service answered 401 or 403: forget what may be stale (reread a file, drop a token). */
    void (*refused)(void *self);
    /* Adds what the kind knows about a refusal to err's sentence ("the SAS expired at ..."). May be
     * NULL. */
    void (*explain)(void *self, struct err *err);
};

/* One entry of `identities`, or the short form on a queue. */
struct identity_settings {
    struct config_place place;
    char *name;                /* NULL for the short form */
    struct config_one_of kind; /* indexes identity_kinds */
    bool allow_readable;
};

extern const struct config_table identity_table;
/* The kinds, ending with NULL; and the same as the table engine wants them. */
extern const struct identity_kind *const identity_kinds[];
extern const struct config_kind identity_kind_tables[];
/* The index of a kind in identity_kinds, -1 when there is none of that name. */
int identity_kind_find(const char *name);

/* Runs the kind's check. permissions are the SAS letters that this use can not do without: "p" for a
 * queue that is read, "a" for a poison queue, "" when nothing is known. */
void identity_check(const struct identity_settings *settings, const char *permissions,
                    struct mistakes *mistakes);
/* The kind's queue_endpoint; ERR_CONFIG when it has none. */
bool identity_queue_endpoint(const struct identity_settings *settings, char **ret_url,
                             struct err *err) MUST_CHECK;
bool identity_settings_equal(const struct identity_settings *a, const struct identity_settings *b);

/* settings is borrowed and outlives the identity. label names it in the log. */
struct identity *identity_new(const struct identity_context *context,
                              const struct identity_settings *settings, const char *label);
/* Waits that are open then never fire. Not from inside a wait's callback. NULL is fine. */
void identity_free(struct identity *identity);
const char *identity_label(const struct identity *identity);

bool identity_is_ready(struct identity *identity);
/* Fires once, when a credential is there (err NULL) or could not be had (ERR_AUTH, ERR_NETWORK). One
 * fetch is under way at a time, whoever waits. Never fires from inside. */
typedef void identity_ready_fn(void *arg, const struct err *err);
struct identity_wait *identity_wait_start(struct identity *identity, identity_ready_fn *ready,
                                          void *arg);
/* ready will not fire. NULL is fine. */
void identity_wait_cancel(struct identity_wait *wait);
/* Only while ready, which a wait's callback may rely on. The URL, the headers and the body must be
 * complete. On failure the request may hold a part of the credential: drop it. */
bool identity_sign(struct identity *identity, struct http_request *request,
                   struct err *err) MUST_CHECK;
/* The service refused a signed request with err, whose sentence grows by what the kind knows. */
void identity_refused(struct identity *identity, struct err *err);

/* A reload: what may have changed (a file) is read again before its next use. */
void identity_reload(struct identity *identity);

/* For kinds alone: the acquisition has ended. */
void identity_acquired(struct identity *identity, const struct err *err);
/* For kinds alone: puts "; ..." behind an error's sentence. */
void identity_add_reason(struct err *err, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
