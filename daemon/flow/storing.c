/* SPDX-License-Identifier: MIT */
/* Putting one text into a poison queue. */
#include "flow/storing.h"

#include <stdbool.h>
#include <stdlib.h>

#include "azure/queue.h"
#include "base/alloc.h"
#include "base/err.h"

struct storing {
    struct queue *poison;
    const char *text;
    int64_t timeout_ms;
    bool created; /* once is enough */
    struct queue_call *call;
    storing_done_fn *done;
    void *arg;
};

void storing_cancel(struct storing *storing)
{
    if (storing == NULL)
        return;
    queue_call_cancel(storing->call);
    free(storing);
}

static void finish(struct storing *storing, const struct err *err)
{
    storing_done_fn *done = storing->done;
    void *arg = storing->arg;

    free(storing);
    done(arg, err);
}

static void put(struct storing *storing);

static void on_created(void *arg, const struct queue_answer *answer, const struct err *err)
{
    struct storing *storing = arg;

    (void)answer;
    storing->created = true;
    if (err != NULL)
        finish(storing, err);
    else
        put(storing);
}

static void on_put(void *arg, const struct queue_answer *answer, const struct err *err)
{
    struct storing *storing = arg;

    (void)answer;
    if (err != NULL && err->code == ERR_MISSING && !storing->created)
        storing->call = queue_create(storing->poison, storing->timeout_ms, on_created, storing);
    else
        finish(storing, err);
}

static void put(struct storing *storing)
{
    storing->call = queue_put(storing->poison, storing->text, QUEUE_TTL_NEVER, storing->timeout_ms,
                              on_put, storing);
}

struct storing *storing_start(struct queue *poison, const char *text, int64_t timeout_ms,
                              storing_done_fn *done, void *arg)
{
    struct storing *storing = xcalloc(1, sizeof(*storing));

    storing->poison = poison;
    storing->text = text;
    storing->timeout_ms = timeout_ms;
    storing->done = done;
    storing->arg = arg;
    put(storing);
    return storing;
}
