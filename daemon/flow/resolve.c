/* SPDX-License-Identifier: MIT */
/* What a queue's settings mean: its URL, its identity, its poison queue. */
#include "flow/resolve.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "config/node.h"
#include "flow/settings.h"
#include "net/url.h"

#define MAX_QUEUE_NAME 63
#define POISON_SUFFIX  "-poison"

/* --- identities --- */

static const struct identity_settings *find_identity(const struct settings *settings,
                                                     const char *name)
{
    for (unsigned i = 0; i < settings->identities.count; i++) {
        const struct identity_settings *identity = settings->identities.items[i];
        if (str_equal(identity->name, name))
            return identity;
    }
    return NULL;
}

/* A queue's name for sentences; it may be what is missing. */
const char *resolve_label(const struct queue_settings *queue)
{
    return queue->name != NULL ? queue->name : "?";
}

/* Whether its kind is known; a half-read identity can not be asked anything. */
bool resolve_is_whole(const struct identity_settings *identity)
{
    return identity != NULL && identity->kind.kind >= 0 && identity->kind.object != NULL;
}

static struct node *copy_scalar(const char *key, const struct node *at, const char *text)
{
    struct node *node = xcalloc(1, sizeof(*node));

    *node = (struct node){.type = NODE_SCALAR,
                          .file = at->file,
                          .line = at->line,
                          .column = at->column,
                          .key_line = at->key_line,
                          .key_column = at->key_column};
    node->key = xstrdup(key);
    node->text = xstrdup(text);
    return node;
}

/* Makes an identity of a queue's own `sas` or `connection_string`: the same as an entry of identities
 * that is written {kind: sas, sas: ...}. */
static const struct identity_settings *own_identity(struct snapshot *snapshot, const char *kind,
                                                    const struct node *map,
                                                    struct mistakes *mistakes)
{
    static const char *const spellings[] = {"", "_file", "_credential", NULL};
    struct own_identity *own = xcalloc(1, sizeof(*own));

    own->map = xcalloc(1, sizeof(*own->map));
    *own->map = (struct node){
        .type = NODE_MAP, .file = map->file, .line = map->line, .column = map->column};
    node_append(own->map, copy_scalar("kind", map, kind));
    for (const char *const *spelling = spellings; *spelling != NULL; spelling++) {
        autofree char *key = xasprintf("%s%s", kind, *spelling);
        const struct node *member = node_member(map, key);
        if (member != NULL && member->type == NODE_SCALAR)
            node_append(own->map, copy_scalar(key, member, member->text));
        if (member != NULL)
            break; /* a second spelling is the queue's mistake, and told there */
    }
    const struct node *readable = node_member(map, "allow_readable");
    if (readable != NULL && readable->type == NODE_SCALAR)
        node_append(own->map, copy_scalar("allow_readable", readable, readable->text));
    own->settings = config_read(&identity_table, own->map, config_getenv, mistakes);
    own->next = snapshot->own;
    snapshot->own = own;
    return own->settings;
}

/* Whether a key was written, well or not: what is wrong was said already. An empty value is none. */
static bool is_written(const struct node *map, const char *key)
{
    const struct node *value = map == NULL ? NULL : node_member(map, key);

    return value != NULL && value->type != NODE_NULL;
}

/* The identity that a queue or a poison queue names, NULL when it names none. */
static const struct identity_settings *resolve_access(struct snapshot *snapshot,
                                                      const struct access *access,
                                                      const struct node *map,
                                                      struct mistakes *mistakes)
{
    bool sas = config_secret_is_set(&access->sas);
    bool string = config_secret_is_set(&access->connection_string);

    if ((access->identity != NULL) + sas + string > 1) {
        mistakes_at(mistakes, map, "write one of identity, sas and connection_string, not several");
        return NULL;
    }
    if (sas || string)
        return own_identity(snapshot, sas ? "sas" : "connection_string", map, mistakes);
    if (access->identity == NULL)
        return NULL;
    const struct identity_settings *found = find_identity(snapshot->settings, access->identity);
    if (found == NULL)
        mistakes_at_key(mistakes, map, "identity", "identity: there is no \"%s\" in identities",
                        access->identity);
    return found;
}

/* --- URLs --- */

/* Queue Storage's rule: 3 to 63 lower-case letters, digits and single inner hyphens. */
static bool is_queue_name(const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; i < len; i++) {
        bool hyphen = name[i] == '-' && i > 0 && i + 1 < len && name[i - 1] != '-';
        if (!islower((unsigned char)name[i]) && !isdigit((unsigned char)name[i]) && !hyphen)
            return false;
    }
    return len >= 3 && len <= MAX_QUEUE_NAME;
}

static bool check_queue_name(const char *name, const struct node *map, const char *key,
                             struct mistakes *mistakes)
{
    if (is_queue_name(name))
        return true;
    mistakes_at_key(mistakes, map, key,
                    "%s: \"%s\" is no queue name; 3 to 63 lower-case letters, digits and single "
                    "hyphens between them",
                    key, name);
    return false;
}

/* The segments of a URL's path as it is written; 0 when one is empty or made of dots, for the service
 * and libcurl would read it otherwise. */
static unsigned count_segments(const char *text)
{
    const char *path = strchr(strstr(text, "://") + 3, '/');
    unsigned count = 0;

    for (; path != NULL && *path == '/'; count++) {
        size_t len = strcspn(++path, "/");
        if (len == 0 || len == strspn(path, "."))
            return 0;
        path += len;
    }
    return count;
}

/* The portal shows a storage account's endpoints side by side. */
static bool names_other_service(const char *host)
{
    static const char *const services[] = {".blob.core.", ".dfs.core.", ".file.core.",
                                           ".table.core."};

    for (size_t i = 0; i < array_size(services); i++) {
        if (strstr(host, services[i]) != NULL)
            return true;
    }
    return false;
}

/* `key` is what the URL came from, for the sentence. */
static void check_url_parts(const struct url *url, const char *text,
                            const struct settings *settings, const struct node *map,
                            const char *key, struct mistakes *mistakes)
{
    bool path_style = url_is_path_style(url);
    bool plain = str_equal(url->scheme, "http");

    if (url->query != NULL)
        mistakes_at_key(mistakes, map, key,
                        "%s: must not have a query; put what follows the '?' into `sas` (or a file "
                        "named by sas_file)",
                        key);
    else if (url->has_user || url->has_fragment)
        mistakes_at_key(mistakes, map, key, "%s: must not have a user name or a fragment", key);
    else if (!plain && !str_equal(url->scheme, "https"))
        mistakes_at_key(mistakes, map, key, "%s: must begin with https://", key);
    else if (plain && !url_is_loopback(url) && !settings->allow_insecure)
        mistakes_at_key(mistakes, map, key,
                        "%s: http:// is for this machine only; use https://, or set "
                        "allow_insecure: true",
                        key);
    else if (names_other_service(url->host))
        mistakes_at_key(mistakes, map, key,
                        "%s: %s is not the queue service; write "
                        "https://ACCOUNT.queue.core.windows.net/QUEUE",
                        key, url->host);
    else if (count_segments(text) != (path_style ? 2U : 1U))
        mistakes_at_key(mistakes, map, key, "%s: the path must be %s", key,
                        path_style ? "/ACCOUNT/QUEUE, for the host is an address" : "/QUEUE");
    else
        (void)check_queue_name(strrchr(text, '/') + 1, map, key, mistakes);
}

/* The one writing of a URL: scheme and host in lower case, no port where it is the scheme's. */
static char *write_url(const struct url *url)
{
    bool is_ipv6 = strchr(url->host, ':') != NULL;
    const char *usual = str_equal(url->scheme, "https") ? "443" : "80";
    const char *port = str_equal(url->port, usual) ? NULL : url->port;

    return xasprintf("%s://%s%s%s%s%s%s", url->scheme, is_ipv6 ? "[" : "", url->host,
                     is_ipv6 ? "]" : "", port != NULL ? ":" : "", port != NULL ? port : "",
                     url->path);
}

/* A checked URL without a trailing slash, in fresh memory; NULL when it is wrong. */
static char *take_url(const char *text, const struct settings *settings, const struct node *map,
                      const char *key, struct mistakes *mistakes)
{
    unsigned before = mistakes->count;
    autofree char *copy = xstrdup(text);
    autourl url = {0};
    struct err err;

    if (!url_parse(copy, &url, &err)) {
        mistakes_at_key(mistakes, map, key, "%s: %s", key, err.text);
        return NULL;
    }
    if (url.query == NULL && str_ends(copy, "/"))
        copy[strlen(copy) - 1] = '\0';
    check_url_parts(&url, copy, settings, map, key, mistakes);
    if (mistakes->count != before)
        return NULL;
    if (str_ends(url.path, "/"))
        url.path[strlen(url.path) - 1] = '\0';
    return write_url(&url);
}

/* A queue of the account that a connection string names. */
static char *resolve_endpoint(const struct snapshot *snapshot, const struct queue_settings *queue,
                              const struct identity_settings *identity, struct mistakes *mistakes)
{
    const struct node *map = queue->place.map;
    autofree char *endpoint = NULL;
    bool unchecked = false;
    struct err err;

    if (!check_queue_name(queue->queue, map, "queue", mistakes) || !resolve_is_whole(identity))
        return NULL;
    if (identity_queue_endpoint(identity, &endpoint, &unchecked, &err)) {
        autofree char *url = xasprintf("%s/%s", endpoint, queue->queue);
        return take_url(url, snapshot->settings, map, "queue", mistakes);
    }
    /* A secret that can not be read is the identity's own mistake, and is told there. */
    if (unchecked ? snapshot->for_use : err.code == ERR_CONFIG)
        mistakes_at_key(mistakes, map, "queue", "queue: %s", err.text);
    return NULL;
}

/* The queue's URL: as written, or the connection string's endpoint with the queue's name. */
static char *resolve_url(const struct snapshot *snapshot, const struct queue_settings *queue,
                         const struct identity_settings *identity, struct mistakes *mistakes)
{
    const struct node *map = queue->place.map;

    if (is_written(map, "url") == is_written(map, "queue")) {
        mistakes_at(mistakes, map,
                    "queue \"%s\": write url (or, with a connection string, queue), and not both",
                    resolve_label(queue));
        return NULL;
    }
    if (queue->url != NULL)
        return take_url(queue->url, snapshot->settings, map, "url", mistakes);
    return queue->queue == NULL ? NULL : resolve_endpoint(snapshot, queue, identity, mistakes);
}

static char *sibling_url(const char *url, const char *name)
{
    return xasprintf("%.*s/%s", (int)(strrchr(url, '/') - url), url, name);
}

/* `poison: NAME` stands for {queue: NAME}; the sentence names what was written. */
static bool check_poison_name(const struct queue_settings *queue,
                              const struct poison_settings *poison, struct mistakes *mistakes)
{
    const struct node *written = node_member(queue->place.map, "poison");

    if (written != NULL && written->type == NODE_SCALAR)
        return check_queue_name(poison->queue, queue->place.map, "poison", mistakes);
    return check_queue_name(poison->queue, poison->place.map, "queue", mistakes);
}

/* The poison queue's URL: its own, or a name beside the queue. */
static char *resolve_poison_url(const struct snapshot *snapshot, const struct queue_plan *plan,
                                struct mistakes *mistakes)
{
    const struct queue_settings *queue = plan->settings;
    const struct poison_settings *poison = queue->poison;
    const struct node *map = poison != NULL ? poison->place.map : queue->place.map;

    if (poison == NULL && is_written(map, "poison"))
        return NULL;
    if (poison != NULL && is_written(map, "url") && is_written(map, "queue")) {
        mistakes_at(mistakes, map, "poison: write a queue's name, or url");
        return NULL;
    }
    if (poison != NULL && poison->url != NULL)
        return take_url(poison->url, snapshot->settings, map, "url", mistakes);
    if (poison != NULL && poison->queue != NULL)
        return check_poison_name(queue, poison, mistakes) ? sibling_url(plan->url, poison->queue)
                                                          : NULL;
    if (poison != NULL && (is_written(map, "url") || is_written(map, "queue")))
        return NULL;
    const char *name = strrchr(plan->url, '/') + 1;
    if (strlen(name) + strlen(POISON_SUFFIX) > MAX_QUEUE_NAME) {
        mistakes_at(mistakes, map,
                    "queue \"%s\": its poison queue's name, %s" POISON_SUFFIX
                    ", would be longer than 63 characters; name one with `poison`",
                    resolve_label(queue), name);
        return NULL;
    }
    autofree char *poison_name = xasprintf("%s" POISON_SUFFIX, name);
    return sibling_url(plan->url, poison_name);
}

/* Whoever is on the way of a token can use it. */
static void check_token_url(const char *text, const struct identity_settings *identity,
                            const struct settings *settings, const struct node *map,
                            struct mistakes *mistakes)
{
    autourl url = {0};
    struct err err;

    if (text == NULL || !resolve_is_whole(identity) || !identity_sends_tokens(identity) ||
        !url_parse(text, &url, &err) || str_equal(url.scheme, "https"))
        return;
    if (!url_is_loopback(&url))
        mistakes_at_key(mistakes, map, "url", "url: a token is sent over https:// only");
    else if (!settings->allow_insecure)
        mistakes_at_key(mistakes, map, "url",
                        "url: a token is sent over https:// only; to this machine also over "
                        "http://, with allow_insecure: true");
}

static void resolve_poison(struct snapshot *snapshot, struct queue_plan *plan,
                           struct mistakes *mistakes)
{
    const struct poison_settings *poison = plan->settings->poison;

    if (plan->url != NULL)
        plan->poison_url = resolve_poison_url(snapshot, plan, mistakes);
    if (plan->poison_url != NULL && str_equal(plan->poison_url, plan->url))
        mistakes_at_key(mistakes, plan->settings->place.map, "poison",
                        "poison: is the queue itself; name another queue");
    if (poison != NULL)
        plan->poison_identity =
            resolve_access(snapshot, &poison->access, poison->place.map, mistakes);
    if (plan->poison_identity == NULL)
        plan->poison_identity = plan->identity;
    /* Else it was said of the queue. */
    if (poison != NULL &&
        (is_written(poison->place.map, "url") || plan->poison_identity != plan->identity))
        check_token_url(plan->poison_url, plan->poison_identity, snapshot->settings,
                        poison->place.map, mistakes);
}

/* Whether anything was written that says who we are, well or not. */
static bool has_access(const struct node *map)
{
    static const char *const keys[] = {"identity",
                                       "sas",
                                       "sas_file",
                                       "sas_credential",
                                       "connection_string",
                                       "connection_string_file",
                                       "connection_string_credential"};

    for (size_t i = 0; i < array_size(keys); i++) {
        if (is_written(map, keys[i]))
            return true;
    }
    return false;
}

void resolve_queue(struct snapshot *snapshot, const struct queue_settings *queue,
                   struct queue_plan *plan, struct mistakes *mistakes)
{
    unsigned before = mistakes->count;

    plan->settings = queue;
    plan->identity = resolve_access(snapshot, &queue->access, queue->place.map, mistakes);
    if (plan->identity == NULL && mistakes->count == before && !has_access(queue->place.map))
        mistakes_at(mistakes, queue->place.map,
                    "queue \"%s\": say who we are with identity, sas or connection_string (or "
                    "their _file and _credential forms)",
                    resolve_label(queue));
    plan->url = resolve_url(snapshot, queue, plan->identity, mistakes);
    check_token_url(plan->url, plan->identity, snapshot->settings, queue->place.map, mistakes);
    plan->expiry_margin_ms = max_of(queue->expiry_margin_ms, 2 * queue->lease_ms);
    resolve_poison(snapshot, plan, mistakes);
}

void resolve_free(struct own_identity *own)
{
    while (own != NULL) {
        struct own_identity *next = own->next;

        config_free(&identity_table, own->settings);
        node_free(own->map);
        free(own);
        own = next;
    }
}
