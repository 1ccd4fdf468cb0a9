/* SPDX-License-Identifier: MIT */
/*
 * What the credentials of a configuration are good for: each queue and each poison queue is asked, with its own
 * identity, for each right that the daemon would use there (azure/queue_right). Of an identity that no queue
 * names, the credential is got. No message is received, stored or changed, and no queue is made. All queues are asked at once, each one thing after the other;
 * what fails for a reason that may pass is tried RIGHTS_TRIES times, with the waits of net/retry.
 */
#ifndef FLOW_RIGHTS_H
#define FLOW_RIGHTS_H

#include <stdbool.h>
#include <stdint.h>

#include "azure/queue_right.h"
#include "base/err.h"
#include "identity/proof.h"

struct generation;
struct loop;
struct rights;

#define RIGHTS_TRIES 5

enum rights_what {
    RIGHTS_CREDENTIAL, /* it can be had */
    RIGHTS_RIGHT,      /* one of enum queue_right */
    RIGHTS_EXISTENCE, /* of a poison queue, which is made when it is needed: no right is missing when the
                          credential may not look */
};

/* What one try, or the last of several, has told. */
struct rights_row {
    const char *name; /* of the queue; of the identity where no queue names it: its only row */
    bool of_poison;   /* of its poison queue */
    enum rights_what what;
    enum queue_right right;
    enum queue_verdict verdict;
    bool is_unchecked; /* a systemd credential that is not there for us; it is the only row */
    bool is_said;      /* the credential says of itself that it lacks the right */
    enum identity_proof proof; /* what was shown; for a right */
    bool can_not_make;         /* it says that it may make no queue */
    struct err err; /* why it does not hold; ERR_NONE: not tried, for the reason of a row before */
};

/* A failure that may pass. */
struct rights_failure {
    const struct rights_row *row; /* verdict and err as they are now */
    unsigned tries;               /* so far; RIGHTS_TRIES: it is not tried again */
    int64_t delay_ms;             /* till the next */
};

struct rights_context {
    struct loop *loop;
    /* Rows come in the order of the configuration, a queue's before its poison queue's, identities that no
     * queue names last. All from the loop. */
    void (*row)(void *arg, const struct rights_row *row);
    void (*failed)(void *arg, const struct rights_failure *failure);
    /* Every row was told. */
    void (*done)(void *arg);
    void *arg;
};

/* generation is borrowed, and outlives it. */
struct rights *rights_new(const struct rights_context *context, struct generation *generation);
/* Ends what is under way. Not from inside row and failed. NULL is fine. */
void rights_free(struct rights *rights);

#endif
