/* SPDX-License-Identifier: MIT */
/* One record of the spool as a file. These block: for the worker thread. */
#ifndef STORE_SPOOL_FILE_H
#define STORE_SPOOL_FILE_H

#include <stdbool.h>
#include <stddef.h>

struct err;

#define SPOOL_FILE_NAME_MAX 96
/* What a record can not pass: an answer of the service has 16 MiB, and JSON may double that. */
#define SPOOL_FILE_MAX_BYTES ((size_t)48 * 1024 * 1024)

/* The file's name for a message: the first SPOOL_FILE_QUEUE_LEN bytes are the queue's. */
#define SPOOL_FILE_QUEUE_LEN 16
void spool_file_name(const char *queue_url, const char *message_id,
                     char ret_name[static SPOOL_FILE_NAME_MAX]);
/* Whether spool_file_name can have made the name. */
bool spool_file_is_name(const char *name);

/* The content of a record's file, in fresh memory. */
char *spool_file_content(const char *queue_url, const char *message_id, const char *text,
                         size_t *ret_len);
/* Writes a file and makes it durable; makes the directory, and the one above it, where missing. On
 * failure nothing is left. */
bool spool_file_write(const char *directory, const char *name, const char *content, size_t len,
                      struct err *err);
/* ERR_GONE: there is none; ERR_REJECTED: it is no record; ERR_HOST: it can not be read. The texts are
 * in fresh memory. */
bool spool_file_read(const char *directory, const char *name, char **ret_message_id,
                     char **ret_text, struct err *err);

#endif
