/* SPDX-License-Identifier: MIT */
/* identity/token_refusal and identity/token_error: an answer that is no token. Its lines are the status, the
 * Date, the request's id, and the body. */
#include "identity/token_error.h"

#include "base/clock.h"
#include "base/err.h"
#include "fuzz.h"

#define SHOWN "3c5a-Header" /* what the issuer was sent */

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    clock_freeze(1000, 1795231417000LL); /* 2026-11-21 */
    return 0;
}

static void check_refusal(const struct token_refusal *refusal)
{
    const char *const texts[] = {refusal->code, refusal->aadsts, refusal->description,
                                 refusal->request_id};

    for (size_t i = 0; i < array_size(texts); i++) {
        check(fuzz_is_sentence(texts[i]));
        check(i > 2 || strcasestr(texts[i], SHOWN) == NULL);
        check(i > 2 || (strstr(texts[i], "eyJ") == NULL && strcasestr(texts[i], "sig=") == NULL));
    }
    check(refusal->aadsts[0] == '\0' || str_starts(refusal->aadsts, "AADSTS"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    autofree char *first = fuzz_line(&data, &size);
    autofree char *date = fuzz_line(&data, &size);
    autofree char *request_id = fuzz_line(&data, &size);
    autofree char *body = xmalloc(size + 1);
    struct token_refusal refusal;
    struct err err;
    uint64_t status;

    if (size != 0)
        memcpy(body, data, size);
    body[size] = '\0';
    if (!str_to_uint(first, 999, &status))
        status = 400;
    const struct token_refusal_parts parts = {.status = (int)status,
                                              .retry_after_ms = 7000,
                                              .date = *date != '\0' ? date : NULL,
                                              .request_id = *request_id != '\0' ? request_id : NULL,
                                              .shown = SHOWN,
                                              .body = body,
                                              .len = size};
    token_refusal_parse(&parts, &refusal);
    check(refusal.status == (int)status);
    check_refusal(&refusal);
    token_error_explain(&refusal, "Microsoft Entra", &err);
    check(err.code == ERR_AUTH || err.code == ERR_SERVER || err.code == ERR_THROTTLED);
    check(err.http_status == (int)status && err.retry_after_ms == 7000);
    check(fuzz_is_sentence(err.text) && str_starts(err.text, "Microsoft Entra: "));
    check(strlen(err.text) < sizeof(err.text) - 1);
    check(!token_error_is_of_secret(&err) || err.code == ERR_AUTH);
    return 0;
}
