/* SPDX-License-Identifier: MIT */
/*
 * What goes into poison for one message, and what is known of it: the reason, the hook that rejected it,
 * the record's text. No I/O; flow/ending stores it.
 */
#ifndef FLOW_POISONING_H
#define FLOW_POISONING_H

#include <stdbool.h>

struct dispatch;
struct hook_message;
struct step;

struct poisoning {
    const struct hook_message *message;
    const char *text;        /* the message's, as received */
    char *stored_reason;     /* a record is stored already, for this; NULL */
    char *record;            /* NULL while the message is not to be poisoned */
    bool is_bare;            /* the record is the message's text alone */
    bool spooled, is_put;    /* by this delivery: into the spool, or into the poison queue */
    const char *reason;      /* of the record; the step's, or static */
    const char *rejected_by; /* a hook; NULL */
};

/* message and text are borrowed. */
void poisoning_init(struct poisoning *poisoning, const struct hook_message *message,
                    const char *text);
void poisoning_done(struct poisoning *poisoning);
/* The ledger knows of a record that is stored. */
void poisoning_recall(struct poisoning *poisoning, const char *stored_reason);
/* Makes the record. dispatch tells which hooks are done; step, NULL or one of its, why the message is
 * poison. reason and the name of the step's hook are borrowed. */
void poisoning_write(struct poisoning *poisoning, const char *reason,
                     const struct dispatch *dispatch, const struct step *step);
/* The message's text goes alone. */
void poisoning_strip(struct poisoning *poisoning);
/* The message is tried again. What is stored stays stored. */
void poisoning_forget(struct poisoning *poisoning);

#endif
