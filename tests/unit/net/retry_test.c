/* SPDX-License-Identifier: MIT */
/* The retry policy: for each cause its first wait, its ceiling, and whether repeating helps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "net/retry.h"

static const struct {
    enum err_code code;
    bool helps;
    int64_t first_ms, cap_ms;
} table[] = {
    {ERR_NETWORK, true, 500, 15000},    {ERR_SERVER, true, 1000, 30000},
    {ERR_THROTTLED, true, 1000, 60000}, {ERR_AUTH, true, 2000, 120000},
    {ERR_MISSING, true, 2000, 60000},   {ERR_HOST, true, 2000, 60000},
    {ERR_REJECTED, false, 2000, 60000}, {ERR_GONE, false, 2000, 60000},
    {ERR_CONFIG, false, 2000, 60000},   {ERR_INTERNAL, false, 2000, 60000},
};

static int64_t delay_after(struct retry *retry, enum err_code code, uint32_t floor_ms, bool helps)
{
    struct err err;
    int64_t delay_ms = -1;

    err_set(&err, code, "x");
    err.retry_after_ms = floor_ms;
    assert_int_equal(retry_after(retry, &err, &delay_ms), helps);
    return delay_ms;
}

static void each_cause_has_its_span(void **state)
{
    (void)state;
    for (unsigned i = 0; i < array_size(table); i++) {
        struct retry retry;
        int64_t span_ms = table[i].first_ms;

        retry_init(&retry);
        for (int n = 0; n < 12; n++) {
            assert_in_range(delay_after(&retry, table[i].code, 0, table[i].helps), span_ms / 2,
                            span_ms);
            span_ms = min_of(span_ms * 2, table[i].cap_ms);
        }
    }
}

static void one_cause_does_not_slow_another(void **state)
{
    struct retry retry;

    (void)state;
    retry_init(&retry);
    for (int n = 0; n < 20; n++)
        (void)delay_after(&retry, ERR_AUTH, 0, true);
    assert_in_range(delay_after(&retry, ERR_NETWORK, 0, true), 250, 500);
    assert_in_range(delay_after(&retry, ERR_THROTTLED, 0, true), 500, 1000);
    assert_in_range(delay_after(&retry, ERR_AUTH, 0, true), 60000, 120000);
}

static void a_reset_forgets_all(void **state)
{
    struct retry retry;

    (void)state;
    retry_init(&retry);
    for (unsigned i = 0; i < array_size(table); i++) {
        for (int n = 0; n < 10; n++)
            (void)delay_after(&retry, table[i].code, 0, table[i].helps);
    }
    retry_reset(&retry);
    assert_in_range(delay_after(&retry, ERR_NETWORK, 0, true), 250, 500);
    assert_in_range(delay_after(&retry, ERR_SERVER, 0, true), 500, 1000);
    assert_in_range(delay_after(&retry, ERR_THROTTLED, 0, true), 500, 1000);
    assert_in_range(delay_after(&retry, ERR_AUTH, 0, true), 1000, 2000);
    assert_in_range(delay_after(&retry, ERR_MISSING, 0, true), 1000, 2000);
}

static void what_the_service_asks_for_is_a_floor(void **state)
{
    struct retry retry;

    (void)state;
    retry_init(&retry);
    assert_int_equal(delay_after(&retry, ERR_THROTTLED, 7000, true), 7000);
    assert_in_range(delay_after(&retry, ERR_THROTTLED, 1, true), 1000, 2000);
    assert_int_equal(delay_after(&retry, ERR_THROTTLED, 24 * 3600 * 1000, true), 24 * 3600 * 1000);
    assert_int_equal(delay_after(&retry, ERR_NETWORK, UINT32_MAX, true), UINT32_MAX);
}

/* Then the wait is just that, and the next one of another failure no longer for it. */
static void a_wait_that_is_kept_elsewhere_is_all(void **state)
{
    struct retry retry;
    struct err err = {.code = ERR_SERVER, .retry_after_ms = 40, .is_paced = true};
    int64_t delay_ms;

    (void)state;
    retry_init(&retry);
    for (int n = 0; n < 10; n++) {
        assert_true(retry_after(&retry, &err, &delay_ms));
        assert_int_equal(delay_ms, 40);
    }
    assert_in_range(delay_after(&retry, ERR_SERVER, 0, true), 500, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_cause_has_its_span),
        cmocka_unit_test(one_cause_does_not_slow_another),
        cmocka_unit_test(a_reset_forgets_all),
        cmocka_unit_test(what_the_service_asks_for_is_a_floor),
        cmocka_unit_test(a_wait_that_is_kept_elsewhere_is_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
