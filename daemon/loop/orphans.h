/* SPDX-License-Identifier: MIT */
/*
 * Ending the runs that outlived their daemon: TERM to the group of each, KILL to what is left of it
 * after the run's grace, as loop/child ends those of its own. What has become of each goes to the log,
 * with hook and message_id: nobody else knows of them.
 */
#ifndef LOOP_ORPHANS_H
#define LOOP_ORPHANS_H

struct loop;
struct orphans;
struct roster;

/* Ends those whom the roster found. done is called once, never from inside, when all have ended; one
 * that can not be ended (another user's, no right; not even KILL helps) is told as an error and left.
 * The roster must outlive the operation. */
struct orphans *orphans_start(struct loop *loop, struct roster *roster, void (*done)(void *arg),
                              void *arg);
/* Ends the operation, the runs are as they are; done is not called any more. NULL is fine. */
void orphans_free(struct orphans *orphans);

#endif
