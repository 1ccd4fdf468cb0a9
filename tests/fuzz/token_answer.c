/* SPDX-License-Identifier: MIT */
/* identity/token_answer: an issuer's answer, its dates, and a token's claims. The first line is a token. */
#include "identity/token_answer.h"

#include "codec/json.h"
#include "fuzz.h"

#define NOW_MS 1795231417000LL /* 2026-11-21 */

static void check_claims(const char *token)
{
    autosecret secret = {0};
    struct token_claims claims;

    secret_set(&secret, token, strlen(token));
    token_claims_read(&secret, &claims);
    check(fuzz_is_sentence(claims.tenant) && fuzz_is_sentence(claims.object_id));
    check(fuzz_is_sentence(claims.client_id) && fuzz_is_sentence(claims.audience));
}

static void check_hidden(const struct json *answer, const struct err *err)
{
    const char *token = json_member_text(answer, "access_token");

    check(err->code == ERR_SERVER && fuzz_is_sentence(err->text));
    check(token == NULL || strlen(token) < 12 || strstr(err->text, token) == NULL);
}

static void check_answer(const struct json *root)
{
    struct token_answer answer = {.life_ms = 0};
    struct err err;

    if (!token_answer_read(root, NOW_MS, &answer, &err)) {
        check(!secret_is_set(&answer.token));
        check_hidden(root, &err);
        return;
    }
    check(answer.life_ms > 0 && secret_is_set(&answer.token));
    for (const char *c = secret_reveal(&answer.token); *c != '\0'; c++)
        check(*c > ' ' && *c <= '~');
    token_answer_done(&answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    autofree char *first = fuzz_line(&data, &size);
    autofree char *body = fuzz_bytes(data, size);
    struct json_doc *doc;
    int64_t ms;

    check_claims(first);
    (void)!token_answer_date(first, &ms);
    if (json_parse(body, size, 16, &doc) == JSON_OK) {
        check_answer(json_root(doc));
        json_doc_free(doc);
    }
    return 0;
}
