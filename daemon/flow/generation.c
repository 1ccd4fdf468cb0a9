/* SPDX-License-Identifier: MIT */
/* One configuration in force. */
#include "flow/generation.h"

#include <stdlib.h>

#include "azure/queue.h"
#include "flow/settings.h"
#include "hook/hook.h"
#include "identity/identity.h"
#include "loop/loop.h"
#include "net/http.h"

#define MAX_CONNECTIONS 32 /* to one host */

/* A client that several generations may share. */
struct shared_http {
    unsigned references;
    struct http *http;
};

struct known_identity {
    const struct identity_settings *settings;
    struct identity *identity;
    /* An earlier generation that made it and keeps it; NULL: this one did. */
    struct generation *owner;
};

struct generation {
    unsigned references;
    unsigned
        keepers; /* of its own identities: later generations, and itself while there are references */
    struct generation_context context;
    struct snapshot *snapshot;
    struct shared_http *http;
    struct hook **hooks;
    unsigned hook_count;
    struct known_identity *identities;
    unsigned identity_count;
};

static struct shared_http *make_http(struct loop *loop, const struct http_section *section)
{
    struct shared_http *shared = xcalloc(1, sizeof(*shared));

    shared->references = 1;
    shared->http = http_new(loop, &(struct http_settings){
                                      .ca_file = section->ca_file,
                                      .proxy = section->proxy,
                                      .timeout_ms = section->timeout_ms,
                                      .user_agent = "cvnotifyd/" CVNOTIFYD_VERSION,
                                      .max_connections = MAX_CONNECTIONS,
                                  });
    return shared;
}

static struct shared_http *share_http(struct loop *loop, const struct snapshot *snapshot,
                                      struct generation *previous)
{
    const struct http_section *section = snapshot->settings->http;

    if (previous == NULL || !config_equal(&http_table, section, previous->snapshot->settings->http))
        return make_http(loop, section);
    previous->http->references++;
    return previous->http;
}

static void know(struct generation *generation, const struct known_identity *known)
{
    generation->identities = xreallocarray(generation->identities, generation->identity_count + 1,
                                           sizeof(*generation->identities));
    generation->identities[generation->identity_count++] = *known;
}

/* The entry of `identities` that says the same; NULL: none. */
static const struct identity_settings *find_same(const struct snapshot *snapshot,
                                                 const struct identity_settings *settings)
{
    const struct config_objects *identities = &snapshot->settings->identities;

    for (unsigned i = 0; settings->name != NULL && i < identities->count; i++) {
        if (identity_settings_equal(identities->items[i], settings))
            return identities->items[i];
    }
    return NULL;
}

/* What did not change stays the same object: its token serves on, and is one for all queues. */
static void share_identities(struct generation *generation, struct generation *previous)
{
    if (previous == NULL || generation->http != previous->http ||
        generation->snapshot->settings->allow_insecure !=
            previous->snapshot->settings->allow_insecure)
        return;
    for (unsigned i = 0; i < previous->identity_count; i++) {
        struct known_identity known = previous->identities[i];

        known.settings = find_same(generation->snapshot, known.settings);
        if (known.settings == NULL)
            continue;
        if (known.owner == NULL)
            known.owner = previous;
        known.owner->keepers++;
        know(generation, &known);
        identity_reload(known.identity);
    }
}

struct generation *generation_new(const struct generation_context *context,
                                  struct snapshot *snapshot, struct generation *previous)
{
    struct generation *generation = xcalloc(1, sizeof(*generation));
    const struct config_objects *hooks = &snapshot->settings->hooks;
    struct hook_context hook_context = {
        .loop = context->loop, .worker = context->worker, .children = context->children};

    generation->references = generation->keepers = 1;
    generation->context = *context;
    generation->snapshot = snapshot;
    generation->http = share_http(context->loop, snapshot, previous);
    generation->hook_count = hooks->count;
    generation->hooks = xcalloc(hooks->count + 1, sizeof(struct hook *));
    for (unsigned i = 0; i < hooks->count; i++)
        generation->hooks[i] = hook_new(&hook_context, hooks->items[i]);
    share_identities(generation, previous);
    return generation;
}

struct generation *generation_keep(struct generation *generation)
{
    generation->references++;
    return generation;
}

/* One keeper less of its own identities; the last one frees what is left. */
static void let_go(struct generation *generation)
{
    if (--generation->keepers > 0)
        return;
    for (unsigned i = 0; i < generation->identity_count; i++)
        identity_free(generation->identities[i].identity);
    free(generation->identities);
    if (--generation->http->references == 0) {
        http_free(generation->http->http);
        free(generation->http);
    }
    snapshot_free(generation->snapshot);
    free(generation);
}

/* Gives back the identities of earlier generations: else each would keep the one before it, for ever. */
static void return_shared(struct generation *generation)
{
    unsigned own = 0;

    for (unsigned i = 0; i < generation->identity_count; i++) {
        if (generation->identities[i].owner != NULL)
            let_go(generation->identities[i].owner);
        else
            generation->identities[own++] = generation->identities[i];
    }
    generation->identity_count = own;
}

static void end(void *arg)
{
    struct generation *generation = arg;

    for (unsigned i = 0; i < generation->hook_count; i++)
        hook_free(generation->hooks[i]);
    free(generation->hooks);
    return_shared(generation);
    let_go(generation);
}

void generation_drop(struct generation *generation)
{
    /* The last one to let go may stand in a callback of the very client that is to be freed. */
    if (generation != NULL && --generation->references == 0)
        loop_defer(generation->context.loop, end, generation);
}

const struct snapshot *generation_snapshot(const struct generation *generation)
{
    return generation->snapshot;
}

struct http *generation_http(const struct generation *generation)
{
    return generation->http->http;
}

struct hook *const *generation_hooks(const struct generation *generation, unsigned *ret_count)
{
    *ret_count = generation->hook_count;
    return generation->hooks;
}

void generation_reload_identities(struct generation *generation)
{
    for (unsigned i = 0; i < generation->identity_count; i++)
        identity_reload(generation->identities[i].identity);
}

struct identity *generation_identity(struct generation *generation,
                                     const struct identity_settings *settings, const char *label)
{
    const struct settings *all = generation->snapshot->settings;
    struct identity_context context = {.loop = generation->context.loop,
                                       .worker = generation->context.worker,
                                       .http = generation->http->http,
                                       .audience = QUEUE_AUDIENCE,
                                       .allow_insecure = all->allow_insecure};
    struct known_identity known = {.settings = settings};

    for (unsigned i = 0; i < generation->identity_count; i++) {
        if (generation->identities[i].settings == settings)
            return generation->identities[i].identity;
    }
    known.identity =
        identity_new(&context, settings, settings->name != NULL ? settings->name : label);
    know(generation, &known);
    return known.identity;
}
