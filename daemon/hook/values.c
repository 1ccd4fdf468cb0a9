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

static const char *const message_names[] = {"message_id", "queue", "inserted",
                                            "attempt",    "hook",  NULL};

#define MAX_NAMES 32

/* The names, those of the event first. */
const char *const *values_names(void)
{
    static const char *names[MAX_NAMES];
    unsigned count = 0;

    if (names[0] != NULL)
        return names;
    for (const char *const *name = message_names; *name != NULL; name++)
        names[count++] = *name;
    for (const char *const *name = event_field_names(); *name != NULL && count < MAX_NAMES - 1;
         name++)
        names[count++] = *name;
    return names;
}

/* A look-up in progress: some values are made when they are asked for. */
struct lookup {
    const struct hook_call *call;
    bool hide_signature;
    char made[DATE_TEXT_MAX];
    char *cut; /* a model_uri without its query */
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
    const struct hook_call *call = lookup->call;
    const struct hook_message *message = call->message;

    if (strcmp(name, "message_id") == 0)
        return message->id;
    if (strcmp(name, "queue") == 0)
        return message->queue;
    if (strcmp(name, "hook") == 0)
        return call->hook;
    if (strcmp(name, "attempt") == 0) {
        snprintf(lookup->made, sizeof(lookup->made), "%u", call->attempt);
        return lookup->made;
    }
    if (strcmp(name, "inserted") == 0) {
        date_format_iso(message->inserted_ms, lookup->made);
        return lookup->made;
    }
    const char *value = event_field(message->event, name);
    if (value != NULL && lookup->hide_signature && strcmp(name, "model_uri") == 0)
        return without_signature(lookup, value);
    return value;
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

    for (const char *const *name = values_names(); *name != NULL; name++) {
        const char *value = value_of(&lookup, *name);
        char env_name[64];
        size_t len = 0;

        if (value == NULL)
            continue;
        len = (size_t)snprintf(env_name, sizeof(env_name), "CVN_%s", *name);
        for (size_t i = 4; i < len; i++)
            env_name[i] = (char)toupper((unsigned char)env_name[i]);
        put(arg, env_name, value);
    }
}

static bool is_known(const char *name)
{
    for (const char *const *known = values_names(); *known != NULL; known++) {
        if (strcmp(name, *known) == 0)
            return true;
    }
    return false;
}

struct template *values_compile(const char *text, const struct node *map, const char *key,
                                struct mistakes *mistakes)
{
    struct template *template;
    struct err err;
    const char *name;

    if (!template_compile(text, &template, &err)) {
        mistakes_at_key(mistakes, map, key, "%s: %s", key, err.text);
        return NULL;
    }
    for (unsigned i = 0; (name = template_name(template, i)) != NULL; i++) {
        if (is_known(name))
            continue;
        const char *near = str_nearest(name, values_names());
        mistakes_at_key(mistakes, map, key,
                        "%s: no message has a value {%s}%s%s%s; a literal brace is written {{", key,
                        name, near != NULL ? "; did you mean {" : "", near != NULL ? near : "",
                        near != NULL ? "}" : "");
        template_free(template);
        return NULL;
    }
    return template;
}
