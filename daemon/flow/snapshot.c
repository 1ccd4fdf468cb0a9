/* SPDX-License-Identifier: MIT */
/* Reading a configuration from its files, and checking what its parts say of each other. */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <libgen.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/str.h"
#include "config/node.h"
#include "flow/resolve.h"
#include "flow/settings.h"
#include "net/url.h"

#define MAX_FILE_BYTES ((size_t)1024 * 1024)

/* --- files --- */

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

static void merge(struct node *into, struct node *from, struct mistakes *mistakes);

/* Unites one member of an included file, taken, with the one that has its key already. */
static void merge_member(struct node *there, struct node *member, struct mistakes *mistakes)
{
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
        node_append(there, member->first);
        member->first = NULL;
    } else if (there->type == NODE_MAP && member->type == NODE_MAP) {
        merge(there, member, mistakes);
    } else if (member->type != NODE_NULL) {
        mistakes_add(mistakes, member->file, member->key_line, member->key_column,
                     "\"%s\" is set already, at %s:%d", member->key, there->file, there->key_line);
    }
    node_free(member);
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(((const struct node *)a)->key, ((const struct node *)b)->key);
}

static void keep(void *node)
{
    (void)node;
}

/* Empties `from`, which stays the caller's. No key stands twice in either; there may be many, so they
 * are looked up in a tsearch tree. */
static void merge(struct node *into, struct node *from, struct mistakes *mistakes)
{
    struct node **end = &into->first, *member;
    void *known = NULL;

    for (; *end != NULL; end = &(*end)->next) {
        if (tsearch(*end, &known, compare_keys) == NULL)
            fatal("out of memory");
    }
    while ((member = from->first) != NULL) {
        struct node *const *there = tfind(member, &known, compare_keys);
        from->first = take(member->next);
        if (there != NULL) {
            merge_member(*there, member, mistakes);
        } else {
            *end = member;
            end = &member->next;
        }
    }
    tdestroy(known, keep);
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
        config_read(&include_table, snapshot->tree, config_getenv, &later);
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
                mistakes_at_key(mistakes, map, "name", "name: another %s is called \"%s\" already",
                                what, name);
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

    if (!resolve_is_whole(identity))
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
                                resolve_label(snapshot->queues[j].settings));
        }
    }
}

static bool others_can_read(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && (st.st_mode & S_IROTH) != 0;
}

/* A file with a secret written in it must not be for everybody's eyes. */
static void check_literal(const struct config_table *table, const void *object,
                          struct mistakes *mistakes)
{
    const struct node *map = ((const struct config_place *)object)->map;

    if (config_has_literal_secret(table, object) && others_can_read(map->file))
        mistakes_at(mistakes, map,
                    "holds a secret, and others can read this file; chmod o-r %s, or keep the "
                    "secret in a file of its own (the key with _file)",
                    map->file);
}

/* What is wrong with a proxy's URL; NULL: nothing. It may hold a password, so nothing of it is shown. */
static const char *proxy_fault(const struct url *url, const struct node *written)
{
    static const char *const schemes[] = {"http",    "https",  "socks4",
                                          "socks4a", "socks5", "socks5h"};
    bool known = false;

    for (size_t i = 0; i < array_size(schemes); i++)
        known |= str_equal(url->scheme, schemes[i]);
    if (!known || url->query != NULL || url->has_fragment || !str_equal(url->path, "/"))
        return "is not the URL of a proxy; http://HOST:PORT is how it is written";
    /* What a variable gave does not stand in the file. */
    if (url->has_user && strstr(written->text, "${") == NULL && others_can_read(written->file))
        return "holds a user, and others can read this file; chmod o-r it, or write ${VARIABLE}";
    return NULL;
}

static void check_proxy(const struct http_section *http, struct mistakes *mistakes)
{
    const char *fault = "is no URL; http://HOST:PORT is how it is written";
    autourl url = {0};
    struct err err;

    if (http == NULL || http->proxy == NULL)
        return;
    if (url_parse(http->proxy, &url, &err))
        fault = proxy_fault(&url, node_member(http->place.map, "proxy"));
    if (fault != NULL)
        mistakes_at_key(mistakes, http->place.map, "proxy", "proxy: %s", fault);
}

static void resolve(struct snapshot *snapshot, struct mistakes *mistakes)
{
    const struct settings *settings = snapshot->settings;

    check_proxy(settings->http, mistakes);

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
        snapshot->settings = config_read(&settings_table, snapshot->tree, config_getenv, mistakes);
        resolve(snapshot, mistakes);
    }
    if (mistakes->count == 0)
        return snapshot;
    mistakes_sort(mistakes);
    snapshot_free(snapshot);
    return NULL;
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
    resolve_free(snapshot->own);
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
