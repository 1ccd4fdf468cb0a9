/* SPDX-License-Identifier: MIT */
/*
 * Who we are to Azure. An identity authorises requests: a SAS goes into the query, a shared key or a
 * token into a header. Getting a credential may take a while (a file on the worker thread, a token
 * from the network), so authorising has two steps: wait until the identity is ready, then sign, which
 * is immediate.
 *
 * A kind is one file, one const struct identity_kind, one row in kinds.c. It has a secret that signs (a
 * SAS, a key), or an issuer that gives it tokens, or an issuer and a secret to show there. What all have in
 * common is done once: secrets are read by identity/source, tokens got and kept by identity/token_cache.
 */
#ifndef IDENTITY_IDENTITY_H
#define IDENTITY_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "config/table.h"
#include "identity/proof.h"

struct err;
struct http;
struct http_request;
struct identity;
struct identity_wait;
struct issuer;
struct loop;
struct mistakes;
struct node;
struct secret;
struct worker;

/* What an identity may use. */
struct identity_context {
    struct loop *loop;
    struct worker *worker;
    struct http *http;
    const char *audience; /* whom a token is for, "https://storage.azure.com/"; a constant */
    bool allow_insecure;  /* a token may be sent over http:// to this machine */
};

/* A secret of a kind's settings: the row's name (S, S_file, S_credential), and where it is. */
struct identity_secret {
    const char *name;
    size_t offset;
    /* Blocks nothing: whether the text is of the right shape; permissions as for identity_check. ERR_AUTH
     * with the reason. */
    bool (*check)(const char *text, const char *permissions, struct err *err);
};

#define IDENTITY_MAX_SECRETS 2

/* What a credential says of itself. */
struct identity_facts {
    const char *what;    /* it is, in sentences: "SAS", "certificate" */
    bool of_one_queue;   /* no good for another one */
    bool may_not_update; /* it says so; not to renew leases, that is, nor to hide for a retry */
    bool has_expiry;
    int64_t expiry_ms; /* wall clock */
};

struct identity_kind {
    const char *name;
    const char *doc;           /* one line */
    struct config_table table; /* of its settings, which begin with struct config_place */
    /* Of which exactly one is set (the table's check sees to it); ends with a NULL name. None: the kind
     * has no secret, or names it by secret_of. */
    struct identity_secret secrets[IDENTITY_MAX_SECRETS + 1];
    /* For a kind whose secret is not one of its rows but a file that the platform writes, such as a
     * workload's token: read again before each fetch, whoever may read it. Borrowed from self. NULL for others. */
    const struct config_secret *(*secret_of)(void *self);
    /* Who gives it tokens; NULL for a kind whose secret signs. */
    const struct issuer *(*issuer)(void *self);
    /* Takes a freshly read secret into use. NULL without a secret. */
    bool (*adopt)(void *self, const struct secret *secret, struct err *err);
    /* Whether it should be read again first. May be NULL. */
    bool (*is_stale)(void *self, int64_t read_ms);
    /* What the secret's text says of itself, for people; false when it is not of the right shape. NULL
     * for kinds whose secrets say nothing. */
    bool (*facts)(const char *text, struct identity_facts *ret_facts);
    /* The queue service's URL that the credential names, without a trailing slash, in fresh memory.
     * Blocks. NULL for kinds that know none. */
    bool (*queue_endpoint)(const char *text, char **ret_url, struct err *err);
    /* Looks at this machine for what the settings leave open, and notes it in them: a part of identity_check.
     * Blocks. May be NULL. */
    void (*look)(void *settings);
    /* settings outlives the object. owner is for identity_acquired and logging. */
    void *(*create)(struct identity *owner, const struct identity_context *context,
                    const void *settings);
    void (*destroy)(void *self);
    /* Adds the credential to the request. Called only while ready. NULL with an issuer: the token is
     * put there by identity/token_cache. */
    bool (*sign)(void *self, struct http_request *request, struct err *err);
    /* Adds what the kind knows about a refusal to err's sentence ("the SAS expired at ..."). May be
     * NULL. */
    void (*explain)(void *self, struct err *err);
    /* What sign adds. NULL with an issuer: a token. */
    enum identity_proof (*proof)(void *self);
    /* Whether the credential in use says of itself that it lacks that SAS permission (a letter); false
     * when it does not tell. May be NULL. */
    bool (*lacks)(void *self, char permission);
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

/* Runs the kind's check. permissions are the SAS letters that this use can not do without: "p" for a
 * queue that is read, "a" for a poison queue, "" when nothing is known. */
void identity_check(const struct identity_settings *settings, const char *permissions,
                    struct mistakes *mistakes);
/* The kind's queue_endpoint. ERR_CONFIG when the kind, or the credential, names no account; ERR_AUTH
 * when the secret can not be read, with *ret_unchecked set for a credential that is not there to be
 * looked at. */
bool identity_queue_endpoint(const struct identity_settings *settings, char **ret_url,
                             bool *ret_unchecked, struct err *err) MUST_CHECK;
/* What the kind's secret says of itself, as it is now. Blocks. False when that is nothing, or can not be
 * read. */
bool identity_facts(const struct identity_settings *settings,
                    struct identity_facts *ret_facts) MUST_CHECK;
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
/* The number of the credential that identity_sign uses: another for each token. */
unsigned identity_credential(const struct identity *identity);
/* The service refused, with err, a request that was signed with that credential; err's sentence grows by what
 * is known. True when there is, or may soon be, another credential that helps: the request should be signed
 * and sent anew, once. */
bool identity_refused(struct identity *identity, unsigned credential, struct err *err);
/* What is wrong although the identity works: a sentence; NULL when nothing is. */
const char *identity_trouble(const struct identity *identity);
/* Whether it sends tokens, which go over https:// alone (to this machine also over http://, if allowed). */
bool identity_sends_tokens(const struct identity_settings *settings);

/* What identity_sign puts on a request. */
enum identity_proof identity_proof(const struct identity *identity);
/* Whether the credential in use says of itself that it lacks that SAS permission (a letter). False when
 * it does not tell, and before the identity was ready. */
bool identity_lacks(struct identity *identity, char permission);
/* Another number than before when another secret has come into use. */
unsigned identity_version(const struct identity *identity);

/* An operator wants it tried now: waits after failures are forgotten. */
void identity_hurry(struct identity *identity);
/* A reload: what may have changed (a file) is read again before its next use. */
void identity_reload(struct identity *identity);

/* In case that there is a better secret by now: its file is read again before the next use. The one in
 * use stays when that fails. */
void identity_look_again(struct identity *identity);

/* For identity/token_cache alone: a fetch has ended. */
void identity_acquired(struct identity *identity, const struct err *err);
/* For identity/token_cache alone: the issuer refused the secret; adds why that can not change by itself. */
void identity_explain_secret(const struct identity *identity, struct err *err);
/* For issuers alone: what `challenged` began has ended. */
void identity_challenge_met(struct identity *identity, const struct err *err);
/* For kinds alone: puts "; ..." behind an error's sentence, unless there is no room for all of it: half an id
 * would mislead. */
void identity_add_reason(struct err *err, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
