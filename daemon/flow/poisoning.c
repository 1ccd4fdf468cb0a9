/* SPDX-License-Identifier: MIT */
/* What goes into poison for one message. */
#include "flow/poisoning.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/str.h"
#include "event/event.h"
#include "flow/dispatch.h"
#include "flow/poison.h"
#include "hook/hook.h"

void poisoning_init(struct poisoning *poisoning, const struct hook_message *message,
                    const char *text)
{
    *poisoning = (struct poisoning){.message = message, .text = text};
}

void poisoning_done(struct poisoning *poisoning)
{
    free(poisoning->stored_reason);
    free(poisoning->record);
}

void poisoning_recall(struct poisoning *poisoning, const char *stored_reason)
{
    free(poisoning->stored_reason);
    poisoning->stored_reason = xstrdup(stored_reason);
}

/* The names of the hooks that are done, ending with NULL; borrowed names in fresh memory. */
static const char **done_hooks(const struct dispatch *dispatch)
{
    const char **names = xcalloc(dispatch->count + 1, sizeof(*names));
    unsigned count = 0;

    for (unsigned i = 0; i < dispatch->count; i++) {
        if (dispatch->steps[i].state == STEP_DONE)
            names[count++] = dispatch->steps[i].record.hook;
    }
    return names;
}

static const char *encoding_of(const struct event *event)
{
    if (event == NULL)
        return NULL;
    return event->encoding == EVENT_BASE64 ? "base64" : "plain";
}

void poisoning_write(struct poisoning *poisoning, const char *reason,
                     const struct dispatch *dispatch, const struct step *step)
{
    const struct hook_message *message = poisoning->message;
    const struct ledger_step *last = step != NULL ? &step->record : NULL;
    const char **done = done_hooks(dispatch);
    struct poison_record record = {
        .reason = reason,
        .hook = last != NULL ? last->hook : NULL,
        .done = done,
        .attempts = last != NULL ? last->attempts : 0,
        .exit_status = last != NULL ? last->exit_status : -1,
        .tail = last != NULL ? last->tail : NULL,
        .message_id = message->id,
        .queue_url = message->queue_url,
        .inserted_ms = message->inserted_ms,
        .dequeue_count = message->dequeue_count,
        .encoding = encoding_of(message->event),
        .text = poisoning->text,
    };

    free(poisoning->record);
    poisoning->record = poison_text(&record);
    free(done);
    poisoning->is_bare = str_equal(poisoning->record, poisoning->text);
    poisoning->reason = reason;
    poisoning->rejected_by = record.hook;
}

void poisoning_strip(struct poisoning *poisoning)
{
    free(poisoning->record);
    poisoning->record = xstrdup(poisoning->text);
    poisoning->is_bare = true;
}

void poisoning_forget(struct poisoning *poisoning)
{
    free(take(poisoning->record));
    poisoning->is_bare = false;
}
