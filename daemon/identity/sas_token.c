/* SPDX-License-Identifier: MIT */
/* What a SAS says of itself. */
#include "identity/sas_token.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>

#include "base/buf.h"
#include "base/secret.h"
#include "base/str.h"
#include "codec/date.h"
#include "net/url.h"

enum field {
    FIELD_SV,
    FIELD_SS,
    FIELD_SRT,
    FIELD_SP,
    FIELD_ST,
    FIELD_SE,
    FIELD_SI,
    FIELD_SR,
    FIELD_SPR,
    FIELD_SKOID,
    FIELD_SKTID,
    FIELD_SKT,
    FIELD_SKE,
    FIELD_SDUOID,
    FIELD_SIG,
    FIELDS,
};

static const char *const field_names[FIELDS] = {
    [FIELD_SV] = "sv",   [FIELD_SS] = "ss",         [FIELD_SRT] = "srt",     [FIELD_SP] = "sp",
    [FIELD_ST] = "st",   [FIELD_SE] = "se",         [FIELD_SI] = "si",       [FIELD_SR] = "sr",
    [FIELD_SPR] = "spr", [FIELD_SKOID] = "skoid",   [FIELD_SKTID] = "sktid", [FIELD_SKT] = "skt",
    [FIELD_SKE] = "ske", [FIELD_SDUOID] = "sduoid", [FIELD_SIG] = "sig",
};

/* What each kind can not be without, besides sv and sig. A service SAS without rights or expiry is
 * the service's to refuse: a policy may be meant. */
static const struct {
    const char *name;
    enum field needs[4];
    unsigned count;
} kinds[] = {
    [SAS_SERVICE] = {"service SAS", {0}, 0},
    [SAS_POLICY] = {"service SAS with a stored access policy", {FIELD_SI}, 1},
    [SAS_ACCOUNT] = {"account SAS", {FIELD_SS, FIELD_SRT, FIELD_SP, FIELD_SE}, 4},
    [SAS_USER_DELEGATION] = {"user delegation SAS",
                             {FIELD_SKTID, FIELD_SKE, FIELD_SP, FIELD_SE},
                             4},
};

/* The first that a queue takes a user delegation SAS of. */
#define FIRST_DELEGATION "2025-07-05"

/* The decoded values; NULL where the token has none. */
struct fields {
    char *values[FIELDS];
};

static void fields_done(struct fields *fields)
{
    for (int i = 0; i < FIELDS; i++)
        secret_free_text(fields->values[i]);
}

static void collect(const char *query, struct fields *fields)
{
    char *name, *value;

    while (url_query_next(&query, &name, &value)) {
        char **slot = NULL;

        for (int i = 0; i < FIELDS; i++) {
            if (str_equal(name, field_names[i]))
                slot = &fields->values[i];
        }
        if (slot != NULL && *slot == NULL && *value != '\0')
            *slot = take(value);
        secret_free_text(value);
        alloc_free(name);
    }
}

static enum sas_kind kind_of(const struct fields *fields)
{
    if (fields->values[FIELD_SKOID] != NULL)
        return SAS_USER_DELEGATION;
    if (fields->values[FIELD_SS] != NULL || fields->values[FIELD_SRT] != NULL)
        return SAS_ACCOUNT;
    return fields->values[FIELD_SI] != NULL ? SAS_POLICY : SAS_SERVICE;
}

/* Whether a value may stand in a sentence. */
static bool is_word(const char *text)
{
    return text[strspn(text, "abcdefghijklmnopqrstuvwxyz")] == '\0';
}

static bool check_complete(const struct fields *fields, enum sas_kind kind, struct err *err)
{
    if (fields->values[FIELD_SIG] == NULL)
        return err_set(err, ERR_AUTH, "not a whole SAS: sig is missing");
    if (fields->values[FIELD_SV] == NULL)
        return err_set(err, ERR_AUTH, "not a whole SAS: sv is missing");
    for (unsigned i = 0; i < kinds[kind].count; i++) {
        enum field needed = kinds[kind].needs[i];

        if (fields->values[needed] == NULL)
            return err_set(err, ERR_AUTH, "not a whole %s: %s is missing", kinds[kind].name,
                           field_names[needed]);
    }
    const char *resource = fields->values[FIELD_SR];
    if (resource != NULL && strcmp(resource, "q") != 0)
        return err_set(err, ERR_AUTH, "a SAS of another service (sr=%.8s), not of a queue",
                       is_word(resource) ? resource : "?");
    return true;
}

/* A version is a day, and so the later one is the greater text. */
static bool is_version(const char *text)
{
    int64_t ms;

    return strlen(text) == strlen(FIRST_DELEGATION) && date_parse_iso(text, &ms);
}

/* What makes a user delegation SAS no good for a queue, whatever the service is asked. */
static bool check_delegation(const struct fields *fields, struct err *err)
{
    const char *version = fields->values[FIELD_SV];

    if (!is_version(version) || strcmp(version, FIRST_DELEGATION) < 0)
        return err_set(err, ERR_AUTH,
                       "queues take a user delegation SAS from sv=" FIRST_DELEGATION
                       " on, and this one has sv=%s: make it with newer tools",
                       is_version(version) ? version : "?");
    if (fields->values[FIELD_SDUOID] != NULL)
        return err_set(err, ERR_AUTH,
                       "the SAS is bound to a user (sduoid), whose token would have to go with it: "
                       "make one that is not");
    return true;
}

/* Reads a date that may be absent. */
static bool read_date(const struct fields *fields, enum field field, bool *ret_has, int64_t *ret_ms,
                      struct err *err)
{
    const char *text = fields->values[field];

    *ret_has = text != NULL;
    if (text != NULL && !date_parse_iso(text, ret_ms))
        return err_set(err, ERR_AUTH, "%s of the SAS is not a date such as 2027-01-31T00:00:00Z",
                       field_names[field]);
    return true;
}

static bool read_dates(const struct fields *fields, struct sas_token *token, struct err *err)
{
    bool has_key_start, has_key_expiry;
    int64_t key_start_ms = 0, key_expiry_ms = 0;

    if (!read_date(fields, FIELD_ST, &token->has_start, &token->start_ms, err) ||
        !read_date(fields, FIELD_SE, &token->has_expiry, &token->expiry_ms, err) ||
        !read_date(fields, FIELD_SKT, &has_key_start, &key_start_ms, err) ||
        !read_date(fields, FIELD_SKE, &has_key_expiry, &key_expiry_ms, err))
        return false;
    if (token->kind != SAS_USER_DELEGATION)
        return true;
    /* It is good while its key is. */
    token->expiry_ms = min_of(token->expiry_ms, key_expiry_ms);
    if (has_key_start && (!token->has_start || key_start_ms > token->start_ms))
        token->start_ms = key_start_ms;
    token->has_start |= has_key_start;
    return true;
}

/* Copies a set of letters. */
static bool read_letters(const struct fields *fields, enum field field, char *letters, size_t size,
                         struct err *err)
{
    const char *text = fields->values[field];

    if (text == NULL)
        text = "";
    for (const char *letter = text; *letter != '\0'; letter++) {
        if (!islower((unsigned char)*letter) || (size_t)(letter - text) + 1 >= size)
            return err_set(err, ERR_AUTH, "%s of the SAS is not a short row of small letters",
                           field_names[field]);
    }
    strcpy(letters, text); /* measured above */
    return true;
}

bool sas_token_parse(const char *text, struct sas_token *ret_token, struct err *err)
{
    struct fields fields __attribute__((cleanup(fields_done))) = {0};
    struct sas_token token = {0};

    collect(*text == '?' ? text + 1 : text, &fields);
    token.kind = kind_of(&fields);
    if (!check_complete(&fields, token.kind, err) ||
        (token.kind == SAS_USER_DELEGATION && !check_delegation(&fields, err)) ||
        !read_dates(&fields, &token, err) ||
        !read_letters(&fields, FIELD_SP, token.permissions, sizeof(token.permissions), err) ||
        !read_letters(&fields, FIELD_SS, token.services, sizeof(token.services), err) ||
        !read_letters(&fields, FIELD_SRT, token.resource_types, sizeof(token.resource_types), err))
        return false;
    token.https_only = str_equal(fields.values[FIELD_SPR], "https");
    *ret_token = token;
    return true;
}

/* What a permission's letter lets us do, for sentences. */
static const char *permission_use(char letter)
{
    switch (letter) {
    case 'p':
        return "get and delete messages";
    case 'u':
        return "renew and release messages";
    case 'a':
        return "put messages";
    case 'r':
        return "count messages";
    default:
        return "this use";
    }
}

bool sas_token_suits(const struct sas_token *token, const char *permissions, struct err *err)
{
    if (token->kind == SAS_ACCOUNT && strchr(token->services, 'q') == NULL)
        return err_set(err, ERR_AUTH,
                       "the account SAS is not for queues (ss=%s): make one with ss=q",
                       token->services);
    if (token->kind == SAS_ACCOUNT && strchr(token->resource_types, 'o') == NULL)
        return err_set(err, ERR_AUTH,
                       "the account SAS does not reach messages (srt=%s): make one with srt=co",
                       token->resource_types);
    for (; *permissions != '\0' && token->permissions[0] != '\0'; permissions++) {
        if (strchr(token->permissions, *permissions) == NULL)
            return err_set(err, ERR_AUTH, "the SAS lacks the permission %c (%s): it has sp=%s",
                           *permissions, permission_use(*permissions), token->permissions);
    }
    return true;
}

static bool is_unreserved(char c)
{
    return isalnum((unsigned char)c) || (c != '\0' && strchr("-._~", c) != NULL);
}

/* Appends a name or a value, encoding what is not encoded yet. */
static void clean_part(const char *part, size_t len, bool is_signature, struct buf *out)
{
    for (size_t i = 0; i < len; i++) {
        bool is_escape = part[i] == '%' && len - i > 2 && isxdigit((unsigned char)part[i + 1]) &&
                         isxdigit((unsigned char)part[i + 2]);

        if (is_escape || is_unreserved(part[i]))
            buf_putc(out, part[i]);
        else if (is_signature && part[i] == ' ')
            buf_puts(out, "%2B");
        else
            buf_printf(out, "%%%02X", (unsigned char)part[i]);
    }
}

/* Where the query begins in what was pasted, NULL in a URL that has none. */
static const char *find_query(const char *pasted)
{
    const char *mark = strchr(pasted, '?');

    if (mark != NULL && (mark == pasted || strstr(pasted, "://") != NULL))
        return mark + 1;
    return strstr(pasted, "://") != NULL ? NULL : pasted;
}

static void clean_parts(const char *part, struct buf *out)
{
    while (*(part += strspn(part, "&")) != '\0') {
        size_t len = strcspn(part, "&");
        size_t name_len = min_of(strcspn(part, "="), len);

        if (out->len > 0)
            buf_putc(out, '&');
        clean_part(part, name_len, false, out);
        if (name_len < len) {
            buf_putc(out, '=');
            clean_part(part + name_len + 1, len - name_len - 1, strncmp(part, "sig=", 4) == 0, out);
        }
        part += len;
    }
}

/* A copy on one line: a line break can only come from the paste, and may stand anywhere, in the middle
 * of a name or an escape too. */
static char *without_breaks(const char *pasted)
{
    char *copy = xmalloc(strlen(pasted) + 1), *end = copy;

    for (; *pasted != '\0'; pasted++) {
        if (!iscntrl((unsigned char)*pasted))
            *end++ = *pasted;
    }
    *end = '\0';
    return copy;
}

bool sas_token_clean(const char *pasted, struct buf *out, struct err *err)
{
    char *text = without_breaks(pasted);
    const char *query = find_query(text);
    bool good = query != NULL;

    if (good)
        clean_parts(query, out);
    else
        err_set(err, ERR_AUTH, "a URL without a SAS: nothing stands behind a '?'");
    secret_free_text(text);
    return good;
}
