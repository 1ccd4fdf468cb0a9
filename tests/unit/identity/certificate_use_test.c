/* SPDX-License-Identifier: MIT */
/* A certificate in use: what is said of its end, and when; what a refusal of it may come of. */
#include "../codec/certificates.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/str.h"
#include "identity/assertion.h"
#include "identity/certificate_use.h"

#define HOUR_MS   ((int64_t)3600 * 1000)
#define EXPIRY_MS (MADE_UNTIL_S * INT64_C(1000))

struct world {
    EVP_PKEY *key;
    struct secret pem, other_pem; /* two certificates for one key */
};

static unsigned warnings;
static char last_warning[512];

static void note_warning(enum log_level level, const char *text, const struct log_field *fields)
{
    assert_int_equal(level, LOG_LEVEL_WARNING);
    assert_string_equal(fields[0].value, "build");
    warnings++;
    strncpy(last_warning, text, sizeof(last_warning) - 1);
}

static void make(EVP_PKEY *key, struct secret *ret_pem)
{
    X509 *certificate = made_certificate("app", key, "app", key);
    autobuf pem;

    buf_init(&pem, BUF_ANY_SIZE);
    made_put_certificate(certificate, &pem);
    made_put_key(key, NULL, &pem);
    secret_set(ret_pem, pem.data, pem.len);
    X509_free(certificate);
}

static int set_up_all(void **state)
{
    struct world *world = xcalloc(1, sizeof(*world));

    world->key = EVP_RSA_gen(2048);
    make(world->key, &world->pem);
    make(world->key, &world->other_pem);
    *state = world;
    return 0;
}

static int tear_down_all(void **state)
{
    struct world *world = *state;

    secret_done(&world->pem);
    secret_done(&world->other_pem);
    EVP_PKEY_free(world->key);
    free(world);
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    warnings = 0;
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
    clock_freeze(1, EXPIRY_MS - before_expiry_ms);
}

static void adopt(struct certificate_use *use, const struct secret *pem)
{
    struct err err;

    assert_true(certificate_use_adopt(use, pem, &err));
}

static void sign(struct certificate_use *use)
{
    static const struct assertion assertion = {.client_id = "id", .audience = "https://a/token"};
    autosecret token = {0};
    struct err err;

    assert_true(certificate_use_sign(use, &assertion, "build", &token, &err));
    assert_true(secret_is_set(&token));
}

static void test_warnings(void **state)
{
    const struct world *world = *state;
    struct certificate_use use = {0};

    at(200 * HOUR_MS);
    adopt(&use, &world->pem);
    sign(&use);
    assert_int_equal(warnings, 0);
    at(168 * HOUR_MS);
    sign(&use);
    assert_string_equal(last_warning,
                        "the certificate expires in 7d, at 2027-01-01T00:00:00Z: give "
                        "the application a new one");
    /* read again, it is the same */
    adopt(&use, &world->pem);
    sign(&use);
    assert_int_equal(warnings, 1);
    /* it signs all the same */
    at(0);
    sign(&use);
    assert_int_equal(warnings, 2);
    assert_string_equal(last_warning, "the certificate expired at 2027-01-01T00:00:00Z by this "
                                      "machine's clock: give the application a new one");
    certificate_use_done(&use);
}

static void test_another_one_is_warned_about_anew(void **state)
{
    const struct world *world = *state;
    struct certificate_use use = {0};

    at(3 * HOUR_MS);
    adopt(&use, &world->pem);
    sign(&use);
    adopt(&use, &world->other_pem);
    sign(&use);
    assert_int_equal(warnings, 2);
    certificate_use_done(&use);
}

static void test_it_is_read_again_before_anybody_is_warned(void **state)
{
    const struct world *world = *state;
    struct certificate_use use = {0};

    at(200 * HOUR_MS);
    adopt(&use, &world->pem);
    assert_false(certificate_use_is_stale(&use, EXPIRY_MS - 200 * HOUR_MS));
    at(167 * HOUR_MS);
    assert_true(certificate_use_is_stale(&use, EXPIRY_MS - 200 * HOUR_MS));
    assert_false(certificate_use_is_stale(&use, EXPIRY_MS - 167 * HOUR_MS));
    certificate_use_done(&use);
}

static void test_a_text_that_is_no_good_changes_nothing(void **state)
{
    const struct world *world = *state;
    struct certificate_use use = {0};
    autosecret bad = {0};
    struct err err;

    at(200 * HOUR_MS);
    adopt(&use, &world->pem);
    secret_set(&bad, "hello", 5);
    assert_false(certificate_use_adopt(&use, &bad, &err));
    assert_true(str_starts(err.text, "certificate: neither"));
    sign(&use);
    certificate_use_done(&use);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_warnings, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_another_one_is_warned_about_anew, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_it_is_read_again_before_anybody_is_warned, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_text_that_is_no_good_changes_nothing, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, set_up_all, tear_down_all);
}
