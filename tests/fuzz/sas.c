/* SPDX-License-Identifier: MIT */
/* identity/sas_token and identity/sas_use: a SAS as somebody pasted it. */
#include "identity/sas_use.h"

#include <ctype.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "fuzz.h"
#include "net/http.h"
#include "net/url.h"

#define NOW_MS 1795231417000LL /* 2026-11-21 */

static void check_record(enum log_level level, const char *text, const struct log_field *fields)
{
    (void)fields;
    check(level == LOG_LEVEL_WARNING && fuzz_is_sentence(text));
    check(strcasestr(text, "sig=") == NULL);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    clock_freeze(1000, NOW_MS);
    log_set_sink(check_record);
    return 0;
}

static void check_clean(const char *pasted)
{
    autobuf clean;
    autobuf twice;
    struct err err;

    buf_init(&clean, BUF_ANY_SIZE);
    buf_init(&twice, BUF_ANY_SIZE);
    if (!sas_token_clean(pasted, &clean, &err)) {
        check(err.code == ERR_AUTH && fuzz_is_sentence(err.text));
        return;
    }
    for (const char *c = clean.data; *c != '\0'; c++)
        check(isalnum((unsigned char)*c) || strchr("-._~%&=", *c) != NULL);
    check(sas_token_clean(clean.data, &twice, &err));
    check(str_equal(clean.data, twice.data));
}

/* A failure's sentence does not show the signature. */
static void check_hidden(const char *query, const struct err *err)
{
    char *name, *value;

    check(err->code == ERR_AUTH && fuzz_is_sentence(err->text));
    while (url_query_next(&query, &name, &value)) {
        check(strcmp(name, "sig") != 0 || strlen(value) < 12 || strstr(err->text, value) == NULL);
        free(name);
        free(value);
    }
}

static void check_use(struct sas_use *use, const char *pasted)
{
    struct http_request request;
    struct err err = {.code = ERR_AUTH, .text = "refused"};
    autourl url = {0};
    int64_t warn_at_ms = use->watch.warn_at_ms;

    check(sas_use_adopt(use, pasted, &err) && use->watch.warn_at_ms == warn_at_ms);
    http_request_init(&request, HTTP_GET);
    buf_puts(&request.url, "https://contoso.queue.core.windows.net/events/messages");
    check(sas_use_sign(use, &request, "fuzz", &err));
    check(use->watch.warn_at_ms > NOW_MS && !sas_use_is_stale(use, 0));
    check(url_parse(request.url.data, &url, &err));
    check(str_equal(url.query, secret_reveal(&use->query)) &&
          str_equal(url.path, "/events/messages"));
    sas_use_explain(use, &err);
    check(fuzz_is_sentence(err.text) && strcasestr(err.text, "sig=") == NULL);
    http_request_done(&request);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    autofree char *pasted = fuzz_text(data, size);
    struct sas_use use = {.watch = {.warn_at_ms = 0}};
    struct sas_token token;
    struct err err;

    check_clean(pasted);
    if (!sas_token_parse(pasted, &token, &err))
        check_hidden(*pasted == '?' ? pasted + 1 : pasted, &err);
    bool good = sas_use_adopt(&use, pasted, &err);
    if (good)
        check_use(&use, pasted);
    else
        check(!sas_use_check(pasted, "", &err));
    if (!sas_use_check(pasted, "rup", &err))
        check_hidden(*pasted == '?' ? pasted + 1 : pasted, &err);
    sas_use_done(&use);
    return 0;
}
