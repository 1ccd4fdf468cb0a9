/* SPDX-License-Identifier: MIT */
/* Connection strings of every make. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "identity/connection_string.h"

static struct connection_string parse(const char *text)
{
    struct connection_string string;
    struct err err;

    if (!connection_string_parse(text, &string, &err))
        fail_msg("%s: %s", text, err.text);
    return string;
}

static void expect(const char *text, const char *account, const char *key, const char *sas,
                   const char *endpoint)
{
    struct connection_string string = parse(text);

    assert_string_equal(string.account ? string.account : "-", account);
    assert_string_equal(string.key ? string.key : "-", key);
    assert_string_equal(string.sas ? string.sas : "-", sas);
    assert_string_equal(string.queue_endpoint, endpoint);
    connection_string_done(&string);
}

static void reads_the_portals_form(void **state)
{
    (void)state;
    expect("DefaultEndpointsProtocol=https;AccountName=contoso;AccountKey=a2V5a2V5a2U=;"
           "EndpointSuffix=core.windows.net",
           "contoso", "a2V5a2V5a2U=", "-", "https://contoso.queue.core.windows.net");
    expect(" accountname = contoso ; ACCOUNTKEY=a2V5;endpointsuffix=core.chinacloudapi.cn;\n",
           "contoso", "a2V5", "-", "https://contoso.queue.core.chinacloudapi.cn");
    expect("AccountName=contoso;AccountKey=a2V5", "contoso", "a2V5", "-",
           "https://contoso.queue.core.windows.net");
    expect("AccountName=contoso;AccountKey=a2V5;EndpointSuffix=core.windows.net/", "contoso",
           "a2V5", "-", "https://contoso.queue.core.windows.net");
}

static void prefers_the_written_endpoint(void **state)
{
    (void)state;
    expect("DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=a2V5;"
           "BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;"
           "QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1/;",
           "devstoreaccount1", "a2V5", "-", "http://127.0.0.1:10001/devstoreaccount1");
}

static void reads_a_sas(void **state)
{
    (void)state;
    expect("QueueEndpoint=https://contoso.queue.core.windows.net/;"
           "SharedAccessSignature=?sv=2021-12-02&sig=a%3D",
           "-", "-", "sv=2021-12-02&sig=a%3D", "https://contoso.queue.core.windows.net");
    expect("SharedAccessSignature=sv=1&sig=x=;AccountName=contoso", "contoso", "-",
           "sv=1&sig=x=", "https://contoso.queue.core.windows.net");
}

static void knows_the_emulator(void **state)
{
    (void)state;
    static const char key[] = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/"
                              "K1SZFPTOtr/KBHBeksoGMGw==";

    expect("UseDevelopmentStorage=true", "devstoreaccount1", key, "-",
           "http://127.0.0.1:10001/devstoreaccount1");
    expect("usedevelopmentstorage=True;DevelopmentStorageProxyUri=http://[::1]", "devstoreaccount1",
           key, "-", "http://[::1]:10001/devstoreaccount1");
}

static void names_what_is_missing_or_broken(void **state)
{
    (void)state;
    static const struct {
        const char *text, *reason;
    } cases[] = {
        {"", "the connection string lacks AccountKey (or SharedAccessSignature)"},
        {"hello", "not a connection string: name=value pairs parted by ';' are due"},
        {"AccountName=contoso",
         "the connection string lacks AccountKey (or SharedAccessSignature)"},
        {"AccountName=contoso;AccountKey=",
         "the connection string lacks AccountKey (or SharedAccessSignature)"},
        {"AccountKey=a2V5", "the connection string lacks AccountName"},
        {"AccountName=contoso;AccountKey=se cr?t", "AccountKey of the connection string is not "
                                                   "base64"},
        {"SharedAccessSignature=sv=1&sig=x",
         "the connection string lacks QueueEndpoint (or AccountName)"},
        {"SharedAccessSignature=sv=1&sig=x;QueueEndpoint=ftp://host/",
         "QueueEndpoint of the connection string must be a plain http or https URL"},
        {"SharedAccessSignature=sv=1&sig=x;QueueEndpoint=https://host/?sig=secret",
         "QueueEndpoint of the connection string must be a plain http or https URL"},
        {"SharedAccessSignature=sv=1&sig=x;QueueEndpoint=host",
         "QueueEndpoint of the connection string: not a URL: scheme://host is how it begins"},
        {"UseDevelopmentStorage=true;DevelopmentStorageProxyUri=x",
         "DevelopmentStorageProxyUri of the connection string: not a URL: scheme://host is how it "
         "begins"},
    };

    for (size_t i = 0; i < array_size(cases); i++) {
        struct connection_string string;
        struct err err = {0};

        if (connection_string_parse(cases[i].text, &string, &err))
            fail_msg("was taken: %s", cases[i].text);
        assert_int_equal(err.code, ERR_AUTH);
        assert_string_equal(err.text, cases[i].reason);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_portals_form),
        cmocka_unit_test(prefers_the_written_endpoint),
        cmocka_unit_test(reads_a_sas),
        cmocka_unit_test(knows_the_emulator),
        cmocka_unit_test(names_what_is_missing_or_broken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
