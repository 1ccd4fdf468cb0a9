/* SPDX-License-Identifier: MIT */
/* Azure Storage connection strings. */
#include "identity/connection_string.h"

#include <string.h>

#include "base/secret.h"
#include "base/str.h"
#include "identity/shared_key_sign.h"
#include "net/url.h"

/* The emulator's account: public, fixed, documented. */
#define EMULATOR_ACCOUNT "devstoreaccount1"
#define EMULATOR_KEY                                                                               \
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
#define EMULATOR_QUEUE_PORT 10001

/* The parts that matter here; other services' endpoints are passed over. */
struct parts {
    char *protocol;
    char *account;
    char *key;
    char *suffix;
    char *queue_endpoint;
    char *sas;
    char *emulator;
    char *emulator_host;
};

static const struct {
    const char *name;
    size_t offset;
} names[] = {
    {"DefaultEndpointsProtocol", offsetof(struct parts, protocol)},
    {"AccountName", offsetof(struct parts, account)},
    {"AccountKey", offsetof(struct parts, key)},
    {"EndpointSuffix", offsetof(struct parts, suffix)},
    {"QueueEndpoint", offsetof(struct parts, queue_endpoint)},
    {"SharedAccessSignature", offsetof(struct parts, sas)},
    {"UseDevelopmentStorage", offsetof(struct parts, emulator)},
    {"DevelopmentStorageProxyUri", offsetof(struct parts, emulator_host)},
};

static char **slot_of(struct parts *parts, unsigned i)
{
    return (char **)(void *)((char *)parts + names[i].offset);
}

static void parts_done(struct parts *parts)
{
    for (unsigned i = 0; i < array_size(names); i++)
        secret_free_text(*slot_of(parts, i));
}

/* Keeps a value that is not empty under its name; of two the later one counts. */
static void keep(struct parts *parts, const char *name, const char *value)
{
    for (unsigned i = 0; i < array_size(names); i++) {
        if (!str_equal_nocase(name, names[i].name) || *value == '\0')
            continue;
        secret_free_text(*slot_of(parts, i));
        *slot_of(parts, i) = xstrdup(value);
    }
}

/* Cuts `name=value;name=value` up, in place. A value may hold '='. */
static bool split(char *text, struct parts *parts, struct err *err)
{
    char *rest = text;
    char *part;

    while ((part = strsep(&rest, ";")) != NULL) {
        char *value = strchr(part, '=');

        if (value == NULL) {
            if (*str_trim(part) == '\0')
                continue;
            return err_set(err, ERR_AUTH,
                           "not a connection string: name=value pairs parted by ';' "
                           "are due");
        }
        *value++ = '\0';
        keep(parts, str_trim(part), str_trim(value));
    }
    return true;
}

static void strip_slashes(char *text)
{
    size_t len = strlen(text);

    while (len > 0 && text[len - 1] == '/')
        text[--len] = '\0';
}

/* Takes an endpoint that is http or https and has no query. */
static bool check_endpoint(const char *text, const char *name, struct err *err)
{
    autourl url = {0};

    if (!url_parse(text, &url, err)) {
        err_prefix(err, "%s of the connection string", name);
        err->code = ERR_AUTH;
        return false;
    }
    bool known = str_equal(url.scheme, "https") || str_equal(url.scheme, "http");
    if (!known || url.query != NULL || url.has_user || url.has_fragment)
        return err_set(err, ERR_AUTH,
                       "%s of the connection string must be a plain http or https URL", name);
    return true;
}

/* Where UseDevelopmentStorage=true points: this machine, or the proxy's. */
static bool use_emulator(const struct parts *parts, struct connection_string *ret_string,
                         struct err *err)
{
    const char *host = parts->emulator_host != NULL ? parts->emulator_host : "http://127.0.0.1";
    autourl url = {0};

    if (!check_endpoint(host, "DevelopmentStorageProxyUri", err) || !url_parse(host, &url, err))
        return false;
    bool is_v6 = strchr(url.host, ':') != NULL;
    *ret_string = (struct connection_string){
        .account = xstrdup(EMULATOR_ACCOUNT),
        .key = xstrdup(EMULATOR_KEY),
        .queue_endpoint =
            xasprintf("%s://%s%s%s:%d/" EMULATOR_ACCOUNT, url.scheme, is_v6 ? "[" : "", url.host,
                      is_v6 ? "]" : "", EMULATOR_QUEUE_PORT),
    };
    return true;
}

/* The queue service's URL, given or made of the account's name, in fresh memory; else NULL. */
static char *endpoint_of(const struct parts *parts)
{
    char *endpoint = NULL;

    if (parts->queue_endpoint != NULL)
        endpoint = xstrdup(parts->queue_endpoint);
    else if (parts->account != NULL)
        endpoint =
            xasprintf("%s://%s.queue.%s", parts->protocol != NULL ? parts->protocol : "https",
                      parts->account, parts->suffix != NULL ? parts->suffix : "core.windows.net");
    if (endpoint != NULL)
        strip_slashes(endpoint);
    return endpoint;
}

/* Whether there is enough to authorise with. */
static bool check_credential(const struct parts *parts, struct err *err)
{
    autosecret key = {0};

    if (parts->key == NULL && parts->sas == NULL)
        return err_set(err, ERR_AUTH,
                       "the connection string lacks AccountKey (or "
                       "SharedAccessSignature)");
    if (parts->key != NULL && parts->account == NULL)
        return err_set(err, ERR_AUTH, "the connection string lacks AccountName");
    if (parts->key != NULL && !shared_key_decode(parts->key, &key, err))
        return err_set(err, ERR_AUTH, "AccountKey of the connection string is not base64");
    return true;
}

static bool assemble(struct parts *parts, struct connection_string *ret_string, struct err *err)
{
    if (str_equal_nocase(parts->emulator, "true"))
        return use_emulator(parts, ret_string, err);
    if (!check_credential(parts, err))
        return false;
    autofree char *endpoint = endpoint_of(parts);
    if (endpoint == NULL)
        return err_set(err, ERR_AUTH, "the connection string lacks QueueEndpoint (or AccountName)");
    if (!check_endpoint(endpoint, parts->queue_endpoint != NULL ? "QueueEndpoint" : "AccountName",
                        err))
        return false;
    bool has_key = parts->key != NULL; /* which then outranks a SAS, as in the vendor's libraries */
    const char *sas = parts->sas;
    *ret_string = (struct connection_string){
        .account = xstrdup(parts->account),
        .key = xstrdup(parts->key),
        .sas = has_key ? NULL : xstrdup(*sas == '?' ? sas + 1 : sas),
        .queue_endpoint = take(endpoint),
    };
    return true;
}

bool connection_string_parse(const char *text, struct connection_string *ret_string,
                             struct err *err)
{
    struct parts parts __attribute__((cleanup(parts_done))) = {0};
    char *copy = xstrdup(text);
    bool good = split(copy, &parts, err) && assemble(&parts, ret_string, err);

    /* Cut up by now, so its first NUL is not its end. */
    explicit_bzero(copy, strlen(text));
    alloc_free(copy);
    return good;
}

void connection_string_done(struct connection_string *string)
{
    alloc_free(string->account);
    secret_free_text(string->key);
    secret_free_text(string->sas);
    alloc_free(string->queue_endpoint);
    *string = (struct connection_string){0};
}
