/* SPDX-License-Identifier: MIT */
/* Base64 and base64url: RFC 4648's vectors, strictness, chunk borders. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdlib.h>

#include "base/buf.h"
#include "codec/base64.h"

static void test_vectors(void **state)
{
    (void)state;
    static const char *const rows[][2] = {{"", ""},
                                          {"f", "Zg=="},
                                          {"fo", "Zm8="},
                                          {"foo", "Zm9v"},
                                          {"foob", "Zm9vYg=="},
                                          {"fooba", "Zm9vYmE="},
                                          {"foobar", "Zm9vYmFy"}};
    autobuf out;

    buf_init(&out, BUF_ANY_SIZE);
    for (size_t i = 0; i < array_size(rows); i++) {
        buf_reset(&out);
        base64_encode(rows[i][0], strlen(rows[i][0]), &out);
        assert_string_equal(out.data, rows[i][1]);
        buf_reset(&out);
        assert_true(base64_decode(rows[i][1], strlen(rows[i][1]), &out));
        assert_string_equal(out.data, rows[i][0]);
    }
}

static void test_white_space(void **state)
{
    (void)state;
    const char *text = " Zm\r\n9v\tYg = = \n";
    autobuf out;

    buf_init(&out, BUF_ANY_SIZE);
    assert_true(base64_decode(text, strlen(text), &out));
    assert_string_equal(out.data, "foob");
    buf_reset(&out);
    assert_true(base64_decode(" \n", 2, &out));
    assert_int_equal(out.len, 0);
}

static void test_strays(void **state)
{
    (void)state;
    static const char *const wrong[] = {"Z",
                                        "Zg",
                                        "Zm8",
                                        "Zg=",
                                        "=",
                                        "==",
                                        "===",
                                        "====",
                                        "Z===",
                                        "A=BC",
                                        "AB=C",
                                        "=ABC",
                                        "Zg==Zg==",
                                        "Zm8=Zm8=",
                                        "Zg==a",
                                        "Zm9v=",
                                        "Zm9v==",
                                        "Zm9v====",
                                        "Zm9-",
                                        "Zm9_",
                                        "Zm9v----",
                                        "----",
                                        "----Zm9v",
                                        "-",
                                        "Zm9v-",
                                        "Zm\xc3\xa9",
                                        "Zm9v!",
                                        "Zm9v\x01\x02\x03\x04",
                                        "hello world!",
                                        "{}",
                                        "Zg===="};
    autobuf out;

    buf_init(&out, BUF_ANY_SIZE);
    for (size_t i = 0; i < array_size(wrong); i++) {
        if (base64_decode(wrong[i], strlen(wrong[i]), &out))
            fail_msg("'%s' was taken", wrong[i]);
    }
    assert_false(base64_decode("Zm9\0", 4, &out));
    assert_false(base64_decode("\0\0\0\0", 4, &out));
}

/* Each byte value in each place of a group: taken exactly when it belongs to the alphabet. */
static void test_every_byte(void **state)
{
    (void)state;
    const char *alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    autobuf out;

    buf_init(&out, BUF_ANY_SIZE);
    for (int c = 0; c < 256; c++) {
        for (size_t place = 0; place < 12; place++) {
            char text[12];
            memset(text, 'A', sizeof(text));
            text[place] = (char)c;
            bool expected = (c != 0 && strchr(alphabet, c) != NULL) || (c == '=' && place == 11);
            buf_reset(&out);
            assert_int_equal(base64_decode(text, sizeof(text), &out), expected);
        }
    }
}

/* Every length across two chunk borders, every byte value, and white space that shifts the groups. */
static void test_lengths(void **state)
{
    (void)state;
    unsigned char data[1600];
    autobuf text, back;

    buf_init(&text, BUF_ANY_SIZE);
    buf_init(&back, BUF_ANY_SIZE);
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (unsigned char)(i * 7 + i / 256);
    for (size_t len = 0; len <= sizeof(data); len++) {
        buf_reset(&text);
        buf_reset(&back);
        base64_encode(data, len, &text);
        assert_int_equal(text.len, (len + 2) / 3 * 4);
        assert_true(base64_decode(text.data, text.len, &back));
        assert_int_equal(back.len, len);
        assert_memory_equal(back.data, data, len);
        if (len != 0) {
            buf_reset(&back);
            assert_false(base64_decode(text.data, text.len - 1, &back));
        }
    }
}

static void test_ceiling(void **state)
{
    (void)state;
    autobuf out;

    buf_init(&out, 2);
    assert_false(base64_decode("Zm9v", 4, &out));
    assert_true(base64_decode("Zm8=", 4, &out));
    assert_string_equal(out.data, "fo");
}

/* What is wrong is found in any part of a text that is decoded in parts. */
static void test_a_bad_part_among_many(void **state)
{
    (void)state;
    enum { LEN = 64 * 1024 };
    autofree char *text = xmalloc(LEN);
    autobuf out;

    memset(text, 'A', LEN);
    for (size_t at = 0; at < LEN; at += LEN / 4) {
        text[at] = '?';
        buf_init(&out, BUF_ANY_SIZE);
        assert_false(base64_decode(text, LEN, &out));
        buf_done(&out);
        text[at] = 'A';
    }
    buf_init(&out, BUF_ANY_SIZE);
    assert_true(base64_decode(text, LEN, &out));
    assert_int_equal(out.len, LEN / 4 * 3);
    buf_done(&out);
    buf_init(&out, 100);
    assert_false(base64_decode(text, LEN, &out));
}

static void test_url_vectors(void **state)
{
    (void)state;
    static const char *const rows[][2] = {{"", ""},
                                          {"f", "Zg"},
                                          {"fo", "Zm8"},
                                          {"foo", "Zm9v"},
                                          {"foob", "Zm9vYg"},
                                          {"\xfb\xff\xbf", "-_-_"},
                                          {"\xff\xfe", "__4"},
                                          {"{\"alg\":\"PS256\"}", "eyJhbGciOiJQUzI1NiJ9"}};
    autobuf out;

    buf_init(&out, BUF_ANY_SIZE);
    for (size_t i = 0; i < array_size(rows); i++) {
        buf_reset(&out);
        base64url_encode(rows[i][0], strlen(rows[i][0]), &out);
        assert_string_equal(out.data, rows[i][1]);
        buf_reset(&out);
        assert_true(base64url_decode(rows[i][1], strlen(rows[i][1]), &out));
        assert_string_equal(out.data, rows[i][0]);
    }
}

/* Each byte value in each place: taken exactly when it belongs to the alphabet; and each length. */
static void test_url_every_byte_and_length(void **state)
{
    (void)state;
    const char *alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    autobuf out;

    buf_init(&out, BUF_ANY_SIZE);
    for (int c = 0; c < 256; c++) {
        for (size_t place = 0; place < 13; place++) {
            for (size_t len = place + 1; len <= 13; len++) {
                char text[13];
                memset(text, 'A', sizeof(text));
                text[place] = (char)c;
                buf_reset(&out);
                assert_int_equal(base64url_decode(text, len, &out),
                                 len % 4 != 1 && c != 0 && strchr(alphabet, c) != NULL);
            }
        }
    }
}

static void test_url_chunks(void **state)
{
    (void)state;
    unsigned char data[1600];
    autobuf text, back;

    buf_init(&text, BUF_ANY_SIZE);
    buf_init(&back, BUF_ANY_SIZE);
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (unsigned char)(255 - i * 7 - i / 256);
    for (size_t len = 0; len <= sizeof(data); len++) {
        buf_reset(&text);
        buf_reset(&back);
        base64url_encode(data, len, &text);
        assert_int_equal(text.len, (len * 4 + 2) / 3);
        assert_true(base64url_decode(text.data, text.len, &back));
        assert_int_equal(back.len, len);
        assert_memory_equal(back.data, data, len);
    }
    buf_done(&back);
    buf_init(&back, 2);
    assert_false(base64url_decode("Zm9v", 4, &back));
    assert_true(base64url_decode("Zm8", 3, &back));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_white_space),
        cmocka_unit_test(test_strays),
        cmocka_unit_test(test_every_byte),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_ceiling),
        cmocka_unit_test(test_a_bad_part_among_many),
        cmocka_unit_test(test_url_vectors),
        cmocka_unit_test(test_url_every_byte_and_length),
        cmocka_unit_test(test_url_chunks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
