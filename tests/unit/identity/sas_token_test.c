/* SPDX-License-Identifier: MIT */
/* SAS tokens as the portal, the tools and tired people write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "identity/sas_token.h"

#define DAY_MS    ((int64_t)24 * 3600 * 1000)
#define YEAR_2027 ((int64_t)1798761600000) /* 2027-01-01T00:00:00Z */

static struct sas_token parse(const char *text)
{
    struct sas_token token;
    struct err err;

    if (!sas_token_parse(text, &token, &err))
        fail_msg("%s: %s", text, err.text);
    return token;
}

static void expect_refusal(const char *text, const char *reason)
{
    struct sas_token token;
    struct err err = {0};

    if (sas_token_parse(text, &token, &err))
        fail_msg("was taken: %s", text);
    assert_int_equal(err.code, ERR_AUTH);
    assert_string_equal(err.text, reason);
}

static void reads_a_service_sas(void **state)
{
    (void)state;
    struct sas_token token =
        parse("?sv=2021-12-02&st=2026-12-31T00%3A00%3A00Z&se=2027-01-01T00%3A00Z&sp=rup"
              "&spr=https&sig=abc%2Bd%3D");

    assert_int_equal(token.kind, SAS_SERVICE);
    assert_true(token.has_start);
    assert_int_equal(token.start_ms, YEAR_2027 - DAY_MS);
    assert_true(token.has_expiry);
    assert_int_equal(token.expiry_ms, YEAR_2027);
    assert_string_equal(token.permissions, "rup");
    assert_true(token.https_only);
}

static void reads_an_account_sas(void **state)
{
    (void)state;
    struct sas_token token =
        parse("sv=2022-11-02&ss=bq&srt=co&sp=rwdlacupf&se=2027-01-01&spr=https,http&sig=x");

    assert_int_equal(token.kind, SAS_ACCOUNT);
    assert_string_equal(token.services, "bq");
    assert_string_equal(token.resource_types, "co");
    assert_int_equal(token.expiry_ms, YEAR_2027);
    assert_false(token.has_start);
    assert_false(token.https_only);
}

static void knows_that_a_policy_may_hold_everything(void **state)
{
    (void)state;
    struct sas_token token = parse("sv=2021-12-02&si=readers&sig=x");
    struct err err;

    assert_int_equal(token.kind, SAS_POLICY);
    assert_false(token.has_expiry);
    assert_string_equal(token.permissions, "");
    assert_true(sas_token_suits(&token, "p", &err));
}

static void takes_the_earlier_expiry_of_a_delegation(void **state)
{
    (void)state;
    static const char text[] = "sv=2025-07-05&sr=q&skoid=a&sktid=b&skt=2026-12-01T00:00:00Z"
                               "&ske=2027-01-01T00:00:00Z&sks=q&skv=2025-07-05&sp=p"
                               "&se=2027-02-01T00:00:00Z&sig=x";
    struct sas_token token = parse(text);

    assert_int_equal(token.kind, SAS_USER_DELEGATION);
    assert_int_equal(token.expiry_ms, YEAR_2027);
    assert_string_equal(token.permissions, "p");
    token =
        parse("sv=2026-04-06&skoid=a&sktid=b&ske=2027-02-01&sp=p&se=2027-01-01&skdutid=c&sig=x");
    assert_int_equal(token.kind, SAS_USER_DELEGATION);
    assert_int_equal(token.expiry_ms, YEAR_2027);
}

static void takes_the_later_start_of_a_delegation(void **state)
{
    (void)state;
    static const struct {
        const char *dates;
        bool has_start;
        int64_t start_ms;
    } cases[] = {
        {"", false, 0},
        {"&st=2027-01-01", true, YEAR_2027},
        {"&skt=2027-01-01", true, YEAR_2027},
        {"&st=2027-01-01&skt=2026-12-31", true, YEAR_2027},
        {"&st=2026-12-31&skt=2027-01-01", true, YEAR_2027},
    };

    for (size_t i = 0; i < array_size(cases); i++) {
        autofree char *text = xasprintf("sv=2025-07-05&sr=q&skoid=a&sktid=b&ske=2027-02-01&sp=p"
                                        "&se=2027-02-01&sig=x%s",
                                        cases[i].dates);
        struct sas_token token = parse(text);

        assert_int_equal(token.has_start, cases[i].has_start);
        assert_int_equal(token.start_ms, cases[i].start_ms);
    }
}

static void a_delegation_that_queues_do_not_take_is_refused(void **state)
{
    (void)state;
    static const char rest[] = "&skoid=a&sktid=b&ske=2027-02-01&sp=p&se=2027-02-01&sig=x";
    static const char *const versions[][2] = {
        {"2021-12-02", "2021-12-02"}, {"2025-07-04", "2025-07-04"}, {"1", "?"}, {"2025-7-5", "?"},
        {"9999-99-99", "?"},          {"2024%0A1-01", "?"},
    };

    for (size_t i = 0; i < array_size(versions); i++) {
        autofree char *text = xasprintf("sv=%s%s", versions[i][0], rest);
        autofree char *reason =
            xasprintf("queues take a user delegation SAS from sv=2025-07-05 on, and this one has "
                      "sv=%s: make it with newer tools",
                      versions[i][1]);
        expect_refusal(text, reason);
    }
    autofree char *bound = xasprintf("sv=2026-04-06&sduoid=c%s", rest);
    expect_refusal(bound, "the SAS is bound to a user (sduoid), whose token would have to go with "
                          "it: make one that is not");
    expect_refusal("sv=2025-07-05&skoid=a&sktid=b&skt=soon&ske=2027-02-01&sp=p&se=2027-02-01&sig=x",
                   "skt of the SAS is not a date such as 2027-01-31T00:00:00Z");
}

static void names_what_is_missing(void **state)
{
    (void)state;
    expect_refusal("", "not a whole SAS: sig is missing");
    expect_refusal("hello", "not a whole SAS: sig is missing");
    expect_refusal("sv=1&sp=p&se=2027-01-01&sig=", "not a whole SAS: sig is missing");
    expect_refusal("sp=p&se=2027-01-01&sig=x", "not a whole SAS: sv is missing");
    expect_refusal("sv=1&ss=q&sp=p&se=2027-01-01&sig=x", "not a whole account SAS: srt is missing");
    expect_refusal("sv=1&srt=o&sp=p&se=2027-01-01&sig=x", "not a whole account SAS: ss is missing");
    expect_refusal("sv=1&skoid=a&sktid=b&sp=p&se=2027-01-01&sig=x",
                   "not a whole user delegation SAS: ske is missing");
}

static void names_what_is_wrong(void **state)
{
    (void)state;
    expect_refusal("sv=1&sr=b&sp=r&se=2027-01-01&sig=x",
                   "a SAS of another service (sr=b), not of a queue");
    expect_refusal("sv=1&sr=%0A%ff%1B&sp=r&se=2027-01-01&sig=x",
                   "a SAS of another service (sr=?), not of a queue");
    expect_refusal("sv=1&sp=p&se=tomorrow&sig=x",
                   "se of the SAS is not a date such as 2027-01-31T00:00:00Z");
    expect_refusal("sv=1&sp=P%0A&se=2027-01-01&sig=x",
                   "sp of the SAS is not a short row of small letters");
    expect_refusal("sv=1&sp=pppppppppppppppppppppppppppppppppppppppp&se=2027-01-01&sig=x",
                   "sp of the SAS is not a short row of small letters");
}

static void names_the_right_that_a_queue_needs(void **state)
{
    (void)state;
    static const struct {
        const char *text, *permissions, *reason;
    } cases[] = {
        {"sv=1&sp=rup&se=2027-01-01&sig=x", "p", NULL},
        {"sv=1&sp=a&se=2027-01-01&sig=x", "a", NULL},
        {"sv=1&sp=r&se=2027-01-01&sig=x", "", NULL},
        {"sv=1&sp=rau&se=2027-01-01&sig=x", "p",
         "the SAS lacks the permission p (get and delete messages): it has sp=rau"},
        {"sv=1&sp=rup&se=2027-01-01&sig=x", "a",
         "the SAS lacks the permission a (put messages): it has sp=rup"},
        {"sv=1&ss=bf&srt=sco&sp=rup&se=2027-01-01&sig=x", "p",
         "the account SAS is not for queues (ss=bf): make one with ss=q"},
        {"sv=1&ss=q&srt=sc&sp=rup&se=2027-01-01&sig=x", "p",
         "the account SAS does not reach messages (srt=sc): make one with srt=co"},
    };

    for (size_t i = 0; i < array_size(cases); i++) {
        struct sas_token token = parse(cases[i].text);
        struct err err = {0};
        bool suits = sas_token_suits(&token, cases[i].permissions, &err);

        if (suits != (cases[i].reason == NULL))
            fail_msg("%s", cases[i].text);
        if (!suits)
            assert_string_equal(err.text, cases[i].reason);
    }
}

static void cleans_what_was_pasted(void **state)
{
    (void)state;
    static const struct {
        const char *pasted, *query;
    } cases[] = {
        /* As the portal gives it: nothing changes. */
        {"sv=2021-12-02&se=2027-01-01T00%3A00%3A00Z&sp=rup&sig=a%2Bb%2fc%3D",
         "sv=2021-12-02&se=2027-01-01T00%3A00%3A00Z&sp=rup&sig=a%2Bb%2fc%3D"},
        {"?sv=1&sig=a%3D", "sv=1&sig=a%3D"},
        {"https://contoso.queue.core.windows.net/q?sv=1&sig=a%3D", "sv=1&sig=a%3D"},
        /* Decoded by a well-meaning tool. */
        {"sv=1&se=2027-01-01T00:00:00Z&sig=a+b/c=",
         "sv=1&se=2027-01-01T00%3A00%3A00Z&sig=a%2Bb%2Fc%3D"},
        /* Decoded as a form: the plus became a blank. */
        {"sv=1&sig=a b/c=", "sv=1&sig=a%2Bb%2Fc%3D"},
        {"sv=1&sip=10.0.0.1-10.0.0.9&si=my policy&sig=a%3D",
         "sv=1&sip=10.0.0.1-10.0.0.9&si=my%20policy&sig=a%3D"},
        /* Half an escape is no escape. */
        {"sv=1&sig=a%2", "sv=1&sig=a%252"},
        {"&&sv=1&\n sig=a%3D&", "sv=1&%20sig=a%3D"},
        /* Broken by a terminal or a mail, anywhere. */
        {"sv=1&\nsig=a%3\r\nD", "sv=1&sig=a%3D"},
        {"sv=1&\nsig=ab\ncd", "sv=1&sig=abcd"},
        {"sv=1&s\nig=a b", "sv=1&sig=a%2Bb"},
        {"sv=1&\n&sig=a\n&\n", "sv=1&sig=a"},
        {"https:/\n/contoso.queue.core.windows.net/q\n?sv=1&sig=a", "sv=1&sig=a"},
    };

    for (size_t i = 0; i < array_size(cases); i++) {
        autobuf out;
        struct err err;

        buf_init(&out, BUF_ANY_SIZE);
        assert_true(sas_token_clean(cases[i].pasted, &out, &err));
        assert_string_equal(out.data, cases[i].query);
    }
}

static void refuses_a_url_without_a_sas(void **state)
{
    (void)state;
    struct err err = {0};
    autobuf out;

    buf_init(&out, BUF_ANY_SIZE);
    assert_false(sas_token_clean("https://contoso.queue.core.windows.net/q", &out, &err));
    assert_int_equal(err.code, ERR_AUTH);
    assert_string_equal(err.text, "a URL without a SAS: nothing stands behind a '?'");
}

static void names_what_a_permission_is_for(void **state)
{
    static const struct {
        const char *permission, *use;
    } cases[] = {
        {"p", "p (get and delete messages)"},
        {"u", "u (renew and release messages)"},
        {"a", "a (put messages)"},
        {"r", "r (count messages)"},
        {"x", "x (this use)"},
    };

    (void)state;
    struct sas_token token = parse("sv=2021-12-02&se=2027-01-01&sp=d&sig=x");
    for (size_t i = 0; i < array_size(cases); i++) {
        struct err err;
        assert_false(sas_token_suits(&token, cases[i].permission, &err));
        assert_non_null(strstr(err.text, cases[i].use));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_service_sas),
        cmocka_unit_test(reads_an_account_sas),
        cmocka_unit_test(knows_that_a_policy_may_hold_everything),
        cmocka_unit_test(takes_the_earlier_expiry_of_a_delegation),
        cmocka_unit_test(takes_the_later_start_of_a_delegation),
        cmocka_unit_test(a_delegation_that_queues_do_not_take_is_refused),
        cmocka_unit_test(names_what_is_missing),
        cmocka_unit_test(names_what_is_wrong),
        cmocka_unit_test(names_the_right_that_a_queue_needs),
        cmocka_unit_test(cleans_what_was_pasted),
        cmocka_unit_test(refuses_a_url_without_a_sas),
        cmocka_unit_test(names_what_a_permission_is_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
