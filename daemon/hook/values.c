/* SPDX-License-Identifier: MIT */
/* What a hook may know of its message. */
#include "hook/values.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "codec/date.h"
#include "codec/template.h"
#include "config/mistakes.h"
#include "event/event.h"
#include "hook/hook.h"

#define MAX_NAMES 32

/* A look-up in progress: some values are made when they are asked for. */
struct lookup {
    const struct hook_call *call;
    bool hide_signature;
    char made[DATE_TEXT_MAX];
    char *cut; /* a model_uri without its query */
};

static const char *get_message_id(struct lookup *lookup)
{
    return lookup->call->message->id;
}

static const char *get_queue(struct lookup *lookup)
{
    return lookup->call->message->queue;
}

static const char *get_inserted(struct lookup *lookup)
{
    date_format_iso(lookup->call->message->inserted_ms, lookup->made);
    return lookup->made;
}

static const char *get_attempt(struct lookup *lookup)
{
    snprintf(lookup->made, sizeof(lookup->made), "%u", lookup->call->attempt);
    return lookup->made;
}

static const char *get_hook(struct lookup *lookup)
{
    return lookup->call->hook;
}

/* What the message and the run know; the rest is the event's. */
static const struct {
    const char *name;
    const char *(*get)(struct lookup *lookup);
} own_values[] = {
    {"message_id", get_message_id}, {"queue", get_queue}, {"inserted", get_inserted},
    {"attempt", get_attempt},       {"hook", get_hook},
};

/* A URI whose query carries a signature, without that query. */
static const char *without_signature(struct lookup *lookup, const char *uri)
{
    const char *query = strchr(uri, '?');

    if (query == NULL || strcasestr(query, "sig=") == NULL)
        return uri;
    free(lookup->cut);
    lookup->cut = xstrndup(uri, (size_t)(query - uri));
    return lookup->cut;
}

static const char *value_of(void *arg, const char *name)
{
    struct lookup *lookup = arg;

    for (size_t i = 0; i < array_size(own_values); i++) {
        if (strcmp(own_values[i].name, name) == 0)
            return own_values[i].get(lookup);
    }
    const char *value = event_field(lookup->call->message->event, name);
    if (value != NULL && lookup->hide_signature && strcmp(name, "model_uri") == 0)
        return without_signature(lookup, value);
    return value;
}

/* The i-th name there is, NULL after the last. */
static const char *name_at(size_t i)
{
    return i < array_size(own_values) ? own_values[i].name
                                      : event_field_names()[i - array_size(own_values)];
}

bool values_render(const struct template *template, const struct hook_call *call,
                   bool hide_signature, struct buf *out, struct err *err)
{
    struct lookup lookup = {.call = call, .hide_signature = hide_signature};
    bool good = template_render(template, value_of, &lookup, out, err);

    free(lookup.cut);
    return good;
}

void values_each_env(const struct hook_call *call,
                     void (*put)(void *arg, const char *name, const char *value), void *arg)
{
    struct lookup lookup = {.call = call};
    const char *name;

    for (size_t i = 0; (name = name_at(i)) != NULL; i++) {
        const char *value = value_of(&lookup, name);

        if (value == NULL)
            continue;
        autofree char *env_name = xasprintf("CVN_%s", name);
        for (char *c = env_name; *c != '\0'; c++)
            *c = (char)toupper((unsigned char)*c);
        put(arg, env_name, value);
    }
}

static bool is_known(const char *name)
{
    const char *known;

    for (size_t i = 0; (known = name_at(i)) != NULL; i++) {
        if (strcmp(name, known) == 0)
            return true;
    }
    return false;
}

/* "; did you mean {iteration_id}?", or nothing. */
static char *advice(const char *name)
{
    const char *names[MAX_NAMES + 1] = {NULL};

    for (size_t i = 0; i < MAX_NAMES && name_at(i) != NULL; i++)
        names[i] = name_at(i);
    const char *near = str_nearest(name, names);
    return near == NULL ? xstrdup("") : xasprintf("; did you mean {%s}?", near);
}

struct template *values_compile(const char *text, const char *name, const struct node *at,
                                struct mistakes *mistakes)
{
    struct template *template;
    struct err err;
    const char *value;

    if (text == NULL)
        return NULL;
    if (!template_compile(text, &template, &err)) {
        mistakes_at(mistakes, at, "%s: %s", name, err.text);
        return NULL;
    }
    for (unsigned i = 0; (value = template_name(template, i)) != NULL; i++) {
        if (is_known(value))
            continue;
        autofree char *meant = advice(value);
        mistakes_at(mistakes, at,
                    "%s: no message has a value {%s}%s; a literal brace is written {{", name, value,
                    meant);
        template_free(template);
        return NULL;
    }
    return template;
}
