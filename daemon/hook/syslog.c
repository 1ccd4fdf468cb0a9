/* SPDX-License-Identifier: MIT */
/*
 * The hook kind `syslog`: one line to the local syslog socket or to a server. libc's syslog() can not
 * say that nobody was listening; here that is a fault of the host, and the message waits.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "codec/template.h"
#include "config/mistakes.h"
#include "config/node.h"
#include "event/event.h"
#include "hook/hook.h"
#include "hook/kinds.h"
#include "hook/syslog_line.h"
#include "hook/syslog_server.h"
#include "hook/values.h"
#include "loop/timer.h"
#include "net/link.h"
#include "net/sender.h"

#define TEXT_BYTES  ((size_t)128 * 1024) /* before the cut; any single value fits */
#define LINE_BYTES  8096                 /* what rsyslog takes unless told otherwise */
#define UDP_BYTES   2048  /* what a receiver should take; the path may carry less (RFC 5426, 3.2) */
#define RETRY_MS    50    /* while the local receiver's buffer is full */
#define PATIENCE_MS 5000  /* for a line, local or not */
#define IDLE_MS     60000 /* before a firewall on the way forgets the connection */
#define OPEN_MAX    64    /* lines on their way; others wait in flow's lane */

/* In the order of their codes (RFC 5424, section 6.2.1). */
static const char *const facilities[] = {
    "kern",   "user",     "mail",   "daemon", "auth",   "syslog", "lpr",   "news",   "uucp",
    "cron",   "authpriv", "ftp",    "ntp",    "audit",  "alert",  "clock", "local0", "local1",
    "local2", "local3",   "local4", "local5", "local6", "local7", NULL};
static const char *const levels[] = {"emerg",  "alert", "crit",  "err", "warning",
                                     "notice", "info",  "debug", NULL};

struct settings {
    struct config_place place;
    int facility;
    int level;
    char *ident;
    char *text;
    char *server;
};

#define OFFSET(member) offsetof(struct settings, member)

static const struct config_row rows[] = {
    {.name = "facility",
     .type = CONFIG_CHOICE,
     .offset = OFFSET(facility),
     .text = "local3",
     .choices = facilities,
     .help = "The facility of the line."},
    {.name = "level",
     .type = CONFIG_CHOICE,
     .offset = OFFSET(level),
     .text = "err",
     .choices = levels,
     .help = "The severity of the line."},
    {.name = "ident",
     .type = CONFIG_TEXT,
     .offset = OFFSET(ident),
     .text = "cvnotifyd",
     .min = 1,
     .max = 48,
     .help = "The program's name in the line: printable ASCII without blanks, ':' and brackets."},
    {.name = "text",
     .type = CONFIG_TEMPLATE,
     .offset = OFFSET(text),
     .text = "{event} project={project_id} iteration={iteration_id:-} message={message_id}",
     .min = 1,
     .max = 4096,
     .help = "The text of the line; placeholders are put in."},
    {.name = "server",
     .type = CONFIG_TEXT,
     .offset = OFFSET(server),
     .text = "unix:///dev/log",
     .min = 1,
     .max = 1024,
     .help = "Where the line goes: unix:///PATH is a local socket, udp://HOST:PORT and "
             "tcp://HOST:PORT a server (port 514 unless written)."},
    {.name = NULL},
};

static bool is_ident(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text <= ' ' || *text >= 0x7f || strchr(":[]", *text) != NULL)
            return false;
    }
    return true;
}

static void check_table(void *object, const struct node *map, struct mistakes *mistakes)
{
    const struct settings *settings = object;
    struct syslog_server server = {0};
    struct err err;

    template_free(values_compile(settings->text, "text", node_member(map, "text"), mistakes));
    /* One that is missing was said already. */
    if (settings->server != NULL && !syslog_server_parse(settings->server, &server, &err))
        mistakes_at_key(mistakes, map, "server", "server: %s", err.text);
    syslog_server_done(&server);
    if (settings->ident != NULL && !is_ident(settings->ident))
        mistakes_at_key(mistakes, map, "ident",
                        "ident: \"%s\" may hold printable ASCII only, no blank, colon or bracket",
                        settings->ident);
}

struct syslog {
    const struct settings *settings;
    struct template *text;
    struct loop *loop;
    struct syslog_server server;
    struct sender *sender; /* NULL: local */
};

struct run {
    const struct syslog *syslog;
    const struct hook_call *call;
    struct timer timer;
    struct buf line;
    struct sending *sending;
    int64_t started_ms;
    bool stopped;
    struct err err; /* when the line could not be made */
};

/* The lane is the queue of those that wait for a server, or for room in the local socket. */
static unsigned parallel(const void *object)
{
    (void)object;
    return OPEN_MAX;
}

static void *create(const struct hook_context *context, const char *name, const void *object)
{
    struct syslog *syslog = xcalloc(1, sizeof(*syslog));
    struct syslog_server *server = &syslog->server;
    struct err err;

    (void)name;
    syslog->settings = object;
    syslog->loop = context->loop;
    if (!template_compile(syslog->settings->text, &syslog->text, &err) ||
        !syslog_server_parse(syslog->settings->server, server, &err))
        fatal("a setting that was checked is not understood: %s", err.text);
    if (server->transport != SYSLOG_LOCAL) {
        const struct sender_settings sender = {
            .link = server->transport == SYSLOG_UDP ? &link_udp : &link_tcp,
            .host = server->host,
            .port = server->port,
            .deadline_ms = PATIENCE_MS,
            .idle_ms = IDLE_MS,
            .max_open = OPEN_MAX,
        };
        syslog->sender = sender_new(context->loop, &sender);
    }
    return syslog;
}

static void destroy(void *self)
{
    struct syslog *syslog = self;

    sender_free(syslog->sender);
    syslog_server_done(&syslog->server);
    template_free(syslog->text);
    free(syslog);
}

/* A copy of the line gets the host's name. */
static void format_remote(enum syslog_transport transport, struct syslog_line line, struct buf *out)
{
    char host[256] = "";

    (void)gethostname(host, sizeof(host) - 1);
    line.host = host;
    syslog_line_rfc5424(&line, transport == SYSLOG_UDP ? UDP_BYTES : LINE_BYTES, out);
    if (transport == SYSLOG_TCP)
        syslog_line_frame(out);
}

static bool make_line(struct run *run, struct err *err)
{
    const struct syslog *syslog = run->syslog;
    autobuf text;

    buf_init(&text, TEXT_BYTES);
    /* A text beyond the ceiling is cut like any other that is too long. */
    if (!values_render(syslog->text, run->call, true, &text, err) && !text.overflow)
        return err_prefix(err, "text");
    err->code = ERR_NONE;
    struct syslog_line line = {
        .priority = syslog->settings->facility * 8 + syslog->settings->level,
        .wall_ms = clock_wall_ms(),
        .ident = syslog->settings->ident,
        .event = run->call->message->event->name,
        .pid = (int)getpid(),
        .text = text.data,
        .text_len = text.len,
    };
    if (syslog->server.transport == SYSLOG_LOCAL)
        syslog_line_local(&line, LINE_BYTES, &run->line);
    else
        format_remote(syslog->server.transport, line, &run->line);
    return true;
}

static void finish(struct run *run, enum hook_outcome outcome, const char *text)
{
    const struct hook_call *call = run->call;
    struct hook_result result = {
        .outcome = outcome,
        .untried = outcome != HOOK_DONE && outcome != HOOK_HOST_FAULT, /* no text, or stopped */
        .exit_status = -1,
        .duration_ms = clock_mono_ms() - run->started_ms,
        .text = text,
    };

    timer_done(&run->timer);
    buf_done(&run->line);
    free(run);
    call->done(call->arg, &result);
}

/* To the local socket. */
static void try_send(struct run *run)
{
    bool patient = clock_mono_ms() - run->started_ms < PATIENCE_MS;
    struct err err;

    int failed = syslog_server_send(&run->syslog->server, &run->line);
    if (failed == 0) {
        finish(run, HOOK_DONE, NULL);
    } else if ((failed == EAGAIN || failed == ENOBUFS) && patient) {
        timer_set(&run->timer, RETRY_MS);
    } else {
        err_set_errno(&err, ERR_HOST, failed, "can not write to the syslog socket %s",
                      run->syslog->server.path);
        finish(run, HOOK_HOST_FAULT, err.text);
    }
}

static void on_timer(void *arg)
{
    struct run *run = arg;
    struct err err = run->err;

    if (err.code != ERR_NONE)
        finish(run, HOOK_FAILED, err.text);
    else if (run->stopped)
        finish(run, HOOK_INTERRUPTED, "stopped");
    else
        try_send(run);
}

static void on_sent(void *arg, const struct err *err)
{
    struct run *run = arg;
    struct err fault;

    run->sending = NULL;
    if (err == NULL) {
        finish(run, HOOK_DONE, NULL);
        return;
    }
    err_set(
        &fault, ERR_HOST,
        "the syslog server %s does not take the line: %s; start or mend it, or correct `server`",
        run->syslog->settings->server, err->text);
    finish(run, HOOK_HOST_FAULT, fault.text);
}

static void *start(void *self, const struct hook_call *call)
{
    const struct syslog *syslog = self;
    struct run *run = xcalloc(1, sizeof(*run));

    run->syslog = syslog;
    run->call = call;
    run->started_ms = clock_mono_ms();
    buf_init(&run->line, BUF_ANY_SIZE);
    timer_init(&run->timer, syslog->loop, on_timer, run);
    if (make_line(run, &run->err) && syslog->sender != NULL)
        run->sending = sender_send(syslog->sender, &run->line, on_sent, run);
    else
        timer_set(&run->timer, 0);
    return run;
}

static void stop(void *arg)
{
    struct run *run = arg;

    run->stopped = true;
    sending_cancel(take(run->sending));
    timer_set(&run->timer, 0);
}

const struct hook_kind hook_kind_syslog = {
    .name = "syslog",
    .doc = "Writes a line to syslog, here or on a server.",
    .table = {.name = "syslog hook",
              .size = sizeof(struct settings),
              .rows = rows,
              .check = check_table},
    .parallel = parallel,
    .create = create,
    .destroy = destroy,
    .start = start,
    .stop = stop,
};
