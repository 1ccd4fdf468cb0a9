/* SPDX-License-Identifier: MIT */
/* The Shared Key signature, against strings put together by hand from the documentation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/secret.h"
#include "identity/shared_key_sign.h"
#include "net/http.h"

#define DATE "Sat, 21 Nov 2026 03:23:37 GMT"
#define EMULATOR_KEY                                                                               \
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

static void request_init(struct http_request *request, enum http_method method, const char *url)
{
    http_request_init(request, method);
    buf_puts(&request->url, url);
    http_request_header(request, "x-ms-version", "2021-12-02");
    http_request_header(request, "X-MS-Date", DATE);
}

static void expect_to_sign(const struct http_request *request, const char *account,
                           const char *expected)
{
    struct err err;
    autobuf text;

    buf_init(&text, BUF_ANY_SIZE);
    assert_true(shared_key_string_to_sign(request, account, &text, &err));
    assert_string_equal(text.data, expected);
}

static void signs_a_get_in_host_style(void **state)
{
    (void)state;
    struct http_request request;

    request_init(&request, HTTP_GET,
                 "https://contoso.queue.core.windows.net/cv-events/messages"
                 "?visibilitytimeout=120&numofmessages=32");
    expect_to_sign(&request, "contoso",
                   "GET\n\n\n\n\n\n\n\n\n\n\n\n"
                   "x-ms-date:" DATE "\nx-ms-version:2021-12-02\n"
                   "/contoso/cv-events/messages\nnumofmessages:32\nvisibilitytimeout:120");
    http_request_done(&request);
}

static void doubles_the_account_in_path_style(void **state)
{
    (void)state;
    struct http_request request;

    request_init(&request, HTTP_DELETE,
                 "http://127.0.0.1:10001/devstoreaccount1/q/messages/id?popreceipt=a%2Bb%2F%3D%3D");
    expect_to_sign(&request, "devstoreaccount1",
                   "DELETE\n\n\n\n\n\n\n\n\n\n\n\n"
                   "x-ms-date:" DATE "\nx-ms-version:2021-12-02\n"
                   "/devstoreaccount1/devstoreaccount1/q/messages/id\npopreceipt:a+b/==");
    http_request_done(&request);
}

static void signs_length_and_type_of_a_body(void **state)
{
    (void)state;
    struct http_request request;

    request_init(&request, HTTP_POST, "https://contoso.queue.core.windows.net/q/messages");
    http_request_header(&request, "Content-Type", "application/xml");
    buf_puts(&request.body, "0123456789");
    expect_to_sign(&request, "contoso",
                   "POST\n\n\n10\n\napplication/xml\n\n\n\n\n\n\n"
                   "x-ms-date:" DATE "\nx-ms-version:2021-12-02\n"
                   "/contoso/q/messages");
    http_request_done(&request);
}

static void signs_no_length_of_zero(void **state)
{
    (void)state;
    struct http_request request;

    request_init(&request, HTTP_PUT, "https://contoso.queue.core.windows.net/q");
    expect_to_sign(&request, "contoso",
                   "PUT\n\n\n\n\n\n\n\n\n\n\n\n"
                   "x-ms-date:" DATE "\nx-ms-version:2021-12-02\n/contoso/q");
    http_request_done(&request);
}

static void keeps_the_path_as_it_is_encoded(void **state)
{
    (void)state;
    struct http_request request;

    request_init(&request, HTTP_HEAD,
                 "https://contoso.blob.core.windows.net/c/a%20b?b=2&B=1&comp=x%20y");
    http_request_header(&request, "Date", "ignored");
    http_request_header(&request, "Range", "bytes=0-9");
    expect_to_sign(&request, "contoso",
                   "HEAD\n\n\n\n\n\n\n\n\n\n\nbytes=0-9\n"
                   "x-ms-date:" DATE "\nx-ms-version:2021-12-02\n"
                   "/contoso/c/a%20b\nb:1,2\ncomp:x y");
    http_request_done(&request);
}

/* The signature was worked out apart, with Python's hmac. */
static void adds_the_authorization(void **state)
{
    (void)state;
    struct http_request request;
    autosecret key = {0};
    struct err err;

    assert_true(shared_key_decode(EMULATOR_KEY, &key, &err));
    assert_int_equal(key.len, 64);
    request_init(&request, HTTP_GET, "http://127.0.0.1:10001/devstoreaccount1/q?comp=metadata");
    assert_true(shared_key_sign(&request, "devstoreaccount1", &key, &err));
    assert_string_equal(http_request_find_header(&request, "Authorization"),
                        "SharedKey devstoreaccount1:InA1OqwykEuqnXVR545uGTSBcaVOJW4FKQ9DU0PcAtw=");
    http_request_done(&request);
}

static void refuses_a_key_that_is_not_base64(void **state)
{
    (void)state;
    autosecret key = {0};
    struct err err = {0};

    assert_false(shared_key_decode("not a key", &key, &err));
    assert_int_equal(err.code, ERR_AUTH);
    assert_false(shared_key_decode("", &key, &err));
    assert_false(secret_is_set(&key));
}

static void refuses_to_sign_what_is_no_url(void **state)
{
    (void)state;
    autosecret key = {0};
    struct http_request request;
    struct err err = {0};

    assert_true(shared_key_decode("a2V5", &key, &err));
    http_request_init(&request, HTTP_GET);
    buf_puts(&request.url, "no url");
    assert_false(shared_key_sign(&request, "contoso", &key, &err));
    assert_int_equal(err.code, ERR_CONFIG);
    assert_null(http_request_find_header(&request, "Authorization"));
    http_request_done(&request);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signs_a_get_in_host_style),
        cmocka_unit_test(doubles_the_account_in_path_style),
        cmocka_unit_test(signs_length_and_type_of_a_body),
        cmocka_unit_test(signs_no_length_of_zero),
        cmocka_unit_test(keeps_the_path_as_it_is_encoded),
        cmocka_unit_test(adds_the_authorization),
        cmocka_unit_test(refuses_a_key_that_is_not_base64),
        cmocka_unit_test(refuses_to_sign_what_is_no_url),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
