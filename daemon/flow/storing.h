/* SPDX-License-Identifier: MIT */
/* Putting one text into a poison queue, which is made when it is missing. */
#ifndef FLOW_STORING_H
#define FLOW_STORING_H

#include <stdint.h>

struct err;
struct queue;
struct storing;

/* Fires exactly once, never from inside the start, unless cancelled. err is NULL when it is stored. */
typedef void storing_done_fn(void *arg, const struct err *err);

/* text is borrowed until done. timeout_ms is of one request. */
struct storing *storing_start(struct queue *poison, const char *text, int64_t timeout_ms,
                              storing_done_fn *done, void *arg);
/* NULL is fine. */
void storing_cancel(struct storing *storing);

#endif
