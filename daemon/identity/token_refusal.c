/* SPDX-License-Identifier: MIT */
/* An issuer's answer that is no token. */
#include "identity/token_refusal.h"

#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "codec/json.h"
#include "net/http.h"

#define MAX_DEPTH    16
#define LONGEST_WORD 63

/* How issuers of managed identities say which one they miss: IMDS in the first two, App Service and
 * its like in the others, which come without a code. */
static const struct {
    const char *phrase;
    const char *told;
} phrases[] = {
    {"Multiple user assigned identities exist", TOKEN_MANY_IDENTITIES},
    {"Identity not found", TOKEN_NO_IDENTITY},
    {"Identity found for specified", TOKEN_NO_IDENTITY},
    {"MSI found for specified", TOKEN_NO_IDENTITY},
    {"Unable to load the proper Managed Identity", TOKEN_NO_IDENTITY},
};

/* Whether an issuer's words may go into a log. None quotes what it was shown, but what stands in its place
 * may: the secret itself, a JSON web token, a client secret (they hold a tilde), a form's field, a long word
 * of any kind. */
static bool is_safe(const char *text, const char *shown)
{
    static const char word[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_+=";
    static const char *const marks[] = {"~", "secret=", "assertion=", "sig="};

    for (size_t i = 0; i < array_size(marks); i++) {
        if (strcasestr(text, marks[i]) != NULL)
            return false;
    }
    if (shown != NULL && *shown != '\0' && strcasestr(text, shown) != NULL)
        return false;
    if (strstr(text, "eyJ") != NULL) /* how `{"` begins in base64 */
        return false;
    while (*text != '\0') {
        size_t len = strspn(text, word);

        if (len > LONGEST_WORD)
            return false;
        text += len == 0 ? 1 : len;
    }
    return true;
}

/* Reads "AADSTS" and digits. Returns what follows, or NULL when it is none. */
static const char *read_aadsts(const char *text, char *ret_code, size_t size)
{
    size_t len = strlen("AADSTS");

    if (!str_starts(text, "AADSTS"))
        return NULL;
    len += strspn(text + len, "0123456789");
    if (len == strlen("AADSTS") || len >= size)
        return NULL;
    memcpy(ret_code, text, len);
    ret_code[len] = '\0';
    return text + len;
}

/* Keeps the first line, without its code and the ids that Entra puts behind it. */
static void read_description(const char *text, const char *shown, struct token_refusal *refusal)
{
    char code[sizeof(refusal->aadsts)];
    const char *behind = read_aadsts(text, code, sizeof(code));
    const char *ids = strstr(text, "Trace ID:");

    if (behind != NULL && refusal->aadsts[0] == '\0')
        memcpy(refusal->aadsts, code, sizeof(code));
    if (behind != NULL)
        text = behind + strspn(behind, ": ");
    size_t len = strcspn(text, "\r\n");
    if (ids != NULL && ids > text)
        len = min_of(len, (size_t)(ids - text));
    /* As a whole: of a secret at its end nothing must be left by the copy. */
    autofree char *line = xstrndup(text, len);
    if (is_safe(line, shown))
        str_copy_line(refusal->description, sizeof(refusal->description), line);
}

/* The first of the numbers that Entra lists beside its words. */
static void read_error_codes(const struct json *codes, struct token_refusal *refusal)
{
    const struct json *first = codes != NULL ? codes->first : NULL;

    if (first == NULL || first->type != JSON_NUMBER)
        return;
    autofree char *code = xasprintf("AADSTS%s", first->text);
    const char *end = read_aadsts(code, refusal->aadsts, sizeof(refusal->aadsts));
    if (end == NULL || *end != '\0')
        refusal->aadsts[0] = '\0';
}

static void read_json(const struct json *root, const char *shown, struct token_refusal *refusal)
{
    const struct json *error = json_member(root, "error");
    const struct json *inner = error != NULL && error->type == JSON_OBJECT ? error : root;
    const char *code = json_member_text(root, "error");
    const char *description = json_member_text(root, "error_description");

    if (code == NULL)
        code = json_member_text(inner, "code");
    if (description == NULL)
        description = json_member_text(inner, "message");
    if (code != NULL && is_safe(code, shown))
        str_copy_name(refusal->code, sizeof(refusal->code), code);
    read_error_codes(json_member(root, "error_codes"), refusal);
    if (description != NULL)
        read_description(description, shown, refusal);
}

/* Not a page, nor what should have been JSON. */
static void read_plain(const char *text, const char *shown, struct token_refusal *refusal)
{
    if (str_starts(text, "\xef\xbb\xbf"))
        text += 3;
    while (str_is_space(*text))
        text++;
    if (*text != '<' && *text != '{' && str_is_utf8(text, strlen(text)))
        read_description(text, shown, refusal);
}

/* What the words say where the code does not. */
static void read_phrase(struct token_refusal *refusal)
{
    for (size_t i = 0; i < array_size(phrases) && refusal->aadsts[0] == '\0'; i++) {
        if (strcasestr(refusal->description, phrases[i].phrase) != NULL) {
            refusal->told = phrases[i].told;
            return;
        }
    }
}

void token_refusal_parse(const struct token_refusal_parts *parts, struct token_refusal *ret_refusal)
{
    struct json_doc *doc;

    *ret_refusal =
        (struct token_refusal){.status = parts->status, .retry_after_ms = parts->retry_after_ms};
    str_copy_name(ret_refusal->request_id, sizeof(ret_refusal->request_id), parts->request_id);
    str_copy_line(ret_refusal->date, sizeof(ret_refusal->date),
                  parts->date != NULL ? parts->date : "");
    if (parts->len == 0)
        return;
    if (json_parse(parts->body, parts->len, MAX_DEPTH, &doc) == JSON_OK) {
        ret_refusal->is_json = true;
        read_json(json_root(doc), parts->shown, ret_refusal);
        json_doc_free(doc);
    } else {
        read_plain(parts->body, parts->shown, ret_refusal);
    }
    read_phrase(ret_refusal);
}

void token_refusal_read(const struct http_reply *reply, const char *shown,
                        struct token_refusal *ret_refusal)
{
    const struct token_refusal_parts parts = {
        .status = reply->status,
        .retry_after_ms = reply->retry_after_ms,
        .date = http_reply_header(reply, "Date"),
        .request_id = http_reply_header(reply, "x-ms-request-id"),
        .shown = shown,
        .body = reply->body,
        .len = reply->len,
    };

    token_refusal_parse(&parts, ret_refusal);
}
