/* SPDX-License-Identifier: MIT */
/*
 * The ledger's file, kept usable: made when it is missing, moved aside when it is damaged, written anew
 * when somebody deletes it while we hold it, opened again after a disk has failed. All calls block and
 * belong to one thread at a time.
 */
#ifndef STORE_LEDGER_FILE_H
#define STORE_LEDGER_FILE_H

#include <stdbool.h>

#include "base/alloc.h"

struct database;
struct err;
struct ledger_file;
struct rows;

struct ledger_file *ledger_file_new(const char *state_dir);
/* Closes it. NULL is fine. */
void ledger_file_free(struct ledger_file *file);
/* Sees to it that the file is there, is ours and is open. Otherwise err is as state_dir_claim's and
 * schema_update's. */
bool ledger_file_ready(struct ledger_file *file, struct err *err) MUST_CHECK;
/* Of a file that is ready; borrowed until the next call. */
struct database *ledger_file_database(const struct ledger_file *file);
struct rows *ledger_file_rows(const struct ledger_file *file);
/* Something failed on it, and why: it is opened anew the next time, and moved aside before if it is
 * damaged. */
void ledger_file_failed(struct ledger_file *file, const struct err *why);
/* Changes whenever the file is opened: a row may have another number then, or be gone. */
unsigned ledger_file_generation(const struct ledger_file *file);
/* What has happened to the file that a person should know, in fresh memory; NULL: nothing. */
char *ledger_file_news(struct ledger_file *file);

#endif
