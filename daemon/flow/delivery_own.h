/* SPDX-License-Identifier: MIT */
/*
 * What the parts of a delivery share: its state, and what they ask of it. The parts are flow/delivery (its
 * life and its hooks), flow/keeping (the lease) and flow/ending (the last requests); nobody else includes
 * this.
 */
#ifndef FLOW_DELIVERY_OWN_H
#define FLOW_DELIVERY_OWN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"
#include "flow/delivery.h"
#include "flow/dispatch.h"
#include "flow/lease.h"
#include "flow/poisoning.h"
#include "flow/renewal.h"
#include "flow/settle.h"
#include "flow/waits.h"
#include "hook/hook.h"
#include "loop/timer.h"

struct event;
struct ledger_entry;
struct ledger_op;
struct notice;
struct run;

enum delivery_state {
    DELIVERY_READING,  /* what the ledger knows */
    DELIVERY_STEPPING, /* a hook waits for its turn, runs, or is put on record */
    DELIVERY_WAITING,  /* for its next try, where the queue can not hide it */
    DELIVERY_SETTLING, /* the last requests, or the wait for a renewal before them */
};

struct delivery {
    const struct delivery_context *context;
    struct generation *generation;
    enum delivery_state state;
    struct delivery_link link;

    char *text;
    struct event *event;     /* NULL when undecodable */
    const char *undecodable; /* then why */
    struct hook_message message;
    struct lease lease;
    struct renewal renewal;
    bool gone;       /* the service said that it is not ours any more */
    bool lease_lost; /* said once, until a renewal goes well */
    bool draining;
    bool interrupted; /* give it back as soon as nothing runs */
    bool has_begun;   /* a hook has run in this delivery */

    struct dispatch dispatch;
    struct step *step; /* the one that `run` is about */
    struct run *run;
    struct wait wait;
    struct ledger_entry *entry;
    struct ledger_op *op;       /* what the ledger knows is being asked */
    struct log_field fields[8]; /* for the line of the log that is being written */

    struct settle *settle;
    struct settle_spec settle_spec; /* what to do once no renewal is under way */
    struct timer deadline;          /* of the last requests at a stop; made when it is needed */
    bool is_cut;                    /* it has passed */
    struct poisoning poisoning;
    struct notice *notice; /* after the poison record is stored */
    bool is_left; /* its record is stored, and it may come again: the ledger is to know it then */
    bool came_again; /* while it was being settled: another delivery has it */
    bool is_told;    /* of its poison, by the delivery that had it before */
    enum delivery_end end;
};

/* Does what is to be done next with the message, now that nothing of it runs. In flow/delivery; it may end
 * the delivery. */
void delivery_next(struct delivery *delivery);

/* So little of its life is left that it must be kept safe. Does that and returns true, which may end the
 * delivery; false when a hook runs, or nothing is left to be run. In flow/delivery. */
bool delivery_expire(struct delivery *delivery);

/* The fields that tell which message, and which hook, a line of the log is about; until the next call. */
const struct log_field *delivery_own_fields(struct delivery *delivery, const char *outcome);
void delivery_own_set_state(struct delivery *delivery, enum delivery_state state);

/* Whether the message may be another reader's by now. */
bool delivery_own_is_lost(const struct delivery *delivery);
/* By the service's clock: from when on so little of the message's life is left that it must be kept safe in poison. */
int64_t delivery_own_alert_ms(const struct delivery *delivery);
/* What the service's clock says now. */
int64_t delivery_own_service_ms(const struct delivery *delivery);
/* Whether that is so in_ms from now. */
bool delivery_own_is_expiring(const struct delivery *delivery, int64_t in_ms);
/* Whether its life is over, or so near its end that a message that is not ours now is gone for good. */
bool delivery_own_is_expired(const struct delivery *delivery);
/* Of one request on the message. */
int64_t delivery_own_request_timeout(const struct delivery *delivery);
/* The service has let us update the message. */
void delivery_own_note_update(struct delivery *delivery);

/* Whether its step waits for a turn. */
bool delivery_own_is_waiting(const struct delivery *delivery);
/* Gives that wait up. */
void delivery_own_leave_lane(struct delivery *delivery);

#endif
