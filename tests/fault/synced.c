/* SPDX-License-Identifier: MIT */
/*
 * Preloaded into a program, keeps a shadow of what a sudden loss of power would leave of the directory tree
 * $SYNCED_TREE in the directory $SYNCED_SHADOW. Nothing but a sync makes anything durable, so only syncs are
 * looked at: whatever a program does to files, by whatever call, is seen when it syncs, and lost if it does
 * not. A disk promises no more, and most file systems keep more; a program that is safe here is safe there.
 *
 *   fsync, fdatasync of a file       its content, as SHADOW/ID.file
 *   fsync, fdatasync of a directory  the names in it, each with its ID and type, as SHADOW/ID.names
 *   sync, syncfs, O_SYNC, msync      not looked at: nothing
 *
 * So a new file, a rename, an unlink count once their directory is synced; a file with a durable name and
 * content that never was synced is empty; a new directory needs its parent synced. ID is inode number and
 * time of birth, for an inode number may be used again. With $SYNCED_LAST=N the program is killed at the end of
 * its sync number N. tests/fault/rollback.py makes the first shadow and puts
 * the tree back to what the shadow holds.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

int fsync(int fd);
int fdatasync(int fd);

/* A shadow that is not true would make a bad program look good. */
__attribute__((format(printf, 1, 2), noreturn)) static void give_up(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fprintf(stderr, "synced: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, ": %s\n", strerror(errno));
    va_end(args);
    abort();
}

static void identify(int fd, const char *name, char *id, size_t size)
{
    struct statx st;

    if (statx(fd, name, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &st) < 0)
        give_up("statx of %s", name);
    snprintf(id, size, "%llu-%lld.%09u", (unsigned long long)st.stx_ino,
             (long long)st.stx_btime.tv_sec, st.stx_btime.tv_nsec);
}

/* Whether a descriptor's file is the tree or in it. */
static bool is_ours(int fd)
{
    const char *tree = getenv("SYNCED_TREE");
    char link[64], path[PATH_MAX];

    if (tree == NULL || getenv("SYNCED_SHADOW") == NULL)
        return false;
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof(path) - 1);
    if (len < 0)
        return false;
    path[len] = '\0';
    size_t tree_len = strlen(tree);
    return strncmp(path, tree, tree_len) == 0 && (path[tree_len] == '/' || path[tree_len] == '\0');
}

static void copy_content(int fd, int to)
{
    char path[64];
    ssize_t sent;

    /* Anew, for the descriptor may be for writing only, and its position is not ours to move. */
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int from = open(path, O_RDONLY | O_CLOEXEC);
    if (from < 0)
        give_up("opening %s", path);
    while ((sent = sendfile(to, from, NULL, (size_t)1 << 24)) > 0) {
    }
    if (sent < 0)
        give_up("copying");
    close(from);
}

static void copy_names(int fd, int to)
{
    struct dirent *entry;
    char id[64];

    int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = again < 0 ? NULL : fdopendir(again);
    if (directory == NULL)
        give_up("reading a directory");
    while ((entry = readdir(directory)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        identify(again, entry->d_name, id, sizeof(id));
        if (dprintf(to, "%s %c %s\n", id, entry->d_type == DT_DIR ? 'd' : 'f', entry->d_name) < 0)
            give_up("writing names");
    }
    closedir(directory);
}

/* Takes a file's content or a directory's names into the shadow, whole or not at all. */
static void keep(int fd)
{
    const char *shadow = getenv("SYNCED_SHADOW");
    char id[64], temporary[PATH_MAX], path[PATH_MAX];
    struct stat st;

    if (fstat(fd, &st) < 0)
        give_up("fstat");
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
        return;
    identify(fd, "", id, sizeof(id));
    snprintf(path, sizeof(path), "%s/%s.%s", shadow, id, S_ISDIR(st.st_mode) ? "names" : "file");
    snprintf(temporary, sizeof(temporary), "%s/new.XXXXXX", shadow);
    int to = mkostemp(temporary, O_CLOEXEC);
    if (to < 0)
        give_up("making %s", temporary);
    if (S_ISDIR(st.st_mode))
        copy_names(fd, to);
    else
        copy_content(fd, to);
    if (fchmod(to, st.st_mode & 07777) < 0 || rename(temporary, path) < 0)
        give_up("keeping %s", path);
    close(to);
}

static void end_if_last(void)
{
    static atomic_int syncs;
    const char *last = getenv("SYNCED_LAST");

    if (last != NULL && ++syncs == atoi(last))
        raise(SIGKILL);
}

static int sync_with(const char *name, int fd)
{
    int (*next)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    int result = next(fd);

    if (result == 0 && is_ours(fd)) {
        int saved = errno;
        keep(fd);
        end_if_last();
        errno = saved;
    }
    return result;
}

int fsync(int fd)
{
    return sync_with("fsync", fd);
}

int fdatasync(int fd)
{
    return sync_with("fdatasync", fd);
}
