/* SPDX-License-Identifier: MIT */
/* An issuer's answer: the token and how long it lives. */
#include "identity/token_answer.h"

#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "codec/base64.h"
#include "codec/date.h"
#include "codec/json.h"

#define MAX_DEPTH 16
#define LATEST_S  253402300799 /* the end of the year 9999 */
#define LEAST_MS  1000         /* with less the next one would be asked for at once, and so on */

/* Whether it can be a header's value. */
static bool is_printable(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text <= ' ' || *text > '~')
            return false;
    }
    return true;
}

static bool is_bearer(const struct json *answer)
{
    const struct json *type = json_member(answer, "token_type");

    return type == NULL || type->type == JSON_NULL ||
           (type->type == JSON_STRING && str_equal_nocase(type->text, "Bearer"));
}

/* A member that is a number or a string, as it is spelled; NULL for any other. */
static const char *spelling(const struct json *answer, const char *name)
{
    const struct json *member = json_member(answer, name);

    if (member == NULL || (member->type != JSON_NUMBER && member->type != JSON_STRING))
        return NULL;
    return member->text;
}

bool token_answer_date(const char *text, int64_t *ret_ms)
{
    uint64_t seconds;

    if (str_to_uint(text, LATEST_S, &seconds)) {
        *ret_ms = (int64_t)seconds * 1000;
        return true;
    }
    return date_parse_iso(text, ret_ms) || date_parse_http(text, ret_ms) ||
           date_parse_us(text, ret_ms);
}

/* The span is the issuer's own arithmetic; a date has to be compared with a clock. */
static bool read_life(const struct json *answer, int64_t answered_ms, int64_t *ret_life_ms,
                      struct err *err)
{
    const char *span = spelling(answer, "expires_in"), *date = spelling(answer, "expires_on");
    char text[DATE_TEXT_MAX];
    uint64_t seconds;
    int64_t end_ms;

    if (span != NULL && str_to_uint(span, LATEST_S, &seconds) && seconds > 0) {
        *ret_life_ms = (int64_t)seconds * 1000;
        return true;
    }
    if (date == NULL || !token_answer_date(date, &end_ms))
        return err_set(err, ERR_SERVER,
                       "the answer's token tells of no expiry (expires_in, expires_on)");
    if (end_ms - answered_ms < LEAST_MS) {
        date_format_iso(end_ms, text);
        return err_set(err, ERR_SERVER,
                       "the answer's token expired at %s already (is this machine's clock right?)",
                       text);
    }
    *ret_life_ms = end_ms - answered_ms;
    return true;
}

bool token_answer_read(const struct json *answer, int64_t answered_ms,
                       struct token_answer *ret_answer, struct err *err)
{
    const char *token = json_member_text(answer, "access_token");
    int64_t life_ms = 0;

    if (token == NULL || *token == '\0')
        return err_set(err, ERR_SERVER, "there is no access_token in the answer");
    if (strlen(token) > TOKEN_MAX_BYTES)
        return err_set(err, ERR_SERVER, "the answer's token is longer than %zu KiB",
                       TOKEN_MAX_BYTES / 1024);
    if (!is_printable(token))
        return err_set(err, ERR_SERVER, "the answer's token holds what no token holds");
    if (!is_bearer(answer))
        return err_set(err, ERR_SERVER, "the answer's token is no bearer token (token_type)");
    if (!read_life(answer, answered_ms, &life_ms, err))
        return false;
    *ret_answer = (struct token_answer){.life_ms = life_ms};
    secret_set(&ret_answer->token, token, strlen(token));
    return true;
}

void token_answer_done(struct token_answer *answer)
{
    secret_done(&answer->token);
}

/* A claim's text that can stand in a sentence. */
static void copy_claim(const struct json *claims, const char *name, char *to, size_t size)
{
    const char *text = json_member_text(claims, name);

    if (text != NULL)
        str_copy_line(to, size, text);
}

/* The part between the two dots. */
static bool decode_payload(const char *token, struct buf *out)
{
    const char *start = strchr(token, '.');
    const char *end = start != NULL ? strchr(start + 1, '.') : NULL;

    return end != NULL && base64url_decode(start + 1, (size_t)(end - start - 1), out);
}

void token_claims_read(const struct secret *token, struct token_claims *ret_claims)
{
    struct json_doc *doc;
    autobuf payload;

    *ret_claims = (struct token_claims){.tenant = ""};
    buf_init(&payload, TOKEN_MAX_BYTES);
    if (decode_payload(secret_reveal(token), &payload) &&
        json_parse(payload.data, payload.len, MAX_DEPTH, &doc) == JSON_OK) {
        const struct json *claims = json_root(doc);

        copy_claim(claims, "tid", ret_claims->tenant, sizeof(ret_claims->tenant));
        copy_claim(claims, "oid", ret_claims->object_id, sizeof(ret_claims->object_id));
        copy_claim(claims, "azp", ret_claims->client_id, sizeof(ret_claims->client_id));
        copy_claim(claims, "appid", ret_claims->client_id, sizeof(ret_claims->client_id));
        copy_claim(claims, "aud", ret_claims->audience, sizeof(ret_claims->audience));
        json_doc_free(doc);
    }
    buf_wipe(&payload);
}
