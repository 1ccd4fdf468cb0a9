/* SPDX-License-Identifier: MIT */
/* A value that must never be printed. */
#include "base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/str.h"

#define FILE_MAX_BYTES ((size_t)64 * 1024)

void secret_set(struct secret *secret, const char *bytes, size_t len)
{
    char *copy = NULL;

    if (len != 0) {
        copy = xmalloc(len + 1);
        memcpy(copy, bytes, len);
        copy[len] = '\0';
    }
    secret_done(secret);
    secret->bytes = copy;
    secret->len = len;
}

void secret_done(struct secret *secret)
{
    if (secret->bytes != NULL)
        explicit_bzero(secret->bytes, secret->len);
    free(secret->bytes);
    *secret = (struct secret){0};
}

bool secret_is_set(const struct secret *secret)
{
    return secret->len != 0;
}

const char *secret_reveal(const struct secret *secret)
{
    return secret->bytes == NULL ? "" : secret->bytes;
}

/* Takes the same time wherever the two differ. */
bool secret_equal(const struct secret *a, const struct secret *b)
{
    unsigned char difference = 0;

    if (a->len != b->len)
        return false;
    for (size_t i = 0; i < a->len; i++)
        difference |= (unsigned char)(a->bytes[i] ^ b->bytes[i]);
    return difference == 0;
}

void secret_free_text(char *text)
{
    if (text != NULL)
        explicit_bzero(text, strlen(text));
    free(text);
}

/* Whether the file lies, links followed, below the directory where systemd puts credentials. */
static bool is_credential(const char *path)
{
    const char *directory = getenv("CREDENTIALS_DIRECTORY");

    if (directory == NULL || directory[0] == '\0')
        return false;
    autofree char *real_directory = realpath(directory, NULL);
    autofree char *real_path = realpath(path, NULL);
    if (real_directory == NULL || real_path == NULL || !str_starts(real_path, real_directory))
        return false;
    return real_path[strlen(real_directory)] == '/';
}

/* Whether it is on a file system in memory: Kubernetes and Docker mount secrets so, readable. */
static bool is_in_memory(int fd)
{
    struct statfs fs;

    return fstatfs(fd, &fs) == 0 && (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
}

/* Opens what may be read as a secret. Non-blocking, for a FIFO would hold the caller up for ever. */
static bool open_checked(const char *path, bool allow_readable, int *ret_fd, struct err *err)
{
    struct stat st;
    autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0)
        return err_set_errno(err, ERR_AUTH, errno, "cannot read the secret file '%s'", path);
    if (fstat(fd, &st) != 0)
        return err_set_errno(err, ERR_AUTH, errno, "cannot examine the secret file '%s'", path);
    if (!S_ISREG(st.st_mode))
        return err_set(err, ERR_AUTH, "the secret file '%s' is not a regular file", path);
    if ((st.st_mode & (S_IROTH | S_IWOTH)) != 0 && !allow_readable && !is_in_memory(fd) &&
        !is_credential(path))
        return err_set(err, ERR_AUTH,
                       "the secret file '%s' is open to every user of this machine; "
                       "run: chmod o-rwx %s",
                       path, path);
    *ret_fd = fd;
    fd = -1; /* NOLINT: given away, so that its cleanup leaves it open */
    return true;
}

/* Reads until the end or until size bytes; -1 with errno. */
static ssize_t read_all(int fd, char *bytes, size_t size)
{
    size_t len = 0;

    while (len < size) {
        ssize_t got = read(fd, bytes + len, size - len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        len += (size_t)got;
    }
    return (ssize_t)len;
}

/* Takes what a file held, without the white space around it. */
static bool take_content(const char *path, const char *bytes, size_t len, struct secret *ret_secret,
                         struct err *err)
{
    if (len > FILE_MAX_BYTES)
        return err_set(err, ERR_AUTH, "the secret file '%s' is larger than 64 KiB", path);
    if (memchr(bytes, '\0', len) != NULL)
        return err_set(err, ERR_AUTH,
                       "the secret file '%s' holds a zero byte; write it as plain text, a "
                       "certificate and its key in PEM",
                       path);
    while (len != 0 && str_is_space(bytes[len - 1]))
        len--;
    while (len != 0 && str_is_space(bytes[0])) {
        bytes++;
        len--;
    }
    if (len == 0)
        return err_set(err, ERR_AUTH, "the secret file '%s' is empty", path);
    *ret_secret = (struct secret){0};
    secret_set(ret_secret, bytes, len);
    return true;
}

bool secret_read_file(const char *path, bool allow_readable, struct secret *ret_secret,
                      struct err *err)
{
    autoclose int fd = -1;

    if (!open_checked(path, allow_readable, &fd, err))
        return false;
    autofree char *bytes = xmalloc(FILE_MAX_BYTES + 1);
    ssize_t len = read_all(fd, bytes, FILE_MAX_BYTES + 1);
    bool good = len >= 0
                    ? take_content(path, bytes, (size_t)len, ret_secret, err)
                    : err_set_errno(err, ERR_AUTH, errno, "cannot read the secret file '%s'", path);
    explicit_bzero(bytes, FILE_MAX_BYTES + 1);
    return good;
}

/* How `=` is met behind `sig`: as it is, percent-encoded once and twice, and escaped in JSON. */
static const char *const equal_signs[] = {"=", "%3d", "%253d", "\\u003d"};

/* The length of `sig=`, in any writing, at the beginning of a text; 0 when it is not there. */
static size_t signature_name(const char *text)
{
    if (strncasecmp(text, "sig", 3) != 0)
        return 0;
    for (size_t i = 0; i < array_size(equal_signs); i++) {
        size_t len = strlen(equal_signs[i]);
        if (strncasecmp(text + 3, equal_signs[i], len) == 0)
            return 3 + len;
    }
    return 0;
}

static bool ends_signature(char c)
{
    return c == '\0' || strchr("&;\"'<>", c) != NULL || str_is_space(c);
}

/* Masks up to the signature's end, which it returns. */
static char *mask_signature(char *text)
{
    for (; !ends_signature(*text); text++)
        *text = '*';
    return text;
}

bool secret_mask_part(char *text, bool inside)
{
    if (inside)
        text = mask_signature(text);
    while (*text != '\0') {
        size_t name = signature_name(text);

        inside = name != 0;
        text = inside ? mask_signature(text + name) : text + 1;
    }
    return inside;
}

/* Whether a text is the beginning, but not the whole, of `sig=` in any writing. */
static bool begins_signature_name(const char *text, size_t len)
{
    if (strncasecmp(text, "sig", min_of(len, 3)) != 0)
        return false;
    for (size_t i = 0; len > 3 && i < array_size(equal_signs); i++) {
        if (len - 3 < strlen(equal_signs[i]) && strncasecmp(text + 3, equal_signs[i], len - 3) == 0)
            return true;
    }
    return len <= 3;
}

size_t secret_mask_held(const char *text)
{
    size_t len = strlen(text);

    for (size_t held = min_of(len, 8); held > 0; held--) {
        if (begins_signature_name(text + len - held, held))
            return held;
    }
    return 0;
}

void secret_mask(char *text)
{
    (void)secret_mask_part(text, false);
}
