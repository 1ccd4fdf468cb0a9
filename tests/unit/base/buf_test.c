/* SPDX-License-Identifier: MIT */
/* The growing buffer: ceiling, overflow, giving away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdlib.h>

#include "base/buf.h"

static void test_empty_is_a_string(void **state)
{
    (void)state;
    autobuf buf;

    buf_init(&buf, 10);
    assert_string_equal(buf.data, "");
    buf_reset(&buf);
    buf_wipe(&buf);
    buf_consume(&buf, 5);
    assert_true(buf_append(&buf, NULL, 0));
    assert_string_equal(buf.data, "");
    autofree char *text = buf_take(&buf);
    assert_string_equal(text, "");
}

static void test_ceiling(void **state)
{
    (void)state;
    autobuf buf;

    buf_init(&buf, 5);
    assert_true(buf_puts(&buf, "abc"));
    assert_false(buf_puts(&buf, "def"));
    assert_true(buf.overflow);
    assert_string_equal(buf.data, "abc");
    assert_true(buf_printf(&buf, "%d", 12));
    assert_string_equal(buf.data, "abc12");
    assert_false(buf_putc(&buf, 'x'));
    assert_false(buf_append(&buf, "", SIZE_MAX));
    assert_true(buf_append(&buf, "", 0));
    buf_reset(&buf);
    assert_false(buf.overflow);
    assert_string_equal(buf.data, "");
    assert_true(buf_puts(&buf, "12345"));
}

static void test_grows(void **state)
{
    (void)state;
    autobuf buf;

    buf_init(&buf, BUF_ANY_SIZE);
    for (int i = 0; i < 100000; i++)
        assert_true(buf_putc(&buf, (char)('a' + i % 26)));
    assert_int_equal(buf.len, 100000);
    assert_int_equal(strlen(buf.data), 100000);
    for (int i = 0; i < 100000; i++)
        assert_int_equal(buf.data[i], 'a' + i % 26);
}

static void test_consume(void **state)
{
    (void)state;
    autobuf buf;

    buf_init(&buf, 100);
    buf_puts(&buf, "hello world");
    buf_consume(&buf, 6);
    assert_string_equal(buf.data, "world");
    buf_consume(&buf, 0);
    assert_string_equal(buf.data, "world");
    buf_consume(&buf, 5);
    assert_string_equal(buf.data, "");
    assert_int_equal(buf.len, 0);
}

static void test_wipe_leaves_nothing(void **state)
{
    (void)state;
    autobuf buf;

    buf_init(&buf, 100);
    buf_puts(&buf, "secret");
    buf_consume(&buf, 2);
    buf_wipe(&buf);
    for (size_t i = 0; i < buf.cap; i++)
        assert_int_equal(buf.data[i], 0);
}

static void test_take_leaves_it_usable(void **state)
{
    (void)state;
    autobuf buf;

    buf_init(&buf, 100);
    buf_puts(&buf, "mine");
    autofree char *text = buf_take(&buf);
    assert_string_equal(text, "mine");
    assert_int_equal(buf.len, 0);
    assert_int_equal(buf.max, 100);
    assert_true(buf_puts(&buf, "again"));
    assert_string_equal(buf.data, "again");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty_is_a_string),
        cmocka_unit_test(test_ceiling),
        cmocka_unit_test(test_grows),
        cmocka_unit_test(test_consume),
        cmocka_unit_test(test_wipe_leaves_nothing),
        cmocka_unit_test(test_take_leaves_it_usable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
