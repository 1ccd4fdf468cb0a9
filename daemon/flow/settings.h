/* SPDX-License-Identifier: MIT */
/*
 * The whole configuration, read and resolved: files found, every mistake collected, each queue with
 * its URL and identity. A snapshot never changes; a reload makes another.
 */
#ifndef FLOW_SETTINGS_H
#define FLOW_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "config/mistakes.h"
#include "config/table.h"
#include "hook/hook.h"
#include "identity/identity.h"

struct log_settings {
    struct config_place place;
    int level;  /* index into debug, info, warning, err */
    int format; /* enum logsink_format */
};

struct http_section {
    struct config_place place;
    char *ca_file;
    char *proxy;
    int64_t timeout_ms;
};

struct control_section {
    struct config_place place;
    char *socket;
    char *group;
    char *listen;
    int pages;
};

/* What may say who we are, on a queue and on a poison queue. */
struct access {
    char *identity; /* the name of one of `identities` */
    struct config_secret sas;
    struct config_secret connection_string;
    bool allow_readable;
};

struct poison_settings {
    struct config_place place;
    char *queue; /* a name beside the queue */
    char *url;
    struct access access;
};

enum unmatched { UNMATCHED_DELETE, UNMATCHED_POISON };

struct queue_settings {
    struct config_place place;
    char *name;
    char *url;
    char *queue;
    struct access access;
    int64_t poll_min_ms;
    int64_t poll_max_ms;
    int64_t lease_ms;
    int64_t parallel;
    struct config_durations retry_delay;
    int64_t max_attempts;
    struct poison_settings *poison; /* NULL: <queue>-poison */
    int64_t expiry_margin_ms;
    int unmatched;
};

struct settings {
    struct config_place place;
    char *state_dir;
    struct config_texts include;
    int64_t stop_timeout_ms;
    int64_t history_days;
    bool reload_on_change;
    bool allow_insecure;
    struct log_settings *log;
    struct http_section *http;
    struct control_section *control;
    struct config_objects identities; /* struct identity_settings */
    struct config_objects queues;     /* struct queue_settings */
    struct config_objects hooks;      /* struct hook_settings */
};

/* A queue with what its settings mean. */
struct queue_plan {
    const struct queue_settings *settings;
    char *url; /* NULL only in a snapshot that is not for use */
    const struct identity_settings *identity;
    char *poison_url; /* likewise */
    const struct identity_settings *poison_identity;
    int64_t expiry_margin_ms;
};

/* An identity made from a queue's short form, and the map that it was read from. */
struct own_identity {
    struct identity_settings *settings;
    struct node *map;
    struct own_identity *next;
};

struct snapshot {
    char *path;
    bool for_use;
    struct settings *settings;
    struct queue_plan *queues;
    unsigned queue_count;
    struct node *tree; /* what the settings' places point into */
    char **files;      /* their names; the first is path, all that were read */
    unsigned file_count;
    struct config_texts directories; /* where files were looked for */
    struct own_identity *own;        /* of the short forms `sas` and `connection_string` */
};

/* Reads and checks everything; blocks (files, users): for the start, and for the worker thread. NULL
 * when there are mistakes. Without for_use a systemd credential that is not there is no mistake; a
 * queue whose URL it holds then has none. */
struct snapshot *snapshot_load(const char *path, bool for_use, struct mistakes *mistakes);
void snapshot_free(struct snapshot *snapshot);
bool queue_plan_equal(const struct queue_plan *a, const struct queue_plan *b);

/* The rows of the whole file, and of its parts that are compared or looked into apart. */
extern const struct config_table settings_table;
extern const struct config_table queue_table;
extern const struct config_table poison_table;
extern const struct config_table http_table;

#endif
