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
#define SAS      "sv=2021-12-02&sp=rup&se=2099-01-01&sig=c2VjcmV0" /* in a variable of that name */
#define PARTING  "\n####\n"
#define MANY     100 /* look-ups that each take longer than the one before */

/* Where secrets stand, and from what length on a value is taken for one. */
#define SECRET_LEN 40
static const char *const secret_lists[] = {"identities", "queues"};

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
    check(setenv("SAS", SAS, 1) == 0);
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

/* How often a text stands in another. */
static unsigned count_of(const char *text, const char *part)
{
    unsigned count = 0;

    for (const char *at = text; (at = strstr(at, part)) != NULL; at++)
        count++;
    return count;
}

/* No mistake shows a secret, nor so much of it that it would be one. What stands elsewhere in the input
 * too, or in a variable, is none. */
static void check_hidden(const struct node *node, const char *input,
                         const struct mistakes *mistakes)
{
    char start[SECRET_LEN + 1];
    bool is_secret =
        node->type == NODE_SCALAR && (str_equal(node->key, "sas") || str_equal(node->key, "key") ||
                                      str_equal(node->key, "connection_string"));

    if (is_secret && strlen(node->text) >= SECRET_LEN && strchr(node->text, '$') == NULL) {
        snprintf(start, sizeof(start), "%s", node->text);
        if (strstr(SAS, start) != NULL)
            return;
        for (unsigned i = 0; i < mistakes->count && count_of(input, start) <= 1; i++)
            check(strstr(mistakes->lines[i], start) == NULL);
    }
    for (const struct node *child = node->first; child != NULL; child = child->next)
        check_hidden(child, input, mistakes);
}

static void check_mistakes(const struct mistakes *mistakes, const struct node *tree,
                           const char *input)
{
    check(mistakes->count <= MISTAKES_MAX);
    for (unsigned i = 0; i < mistakes->count; i++)
        check(mistakes->lines[i][0] != '\0' && fuzz_is_sentence(mistakes->lines[i]));
    for (size_t i = 0; tree != NULL && i < array_size(secret_lists); i++) {
        const struct node *list = node_member(tree, secret_lists[i]);
        if (list != NULL && list->type == NODE_LIST)
            check_hidden(list, input, mistakes);
    }
}

/* Reads a text with the table alone. NULL when it is no YAML. */
static struct node *read_part(const char *text, size_t len)
{
    struct mistakes mistakes = {0};
    struct node *tree = node_parse("part", text, len, &mistakes);
    autofree char *input = fuzz_text((const uint8_t *)text, len);

    if (tree != NULL) {
        check_node(tree, 0);
        struct settings *settings = config_read(&settings_table, tree, config_getenv, &mistakes);
        check(config_equal(&settings_table, settings, settings));
        (void)config_has_literal_secret(&settings_table, settings);
        config_free(&settings_table, settings);
    } else {
        check(mistakes.count > 0);
    }
    mistakes_sort(&mistakes);
    check_mistakes(&mistakes, tree, input);
    mistakes_done(&mistakes);
    return tree;
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

static struct snapshot *load(const struct node *tree, const char *input)
{
    struct mistakes mistakes = {0};
    struct snapshot *snapshot = snapshot_load(MAIN, true, &mistakes);

    check((snapshot == NULL) == (mistakes.count > 0));
    check_mistakes(&mistakes, tree, input);
    mistakes_done(&mistakes);
    return snapshot;
}

/* Loaded twice, a good configuration is the same. */
static void load_twice(const struct node *tree, const char *input)
{
    struct snapshot *snapshot = load(tree, input), *again;

    if (snapshot == NULL)
        return;
    again = load(tree, input);
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
    autofree char *input = fuzz_text(data, size);
    size_t len = size, other = size;
    const char *parting = memmem(text, size, PARTING, strlen(PARTING));
    if (parting != NULL) {
        len = (size_t)(parting - text) + 1;
        other = len + strlen(PARTING) - 1;
    }
    struct node *tree = read_part(text, len), *second = read_part(text + other, size - other);
    if (tree != NULL && !any_leads_out(tree) && second != NULL && !any_leads_out(second)) {
        write_file(MAIN_FD, text, len);
        write_file(OTHER_FD, text + other, size - other);
        load_twice(tree, input);
    }
    node_free(tree);
    node_free(second);
    return 0;
}
