/* SPDX-License-Identifier: MIT */
/* Answers that are no tokens: every issuer's form, and what stands in an issuer's place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/str.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "identity/token_refusal.h"

static struct token_refusal parse(int status, const char *body)
{
    const struct token_refusal_parts parts = {
        .status = status, .body = body, .len = body != NULL ? strlen(body) : 0};
    struct token_refusal refusal;

    token_refusal_parse(&parts, &refusal);
    assert_int_equal(refusal.status, status);
    return refusal;
}

static void each_issuers_form_is_read(void **state)
{
    (void)state;
    static const struct {
        const char *body, *code, *aadsts, *description;
    } cases[] = {
        /* Entra. */
        {"{\"error\":\"invalid_client\",\"error_description\":\"AADSTS7000215: Invalid client "
         "secret provided.\\r\\nTrace ID: 2-5\\r\\nCorrelation ID: 3\\r\\nTimestamp: 2026-11-21\","
         "\"error_codes\":[7000215],\"timestamp\":\"2026-11-21 03:23:37Z\",\"trace_id\":\"2-5\"}",
         "invalid_client", "AADSTS7000215", "Invalid client secret provided"},
        /* Its later form, on one line. */
        {"{\"error\":\"invalid_client\",\"error_description\":\"AADSTS700212: No matching record. "
         "Trace ID: 2-5 Correlation ID: 3 Timestamp: 2026-11-21 03:23:37Z\",\"error_codes\":"
         "[700212]}",
         "invalid_client", "AADSTS700212", "No matching record"},
        /* v1, which has two codes; the other stays in the text. */
        {"{\"error\":\"invalid_client\",\"error_description\":\"AADSTS70002: Error. AADSTS50012: "
         "Not within its time.\",\"error_codes\":[70002,50012]}",
         "invalid_client", "AADSTS70002", "Error. AADSTS50012: Not within its time"},
        /* Only the text has a code; only the numbers have it. */
        {"{\"error\":\"invalid_resource\",\"error_description\":\"AADSTS500011: Not found\"}",
         "invalid_resource", "AADSTS500011", "Not found"},
        {"{\"error\":\"e\",\"error_description\":\"no code\",\"error_codes\":[90002]}", "e",
         "AADSTS90002", "no code"},
        /* IMDS. */
        {"{\"error\":\"bad_request_102\",\"error_description\":\"Required metadata header not "
         "specified\"}",
         "bad_request_102", "", "Required metadata header not specified"},
        {"{\"error\":\"invalid_request\",\"error_description\":\"Identity not found\"}",
         "invalid_request", "", "Identity not found"},
        {"{\"error\":\"invalid_request\",\"error_description\":\"Multiple user assigned identities "
         "exist, please specify the clientId\"}",
         "invalid_request", "",
         "Multiple user assigned identities exist, please specify the clientId"},
        /* App Service, of two ages. */
        {"{\"statusCode\":400,\"message\":\"No User Assigned or Delegated Managed Identity found "
         "for specified ClientId/ResourceId/PrincipalId.\",\"correlationId\":\"8-9\"}",
         "", "",
         "No User Assigned or Delegated Managed Identity found for specified "
         "ClientId/ResourceId/PrincipalId"},
        {"{\"StatusCode\":400,\"Message\":\"No MSI found for specified ClientId/ResourceId.\"}", "",
         "", "No MSI found for specified ClientId/ResourceId"},
        {"{\"statusCode\":500,\"message\":\"An unexpected error occured\"}", "", "",
         "An unexpected error occured"},
        /* Gateways. */
        {"{\"error\":{\"code\":\"UnsupportedApiVersion\",\"message\":\"The api-version is "
         "missing\"}}",
         "UnsupportedApiVersion", "", "The api-version is missing"},
        {"{\"code\":\"Forbidden\",\"message\":\"No\"}", "Forbidden", "", "No"},
        /* Texts. */
        {"Unable to load the proper Managed Identity.\n", "", "",
         "Unable to load the proper Managed Identity"},
        {"\xef\xbb\xbf  It is late.  \r\nAnd dark.", "", "", "It is late"},
        /* What tells nothing. */
        {"<html><body>Sign in to the network</body></html>", "", "", ""},
        {" \r\n<!DOCTYPE html>", "", "", ""},
        {"", "", "", ""},
        {NULL, "", "", ""},
        {"{\"error\":\"invalid_cli", "", "", ""},
        {"[]", "", "", ""},
        {"null", "", "", ""},
        {"{\"error\":7,\"error_description\":[\"x\"],\"error_codes\":7}", "", "", ""},
        {"{\"error\":null,\"error_codes\":[\"7000215\"]}", "", "", ""},
        {"{\"error\":{\"code\":400,\"message\":null}}", "", "", ""},
    };

    for (size_t i = 0; i < array_size(cases); i++) {
        struct token_refusal refusal = parse(400, cases[i].body);

        assert_string_equal(refusal.code, cases[i].code);
        assert_string_equal(refusal.aadsts, cases[i].aadsts);
        assert_string_equal(refusal.description, cases[i].description);
    }
}

static void words_tell_of_identities_that_are_none_or_many(void **state)
{
    (void)state;
    static const struct {
        const char *description, *told;
    } cases[] = {
        {"Identity not found", TOKEN_NO_IDENTITY},
        {"Multiple user assigned identities exist, please specify the clientId",
         TOKEN_MANY_IDENTITIES},
        {"No User Assigned or Delegated Managed Identity found for specified ClientId",
         TOKEN_NO_IDENTITY},
        {"No MSI found for specified ClientId/ResourceId.", TOKEN_NO_IDENTITY},
        {"Unable to load the proper Managed Identity.", TOKEN_NO_IDENTITY},
        {"AADSTS90002: Identity not found", NULL}, /* a code of its own is better */
        {"The scope is not valid", NULL},
    };

    for (size_t i = 0; i < array_size(cases); i++) {
        autofree char *body = xasprintf(
            "{\"error\":\"invalid_request\",\"error_description\":\"%s\"}", cases[i].description);
        struct token_refusal refusal = parse(400, body);

        assert_string_equal(refusal.code, "invalid_request");
        assert_true(str_equal(refusal.told, cases[i].told));
    }
}

static void codes_that_are_none_are_passed_over(void **state)
{
    (void)state;
    static const char *const codes[] = {"1.5", "-7", "1e9", "123456789012345678901234567890"};

    for (size_t i = 0; i < array_size(codes); i++) {
        autofree char *body = xasprintf("{\"error\":\"e\",\"error_codes\":[%s]}", codes[i]);
        assert_string_equal(parse(400, body).aadsts, "");
    }
    assert_string_equal(parse(400, "AADSTS: nothing").aadsts, "");
    assert_string_equal(parse(400, "AADSTS12345678901: long").aadsts, "");
    assert_string_equal(parse(400, "x AADSTS700016: not first").aadsts, "");
}

static void texts_are_bounded_and_fit_for_a_log(void **state)
{
    (void)state;
    char longer[400];

    memset(longer, 'a', sizeof(longer));
    for (size_t i = 9; i < sizeof(longer); i += 10)
        longer[i] = ' ';
    longer[sizeof(longer) - 1] = '\0';
    assert_int_equal(strlen(parse(400, longer).description), 199);
    struct token_refusal refusal =
        parse(400, "{\"error\":\"odd code\\nlevel=err\",\"error_description\":\"a\\tb\\u001b[1m\\n"
                   "level=err forged\"}");
    assert_string_equal(refusal.code, "odd");
    assert_string_equal(refusal.description, "a b [1m");
    assert_string_equal(parse(400, "\xff\xfe no UTF-8").description, "");
}

static void nothing_is_kept_that_may_be_a_secret(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "grant_type=client_credentials&client_secret=S3CRET",
        "client_assertion=S3CRET",
        "Bearer eyJhbGciOiJub25lIn0.S3CRET.x",
        "you sent S3CRET8Q~abc",
        "https://contoso/?sv=1&sig=S3CRET",
        "S3CRET0123456789012345678901234567890123456789012345678901234567890123456789",
    };

    for (size_t i = 0; i < array_size(texts); i++) {
        autofree char *json = xasprintf("{\"error\":\"%s\",\"error_description\":\"%s\"}",
                                        strncmp(texts[i], "S3", 2) == 0 ? "x" : texts[i], texts[i]);

        assert_null(strstr(parse(400, texts[i]).description, "S3CRET"));
        assert_null(strstr(parse(400, json).description, "S3CRET"));
    }
    assert_string_equal(parse(400, "{\"error\":\"eyJhbGci\"}").code, "");
}

static void what_was_shown_is_not_kept(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "your header is 853b9a84-5bfa-4b22-a3f3-0b9a43d9ad8a",
        "{\"error\":\"853b9a84-5bfa-4b22-a3f3-0b9a43d9ad8a\"}",
        "{\"error\":\"e\",\"error_description\":\"853B9A84-5BFA-4B22-A3F3-0B9A43D9AD8A is wrong\"}",
        "{\"message\":\"\\u0038\\u0035\\u0033b9a84-5bfa-4b22-a3f3-0b9a43d9ad8a\"}",
    };

    for (size_t i = 0; i < array_size(bodies); i++) {
        const struct token_refusal_parts parts = {.status = 401,
                                                  .body = bodies[i],
                                                  .len = strlen(bodies[i]),
                                                  .shown = "853b9a84-5bfa-4b22-a3f3-0b9a43d9ad8a"};
        struct token_refusal refusal;

        token_refusal_parse(&parts, &refusal);
        assert_string_equal(refusal.description, "");
        assert_null(strcasestr(refusal.code, "853b9a84"));
    }
}

static void nothing_is_kept_of_a_secret_at_the_end_of_a_long_text(void **state)
{
    (void)state;
    autobuf text;

    buf_init(&text, BUF_ANY_SIZE);
    for (unsigned i = 0; i < 16; i++)
        buf_puts(&text, "It is long. ");
    buf_puts(&text, "S3CRET0123456789012345678901234567890123456789012345678901234567890123456789");
    assert_string_equal(parse(400, text.data).description, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_issuers_form_is_read),
        cmocka_unit_test(words_tell_of_identities_that_are_none_or_many),
        cmocka_unit_test(codes_that_are_none_are_passed_over),
        cmocka_unit_test(texts_are_bounded_and_fit_for_a_log),
        cmocka_unit_test(nothing_is_kept_that_may_be_a_secret),
        cmocka_unit_test(what_was_shown_is_not_kept),
        cmocka_unit_test(nothing_is_kept_of_a_secret_at_the_end_of_a_long_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
