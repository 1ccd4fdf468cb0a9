/* SPDX-License-Identifier: MIT */
/* What issuers answer: each one's spelling of a token's life, and what is no token. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "codec/base64.h"
#include "codec/json.h"
#include "identity/token_answer.h"

#define NOW_MS 1795231417000 /* Sat, 21 Nov 2026 03:23:37 GMT */
#define HOUR_S 3600

static bool read_answer(const char *text, struct token_answer *ret_answer, struct err *err)
{
    struct json_doc *doc;

    assert_int_equal(json_parse(text, strlen(text), 8, &doc), JSON_OK);
    bool good = token_answer_read(json_root(doc), NOW_MS, ret_answer, err);
    json_doc_free(doc);
    return good;
}

/* The answer holds the token "s3cr.e-t" and lives that long. */
static void expect_life(const char *text, int64_t life_s)
{
    struct token_answer answer;
    struct err err;

    if (!read_answer(text, &answer, &err))
        fail_msg("%s: %s", text, err.text);
    if (answer.life_ms != life_s * 1000)
        fail_msg("%s: lives %lld ms", text, (long long)answer.life_ms);
    assert_string_equal(secret_reveal(&answer.token), "s3cr.e-t");
    token_answer_done(&answer);
}

static void expect_none(const char *text, const char *why)
{
    struct token_answer answer = {.life_ms = 42};
    struct err err;

    if (read_answer(text, &answer, &err))
        fail_msg("%s was taken", text);
    assert_int_equal(err.code, ERR_SERVER);
    if (strstr(err.text, why) == NULL)
        fail_msg("%s: %s", text, err.text);
    assert_null(strstr(err.text, "s3cr"));
    assert_int_equal(answer.life_ms, 42);
    assert_false(secret_is_set(&answer.token));
}

static void each_issuers_answer_is_read(void **state)
{
    (void)state;
    /* IMDS: all numbers are strings. */
    expect_life("{\"access_token\":\"s3cr.e-t\",\"refresh_token\":\"\",\"expires_in\":\"3599\","
                "\"expires_on\":\"1795235016\",\"not_before\":\"1795231117\","
                "\"resource\":\"https://storage.azure.com/\",\"token_type\":\"Bearer\"}",
                3599);
    /* App Service 2019-08-01: no expires_in. */
    expect_life("{\"access_token\":\"s3cr.e-t\",\"expires_on\":\"1795317817\",\"resource\":"
                "\"https://storage.azure.com/\",\"token_type\":\"Bearer\",\"client_id\":\"5E29\"}",
                24 * HOUR_S);
    /* App Service 2017-09-01, on Windows and on Linux. */
    expect_life("{\"access_token\":\"s3cr.e-t\",\"expires_on\":\"11/21/2026 4:23:37 AM +00:00\","
                "\"resource\":\"https://storage.azure.com/\",\"token_type\":\"Bearer\"}",
                HOUR_S);
    expect_life("{\"access_token\":\"s3cr.e-t\",\"expires_on\":\"11/21/2026 16:23:37 +00:00\"}",
                13 * HOUR_S);
    /* Entra v2: JSON numbers. */
    expect_life("{\"token_type\":\"Bearer\",\"expires_in\":3599,\"ext_expires_in\":3599,"
                "\"access_token\":\"s3cr.e-t\"}",
                3599);
    /* Entra v1. */
    expect_life("{\"token_type\":\"Bearer\",\"expires_in\":\"3599\",\"ext_expires_in\":\"3599\","
                "\"expires_on\":\"1795235016\",\"not_before\":\"1795231117\",\"resource\":\"r\","
                "\"access_token\":\"s3cr.e-t\"}",
                3599);
}

static void a_date_may_come_in_each_form(void **state)
{
    (void)state;
    static const char *const dates[] = {
        "1795235017",
        "\"1795235017\"",
        "\"2026-11-21T04:23:37Z\"",
        "\"2026-11-21T04:23:37.000Z\"",
        "\"2026-11-21T06:23:37.0000000+02:00\"",
        "\"Sat, 21 Nov 2026 04:23:37 GMT\"",
        "\"11/21/2026 04:23:37\"",
    };

    for (size_t i = 0; i < array_size(dates); i++) {
        autofree char *text =
            xasprintf("{\"access_token\":\"s3cr.e-t\",\"expires_on\":%s}", dates[i]);
        expect_life(text, HOUR_S);
    }
}

static void the_span_outranks_the_date(void **state)
{
    (void)state;
    /* The issuer's clock is two hours behind: a comparison would say that it has expired. */
    expect_life("{\"access_token\":\"s3cr.e-t\",\"expires_in\":3600,\"expires_on\":1795227817}",
                HOUR_S);
    expect_life("{\"access_token\":\"s3cr.e-t\",\"expires_in\":\"60\",\"expires_on\":\"x\"}", 60);
    /* Unless it is nonsense. */
    static const char *const spans[] = {"0",        "\"0\"",          "-5",    "\"-5\"",
                                        "\"soon\"", "\"\"",           "null",  "true",
                                        "1.5",      "99999999999999", "[3600]"};
    for (size_t i = 0; i < array_size(spans); i++) {
        autofree char *text = xasprintf("{\"access_token\":\"s3cr.e-t\",\"expires_in\":%s,"
                                        "\"expires_on\":1795235017}",
                                        spans[i]);
        expect_life(text, HOUR_S);
    }
}

static void the_type_may_be_left_out_but_not_be_another(void **state)
{
    (void)state;
    static const char *const good[] = {"\"Bearer\"", "\"bearer\"", "\"BEARER\"", "null"};
    static const char *const wrong[] = {"\"pop\"", "\"Bearer \"", "\"\"", "1", "{}", "\"mac\""};

    for (size_t i = 0; i < array_size(good); i++) {
        autofree char *text = xasprintf(
            "{\"access_token\":\"s3cr.e-t\",\"token_type\":%s,\"expires_in\":60}", good[i]);
        expect_life(text, 60);
    }
    for (size_t i = 0; i < array_size(wrong); i++) {
        autofree char *text = xasprintf(
            "{\"access_token\":\"s3cr.e-t\",\"token_type\":%s,\"expires_in\":60}", wrong[i]);
        expect_none(text, "no bearer token");
    }
}

static void what_is_no_token_is_not_taken(void **state)
{
    (void)state;
    static const char *const none[] = {
        "{}",
        "[]",
        "\"s3cr.e-t\"",
        "null",
        "{\"error\":\"invalid_request\"}",
        "{\"access_token\":null,\"expires_in\":60}",
        "{\"access_token\":7,\"expires_in\":60}",
        "{\"access_token\":\"\",\"expires_in\":60}",
        "{\"access_token\":{\"access_token\":\"s3cr.e-t\"},\"expires_in\":60}",
    };
    static const char *const odd[] = {
        "{\"access_token\":\"s3cr e-t\",\"expires_in\":60}",
        "{\"access_token\":\"s3cr\\r\\nX-Evil: 1\",\"expires_in\":60}",
        "{\"access_token\":\"s3cr\\u007f\",\"expires_in\":60}",
        "{\"access_token\":\"s3cr\\u00e9\",\"expires_in\":60}",
    };
    static const char *const lifeless[] = {
        "{\"access_token\":\"s3cr.e-t\"}",
        "{\"access_token\":\"s3cr.e-t\",\"expires_in\":0}",
        "{\"access_token\":\"s3cr.e-t\",\"expires_in\":-1,\"expires_on\":\"tomorrow\"}",
        "{\"access_token\":\"s3cr.e-t\",\"expires_on\":[1795235017]}",
    };

    for (size_t i = 0; i < array_size(none); i++)
        expect_none(none[i], "no access_token");
    for (size_t i = 0; i < array_size(odd); i++)
        expect_none(odd[i], "what no token holds");
    for (size_t i = 0; i < array_size(lifeless); i++)
        expect_none(lifeless[i], "no expiry");
}

static void a_token_that_has_expired_is_not_taken(void **state)
{
    (void)state;
    expect_none("{\"access_token\":\"s3cr.e-t\",\"expires_on\":\"1795231416\"}",
                "expired at 2026-11-21T03:23:36Z already");
    expect_none("{\"access_token\":\"s3cr.e-t\",\"expires_on\":1795231417}", "expired");
    expect_none("{\"access_token\":\"s3cr.e-t\",\"expires_on\":\"09/14/2017 00:00:00 PM +00:00\"}",
                "expired at 2017-09-14T12:00:00Z");
    expect_life("{\"access_token\":\"s3cr.e-t\",\"expires_on\":1795231418}", 1);
}

static void a_token_in_its_last_second_is_not_taken(void **state)
{
    static const char text[] = "{\"access_token\":\"s3cr.e-t\",\"expires_on\":1795231418}";
    struct token_answer answer;
    struct json_doc *doc;
    struct err err;

    (void)state;
    assert_int_equal(json_parse(text, strlen(text), 8, &doc), JSON_OK);
    assert_false(token_answer_read(json_root(doc), NOW_MS + 1, &answer, &err));
    assert_int_equal(err.code, ERR_SERVER);
    json_doc_free(doc);
}

static char *answer_of_length(size_t len)
{
    autofree char *token = xmalloc(len + 1);

    memset(token, 'x', len);
    token[len] = '\0';
    return xasprintf("{\"access_token\":\"%s\",\"expires_in\":60}", token);
}

static void a_token_has_a_ceiling(void **state)
{
    (void)state;
    autofree char *longest = answer_of_length(TOKEN_MAX_BYTES);
    autofree char *longer = answer_of_length(TOKEN_MAX_BYTES + 1);
    struct token_answer answer;
    struct err err;

    assert_true(read_answer(longest, &answer, &err));
    token_answer_done(&answer);
    expect_none(longer, "longer than 48 KiB");
}

/* The claims of a token with that payload; its other parts are not looked at. */
static struct token_claims claims_of(const char *payload)
{
    struct token_claims claims = {.tenant = "of before"};
    autosecret token = {0};
    autobuf text;

    buf_init(&text, BUF_ANY_SIZE);
    buf_puts(&text, "x.");
    base64url_encode(payload, strlen(payload), &text);
    buf_puts(&text, ".x");
    secret_set(&token, text.data, text.len);
    token_claims_read(&token, &claims);
    return claims;
}

static void expect_no_claims(const struct token_claims *claims)
{
    assert_string_equal(claims->tenant, "");
    assert_string_equal(claims->object_id, "");
    assert_string_equal(claims->client_id, "");
    assert_string_equal(claims->audience, "");
}

static void a_tokens_claims_are_read(void **state)
{
    (void)state;
    struct token_claims claims =
        claims_of("{\"aud\":\"https://storage.azure.com/\",\"iss\":\"i\",\"appid\":\"5e29463d\","
                  "\"oid\":\"0f1d\",\"tid\":\"72f988bf-86f1-41af-91ab-2d7cd011db47\"}");

    assert_string_equal(claims.tenant, "72f988bf-86f1-41af-91ab-2d7cd011db47");
    assert_string_equal(claims.object_id, "0f1d");
    assert_string_equal(claims.client_id, "5e29463d");
    assert_string_equal(claims.audience, "https://storage.azure.com/");
    claims = claims_of("{\"azp\":\"5e29463d\"}"); /* of v2 */
    assert_string_equal(claims.client_id, "5e29463d");
    assert_string_equal(claims.tenant, "");
    claims = claims_of("{\"tid\":\"a\\nlevel=err forged\",\"oid\":7,\"aud\":[\"x\"]}");
    assert_string_equal(claims.tenant, "a");
    assert_string_equal(claims.object_id, "");
    assert_string_equal(claims.audience, "");
}

static void what_is_no_jwt_has_no_claims(void **state)
{
    (void)state;
    static const char *const payloads[] = {"", "[]", "{\"tid\":", "tid", "\xff\xfe"};
    static const char *const tokens[] = {"",     "opaque", "a.b", "a.eyJ0aWQiOiJ4In0",
                                         "a..b", "a.=.b",  "..",  "a.e{.b"};
    struct token_claims claims;

    for (size_t i = 0; i < array_size(payloads); i++) {
        claims = claims_of(payloads[i]);
        expect_no_claims(&claims);
    }
    for (size_t i = 0; i < array_size(tokens); i++) {
        autosecret token = {0};

        secret_set(&token, tokens[i], strlen(tokens[i]));
        claims = (struct token_claims){.tenant = "of before"};
        token_claims_read(&token, &claims);
        expect_no_claims(&claims);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_issuers_answer_is_read),
        cmocka_unit_test(a_date_may_come_in_each_form),
        cmocka_unit_test(the_span_outranks_the_date),
        cmocka_unit_test(the_type_may_be_left_out_but_not_be_another),
        cmocka_unit_test(what_is_no_token_is_not_taken),
        cmocka_unit_test(a_token_that_has_expired_is_not_taken),
        cmocka_unit_test(a_token_in_its_last_second_is_not_taken),
        cmocka_unit_test(a_token_has_a_ceiling),
        cmocka_unit_test(a_tokens_claims_are_read),
        cmocka_unit_test(what_is_no_jwt_has_no_claims),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
