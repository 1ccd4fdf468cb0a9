/* SPDX-License-Identifier: MIT */
/* What failed answers mean: every row of the table, and what proxies and attackers send instead. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "azure/storage_error.h"
#include "base/clock.h"

static struct err explain(struct storage_answer answer, const char *what)
{
    struct err err = {0};

    if (answer.body != NULL && answer.len == 0)
        answer.len = strlen(answer.body);
    storage_error_explain(&answer, what, &err);
    assert_int_equal(err.http_status, answer.status);
    return err;
}

static void a_code_decides(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *code;
        enum err_code meaning;
    } cases[] = {
        {404, "QueueNotFound", ERR_MISSING},
        {404, "ResourceNotFound", ERR_MISSING},
        {400, "InvalidResourceName", ERR_MISSING},
        {400, "InvalidUri", ERR_MISSING},
        {400, "OutOfRangeInput", ERR_MISSING},
        {409, "QueueBeingDeleted", ERR_MISSING},
        {409, "QueueDisabled", ERR_MISSING},
        {404, "MessageNotFound", ERR_GONE},
        {400, "PopReceiptMismatch", ERR_GONE},
        {403, "AuthenticationFailed", ERR_AUTH},
        {401, "NoAuthenticationInformation", ERR_AUTH},
        {401, "InvalidAuthenticationInfo", ERR_AUTH},
        {400, "InvalidAuthenticationInfo", ERR_AUTH},
        {403, "AuthorizationPermissionMismatch", ERR_AUTH},
        {403, "AuthorizationFailure", ERR_AUTH},
        {403, "AuthorizationProtocolMismatch", ERR_AUTH},
        {403, "AuthorizationSourceIPMismatch", ERR_AUTH},
        {403, "AuthorizationServiceMismatch", ERR_AUTH},
        {403, "AuthorizationResourceTypeMismatch", ERR_AUTH},
        {403, "InsufficientAccountPermissions", ERR_AUTH},
        {403, "AccountIsDisabled", ERR_AUTH},
        {403, "KeyBasedAuthenticationNotPermitted", ERR_AUTH},
        {503, "ServerBusy", ERR_THROTTLED},
        {500, "OperationTimedOut", ERR_SERVER},
        {400, "MessageTooLarge", ERR_REJECTED},
        {413, "RequestBodyTooLarge", ERR_REJECTED},
        {400, "OutOfRangeQueryParameterValue", ERR_REJECTED},
        {500, "InternalError", ERR_SERVER},
    };

    for (size_t i = 0; i < array_size(cases); i++) {
        struct err err =
            explain((struct storage_answer){.status = cases[i].status, .error_code = cases[i].code},
                    "Get Messages");

        if (err.code != cases[i].meaning)
            fail_msg("%d %s is %s", cases[i].status, cases[i].code, err_code_name(err.code));
        assert_string_equal(err.service_code, cases[i].code);
        assert_non_null(strstr(err.text, cases[i].code));
    }
}

static void a_status_alone_decides(void **state)
{
    (void)state;
    static const struct {
        int status;
        enum err_code meaning;
    } cases[] = {
        {200, ERR_SERVER},   {202, ERR_SERVER},   {204, ERR_SERVER},    {302, ERR_REJECTED},
        {304, ERR_REJECTED}, {400, ERR_REJECTED}, {401, ERR_AUTH},      {403, ERR_AUTH},
        {404, ERR_MISSING},  {407, ERR_AUTH},     {408, ERR_SERVER},    {411, ERR_REJECTED},
        {413, ERR_REJECTED}, {418, ERR_REJECTED}, {429, ERR_THROTTLED}, {500, ERR_SERVER},
        {501, ERR_SERVER},   {502, ERR_SERVER},   {503, ERR_THROTTLED}, {504, ERR_SERVER},
        {599, ERR_SERVER},   {0, ERR_SERVER},     {999, ERR_SERVER},    {1000, ERR_SERVER},
    };

    for (size_t i = 0; i < array_size(cases); i++) {
        struct err err =
            explain((struct storage_answer){.status = cases[i].status}, "Delete Message");

        if (err.code != cases[i].meaning)
            fail_msg("%d is %s", cases[i].status, err_code_name(err.code));
        assert_string_equal(err.service_code, "");
        assert_non_null(strchr(err.text, ' '));
    }
}

static void reads_the_body_when_no_header_came(void **state)
{
    (void)state;
    struct err err = explain(
        (struct storage_answer){
            .status = 400,
            .request_id = "9e3dbae3-1234",
            .retry_after_ms = 7000,
            .body = "\xef\xbb\xbf<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<Error>\n"
                    "  <Code>OutOfRangeQueryParameterValue</Code>\n"
                    "  <Message>One of the parameters is out of range.\nRequestId:9e3\nTime:2026"
                    "</Message>\n  <QueryParameterName>numofmessages</QueryParameterName></Error>"},
        "Get Messages");

    assert_int_equal(err.code, ERR_REJECTED);
    assert_int_equal(err.retry_after_ms, 7000);
    assert_string_equal(err.service_code, "OutOfRangeQueryParameterValue");
    assert_string_equal(err.request_id, "9e3dbae3-1234");
    assert_string_equal(err.text, "Get Messages: 400 OutOfRangeQueryParameterValue: One of the "
                                  "parameters is out of range");
}

static void copes_with_any_body(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "<html><head><title>502 Bad Gateway</title></head><body><Code>Evil</Code></body></html>",
        "<Error><Code>InternalErr",
        "<Errors><Code>X</Code></Errors>",
        "{\"error\": \"nope\"}",
        "<!DOCTYPE x [<!ENTITY a \"b\">]><Error><Code>&a;</Code></Error>",
        "<Error><Code></Code></Error>",
        "\xff\xfe\xff",
        "<",
    };

    for (size_t i = 0; i < array_size(bodies); i++) {
        struct err err =
            explain((struct storage_answer){.status = 502, .request_id = "id", .body = bodies[i]},
                    "Get Messages");

        assert_int_equal(err.code, ERR_SERVER);
        assert_string_equal(err.text, "Get Messages: 502: the service failed");
    }
}

static void tells_when_it_was_not_the_service_that_answered(void **state)
{
    (void)state;
    static const char sign[] = "bears no sign of a Storage service";
    struct storage_answer answer = {.status = 403, .body = "<html>"};

    struct err err = explain(answer, "Get Messages");
    assert_non_null(strstr(err.text, sign));
    assert_non_null(strstr(err.text, "http.proxy"));
    answer.request_id = "9e3dbae3";
    assert_null(strstr(explain(answer, "Get Messages").text, sign));
    answer = (struct storage_answer){.status = 403, .error_code = "AuthorizationFailure"};
    assert_null(strstr(explain(answer, "Get Messages").text, sign));
    /* The proxy that wants a password is known to be one. */
    answer = (struct storage_answer){.status = 407};
    assert_null(strstr(explain(answer, "Get Messages").text, sign));
}

static void keeps_what_a_cut_body_said(void **state)
{
    (void)state;
    struct err err = explain((struct storage_answer){.status = 404,
                                                     .body = "<Error><Code>MessageNotFound</Code>"
                                                             "<Mess"},
                             "Delete Message");

    assert_int_equal(err.code, ERR_GONE);
}

static struct err lacking(const char *what, enum identity_proof proof)
{
    return explain((struct storage_answer){.status = 403,
                                           .error_code = "AuthorizationPermissionMismatch",
                                           .proof = proof},
                   what);
}

static void names_the_right_that_lacks(void **state)
{
    (void)state;
    static const struct {
        const char *what, *letter, *role;
    } cases[] = {
        {"Get Messages", "p", "Storage Queue Data Message Processor"},
        {"Delete Message", "p", "Storage Queue Data Message Processor"},
        {"Update Message", "u", "Storage Queue Data Contributor"},
        {"Put Message", "a", "Storage Queue Data Message Sender"},
        {"Get Queue Metadata", "r", "Storage Queue Data Reader"},
        {"Create Queue", "c", "Storage Queue Data Contributor"},
    };

    for (size_t i = 0; i < array_size(cases); i++) {
        autofree char *permission =
            xasprintf("the SAS lacks the right: %s needs the SAS permission %s", cases[i].what,
                      cases[i].letter);
        autofree char *role = xasprintf("the token lacks the right: %s needs the role %s on the "
                                        "queue or its storage account (a new grant takes minutes "
                                        "to count, up to an hour)",
                                        cases[i].what, cases[i].role);

        struct err of_sas = lacking(cases[i].what, IDENTITY_PROOF_SAS);
        assert_non_null(strstr(of_sas.text, permission));
        assert_null(strstr(of_sas.text, "role"));
        struct err of_token = lacking(cases[i].what, IDENTITY_PROOF_TOKEN);
        assert_non_null(strstr(of_token.text, role));
        assert_null(strstr(of_token.text, "SAS"));
        struct err of_any = lacking(cases[i].what, IDENTITY_PROOF_UNKNOWN);
        assert_non_null(strstr(of_any.text, cases[i].role));
        assert_non_null(strstr(of_any.text, "the SAS permission"));
    }
    struct err of_key = lacking("Get Messages", IDENTITY_PROOF_KEY);
    assert_non_null(strstr(of_key.text, "the key lacks the right, although a key has all"));
}

static void says_what_was_refused(void **state)
{
    (void)state;
    static const struct {
        enum identity_proof proof;
        const char *text;
    } cases[] = {
        {IDENTITY_PROOF_UNKNOWN, ": the SAS, key or token is not valid"},
        {IDENTITY_PROOF_SAS, ": the SAS is not valid"},
        {IDENTITY_PROOF_KEY, ": the key is not valid"},
        {IDENTITY_PROOF_TOKEN, ": the token is not valid"},
    };
    static const char *const codes[] = {"AuthenticationFailed", "InvalidAuthenticationInfo"};

    for (size_t i = 0; i < array_size(cases) * array_size(codes); i++) {
        struct err err = explain((struct storage_answer){.status = 403,
                                                         .error_code = codes[i % 2],
                                                         .proof = cases[i / 2].proof},
                                 "Get Messages");

        assert_non_null(strstr(err.text, cases[i / 2].text));
    }
}

static struct err challenged(const char *challenge, enum identity_proof proof)
{
    return explain((struct storage_answer){.status = 401,
                                           .error_code = "InvalidAuthenticationInfo",
                                           .challenge = challenge,
                                           .proof = proof},
                   "Get Messages");
}

static void names_the_tenant_that_the_account_is_of(void **state)
{
    (void)state;
    static const char tenant[] = "; the account is of the tenant 72f988bf-86f1-41af-91ab-2d7c";
    static const char *const good[] = {
        "Bearer authorization_uri=https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7c"
        "/oauth2/authorize resource_id=https://storage.azure.com",
        "Bearer authorization_uri=\"https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7c"
        "/oauth2/authorize\", resource_id=\"https://storage.azure.com\"",
        "Bearer resource_id=x, Authorization_URI=HTTPS://login/72f988bf-86f1-41af-91ab-2d7c",
    };
    static const char *const none[] = {
        "Bearer",
        "Basic realm=x",
        "Bearer authorization_uri=",
        "Bearer authorization_uri=\"",
        "Bearer authorization_uri=http://login/t/oauth2",
        "Bearer authorization_uri=https://login",
        "Bearer authorization_uri=https://login, other=/x",
        "Bearer authorization_uri=https://login/",
        "Bearer authorization_uri=https://login/\x1b[1m",
        "",
    };

    for (size_t i = 0; i < array_size(good); i++) {
        struct err err = challenged(good[i], IDENTITY_PROOF_TOKEN);

        assert_string_equal(strstr(err.text, "; the account"), tenant);
        /* Nobody but a token has one. */
        assert_null(strstr(challenged(good[i], IDENTITY_PROOF_SAS).text, "tenant"));
        assert_null(strstr(challenged(good[i], IDENTITY_PROOF_KEY).text, "tenant"));
    }
    for (size_t i = 0; i < array_size(none); i++)
        assert_null(strstr(challenged(none[i], IDENTITY_PROOF_TOKEN).text, "tenant"));
    struct err err = challenged("Bearer authorization_uri=https://login/"
                                "0123456789012345678901234567890123456789012345678901234567890/x",
                                IDENTITY_PROOF_TOKEN);
    assert_string_equal(strstr(err.text, "tenant"),
                        "tenant 012345678901234567890123456789012345678");
}

static void tells_of_a_wrong_clock(void **state)
{
    (void)state;
    struct storage_answer answer = {.status = 403,
                                    .error_code = "AuthenticationFailed",
                                    .date = "Fri, 01 Jan 2027 00:00:00 GMT"};
    const int64_t theirs_ms = 1798761600000;

    clock_freeze(0, theirs_ms + 40 * 60 * 1000);
    assert_non_null(strstr(explain(answer, "Get Messages").text,
                           "; this machine's clock is 40m ahead of the service's: set it right"));
    clock_freeze(0, theirs_ms - 2 * 3600 * 1000);
    assert_non_null(
        strstr(explain(answer, "Get Messages").text, "clock is 2h behind the service's"));
    answer.error_code = "InvalidAuthenticationInfo"; /* a token's */
    assert_non_null(strstr(explain(answer, "Get Messages").text, "clock is 2h behind"));
    answer.error_code = "AuthorizationPermissionMismatch";
    assert_null(strstr(explain(answer, "Get Messages").text, "clock"));
    answer.error_code = "AuthenticationFailed";
    clock_freeze(0, theirs_ms - 60 * 1000);
    assert_null(strstr(explain(answer, "Get Messages").text, "clock"));
    answer.date = "nonsense";
    clock_freeze(0, 0);
    assert_null(strstr(explain(answer, "Get Messages").text, "clock"));
    clock_freeze(-1, -1);
}

static struct err refused_with(const char *element, const char *text)
{
    char body[1024];

    snprintf(body, sizeof(body), "<Error><Code>AuthenticationFailed</Code><%s>%s</%s></Error>",
             element, text, element);
    return explain((struct storage_answer){.status = 403, .body = body}, "Get Messages");
}

static void passes_a_harmless_detail_on(void **state)
{
    (void)state;
    struct err err = refused_with("AuthenticationErrorDetail",
                                  "Signature not valid in the specified time frame: Start [Thu] - "
                                  "Expiry [Fri] - Current [Sat]");

    assert_non_null(strstr(err.text,
                           "(Signature not valid in the specified time frame: Start [Thu] "
                           "- Expiry [Fri] - Current [Sat])"));
    err = refused_with("AuthenticationErrorDetail", "Issuer&#10;second line\nthird");
    assert_non_null(strstr(err.text, "(Issuer)"));
    err = refused_with("AuthenticationErrorDetail", "a&#9;b");
    assert_non_null(strstr(err.text, "(a b)"));
}

static void keeps_signatures_to_itself(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "Signature did not match. String to sign used was rup SECRET",
        "The MAC signature found in the HTTP request 'SECRET' is not the same",
        "https://contoso/?sv=1&amp;sig=SECRET",
        "SIG=SECRET",
        "Signature sig=SECRET",
    };

    for (size_t i = 0; i < array_size(texts); i++) {
        assert_null(strstr(refused_with("AuthenticationErrorDetail", texts[i]).text, "SECRET"));
        assert_null(strstr(refused_with("Message", texts[i]).text, "SECRET"));
    }
    char body[200];
    snprintf(body, sizeof(body), "<Error><Code>Odd</Code><Message>%s</Message></Error>", texts[2]);
    struct err err = explain((struct storage_answer){.status = 400, .body = body}, "Put Message");
    assert_string_equal(err.text, "Put Message: 400 Odd: the service refuses the request");
}

static void forged_names_are_cut_short(void **state)
{
    (void)state;
    struct err err = explain((struct storage_answer){.status = 500,
                                                     .error_code = "Odd\nlevel=err forged",
                                                     .request_id = "id with blanks"},
                             "Get Messages");

    assert_string_equal(err.service_code, "Odd");
    assert_string_equal(err.request_id, "id");
    err = explain((struct storage_answer){.status = 500,
                                          .error_code = "Odd&sig=SECRET",
                                          .request_id = "sig=SECRET"},
                  "Get Messages");
    assert_string_equal(err.service_code, "Odd");
    assert_string_equal(err.request_id, "sig");
    assert_null(strstr(err.text, "SECRET"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_code_decides),
        cmocka_unit_test(a_status_alone_decides),
        cmocka_unit_test(reads_the_body_when_no_header_came),
        cmocka_unit_test(copes_with_any_body),
        cmocka_unit_test(tells_when_it_was_not_the_service_that_answered),
        cmocka_unit_test(keeps_what_a_cut_body_said),
        cmocka_unit_test(names_the_right_that_lacks),
        cmocka_unit_test(says_what_was_refused),
        cmocka_unit_test(names_the_tenant_that_the_account_is_of),
        cmocka_unit_test(tells_of_a_wrong_clock),
        cmocka_unit_test(passes_a_harmless_detail_on),
        cmocka_unit_test(keeps_signatures_to_itself),
        cmocka_unit_test(forged_names_are_cut_short),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
