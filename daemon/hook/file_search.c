/* SPDX-License-Identifier: MIT */
/* Lines that may stand in a file already. */
#include "hook/file_search.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"

#define LINE_BYTES (1024L * 1024) /* none of ours is longer: a message has 64 KiB */

struct search {
    const struct file_doubt *doubt;
    struct file_line **wanted;
    unsigned count;
    struct buf line; /* the one that is being read; its beginning if it is too long to be ours */
    int64_t line_at;
};

static int compare(const void *a, const void *b)
{
    const struct file_line *x = *(struct file_line *const *)a, *y = *(struct file_line *const *)b;

    if (x->text->len != y->text->len)
        return x->text->len < y->text->len ? -1 : 1;
    return memcmp(x->text->data, y->text->data, x->text->len);
}

/* A line is complete: whether it is a wanted one. */
static void end_line(struct search *search)
{
    struct file_line key = {.text = &search->line}, *pointer = &key;
    bool in_doubt = search->line_at >= search->doubt->from && search->line_at < search->doubt->upto;

    if (search->count == 0 || in_doubt)
        return;
    struct file_line **found =
        bsearch(&pointer, search->wanted, search->count, sizeof(struct file_line *), compare);
    if (found != NULL)
        (*found)->is_there = true;
}

/* Takes the next bytes of the file, which stand at `at`. */
static void take_bytes(struct search *search, const char *data, size_t len, int64_t at)
{
    while (len > 0) {
        const char *newline = memchr(data, '\n', len);
        size_t part = newline == NULL ? len : (size_t)(newline - data) + 1;

        buf_append(&search->line, data, part);
        data += part;
        len -= part;
        at += (int64_t)part;
        if (newline == NULL)
            return;
        end_line(search);
        buf_reset(&search->line);
        search->line_at = at;
    }
}

/* Whether the line that is being read is one of ours, as far as it goes. */
static bool is_ours(const struct buf *line)
{
    static const char ours[] = "{\"specversion\"";

    return !line->overflow && strncmp(line->data, ours, min_of(line->len, sizeof(ours) - 1)) == 0;
}

bool file_search(int fd, int64_t from, int64_t upto, const struct file_doubt *doubt,
                 struct file_line **wanted, unsigned count, struct file_tail *ret_tail)
{
    struct search search = {.doubt = doubt, .wanted = wanted, .count = count, .line_at = from};
    char chunk[16384];
    int64_t at = from;
    ssize_t got;

    if (count > 0)
        qsort(wanted, count, sizeof(struct file_line *), compare);
    buf_init(&search.line, LINE_BYTES);
    do {
        got = pread(fd, chunk, (size_t)min_of((int64_t)sizeof(chunk), upto - at), at);
        if (got > 0) {
            take_bytes(&search, chunk, (size_t)got, at);
            at += got;
        }
    } while ((got > 0 && at < upto) || (got < 0 && errno == EINTR));
    *ret_tail =
        (struct file_tail){.upto = at, .torn_at = search.line_at, .is_ours = is_ours(&search.line)};
    buf_done(&search.line);
    return got >= 0;
}
