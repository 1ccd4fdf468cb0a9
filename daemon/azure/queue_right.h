/* SPDX-License-Identifier: MIT */
/*
 * The rights on a queue, and how each is tried without receiving, storing or changing a message. The
 * service looks at the credential's rights before it looks at a request's parameters. So a request that it has to
 * refuse for those tells whether the right is there: 400 with it, 403 without.
 *
 *   get       Get Messages, more of them than may be asked for, and hidden for no time
 *   delete    Delete Message, of a message that there is not: 404, or 400 for its receipt
 *   update    Update Message, the same
 *   put       Put Message, to be seen only after it has expired
 *   metadata  Get Queue Metadata, which changes nothing: 200
 */
#ifndef AZURE_QUEUE_RIGHT_H
#define AZURE_QUEUE_RIGHT_H

#include <stdint.h>

#include "azure/queue.h"

struct storage_right;

enum queue_right {
    QUEUE_RIGHT_GET,
    QUEUE_RIGHT_DELETE,
    QUEUE_RIGHT_UPDATE,
    QUEUE_RIGHT_PUT,
    QUEUE_RIGHT_METADATA,
};

enum queue_verdict {
    QUEUE_HOLDS,    /* the right is there */
    QUEUE_LACKS,    /* the credential is good and has not this right */
    QUEUE_REFUSED,  /* the credential is not taken, whatever is asked: wrong, expired, a firewall */
    QUEUE_NO_QUEUE, /* the queue, or the account, is not there */
    QUEUE_UNKNOWN,  /* no answer, or one that tells nothing */
};

/* done's answer means nothing: queue_right_judge reads err. */
struct queue_call *queue_right_try(struct queue *queue, enum queue_right right, int64_t timeout_ms,
                                   queue_done_fn *done, void *arg);
/* What the end of a try says; err is NULL when the service did what was asked. */
enum queue_verdict queue_right_judge(enum queue_right right, const struct err *err);
/* "get", "delete", ... */
const char *queue_right_name(enum queue_right right);
/* The letter and the role that it takes. */
const struct storage_right *queue_right_needs(enum queue_right right);

#endif
