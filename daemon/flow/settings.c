/* SPDX-License-Identifier: MIT */
/* The rows of the configuration file's own sections, and what they must agree on by themselves. */
#include "flow/settings.h"

#include <ctype.h>
#include <string.h>

#include "base/str.h"
#include "base/unit.h"
#include "config/node.h"

#define SECOND_MS      1000LL
#define MINUTE_MS      (60 * SECOND_MS)
#define HOUR_MS        (60 * MINUTE_MS)
#define DAY_MS         (24 * HOUR_MS)
#define PATH_MAX_BYTES 4095

/* --- log, http, control --- */

static const char *const level_choices[] = {"debug", "info", "warning", "err", NULL};
static const char *const format_choices[] = {"auto", "journal", "text", "json", NULL};
static const char *const page_choices[] = {"metrics", "all", NULL};

static const struct config_row log_rows[] = {
    {.name = "level",
     .type = CONFIG_CHOICE,
     .offset = offsetof(struct log_settings, level),
     .text = "info",
     .choices = level_choices,
     .help = "The least important level to log: debug tells every step, info "
             "every run and decision, warning what goes on with a loss, err what "
             "somebody must mend."},
    {.name = "format",
     .type = CONFIG_CHOICE,
     .offset = offsetof(struct log_settings, format),
     .text = "auto",
     .choices = format_choices,
     .help = "auto is journal where stderr is systemd's, json in a container (PID "
             "1, Docker, Podman, Kubernetes) unless stderr is a terminal, text "
             "elsewhere. text and json go to stderr."},
    {.name = NULL},
};
static const struct config_table log_table = {
    .name = "log", .size = sizeof(struct log_settings), .rows = log_rows};

static const struct config_row http_rows[] = {
    {.name = "ca_file",
     .type = CONFIG_TEXT,
     .absolute = true,
     .offset = offsetof(struct http_section, ca_file),
     .min = 1,
     .max = PATH_MAX_BYTES,
     .help = "A PEM file of certificate authorities to trust, instead of the "
             "system's."},
    {.name = "proxy",
     .type = CONFIG_TEXT,
     .offset = offsetof(struct http_section, proxy),
     .min = 1,
     .max = 2048,
     .help = "The proxy for all requests, as in http://USER:PASSWORD@HOST:PORT; "
             "the environment's when absent. Loopback and link-local addresses "
             "are never asked for through a proxy."},
    {.name = "timeout",
     .type = CONFIG_DURATION,
     .offset = offsetof(struct http_section, timeout_ms),
     .text = "30s",
     .min = SECOND_MS,
     .max = 10 * MINUTE_MS,
     .help = "How long one request may take. One about a message in work has a "
             "quarter of its queue's lease, if that is less."},
    {.name = NULL},
};
const struct config_table http_table = {
    .name = "http", .size = sizeof(struct http_section), .rows = http_rows};

static const struct config_row control_rows[] = {
    {.name = "socket",
     .type = CONFIG_TEXT,
     .absolute = true,
     .offset = offsetof(struct control_section, socket),
     .text = "/run/cvnotifyd/control.sock",
     .min = 1,
     .max = 107,
     .help = "Not used yet: the control socket. Changes only at a restart."},
    {.name = "group",
     .type = CONFIG_TEXT,
     .offset = offsetof(struct control_section, group),
     .min = 1,
     .max = 256,
     .help = "Not used yet: the group that may use the socket; the daemon's own "
             "when absent."},
    {.name = "listen",
     .type = CONFIG_TEXT,
     .offset = offsetof(struct control_section, listen),
     .min = 1,
     .max = 256,
     .help = "Not used yet: ADDRESS:PORT for metrics, health and the status page; "
             "none when absent."},
    {.name = "pages",
     .type = CONFIG_CHOICE,
     .offset = offsetof(struct control_section, pages),
     .text = "metrics",
     .choices = page_choices,
     .help = "Not used yet: what listen serves off loopback."},
    {.name = NULL},
};
static const struct config_table control_table = {
    .name = "control", .size = sizeof(struct control_section), .rows = control_rows};

/* --- queues --- */

#define ACCESS_ROWS(holder)                                                                        \
    {.name = "identity",                                                                           \
     .type = CONFIG_TEXT,                                                                          \
     .offset = offsetof(struct holder, access.identity),                                           \
     .min = 1,                                                                                     \
     .max = 64,                                                                                    \
     .help = "Who we are to this queue: the name of one of identities. A poison "                  \
             "queue that names nothing is written to as its queue is read."},                      \
        {.name = "sas",                                                                            \
         .type = CONFIG_SECRET,                                                                    \
         .offset = offsetof(struct holder, access.sas),                                            \
         .help = "Instead of identity: a shared access signature."},                               \
        {.name = "connection_string",                                                              \
         .type = CONFIG_SECRET,                                                                    \
         .offset = offsetof(struct holder, access.connection_string),                              \
         .help = "Instead of identity: a storage connection string."},                             \
    {                                                                                              \
        .name = "allow_readable", .type = CONFIG_BOOL,                                             \
        .offset = offsetof(struct holder, access.allow_readable), .text = "false",                 \
        .help = "Take a secret's file here even when every user of this machine can "              \
                "read or write it."                                                                \
    }

static const struct config_row poison_rows[] = {
    {.name = "queue",
     .type = CONFIG_TEXT,
     .offset = offsetof(struct poison_settings, queue),
     .min = 3,
     .max = 63,
     .help = "The name of a queue beside this one, in the same account."},
    {.name = "url",
     .type = CONFIG_TEXT,
     .offset = offsetof(struct poison_settings, url),
     .min = 1,
     .max = 2048,
     .help = "Instead of queue: the URL of a queue anywhere."},
    ACCESS_ROWS(poison_settings),
    {.name = NULL},
};
const struct config_table poison_table = {
    .name = "poison", .size = sizeof(struct poison_settings), .rows = poison_rows};

#define OFFSET(member) offsetof(struct queue_settings, member)

static const char *const unmatched_choices[] = {"delete", "poison", NULL};

static const struct config_row queue_rows[] = {
    {.name = "name",
     .type = CONFIG_TEXT,
     .offset = OFFSET(name),
     .required = true,
     .min = 1,
     .max = 64,
     .help = "The queue's name here and in the log, unique."},
    {.name = "url",
     .type = CONFIG_TEXT,
     .offset = OFFSET(url),
     .min = 1,
     .max = 2048,
     .help = "https://ACCOUNT.queue.core.windows.net/QUEUE, without a query. "
             "Where the host is an IP address or localhost, the account stands in "
             "the path: http://127.0.0.1:10001/ACCOUNT/QUEUE."},
    {.name = "queue",
     .type = CONFIG_TEXT,
     .offset = OFFSET(queue),
     .min = 3,
     .max = 63,
     .help = "With a connection string, instead of url: the queue's name in the "
             "account that the string names."},
    ACCESS_ROWS(queue_settings),
    {.name = "poll_min",
     .type = CONFIG_DURATION,
     .offset = OFFSET(poll_min_ms),
     .text = "250ms",
     .min = 10,
     .max = HOUR_MS,
     .help = "The wait after the first empty answer; it doubles with each further "
             "one, up to poll_max. Each wait is drawn between half of it and the "
             "whole."},
    {.name = "poll_max",
     .type = CONFIG_DURATION,
     .offset = OFFSET(poll_max_ms),
     .text = "30s",
     .min = 10,
     .max = DAY_MS,
     .help = "The longest wait between two polls of an idle queue, and so the "
             "longest that a message waits there. Each poll is a billed operation."},
    {.name = "lease",
     .type = CONFIG_DURATION,
     .offset = OFFSET(lease_ms),
     .text = "2m",
     .min = SECOND_MS,
     .max = 7 * DAY_MS,
     .help = "How long a received message stays hidden from other readers; "
             "renewed at half of it while hooks run. If this daemon dies, its "
             "messages come again after so long."},
    {.name = "parallel",
     .type = CONFIG_INT,
     .offset = OFFSET(parallel),
     .text = "8",
     .min = 1,
     .max = 4096,
     .help = "How many messages are in work at once, those included that wait for "
             "their hook's turn."},
    {.name = "retry_delay",
     .type = CONFIG_DURATIONS,
     .offset = OFFSET(retry_delay),
     .text = "10s 1m 5m 15m",
     .min = SECOND_MS,
     .max = 7 * DAY_MS,
     .help = "The waits before a hook that failed, or said later, is tried again: "
             "before the second try, the third, ...; the last repeats."},
    {.name = "max_attempts",
     .type = CONFIG_INT,
     .offset = OFFSET(max_attempts),
     .text = "5",
     .min = 1,
     .max = 1000,
     .help = "How many tries of one hook may fail for one message; it then goes "
             "to poison, reason out-of-attempts."},
    {.name = "poison",
     .type = CONFIG_OBJECT,
     .offset = OFFSET(poison),
     .table = &poison_table,
     .scalar_ok = true,
     .scalar_key = "queue",
     .help = "Where messages go that can not be handled: the name of a queue in "
             "the same account, or a map; <queue>-poison when absent."},
    {.name = "expiry_margin",
     .type = CONFIG_DURATION,
     .offset = OFFSET(expiry_margin_ms),
     .text = "1h",
     .min = 0,
     .max = 7 * DAY_MS,
     .help = "A message that is not done so long before it expires goes to "
             "poison, reason expiring. Never less than twice the lease."},
    {.name = "unmatched",
     .type = CONFIG_CHOICE,
     .offset = OFFSET(unmatched),
     .text = "delete",
     .choices = unmatched_choices,
     .help = "What becomes of a message that no hook matches. Not of "
             "connection.test, which is deleted, nor of unknown, which goes to "
             "poison."},
    {.name = NULL},
};

static void check_queue(void *object, const struct node *map, struct mistakes *mistakes)
{
    const struct queue_settings *queue = object;
    char least[UNIT_TEXT_MAX];

    for (const char *c = queue->name; c != NULL && *c != '\0'; c++) {
        if (!isprint((unsigned char)*c)) {
            mistakes_at_key(mistakes, map, "name", "name: may hold printable characters only");
            break;
        }
    }
    if (queue->poll_max_ms != 0 && queue->poll_max_ms < queue->poll_min_ms)
        mistakes_at_key(mistakes, map, "poll_max", "poll_max: must not be less than poll_min, %s",
                        unit_duration_text(queue->poll_min_ms, least));
    const struct node *delays = node_member(map, "retry_delay");
    if (delays != NULL && delays->type == NODE_LIST && delays->first == NULL)
        mistakes_at_key(mistakes, map, "retry_delay", "retry_delay: write at least one delay");
}

const struct config_table queue_table = {.name = "queue",
                                         .size = sizeof(struct queue_settings),
                                         .rows = queue_rows,
                                         .check = check_queue};

bool queue_plan_equal(const struct queue_plan *a, const struct queue_plan *b)
{
    return config_equal(&queue_table, a->settings, b->settings) && str_equal(a->url, b->url) &&
           str_equal(a->poison_url, b->poison_url) &&
           identity_settings_equal(a->identity, b->identity) &&
           identity_settings_equal(a->poison_identity, b->poison_identity);
}

/* --- the whole file --- */

#undef OFFSET
#define OFFSET(member) offsetof(struct settings, member)

static const struct config_row rows[] = {
    {.name = "state_dir",
     .type = CONFIG_TEXT,
     .absolute = true,
     .offset = OFFSET(state_dir),
     .text = "/var/lib/cvnotifyd",
     .min = 1,
     .max = PATH_MAX_BYTES,
     .help = "Where the daemon keeps what it must remember; made if it is missing, but not its "
             "parents. Each daemon has its own. Changes only at a restart."},
    {.name = "include",
     .type = CONFIG_TEXTS,
     .offset = OFFSET(include),
     .text = "conf.d/*.yaml",
     .help = "More files: patterns, relative to this file's directory. Their "
             "lists are appended to those of this file."},
    {.name = "stop_timeout",
     .type = CONFIG_DURATION,
     .offset = OFFSET(stop_timeout_ms),
     .text = "30s",
     .min = 0,
     .max = DAY_MS,
     .help = "How long running hooks may take at a stop; then they are ended."},
    {.name = "history_days",
     .type = CONFIG_INT,
     .offset = OFFSET(history_days),
     .text = "30",
     .min = 1,
     .max = 3650,
     .help = "How many days the ledger keeps a message that is deleted, or has "
             "expired."},
    {.name = "reload_on_change",
     .type = CONFIG_BOOL,
     .offset = OFFSET(reload_on_change),
     .text = "false",
     .help = "Reload when a file in a directory of the configuration changes, as "
             "at HUP."},
    {.name = "allow_insecure",
     .type = CONFIG_BOOL,
     .offset = OFFSET(allow_insecure),
     .text = "false",
     .help = "Take http:// URLs of other machines too. What is sent, secrets "
             "included, can then be read on its way."},
    {.name = "log",
     .type = CONFIG_OBJECT,
     .offset = OFFSET(log),
     .text = "",
     .table = &log_table,
     .help = "The log."},
    {.name = "http",
     .type = CONFIG_OBJECT,
     .offset = OFFSET(http),
     .text = "",
     .table = &http_table,
     .help = "The HTTP client."},
    {.name = "control",
     .type = CONFIG_OBJECT,
     .offset = OFFSET(control),
     .text = "",
     .table = &control_table,
     .help = "The control interface: read and checked, not used yet."},
    {.name = "identities",
     .type = CONFIG_OBJECTS,
     .offset = OFFSET(identities),
     .table = &identity_table,
     .help = "Who we are to Azure; queues name them."},
    {.name = "queues",
     .type = CONFIG_OBJECTS,
     .offset = OFFSET(queues),
     .table = &queue_table,
     .required = true,
     .help = "The queues to wait on; at least one."},
    {.name = "hooks",
     .type = CONFIG_OBJECTS,
     .offset = OFFSET(hooks),
     .table = &hook_table,
     .help = "What to do about events, in this order. Without any, every message is deleted as "
             "unmatched."},
    {.name = NULL},
};

static void check(void *object, const struct node *map, struct mistakes *mistakes)
{
    const struct settings *settings = object;

    const struct node *queues = node_member(map, "queues");

    if (queues != NULL && queues->type == NODE_LIST && settings->queues.count == 0)
        mistakes_at_key(mistakes, map, "queues", "queues: name at least one queue");
}

const struct config_table settings_table = {
    .name = "configuration", .size = sizeof(struct settings), .rows = rows, .check = check};
