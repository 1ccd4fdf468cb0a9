/* SPDX-License-Identifier: MIT */
/* One record of the spool as a file. */
#include "store/spool_file.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"
#include "codec/date.h"
#include "codec/json.h"
#include "codec/sha.h"

#define SUFFIX    ".json"
#define PLAIN_LEN 64 /* of a message id that a file can be called by */
#define MAX_DEPTH 4

/* --- names --- */

/* The first bytes of a text's SHA-256, as hex. */
static void put_hash(const char *text, size_t bytes, char *ret_hex)
{
    unsigned char digest[SHA256_SIZE];

    sha256(text, strlen(text), digest);
    for (size_t i = 0; i < bytes; i++)
        snprintf(ret_hex + 2 * i, 3, "%02x", digest[i]);
}

/* An id is the service's word: only what looks like one becomes part of a name. */
static bool is_plain(const char *message_id)
{
    size_t len = strlen(message_id);

    for (const char *c = message_id; *c != '\0'; c++) {
        if (!isalnum((unsigned char)*c) && *c != '-')
            return false;
    }
    return len > 0 && len <= PLAIN_LEN;
}

void spool_file_name(const char *queue_url, const char *message_id,
                     char ret_name[static SPOOL_FILE_NAME_MAX])
{
    char queue[SPOOL_FILE_QUEUE_LEN + 1], id[PLAIN_LEN + 1];

    put_hash(queue_url, SPOOL_FILE_QUEUE_LEN / 2, queue);
    put_hash(message_id, SHA256_SIZE, id);
    snprintf(ret_name, SPOOL_FILE_NAME_MAX, "%s-%s" SUFFIX, queue,
             is_plain(message_id) ? message_id : id);
}

bool spool_file_is_name(const char *name)
{
    return strspn(name, "0123456789abcdef") == SPOOL_FILE_QUEUE_LEN &&
           name[SPOOL_FILE_QUEUE_LEN] == '-' && str_ends(name, SUFFIX) &&
           strlen(name) < SPOOL_FILE_NAME_MAX;
}

/* --- writing --- */

static void put_member(struct json_writer *json, const char *name, const char *text)
{
    json_write_name(json, name);
    json_write_text(json, text);
}

char *spool_file_content(const char *queue_url, const char *message_id, const char *text,
                         size_t *ret_len)
{
    struct json_writer *json = json_writer_new();
    char now[DATE_TEXT_MAX];

    date_format_iso(clock_wall_ms(), now);
    json_write_open(json, '{');
    put_member(json, "queue", queue_url);
    put_member(json, "message_id", message_id);
    put_member(json, "spooled", now);
    put_member(json, "text", text);
    json_write_close(json, '}');
    char *content = xasprintf("%s\n", json_writer_text(json, ret_len));
    *ret_len += 1;
    json_writer_free(json);
    return content;
}

static bool fail(struct err *err, const char *what, const char *path)
{
    return err_set_errno(err, ERR_HOST, errno, "can not %s %s", what, path);
}

static bool sync_directory(const char *path, struct err *err)
{
    autoclose int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return (fd >= 0 && fsync(fd) == 0) || fail(err, "sync", path);
}

/* Makes a directory, durably. One that is there is fine. */
static bool make_directory(const char *path, struct err *err)
{
    autofree char *above = xasprintf("%s/..", path);

    if (mkdir(path, 0700) < 0)
        return errno == EEXIST || fail(err, "make", path);
    return sync_directory(above, err);
}

static bool make_directories(const char *path, struct err *err)
{
    autofree char *above = xstrndup(path, (size_t)(strrchr(path, '/') - path));

    return (above[0] == '\0' || make_directory(above, err)) && make_directory(path, err);
}

static bool write_whole(int fd, const char *content, size_t len)
{
    size_t done = 0;

    while (done < len) {
        ssize_t wrote = write(fd, content + done, len - done);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return false;
        done += (size_t)wrote;
    }
    return fsync(fd) == 0;
}

bool spool_file_write(const char *directory, const char *name, const char *content, size_t len,
                      struct err *err)
{
    autofree char *path = xasprintf("%s/%s", directory, name);
    autofree char *temporary = xasprintf("%s/.%s.tmp", directory, name);

    if (!make_directories(directory, err))
        return false;
    autoclose int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return fail(err, "make", temporary);
    if (!write_whole(fd, content, len) || rename(temporary, path) < 0) {
        fail(err, "write", path);
        unlink(temporary);
        return false;
    }
    if (sync_directory(directory, err))
        return true;
    /* It counts as not stored, so it must not be found. */
    unlink(path);
    return false;
}

/* --- reading --- */

static bool read_whole(int fd, const char *path, struct buf *content, struct err *err)
{
    char chunk[16384];
    ssize_t got;

    while ((got = read(fd, chunk, sizeof(chunk))) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail(err, "read", path);
        if (!buf_append(content, chunk, (size_t)got))
            return err_set(err, ERR_REJECTED, "%s is too long for a poison record", path);
    }
    return true;
}

static bool is_called(const char *name, const char *queue_url, const char *message_id)
{
    char own[SPOOL_FILE_NAME_MAX];

    spool_file_name(queue_url, message_id, own);
    return strcmp(own, name) == 0;
}

bool spool_file_read(const char *directory, const char *name, char **ret_message_id,
                     char **ret_text, struct err *err)
{
    autofree char *path = xasprintf("%s/%s", directory, name);
    autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    autobuf content;
    struct json_doc *doc;

    buf_init(&content, SPOOL_FILE_MAX_BYTES);
    if (fd < 0 && errno == ENOENT)
        return err_set(err, ERR_GONE, "%s is there no more", path);
    if (fd < 0)
        return fail(err, "open", path);
    if (!read_whole(fd, path, &content, err))
        return false;
    if (json_parse(content.data, content.len, MAX_DEPTH, &doc) != JSON_OK)
        return err_set(err, ERR_REJECTED, "%s is no poison record", path);
    const char *queue_url = json_member_text(json_root(doc), "queue");
    const char *message_id = json_member_text(json_root(doc), "message_id");
    const char *text = json_member_text(json_root(doc), "text");
    bool whole = queue_url != NULL && message_id != NULL && text != NULL;
    /* One that was copied from elsewhere must not go to this queue. */
    whole = whole && is_called(name, queue_url, message_id);
    if (whole) {
        *ret_message_id = xstrdup(message_id);
        *ret_text = xstrdup(text);
    }
    json_doc_free(doc);
    return whole || err_set(err, ERR_REJECTED, "%s is no poison record of its queue", path);
}
