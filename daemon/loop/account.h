/* SPDX-License-Identifier: MIT */
/*
 * The user and the groups that a program runs as. Asks the name services, which may block: for the
 * worker thread, and for checks at start.
 */
#ifndef LOOP_ACCOUNT_H
#define LOOP_ACCOUNT_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

struct account {
    bool ours; /* neither user nor group was named: nothing to switch */
    uid_t uid;
    gid_t gid;
    gid_t *groups;
    int group_count;
    char *home;
};

/* Names or numbers; either may be NULL. ERR_HOST when there is no such user or group. */
bool account_find(const char *user, const char *group, struct account *ret_account,
                  struct err *err) MUST_CHECK;
void account_done(struct account *account);
/* Whether this process may become it. */
bool account_is_allowed(const struct account *account);

#endif
