/* SPDX-License-Identifier: MIT */
/*
 * The document that Get Messages and Put Message answer with (`QueueMessagesList`), as an array. It
 * is taken whole or not at all: a message that lacks an element fails the answer, for a message that
 * was dropped here would stay hidden without anybody's knowing.
 */
#ifndef AZURE_MESSAGE_LIST_H
#define AZURE_MESSAGE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "azure/queue.h"
#include "base/err.h"

enum message_list_form {
    MESSAGE_LIST_GET,
    MESSAGE_LIST_PUT, /* carries neither text nor dequeue count */
};

struct message_list {
    struct queue_message items[QUEUE_MAX_GET];
    unsigned count;
};

/* ERR_SERVER with the reason. Elements that are not known are passed over. */
bool message_list_parse(const char *body, size_t len, enum message_list_form form,
                        struct message_list *ret_list, struct err *err) MUST_CHECK;
void message_list_done(struct message_list *list);

#endif
