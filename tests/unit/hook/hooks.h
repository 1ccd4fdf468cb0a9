/* SPDX-License-Identifier: MIT */
/* Hooks as a configuration writes them, and an event for them. */
#ifndef TESTS_HOOK_HOOKS_H
#define TESTS_HOOK_HOOKS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "config/mistakes.h"
#include "config/node.h"
#include "event/event.h"
#include "hook/hook.h"

#define PROJECT    "6c4a1d0e-2f53-4a6b-9c11-0d6f3b7a8e21"
#define ITERATION  "b1f2c3d4-0000-4a6b-9c11-0d6f3b7a8e21"
#define SIGNED_URI "https://a.blob.core.windows.net/m/x.ONNX?sv=2021&sig=s3cret%3D&se=2027-01-01"
#define EXPORT_OF(project, uri)                                                                    \
    "{\"version\":\"1.0\",\"type\":\"Export\",\"Content\":{\"projectId\":\"" project               \
    "\",\"iterationId\":\"" ITERATION                                                              \
    "\",\"exportStatus\":\"ExportCompleted\",\"modelUri\":\"" uri "\"}}"

/* One hook read from a text. */
struct written {
    char *text; /* the tree's file name and the text stay alive with it */
    struct node *node;
    struct hook_settings *settings;
    struct mistakes mistakes;
};

static const char *written_env(const char *name)
{
    (void)name;
    return NULL;
}

static inline void written_read(struct written *written, const char *text)
{
    *written = (struct written){.text = xstrdup(text)};
    written->node =
        node_parse("test.yaml", written->text, strlen(written->text), &written->mistakes);
    assert_non_null(written->node);
    written->settings = config_read(&hook_table, written->node, written_env, &written->mistakes);
    hook_check(written->settings, &written->mistakes);
}

static inline void written_done(struct written *written)
{
    if (written->settings != NULL)
        config_free(&hook_table, written->settings);
    node_free(written->node);
    mistakes_done(&written->mistakes);
    free(written->text);
    *written = (struct written){0};
}

/* One that must be right. */
static inline void written_good(struct written *written, const char *text)
{
    written_read(written, text);
    if (written->mistakes.count > 0)
        fail_msg("%s", written->mistakes.lines[0]);
}

static inline struct event *event_of(const char *text)
{
    struct event *event = NULL;
    const char *reason = event_decode(text, strlen(text), &event);

    if (reason != NULL)
        fail_msg("%s", reason);
    return event;
}

#endif
