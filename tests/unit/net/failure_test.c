/* SPDX-License-Identifier: MIT */
/* The sentences about calls without answer: what a transfer that never began can tell. tests/e2e/test_network.py
 * has the others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/err.h"
#include "net/failure.h"

static void expect(struct failure failure, enum err_code code, const char *text)
{
    struct err err;

    failure.easy = curl_easy_init();
    failure.host = failure.host != NULL ? failure.host : "example.test:8443";
    failure.url = "https://example.test:8443/queue?sig=secret";
    failure_explain(&failure, &err);
    curl_easy_cleanup(failure.easy);
    assert_string_equal(err.text, text);
    assert_int_equal(err.code, code);
}

static void a_timeout_is_told_in_round_numbers(void **state)
{
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {
        {29998, "no answer from example.test:8443 within 30s"},
        {999, "no answer from example.test:8443 within 1s"},
        {250, "no answer from example.test:8443 within 250ms"},
        {59, "no answer from example.test:8443 within 50ms"},
        {7, "no answer from example.test:8443 within 7ms"},
    };

    (void)state;
    for (unsigned i = 0; i < array_size(cases); i++)
        expect((struct failure){.code = CURLE_OPERATION_TIMEDOUT,
                                .timeout_ms = cases[i].ms,
                                .connect_timeout_ms = 1,
                                .waited = true},
               ERR_NETWORK, cases[i].text);
}

static void a_connection_has_its_own_limit(void **state)
{
    (void)state;
    expect((struct failure){.code = CURLE_OPERATION_TIMEDOUT,
                            .timeout_ms = 30000,
                            .connect_timeout_ms = 10000},
           ERR_NETWORK,
           "no answer from example.test:8443 within 10s: its name was not resolved (see this "
           "machine's DNS)");
}

static void who_refuses_is_named(void **state)
{
    (void)state;
    expect((struct failure){.code = CURLE_COULDNT_CONNECT,
                            .reason = "Failed to connect to example.test port 8443"},
           ERR_NETWORK,
           "no connection to example.test:8443: Failed to connect to example.test port 8443");
    expect((struct failure){.code = CURLE_COULDNT_CONNECT,
                            .host = "[2001:db8::1]:8443",
                            .reason = "Failed to connect to 2001:db8::1 port 8443"},
           ERR_NETWORK,
           "no connection to [2001:db8::1]:8443: Failed to connect to 2001:db8::1 port 8443");
    expect((struct failure){.code = CURLE_COULDNT_CONNECT,
                            .reason = "Failed to connect to proxy.test port 3128"},
           ERR_NETWORK,
           "no answer from example.test:8443: Failed to connect to proxy.test port 3128 (a proxy: "
           "see http.proxy)");
}

static void a_proxy_without_address(void **state)
{
    (void)state;
    expect((struct failure){.code = CURLE_COULDNT_RESOLVE_PROXY,
                            .reason = "Could not resolve proxy: proxy.test"},
           ERR_NETWORK,
           "no answer from example.test:8443: Could not resolve proxy: proxy.test (see http.proxy "
           "and this machine's DNS)");
}

static void a_proxys_password_is_not_shown(void **state)
{
    static const char text[] = "no proxy that can be used: see http.proxy and the environment's "
                               "(http://HOST:PORT is how it is written)";

    (void)state;
    expect((struct failure){.code = CURLE_COULDNT_CONNECT,
                            .reason = "Unsupported proxy scheme for 'ftp://me:secret@host'"},
           ERR_CONFIG, text);
    expect((struct failure){.code = CURLE_COULDNT_RESOLVE_PROXY,
                            .reason = "Unsupported proxy syntax in 'http://me:secret@[x]'"},
           ERR_CONFIG, text);
}

static void certificates_to_trust_that_can_not_be_read(void **state)
{
    (void)state;
    expect((struct failure){.code = CURLE_SSL_CACERT_BADFILE,
                            .reason = "error setting certificate file",
                            .ca_file = "/etc/ssl/own.pem"},
           ERR_HOST, "no certificates to trust: http.ca_file can not be read (/etc/ssl/own.pem)");
    expect((struct failure){.code = CURLE_SSL_CACERT_BADFILE, .reason = "error setting it"},
           ERR_HOST, "no certificates to trust: error setting it");
}

static void a_certificate_and_a_handshake(void **state)
{
    (void)state;
    expect((struct failure){.code = CURLE_SSL_CONNECT_ERROR, .reason = "wrong version number"},
           ERR_NETWORK,
           "no safe connection to example.test:8443: wrong version number (is TLS spoken at this "
           "port?)");
    expect((struct failure){.code = CURLE_PEER_FAILED_VERIFICATION, .reason = "no match"},
           ERR_NETWORK,
           "no safe connection to example.test:8443: no match (the certificate is for another "
           "host: see the URL)");
}

static void what_else_there_is(void **state)
{
    (void)state;
    expect((struct failure){.code = CURLE_GOT_NOTHING, .reason = "Empty reply from server"},
           ERR_NETWORK, "no answer from example.test:8443: Empty reply from server");
    expect((struct failure){.code = CURLE_PARTIAL_FILE, .reason = "5 bytes missing"}, ERR_SERVER,
           "example.test:8443 sent no whole answer: 5 bytes missing");
    expect((struct failure){.code = CURLE_RECV_ERROR, .reason = "Proxy CONNECT aborted"},
           ERR_NETWORK, "no connection to example.test:8443: Proxy CONNECT aborted");
    expect((struct failure){.code = CURLE_URL_MALFORMAT, .reason = "bad port"}, ERR_CONFIG,
           "not a URL that can be asked: bad port");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_timeout_is_told_in_round_numbers),
        cmocka_unit_test(a_connection_has_its_own_limit),
        cmocka_unit_test(who_refuses_is_named),
        cmocka_unit_test(a_proxy_without_address),
        cmocka_unit_test(a_proxys_password_is_not_shown),
        cmocka_unit_test(certificates_to_trust_that_can_not_be_read),
        cmocka_unit_test(a_certificate_and_a_handshake),
        cmocka_unit_test(what_else_there_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
