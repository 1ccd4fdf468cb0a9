/* SPDX-License-Identifier: MIT */
/* UUIDs as text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "codec/uuid.h"

static void test_new(void **state)
{
    (void)state;
    char last[UUID_TEXT_MAX] = "", text[UUID_TEXT_MAX];

    for (int i = 0; i < 1000; i++) {
        uuid_new(text);
        assert_true(uuid_is_valid(text));
        assert_int_equal(text[14], '4');
        assert_non_null(strchr("89ab", text[19]));
        assert_int_equal(strspn(text, "0123456789abcdef-"), 36);
        assert_string_not_equal(text, last);
        memcpy(last, text, sizeof(last));
    }
}

static void test_valid(void **state)
{
    (void)state;
    const char *good = "6c4A1c2e-0000-FFFF-9999-0123456789ab";

    assert_true(uuid_is_valid(good));
    assert_true(uuid_is_valid("00000000-0000-0000-0000-000000000000"));
    /* Cut at every place, and each character replaced by one that does not belong there. */
    for (size_t i = 0; i < 36; i++) {
        char text[UUID_TEXT_MAX];
        memcpy(text, good, sizeof(text));
        text[i] = '\0';
        assert_false(uuid_is_valid(text));
        for (const char *stray = "gG-/:@`{ 0"; *stray != '\0'; stray++) {
            text[i] = *stray;
            bool hyphen = good[i] == '-';
            assert_int_equal(uuid_is_valid(text), hyphen ? *stray == '-' : *stray == '0');
        }
    }
    assert_false(uuid_is_valid("6c4a1c2e-0000-ffff-9999-0123456789abc"));
    assert_false(uuid_is_valid("{6c4a1c2e-0000-ffff-9999-0123456789ab}"));
    assert_false(uuid_is_valid("6c4a1c2e0000ffff99990123456789ab"));
    assert_false(uuid_is_valid(" 6c4a1c2e-0000-ffff-9999-0123456789ab"));
    assert_false(uuid_is_valid(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_new), cmocka_unit_test(test_valid)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
