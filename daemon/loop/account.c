/* SPDX-License-Identifier: MIT */
/* The user and the groups that a program runs as. */
#include "loop/account.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/str.h"

/* getpwnam_r and its kin fill a buffer of ours. */
#define LOOKUP_BYTES ((size_t)1024 * 1024) /* groups of a directory service can be large */

/* There may be more of them at each call: somebody may just get another. */
static void find_groups(const struct passwd *user, struct account *account)
{
    int room, got;

    do {
        room = account->group_count;
        account->groups = xreallocarray(account->groups, (size_t)room + 1, sizeof(gid_t));
        got = getgrouplist(user->pw_name, user->pw_gid, account->groups, &account->group_count);
    } while (got < 0 && account->group_count > room);
    if (got < 0)
        account->group_count = 0;
}

static bool find_user(const char *user, struct account *account, struct err *err)
{
    struct passwd entry, *found = NULL;
    autofree char *buffer = xmalloc(LOOKUP_BYTES);
    uint64_t number;

    if (str_to_uint(user, UINT32_MAX - 1, &number))
        errno = getpwuid_r((uid_t)number, &entry, buffer, LOOKUP_BYTES, &found);
    else
        errno = getpwnam_r(user, &entry, buffer, LOOKUP_BYTES, &found);
    if (found == NULL && errno != 0)
        return err_set_errno(err, ERR_HOST, errno, "can not look up user %s", user);
    if (found == NULL)
        return err_set(err, ERR_HOST, "no such user: %s", user);
    account->uid = found->pw_uid;
    account->gid = found->pw_gid;
    account->home = xstrdup(found->pw_dir);
    find_groups(found, account);
    return true;
}

static bool find_group(const char *group, struct account *account, struct err *err)
{
    struct group entry, *found = NULL;
    autofree char *buffer = xmalloc(LOOKUP_BYTES);
    uint64_t number;

    if (str_to_uint(group, UINT32_MAX - 1, &number)) {
        account->gid = (gid_t)number;
        return true;
    }
    errno = getgrnam_r(group, &entry, buffer, LOOKUP_BYTES, &found);
    if (found == NULL && errno != 0)
        return err_set_errno(err, ERR_HOST, errno, "can not look up group %s", group);
    if (found == NULL)
        return err_set(err, ERR_HOST, "no such group: %s", group);
    account->gid = found->gr_gid;
    return true;
}

/* What we are: for programs that run as ourselves, and as a base when only a group is named. */
static void find_ourselves(struct account *account)
{
    const char *home = getenv("HOME");
    struct err ignored;

    if (home == NULL) {
        char number[16];
        snprintf(number, sizeof(number), "%u", (unsigned)geteuid());
        if (find_user(number, account, &ignored))
            return;
    }
    account->uid = geteuid();
    account->gid = getegid();
    account->home = xstrdup(home != NULL ? home : "/");
    account->group_count = max_of(getgroups(0, NULL), 0);
    account->groups = xcalloc((size_t)account->group_count + 1, sizeof(gid_t));
    if (getgroups(account->group_count, account->groups) < 0)
        account->group_count = 0;
}

bool account_find(const char *user, const char *group, struct account *ret_account, struct err *err)
{
    struct account account = {.ours = user == NULL && group == NULL};
    bool good = true;

    if (user != NULL)
        good = find_user(user, &account, err);
    else
        find_ourselves(&account);
    if (good && group != NULL)
        good = find_group(group, &account, err);
    if (good)
        *ret_account = account;
    else
        account_done(&account);
    return good;
}

void account_done(struct account *account)
{
    free(account->groups);
    free(account->home);
    *account = (struct account){.ours = true};
}

bool account_is_allowed(const struct account *account)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
    const unsigned wanted = 1U << CAP_SETUID | 1U << CAP_SETGID;

    if (account->ours || (account->uid == geteuid() && account->gid == getegid()))
        return true;
    return syscall(SYS_capget, &header, data) == 0 && (data[0].effective & wanted) == wanted;
}
