/* SPDX-License-Identifier: MIT */
/* Hooks in general: settings, filters, runs. */
#include "hook/hook.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "codec/uuid.h"
#include "config/mistakes.h"
#include "config/names.h"
#include "config/node.h"
#include "event/event.h"

static const char *const serialize_choices[] = {"none", "project", NULL};
static const char *const on_failure_choices[] = {"stop", "continue", NULL};
static const char *const on_lease_lost_choices[] = {"finish", "stop", NULL};

#define OFFSET(member) offsetof(struct hook_settings, member)
#define YEAR_MS        (365LL * 24 * 3600 * 1000)

static const struct config_row rows[] = {
    {.name = "name",
     .type = CONFIG_TEXT,
     .offset = OFFSET(name),
     .required = true,
     .min = 1,
     .max = 64,
     .help = "The hook's name, unique: letters, digits, _ and -. By it is "
             "remembered what is done: a hook that gets another name runs anew "
             "for messages in work."},
    {.name = "on",
     .type = CONFIG_TEXTS,
     .offset = OFFSET(on),
     .required = true,
     .help = "The events to run for: names, and patterns with one * in them, "
             "which match the four events of trainings and exports only."},
    {.name = "queues",
     .type = CONFIG_TEXTS,
     .offset = OFFSET(queues),
     .help = "Only messages of these queues; all when absent."},
    {.name = "projects",
     .type = CONFIG_TEXTS,
     .offset = OFFSET(projects),
     .help = "Only events of these projects, by id, in any letter case; all when "
             "absent."},
    {.name = "platforms",
     .type = CONFIG_TEXTS,
     .offset = OFFSET(platforms),
     .help = "Only exports for these platforms (ONNX, CoreML, ...), in any letter "
             "case; all when absent."},
    {.name = "max_age",
     .type = CONFIG_DURATION,
     .offset = OFFSET(max_age_ms),
     .min = 1000,
     .max = YEAR_MS,
     .help = "A message that was inserted longer ago is done without a run, "
             "outcome stale; none is too old when absent."},
    {.name = "serialize",
     .type = CONFIG_CHOICE,
     .offset = OFFSET(serialize),
     .text = "none",
     .choices = serialize_choices,
     .help = "project: never two runs of this hook for one project at once."},
    {.name = "on_failure",
     .type = CONFIG_CHOICE,
     .offset = OFFSET(on_failure),
     .text = "stop",
     .choices = on_failure_choices,
     .help = "stop: later hooks of the message wait until this one is done. "
             "continue: they run now."},
    {.name = "on_lease_lost",
     .type = CONFIG_CHOICE,
     .offset = OFFSET(on_lease_lost),
     .text = "finish",
     .choices = on_lease_lost_choices,
     .help = "When another reader may have the message: finish lets the run go "
             "on, stop ends it."},
    {.name = "hook",
     .type = CONFIG_ONE_OF,
     .offset = OFFSET(kind),
     .kinds = hook_kind_tables,
     .required = true,
     .help = "What to do: the kind of the hook, and its settings."},
    {.name = NULL},
};

static bool is_name(const char *text)
{
    for (; *text != '\0'; text++) {
        if (!isalnum((unsigned char)*text) && *text != '_' && *text != '-')
            return false;
    }
    return true;
}

/* How a sentence goes on that said that a pattern matches nothing. */
static char *event_advice(const char *pattern)
{
    static const char *const patterns[] = {"training.*", "export.*", "*.completed", "*.failed"};
    autonames known = {0};

    for (const char *const *name = event_names(); *name != NULL; name++)
        names_add(&known, *name, "");
    for (size_t i = 0; i < array_size(patterns); i++)
        names_add(&known, patterns[i], "");
    return names_advice(pattern, known.items);
}

static void check_on(const struct hook_settings *hook, struct mistakes *mistakes)
{
    const struct node *on = node_member(hook->place.map, "on");

    for (unsigned i = 0; i < hook->on.count; i++) {
        if (event_pattern_is_known(hook->on.items[i]))
            continue;
        autofree char *advice = event_advice(hook->on.items[i]);
        mistakes_at(mistakes, node_item(on, i), "on: \"%s\" matches no event%s", hook->on.items[i],
                    advice);
    }
    if (on != NULL && on->type == NODE_LIST && on->first == NULL)
        mistakes_at(mistakes, on, "on: name at least one event");
}

void hook_check(const struct hook_settings *hook, struct mistakes *mistakes)
{
    const struct node *map = hook->place.map;

    if (hook->name != NULL && !is_name(hook->name))
        mistakes_at_key(mistakes, map, "name",
                        "name: \"%s\" may hold letters, digits, _ and - only", hook->name);
    check_on(hook, mistakes);
    for (unsigned i = 0; i < hook->projects.count; i++) {
        if (!uuid_is_valid(hook->projects.items[i]))
            mistakes_at(mistakes, node_item(node_member(map, "projects"), i),
                        "projects: \"%s\" is not a project id; write the UUID that the "
                        "project's settings page shows",
                        hook->projects.items[i]);
    }
    if (hook->kind.kind < 0 || hook->kind.object == NULL)
        return;
    const struct hook_kind *kind = hook_kinds[hook->kind.kind];
    if (kind->check != NULL)
        kind->check(hook->kind.object, mistakes);
}

const struct config_table hook_table = {
    .name = "hook", .size = sizeof(struct hook_settings), .rows = rows};

struct hook {
    const struct hook_settings *settings;
    const struct hook_kind *kind;
    void *self;
};

struct hook_run {
    struct hook *hook;
    struct hook_call call;
    void *run; /* the kind's */
    hook_done_fn *done;
    void *arg;
};

const char *hook_outcome_name(enum hook_outcome outcome)
{
    switch (outcome) {
    case HOOK_DONE:
        return "done";
    case HOOK_LATER:
        return "later";
    case HOOK_REJECTED:
        return "rejected";
    case HOOK_FAILED:
        return "failed";
    case HOOK_HOST_FAULT:
        return "host-fault";
    case HOOK_INTERRUPTED:
        return "interrupted";
    }
    return "?";
}

struct hook *hook_new(const struct hook_context *context, const struct hook_settings *settings)
{
    struct hook *hook = xcalloc(1, sizeof(*hook));

    hook->settings = settings;
    hook->kind = hook_kinds[settings->kind.kind];
    hook->self = hook->kind->create(context, settings->name, settings->kind.object);
    return hook;
}

void hook_free(struct hook *hook)
{
    if (hook == NULL)
        return;
    hook->kind->destroy(hook->self);
    free(hook);
}

const struct hook_settings *hook_settings(const struct hook *hook)
{
    return hook->settings;
}

const struct hook_kind *hook_kind(const struct hook *hook)
{
    return hook->kind;
}

unsigned hook_parallel(const struct hook *hook)
{
    return hook->kind->parallel(hook->settings->kind.object);
}

int64_t hook_longest_ms(const struct hook *hook)
{
    if (hook->kind->longest_ms == NULL)
        return 0;
    return hook->kind->longest_ms(hook->settings->kind.object);
}

typedef bool equal_fn(const char *a, const char *b);

/* An empty list takes everything. */
static bool list_takes(const struct config_texts *list, const char *value, equal_fn *equal)
{
    if (list->count == 0)
        return true;
    for (unsigned i = 0; value != NULL && i < list->count; i++) {
        if (equal(list->items[i], value))
            return true;
    }
    return false;
}

bool hook_takes(const struct hook_settings *settings, const char *event_name, const char *queue)
{
    bool named = false;

    for (unsigned i = 0; i < settings->on.count && !named; i++)
        named = event_pattern_matches(settings->on.items[i], event_name);
    return named && list_takes(&settings->queues, queue, str_equal);
}

bool hook_matches(const struct hook_settings *settings, const struct event *event,
                  const char *queue)
{
    return hook_takes(settings, event->name, queue) &&
           list_takes(&settings->projects, event->project_id, str_equal_nocase) &&
           list_takes(&settings->platforms, event->platform, str_equal_nocase);
}

static void run_done(void *arg, const struct hook_result *result)
{
    struct hook_run *run = arg;
    hook_done_fn *done = run->done;
    void *done_arg = run->arg;

    free(run);
    done(done_arg, result);
}

struct hook_run *hook_run_start(struct hook *hook, const struct hook_message *message,
                                unsigned attempt, hook_done_fn *done, void *arg)
{
    struct hook_run *run = xcalloc(1, sizeof(*run));

    run->hook = hook;
    run->done = done;
    run->arg = arg;
    run->call = (struct hook_call){
        .hook = hook->settings->name,
        .message = message,
        .attempt = attempt,
        .done = run_done,
        .arg = run,
    };
    run->run = hook->kind->start(hook->self, &run->call);
    return run;
}

void hook_run_stop(struct hook_run *run)
{
    run->hook->kind->stop(run->run);
}
