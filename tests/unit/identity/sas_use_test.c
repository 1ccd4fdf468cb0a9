/* SPDX-License-Identifier: MIT */
/* A SAS on requests, and what is said ahead of its end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "identity/identity.h"
#include "identity/sas_use.h"
#include "net/http.h"

#define HOUR_MS ((int64_t)3600 * 1000)
#define EXPIRY  ((int64_t)1798761600000) /* 2027-01-01T00:00:00Z */
#define SAS     "sv=2021-12-02&sp=rup&se=2027-01-01T00%3A00%3A00Z&sig=a%2Bb"

static unsigned warnings;
static char last_warning[512];

static void note_warning(enum log_level level, const char *text, const struct log_field *fields)
{
    assert_int_equal(level, LOG_LEVEL_WARNING);
    assert_string_equal(fields[0].name, "identity");
    assert_string_equal(fields[0].value, "build");
    warnings++;
    strncpy(last_warning, text, sizeof(last_warning) - 1);
}

static int set_up(void **state)
{
    (void)state;
    warnings = 0;
    last_warning[0] = '\0';
    log_set_sink(note_warning);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    log_set_sink(NULL);
    clock_freeze(-1, -1);
    return 0;
}

static void at(int64_t before_expiry_ms)
{
    clock_freeze(1, EXPIRY - before_expiry_ms);
}

static void adopt(struct sas_use *use, const char *text)
{
    struct err err;

    assert_true(sas_use_adopt(use, text, &err));
}

static void sign(struct sas_use *use)
{
    struct http_request request;
    struct err err;

    http_request_init(&request, HTTP_GET);
    buf_puts(&request.url, "http://127.0.0.1/a/q");
    assert_true(sas_use_sign(use, &request, "build", &err));
    http_request_done(&request);
}

static void expect_url(const char *url, const char *signed_url)
{
    struct sas_use use = {0};
    struct http_request request;
    struct err err;

    at(1000 * HOUR_MS);
    adopt(&use, SAS);
    http_request_init(&request, HTTP_GET);
    buf_puts(&request.url, url);
    assert_true(sas_use_sign(&use, &request, "build", &err));
    assert_string_equal(request.url.data, signed_url);
    http_request_done(&request);
    sas_use_done(&use);
}

static void goes_into_the_query(void **state)
{
    (void)state;
    expect_url("https://a.queue.core.windows.net/q", "https://a.queue.core.windows.net/q?" SAS);
    expect_url("https://a.queue.core.windows.net/q?comp=metadata",
               "https://a.queue.core.windows.net/q?comp=metadata&" SAS);
}

static void warns_once_at_each_mark(void **state)
{
    (void)state;
    static const struct {
        int64_t before_expiry_ms;
        unsigned warnings; /* so far */
    } steps[] = {
        {200 * HOUR_MS, 0},
        {168 * HOUR_MS, 1},
        {167 * HOUR_MS, 1},
        {25 * HOUR_MS, 1},
        {24 * HOUR_MS, 2},
        {2 * HOUR_MS, 2},
        {HOUR_MS, 3},
        {1, 3},
        {0, 4},
        {-HOUR_MS, 4},
        {-900 * HOUR_MS, 4},
    };
    struct sas_use use = {0};

    at(300 * HOUR_MS);
    adopt(&use, SAS);
    for (size_t i = 0; i < array_size(steps); i++) {
        at(steps[i].before_expiry_ms);
        sign(&use);
        assert_int_equal(warnings, steps[i].warnings);
    }
    sas_use_done(&use);
}

static void skips_the_marks_that_are_past(void **state)
{
    (void)state;
    struct sas_use use = {0};

    at(3 * HOUR_MS);
    adopt(&use, SAS);
    sign(&use);
    assert_string_equal(last_warning, "the SAS expires in 3h, at 2027-01-01T00:00:00Z: make a new "
                                      "one with permissions rup");
    sign(&use);
    assert_int_equal(warnings, 1);
    at(HOUR_MS / 2);
    sign(&use);
    assert_int_equal(warnings, 2);
    sas_use_done(&use);
}

static void says_that_it_has_expired_once(void **state)
{
    (void)state;
    struct sas_use use = {0};

    at(-5 * HOUR_MS);
    adopt(&use, SAS);
    sign(&use);
    assert_string_equal(last_warning, "the SAS expired at 2027-01-01T00:00:00Z by this machine's "
                                      "clock: make a new one with permissions rup");
    adopt(&use, "?" SAS); /* the file was read again, and holds the same */
    sign(&use);
    assert_int_equal(warnings, 1);
    sas_use_done(&use);
}

static void is_read_again_before_a_warning(void **state)
{
    (void)state;
    struct sas_use use = {0};

    at(300 * HOUR_MS);
    adopt(&use, SAS);
    int64_t read_ms = EXPIRY - 300 * HOUR_MS;
    assert_false(sas_use_is_stale(&use, read_ms));
    at(100 * HOUR_MS);
    assert_true(sas_use_is_stale(&use, read_ms));
    assert_false(sas_use_is_stale(&use, EXPIRY - 100 * HOUR_MS));
    adopt(&use, "sv=2021-12-02&sp=rup&se=2028-01-01&sig=new"); /* rotated: nothing to warn about */
    sign(&use);
    assert_int_equal(warnings, 0);
    assert_false(sas_use_is_stale(&use, read_ms));
    sas_use_done(&use);
}

static void keeps_the_one_before_a_bad_one(void **state)
{
    (void)state;
    struct sas_use use = {0};
    struct err err;

    at(300 * HOUR_MS);
    adopt(&use, SAS);
    assert_false(sas_use_adopt(&use, "half of a SA", &err));
    assert_int_equal(err.code, ERR_AUTH);
    assert_string_equal(secret_reveal(&use.query), SAS);
    sas_use_done(&use);
}

static void explains_a_refusal_by_its_dates(void **state)
{
    (void)state;
    struct sas_use use = {0};
    struct err err;

    adopt(&use, SAS "&st=2026-12-01");
    at(300 * HOUR_MS);
    err_set(&err, ERR_AUTH, "refused");
    sas_use_explain(&use, &err);
    assert_string_equal(err.text, "refused");
    at(0);
    sas_use_explain(&use, &err);
    assert_string_equal(err.text,
                        "refused; the SAS expired at 2027-01-01T00:00:00Z, make a new one "
                        "with permissions rup");
    at(1000 * HOUR_MS);
    err_set(&err, ERR_AUTH, "refused");
    sas_use_explain(&use, &err);
    assert_string_equal(err.text, "refused; the SAS begins to be good at 2026-12-01T00:00:00Z");
    sas_use_done(&use);
}

static void explain_lacking(const char *text, const char *expected)
{
    struct sas_use use = {0};
    struct err err;

    at(300 * HOUR_MS);
    adopt(&use, text);
    err_set(&err, ERR_AUTH, "refused");
    strcpy(err.service_code, "AuthorizationPermissionMismatch");
    sas_use_explain(&use, &err);
    assert_string_equal(err.text, expected);
    err_set(&err, ERR_AUTH, "refused");
    strcpy(err.service_code, "AuthorizationFailure"); /* a firewall */
    sas_use_explain(&use, &err);
    assert_string_equal(err.text, "refused");
    sas_use_done(&use);
}

static void explains_a_missing_right_by_those_that_it_has(void **state)
{
    (void)state;
    explain_lacking("sv=1&sp=rp&se=2099-01-01&sig=a", "refused; it has sp=rp");
    explain_lacking("sv=1&si=hooks&sig=a",
                    "refused; mend the queue's stored access policy that it names (si)");
    explain_lacking("sv=2025-07-05&sr=q&skoid=a&sktid=b&ske=2099-01-01&sp=rup&se=2099-01-01&sig=x",
                    "refused; it has sp=rup; it can do no more than the roles of who made it "
                    "(skoid)");
}

static void a_check_lets_an_expired_one_pass(void **state)
{
    (void)state;
    struct err err;

    at(-HOUR_MS);
    assert_true(sas_use_check(SAS, "p", &err));
    assert_false(sas_use_check(SAS, "a", &err));
    assert_false(sas_use_check("https://a/q", "p", &err));
}

static void tells_what_it_lacks(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool lacks_update;
    } rows[] = {
        {SAS, false},
        {"sv=1&sp=rp&se=2099-01-01&sig=a", true},
        {"sv=1&sp=rp&ss=q&srt=co&se=2099-01-01&sig=a", true},
        {"sv=1&si=reader&sig=a", false}, /* the policy may grant it */
        {"sv=1&si=reader&sp=rp&se=2099-01-01&sig=a", false},
    };

    at(300 * HOUR_MS);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sas_use use = {0};
        struct identity_facts facts;

        adopt(&use, rows[i].text);
        assert_int_equal(sas_use_lacks(&use, 'u'), rows[i].lacks_update);
        assert_false(sas_use_lacks(&use, 'p'));
        assert_true(sas_use_facts(rows[i].text, &facts));
        assert_int_equal(facts.may_not_update, rows[i].lacks_update);
        sas_use_done(&use);
    }
}

static void a_url_without_room_is_refused(void **state)
{
    (void)state;
    struct sas_use use = {0};
    struct http_request request;
    struct err err;

    at(300 * HOUR_MS);
    adopt(&use, SAS);
    http_request_init(&request, HTTP_GET);
    buf_puts(&request.url, "http://127.0.0.1/");
    while (buf_putc(&request.url, 'x'))
        ;
    assert_false(sas_use_sign(&use, &request, "build", &err));
    assert_int_equal(err.code, ERR_AUTH);
    http_request_done(&request);
    sas_use_done(&use);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(goes_into_the_query, set_up, tear_down),
        cmocka_unit_test_setup_teardown(warns_once_at_each_mark, set_up, tear_down),
        cmocka_unit_test_setup_teardown(skips_the_marks_that_are_past, set_up, tear_down),
        cmocka_unit_test_setup_teardown(says_that_it_has_expired_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(is_read_again_before_a_warning, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keeps_the_one_before_a_bad_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(explains_a_refusal_by_its_dates, set_up, tear_down),
        cmocka_unit_test_setup_teardown(explains_a_missing_right_by_those_that_it_has, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(tells_what_it_lacks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_url_without_room_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_check_lets_an_expired_one_pass, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
