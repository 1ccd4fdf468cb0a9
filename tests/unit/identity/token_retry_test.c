/* SPDX-License-Identifier: MIT */
/* How often an issuer is asked again: each row of the published table, to its end and beyond. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/err.h"
#include "identity/token_retry.h"

#define MOST_WAITS 16

/* An answer with that status, or none at all. */
static struct err failure(enum err_code code, int status)
{
    struct err err;

    err_set(&err, code, "x");
    err.http_status = status;
    return err;
}

/* The next wait is the table's, or up to a fifth more. */
static void expect_wait(struct token_retry *retry, enum token_pace pace, struct err err,
                        int64_t wait_s)
{
    int64_t wait_ms = token_retry_after(retry, pace, &err);

    if (wait_ms < wait_s * 1000 || wait_ms > wait_s * 1200)
        fail_msg("%d %s: %lld ms, not %lld s", err.http_status, err_code_name(err.code),
                 (long long)wait_ms, (long long)wait_s);
}

static void expect_row(enum token_pace pace, struct err err, const int64_t *waits_s)
{
    struct token_retry retry = {0};

    for (int i = 0; i < MOST_WAITS && waits_s[i] != 0; i++)
        expect_wait(&retry, pace, err, waits_s[i]);
}

static void what_may_pass_is_asked_for_as_azure_publishes(void **state)
{
    (void)state;
    static const int64_t imds_s[MOST_WAITS] = {2, 6, 14, 30, 60, 60, 60, 60, 60, 60};
    static const int64_t other_s[MOST_WAITS] = {1, 1, 1, 6, 14, 30, 60, 60, 60, 60};
    const struct err failures[] = {
        failure(ERR_SERVER, 404),  failure(ERR_SERVER, 408), failure(ERR_THROTTLED, 429),
        failure(ERR_SERVER, 500),  failure(ERR_SERVER, 502), failure(ERR_SERVER, 503),
        failure(ERR_SERVER, 599),  failure(ERR_NETWORK, 0),  failure(ERR_SERVER, 0),
        failure(ERR_SERVER, 200),  failure(ERR_SERVER, 400), failure(ERR_AUTH, 503),
        failure(ERR_AUTH, 404),    failure(ERR_AUTH, 408),   failure(ERR_AUTH, 429),
        failure(ERR_THROTTLED, 0),
    };

    for (size_t i = 0; i < array_size(failures); i++) {
        expect_row(TOKEN_PACE_IMDS, failures[i], imds_s);
        expect_row(TOKEN_PACE_OTHER, failures[i], other_s);
    }
}

static void an_update_of_the_endpoint_is_waited_for(void **state)
{
    (void)state;
    static const int64_t imds_s[MOST_WAITS] = {10, 10, 10, 10, 10, 10, 10, 2, 6, 14, 30, 60, 60};
    static const int64_t other_s[MOST_WAITS] = {10, 10, 10, 10, 10, 10, 10, 1,
                                                1,  1,  6,  14, 30, 60, 60};

    expect_row(TOKEN_PACE_IMDS, failure(ERR_SERVER, 410), imds_s);
    expect_row(TOKEN_PACE_IMDS, failure(ERR_AUTH, 410), imds_s);
    expect_row(TOKEN_PACE_OTHER, failure(ERR_SERVER, 410), other_s);
}

static void what_a_person_mends_is_asked_for_ever_more_slowly(void **state)
{
    (void)state;
    static const int64_t waits_s[MOST_WAITS] = {2, 4, 8, 16, 32, 64, 120, 120, 120, 120};
    const struct err failures[] = {
        failure(ERR_AUTH, 400), failure(ERR_AUTH, 401),   failure(ERR_AUTH, 403),
        failure(ERR_AUTH, 405), failure(ERR_AUTH, 302),   failure(ERR_AUTH, 200),
        failure(ERR_AUTH, 0),   failure(ERR_CONFIG, 0),   failure(ERR_HOST, 0),
        failure(ERR_AUTH, 600), failure(ERR_INTERNAL, 0),
    };

    for (size_t i = 0; i < array_size(failures); i++) {
        expect_row(TOKEN_PACE_IMDS, failures[i], waits_s);
        expect_row(TOKEN_PACE_OTHER, failures[i], waits_s);
    }
}

static void one_row_does_not_slow_another(void **state)
{
    (void)state;
    struct token_retry retry = {0};

    for (int i = 0; i < 20; i++) {
        struct err err = failure(ERR_AUTH, 400);
        (void)token_retry_after(&retry, TOKEN_PACE_IMDS, &err);
    }
    expect_wait(&retry, TOKEN_PACE_IMDS, failure(ERR_SERVER, 404), 2);
    expect_wait(&retry, TOKEN_PACE_IMDS, failure(ERR_SERVER, 410), 10);
    expect_wait(&retry, TOKEN_PACE_IMDS, failure(ERR_NETWORK, 0), 6);
    expect_wait(&retry, TOKEN_PACE_IMDS, failure(ERR_AUTH, 400), 120);
}

static void a_token_or_an_operator_begins_all_rows_anew(void **state)
{
    (void)state;
    struct token_retry retry = {0};

    for (int i = 0; i < 20; i++) {
        const struct err failures[] = {failure(ERR_AUTH, 400), failure(ERR_SERVER, 410),
                                       failure(ERR_NETWORK, 0)};

        for (size_t j = 0; j < array_size(failures); j++)
            (void)token_retry_after(&retry, TOKEN_PACE_IMDS, &failures[j]);
    }
    token_retry_reset(&retry);
    expect_wait(&retry, TOKEN_PACE_IMDS, failure(ERR_AUTH, 400), 2);
    expect_wait(&retry, TOKEN_PACE_IMDS, failure(ERR_SERVER, 410), 10);
    expect_wait(&retry, TOKEN_PACE_IMDS, failure(ERR_NETWORK, 0), 2);
}

static void retry_after_is_a_floor(void **state)
{
    (void)state;
    struct token_retry retry = {0};
    struct err err = failure(ERR_THROTTLED, 429);

    err.retry_after_ms = 45000;
    assert_int_equal(token_retry_after(&retry, TOKEN_PACE_IMDS, &err), 45000);
    err.retry_after_ms = 1;
    expect_wait(&retry, TOKEN_PACE_IMDS, err, 6);
    err = failure(ERR_SERVER, 410);
    err.retry_after_ms = 70000;
    assert_int_equal(token_retry_after(&retry, TOKEN_PACE_IMDS, &err), 70000);
}

static void waits_differ_so_that_machines_do_not_ask_together(void **state)
{
    (void)state;
    int64_t least_ms = INT64_MAX, most_ms = 0;

    for (int i = 0; i < 2000; i++) {
        struct token_retry retry = {0};
        struct err err = failure(ERR_SERVER, 410);
        int64_t wait_ms = token_retry_after(&retry, TOKEN_PACE_IMDS, &err);

        least_ms = min_of(least_ms, wait_ms);
        most_ms = max_of(most_ms, wait_ms);
    }
    assert_in_range(least_ms, 10000, 10100);
    assert_in_range(most_ms, 11900, 12000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_may_pass_is_asked_for_as_azure_publishes),
        cmocka_unit_test(an_update_of_the_endpoint_is_waited_for),
        cmocka_unit_test(what_a_person_mends_is_asked_for_ever_more_slowly),
        cmocka_unit_test(one_row_does_not_slow_another),
        cmocka_unit_test(a_token_or_an_operator_begins_all_rows_anew),
        cmocka_unit_test(retry_after_is_a_floor),
        cmocka_unit_test(waits_differ_so_that_machines_do_not_ask_together),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
