/* SPDX-License-Identifier: MIT */
/*
 * What a Storage service's failed answer means: its code (header or XML body), its request id, the
 * decision it forces, and a sentence with the mend. Source: Storage REST, "Common REST API error
 * codes" and "Queue service error codes".
 */
#ifndef AZURE_STORAGE_ERROR_H
#define AZURE_STORAGE_ERROR_H

#include "base/err.h"

struct http_reply;

/* `what` is the operation for the sentence: "Get Messages". Copes with no body, a garbled body, and
 * a proxy's HTML. */
void storage_error_read(const struct http_reply *reply, const char *what, struct err *ret_err);

#endif
