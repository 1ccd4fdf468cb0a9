/* SPDX-License-Identifier: MIT */
/*
 * The whole of the configuration: YAML, table engine, what the parts say of each other. A line of
 * `####` parts the main file from an included one. The two files are in memory; what would look at
 * other files or at the machine's users is read, but not resolved.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/mistakes.h"
#include "config/node.h"
#include "flow/settings.h"
#include "fuzz.h"
#include "net/url.h"

#define MAIN_FD  100
#define OTHER_FD 101
#define MAIN     "/proc/self/fd/100"
#define OTHER    "/proc/self/fd/101" /* the one value that `include` may have */
#define PARTING  "\n####\n"
#define MANY     100 /* look-ups that each take longer than the one before */

/* What an earlier input left must not be read again. */
static void write_file(int fd, const void *data, size_t size)
{
    check(ftruncate(fd, 0) == 0);
    check(pwrite(fd, data, size, 0) == (ssize_t)size);
}

static void make_file(const char *name, int fd)
{
    int made = memfd_create(name, 0);

    check(made >= 0 && dup2(made, fd) == fd);
    check(close(made) == 0 && fchmod(fd, 0600) == 0);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    make_file("main", MAIN_FD);
    make_file("other", OTHER_FD);
    check(setenv("SAS", "sv=2021-12-02&sp=rup&se=2099-01-01&sig=c2VjcmV0", 1) == 0);
    check(setenv("BRACES", "{event}", 1) == 0 && setenv("EMPTY", "", 1) == 0);
    check(unsetenv("CREDENTIALS_DIRECTORY") == 0);
    return 0;
}

/* Whether a key makes the loader look beyond the text. */
static bool leads_out(const struct node *node)
{
    if (str_equal(node->key, "user") || str_equal(node->key, "group"))
        return true;
    if (str_equal(node->key, "include"))
        return !str_equal(node->text, OTHER);
    return node->key != NULL &&
           (str_ends(node->key, "_file") || str_ends(node->key, "_credential"));
}

static bool any_leads_out(const struct node *node)
{
    if (leads_out(node))
        return true;
    for (const struct node *child = node->first; child != NULL; child = child->next) {
        if (any_leads_out(child))
            return true;
    }
    return false;
}

static void check_node(const struct node *node, int depth)
{
    unsigned count = 0;

    check(depth <= NODE_DEPTH_MAX && (node->text != NULL) == (node->type == NODE_SCALAR));
    check(node->first == NULL || node->type == NODE_LIST || node->type == NODE_MAP);
    for (const struct node *child = node->first; child != NULL; child = child->next, count++) {
        check((child->key != NULL) == (node->type == NODE_MAP));
        check(child->line > 0 && child->column > 0);
        if (node->type == NODE_MAP && count < MANY)
            check(node_member(node, child->key) == child); /* no key stands twice */
        if (node->type == NODE_LIST && count < MANY)
            check(node_item(node, count) == child);
        check_node(child, depth + 1);
    }
}

static void check_mistakes(const struct mistakes *mistakes)
{
    check(mistakes->count <= MISTAKES_MAX);
    for (unsigned i = 0; i < mistakes->count; i++)
        check(mistakes->lines[i][0] != '\0' && fuzz_is_sentence(mistakes->lines[i]));
}

/* Whether the text may be resolved. Reads it with the table all the same. */
static bool read_part(const char *text, size_t len)
{
    struct mistakes mistakes = {0};
    struct node *tree = node_parse("part", text, len, &mistakes);
    bool inside = false;

    if (tree != NULL) {
        check_node(tree, 0);
        inside = !any_leads_out(tree);
        struct settings *settings = config_read(&settings_table, tree, config_getenv, &mistakes);
        check(config_equal(&settings_table, settings, settings));
        (void)config_has_literal_secret(&settings_table, settings);
        config_free(&settings_table, settings);
    } else {
        check(mistakes.count > 0);
    }
    mistakes_sort(&mistakes);
    check_mistakes(&mistakes);
    mistakes_done(&mistakes);
    node_free(tree);
    return inside;
}

static void check_plan(const struct queue_plan *plan)
{
    autourl url = {0};
    autourl poison = {0};
    struct err err;

    check(plan->identity != NULL && plan->poison_identity != NULL);
    check(plan->settings->name != NULL && fuzz_is_sentence(plan->settings->name));
    check(url_parse(plan->url, &url, &err) && url_parse(plan->poison_url, &poison, &err));
    check(url.query == NULL && poison.query == NULL && !str_equal(plan->url, plan->poison_url));
    check(!str_ends(plan->url, "/") && !str_ends(plan->poison_url, "/"));
    check(plan->settings->poll_max_ms >= plan->settings->poll_min_ms);
    check(plan->settings->retry_delay.count > 0 && plan->settings->parallel > 0);
    check(plan->expiry_margin_ms >= 2 * plan->settings->lease_ms);
}

static struct snapshot *load(void)
{
    struct mistakes mistakes = {0};
    struct snapshot *snapshot = snapshot_load(MAIN, true, &mistakes);

    check((snapshot == NULL) == (mistakes.count > 0));
    check_mistakes(&mistakes);
    mistakes_done(&mistakes);
    return snapshot;
}

/* Loaded twice, a good configuration is the same. */
static void load_twice(void)
{
    struct snapshot *snapshot = load(), *again;

    if (snapshot == NULL)
        return;
    again = load();
    check(again != NULL && again->queue_count == snapshot->queue_count);
    check(config_equal(&settings_table, snapshot->settings, again->settings));
    for (unsigned i = 0; i < snapshot->queue_count; i++) {
        check_plan(&snapshot->queues[i]);
        check(queue_plan_equal(&snapshot->queues[i], &again->queues[i]));
    }
    snapshot_free(snapshot);
    snapshot_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    autofree char *text = fuzz_bytes(data, size);
    size_t len = size, other = size;
    const char *parting = memmem(text, size, PARTING, strlen(PARTING));
    if (parting != NULL) {
        len = (size_t)(parting - text) + 1;
        other = len + strlen(PARTING) - 1;
    }
    bool inside = read_part(text, len);
    inside &= parting == NULL || read_part(text + other, size - other);
    if (!inside)
        return 0;
    write_file(MAIN_FD, text, len);
    write_file(OTHER_FD, text + other, size - other);
    load_twice();
    return 0;
}
