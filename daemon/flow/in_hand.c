/* SPDX-License-Identifier: MIT */
/* The deliveries that one listener has in hand. */
#include "flow/in_hand.h"

#include <string.h>

#include "azure/queue.h"
#include "base/alloc.h"

/* Messages that are being settled take no place among `parallel`, up to this many. */
#define MAX_SETTLING 64
/* Nor do those, beside them, whose messages are gone and whose hooks are told of it, up to this many. */
#define MAX_TELLING 1024

/* FNV-1a. */
static unsigned bucket_of(const char *message_id)
{
    uint32_t hash = 2166136261U;

    for (const char *at = message_id; *at != '\0'; at++)
        hash = (hash ^ (unsigned char)*at) * 16777619U;
    return hash % IN_HAND_BUCKETS;
}

void in_hand_init(struct in_hand *in_hand, struct loop *loop, const struct waits_events *events,
                  void *arg)
{
    *in_hand = (struct in_hand){0};
    TAILQ_INIT(&in_hand->deliveries);
    waits_init(&in_hand->waits, loop, events, arg);
}

void in_hand_done(struct in_hand *in_hand)
{
    struct delivery_link *link;

    while ((link = TAILQ_FIRST(&in_hand->deliveries)) != NULL) {
        TAILQ_REMOVE(&in_hand->deliveries, link, entry);
        delivery_free(link->delivery);
    }
    waits_done(&in_hand->waits);
}

void in_hand_add(struct in_hand *in_hand, struct delivery *delivery)
{
    struct delivery_link *link = delivery_link(delivery);

    TAILQ_INSERT_TAIL(&in_hand->deliveries, link, entry);
    LIST_INSERT_HEAD(&in_hand->buckets[bucket_of(delivery_message_id(delivery))], link, neighbour);
    in_hand->count++;
    if (delivery_has_place(delivery))
        in_hand->active++;
}

void in_hand_take_out(struct in_hand *in_hand, struct delivery *delivery)
{
    if (delivery_has_place(delivery))
        in_hand->active--;
    TAILQ_REMOVE(&in_hand->deliveries, delivery_link(delivery), entry);
    LIST_REMOVE(delivery_link(delivery), neighbour);
    in_hand->count--;
}

void in_hand_leave_place(struct in_hand *in_hand)
{
    in_hand->active--;
}

void in_hand_take_place(struct in_hand *in_hand)
{
    in_hand->active++;
}

static unsigned count_telling(const struct in_hand *in_hand)
{
    const struct delivery_link *link;
    unsigned count = 0;

    TAILQ_FOREACH (link, &in_hand->deliveries, entry)
        count += delivery_is_telling(link->delivery);
    return count;
}

unsigned in_hand_room(const struct in_hand *in_hand, unsigned parallel)
{
    unsigned settling = in_hand->count - in_hand->active - in_hand->waits.count;

    if (settling >= MAX_SETTLING)
        settling -= min_of(count_telling(in_hand), MAX_TELLING);
    if (in_hand->active >= parallel || settling >= MAX_SETTLING)
        return 0;
    return min_of(parallel - in_hand->active, QUEUE_MAX_GET);
}

static struct delivery *find(const struct in_hand *in_hand, const char *message_id,
                             bool is_settling)
{
    const struct delivery_link *link;

    LIST_FOREACH (link, &in_hand->buckets[bucket_of(message_id)], neighbour) {
        if (delivery_is_settling(link->delivery) == is_settling &&
            strcmp(delivery_message_id(link->delivery), message_id) == 0)
            return link->delivery;
    }
    return NULL;
}

struct delivery *in_hand_find(const struct in_hand *in_hand, const char *message_id)
{
    return find(in_hand, message_id, false);
}

struct delivery *in_hand_find_settling(const struct in_hand *in_hand, const char *message_id)
{
    return find(in_hand, message_id, true);
}

bool in_hand_has_seen(const struct in_hand *in_hand, const char *message_id, unsigned dequeue_count)
{
    const struct delivery_link *link;

    LIST_FOREACH (link, &in_hand->buckets[bucket_of(message_id)], neighbour) {
        if (strcmp(delivery_message_id(link->delivery), message_id) == 0 &&
            delivery_dequeue_count(link->delivery) >= dequeue_count)
            return true;
    }
    return false;
}

void in_hand_each(struct in_hand *in_hand, void (*act)(struct delivery *delivery))
{
    struct delivery_link *link, *following;

    for (link = TAILQ_FIRST(&in_hand->deliveries); link != NULL; link = following) {
        following = TAILQ_NEXT(link, entry);
        act(link->delivery);
    }
}

void in_hand_rematch(struct in_hand *in_hand, struct generation *generation)
{
    struct delivery_link *link, *following;

    for (link = TAILQ_FIRST(&in_hand->deliveries); link != NULL; link = following) {
        following = TAILQ_NEXT(link, entry);
        delivery_rematch(link->delivery, generation);
    }
}
