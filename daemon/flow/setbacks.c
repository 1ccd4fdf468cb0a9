/* SPDX-License-Identifier: MIT */
/* What goes wrong when messages are deleted, put back or poisoned. */
#include "flow/setbacks.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/unit.h"
#include "flow/mover.h"
#include "flow/settings.h"
#include "store/spool.h"

static const struct log_field *fields_of(const struct setbacks *setbacks,
                                         struct log_field fields[static 2])
{
    fields[0] = (struct log_field){"queue", setbacks->context.plan->settings->name};
    fields[1] = (struct log_field){NULL, NULL};
    return fields;
}

#define FIELDS_OF(setbacks) fields_of(setbacks, (struct log_field[2]){{0}})

static void changed(struct setbacks *setbacks)
{
    setbacks->context.changed(setbacks->context.arg);
}

static void forget_waits(struct setbacks *setbacks)
{
    retry_reset(&setbacks->poison_retry);
    setbacks->poison_until_ms = 0;
}

/* The poison queue took a record, of a message or of the spool. */
static void stored(struct setbacks *setbacks)
{
    forget_waits(setbacks);
    if (trouble_is_over(&setbacks->poisoning))
        log_info(FIELDS_OF(setbacks), "poison records can be stored again");
}

void setbacks_ended(struct setbacks *setbacks, enum delivery_end end, bool has_put)
{
    switch (end) {
    case DELIVERY_POISONED:
        if (has_put) {
            stored(setbacks);
            mover_hurry(setbacks->mover);
        }
        /* fall through */
    case DELIVERY_DONE:
    case DELIVERY_UNMATCHED:
        if (trouble_is_over(&setbacks->deleting))
            log_info(FIELDS_OF(setbacks), "messages can be deleted again");
        /* None may be put back for a long time: the status would tell of an outage that is over. */
        trouble_may_be_over(&setbacks->hiding);
        break;
    case DELIVERY_RETRY:
    case DELIVERY_RELEASED:
        if (trouble_is_over(&setbacks->hiding))
            log_info(FIELDS_OF(setbacks), "messages can be put back again");
        break;
    case DELIVERY_LOST:
        break;
    }
}

/* Several that fail together are one failure: the first draws the wait for all. */
static int64_t poison_delay(struct setbacks *setbacks, const struct err *err)
{
    int64_t now_ms = clock_mono_ms(), delay_ms = setbacks->poison_until_ms - now_ms;

    if (delay_ms <= 0)
        (void)retry_after(&setbacks->poison_retry, err, &delay_ms);
    delay_ms = max_of(max_of(delay_ms, (int64_t)err->retry_after_ms), 1000);
    setbacks->poison_until_ms = now_ms + delay_ms;
    return delay_ms;
}

int64_t setbacks_poison_failed(struct setbacks *setbacks, const struct err *err)
{
    char wait[UNIT_TEXT_MAX];
    int64_t delay_ms = poison_delay(setbacks, err);
    bool news = trouble_is_news(&setbacks->poisoning, err, true);

    log_write(news ? LOG_LEVEL_ERR : LOG_LEVEL_DEBUG, FIELDS_OF(setbacks),
              "poison record can not be stored in %s: %s; the message is kept and tried again "
              "in %s",
              setbacks->context.plan->poison_url, err->text, unit_duration_human(delay_ms, wait));
    return delay_ms;
}

void setbacks_spooled(struct setbacks *setbacks, const struct err *err)
{
    const struct setbacks_context *context = &setbacks->context;
    bool news = trouble_is_news(&setbacks->poisoning, err, true);

    log_write(news ? LOG_LEVEL_WARNING : LOG_LEVEL_DEBUG, FIELDS_OF(setbacks),
              "poison record can not be put into %s: %s; it is kept in %s and moved over later",
              context->plan->poison_url, err->text, spool_directory(context->spool));
    mover_wait(setbacks->mover, err);
    changed(setbacks);
}

bool setbacks_settle_failed(struct setbacks *setbacks, bool is_delete, const struct err *err,
                            bool is_final)
{
    struct trouble *trouble = is_delete ? &setbacks->deleting : &setbacks->hiding;
    bool news = trouble_is_news(trouble, err, is_final);

    if (news)
        changed(setbacks);
    return news;
}

void setbacks_hurry(struct setbacks *setbacks)
{
    forget_waits(setbacks);
    mover_hurry(setbacks->mover);
}

const char *setbacks_trouble(const struct setbacks *setbacks)
{
    const struct trouble *const troubles[] = {&setbacks->poisoning, &setbacks->deleting,
                                              &setbacks->hiding};

    for (unsigned i = 0; i < array_size(troubles); i++) {
        if (trouble_reason(troubles[i]) != NULL)
            return trouble_reason(troubles[i]);
    }
    return NULL;
}

static void on_moved(void *arg)
{
    stored(arg);
}

static void on_mover_rested(void *arg)
{
    changed(arg);
}

void setbacks_init(struct setbacks *setbacks, const struct setbacks_context *context)
{
    *setbacks = (struct setbacks){.context = *context};
    retry_init(&setbacks->poison_retry);
    setbacks->mover = mover_new(&(struct mover_context){
        .loop = context->loop,
        .spool = context->spool,
        .poison = context->poison,
        .queue_url = context->plan->url,
        .name = context->plan->settings->name,
        .timeout_ms = context->timeout_ms,
        .trouble = &setbacks->poisoning,
        .moved = on_moved,
        .rested = on_mover_rested,
        .arg = setbacks,
    });
}

void setbacks_done(struct setbacks *setbacks)
{
    mover_free(setbacks->mover);
}
