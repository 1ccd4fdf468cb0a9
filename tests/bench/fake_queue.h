/* SPDX-License-Identifier: MIT */
/*
 * The messages of the bench's queue: Custom Vision exports of 512 characters of base64, each with an
 * id, an iteration and a receipt of its own, made when they are handed out. As strict as the service
 * about ids and receipts; knows nothing of HTTP.
 */
#ifndef FAKE_QUEUE_H
#define FAKE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct fake_queue;

/* count messages are in it, visible, in order. */
struct fake_queue *fake_queue_new(unsigned count);
void fake_queue_free(struct fake_queue *queue);
/* Adds as many more, as fake_queue_new made them. */
void fake_queue_add(struct fake_queue *queue, unsigned count);
/* Those not deleted yet, hidden ones too. */
unsigned fake_queue_count(const struct fake_queue *queue);

/* Appends the list that Get Messages answers with; up to max messages are hidden for hide_ms.
 * Returns how many. */
unsigned fake_queue_get(struct fake_queue *queue, unsigned max, int64_t hide_ms, int64_t now_ms,
                        struct buf *xml);
/* Takes a message's text, XML-escaped as it came, and appends the list that Put Message answers
 * with. */
void fake_queue_put(struct fake_queue *queue, const char *text, size_t len, struct buf *xml);
/* False when there is no such message or the receipt is not its last one; so delete and update. */
bool fake_queue_delete(struct fake_queue *queue, const char *id, const char *receipt);
/* Hides it for hide_ms from now and appends its new receipt. */
bool fake_queue_update(struct fake_queue *queue, const char *id, const char *receipt,
                       int64_t hide_ms, int64_t now_ms, struct buf *new_receipt);

#endif
