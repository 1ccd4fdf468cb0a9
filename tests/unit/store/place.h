/* SPDX-License-Identifier: MIT */
/* What the tests of the store share: a directory of the test's own, with real files, on a real disk. */
#ifndef TESTS_STORE_PLACE_H
#define TESTS_STORE_PLACE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/err.h"

struct place {
    char directory[64]; /* state_dir is in it, and not yet made */
    char state_dir[80];
};

static inline void place_init(struct place *place)
{
    strcpy(place->directory, "/tmp/cvnotifyd-test-XXXXXX");
    assert_non_null(mkdtemp(place->directory));
    snprintf(place->state_dir, sizeof(place->state_dir), "%s/state", place->directory);
}

static inline int place_done(const struct place *place)
{
    autofree char *command = xasprintf("rm -rf '%s'", place->directory);

    return system(command);
}

/* A path in state_dir. */
static inline char *path_in(const struct place *place, const char *name)
{
    return xasprintf("%s/%s", place->state_dir, name);
}

static inline bool is_there(const struct place *place, const char *name)
{
    autofree char *path = path_in(place, name);

    return access(path, F_OK) == 0;
}

static inline void make_state_dir(const struct place *place)
{
    assert_int_equal(mkdir(place->state_dir, 0700), 0);
}

static inline void write_in(const struct place *place, const char *name, const char *text)
{
    autofree char *path = path_in(place, name);
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* At most a kilobyte, in fresh memory. */
static inline char *read_in(const struct place *place, const char *name)
{
    autofree char *path = path_in(place, name);
    char text[1024];
    FILE *file = fopen(path, "r");

    assert_non_null(file);
    size_t len = fread(text, 1, sizeof(text), file);
    fclose(file);
    return xstrndup(text, len);
}

static inline mode_t mode_in(const struct place *place, const char *name)
{
    autofree char *path = path_in(place, name);
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}

static inline void remove_in(const struct place *place, const char *name)
{
    autofree char *path = path_in(place, name);

    assert_int_equal(unlink(path), 0);
}

/* Overwrites the pages from there on, and the file's length stays. */
static inline void spoil(const struct place *place, const char *name, off_t from)
{
    autofree char *path = path_in(place, name);
    char junk[512];
    int fd = open(path, O_WRONLY);
    struct stat st;

    assert_true(fd >= 0 && fstat(fd, &st) == 0 && from < st.st_size);
    memset(junk, 'J', sizeof(junk));
    for (off_t at = from; at + (off_t)sizeof(junk) <= st.st_size; at += (off_t)sizeof(junk))
        assert_int_equal(pwrite(fd, junk, sizeof(junk), at), sizeof(junk));
    close(fd);
}

/* Runs SQL as another program would; the file must not be in use. */
static inline void run_sql(const struct place *place, const char *name, const char *sql)
{
    autofree char *command = xasprintf("sqlite3 '%s/%s' \"%s\" >'%s/sql.out'", place->state_dir,
                                       name, sql, place->directory);

    assert_int_equal(system(command), 0);
}

/* What SQL answers, in fresh memory. */
static inline char *ask_sql(const struct place *place, const char *name, const char *sql)
{
    run_sql(place, name, sql);
    char *text = read_in(place, "../sql.out");
    size_t len = strlen(text);
    if (len > 0 && text[len - 1] == '\n')
        text[len - 1] = '\0';
    return text;
}

static inline void expect_sql(const struct place *place, const char *sql, const char *wanted)
{
    autofree char *got = ask_sql(place, "ledger.db", sql);

    assert_string_equal(got, wanted);
}

/* A disk of so few kilobytes under state_dir, which no other process sees. False: not allowed here. */
static inline bool mount_small(const struct place *place, unsigned kilobytes)
{
    autofree char *size = xasprintf("size=%uk", kilobytes);

    return unshare(CLONE_NEWNS) == 0 &&
           mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("none", place->state_dir, "tmpfs", 0, size) == 0;
}

static inline void unmount_small(const struct place *place)
{
    assert_int_equal(umount2(place->state_dir, MNT_DETACH), 0);
}

/* Fills what is left of a disk. */
static inline void fill(const struct place *place)
{
    static const char block[1024];
    autofree char *path = path_in(place, "filler");
    int fd = open(path, O_WRONLY | O_CREAT, 0600);

    assert_true(fd >= 0);
    while (write(fd, block, sizeof(block)) == sizeof(block))
        ;
    assert_int_equal(errno, ENOSPC);
    close(fd);
}

static inline void expect_text(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("\"%s\" is not in: %s", part, text);
}

#endif
