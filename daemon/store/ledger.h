/* SPDX-License-Identifier: MIT */
/*
 * What was done for which message, on disk. A step is (queue URL, message id, hook name); the ledger
 * knows how often it was tried, how it ended, and whether it is done, so that a redelivered message
 * skips what is finished, also after a crash. It is the file ledger.db (SQLite) in state_dir; what its
 * tables hold stands in store/rows.h.
 *
 * Every call is asynchronous, for it waits for a disk: a step counts only once its callback has fired.
 * What is asked for while the disk is busy is written together, under one fsync. When the disk fails,
 * nothing is lost and nobody is told a lie: what was asked for waits, and is tried again until it is
 * written.
 */
#ifndef STORE_LEDGER_H
#define STORE_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/alloc.h"

struct err;
struct ledger;
struct ledger_entry;
struct ledger_op;
struct loop;
struct worker;

enum ledger_state {
    LEDGER_STARTED,     /* begun, and its end not recorded: interrupted, if nothing runs */
    LEDGER_DONE,        /* never run again */
    LEDGER_FAILED,      /* an attempt was spent */
    LEDGER_LATER,       /* asked to be run later; no attempt spent */
    LEDGER_REJECTED,    /* will never succeed; the message is for the poison queue */
    LEDGER_INTERRUPTED, /* cut by a stop, a crash or a lost lease; no attempt spent */
};

struct ledger_step {
    const char *hook;
    enum ledger_state state;
    unsigned attempts; /* spent */
    unsigned delays;   /* waits so far, attempts and laters together */
    unsigned interruptions;
    int exit_status;       /* of the last run, -1 when there was none */
    int64_t started_ms;    /* wall clock, of the last run; 0 when there was none */
    int64_t ended_ms;      /* wall clock, of the last change */
    int64_t duration_ms;   /* of the last run */
    const char *reason;    /* why rejected: `rejected`, `out-of-attempts`, ...; else NULL */
    const char *tail;      /* last lines of output, masked; NULL when none */
    const char *published; /* values for later steps, a JSON object; NULL when none */
};

/* What is known of a message. */
struct ledger_message {
    /* How often it was received, this time included; perhaps more, if a disk failed that had written. */
    unsigned receipts;
    /* Its poison record is stored, and this was the reason: it needs only be deleted. Else NULL. */
    const char *stored_reason;
    const struct ledger_step *steps;
    unsigned count;
};

/* A message as it was received. */
struct ledger_receipt {
    const char *queue_url;
    const char *message_id;
    const char *event;   /* NULL: undecodable */
    const char *subject; /* NULL: none */
    int64_t inserted_ms; /* wall clock */
    int64_t expires_ms;  /* wall clock */
    unsigned dequeue_count;
};

struct ledger_events {
    /* The ledger can not be used, or written; err says why. Once for each try; the next is in delay_ms,
     * 0: there is none, the ledger is being closed. */
    void (*broken)(void *arg, const struct err *err, int64_t delay_ms);
    /* It can, after `broken`. */
    void (*works)(void *arg);
    /* A person should know: it was damaged and moved aside, deleted and written anew. */
    void (*mended)(void *arg, const char *text);
};

/* message is borrowed for the callback. */
typedef void ledger_read_fn(void *arg, const struct ledger_message *message);
typedef void ledger_done_fn(void *arg);

const char *ledger_state_name(enum ledger_state state);

/* Opens the ledger in state_dir, which is made if it is missing. Blocks. NULL when it must not be used:
 * another process does (err says which), or a newer version wrote it (ERR_CONFIG both). A disk that
 * fails is no such reason: `broken` says so from the loop, and it is tried again. Events and arg are
 * borrowed. */
struct ledger *ledger_open(struct loop *loop, struct worker *worker, const char *state_dir,
                           const struct ledger_events *events, void *arg,
                           struct err *err) MUST_CHECK;
/* Writes what is still to be written, and closes. The worker must have ended. NULL is fine. */
void ledger_close(struct ledger *ledger);
/* Steps of messages that are deleted, or expired, are kept so long. Each day what is older goes. */
void ledger_keep_history(struct ledger *ledger, int64_t days);
bool ledger_is_broken(const struct ledger *ledger);
/* How many messages that were received since then are not deleted; false when what is to be known of
 * them can not be written or read. Blocks. The worker must have ended. */
bool ledger_count_undeleted(struct ledger *ledger, int64_t since_wall_ms,
                            unsigned *ret_count) MUST_CHECK;

/* A message in hand; what receipt holds is copied. */
struct ledger_entry *ledger_entry_new(struct ledger *ledger, const struct ledger_receipt *receipt);
/* Its callbacks must have fired or be cancelled. NULL is fine. */
void ledger_entry_free(struct ledger_entry *entry);
/* Tells what is known of the message. A callback never fires from inside the call. The op is gone once
 * it has fired; ledger_cancel before that means it never fires (what was asked to be written is written
 * all the same). */
struct ledger_op *ledger_read(struct ledger_entry *entry, ledger_read_fn *done, void *arg);
/* It was received once more while in hand. Fire and forget. */
void ledger_received_again(struct ledger_entry *entry);
/* Writes one step, replacing what was known of it. step's texts are copied. */
struct ledger_op *ledger_record(struct ledger_entry *entry, const struct ledger_step *step,
                                ledger_done_fn *done, void *arg);
/* Its poison record, which says reason and hook (may be NULL), is stored. Fire and forget. */
void ledger_stored(struct ledger_entry *entry, const char *reason, const char *hook);
/* Its deletion is confirmed: it can not come back. outcome: `done`, `unmatched`, ... Fire and forget. */
void ledger_deleted(struct ledger_entry *entry, const char *outcome);
void ledger_cancel(struct ledger_op *op);

#endif
