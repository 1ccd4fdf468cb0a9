/* SPDX-License-Identifier: MIT */
/* The key that Azure Arc's agent wants to see. */
#include "identity/arc_key.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/secret.h"
#include "base/str.h"
#include "loop/account.h"

#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."
#define NAME_MAX_BYTES  ((size_t)128)

/* --- the challenge --- */

/* One `name=value` of a challenge (RFC 9110, section 11.2), value quoted or not, unquoted paths too. Moves
 * *cursor behind it; false when there is none. */
static bool next_parameter(const char **cursor, const char **ret_name, size_t *ret_name_len,
                           char **ret_value)
{
    const char *name = *cursor + strspn(*cursor, " \t,");
    size_t name_len = strcspn(name, "= \t,\"");
    const char *value = name + name_len;

    if (name_len == 0 || *value != '=')
        return false;
    bool quoted = *++value == '"';
    value += quoted;
    size_t len = strcspn(value, quoted ? "\"" : " \t,");
    if (quoted && value[len] != '"')
        return false;
    *cursor = value + len + quoted;
    *ret_name = name;
    *ret_name_len = name_len;
    *ret_value = xstrndup(value, len);
    return true;
}

/* The realm of a Basic challenge in fresh memory; NULL when there is none. */
static char *find_realm(const char *challenge)
{
    const char *cursor = challenge + strspn(challenge, " \t"), *name;
    size_t name_len;
    char *value;

    if (strncasecmp(cursor, "Basic", 5) != 0 || (cursor[5] != ' ' && cursor[5] != '\t'))
        return NULL;
    cursor += 5;
    while (next_parameter(&cursor, &name, &name_len, &value)) {
        if (name_len == 5 && strncasecmp(name, "realm", 5) == 0)
            return value;
        alloc_free(value);
    }
    return NULL;
}

bool arc_key_path(const char *challenge, const char *directory, char **ret_path, struct err *err)
{
    autofree char *path = find_realm(challenge);
    size_t len = strlen(directory);

    if (path == NULL)
        return err_set(err, ERR_AUTH, "its challenge names no key file: Basic realm=FILE is due");
    if (!str_starts(path, directory) || path[len] != '/')
        return err_set(err, ERR_AUTH,
                       "its challenge names a file that is not in %s, and it was not read",
                       directory);
    const char *name = path + len + 1;
    if (!str_ends(name, ".key"))
        return err_set(err, ERR_AUTH,
                       "its challenge names a file that does not end in .key, and it was not read");
    if (name[strspn(name, NAME_CHARACTERS)] != '\0' || *name == '.' ||
        strlen(name) > NAME_MAX_BYTES)
        return err_set(err, ERR_AUTH,
                       "its challenge names a file that is not right in %s, and it was not read",
                       directory);
    *ret_path = take(path);
    return true;
}

/* --- the file --- */

static bool fail_to_open(const char *path, int os_errno, struct err *err)
{
    if (os_errno == EACCES || os_errno == EPERM)
        return err_set(err, ERR_AUTH,
                       "its key file %s is not for us to read: add the daemon's user to the group "
                       "%s and restart the daemon",
                       path, ARC_KEY_USER);
    if (os_errno == ELOOP)
        return err_set(err, ERR_AUTH, "its key file %s is a symbolic link, and was not read", path);
    return err_set_errno(err, ERR_AUTH, os_errno, "its key file %s can not be read", path);
}

static bool is_owner(uid_t owner, const char *user)
{
    struct account account;
    struct err ignored;

    if (owner == 0)
        return true;
    if (!account_find(user, NULL, &account, &ignored))
        return false;
    bool same = account.uid == owner;
    account_done(&account);
    return same;
}

static bool check_file(int fd, const char *path, const char *user, struct err *err)
{
    struct stat info;

    if (fstat(fd, &info) != 0)
        return fail_to_open(path, errno, err);
    if (!S_ISREG(info.st_mode))
        return err_set(err, ERR_AUTH, "its key file %s is no regular file", path);
    if (!is_owner(info.st_uid, user))
        return err_set(err, ERR_AUTH,
                       "its key file %s is neither root's nor %s's, and was not read", path, user);
    if (info.st_size == 0 || (size_t)info.st_size > ARC_KEY_MAX_BYTES)
        return err_set(err, ERR_AUTH, "its key file %s has %lld bytes, not 1 to %zu", path,
                       (long long)info.st_size, ARC_KEY_MAX_BYTES);
    return true;
}

static bool read_key(int fd, const char *path, struct secret *ret_key, struct err *err)
{
    char bytes[ARC_KEY_MAX_BYTES + 1];
    ssize_t got = read(fd, bytes, sizeof(bytes) - 1);

    if (got < 0)
        return fail_to_open(path, errno, err);
    bytes[got] = '\0';
    bool good = strlen(bytes) == (size_t)got;
    const char *key = str_trim(bytes);
    good = good && *key != '\0' && str_is_visible(key);
    if (good)
        secret_set(ret_key, key, strlen(key));
    else
        err_set(err, ERR_AUTH, "its key file %s holds no key", path);
    explicit_bzero(bytes, sizeof(bytes));
    return good;
}

bool arc_key_read(const char *path, const char *user, struct secret *ret_key, struct err *err)
{
    autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);

    if (fd < 0)
        return fail_to_open(path, errno, err);
    return check_file(fd, path, user, err) && read_key(fd, path, ret_key, err);
}
