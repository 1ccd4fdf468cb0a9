/* SPDX-License-Identifier: MIT */
/* URLs as people write them, and the escapes of a query. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/err.h"
#include "net/url.h"

static void takes_a_url_apart(void **state)
{
    (void)state;
    autourl url = {0};
    struct err err;

    assert_true(
        url_parse("HTTPS://Contoso.Queue.Core.Windows.Net/cv%20events?sv=1&sig=a%2Bb", &url, &err));
    assert_string_equal(url.scheme, "https");
    assert_string_equal(url.host, "contoso.queue.core.windows.net");
    assert_null(url.port);
    assert_string_equal(url.path, "/cv%20events");
    assert_string_equal(url.query, "sv=1&sig=a%2Bb");
    assert_false(url.has_user);
    assert_false(url.has_fragment);
}

static void fills_in_only_what_was_written(void **state)
{
    (void)state;
    autourl url = {0};
    struct err err;

    assert_true(url_parse("http://u:p@127.0.0.1:10001#", &url, &err));
    assert_string_equal(url.port, "10001");
    assert_string_equal(url.path, "/");
    assert_null(url.query);
    assert_true(url.has_user);
    assert_true(url.has_fragment);
}

static void accepts_schemes_that_curl_does_not_speak(void **state)
{
    (void)state;
    autourl url = {0};
    struct err err;

    assert_true(url_parse("udp://127.0.0.1:514", &url, &err));
    assert_string_equal(url.scheme, "udp");
}

static void refuses_what_is_no_url(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "contoso.queue.core.windows.net/q",
                                        "/q",
                                        "https://",
                                        "https:///q",
                                        "https://host/a b",
                                        "https://host/a\n",
                                        "https://host\x7f/",
                                        "https://host:port/",
                                        "https://host:99999/",
                                        "https://[::1/",
                                        "https://ho%7Fst/",
                                        "https://ho%01st/",
                                        "https://ho%2541st/",
                                        "https://%31%32%37.1/",
                                        "https://u%40:p@ho%73t?a@b",
                                        "https://[fe80::1%25eth0]/",
                                        "https://ho%C3st/"};

    for (size_t i = 0; i < array_size(texts); i++) {
        struct url url;
        struct err err = {0};

        if (url_parse(texts[i], &url, &err))
            fail_msg("was taken: %s", texts[i]);
        assert_int_equal(err.code, ERR_CONFIG);
        assert_non_null(strstr(err.text, "not a URL: "));
    }
}

static void knows_this_machine_and_path_style(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool loopback, path_style;
    } cases[] = {
        {"http://localhost/", true, true},
        {"http://LOCALHOST:1/", true, true},
        {"http://devstoreaccount1.queue.localhost/", true, false},
        {"http://127.0.0.1/", true, true},
        {"http://127.9.8.7/", true, true},
        {"http://0x7f.1/", true, true},
        {"http://[::1]:10001/", true, true},
        {"http://10.0.0.1/", false, true},
        {"http://[fe80::1]/", false, true},
        {"http://128.0.0.1/", false, true},
        {"http://notlocalhost/", false, false},
        {"http://localhost.example/", false, false},
        {"http://127.0.0.1.example/", false, false},
        {"https://contoso.queue.core.windows.net/", false, false},
    };

    for (size_t i = 0; i < array_size(cases); i++) {
        autourl url = {0};
        struct err err;

        assert_true(url_parse(cases[i].text, &url, &err));
        if (url_is_loopback(&url) != cases[i].loopback ||
            url_is_path_style(&url) != cases[i].path_style)
            fail_msg("%s", cases[i].text);
    }
}

static void encodes_all_but_unreserved(void **state)
{
    (void)state;
    autobuf out;

    buf_init(&out, BUF_ANY_SIZE);
    url_encode(&out, "AZaz09-._~");
    assert_string_equal(out.data, "AZaz09-._~");
    buf_reset(&out);
    url_encode(&out, "AgAAAAMAAAAAAAAA+/ab==&?\xc3\xa4 ");
    assert_string_equal(out.data, "AgAAAAMAAAAAAAAA%2B%2Fab%3D%3D%26%3F%C3%A4%20");
    buf_reset(&out);
    url_encode(&out, "");
    assert_string_equal(out.data, "");
}

static void decodes_sound_escapes_alone(void **state)
{
    (void)state;
    autofree char *text = url_decode("a%2Bb+c%2f%C3%A4xx", 16);

    assert_string_equal(text, "a+b+c/\xc3\xa4");
    autofree char *empty = url_decode("%41", 0);
    assert_string_equal(empty, "");
    assert_null(url_decode("a\0b", 3));
    assert_null(url_decode("%", 1));
    assert_null(url_decode("%4", 2));
    assert_null(url_decode("%41", 2));
    assert_null(url_decode("%4g", 3));
    assert_null(url_decode("a%00b", 5));
}

static void expect_part(const char **cursor, const char *name, const char *value)
{
    char *got_name, *got_value;

    assert_true(url_query_next(cursor, &got_name, &got_value));
    assert_string_equal(got_name, name);
    assert_string_equal(got_value, value);
    alloc_free(got_name);
    alloc_free(got_value);
}

static void steps_through_a_query(void **state)
{
    (void)state;
    char *name = NULL, *value = NULL;
    const char *cursor = "&sv=2021&&se=1%3A2&sig=a=b==&flag&=lone&x%3D=%zz&e=";

    expect_part(&cursor, "sv", "2021");
    expect_part(&cursor, "se", "1:2");
    expect_part(&cursor, "sig", "a=b==");
    expect_part(&cursor, "flag", "");
    expect_part(&cursor, "", "lone");
    expect_part(&cursor, "x=", "%zz");
    expect_part(&cursor, "e", "");
    assert_false(url_query_next(&cursor, &name, &value));
    assert_false(url_query_next(&cursor, &name, &value));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_a_url_apart),
        cmocka_unit_test(fills_in_only_what_was_written),
        cmocka_unit_test(accepts_schemes_that_curl_does_not_speak),
        cmocka_unit_test(refuses_what_is_no_url),
        cmocka_unit_test(knows_this_machine_and_path_style),
        cmocka_unit_test(encodes_all_but_unreserved),
        cmocka_unit_test(decodes_sound_escapes_alone),
        cmocka_unit_test(steps_through_a_query),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
