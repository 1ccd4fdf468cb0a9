/* SPDX-License-Identifier: MIT */
/* An identity as a configuration writes it, and its kind's object. */
#ifndef TESTS_IDENTITY_CONFIGURED_H
#define TESTS_IDENTITY_CONFIGURED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/secret.h"
#include "config/mistakes.h"
#include "config/node.h"
#include "identity/identity.h"
#include "identity/issuer.h"
#include "loop/loop.h"
#include "net/http_request.h"

struct configured {
    char *text; /* the tree lives on it */
    struct node *tree;
    struct identity_settings *settings;
    struct mistakes mistakes;
    struct loop *loop;
    struct identity *owner;
    const struct identity_kind *kind;
    void *self; /* NULL after mistakes */
};

static inline void configured_done(struct configured *configured)
{
    if (configured->self != NULL)
        configured->kind->destroy(configured->self);
    identity_free(configured->owner);
    loop_free(configured->loop);
    config_free(&identity_table, configured->settings);
    node_free(configured->tree);
    mistakes_done(&configured->mistakes);
    free(configured->text);
}

#define autoconfigured __attribute__((cleanup(configured_done))) struct configured

/* Reads and checks; makes the kind's object if all was well. */
static inline struct configured configure(const char *text)
{
    struct configured made = {.text = xstrdup(text), .loop = loop_new()};
    const struct identity_context context = {.loop = made.loop};

    made.tree = node_parse("x.yaml", made.text, strlen(made.text), &made.mistakes);
    assert_non_null(made.tree);
    made.settings = config_read(&identity_table, made.tree, config_getenv, &made.mistakes);
    identity_check(made.settings, "", &made.mistakes);
    made.kind = identity_kinds[made.settings->kind.kind];
    if (made.mistakes.count == 0) {
        made.owner = identity_new(&context, made.settings, "build");
        made.self = made.kind->create(made.owner, &context, made.settings->kind.object);
    }
    return made;
}

/* One without mistakes that has taken a secret into use. */
static inline struct configured configure_good(const char *text, const char *secret)
{
    struct configured made = configure(text);
    autosecret taken = {0};
    struct err err;

    if (made.mistakes.count > 0)
        fail_msg("%s", made.mistakes.lines[0]);
    secret_set(&taken, secret, strlen(secret));
    if (!made.kind->adopt(made.self, &taken, &err))
        fail_msg("%s", err.text);
    return made;
}

/* The text has one mistake, which holds the words. */
static inline void assert_one_mistake(const char *text, const char *words)
{
    autoconfigured made = configure(text);

    if (made.mistakes.count != 1)
        fail_msg("%u mistakes in: %s; the last: %s", made.mistakes.count, text,
                 made.mistakes.count == 0 ? "" : made.mistakes.lines[made.mistakes.count - 1]);
    if (strstr(made.mistakes.lines[0], words) == NULL)
        fail_msg("no \"%s\" in: %s", words, made.mistakes.lines[0]);
}

/* What the issuer would be asked for a token for storage. */
static inline void ask_for_storage(const struct configured *made, struct http_request *ret_request)
{
    struct err err;

    http_request_init(ret_request, HTTP_GET);
    if (!made->kind->issuer(made->self)
             ->ask(made->self, "https://storage.azure.com/", ret_request, &err))
        fail_msg("%s", err.text);
}

#endif
