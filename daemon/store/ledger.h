/* SPDX-License-Identifier: MIT */
/*
 * What was done for which message. A step is (queue URL, message id, hook name); the ledger knows
 * how often it was tried, how it ended, and whether it is done, so that a redelivered message skips
 * what is finished. Every call is asynchronous, for a durable ledger waits for a disk: a step counts
 * only once its callback has fired.
 *
 * This ledger lives in memory: it spans redeliveries, lost leases and reloads, not a restart. It
 * holds a message until its deletion is known, so it is as large as the set of undeleted messages.
 */
#ifndef STORE_LEDGER_H
#define STORE_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

struct err;
struct ledger;
struct ledger_op;
struct loop;

enum ledger_state {
    LEDGER_STARTED,     /* begun, and its end not recorded: interrupted, if nothing runs */
    LEDGER_DONE,        /* never run again */
    LEDGER_FAILED,      /* an attempt was spent */
    LEDGER_LATER,       /* asked to be run later; no attempt spent */
    LEDGER_REJECTED,    /* will never succeed; the message is for the poison queue */
    LEDGER_INTERRUPTED, /* cut by a stop, a crash or a lost lease; no attempt spent */
};

const char *ledger_state_name(enum ledger_state state);

struct ledger_step {
    const char *hook;
    enum ledger_state state;
    unsigned attempts; /* spent */
    unsigned delays;   /* waits so far, attempts and laters together */
    unsigned interruptions;
    int exit_status;    /* of the last run, -1 when there was none */
    int64_t ended_ms;   /* wall clock, of the last change */
    const char *reason; /* why rejected: `rejected`, `out-of-attempts`, ...; else NULL */
    const char *tail;   /* last lines of output, masked; NULL when none */
};

struct ledger_message {
    unsigned receipts; /* how often it was received, this time included */
    const struct ledger_step *steps;
    unsigned count;
};

/* err is NULL when the ledger answered. The message is borrowed for the callback. */
typedef void ledger_read_fn(void *arg, const struct ledger_message *message, const struct err *err);
typedef void ledger_done_fn(void *arg, const struct err *err);

struct ledger *ledger_open(struct loop *loop);
void ledger_close(struct ledger *ledger);

/* Notes that a message was received and tells what is known of it. done never fires from inside the
 * call. The op is gone once done has fired; ledger_cancel before that means it never fires (what was
 * asked to be written is written all the same). */
struct ledger_op *ledger_receive(struct ledger *ledger, const char *queue_url,
                                 const char *message_id, ledger_read_fn *done, void *arg);
/* The same without a receipt: asks again about a message that is in hand. */
struct ledger_op *ledger_read(struct ledger *ledger, const char *queue_url, const char *message_id,
                              ledger_read_fn *done, void *arg);
/* Notes one more receipt of a message that is in work already. Fire and forget. */
void ledger_received_again(struct ledger *ledger, const char *queue_url, const char *message_id);
/* Writes one step, replacing what was known of it. step's texts are copied. */
struct ledger_op *ledger_record(struct ledger *ledger, const char *queue_url,
                                const char *message_id, const struct ledger_step *step,
                                ledger_done_fn *done, void *arg);
/* The message's deletion is confirmed: it can not come back. Fire and forget. */
void ledger_deleted(struct ledger *ledger, const char *queue_url, const char *message_id);
void ledger_cancel(struct ledger_op *op);
/* Messages held, for tests and status. */
unsigned ledger_count(const struct ledger *ledger);

#endif
