/* SPDX-License-Identifier: MIT */
/* Who we are to Azure: what all kinds share, above all the waiting for a credential. */
#include "identity/identity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/secret.h"
#include "base/str.h"
#include "identity/issuer.h"
#include "identity/source.h"
#include "identity/token_cache.h"
#include "loop/timer.h"

struct identity_wait {
    struct identity *identity;
    identity_ready_fn *ready;
    void *arg;
    TAILQ_ENTRY(identity_wait) entry;
};

TAILQ_HEAD(waits, identity_wait);

struct identity {
    const struct identity_kind *kind;
    void *self;                /* the kind's object */
    struct source *source;     /* of a kind with a secret, else NULL */
    struct token_cache *cache; /* of a kind with an issuer, else NULL */
    char *label;
    bool acquiring;
    bool looks_again;    /* the secret is to be read once more before its next use */
    bool renews;         /* another token is wanted, though nobody waits for it */
    struct waits open;   /* in the order they came */
    struct waits firing; /* being told, right now, how an acquisition ended */
    struct timer turn;   /* lets waits begin and end outside of who started them */
};

static const struct config_row rows[] = {
    {.name = "name",
     .type = CONFIG_TEXT,
     .offset = offsetof(struct identity_settings, name),
     .min = 1,
     .max = 64,
     .help = "What queues call this identity; required and unique."},
    {.name = "kind",
     .type = CONFIG_KIND,
     .offset = offsetof(struct identity_settings, kind),
     .kinds = identity_kind_tables,
     .required = true,
     .help = "How the identity proves itself; the kind's own settings stand "
             "beside it in the same map."},
    {.name = "allow_readable",
     .type = CONFIG_BOOL,
     .offset = offsetof(struct identity_settings, allow_readable),
     .text = "false",
     .help = "Take a secret's file even when every user of this machine can read "
             "or write it."},
    {0},
};

const struct config_table identity_table = {
    .name = "identity",
    .size = sizeof(struct identity_settings),
    .rows = rows,
};

static const struct config_secret *secret_at(const struct identity_secret *secret,
                                             const void *settings)
{
    return (const void *)((const char *)settings + secret->offset);
}

/* The one of the kind's secrets that is set; NULL: none. */
static const struct identity_secret *find_secret(const struct identity_settings *settings)
{
    const struct identity_kind *kind = identity_kinds[settings->kind.kind];

    for (const struct identity_secret *secret = kind->secrets; secret->name != NULL; secret++) {
        if (config_secret_is_set(secret_at(secret, settings->kind.object)))
            return secret;
    }
    return NULL;
}

void identity_check(const struct identity_settings *settings, const char *permissions,
                    struct mistakes *mistakes)
{
    if (settings->kind.kind < 0)
        return; /* a mistake that has been named already */
    const struct identity_kind *kind = identity_kinds[settings->kind.kind];
    if (kind->look != NULL)
        kind->look(settings->kind.object);
    const struct identity_secret *secret = find_secret(settings);
    if (secret == NULL)
        return; /* the same, or there is none to look at */
    const struct config_secret *setting = secret_at(secret, settings->kind.object);
    const struct node *map = ((const struct config_place *)settings->kind.object)->map;
    autosecret text = {0};
    struct err err;
    if (source_check(setting, secret->name, map, settings->allow_readable, mistakes, &text) &&
        !secret->check(secret_reveal(&text), permissions, &err))
        source_mistake(setting, secret->name, map, mistakes, err.text);
}

/* Reads the secret as it is now. */
static bool read_secret(const struct identity_settings *settings, struct secret *ret_text,
                        bool *ret_unchecked, struct err *err)
{
    const struct identity_secret *secret = find_secret(settings);

    *ret_unchecked = false;
    if (secret == NULL)
        return err_set(err, ERR_AUTH, "no secret was given");
    return source_read(secret_at(secret, settings->kind.object), settings->allow_readable, ret_text,
                       ret_unchecked, err);
}

bool identity_queue_endpoint(const struct identity_settings *settings, char **ret_url,
                             bool *ret_unchecked, struct err *err)
{
    const struct identity_kind *kind = identity_kinds[settings->kind.kind];
    autosecret text = {0};

    *ret_unchecked = false;
    if (kind->queue_endpoint == NULL)
        return err_set(err, ERR_CONFIG, "an identity of the kind %s names no account: give a url",
                       kind->name);
    return read_secret(settings, &text, ret_unchecked, err) &&
           kind->queue_endpoint(secret_reveal(&text), ret_url, err);
}

bool identity_facts(const struct identity_settings *settings, struct identity_facts *ret_facts)
{
    const struct identity_kind *kind = identity_kinds[settings->kind.kind];
    autosecret text = {0};
    bool unchecked;
    struct err err;

    return kind->facts != NULL && read_secret(settings, &text, &unchecked, &err) &&
           kind->facts(secret_reveal(&text), ret_facts);
}

bool identity_sends_tokens(const struct identity_settings *settings)
{
    return identity_kinds[settings->kind.kind]->issuer != NULL;
}

bool identity_settings_equal(const struct identity_settings *a, const struct identity_settings *b)
{
    return config_equal(&identity_table, a, b);
}

/* Tells every wait that is open now; those that begin meanwhile get a turn of their own. */
static void tell_waits(struct identity *identity, const struct err *err)
{
    struct identity_wait *wait;

    TAILQ_CONCAT(&identity->firing, &identity->open, entry);
    while ((wait = TAILQ_FIRST(&identity->firing)) != NULL) {
        identity_ready_fn *ready = wait->ready;
        void *arg = wait->arg;

        /* One callback may make the credential stale for the next. */
        if (err == NULL && !identity_is_ready(identity)) {
            TAILQ_CONCAT(&identity->open, &identity->firing, entry);
            timer_set(&identity->turn, 0);
            return;
        }
        TAILQ_REMOVE(&identity->firing, wait, entry);
        free(wait);
        ready(arg, err);
    }
}

/* --- getting a credential --- */

static void end_acquisition(struct identity *identity, const struct err *err)
{
    identity->acquiring = identity->looks_again = identity->renews = false;
    tell_waits(identity, err);
}

void identity_acquired(struct identity *identity, const struct err *err)
{
    /* Whoever rotates a file may have done so by now. */
    if (err != NULL && err->code == ERR_AUTH && identity->source != NULL)
        source_refused(identity->source);
    end_acquisition(identity, err);
}

static void on_secret(void *arg, const struct err *err)
{
    struct identity *identity = arg;

    if (identity->cache == NULL) {
        end_acquisition(identity, err);
    } else if (err != NULL) {
        token_cache_failed(identity->cache, err);
        end_acquisition(identity, err);
    } else {
        token_cache_fetch(identity->cache);
    }
}

static bool is_stale(const struct identity *identity)
{
    return identity->kind->is_stale != NULL &&
           identity->kind->is_stale(identity->self, source_read_ms(identity->source));
}

/* Whether there is a secret that has to be read first. */
static bool must_read(const struct identity *identity)
{
    if (identity->source == NULL)
        return false;
    return identity->cache == NULL || identity->kind->secret_of != NULL ||
           !source_is_ready(identity->source) || is_stale(identity);
}

/* A secret is read, then a token fetched, as the kind needs it. */
static void acquire(struct identity *identity)
{
    struct err err;

    if (identity->cache != NULL && !token_cache_may_fetch(identity->cache, &err)) {
        end_acquisition(identity, &err);
        return;
    }
    identity->acquiring = true;
    if (must_read(identity))
        source_acquire(identity->source);
    else
        token_cache_fetch(identity->cache);
}

static void on_turn(void *arg)
{
    struct identity *identity = arg;

    if (!TAILQ_EMPTY(&identity->open) && identity_is_ready(identity))
        tell_waits(identity, NULL);
    if (!identity->acquiring && (!TAILQ_EMPTY(&identity->open) || identity->renews))
        acquire(identity);
}

/* --- life --- */

/* NULL for a kind that has no secret. */
static struct source *make_source(struct identity *identity, struct worker *worker,
                                  const struct identity_settings *settings)
{
    const struct identity_kind *kind = identity->kind;
    const struct identity_secret *secret = find_secret(settings);

    if (kind->secret_of != NULL)
        return source_new(worker, kind->secret_of(identity->self), true, kind->adopt,
                          identity->self, on_secret, identity);
    if (secret == NULL)
        return NULL;
    return source_new(worker, secret_at(secret, settings->kind.object), settings->allow_readable,
                      kind->adopt, identity->self, on_secret, identity);
}

struct identity *identity_new(const struct identity_context *context,
                              const struct identity_settings *settings, const char *label)
{
    struct identity *identity = xcalloc(1, sizeof(*identity));
    const struct identity_kind *kind = identity_kinds[settings->kind.kind];

    identity->kind = kind;
    identity->label = xstrdup(label);
    TAILQ_INIT(&identity->open);
    TAILQ_INIT(&identity->firing);
    timer_init(&identity->turn, context->loop, on_turn, identity);
    identity->self = kind->create(identity, context, settings->kind.object);
    identity->source = make_source(identity, context->worker, settings);
    if (kind->issuer != NULL)
        identity->cache =
            token_cache_new(identity, context, kind->issuer(identity->self), identity->self);
    return identity;
}

void identity_free(struct identity *identity)
{
    struct identity_wait *wait;

    if (identity == NULL)
        return;
    token_cache_free(identity->cache);
    source_free(identity->source);
    identity->kind->destroy(identity->self);
    while ((wait = TAILQ_FIRST(&identity->open)) != NULL) {
        TAILQ_REMOVE(&identity->open, wait, entry);
        free(wait);
    }
    timer_done(&identity->turn);
    free(identity->label);
    free(identity);
}

const char *identity_label(const struct identity *identity)
{
    return identity->label;
}

bool identity_is_ready(struct identity *identity)
{
    if (identity->cache != NULL)
        return token_cache_is_ready(identity->cache);
    return source_is_ready(identity->source) && !identity->looks_again && !is_stale(identity);
}

struct identity_wait *identity_wait_start(struct identity *identity, identity_ready_fn *ready,
                                          void *arg)
{
    struct identity_wait *wait = xcalloc(1, sizeof(*wait));

    wait->identity = identity;
    wait->ready = ready;
    wait->arg = arg;
    TAILQ_INSERT_TAIL(&identity->open, wait, entry);
    timer_set(&identity->turn, 0);
    return wait;
}

/* Whether the wait is among those being told; a wait does not know its list. */
static bool is_firing(const struct identity_wait *wait)
{
    const struct identity_wait *other;

    TAILQ_FOREACH (other, &wait->identity->firing, entry) {
        if (other == wait)
            return true;
    }
    return false;
}

void identity_wait_cancel(struct identity_wait *wait)
{
    if (wait == NULL)
        return;
    struct waits *list = is_firing(wait) ? &wait->identity->firing : &wait->identity->open;
    TAILQ_REMOVE(list, wait, entry);
    free(wait);
}

/* A token that is due is replaced while it serves on. */
static void renew_in_time(struct identity *identity)
{
    if (identity->acquiring || identity->renews || !token_cache_is_due(identity->cache))
        return;
    identity->renews = true;
    timer_set(&identity->turn, 0);
}

bool identity_sign(struct identity *identity, struct http_request *request, struct err *err)
{
    if (identity->cache == NULL)
        return identity->kind->sign(identity->self, request, err);
    renew_in_time(identity);
    return token_cache_sign(identity->cache, request, err);
}

enum identity_proof identity_proof(const struct identity *identity)
{
    if (identity->cache != NULL)
        return IDENTITY_PROOF_TOKEN;
    return identity->kind->proof(identity->self);
}

bool identity_lacks(struct identity *identity, char permission)
{
    return identity->kind->lacks != NULL && identity->kind->lacks(identity->self, permission);
}

/* Another token is the same principal's, with the same rights. */
unsigned identity_version(const struct identity *identity)
{
    return identity->cache == NULL ? source_version(identity->source) : 0;
}

unsigned identity_credential(const struct identity *identity)
{
    return identity->cache == NULL ? 0 : token_cache_number(identity->cache);
}

const char *identity_trouble(const struct identity *identity)
{
    return identity->cache == NULL ? NULL : token_cache_trouble(identity->cache);
}

void identity_hurry(struct identity *identity)
{
    if (identity->cache != NULL)
        token_cache_hurry(identity->cache);
}

void identity_reload(struct identity *identity)
{
    if (identity->source != NULL)
        source_refused(identity->source);
    if (identity->cache != NULL)
        token_cache_reload(identity->cache);
}

void identity_look_again(struct identity *identity)
{
    identity->looks_again = identity->cache == NULL;
}

bool identity_refused(struct identity *identity, unsigned credential, struct err *err)
{
    if (identity->cache != NULL)
        return token_cache_refused(identity->cache, credential, err);
    if (identity->kind->explain != NULL)
        identity->kind->explain(identity->self, err);
    source_explain(identity->source, err);
    source_refused(identity->source);
    return false;
}

void identity_explain_secret(const struct identity *identity, struct err *err)
{
    if (identity->source != NULL)
        source_explain(identity->source, err);
}

void identity_challenge_met(struct identity *identity, const struct err *err)
{
    token_cache_challenge_met(identity->cache, err);
}

void identity_add_reason(struct err *err, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    autofree char *reason = xvasprintf(format, args);
    va_end(args);
    size_t used = strlen(err->text);
    if (used + 2 + strlen(reason) < sizeof(err->text))
        snprintf(err->text + used, sizeof(err->text) - used, "; %s", reason);
}
