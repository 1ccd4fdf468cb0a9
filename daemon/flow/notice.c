/* SPDX-License-Identifier: MIT */
/* Telling the hooks that name `message.poisoned`. */
#include "flow/notice.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/unit.h"
#include "event/event.h"
#include "flow/generation.h"
#include "flow/lane.h"
#include "hook/hook.h"

/* One hook that is told. */
struct telling {
    struct notice *notice;
    struct hook *hook;
    struct ticket *ticket; /* NULL once it has ended */
    struct hook_run *run;
};

struct notice {
    struct generation *generation;
    struct event *event;
    struct hook_message message;
    struct telling *tellings;
    unsigned count;
    unsigned open; /* of them, those that have not ended */
    notice_done_fn *done;
    void *arg;
};

void notice_free(struct notice *notice)
{
    if (notice == NULL)
        return;
    for (unsigned i = 0; i < notice->count; i++)
        lane_leave(notice->tellings[i].ticket);
    free(notice->tellings);
    free((char *)(uintptr_t)notice->message.id);
    event_discard(notice->event);
    generation_drop(notice->generation);
    free(notice);
}

static void end_telling(struct telling *telling)
{
    struct notice *notice = telling->notice;
    notice_done_fn *done = notice->done;
    void *arg = notice->arg;

    lane_leave(take(telling->ticket));
    if (--notice->open > 0)
        return;
    notice_free(notice);
    done(arg);
}

#define FIELD_COUNT 6

static const struct log_field *fields_of(const struct telling *telling, const char *outcome,
                                         struct log_field fields[static FIELD_COUNT])
{
    const struct hook_message *message = &telling->notice->message;

    fields[0] = (struct log_field){"queue", message->queue};
    fields[1] = (struct log_field){"message_id", message->id};
    fields[2] = (struct log_field){"event", message->event->name};
    fields[3] = (struct log_field){"hook", hook_settings(telling->hook)->name};
    fields[4] = (struct log_field){"outcome", outcome};
    fields[5] = (struct log_field){NULL, NULL};
    return fields;
}

static void on_run_done(void *arg, const struct hook_result *result)
{
    struct telling *telling = arg;
    struct log_field own[FIELD_COUNT];
    const struct log_field *fields = fields_of(telling, hook_outcome_name(result->outcome), own);
    char took[UNIT_TEXT_MAX];

    unit_duration_human(result->duration_ms, took);
    telling->run = NULL;
    if (result->outcome == HOOK_DONE)
        log_info(fields, "hook told of poison, done in %s", took);
    else
        log_warning(fields, "hook could not be told of poison: %s; it is not told again",
                    result->text);
    end_telling(telling);
}

static void on_turn(void *arg)
{
    struct telling *telling = arg;

    telling->run =
        hook_run_start(telling->hook, &telling->notice->message, 1, on_run_done, telling);
}

/* Collects the hooks that name the event. */
static void choose(struct notice *notice)
{
    unsigned count;
    struct hook *const *hooks = generation_hooks(notice->generation, &count);

    notice->tellings = xcalloc(count, sizeof(*notice->tellings));
    for (unsigned i = 0; i < count; i++) {
        if (hook_matches(hook_settings(hooks[i]), notice->event, notice->message.queue))
            notice->tellings[notice->count++] =
                (struct telling){.notice = notice, .hook = hooks[i]};
    }
    notice->open = notice->count;
}

struct notice *notice_start(struct lanes *lanes, struct generation *generation,
                            const struct hook_message *message, const char *record,
                            notice_done_fn *done, void *arg)
{
    struct notice *notice = xcalloc(1, sizeof(*notice));

    notice->generation = generation_keep(generation);
    notice->event = event_of_poison(message->event, record);
    notice->message = *message;
    notice->message.id = xstrdup(message->id);
    notice->message.event = notice->event;
    notice->done = done;
    notice->arg = arg;
    choose(notice);
    if (notice->count == 0) {
        notice_free(notice);
        return NULL;
    }
    for (unsigned i = 0; i < notice->count; i++) {
        struct telling *telling = &notice->tellings[i];
        const struct hook_settings *settings = hook_settings(telling->hook);
        const struct lane_claim claim = {
            .parallel = hook_parallel(telling->hook),
            .key = event_field(notice->event, "project_id"),
            .alone = settings->serialize == HOOK_SERIALIZE_PROJECT,
        };

        if (lane_enter(lanes_get(lanes, settings->name), &claim, on_turn, telling,
                       &telling->ticket))
            on_turn(telling);
    }
    return notice;
}

void notice_drain(struct notice *notice)
{
    unsigned waiting = 0;

    for (unsigned i = 0; i < notice->count; i++)
        waiting += notice->tellings[i].run == NULL && notice->tellings[i].ticket != NULL;
    /* The last to end frees the notice: nothing of it is touched then. */
    for (unsigned i = 0; waiting > 0; i++) {
        struct telling *telling = &notice->tellings[i];

        if (telling->run == NULL && telling->ticket != NULL) {
            waiting--;
            log_warning(fields_of(telling, NULL, (struct log_field[FIELD_COUNT]){{0}}),
                        "hook is not told of the poison: we are stopping");
            end_telling(telling);
        }
    }
}

void notice_stop(struct notice *notice)
{
    for (unsigned i = 0; i < notice->count; i++) {
        if (notice->tellings[i].run != NULL)
            hook_run_stop(notice->tellings[i].run);
    }
    notice_drain(notice);
}
