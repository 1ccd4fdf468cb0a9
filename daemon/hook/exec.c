/* SPDX-License-Identifier: MIT */
/* The hook kind `exec`: runs a program for an event, without a shell. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/str.h"
#include "base/unit.h"
#include "codec/template.h"
#include "config/mistakes.h"
#include "config/node.h"
#include "event/event.h"
#include "hook/hook.h"
#include "hook/kinds.h"
#include "hook/values.h"
#include "loop/account.h"
#include "loop/child.h"
#include "loop/timer.h"

#define EXIT_REJECT    65 /* EX_DATAERR */
#define EXIT_LATER     75 /* EX_TEMPFAIL */
#define LINE_BYTES     4096
#define TAIL_BYTES     4096 /* the last output, for the ledger and the poison record */
#define ARGUMENT_BYTES ((size_t)128 * 1024)
#define DEFAULT_PATH   "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct settings {
    struct config_place place;
    struct config_texts command;
    int64_t timeout_ms;
    int64_t grace_ms;
    int64_t parallel;
    char *user;
    char *group;
    char *directory;
    int64_t umask;
    struct config_pairs env;
    struct config_texts pass_env;
    int64_t output_limit;
};

#define OFFSET(member) offsetof(struct settings, member)
#define DAY_MS         (24LL * 3600 * 1000)

static const struct config_row rows[] = {
    {.name = "command",
     .type = CONFIG_TEMPLATES,
     .offset = OFFSET(command),
     .required = true,
     .help = "The program and its arguments, an item each; no shell reads them. "
             "The program is an absolute path, or a name to be found in PATH."},
    {.name = "timeout",
     .type = CONFIG_DURATION,
     .offset = OFFSET(timeout_ms),
     .text = "10m",
     .min = 100,
     .max = 30 * DAY_MS,
     .help = "How long a run may take; then it is ended and has failed."},
    {.name = "grace",
     .type = CONFIG_DURATION,
     .offset = OFFSET(grace_ms),
     .text = "10s",
     .min = 0,
     .max = DAY_MS,
     .help = "How long a run that is ended has from TERM to KILL; both go to its "
             "whole process group."},
    {.name = "parallel",
     .type = CONFIG_INT,
     .offset = OFFSET(parallel),
     .text = "1",
     .min = 1,
     .max = 4096,
     .help = "How many runs of this hook at once; further messages wait for their "
             "turn, hidden."},
    {.name = "user",
     .type = CONFIG_TEXT,
     .offset = OFFSET(user),
     .min = 1,
     .max = 256,
     .help = "Run as this user, a name or a number, with its groups; the daemon's "
             "own when absent. Needs root, or CAP_SETUID and CAP_SETGID, and "
             "CAP_KILL to end a run."},
    {.name = "group",
     .type = CONFIG_TEXT,
     .offset = OFFSET(group),
     .min = 1,
     .max = 256,
     .help = "Run with this primary group, a name or a number. Needs what user "
             "needs."},
    {.name = "directory",
     .type = CONFIG_TEXT,
     .absolute = true,
     .offset = OFFSET(directory),
     .text = "/",
     .min = 1,
     .max = 4096,
     .help = "The working directory; it must exist."},
    {.name = "umask",
     .type = CONFIG_OCTAL,
     .offset = OFFSET(umask),
     .text = "022",
     .min = 0,
     .max = 0777,
     .help = "File mode creation mask."},
    {.name = "env",
     .type = CONFIG_PAIRS,
     .offset = OFFSET(env),
     .help = "More environment variables. A name that begins with CVN_ is a "
             "mistake."},
    {.name = "pass_env",
     .type = CONFIG_TEXTS,
     .offset = OFFSET(pass_env),
     .help = "Names of variables to hand on from the daemon's own environment."},
    {.name = "output_limit",
     .type = CONFIG_SIZE,
     .offset = OFFSET(output_limit),
     .text = "64K",
     .min = 0,
     .max = 1LL << 30,
     .help = "How much output of one run goes to the log; the rest is read and "
             "dropped."},
    {.name = NULL},
};

/* A program's name with a slash must be absolute, for it is looked up before the directory is entered;
 * without one it is searched along PATH. */
static void check_program(const struct settings *settings, const struct node *at,
                          struct mistakes *mistakes)
{
    const char *program = settings->command.items[0];

    if (program[0] == '\0' || (strchr(program, '/') != NULL && program[0] != '/'))
        mistakes_at(
            mistakes, node_item(at, 0),
            "command: the program \"%s\" must be an absolute path, or a name to be found in "
            "PATH",
            program);
    else if (at != NULL && at->type == NODE_SCALAR && strpbrk(program, " \t") != NULL)
        mistakes_at(mistakes, at,
                    "command: no shell reads this; write the program and each argument as an item: "
                    "[/usr/bin/deploy, \"{iteration_id}\"]");
}

static void check_env(const struct settings *settings, const struct node *env,
                      struct mistakes *mistakes)
{
    for (unsigned i = 0; i < settings->env.count; i++) {
        const char *name = settings->env.names[i];
        const struct node *at = env == NULL ? NULL : node_member(env, name);

        template_free(values_compile(settings->env.values[i], name, at, mistakes));
        if (str_starts(name, "CVN_") || name[0] == '\0' || strpbrk(name, "= \t") != NULL)
            mistakes_at(
                mistakes, at,
                "env: \"%s\" can not be set; a name holds no blank and no =, and names that "
                "begin with CVN_ are the message's",
                name);
    }
}

static void check_table(void *object, const struct node *map, struct mistakes *mistakes)
{
    const struct settings *settings = object;
    const struct node *command = node_member(map, "command");

    for (unsigned i = 0; i < settings->command.count; i++)
        template_free(
            values_compile(settings->command.items[i], "command", node_item(command, i), mistakes));
    if (settings->command.count > 0)
        check_program(settings, command, mistakes);
    else if (command != NULL && command->type == NODE_LIST && command->first == NULL)
        mistakes_at(mistakes, command, "command: name a program, as in [/usr/bin/deploy]");
    check_env(settings, node_member(map, "env"), mistakes);
}

static void check(const void *object, struct mistakes *mistakes)
{
    const struct settings *settings = object;
    const char *key = settings->user != NULL ? "user" : "group";
    struct account account;
    struct err err;

    if (settings->user == NULL && settings->group == NULL)
        return;
    if (!account_find(settings->user, settings->group, &account, &err)) {
        /* A directory that can not be asked now is this machine's fault, met when the hook runs. */
        if (err.os_errno == 0)
            mistakes_at_key(mistakes, settings->place.map, key, "%s: %s", key, err.text);
        return;
    }
    if (!account_is_allowed(&account))
        mistakes_at_key(mistakes, settings->place.map, key,
                        "%s: running as another user needs root, or CAP_SETUID and CAP_SETGID",
                        key);
    account_done(&account);
}

static unsigned parallel(const void *settings)
{
    return (unsigned)((const struct settings *)settings)->parallel;
}

static int64_t longest_ms(const void *object)
{
    const struct settings *settings = object;

    return settings->timeout_ms + settings->grace_ms;
}

struct exec {
    struct hook_context context;
    const struct settings *settings;
    struct template **command;    /* one per argument */
    struct template **env_values; /* one per `env` entry */
};

struct run {
    const struct exec *exec;
    const struct hook_call *call;
    struct child *child; /* NULL when it could not even be tried */
    struct timer timer;  /* delivers the result then */
    struct err err;
    struct buf tail;
    bool in_signature; /* the last part of a long line ended in one */
    char held[16];     /* or in what may become the name of one */
};

static struct template **compile_all(char *const *texts, unsigned count)
{
    struct template **templates = xcalloc(count + 1, sizeof(struct template *));
    struct err err;

    for (unsigned i = 0; i < count; i++) {
        if (!template_compile(texts[i], &templates[i], &err))
            fatal("a template that was checked does not compile");
    }
    return templates;
}

static void free_all(struct template **templates)
{
    for (struct template **template = templates; *template != NULL; template ++)
        template_free(*template);
    free(templates);
}

static void *create(const struct hook_context *context, const char *name, const void *object)
{
    const struct settings *settings = object;
    struct exec *exec = xcalloc(1, sizeof(*exec));

    (void)name;
    exec->context = *context;
    exec->settings = settings;
    exec->command = compile_all(settings->command.items, settings->command.count);
    exec->env_values = compile_all(settings->env.values, settings->env.count);
    return exec;
}

static void destroy(void *self)
{
    struct exec *exec = self;

    free_all(exec->command);
    free_all(exec->env_values);
    free(exec);
}

/* --- what the program gets --- */

/* A list of texts that ends with NULL. */
struct texts {
    char **items;
    size_t count;
};

static void texts_add(struct texts *texts, char *text)
{
    texts->items = xreallocarray(texts->items, texts->count + 2, sizeof(*texts->items));
    texts->items[texts->count++] = text;
    texts->items[texts->count] = NULL;
}

static void texts_done(struct texts *texts)
{
    for (size_t i = 0; i < texts->count; i++)
        free(texts->items[i]);
    free(texts->items);
}

/* Sets NAME=value, instead of what NAME was before. */
static void put_env(void *arg, const char *name, const char *value)
{
    struct texts *env = arg;
    char *text = xasprintf("%s=%s", name, value);
    size_t len = strlen(name) + 1;

    for (size_t i = 0; i < env->count; i++) {
        if (strncmp(env->items[i], text, len) == 0) {
            free(env->items[i]);
            env->items[i] = text;
            return;
        }
    }
    texts_add(env, text);
}

static void put_own_env(struct texts *env, const char *name, const char *otherwise)
{
    const char *value = getenv(name);

    if (value == NULL)
        value = otherwise;
    if (value != NULL)
        put_env(env, name, value);
}

/* What everybody may read is rendered without a model's signature. */
static char *render(const struct run *run, const struct template *template, struct err *err)
{
    autobuf text;

    buf_init(&text, ARGUMENT_BYTES);
    return values_render(template, run->call, true, &text, err) ? buf_take(&text) : NULL;
}

static bool make_env(const struct run *run, struct texts *env, struct err *err)
{
    const struct settings *settings = run->exec->settings;

    put_own_env(env, "PATH", DEFAULT_PATH);
    put_own_env(env, "LANG", "C.UTF-8");
    for (unsigned i = 0; i < settings->pass_env.count; i++)
        put_own_env(env, settings->pass_env.items[i], NULL);
    for (unsigned i = 0; i < settings->env.count; i++) {
        autofree char *value = render(run, run->exec->env_values[i], err);
        if (value == NULL)
            return err_prefix(err, "env: %s", settings->env.names[i]);
        put_env(env, settings->env.names[i], value);
    }
    values_each_env(run->call, put_env, env);
    return true;
}

static bool make_argv(const struct run *run, struct texts *argv, struct err *err)
{
    for (struct template **part = run->exec->command; *part != NULL; part++) {
        char *text = render(run, *part, err);
        if (text == NULL)
            return err_prefix(err, "command");
        texts_add(argv, text);
    }
    return true;
}

/* --- what comes of it --- */

static void finish(struct run *run, const struct hook_result *result)
{
    const struct hook_call *call = run->call;
    struct hook_result full = *result;

    autofree char *tail = run->tail.len > 0 ? buf_take(&run->tail) : NULL;
    buf_done(&run->tail);
    timer_done(&run->timer);
    free(run);
    full.tail = tail;
    call->done(call->arg, &full);
}

/* Keeps the end of the output: whole lines while they fit. */
static void keep_tail(struct buf *tail, const char *text, size_t len)
{
    while (tail->len + len + 1 > tail->max) {
        const char *newline = memchr(tail->data, '\n', tail->len);
        if (newline == NULL)
            break;
        buf_consume(tail, (size_t)(newline - tail->data) + 1);
    }
    buf_append(tail, text, min_of(len, tail->max - tail->len - 1));
    buf_putc(tail, '\n');
}

static void on_line(void *arg, char *text, size_t len, bool goes_on)
{
    struct run *run = arg;
    const struct hook_message *message = run->call->message;
    const struct log_field fields[] = {
        {"hook", run->call->hook},
        {"queue", message->queue},
        {"message_id", message->id},
        {NULL, NULL},
    };

    /* A name that is cut in two must be seen whole. */
    autofree char *whole = xasprintf("%s%.*s", run->held, (int)len, text);
    size_t held = goes_on ? secret_mask_held(whole) : 0;
    size_t shown = strlen(whole) - held;
    memcpy(run->held, whole + shown, held + 1);
    whole[shown] = '\0';
    run->in_signature = secret_mask_part(whole, run->in_signature) && goes_on;
    keep_tail(&run->tail, whole, shown);
    log_info(fields, "%s", whole);
}

static enum hook_outcome outcome_of_exit(int status)
{
    switch (status) {
    case 0:
        return HOOK_DONE;
    case EXIT_LATER:
        return HOOK_LATER;
    case EXIT_REJECT:
        return HOOK_REJECTED;
    default:
        return HOOK_FAILED;
    }
}

/* The outcome, and a sentence about it unless all is well. */
static char *judge(const struct run *run, const struct child_result *end, const struct err *err,
                   struct hook_result *result)
{
    char limit[UNIT_TEXT_MAX];

    switch (end->end) {
    case CHILD_EXITED:
        result->outcome = outcome_of_exit(end->value);
        result->exit_status = end->value;
        return end->value == 0 ? NULL : xasprintf("exit status %d", end->value);
    case CHILD_SIGNALLED:
        result->outcome = HOOK_FAILED;
        result->exit_status = 128 + end->value;
        return xasprintf("ended by signal %d (%s)", end->value, strsignal(end->value));
    case CHILD_TIMED_OUT:
        result->outcome = HOOK_FAILED;
        return xasprintf("not done within its timeout of %s",
                         unit_duration_text(run->exec->settings->timeout_ms, limit));
    case CHILD_STOPPED:
        result->outcome = HOOK_INTERRUPTED;
        return xstrdup("stopped");
    case CHILD_NOT_RUN:
        /* Arguments that are too long come from the message. */
        result->untried = err->os_errno == E2BIG;
        result->outcome = result->untried ? HOOK_FAILED : HOOK_HOST_FAULT;
        return xstrdup(err->text);
    }
    return NULL;
}

static void on_ended(void *arg, const struct child_result *end, const struct err *err)
{
    struct run *run = arg;
    struct hook_result result = {.exit_status = -1, .duration_ms = end->duration_ms};

    if (end->output_cut) {
        char cut[] = "(more output than output_limit; the rest was dropped)";
        on_line(run, cut, strlen(cut), false);
    }
    autofree char *text = judge(run, end, err, &result);
    result.text = text;
    finish(run, &result);
}

static const struct child_events child_events = {.line = on_line, .ended = on_ended};

/* A value that the message lacks: nothing was run. */
static void on_timer(void *arg)
{
    struct run *run = arg;
    struct err err = run->err;

    finish(run, &(struct hook_result){
                    .outcome = HOOK_FAILED, .untried = true, .exit_status = -1, .text = err.text});
}

static void start_child(struct run *run, const struct texts *argv, const struct texts *env)
{
    const struct settings *settings = run->exec->settings;
    const struct hook_message *message = run->call->message;
    autobuf document;

    buf_init(&document, BUF_ANY_SIZE);
    event_document(message->event, message->id, message->queue_url, message->inserted_ms,
                   &document);
    buf_putc(&document, '\n');
    run->child = child_start(run->exec->context.children,
                             &(struct child_spec){
                                 .argv = (const char *const *)argv->items,
                                 .env = (const char *const *)env->items,
                                 .directory = settings->directory,
                                 .umask = (mode_t)settings->umask,
                                 .user = settings->user,
                                 .group = settings->group,
                                 .input = document.data,
                                 .input_len = document.len,
                                 .hook = run->call->hook,
                                 .message_id = message->id,
                                 .timeout_ms = settings->timeout_ms,
                                 .grace_ms = settings->grace_ms,
                                 .output_limit = settings->output_limit,
                                 .line_limit = LINE_BYTES,
                             },
                             &child_events, run);
}

static void *start(void *self, const struct hook_call *call)
{
    const struct exec *exec = self;
    struct run *run = xcalloc(1, sizeof(*run));
    struct texts argv = {0}, env = {0};

    run->exec = exec;
    run->call = call;
    buf_init(&run->tail, TAIL_BYTES);
    timer_init(&run->timer, exec->context.loop, on_timer, run);
    if (make_argv(run, &argv, &run->err) && make_env(run, &env, &run->err))
        start_child(run, &argv, &env);
    else
        timer_set(&run->timer, 0);
    texts_done(&argv);
    texts_done(&env);
    return run;
}

static void stop(void *arg)
{
    struct run *run = arg;

    if (run->child != NULL)
        child_stop(run->child);
}

const struct hook_kind hook_kind_exec = {
    .name = "exec",
    .doc = "Runs a program; its exit status decides.",
    .table = {.name = "exec hook",
              .size = sizeof(struct settings),
              .rows = rows,
              .check = check_table},
    .check = check,
    .parallel = parallel,
    .longest_ms = longest_ms,
    .record_start = true,
    .create = create,
    .destroy = destroy,
    .start = start,
    .stop = stop,
};
