/* SPDX-License-Identifier: MIT */
/*
 * The hook kind `syslog`: one line to the local syslog socket. libc's syslog() can not say that
 * nobody was listening; here that is a fault of the host, and the message waits.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/str.h"
#include "codec/template.h"
#include "config/mistakes.h"
#include "config/node.h"
#include "hook/hook.h"
#include "hook/kinds.h"
#include "hook/values.h"
#include "loop/timer.h"

#define LINE_BYTES  8192
#define RETRY_MS    50 /* while the receiver's buffer is full */
#define PATIENCE_MS 5000
#define UNIX_PREFIX "unix://"

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
     .help = "Syslog facility."},
    {.name = "level",
     .type = CONFIG_CHOICE,
     .offset = OFFSET(level),
     .text = "err",
     .choices = levels,
     .help = "Syslog severity."},
    {.name = "ident",
     .type = CONFIG_TEXT,
     .offset = OFFSET(ident),
     .text = "cvnotifyd",
     .min = 1,
     .max = 48,
     .help = "The program's name in the line."},
    {.name = "text",
     .type = CONFIG_TEMPLATE,
     .offset = OFFSET(text),
     .text = "{event} project={project_id} iteration={iteration_id:-} message={message_id}",
     .min = 1,
     .max = 4096,
     .help = "The line; placeholders allowed."},
    {.name = "server",
     .type = CONFIG_TEXT,
     .offset = OFFSET(server),
     .text = "unix:///dev/log",
     .min = 1,
     .max = 1024,
     .help = "Where to: unix:///PATH, the local socket."},
    {.name = NULL},
};

static const char *socket_path(const struct settings *settings)
{
    return settings->server + strlen(UNIX_PREFIX);
}

static void check_table(void *object, const struct node *map, struct mistakes *mistakes)
{
    const struct settings *settings = object;
    size_t room = sizeof(((struct sockaddr_un *)NULL)->sun_path);

    template_free(values_compile(settings->text, "text", node_member(map, "text"), mistakes));
    if (settings->server == NULL) {
        ; /* said already */
    } else if (!str_starts(settings->server, UNIX_PREFIX "/")) {
        mistakes_at_key(mistakes, map, "server",
                        "server: \"%s\" is not a syslog socket; write unix:///PATH, as in "
                        "unix:///dev/log",
                        settings->server);
    } else if (strlen(socket_path(settings)) >= room) {
        mistakes_at_key(mistakes, map, "server", "server: the path may have %zu characters",
                        room - 1);
    }
    if (settings->ident != NULL && strpbrk(settings->ident, " :[]") != NULL)
        mistakes_at_key(mistakes, map, "ident", "ident: \"%s\" may hold no blank, colon or bracket",
                        settings->ident);
}

struct syslog {
    const struct settings *settings;
    struct template *text;
    struct loop *loop;
};

struct run {
    const struct syslog *syslog;
    const struct hook_call *call;
    struct timer timer;
    struct buf line;
    int64_t started_ms;
    bool stopped;
    struct err err; /* when the line could not be made */
};

static unsigned parallel(const void *settings)
{
    (void)settings;
    return 0;
}

static void *create(const struct hook_context *context, const char *name, const void *object)
{
    struct syslog *syslog = xcalloc(1, sizeof(*syslog));
    struct err err;

    (void)name;
    syslog->settings = object;
    syslog->loop = context->loop;
    if (!template_compile(syslog->settings->text, &syslog->text, &err))
        fatal("a template that was checked does not compile");
    return syslog;
}

static void destroy(void *self)
{
    struct syslog *syslog = self;

    template_free(syslog->text);
    free(syslog);
}

/* The form that local syslog sockets take: `<PRI>Mmm dd hh:mm:ss ident[pid]: text`. */
static bool make_line(struct run *run, struct err *err)
{
    const struct settings *settings = run->syslog->settings;
    time_t now = (time_t)(clock_wall_ms() / 1000);
    char stamp[32];
    struct tm local;

    strftime(stamp, sizeof(stamp), "%b %e %H:%M:%S", localtime_r(&now, &local));
    buf_printf(&run->line, "<%d>%s %s[%d]: ", settings->facility * 8 + settings->level, stamp,
               settings->ident, (int)getpid());
    size_t start = run->line.len;
    if (!values_render(run->syslog->text, run->call, true, &run->line, err))
        return err_prefix(err, "text");
    for (char *c = run->line.data + start; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = ' ';
    }
    return true;
}

static void finish(struct run *run, enum hook_outcome outcome, const char *text)
{
    const struct hook_call *call = run->call;
    struct hook_result result = {
        .outcome = outcome,
        .exit_status = -1,
        .duration_ms = clock_mono_ms() - run->started_ms,
        .text = text,
    };

    timer_done(&run->timer);
    buf_done(&run->line);
    free(run);
    call->done(call->arg, &result);
}

/* 0, or the errno. Never blocks: a full receiver is EAGAIN. */
static int send_line(const struct run *run)
{
    const char *path = socket_path(run->syslog->settings);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    autoclose int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return errno;
    memcpy(address.sun_path, path, strlen(path) + 1);
    if (sendto(fd, run->line.data, run->line.len, MSG_NOSIGNAL, (struct sockaddr *)&address,
               sizeof(address)) < 0)
        return errno;
    return 0;
}

static void try_send(struct run *run)
{
    bool patient = clock_mono_ms() - run->started_ms < PATIENCE_MS;
    struct err err;

    int failed = send_line(run);
    if (failed == 0) {
        finish(run, HOOK_DONE, NULL);
    } else if ((failed == EAGAIN || failed == ENOBUFS) && patient) {
        timer_set(&run->timer, RETRY_MS);
    } else {
        err_set_errno(&err, ERR_HOST, failed, "can not write to the syslog socket %s",
                      socket_path(run->syslog->settings));
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

static void *start(void *self, const struct hook_call *call)
{
    const struct syslog *syslog = self;
    struct run *run = xcalloc(1, sizeof(*run));

    run->syslog = syslog;
    run->call = call;
    run->started_ms = clock_mono_ms();
    buf_init(&run->line, LINE_BYTES);
    timer_init(&run->timer, syslog->loop, on_timer, run);
    (void)make_line(run, &run->err);
    timer_set(&run->timer, 0);
    return run;
}

static void stop(void *arg)
{
    struct run *run = arg;

    run->stopped = true;
    timer_set(&run->timer, 0);
}

const struct hook_kind hook_kind_syslog = {
    .name = "syslog",
    .doc = "Writes a line to syslog.",
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
