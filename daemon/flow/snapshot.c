/* SPDX-License-Identifier: MIT */
/* Reading a configuration from its files, and resolving what its parts say of each other. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/str.h"
#include "config/node.h"
#include "flow/settings.h"
#include "net/url.h"

#define MAX_FILE_BYTES ((size_t)1024 * 1024)
#define MAX_QUEUE_NAME 63
#define POISON_SUFFIX  "-poison"

/* An identity made from a queue's short form, and the map that it was read from. */
struct own_identity {
    struct identity_settings *settings;
    struct node *map;
    struct own_identity *next;
};

/* --- files --- */

static const char *get_env(const char *name)
{
    return getenv(name);
}

static bool read_text(const char *path, struct buf *text, struct mistakes *mistakes)
{
    autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
    char chunk[16384];
    ssize_t got;

    if (fd < 0) {
        mistakes_add(mistakes, path, 0, 0, "can not be opened: %s", strerror(errno));
        return false;
    }
    while ((got = read(fd, chunk, sizeof(chunk))) > 0) {
        if (buf_append(text, chunk, (size_t)got))
            continue;
        mistakes_add(mistakes, path, 0, 0, "is larger than 1 MiB");
        return false;
    }
    if (got < 0)
        mistakes_add(mistakes, path, 0, 0, "can not be read: %s", strerror(errno));
    return got == 0;
}

static void add_directory(struct snapshot *snapshot, const char *file)
{
    struct config_texts *directories = &snapshot->directories;
    autofree char *copy = xstrdup(file);

    directories->items = xreallocarray(directories->items, directories->count + 1, sizeof(char *));
    directories->items[directories->count++] = xstrdup(dirname(copy));
}

/* Reads one file to a tree. The name lives as long as the snapshot. */
static struct node *read_tree(struct snapshot *snapshot, const char *path,
                              struct mistakes *mistakes)
{
    autobuf text;
    struct node *tree = NULL;
    char *name = xstrdup(path);

    snapshot->files = xreallocarray(snapshot->files, snapshot->file_count + 1, sizeof(char *));
    snapshot->files[snapshot->file_count++] = name;
    buf_init(&text, MAX_FILE_BYTES);
    if (read_text(name, &text, mistakes))
        tree = node_parse(name, text.data, text.len, mistakes);
    buf_wipe(&text);
    return tree;
}

static void append_members(struct node *into, struct node *first)
{
    struct node **last = &into->first;

    while (*last != NULL)
        last = &(*last)->next;
    *last = first;
}

static void merge(struct node *into, struct node *from, struct mistakes *mistakes);

/* Puts one member of an included file where it belongs. Takes it. */
static void merge_member(struct node *into, struct node *member, struct mistakes *mistakes)
{
    struct node *there = node_member(into, member->key);

    if (there == NULL) {
        append_members(into, member);
        return;
    }
    if (there->type == NODE_NULL) {
        /* Written, but left empty: the included one fills it. */
        there->type = member->type;
        there->first = take(member->first);
        there->text = take(member->text);
        there->file = member->file;
        there->line = member->line;
        there->column = member->column;
        there->key_line = member->key_line;
        there->key_column = member->key_column;
        there->quoted = member->quoted;
        there->flow = member->flow;
    } else if (there->type == NODE_LIST && member->type == NODE_LIST) {
        append_members(there, member->first);
        member->first = NULL;
    } else if (there->type == NODE_MAP && member->type == NODE_MAP) {
        merge(there, member, mistakes);
    } else if (member->type != NODE_NULL) {
        mistakes_add(mistakes, member->file, member->key_line, member->key_column,
                     "\"%s\" is set already, at %s:%d", member->key, there->file, there->key_line);
    }
    node_free(member);
}

/* Empties `from`, which stays the caller's. */
static void merge(struct node *into, struct node *from, struct mistakes *mistakes)
{
    struct node *member;

    while ((member = from->first) != NULL) {
        from->first = member->next;
        member->next = NULL;
        merge_member(into, member, mistakes);
    }
}

struct include_settings {
    struct config_place place;
    struct config_texts include;
};

static const struct config_row include_rows[] = {
    {.name = "include",
     .type = CONFIG_TEXTS,
     .offset = offsetof(struct include_settings, include),
     .text = "conf.d/*.yaml"},
    {.name = NULL},
};
static const struct config_table include_table = {
    .name = "configuration", .size = sizeof(struct include_settings), .rows = include_rows};

/* Whether the directory that a pattern points into does not exist, which is no mistake. */
static bool is_absent(const char *pattern)
{
    autofree char *copy = xstrdup(pattern);

    return access(dirname(copy), F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR);
}

/* The directory's own name is no pattern. */
static char *escape_glob(const char *text)
{
    autobuf out;

    buf_init(&out, BUF_ANY_SIZE);
    for (; *text != '\0'; text++) {
        if (strchr("*?[]\\", *text) != NULL)
            buf_putc(&out, '\\');
        buf_putc(&out, *text);
    }
    return buf_take(&out);
}

static void include_file(struct snapshot *snapshot, const char *path, struct mistakes *mistakes)
{
    struct node *tree = read_tree(snapshot, path, mistakes);
    const struct node *nested = tree == NULL ? NULL : node_member(tree, "include");

    if (nested != NULL)
        mistakes_at(mistakes, nested, "an included file can not include others");
    else if (tree != NULL && tree->type != NODE_MAP && tree->type != NODE_NULL)
        mistakes_at(mistakes, tree, "a map is due here; begin with a key, as in `hooks:`");
    else if (tree != NULL)
        merge(snapshot->tree, tree, mistakes);
    node_free(tree);
}

/* Reads the files that `include` names, in lexical order, into the main file's tree. */
static void include_all(struct snapshot *snapshot, struct mistakes *mistakes)
{
    struct mistakes later = {0}; /* the whole table will find them again */
    struct include_settings *settings =
        config_read(&include_table, snapshot->tree, get_env, &later);
    autofree char *copy = xstrdup(snapshot->path);
    const char *directory = dirname(copy);
    autofree char *escaped = escape_glob(directory);

    for (unsigned i = 0; i < settings->include.count; i++) {
        const char *pattern = settings->include.items[i];
        autofree char *plain =
            pattern[0] == '/' ? xstrdup(pattern) : xasprintf("%s/%s", directory, pattern);
        autofree char *full =
            pattern[0] == '/' ? xstrdup(pattern) : xasprintf("%s/%s", escaped, pattern);
        glob_t found;

        add_directory(snapshot, plain);
        int failed = glob(full, GLOB_ERR, NULL, &found);
        int reason = errno;
        if (failed != 0 && failed != GLOB_NOMATCH && !is_absent(plain))
            mistakes_at_key(mistakes, snapshot->tree, "include",
                            "include: %s can not be looked through: %s", plain, strerror(reason));
        if (failed == 0) {
            for (size_t j = 0; j < found.gl_pathc; j++)
                include_file(snapshot, found.gl_pathv[j], mistakes);
        }
        globfree(&found);
    }
    config_free(&include_table, settings);
    mistakes_done(&later);
}

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
static const char *label(const struct queue_settings *queue)
{
    return queue->name != NULL ? queue->name : "?";
}

/* Whether its kind is known; a half-read identity can not be asked anything. */
static bool is_whole(const struct identity_settings *identity)
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
    append_members(own->map, copy_scalar("kind", map, kind));
    for (const char *const *spelling = spellings; *spelling != NULL; spelling++) {
        autofree char *key = xasprintf("%s%s", kind, *spelling);
        const struct node *member = node_member(map, key);
        if (member != NULL && member->type == NODE_SCALAR)
            append_members(own->map, copy_scalar(key, member, member->text));
    }
    const struct node *readable = node_member(map, "allow_readable");
    if (readable != NULL && readable->type == NODE_SCALAR)
        append_members(own->map, copy_scalar("allow_readable", readable, readable->text));
    own->settings = config_read(&identity_table, own->map, get_env, mistakes);
    own->next = snapshot->own;
    snapshot->own = own;
    return own->settings;
}

/* Whether a key was written, well or not: what is wrong was said already. */
static bool is_written(const struct node *map, const char *key)
{
    return map != NULL && node_member(map, key) != NULL;
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
    else if (count_segments(text) != (path_style ? 2U : 1U))
        mistakes_at_key(mistakes, map, key, "%s: the path must be %s", key,
                        path_style ? "/ACCOUNT/QUEUE, for the host is an address" : "/QUEUE");
    else
        (void)check_queue_name(strrchr(text, '/') + 1, map, key, mistakes);
}

/* The one writing of a URL: scheme and host in lower case. */
static char *write_url(const struct url *url)
{
    bool is_ipv6 = strchr(url->host, ':') != NULL;

    return xasprintf("%s://%s%s%s%s%s%s", url->scheme, is_ipv6 ? "[" : "", url->host,
                     is_ipv6 ? "]" : "", url->port != NULL ? ":" : "",
                     url->port != NULL ? url->port : "", url->path);
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

    if (!check_queue_name(queue->queue, map, "queue", mistakes) || !is_whole(identity))
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
                    label(queue));
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
                    label(queue), name);
        return NULL;
    }
    autofree char *poison_name = xasprintf("%s" POISON_SUFFIX, name);
    return sibling_url(plan->url, poison_name);
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

static void resolve_queue(struct snapshot *snapshot, const struct queue_settings *queue,
                          struct queue_plan *plan, struct mistakes *mistakes)
{
    unsigned before = mistakes->count;

    plan->settings = queue;
    plan->identity = resolve_access(snapshot, &queue->access, queue->place.map, mistakes);
    if (plan->identity == NULL && mistakes->count == before && !has_access(queue->place.map))
        mistakes_at(mistakes, queue->place.map,
                    "queue \"%s\": say who we are with identity, sas or connection_string (or "
                    "their _file and _credential forms)",
                    label(queue));
    plan->url = resolve_url(snapshot, queue, plan->identity, mistakes);
    plan->expiry_margin_ms = max_of(queue->expiry_margin_ms, 2 * queue->lease_ms);
    resolve_poison(snapshot, plan, mistakes);
}

/* --- what the parts say of each other --- */

/* Two entries of one list with one name. Every entry begins with its place and its name. */
static void check_unique(const struct config_objects *objects, size_t name_offset, const char *what,
                         struct mistakes *mistakes)
{
    for (unsigned i = 0; i < objects->count; i++) {
        const char *name = *(char **)((char *)objects->items[i] + name_offset);
        const struct node *map = ((struct config_place *)objects->items[i])->map;

        for (unsigned j = 0; name != NULL && j < i; j++) {
            if (str_equal(name, *(char **)((char *)objects->items[j] + name_offset)))
                mistakes_at_key(mistakes, map, "name", "name: there is a %s \"%s\" already", what,
                                name);
        }
    }
}

static void check_hook(const struct settings *settings, const struct hook_settings *hook,
                       struct mistakes *mistakes)
{
    for (unsigned i = 0; i < hook->queues.count; i++) {
        bool known = false;
        for (unsigned j = 0; j < settings->queues.count && !known; j++)
            known = str_equal(hook->queues.items[i],
                              ((struct queue_settings *)settings->queues.items[j])->name);
        if (!known)
            mistakes_at(mistakes, node_item(node_member(hook->place.map, "queues"), i),
                        "queues: there is no queue named \"%s\"", hook->queues.items[i]);
    }
    hook_check(hook, mistakes);
}

/* Checks an identity for what it is used for. One that reads a queue also serves that queue's poison,
 * but is not blamed for lacking the right to: a queue's own SAS can not have it. */
static void check_identity(const struct snapshot *snapshot,
                           const struct identity_settings *identity, struct mistakes *mistakes)
{
    const char *permissions = "";

    if (!is_whole(identity))
        return;
    for (unsigned i = 0; i < snapshot->queue_count; i++) {
        const struct queue_plan *plan = &snapshot->queues[i];
        if (plan->identity == identity) {
            permissions = "p";
            break;
        }
        if (plan->poison_identity == identity)
            permissions = "a";
    }
    identity_check(identity, permissions, mistakes);
}

static void check_urls_unique(const struct snapshot *snapshot, struct mistakes *mistakes)
{
    for (unsigned i = 0; i < snapshot->queue_count; i++) {
        const struct queue_plan *plan = &snapshot->queues[i];
        for (unsigned j = 0; plan->url != NULL && j < i; j++) {
            if (str_equal(plan->url, snapshot->queues[j].url))
                mistakes_at_key(mistakes, plan->settings->place.map, "url",
                                "url: queue \"%s\" reads the same queue already",
                                label(snapshot->queues[j].settings));
        }
    }
}

/* A file with a secret written in it must not be for everybody's eyes. */
static void check_literal(const struct config_table *table, const void *object,
                          struct mistakes *mistakes)
{
    const struct node *map = ((const struct config_place *)object)->map;
    struct stat st;

    if (!config_has_literal_secret(table, object) || stat(map->file, &st) < 0)
        return;
    if ((st.st_mode & S_IROTH) != 0)
        mistakes_at(mistakes, map,
                    "holds a secret, and others can read this file; chmod o-r %s, or keep the "
                    "secret in a file of its own (the key with _file)",
                    map->file);
}

static void resolve(struct snapshot *snapshot, struct mistakes *mistakes)
{
    const struct settings *settings = snapshot->settings;

    check_unique(&settings->identities, offsetof(struct identity_settings, name), "identity",
                 mistakes);
    check_unique(&settings->queues, offsetof(struct queue_settings, name), "queue", mistakes);
    check_unique(&settings->hooks, offsetof(struct hook_settings, name), "hook", mistakes);
    snapshot->queue_count = settings->queues.count;
    snapshot->queues = xcalloc(snapshot->queue_count, sizeof(*snapshot->queues));
    for (unsigned i = 0; i < settings->identities.count; i++) {
        const struct identity_settings *identity = settings->identities.items[i];
        if (identity->name == NULL)
            mistakes_at(mistakes, identity->place.map, "an identity needs a name");
        check_literal(&identity_table, identity, mistakes);
    }
    for (unsigned i = 0; i < snapshot->queue_count; i++) {
        resolve_queue(snapshot, settings->queues.items[i], &snapshot->queues[i], mistakes);
        check_literal(&queue_table, settings->queues.items[i], mistakes);
    }
    for (unsigned i = 0; i < settings->identities.count; i++)
        check_identity(snapshot, settings->identities.items[i], mistakes);
    for (const struct own_identity *own = snapshot->own; own != NULL; own = own->next)
        check_identity(snapshot, own->settings, mistakes);
    for (unsigned i = 0; i < settings->hooks.count; i++)
        check_hook(settings, settings->hooks.items[i], mistakes);
    check_urls_unique(snapshot, mistakes);
}

struct snapshot *snapshot_load(const char *path, bool for_use, struct mistakes *mistakes)
{
    struct snapshot *snapshot = xcalloc(1, sizeof(*snapshot));

    snapshot->path = xstrdup(path);
    snapshot->for_use = for_use;
    add_directory(snapshot, path);
    snapshot->tree = read_tree(snapshot, path, mistakes);
    if (snapshot->tree != NULL) {
        include_all(snapshot, mistakes);
        snapshot->settings = config_read(&settings_table, snapshot->tree, get_env, mistakes);
        resolve(snapshot, mistakes);
    }
    if (mistakes->count == 0)
        return snapshot;
    snapshot_free(snapshot);
    return NULL;
}

static void free_own(struct own_identity *own)
{
    while (own != NULL) {
        struct own_identity *next = own->next;

        config_free(&identity_table, own->settings);
        node_free(own->map);
        free(own);
        own = next;
    }
}

void snapshot_free(struct snapshot *snapshot)
{
    if (snapshot == NULL)
        return;
    for (unsigned i = 0; i < snapshot->queue_count; i++) {
        free(snapshot->queues[i].url);
        free(snapshot->queues[i].poison_url);
    }
    free(snapshot->queues);
    free_own(snapshot->own);
    if (snapshot->settings != NULL)
        config_free(&settings_table, snapshot->settings);
    node_free(snapshot->tree);
    for (unsigned i = 0; i < snapshot->file_count; i++)
        free(snapshot->files[i]);
    free(snapshot->files);
    for (unsigned i = 0; i < snapshot->directories.count; i++)
        free(snapshot->directories.items[i]);
    free(snapshot->directories.items);
    free(snapshot->path);
    free(snapshot);
}
