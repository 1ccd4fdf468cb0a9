/* SPDX-License-Identifier: MIT */
/*
 * Whether a queue's credential may update messages: renew leases, hide for a retry, give back. One that
 * may not can still receive and delete (SAS permission p, role Storage Queue Data Message Processor).
 * Known ahead when the credential says so itself, else learnt from the service's first refusal; what
 * follows from it is the listener's and the deliveries' business. No I/O.
 */
#ifndef FLOW_UPDATE_RIGHT_H
#define FLOW_UPDATE_RIGHT_H

#include <stdbool.h>
#include <stdint.h>

struct err;

/* Begins as zeroes: the right is there until the contrary is known. */
struct update_right {
    bool lacking;      /* the credential says so */
    bool refused;      /* the service says so */
    bool doubtful;     /* the last Get was refused, too */
    bool said;         /* since it was last forgotten */
    bool told;         /* whoever was told wants to hear when it is over, too */
    unsigned version;  /* of the credential that all this is about */
    int64_t again_ms;  /* monotonic; when the service may be asked again */
    int64_t reread_ms; /* and when to look for another secret; 0 while there is no need */
};

/* What the credential in use says of itself; another version than before is another credential, of
 * which nothing was learnt yet. */
void update_right_look(struct update_right *right, bool lacking, unsigned version);
/* A request to update failed so. Only a right that lacks counts, not a credential that is no good: of
 * one that can not get messages either, nothing is learnt. */
void update_right_refused(struct update_right *right, const struct err *err, int64_t now_ms);
/* How the last Get went: whether it was refused. Then nothing is known about the one right. */
void update_right_got(struct update_right *right, bool was_refused);
/* A reload: all may be different, and is said again if it is not. */
void update_right_forget(struct update_right *right);
bool update_right_is_missing(const struct update_right *right);
/* Whether a request to update makes sense: also a while after a refusal, until the next, for a role may
 * have been given. */
bool update_right_may_try(const struct update_right *right, int64_t now_ms);
/* Whether the secret is to be read again, now and then while the right is missing, in case that
 * somebody has put a better one there. True counts as read. */
bool update_right_wants_reread(struct update_right *right, int64_t now_ms);
/* Whether it is missing and to be said; the caller says it then. */
bool update_right_is_news(struct update_right *right);
/* A request to update went well. True when the contrary had been said, and is over now: so soon after a
 * refusal that it makes no sense to try, it tells nothing, for while a grant spreads the right comes and
 * goes. */
bool update_right_works(struct update_right *right, int64_t now_ms);
/* What is wrong, for the status: a sentence; NULL when nothing is, or was said. */
const char *update_right_trouble(const struct update_right *right);
/* For how long to lease messages without the right, whose hooks run for longest_ms at most. */
int64_t update_right_lease_ms(int64_t lease_ms, int64_t longest_ms);

#endif
