/* SPDX-License-Identifier: MIT */
/*
 * The runs that may be alive, on disk: what a daemon that is killed leaves to the next one, which ends
 * them (loop/orphans). One file, DIRECTORY/runs, of slots of 256 bytes; a slot is one run: boot,
 * process, grace, whose it is, a checksum.
 *
 * A run is in the file before its program begins: the child itself writes its slot, between vfork and
 * exec, and goes no further when it can not, or when the daemon is gone. Disk space is there before.
 * Nothing is synced, for a machine that crashes ends the processes too.
 *
 * A slot is not cleared when its run ends, so that the loop never waits for the disk: the next run
 * overwrites it, and until then it speaks of a process that is gone. A process is that of a slot only
 * if it began, in the same boot, between two moments: before the fork and when the slot was written.
 * So a number that was given to another process harms nobody, and neither does a slot that is cut off,
 * or not ours: it is free.
 *
 * One process owns the file. It does no locking; whoever opens it has made sure that no other daemon
 * has this directory. A file that is deleted or replaced meanwhile is written anew before the next run.
 */
#ifndef LOOP_ROSTER_H
#define LOOP_ROSTER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct roster;

/* A slot as it stands in the file, in the machine's byte order. */
struct roster_record {
    char magic[8]; /* "cvnruns1"; the digit is the version */
    uint64_t checksum;
    char boot[40];    /* /proc/sys/kernel/random/boot_id */
    int64_t since_ns; /* CLOCK_BOOTTIME, before the fork */
    int64_t until_ns; /* in the child */
    int64_t grace_ms;
    int32_t pid; /* its process group too */
    uint32_t unused;
    char hook[72];
    char message_id[96];
};

/* A place in the file for a run to be. */
struct roster_slot {
    int fd;
    unsigned number;
    pid_t daemon;
    struct roster_record record;
};

/* A run that an earlier daemon left alive. */
struct roster_run {
    unsigned slot;
    struct roster_record record;
};

/* Opens the file or makes it, and looks who of it lives. ERR_HOST when it can not. */
bool roster_open(const char *directory, struct roster **ret_roster, struct err *err) MUST_CHECK;
/* No run may live. NULL is fine. */
void roster_close(struct roster *roster);

/* Who lived when it was opened; their slots are taken. */
const struct roster_run *roster_found(const struct roster *roster, unsigned *ret_count);
/* Whether its process still runs; one that has ended and waits to be reaped does not. */
bool roster_lives(const struct roster_record *record);

/* A slot for a run, with room on the disk. hook and message_id may be NULL and are cut if they are too
 * long. May wait for the disk; one thread at a time. ERR_HOST when there is no room. */
bool roster_take(struct roster *roster, int64_t grace_ms, const char *hook, const char *message_id,
                 struct roster_slot *ret_slot, struct err *err) MUST_CHECK;
/* In the child, between vfork and exec: system calls only. 0, or why it must not go on, an errno:
 * ESRCH when the daemon that forked it is gone. */
int roster_sign(struct roster_slot *slot) MUST_CHECK;
/* The run of the slot is over. From any thread. */
void roster_release(struct roster *roster, unsigned slot);

#endif
