/* SPDX-License-Identifier: MIT */
/*
 * Telling the hooks that name `message.poisoned` of a message that went to poison. Each runs once, in
 * its lane; how it ends is only logged, for the message is settled already.
 */
#ifndef FLOW_NOTICE_H
#define FLOW_NOTICE_H

struct generation;
struct hook_message;
struct lanes;
struct notice;

/* Fires once, when every hook has ended; never from inside the start. */
typedef void notice_done_fn(void *arg);

/* NULL, and no callback, when no hook wants to know. message is the poisoned one, record its poison
 * record (JSON or NULL); both are borrowed for the call, the generation is kept. */
struct notice *notice_start(struct lanes *lanes, struct generation *generation,
                            const struct hook_message *message, const char *record,
                            notice_done_fn *done, void *arg);
/* Forgets what waits for a turn; done still fires, perhaps from inside. */
void notice_drain(struct notice *notice);
/* Stops what runs as well. */
void notice_stop(struct notice *notice);
/* done will not fire. No hook may run. NULL is fine. */
void notice_free(struct notice *notice);

#endif
