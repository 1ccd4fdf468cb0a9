/* SPDX-License-Identifier: MIT */
/* Why an issuer gave no token: every row of the tables, and what proxies and portals send instead. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"
#include "identity/token_error.h"

static struct token_refusal parse(int status, const char *body)
{
    const struct token_refusal_parts parts = {
        .status = status, .body = body, .len = body != NULL ? strlen(body) : 0};
    struct token_refusal refusal;

    token_refusal_parse(&parts, &refusal);
    assert_int_equal(refusal.status, status);
    return refusal;
}

static struct err explain(const char *issuer, int status, const char *body)
{
    struct token_refusal refusal = parse(status, body);
    struct err err = {0};

    token_error_explain(&refusal, issuer, &err);
    assert_int_equal(err.http_status, status);
    return err;
}

static void expect_part(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("'%s' is not in: %s", part, text);
}

static void a_status_alone_decides(void **state)
{
    (void)state;
    static const struct {
        int status;
        enum err_code meaning;
        const char *part;
    } cases[] = {
        {200, ERR_SERVER, "IMDS: 200: the answer holds no token: a proxy or a portal"},
        {204, ERR_SERVER, "holds no token"},
        {302, ERR_AUTH, "IMDS: 302: the answer is a redirect, which is not followed"},
        {307, ERR_AUTH, "not followed"},
        {400, ERR_AUTH, "it refuses the request"},
        {401, ERR_AUTH, "it did not take what proves who we are"},
        {403, ERR_AUTH, "it refuses to give a token"},
        {404, ERR_SERVER, "it is being updated"},
        {405, ERR_AUTH, "no tokens are given out at that URL"},
        {407, ERR_AUTH, "http.proxy"},
        {408, ERR_SERVER, "it took too long"},
        {410, ERR_SERVER, "back within 70 s"},
        {418, ERR_AUTH, "it refuses the request"},
        {429, ERR_THROTTLED, "it is asked too often"},
        {500, ERR_SERVER, "it failed"},
        {503, ERR_SERVER, "it failed"},
        {599, ERR_SERVER, "it failed"},
        {101, ERR_SERVER, "none that an issuer of tokens has"},
        {999, ERR_SERVER, "none that an issuer of tokens has"},
        {1000, ERR_SERVER, "not HTTP"},
    };

    for (size_t i = 0; i < array_size(cases); i++) {
        struct err err = explain("IMDS", cases[i].status, NULL);

        if (err.code != cases[i].meaning)
            fail_msg("%d is %s", cases[i].status, err_code_name(err.code));
        assert_string_equal(err.service_code, "");
        expect_part(err.text, cases[i].part);
    }
}

static void a_code_decides(void **state)
{
    (void)state;
    static const struct {
        const char *code;
        enum err_code meaning;
        bool of_secret;
        const char *part;
    } cases[] = {
        {"AADSTS7000215", ERR_AUTH, true, "Value"},
        {"AADSTS7000222", ERR_AUTH, true, "expired"},
        {"AADSTS70002", ERR_AUTH, true, "not accepted"},
        {"AADSTS50012", ERR_AUTH, true, "certificate"},
        {"AADSTS50013", ERR_AUTH, true, "assertion"},
        {"AADSTS50027", ERR_AUTH, true, "assertion"},
        {"AADSTS700027", ERR_AUTH, true, "certificate"},
        {"AADSTS700024", ERR_AUTH, true, "clock"},
        {"AADSTS70021", ERR_AUTH, false, "federated credential"},
        {"AADSTS700211", ERR_AUTH, false, "issuer"},
        {"AADSTS700212", ERR_AUTH, false, "audience"},
        {"AADSTS7002121", ERR_AUTH, false, "audience"},
        {"AADSTS700213", ERR_AUTH, false, "subject"},
        {"AADSTS7002131", ERR_AUTH, false, "subject"},
        {"AADSTS7002137", ERR_AUTH, false, "subject"},
        {"AADSTS7002138", ERR_AUTH, false, "lower case"},
        {"AADSTS70025", ERR_AUTH, false, "make one"},
        {"AADSTS1000502", ERR_AUTH, true, "expired"},
        {"AADSTS7000213", ERR_AUTH, true, "send_certificate_chain"},
        {"AADSTS700030", ERR_AUTH, true, "name"},
        {"AADSTS700016", ERR_AUTH, false, "client_id"},
        {"AADSTS7000229", ERR_AUTH, false, "service principal"},
        {"AADSTS7000112", ERR_AUTH, false, "disabled"},
        {"AADSTS70001", ERR_AUTH, false, "disabled"},
        {"AADSTS50034", ERR_AUTH, false, "tenant_id"},
        {"AADSTS90002", ERR_AUTH, false, "no such tenant"},
        {"AADSTS900023", ERR_AUTH, false, "tenant_id"},
        {"AADSTS50059", ERR_AUTH, false, "tenant_id"},
        {"AADSTS90038", ERR_AUTH, false, "authority"},
        {"AADSTS900382", ERR_AUTH, false, "authority"},
        {"AADSTS50049", ERR_AUTH, false, "authority"},
        {"AADSTS53003", ERR_AUTH, false, "Conditional Access"},
        {"AADSTS530032", ERR_AUTH, false, "policy"},
        {"AADSTS500011", ERR_AUTH, false, "storage account"},
        {"AADSTS50001", ERR_AUTH, false, "storage account"},
        {"AADSTS90013", ERR_AUTH, false, "client_id"},
        {"AADSTS90014", ERR_AUTH, false, "missing"},
        {"AADSTS50033", ERR_SERVER, false, "moment"},
        {"AADSTS90006", ERR_SERVER, false, "not available"},
        {"AADSTS90012", ERR_SERVER, false, "too long"},
        {"AADSTS90024", ERR_SERVER, false, "moment"},
        {"AADSTS90033", ERR_SERVER, false, "not available"},
        {"AADSTS90055", ERR_THROTTLED, false, "too often"},
        {"AADSTS50196", ERR_THROTTLED, false, "too often"},
        {TOKEN_MANY_IDENTITIES, ERR_AUTH, false, "say which with client_id"},
        {TOKEN_NO_IDENTITY, ERR_AUTH, false, "no such identity"},
        {"bad_request_102", ERR_AUTH, false, "a proxy on the way took it away"},
        {"invalid_client", ERR_AUTH, true, "not accepted"},
        {"unauthorized_client", ERR_AUTH, false, "no token"},
        {"invalid_resource", ERR_AUTH, false, "storage account"},
        {"invalid_scope", ERR_AUTH, false, "authority"},
        {"temporarily_unavailable", ERR_SERVER, false, "too busy"},
        {"server_error", ERR_SERVER, false, "failed"},
        {"AADSTS123", ERR_AUTH, false, "it refuses the request (Words)"},
        {"unheard_of", ERR_AUTH, false, "it refuses the request (Words)"},
    };

    for (size_t i = 0; i < array_size(cases); i++) {
        bool is_aadsts = str_starts(cases[i].code, "AADSTS");
        autofree char *body = xasprintf("{\"error\":\"%s\",\"error_description\":\"%s%sWords\"}",
                                        is_aadsts ? "e" : cases[i].code,
                                        is_aadsts ? cases[i].code : "", is_aadsts ? ": " : "");
        struct err err = explain("Microsoft Entra", 400, body);

        if (err.code != cases[i].meaning)
            fail_msg("%s is %s", cases[i].code, err_code_name(err.code));
        if (token_error_is_of_secret(&err) != cases[i].of_secret)
            fail_msg("%s: of the secret? %d", cases[i].code, !cases[i].of_secret);
        assert_string_equal(err.service_code, cases[i].code);
        autofree char *start = xasprintf("Microsoft Entra: 400 %s: ", cases[i].code);
        assert_true(str_starts(err.text, start));
        expect_part(err.text, cases[i].part);
        assert_true(str_ends(err.text, " (Words)"));
    }
}

static void a_status_that_passes_stays_one_whatever_the_code_is(void **state)
{
    (void)state;
    static const char body[] =
        "{\"error\":\"invalid_request\",\"error_description\":\"Identity not found\"}";

    assert_int_equal(explain("IMDS", 400, body).code, ERR_AUTH);
    assert_int_equal(explain("IMDS", 404, body).code, ERR_SERVER);
    assert_int_equal(explain("IMDS", 500, body).code, ERR_SERVER);
    assert_int_equal(explain("IMDS", 429, body).code, ERR_THROTTLED);
    expect_part(explain("IMDS", 404, body).text, "no such identity");
}

static void a_code_that_is_not_known_leaves_it_to_the_other(void **state)
{
    (void)state;
    struct err err = explain("Microsoft Entra", 401,
                             "{\"error\":\"invalid_client\",\"error_description\":\"AADSTS7009999: "
                             "A new reason\",\"error_codes\":[7009999]}");

    assert_string_equal(err.text, "Microsoft Entra: 401 AADSTS7009999: the secret or the assertion "
                                  "is not accepted (A new reason)");
    assert_true(token_error_is_of_secret(&err));
    /* App Service says only so much of its header. */
    err = explain("App Service", 401, "");
    assert_true(token_error_is_of_secret(&err));
    err = explain("App Service", 403, "");
    assert_false(token_error_is_of_secret(&err));
    err = explain("App Service", 500, "{\"error\":\"invalid_client\"}");
    assert_false(token_error_is_of_secret(&err));
}

static void tells_when_it_was_no_issuer_that_answered(void **state)
{
    (void)state;
    static const char sign[] = "bears no sign of an issuer of tokens";

    expect_part(explain("IMDS", 403, "<html>Blocked</html>").text, sign);
    expect_part(explain("IMDS", 400, NULL).text, sign);
    assert_null(strstr(explain("IMDS", 403, "{\"error\":\"x\"}").text, sign));
    assert_null(strstr(explain("IMDS", 403, "Not from here").text, sign));
    expect_part(explain("IMDS", 403, "Not from here").text, "(Not from here)");
    /* What passes, and a proxy that is known to be one, need no such guess. */
    assert_null(strstr(explain("IMDS", 404, "<html>").text, sign));
    assert_null(strstr(explain("IMDS", 503, "<html>").text, sign));
    assert_null(strstr(explain("IMDS", 407, "<html>").text, sign));
}

static struct err explain_at(const char *date, const char *code, int64_t wall_ms)
{
    autofree char *body = xasprintf("{\"error\":\"%s\"}", code);
    const struct token_refusal_parts parts = {
        .status = 401, .date = date, .body = body, .len = strlen(body)};
    struct token_refusal refusal;
    struct err err;

    clock_freeze(0, wall_ms);
    token_refusal_parse(&parts, &refusal);
    token_error_explain(&refusal, "Microsoft Entra", &err);
    clock_freeze(-1, -1);
    return err;
}

static void a_wrong_clock_is_named_when_the_secret_is_refused(void **state)
{
    (void)state;
    static const char date[] = "Fri, 01 Jan 2027 00:00:00 GMT";
    const int64_t theirs_ms = 1798761600000;

    expect_part(explain_at(date, "invalid_client", theirs_ms + 3600 * 1000).text,
                "; this machine's clock is 1h ahead of the issuer's: set it right");
    assert_null(strstr(explain_at(date, "invalid_client", theirs_ms).text, "clock"));
    assert_null(strstr(explain_at(date, "invalid_scope", theirs_ms + 3600 * 1000).text, "clock"));
    assert_null(strstr(explain_at(NULL, "invalid_client", theirs_ms).text, "clock"));
    assert_null(strstr(explain_at("soon", "invalid_client", theirs_ms).text, "clock"));
}

static void what_else_the_answer_says_is_kept(void **state)
{
    (void)state;
    const struct token_refusal_parts parts = {
        .status = 429, .retry_after_ms = 7000, .request_id = "9e3d-1234 x", .len = 0};
    struct token_refusal refusal;
    struct err err;

    token_refusal_parse(&parts, &refusal);
    token_error_explain(&refusal, "IMDS", &err);
    assert_int_equal(err.retry_after_ms, 7000);
    assert_string_equal(err.request_id, "9e3d-1234");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_status_alone_decides),
        cmocka_unit_test(a_code_decides),
        cmocka_unit_test(a_status_that_passes_stays_one_whatever_the_code_is),
        cmocka_unit_test(a_code_that_is_not_known_leaves_it_to_the_other),
        cmocka_unit_test(tells_when_it_was_no_issuer_that_answered),
        cmocka_unit_test(a_wrong_clock_is_named_when_the_secret_is_refused),
        cmocka_unit_test(what_else_the_answer_says_is_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
