/* SPDX-License-Identifier: MIT */
/* What the credentials of a configuration are good for. */
#include "flow/rights.h"

#include <stdlib.h>

#include "azure/storage_error.h"
#include "base/alloc.h"
#include "flow/generation.h"
#include "flow/settings.h"
#include "identity/identity.h"
#include "identity/source.h"
#include "loop/timer.h"
#include "net/retry.h"

#define MAX_ROWS 5

/* What is asked of a queue, in this order. */
struct step {
    enum rights_what what;
    enum queue_right right;
};

static const struct step queue_steps[] = {
    {RIGHTS_CREDENTIAL, 0},
    {RIGHTS_RIGHT, QUEUE_RIGHT_GET},
    {RIGHTS_RIGHT, QUEUE_RIGHT_DELETE},
    {RIGHTS_RIGHT, QUEUE_RIGHT_UPDATE},
    {RIGHTS_RIGHT, QUEUE_RIGHT_METADATA},
};

static const struct step poison_steps[] = {
    {RIGHTS_CREDENTIAL, 0},
    {RIGHTS_RIGHT, QUEUE_RIGHT_PUT},
    {RIGHTS_EXISTENCE, QUEUE_RIGHT_METADATA},
};

/* One queue, or poison queue. While it has rows to find out, one of timer, call and wait is under way,
 * wait with the timer as its limit. */
struct target {
    struct rights *rights;
    struct identity *identity; /* NULL: unchecked */
    struct queue *queue;       /* the same */
    struct rights_row rows[MAX_ROWS];
    unsigned row_count;
    unsigned known; /* so many rows */
    unsigned tries; /* of the next one */
    struct retry retry;
    struct timer timer;
    struct identity_wait *wait;
    struct queue_call *call;
};

struct rights {
    struct rights_context context;
    int64_t timeout_ms; /* of one request */
    struct target *targets;
    unsigned target_count;
    unsigned told_targets, told_rows; /* whole targets, and rows of the next one */
    struct timer telling;
};

/* --- telling --- */

/* Tells what is known, up to the first row that is not. */
static void on_telling(void *arg)
{
    struct rights *rights = arg;

    for (; rights->told_targets < rights->target_count; rights->told_targets++) {
        const struct target *target = &rights->targets[rights->told_targets];

        while (rights->told_rows < target->known)
            rights->context.row(rights->context.arg, &target->rows[rights->told_rows++]);
        if (target->known < target->row_count)
            return;
        rights->told_rows = 0;
    }
    rights->context.done(rights->context.arg);
}

/* --- asking --- */

static void begin(struct target *target);

/* Nothing more can be found out about this queue. */
static void skip_rest(struct target *target)
{
    for (; target->known < target->row_count; target->known++)
        target->rows[target->known].verdict = QUEUE_UNKNOWN;
}

static bool identity_lacks_right(struct identity *identity, const struct rights_row *row)
{
    return row->what == RIGHTS_RIGHT &&
           identity_lacks(identity, queue_right_needs(row->right)->letter[0]);
}

/* The row is known. */
static void settle(struct target *target, bool goes_on)
{
    struct rights_row *row = &target->rows[target->known++];

    row->is_said = identity_lacks_right(target->identity, row);
    row->proof = identity_proof(target->identity);
    row->can_not_make =
        identity_lacks(target->identity, 'c') && identity_lacks(target->identity, 'w');
    target->tries = 0;
    retry_reset(&target->retry);
    if (!goes_on)
        skip_rest(target);
    timer_set(&target->rights->telling, 0);
    if (target->known < target->row_count)
        begin(target);
}

/* A try has ended so. */
static void note(struct target *target, enum queue_verdict verdict, const struct err *err)
{
    struct rights_row *row = &target->rows[target->known];
    const struct rights_context *context = &target->rights->context;
    struct rights_failure failure = {.row = row, .tries = ++target->tries};

    row->verdict = verdict;
    row->err = err != NULL && verdict != QUEUE_HOLDS ? *err : (struct err){.code = ERR_NONE};
    if (verdict != QUEUE_UNKNOWN || !retry_after(&target->retry, err, &failure.delay_ms)) {
        settle(target, verdict == QUEUE_HOLDS || row->what != RIGHTS_CREDENTIAL);
        return;
    }
    context->failed(context->arg, &failure);
    if (failure.tries == RIGHTS_TRIES)
        settle(target, false);
    else
        timer_set(&target->timer, failure.delay_ms);
}

static void on_answer(void *arg, const struct queue_answer *answer, const struct err *err)
{
    struct target *target = arg;

    (void)answer;
    target->call = NULL;
    note(target, queue_right_judge(target->rows[target->known].right, err), err);
}

/* Whether a credential that can not be had may come yet, or a person has to mend something. */
static enum queue_verdict judge_credential(const struct err *err)
{
    if (err == NULL)
        return QUEUE_HOLDS;
    return err->code == ERR_NETWORK || err->code == ERR_SERVER || err->code == ERR_THROTTLED
               ? QUEUE_UNKNOWN
               : QUEUE_REFUSED;
}

static void on_credential(void *arg, const struct err *err)
{
    struct target *target = arg;

    target->wait = NULL;
    timer_clear(&target->timer);
    note(target, judge_credential(err), err);
}

static void begin(struct target *target)
{
    const struct rights_row *row = &target->rows[target->known];
    int64_t timeout_ms = target->rights->timeout_ms;

    if (row->what == RIGHTS_CREDENTIAL) {
        target->wait = identity_wait_start(target->identity, on_credential, target);
        timer_set(&target->timer, timeout_ms);
    } else {
        target->call = queue_right_try(target->queue, row->right, timeout_ms, on_answer, target);
    }
}

/* The wait for the next try is over, or the credential's time. */
static void on_timer(void *arg)
{
    struct target *target = arg;
    struct err err;

    if (target->wait == NULL) {
        begin(target);
        return;
    }
    identity_wait_cancel(take(target->wait));
    err_set(&err, ERR_NETWORK, "no credential of the identity %s came in time",
            identity_label(target->identity));
    note(target, QUEUE_UNKNOWN, &err);
}

/* --- the whole --- */

/* Whom to ask. */
struct place {
    const char *name;
    const char *url; /* NULL: nobody, the credential is all */
    bool of_poison;
    const struct identity_settings *identity;
};

/* What is to be found out, or that nothing can be. */
static void plan_rows(struct target *target, const struct place *place)
{
    const struct step *steps = place->of_poison ? poison_steps : queue_steps;
    bool is_unchecked =
        config_credential(&identity_table, place->identity) != NULL && !source_has_credentials();

    target->row_count = place->of_poison ? array_size(poison_steps) : array_size(queue_steps);
    if (is_unchecked || place->url == NULL)
        target->row_count = 1;
    for (unsigned i = 0; i < target->row_count; i++)
        target->rows[i] = (struct rights_row){.name = place->name,
                                              .of_poison = place->of_poison,
                                              .what = steps[i].what,
                                              .right = steps[i].right,
                                              .is_unchecked = is_unchecked};
    if (is_unchecked)
        target->known = 1;
}

static void add_target(struct rights *rights, struct generation *generation,
                       const struct place *place)
{
    struct target *target = &rights->targets[rights->target_count++];
    autofree char *label = xasprintf("%s%s", place->name, place->of_poison ? ".poison" : "");

    target->rights = rights;
    plan_rows(target, place);
    retry_init(&target->retry);
    timer_init(&target->timer, rights->context.loop, on_timer, target);
    if (target->known == target->row_count)
        return;
    target->identity = generation_identity(generation, place->identity, label);
    if (place->url != NULL)
        target->queue = queue_new(rights->context.loop, generation_http(generation),
                                  target->identity, place->url);
    begin(target);
}

static bool is_named(const struct snapshot *snapshot, const struct identity_settings *identity)
{
    for (unsigned i = 0; i < snapshot->queue_count; i++) {
        if (snapshot->queues[i].identity == identity ||
            snapshot->queues[i].poison_identity == identity)
            return true;
    }
    return false;
}

static void add_targets(struct rights *rights, struct generation *generation,
                        const struct snapshot *snapshot)
{
    const struct config_objects *identities = &snapshot->settings->identities;

    for (unsigned i = 0; i < snapshot->queue_count; i++) {
        const struct queue_plan *plan = &snapshot->queues[i];
        const char *name = plan->settings->name;

        add_target(rights, generation, &(struct place){name, plan->url, false, plan->identity});
        add_target(rights, generation,
                   &(struct place){name, plan->poison_url, true, plan->poison_identity});
    }
    for (unsigned i = 0; i < identities->count; i++) {
        const struct identity_settings *identity = identities->items[i];

        if (!is_named(snapshot, identity))
            add_target(rights, generation, &(struct place){identity->name, NULL, false, identity});
    }
}

struct rights *rights_new(const struct rights_context *context, struct generation *generation)
{
    const struct snapshot *snapshot = generation_snapshot(generation);
    struct rights *rights = xcalloc(1, sizeof(*rights));
    unsigned most = 2 * snapshot->queue_count + snapshot->settings->identities.count;

    rights->context = *context;
    rights->timeout_ms = snapshot->settings->http->timeout_ms;
    rights->targets = xcalloc(most + 1, sizeof(*rights->targets));
    timer_init(&rights->telling, context->loop, on_telling, rights);
    timer_set(&rights->telling, 0);
    add_targets(rights, generation, snapshot);
    return rights;
}

void rights_free(struct rights *rights)
{
    if (rights == NULL)
        return;
    for (unsigned i = 0; i < rights->target_count; i++) {
        struct target *target = &rights->targets[i];

        identity_wait_cancel(target->wait);
        timer_done(&target->timer);
        queue_free(target->queue);
    }
    timer_done(&rights->telling);
    free(rights->targets);
    free(rights);
}
