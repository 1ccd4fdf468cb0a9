/* SPDX-License-Identifier: MIT */
/*
 * `cvnotifyd -t --online`: tries what a configuration's credentials are good for (flow/rights), and prints a
 * table of what holds and what is missing.
 */
#ifndef ONLINE_H
#define ONLINE_H

struct snapshot;

/* Takes the snapshot, which need not be for use. Failures that may pass go to the standard error as they happen,
 * the table to the standard output. Returns the exit status: 0 all holds, 77 something was refused, 69
 * something could not be reached or is not there. */
int online_check(struct snapshot *snapshot);

#endif
