/* SPDX-License-Identifier: MIT */
/* `cvnotifyd -t --online`: the table and the exit status. */
#include "online.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "azure/storage_error.h"
#include "base/alloc.h"
#include "base/str.h"
#include "base/unit.h"
#include "flow/generation.h"
#include "flow/rights.h"
#include "flow/settings.h"
#include "loop/loop.h"
#include "loop/worker.h"

#define POISON ".poison"

struct online {
    struct loop *loop;
    const struct settings *settings;
    int name_width;
    bool is_refused, is_unavailable;
    struct err told;            /* the last reason that was printed of this queue */
    struct err told_credential; /* the last one why a credential could not be had */
    struct err said;            /* the last one while it was tried, ... */
    unsigned said_tries;        /* ... and which try that was */
};

static const char *poison_suffix(const struct rights_row *row)
{
    return row->of_poison ? POISON : "";
}

static const char *name_of(const struct rights_row *row)
{
    switch (row->what) {
    case RIGHTS_CREDENTIAL:
        return "credential";
    case RIGHTS_RIGHT:
        return queue_right_name(row->right);
    case RIGHTS_EXISTENCE:
        break;
    }
    return "is there";
}

static bool is_missing_poison(const struct rights_row *row)
{
    return row->of_poison && str_equal(row->err.service_code, "QueueNotFound");
}

/* A poison queue that is missing is no trouble, unless it can not be made. */
static bool is_made_later(const struct rights_row *row)
{
    return is_missing_poison(row) && !row->can_not_make;
}

/* That a credential may not look is no trouble either. */
static bool is_unseen(const struct rights_row *row)
{
    return row->what == RIGHTS_EXISTENCE &&
           (row->verdict == QUEUE_LACKS || row->verdict == QUEUE_REFUSED);
}

static const char *state_of(const struct rights_row *row)
{
    static const char *const words[] = {[QUEUE_HOLDS] = "holds",
                                        [QUEUE_LACKS] = "missing",
                                        [QUEUE_REFUSED] = "refused",
                                        [QUEUE_NO_QUEUE] = "no queue",
                                        [QUEUE_UNKNOWN] = "not known"};

    if (row->is_unchecked)
        return "not checked";
    if (is_made_later(row))
        return "not yet";
    return is_unseen(row) ? words[QUEUE_UNKNOWN] : words[row->verdict];
}

static void count(struct online *online, const struct rights_row *row)
{
    if (row->is_unchecked || is_made_later(row) || is_unseen(row))
        return;
    switch (row->verdict) {
    case QUEUE_HOLDS:
        break;
    case QUEUE_LACKS:
    case QUEUE_REFUSED:
        online->is_refused = true;
        break;
    case QUEUE_NO_QUEUE:
    case QUEUE_UNKNOWN:
        online->is_unavailable = true;
        break;
    }
}

/* --- the table --- */

static void print_line(const struct online *online, const char *queue, const char *suffix,
                       const char *right, const char *state, const char *letter, const char *role)
{
    autofree char *name = xasprintf("%s%s", queue, suffix);

    printf("%-*s  %-10s  %-9s  %-3s  %s\n", online->name_width, name, right, state, letter, role);
}

static void print_head(struct online *online, const struct snapshot *snapshot)
{
    const struct config_objects *identities = &snapshot->settings->identities;

    for (unsigned i = 0; i < snapshot->queue_count; i++)
        online->name_width = max_of(
            online->name_width, (int)(strlen(snapshot->queues[i].settings->name) + strlen(POISON)));
    for (unsigned i = 0; i < identities->count; i++)
        online->name_width =
            max_of(online->name_width,
                   (int)strlen(((struct identity_settings *)identities->items[i])->name));
    printf("\n");
    print_line(online, "queue", "", "right", "state", "SAS", "role");
    fflush(stdout);
}

/* The same for several rights of a queue is told once. */
static bool is_news(struct online *online, const struct rights_row *row)
{
    const struct err *err = &row->err;
    bool same = err->http_status != 0 && err->http_status == online->told.http_status &&
                str_equal(err->service_code, online->told.service_code);

    online->told = *err;
    return !same;
}

/* The second right of a queue that is missing: the first one's line tells who lacks it, and for how long yet. */
static void print_needs(const struct rights_row *row)
{
    const struct storage_right *right = queue_right_needs(row->right);

    if (row->proof == IDENTITY_PROOF_TOKEN)
        printf("    %s needs the role %s\n", right->operation, right->role);
    else if (row->proof == IDENTITY_PROOF_SAS)
        printf("    %s needs the SAS permission %s\n", right->operation, right->letter);
}

/* Queues that share an identity fail together. */
static void print_why_no_credential(struct online *online, const struct rights_row *row)
{
    bool same = str_equal(row->err.text, online->told_credential.text);

    online->told = (struct err){.code = ERR_NONE};
    if (row->err.code == ERR_NONE)
        return;
    printf("    %s\n", same ? "as above" : row->err.text);
    online->told_credential = row->err;
}

static void print_why(struct online *online, const struct rights_row *row)
{
    if (row->what == RIGHTS_CREDENTIAL)
        print_why_no_credential(online, row);
    else if (row->err.code == ERR_NONE)
        return;
    else if (row->is_said && row->verdict == QUEUE_LACKS)
        printf("    the SAS lacks %s: make one with it\n", queue_right_needs(row->right)->letter);
    else if (is_news(online, row))
        printf("    %s\n", row->err.text);
    else if (row->verdict == QUEUE_LACKS)
        print_needs(row);
}

static void print_missing(const struct online *online, const struct rights_row *row)
{
    switch (row->right) {
    case QUEUE_RIGHT_GET:
        printf("    without it no message can be received: nothing works\n");
        break;
    case QUEUE_RIGHT_DELETE:
        printf("    without it no message that is done can be deleted: nothing works\n");
        break;
    case QUEUE_RIGHT_UPDATE:
        printf("    without it leases are long and not renewed, and retries wait in the daemon\n");
        break;
    case QUEUE_RIGHT_PUT:
        printf("    without it poison records are kept in %s/spool\n", online->settings->state_dir);
        break;
    case QUEUE_RIGHT_METADATA:
        printf("    without it the queue's length is not known\n");
        break;
    }
}

static void print_remarks(struct online *online, const struct rights_row *row)
{
    if (row->is_unchecked) {
        printf("    its systemd credential is not here, for there is no $CREDENTIALS_DIRECTORY\n");
    } else if (is_made_later(row)) {
        printf("    it is made when it is needed, if the credential may\n");
    } else if (is_unseen(row) && row->verdict == QUEUE_LACKS) {
        printf("    the credential may not look, and need not\n");
    } else {
        print_why(online, row);
        if (row->verdict == QUEUE_LACKS)
            print_missing(online, row);
        else if (is_missing_poison(row))
            printf("    the SAS may not make it: till it is there, poison records are kept in "
                   "%s/spool\n",
                   online->settings->state_dir);
    }
}

static void on_row(void *arg, const struct rights_row *row)
{
    struct online *online = arg;
    const struct storage_right *needs = queue_right_needs(row->right);
    bool is_right = row->what == RIGHTS_RIGHT;

    count(online, row);
    print_line(online, row->name, poison_suffix(row), name_of(row), state_of(row),
               is_right ? needs->letter : "-", is_right ? needs->role : "-");
    print_remarks(online, row);
    fflush(stdout);
}

/* --- the run --- */

/* Whether another queue's try to get the credential failed just so: they share an identity, which tried once. */
static bool is_said(struct online *online, const struct rights_failure *failure)
{
    const struct rights_row *row = failure->row;
    bool same = failure->tries == online->said_tries && str_equal(row->err.text, online->said.text);

    if (row->what != RIGHTS_CREDENTIAL)
        return false;
    online->said = row->err;
    online->said_tries = failure->tries;
    return same;
}

static void on_failed(void *arg, const struct rights_failure *failure)
{
    const struct rights_row *row = failure->row;
    char wait[UNIT_TEXT_MAX];

    if (is_said(arg, failure))
        return;
    fprintf(stderr, "%s%s: %s: try %u of %d: %s", row->name, poison_suffix(row), name_of(row),
            failure->tries, RIGHTS_TRIES, row->err.text);
    if (failure->tries < RIGHTS_TRIES)
        fprintf(stderr, "; again in %s\n", unit_duration_human(failure->delay_ms, wait));
    else
        fprintf(stderr, "; giving up\n");
}

static void on_done(void *arg)
{
    loop_stop(((struct online *)arg)->loop);
}

static int print_end(const struct online *online, const char *path)
{
    if (online->is_refused)
        printf("%s: something is missing or refused\n", path);
    else if (online->is_unavailable)
        printf("%s: something could not be reached or is not there\n", path);
    else
        printf("%s: all that was tried holds\n", path);
    if (online->is_refused)
        return EX_NOPERM;
    return online->is_unavailable ? EX_UNAVAILABLE : EX_OK;
}

int online_check(struct snapshot *snapshot)
{
    struct online online = {.loop = loop_new(), .settings = snapshot->settings};
    struct worker *worker = worker_new(online.loop);
    /* Hooks do not run, so they have no use for children. */
    const struct generation_context context = {.loop = online.loop, .worker = worker};
    struct generation *generation = generation_new(&context, snapshot, NULL);

    print_head(&online, snapshot);
    struct rights *rights = rights_new(&(struct rights_context){.loop = online.loop,
                                                                .row = on_row,
                                                                .failed = on_failed,
                                                                .done = on_done,
                                                                .arg = &online},
                                       generation);
    loop_run(online.loop);
    int status = print_end(&online, snapshot->path);
    rights_free(rights);
    worker_free(worker);
    generation_drop(generation);
    loop_free(online.loop);
    return status;
}
