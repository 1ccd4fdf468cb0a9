/* SPDX-License-Identifier: MIT */
/* identity/connection_string. */
#include "identity/connection_string.h"

#include "fuzz.h"
#include "net/url.h"

static void check_parts(const struct connection_string *string)
{
    autourl url = {0};
    struct err err;

    check((string->key != NULL) != (string->sas != NULL));
    check(string->key == NULL || string->account != NULL);
    check(!str_ends(string->queue_endpoint, "/"));
    check(url_parse(string->queue_endpoint, &url, &err));
    check(str_equal(url.scheme, "https") || str_equal(url.scheme, "http"));
    check(url.query == NULL && !url.has_user && !url.has_fragment);
}

/* Written from its parts, it is read as the same. */
static void check_again(const struct connection_string *string)
{
    struct connection_string again = {0};
    struct err err;
    autofree char *account =
        string->account == NULL ? xstrdup("") : xasprintf("AccountName=%s;", string->account);
    autofree char *text = xasprintf("%s%s%s%s;QueueEndpoint=%s", account,
                                    string->key != NULL ? "AccountKey=" : "SharedAccessSignature=?",
                                    string->key != NULL ? string->key : "",
                                    string->key == NULL ? string->sas : "", string->queue_endpoint);

    check(connection_string_parse(text, &again, &err));
    check(str_equal(string->account, again.account) && str_equal(string->key, again.key));
    check(str_equal(string->sas, again.sas));
    check(str_equal(string->queue_endpoint, again.queue_endpoint));
    connection_string_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    autofree char *text = fuzz_text(data, size);
    struct connection_string string;
    struct err err;

    if (!connection_string_parse(text, &string, &err)) {
        check(err.code == ERR_AUTH && fuzz_is_sentence(err.text));
        return 0;
    }
    check_parts(&string);
    check_again(&string);
    connection_string_done(&string);
    return 0;
}
