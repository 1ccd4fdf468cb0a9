/* SPDX-License-Identifier: MIT */
/* The runs that may be alive, on disk. */
#include "loop/roster.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"

#define MAGIC        "cvnruns1"
#define BOOT_ID      "/proc/sys/kernel/random/boot_id"
#define GROW         16    /* slots at a time: a page */
#define MAX_SLOTS    65536 /* more than `parallel` of any configuration that makes sense */
#define NS_PER_S     1000000000

#define MAX_GRACE_MS ((int64_t)366 * 24 * 3600 * 1000)

_Static_assert(sizeof(struct roster_record) == 256, "slots fill pages, and no write tears them");

struct roster {
    int fd;
    char *path;
    char boot[sizeof(((struct roster_record *)NULL)->boot)];
    struct roster_run *found;
    unsigned found_count;
    unsigned slots;       /* with room on the disk */
    pthread_mutex_t lock; /* of what follows */
    unsigned *free;       /* the last one given back is the next one taken */
    unsigned free_count;
};

static off_t place_of(unsigned slot)
{
    return (off_t)slot * (off_t)sizeof(struct roster_record);
}

static int64_t boottime_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

/* FNV-1a over all but the checksum itself. */
static uint64_t checksum(const struct roster_record *record)
{
    const unsigned char *bytes = (const unsigned char *)record;
    const size_t skip = offsetof(struct roster_record, checksum);
    uint64_t sum = 0xcbf29ce484222325;

    for (size_t i = 0; i < sizeof(*record); i++) {
        if (i < skip || i >= skip + sizeof(record->checksum))
            sum = (sum ^ bytes[i]) * 0x100000001b3;
    }
    return sum;
}

/* --- who lives --- */

/* Reads a short file of /proc; false when it is not there. */
static bool read_proc(const char *path, char *text, size_t size)
{
    autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, text, size - 1);

    if (len <= 0)
        return false;
    text[len] = '\0';
    return true;
}

/* A live process's beginning in clock ticks since the boot. The name in parentheses may hold anything;
 * behind it stand the state, field 3, and field 22. */
static bool began_at(pid_t pid, uint64_t *ret_ticks)
{
    char path[64], text[1024];

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    if (!read_proc(path, text, sizeof(text)))
        return false;
    const char *field = strrchr(text, ')');
    if (field == NULL || field[1] != ' ' || strchr("ZXx", field[2]) != NULL)
        return false;
    for (unsigned number = 2; number < 22 && field != NULL; number++)
        field = strchr(field + 1, ' ');
    return field != NULL && sscanf(field, " %" SCNu64, ret_ticks) == 1;
}

bool roster_lives(const struct roster_record *record)
{
    const int64_t tick_ns = NS_PER_S / sysconf(_SC_CLK_TCK);
    uint64_t ticks;

    /* Either moment may fall into the tick beside. */
    return began_at(record->pid, &ticks) && (int64_t)ticks >= record->since_ns / tick_ns - 1 &&
           (int64_t)ticks <= record->until_ns / tick_ns + 1;
}

/* --- opening --- */

/* Whether a slot was written whole, by us, since this boot. A group number of 0 or 1 would mean other
 * processes than one group's. */
static bool is_good(const struct roster *roster, const struct roster_record *record)
{
    return memcmp(record->magic, MAGIC, sizeof(record->magic)) == 0 &&
           record->checksum == checksum(record) && strcmp(record->boot, roster->boot) == 0 &&
           record->pid > 1 && record->grace_ms >= 0 && record->grace_ms < MAX_GRACE_MS &&
           record->hook[sizeof(record->hook) - 1] == '\0' &&
           record->message_id[sizeof(record->message_id) - 1] == '\0';
}

/* Reads every slot there is and keeps those whose process lives. */
static bool find_living(struct roster *roster, struct err *err)
{
    struct roster_run run = {0};
    ssize_t len;

    for (; run.slot < MAX_SLOTS; run.slot++) {
        len = pread(roster->fd, &run.record, sizeof(run.record), place_of(run.slot));
        if (len < 0)
            return err_set_errno(err, ERR_HOST, errno, "can not read %s", roster->path);
        if (len < (ssize_t)sizeof(run.record))
            return true;
        if (!is_good(roster, &run.record) || !roster_lives(&run.record))
            continue;
        roster->found =
            xreallocarray(roster->found, roster->found_count + 1, sizeof(*roster->found));
        roster->found[roster->found_count++] = run;
    }
    return true;
}

static void give_back(struct roster *roster, unsigned slot)
{
    pthread_mutex_lock(&roster->lock);
    roster->free[roster->free_count++] = slot;
    pthread_mutex_unlock(&roster->lock);
}

/* Cuts off what is behind the last one that lives; who is between those has room already. */
static bool shrink(struct roster *roster, struct err *err)
{
    unsigned next = 0;

    if (roster->found_count > 0)
        roster->slots = roster->found[roster->found_count - 1].slot + 1;
    roster->free = xcalloc(roster->slots, sizeof(*roster->free));
    for (unsigned slot = 0; slot < roster->slots; slot++) {
        if (roster->found[next].slot == slot)
            next++;
        else
            give_back(roster, slot);
    }
    if (ftruncate(roster->fd, place_of(roster->slots)) < 0)
        return err_set_errno(err, ERR_HOST, errno, "can not write %s", roster->path);
    return true;
}

static bool read_boot(struct roster *roster, struct err *err)
{
    if (!read_proc(BOOT_ID, roster->boot, sizeof(roster->boot)))
        return err_set_errno(err, ERR_HOST, errno, "can not read %s", BOOT_ID);
    str_trim(roster->boot);
    return true;
}

static bool open_file(const struct roster *roster, int *ret_fd, struct err *err)
{
    int fd = open(roster->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);

    if (fd < 0)
        return err_set_errno(err, ERR_HOST, errno, "can not open %s", roster->path);
    *ret_fd = fd;
    return true;
}

bool roster_open(const char *directory, struct roster **ret_roster, struct err *err)
{
    struct roster *roster = xcalloc(1, sizeof(*roster));

    roster->path = xasprintf("%s/runs", directory);
    roster->fd = -1;
    pthread_mutex_init(&roster->lock, NULL);
    if (!read_boot(roster, err) || !open_file(roster, &roster->fd, err) ||
        !find_living(roster, err) || !shrink(roster, err)) {
        roster_close(roster);
        return false;
    }
    *ret_roster = roster;
    return true;
}

void roster_close(struct roster *roster)
{
    if (roster == NULL)
        return;
    if (roster->fd >= 0)
        close(roster->fd);
    pthread_mutex_destroy(&roster->lock);
    free(roster->free);
    free(roster->found);
    free(roster->path);
    free(roster);
}

const struct roster_run *roster_found(const struct roster *roster, unsigned *ret_count)
{
    *ret_count = roster->found_count;
    return roster->found;
}

/* --- deleted in use --- */

static bool is_in_place(const struct roster *roster)
{
    struct stat ours, there;

    return fstat(roster->fd, &ours) == 0 && lstat(roster->path, &there) == 0 &&
           ours.st_ino == there.st_ino && ours.st_dev == there.st_dev;
}

static bool copy_slots(const struct roster *roster, int to)
{
    struct roster_record record;
    const ssize_t size = sizeof(record);

    if (ftruncate(to, 0) < 0)
        return false;
    for (unsigned slot = 0; slot < roster->slots; slot++) {
        /* One that was cut off, or can not be read, must not keep others from being written. */
        if (pread(roster->fd, &record, sizeof(record), place_of(slot)) != size)
            record = (struct roster_record){.pid = 0};
        if (pwrite(to, &record, sizeof(record), place_of(slot)) != size)
            return false;
    }
    return true;
}

/* A new file, under the number that slots in use know. */
static bool write_anew(struct roster *roster, struct err *err)
{
    autoclose int fd = -1;

    if (!open_file(roster, &fd, err))
        return false;
    if (!copy_slots(roster, fd) || dup3(fd, roster->fd, O_CLOEXEC) < 0)
        return err_set_errno(err, ERR_HOST, errno, "can not write %s", roster->path);
    return true;
}

/* --- a run's slot --- */

static bool grow(struct roster *roster, struct err *err)
{
    if (roster->slots + GROW > MAX_SLOTS)
        return err_set(err, ERR_HOST, "%s is full: %d runs", roster->path, MAX_SLOTS);
    int error = posix_fallocate(roster->fd, place_of(roster->slots), place_of(GROW));
    if (error != 0)
        return err_set_errno(err, ERR_HOST, error, "can not write %s", roster->path);
    roster->slots += GROW;
    pthread_mutex_lock(&roster->lock);
    roster->free = xreallocarray(roster->free, roster->slots, sizeof(*roster->free));
    pthread_mutex_unlock(&roster->lock);
    for (unsigned i = 1; i <= GROW; i++)
        give_back(roster, roster->slots - i);
    return true;
}

static bool take_free(struct roster *roster, unsigned *ret_slot)
{
    pthread_mutex_lock(&roster->lock);
    bool good = roster->free_count > 0;
    if (good)
        *ret_slot = roster->free[--roster->free_count];
    pthread_mutex_unlock(&roster->lock);
    return good;
}

bool roster_take(struct roster *roster, int64_t grace_ms, const char *hook, const char *message_id,
                 struct roster_slot *ret_slot, struct err *err)
{
    unsigned number;

    if (!is_in_place(roster) && !write_anew(roster, err))
        return false;
    while (!take_free(roster, &number)) {
        if (!grow(roster, err))
            return false;
    }
    *ret_slot = (struct roster_slot){
        .fd = roster->fd,
        .number = number,
        .daemon = getpid(),
        .record = {.since_ns = boottime_ns(), .grace_ms = grace_ms},
    };
    struct roster_record *record = &ret_slot->record;
    memcpy(record->magic, MAGIC, sizeof(record->magic));
    memcpy(record->boot, roster->boot, sizeof(record->boot));
    snprintf(record->hook, sizeof(record->hook), "%s", hook != NULL ? hook : "");
    snprintf(record->message_id, sizeof(record->message_id), "%s",
             message_id != NULL ? message_id : "");
    return true;
}

int roster_sign(struct roster_slot *slot)
{
    struct roster_record *record = &slot->record;

    record->pid = getpid();
    record->until_ns = boottime_ns();
    record->checksum = checksum(record);
    ssize_t written = pwrite(slot->fd, record, sizeof(*record), place_of(slot->number));
    if (written != (ssize_t)sizeof(*record))
        return written < 0 ? errno : ENOSPC;
    /* The next daemon may have read the file before this was in it. */
    return getppid() == slot->daemon ? 0 : ESRCH;
}

void roster_release(struct roster *roster, unsigned slot)
{
    give_back(roster, slot);
}
