/* SPDX-License-Identifier: MIT */
/*
 * The ledger's tables: `message`, a row for each message from its first receipt on, and `step`, a row for
 * each hook that it met. Plain calls that block, for store/batch; each is part of the transaction that
 * the caller has begun. A failure leaves it to the caller to roll back.
 *
 * A row whose message is not deleted is found by its message id and queue (an index of those alone, so
 * that history costs nothing); afterwards by its number.
 */
#ifndef STORE_ROWS_H
#define STORE_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/alloc.h"

struct database;
struct err;
struct ledger_receipt;
struct ledger_step;
struct rows;

/* What stands in a message's row, beside what its receipt tells. */
struct rows_message {
    int64_t number;
    unsigned receipts;
    bool is_stored; /* its poison record */
};

/* Makes a file with empty tables, as database_make does. */
bool rows_make(const char *path, struct err *err) MUST_CHECK;
/* Brings the tables up to date. database is borrowed. */
bool rows_open(struct database *database, struct rows **ret_rows, struct err *err) MUST_CHECK;
void rows_close(struct rows *rows);

/* A row for a message that should have none, with so many receipts; its number is 0 if it has one. */
bool rows_insert(struct rows *rows, const struct ledger_receipt *receipt, unsigned receipts,
                 int64_t wall_ms, struct rows_message *ret_message, struct err *err) MUST_CHECK;
/* Counts `more` receipts in a message's row; it gets one that counts `all` if it has none. */
bool rows_receive(struct rows *rows, const struct ledger_receipt *receipt, unsigned all,
                  unsigned more, int64_t wall_ms, struct rows_message *ret_message,
                  struct err *err) MUST_CHECK;
/* The steps of a message, in fresh memory: rows_free_steps. */
bool rows_read_steps(struct rows *rows, int64_t number, struct ledger_step **ret_steps,
                     unsigned *ret_count, struct err *err) MUST_CHECK;
void rows_free_steps(struct ledger_step *steps, unsigned count);
bool rows_write_step(struct rows *rows, int64_t number, const struct ledger_step *step,
                     struct err *err) MUST_CHECK;
/* Why a message whose poison record is stored went there, in fresh memory. */
bool rows_read_reason(struct rows *rows, int64_t number, char **ret_reason,
                      struct err *err) MUST_CHECK;
/* The poison record is stored. */
bool rows_mark_stored(struct rows *rows, int64_t number, const char *reason, const char *hook,
                      int64_t wall_ms, struct err *err) MUST_CHECK;
/* The messages numbered so, first and last included, are deleted. */
bool rows_mark_deleted(struct rows *rows, int64_t first, int64_t last, const char *outcome,
                       int64_t wall_ms, struct err *err) MUST_CHECK;
/* Takes away what was over before `before_ms` (deleted, or expired), looking at a bounded number of
 * rows from *place on. *place is then where to go on, 0 at the end. What is not deleted stays until the
 * service's own clock, as the newest row tells it, has passed its expiry: ours may be wrong. */
bool rows_prune(struct rows *rows, int64_t before_ms, int64_t now_ms, int64_t *place,
                struct err *err) MUST_CHECK;
/* Messages received since then that are not deleted. */
bool rows_count_undeleted(struct rows *rows, int64_t since_ms, unsigned *ret_count,
                          struct err *err) MUST_CHECK;

#endif
