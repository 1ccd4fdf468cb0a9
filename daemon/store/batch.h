/* SPDX-License-Identifier: MIT */
/*
 * What the worker does for the ledger: a batch of operations, applied in one transaction, so one fsync.
 * All of it is committed, or none. When it is asked for, who waits for it and what becomes of a batch
 * that failed is for store/ledger to know.
 *
 * Threads: from worker_submit until the job's `done`, what is declared here is the worker's: the batch
 * with the file under it, its operations, and what is known of their messages' rows. The loop fills them
 * in before, looks at them after, and touches none in between. What both need at any time (callbacks,
 * which may be cancelled; how often a message was received by now; who uses an entry) is in the ledger's
 * own structs, around these, and stays the loop's. A message's receipt never changes: both may read it.
 */
#ifndef STORE_BATCH_H
#define STORE_BATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/err.h"
#include "store/ledger.h"
#include "store/rows.h"

struct ledger_file;

enum batch_kind {
    BATCH_NOTE, /* the message's receipts only, or nothing */
    BATCH_READ,
    BATCH_RECORD,
    BATCH_STORED,
    BATCH_DELETED,
};

/* A message in hand, and its row. All but the receipt is for the worker alone: zero at first. */
struct batch_message {
    struct ledger_receipt receipt; /* texts are the ledger's */
    unsigned generation;           /* of the file where it has this number */
    unsigned receipts;             /* of ours that the row counts */
    unsigned fresh;                /* the same, when the batch is committed */
    struct rows_message row;       /* number 0: not known */
};

/* What one call asks for. What it points to, but the message, is for the ledger to free. */
struct batch_op {
    enum batch_kind kind;
    struct batch_message *message;
    unsigned receipts; /* of the message, when it was asked */
    int64_t wall_ms;
    struct ledger_step step; /* BATCH_RECORD; texts are the op's */
    char *reason;            /* BATCH_STORED; found by BATCH_READ; of BATCH_DELETED the outcome */
    char *hook;              /* BATCH_STORED */
    struct ledger_message found; /* BATCH_READ */
    struct ledger_step *found_steps;
    TAILQ_ENTRY(batch_op) link;
};

TAILQ_HEAD(batch_ops, batch_op);

struct batch {
    struct ledger_file *file; /* borrowed */
    struct batch_ops ops;     /* in the order asked */
    int64_t prune_now_ms;     /* 0: nothing to prune in this batch */
    int64_t prune_before_ms;
    int64_t prune_place; /* moves on when the batch is committed: rows_prune */
    /* What became of it. */
    bool good;
    struct err err; /* unless good */
    char *refused;  /* a sentence about a step that was left out, in fresh memory; or NULL */
    /* While it is written. */
    struct batch_op **deleted; /* not marked yet */
    unsigned deleted_count;
};

/* An empty one. */
void batch_init(struct batch *batch, struct ledger_file *file);
/* Sees to it that the file is ready, and writes the batch; blocks. The operations stay in it: when it
 * was good they are done, and else they are as before, to be run again; the file is opened anew then. */
void batch_run(struct batch *batch);

#endif
