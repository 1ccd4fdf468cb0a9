/* SPDX-License-Identifier: MIT */
/*
 * A disk that fails on demand and loses its power: these take the places of the C library's calls in the test
 * program, do the real thing, and note what has been synced. After power_loss nothing else is left.
 */
#ifndef TESTS_HOOK_DISK_H
#define TESTS_HOOK_DISK_H

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runs.h"

#define DISK_ENTRIES 64

static struct {
    unsigned data_syncs, directory_syncs;
    int fdatasync_errno, fsync_errno, directory_errno, ftruncate_errno, pread_errno; /* 0: well */
    void (*before_sync)(void), (*before_read)(void);
    struct {
        ino_t inode;
        off_t size;
    } files[DISK_ENTRIES];
    struct {
        ino_t directory, inode;
        char name[256];
    } names[DISK_ENTRIES];
} disk;

static inline int disk_set_up(void **state)
{
    memset(&disk, 0, sizeof(disk));
    return hook_set_up(state);
}

static int disk_fails(int error)
{
    errno = error;
    return -1;
}

static void note_file(int fd)
{
    struct stat st;
    unsigned i = 0;

    fstat(fd, &st);
    while (disk.files[i].inode != 0 && disk.files[i].inode != st.st_ino)
        i++;
    assert_true(i < DISK_ENTRIES);
    disk.files[i].inode = st.st_ino;
    disk.files[i].size = st.st_size;
}

static off_t safe_size(ino_t inode)
{
    for (unsigned i = 0; i < DISK_ENTRIES; i++) {
        if (disk.files[i].inode == inode)
            return disk.files[i].size;
    }
    return 0;
}

static DIR *list_of(int fd)
{
    DIR *list = fdopendir(dup(fd));

    assert_non_null(list);
    rewinddir(list);
    return list;
}

static void note_directory(int fd, const struct stat *st)
{
    DIR *list = list_of(fd);
    const struct dirent *entry;

    for (unsigned i = 0; i < DISK_ENTRIES; i++) {
        if (disk.names[i].directory == st->st_ino)
            disk.names[i].inode = 0;
    }
    while ((entry = readdir(list)) != NULL) {
        unsigned i = 0;
        while (disk.names[i].inode != 0)
            i++;
        assert_true(i < DISK_ENTRIES);
        disk.names[i].directory = st->st_ino;
        disk.names[i].inode = entry->d_ino;
        snprintf(disk.names[i].name, sizeof(disk.names[i].name), "%s", entry->d_name);
    }
    closedir(list);
}

static bool is_safe_name(ino_t directory, const struct dirent *entry)
{
    for (unsigned i = 0; i < DISK_ENTRIES; i++) {
        if (disk.names[i].directory == directory && disk.names[i].inode == entry->d_ino &&
            strcmp(disk.names[i].name, entry->d_name) == 0)
            return true;
    }
    return false;
}

/* Of a directory below the test's own, "" for that itself. */
static inline void power_loss(const struct fixture *fixture, const char *name)
{
    autofree char *path = path_of(fixture, name);
    DIR *list = opendir(path);
    const struct dirent *entry;
    struct stat st;

    assert_non_null(list);
    fstat(dirfd(list), &st);
    while ((entry = readdir(list)) != NULL) {
        autofree char *file = xasprintf("%s/%s", path, entry->d_name);
        if (entry->d_type != DT_REG)
            continue;
        if (is_safe_name(st.st_ino, entry))
            assert_int_equal(truncate(file, safe_size(entry->d_ino)), 0);
        else
            unlink(file);
    }
    closedir(list);
}

int fdatasync(int fd)
{
    disk.data_syncs++;
    if (disk.before_sync != NULL)
        disk.before_sync();
    if (disk.fdatasync_errno != 0)
        return disk_fails(disk.fdatasync_errno);
    note_file(fd);
    return 0;
}

int fsync(int fd)
{
    struct stat st;

    fstat(fd, &st);
    if (S_ISDIR(st.st_mode))
        disk.directory_syncs++;
    else
        disk.data_syncs++;
    int error = S_ISDIR(st.st_mode) ? disk.directory_errno : disk.fsync_errno;
    if (error != 0)
        return disk_fails(error);
    if (S_ISDIR(st.st_mode))
        note_directory(fd, &st);
    else
        note_file(fd);
    return 0;
}

int ftruncate(int fd, off_t size)
{
    return disk.ftruncate_errno != 0 ? disk_fails(disk.ftruncate_errno)
                                     : (int)syscall(SYS_ftruncate, fd, size);
}

ssize_t pread(int fd, void *data, size_t len, off_t at)
{
    if (disk.before_read != NULL)
        disk.before_read();
    return disk.pread_errno != 0 ? disk_fails(disk.pread_errno)
                                 : (ssize_t)syscall(SYS_pread64, fd, data, len, at);
}

#define DISK_TEST(name) cmocka_unit_test_setup_teardown(name, disk_set_up, hook_tear_down)

#endif
