/* SPDX-License-Identifier: MIT */
/*
 * Texts with placeholders: `{iteration_id}`, `{name:-default}`; `{{` is a brace. A `}` that ends no
 * placeholder is itself; a default holds no braces. Compiled once when the configuration is read, rendered for each message. What a value
 * renders to is never looked at again for placeholders.
 */
#ifndef CODEC_TEMPLATE_H
#define CODEC_TEMPLATE_H

#include <stdbool.h>

#include "base/alloc.h"

struct buf;
struct err;
struct template;

/* The value of a name, NULL when this message has none. The text is borrowed. */
typedef const char *template_lookup_fn(void *arg, const char *name);

/* Names are [a-z][a-z0-9_]*. ERR_CONFIG with the column when the text is not a template. */
bool template_compile(const char *text, struct template **ret_template, struct err *err) MUST_CHECK;
void template_free(struct template *template);
/* Appends the text. ERR_REJECTED naming the placeholder when a value is missing and has no default
 * (an empty value counts as missing, as in a shell's `:-`), or when the buffer's ceiling is passed;
 * the buffer may then hold a part. */
bool template_render(const struct template *template, template_lookup_fn *lookup, void *arg,
                     struct buf *out, struct err *err) MUST_CHECK;
/* The names in order of appearance: i = 0, 1, ... until NULL. */
const char *template_name(const struct template *template, unsigned i);

#endif
