/* SPDX-License-Identifier: MIT */
/*
 * By how much this machine's clock differs from an answer's Date: what is signed, and tokens, are good for
 * a while by the service's clock, and so a wrong clock is refused like a wrong secret.
 */
#ifndef NET_SKEW_H
#define NET_SKEW_H

struct buf;

/* Adds "; this machine's clock is 40m ahead of WHOSE: set it right" when it is five minutes or more;
 * whose is "the service's". date is an HTTP date; NULL, or what is none, tells nothing. */
void skew_explain(const char *date, const char *whose, struct buf *text);

#endif
