/* SPDX-License-Identifier: MIT */
/* JSON web tokens, made up and taken apart; forms as a request's body has them. */
#ifndef TESTS_IDENTITY_TOKENS_H
#define TESTS_IDENTITY_TOKENS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/str.h"
#include "codec/base64.h"
#include "codec/json.h"
#include "net/url.h"

/* The header (0) or the claims (1) of a token with three parts. */
static inline struct json_doc *token_part(const char *token, unsigned number)
{
    struct json_doc *doc = NULL;
    autobuf json;

    for (; number > 0; number--)
        token = strchr(token, '.') + 1;
    buf_init(&json, BUF_ANY_SIZE);
    assert_true(base64url_decode(token, strcspn(token, "."), &json));
    assert_int_equal(json_parse(json.data, json.len, 8, &doc), JSON_OK);
    return doc;
}

/* A token with these claims, which nobody has signed; the caller frees. */
static inline char *token_of(const char *claims)
{
    autobuf text;

    buf_init(&text, BUF_ANY_SIZE);
    base64url_encode("{\"alg\":\"RS256\"}", 15, &text);
    buf_putc(&text, '.');
    base64url_encode(claims, strlen(claims), &text);
    buf_puts(&text, ".c2lnbmF0dXJl");
    return buf_take(&text);
}

/* The value of a form's field, decoded; NULL when it is not there, and a failure when it is twice. */
static inline char *form_value(const char *form, const char *name)
{
    char *field, *value, *found = NULL;

    while (url_query_next(&form, &field, &value)) {
        if (str_equal(field, name)) {
            assert_null(found);
            found = take(value);
        }
        free(field);
        free(value);
    }
    return found;
}

static inline void assert_field(const char *form, const char *name, const char *expected)
{
    char *value = form_value(form, name);

    if (expected == NULL)
        assert_null(value);
    else if (value == NULL)
        fail_msg("no %s in the form", name);
    else
        assert_string_equal(value, expected);
    free(value);
}

#endif
