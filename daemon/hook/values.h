/* SPDX-License-Identifier: MIT */
/*
 * What a hook may know of its message, under one set of names: `{iteration_id}` in a template is
 * `CVN_ITERATION_ID` in an environment.
 */
#ifndef HOOK_VALUES_H
#define HOOK_VALUES_H

#include <stdbool.h>

#include "base/err.h"

struct buf;
struct hook_call;
struct mistakes;
struct node;
struct template;

/* Renders a template with a message's values. With hide_signature a model_uri that carries `sig=`
 * loses its query, for argv and syslog, which others can read. */
bool values_render(const struct template *template, const struct hook_call *call,
                   bool hide_signature, struct buf *out, struct err *err) MUST_CHECK;
/* Calls put("CVN_ITERATION_ID", "...") for each value that is present. */
void values_each_env(const struct hook_call *call,
                     void (*put)(void *arg, const char *name, const char *value), void *arg);
/* Compiles a template of the configuration, which stands at `at` and is called `name` there: a mistake
 * when it is none, or when it names what no message has. NULL then, and for a NULL text. */
struct template *values_compile(const char *text, const char *name, const struct node *at,
                                struct mistakes *mistakes);

#endif
