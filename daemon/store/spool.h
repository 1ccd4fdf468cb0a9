/* SPDX-License-Identifier: MIT */
/*
 * Poison records that their poison queue does not take: kept in files until they can be moved over.
 * One file a record, `<state_dir>/spool/<queue's hash>-<message id>.json`, mode 0600, a JSON object
 * {queue, message_id, spooled, text}, text being what is to be put. Files, not rows of the ledger: they
 * survive a ledger that is damaged, and a person can read them.
 *
 * A record counts as stored once its callback has fired: it is on the disk by then (fsync of file and
 * directory). The same message again replaces its file. Files are written, read and removed on the
 * worker thread; which ones there are is known without asking the disk.
 */
#ifndef STORE_SPOOL_H
#define STORE_SPOOL_H

#include <stdbool.h>
#include <stdint.h>

struct err;
struct spool;
struct spool_op;
struct worker;

/* More than that is a poison queue that nobody looks after; what does not fit stays in its own queue. A
 * record is rarely above 2 KiB, so the count is what bounds; the bytes are what /var can spare. */
#define SPOOL_MAX_COUNT 10000
#define SPOOL_MAX_BYTES ((int64_t)256 * 1024 * 1024)

struct spool_record {
    const char *name; /* of its file */
    const char *message_id;
    const char *text;
};

/* err is NULL when it went well. The record is borrowed for the callback, and NULL with an err. */
typedef void spool_done_fn(void *arg, const struct err *err);
typedef void spool_read_fn(void *arg, const struct spool_record *record, const struct err *err);

/* Looks what is there; the directory is made when the first record comes. Blocks: for the start, before
 * the loop runs. */
struct spool *spool_open(struct worker *worker, const char *state_dir);
/* After the worker's end. NULL is fine. */
void spool_close(struct spool *spool);
const char *spool_directory(const struct spool *spool);
/* What was found wrong there: it can not be read, or holds what are no records and is left alone. NULL
 * when all is well. */
const struct err *spool_trouble(const struct spool *spool);

/* How much it holds; cheap. */
unsigned spool_count(const struct spool *spool);
int64_t spool_bytes(const struct spool *spool);
unsigned spool_count_of(const struct spool *spool, const char *queue_url);

/* No done fires from inside a start, each fires exactly once unless cancelled; the op is gone then. */

/* Stores what is to be put for a message of that queue; the texts are copied. ERR_HOST: the spool is
 * full or the disk refuses, and nothing is kept. */
struct spool_op *spool_put(struct spool *spool, const char *queue_url, const char *message_id,
                           const char *text, spool_done_fn *done, void *arg);
/* Reads the queue's oldest record that nobody has claimed, and claims it. NULL, and no callback, when
 * there is none. ERR_GONE: the file was there no more. ERR_REJECTED: it was no record, and bears the
 * name NAME.bad now; both are forgotten. ERR_HOST: it can not be read now; it comes last. */
struct spool_op *spool_next(struct spool *spool, const char *queue_url, spool_read_fn *done,
                            void *arg);
/* Gives a claimed record back; `last` behind all others, so that it does not hold them up. */
void spool_release(struct spool *spool, const char *name, bool last);
/* Removes a claimed record's file. It is forgotten, also when the file can not be removed: then it is
 * found again later. */
struct spool_op *spool_remove(struct spool *spool, const char *name, spool_done_fn *done,
                              void *arg);
/* Looks again what is there, for the disk may have been out of reach: adds what was not known. The err is
 * what spool_trouble then says, NULL when it said the same before. */
struct spool_op *spool_look(struct spool *spool, spool_done_fn *done, void *arg);
/* The callback will not fire; what was asked for is done all the same, a claim is given back. */
void spool_cancel(struct spool_op *op);

#endif
