/* SPDX-License-Identifier: MIT */
/* The rights on a queue, tried without touching a message. */
#include "azure/queue_right.h"

#include "azure/storage_error.h"
#include "base/alloc.h"
#include "base/str.h"

/* Of the shape that the service gives them; no message has them. */
#define NO_MESSAGE "00000000-0000-0000-0000-000000000000"
#define NO_RECEIPT "AgAAAAMAAAAAAAAAAAAAAAAAAAA="

static const struct {
    const char *name;
    const char *operation;
} rights[] = {
    [QUEUE_RIGHT_GET] = {"get", "Get Messages"},
    [QUEUE_RIGHT_DELETE] = {"delete", "Delete Message"},
    [QUEUE_RIGHT_UPDATE] = {"update", "Update Message"},
    [QUEUE_RIGHT_PUT] = {"put", "Put Message"},
    [QUEUE_RIGHT_METADATA] = {"metadata", "Get Queue Metadata"},
};

struct queue_call *queue_right_try(struct queue *queue, enum queue_right right, int64_t timeout_ms,
                                   queue_done_fn *done, void *arg)
{
    switch (right) {
    case QUEUE_RIGHT_GET:
        return queue_get(queue, QUEUE_MAX_GET + 1, 0, timeout_ms, done, arg);
    case QUEUE_RIGHT_DELETE:
        return queue_delete(queue, NO_MESSAGE, NO_RECEIPT, timeout_ms, done, arg);
    case QUEUE_RIGHT_UPDATE:
        return queue_update(queue, NO_MESSAGE, NO_RECEIPT, 0, timeout_ms, done, arg);
    case QUEUE_RIGHT_PUT:
        return queue_put_nothing(queue, timeout_ms, done, arg);
    case QUEUE_RIGHT_METADATA:
        break;
    }
    return queue_metadata(queue, timeout_ms, done, arg);
}

/* The service found fault with the parameters alone. A 400 without such a code may be anybody's. */
static bool is_about_parameters(const struct err *err)
{
    static const char *const codes[] = {"OutOfRangeQueryParameterValue",
                                        "InvalidQueryParameterValue", "OutOfRangeInput"};

    for (size_t i = 0; err->http_status == 400 && i < array_size(codes); i++) {
        if (str_equal(err->service_code, codes[i]))
            return true;
    }
    return false;
}

enum queue_verdict queue_right_judge(enum queue_right right, const struct err *err)
{
    if (err == NULL)
        return QUEUE_HOLDS;
    if (right != QUEUE_RIGHT_METADATA && is_about_parameters(err))
        return QUEUE_HOLDS;
    if (err->code == ERR_GONE && (right == QUEUE_RIGHT_DELETE || right == QUEUE_RIGHT_UPDATE))
        return QUEUE_HOLDS;
    if (storage_error_lacks_right(err))
        return QUEUE_LACKS;
    if (err->code == ERR_AUTH)
        return QUEUE_REFUSED;
    return err->code == ERR_MISSING ? QUEUE_NO_QUEUE : QUEUE_UNKNOWN;
}

const char *queue_right_name(enum queue_right right)
{
    return rights[right].name;
}

const struct storage_right *queue_right_needs(enum queue_right right)
{
    return storage_error_right(rights[right].operation);
}
