/* SPDX-License-Identifier: MIT */
/* Which files the spool holds, the oldest first, as the loop knows it. */
#ifndef STORE_SPOOL_LIST_H
#define STORE_SPOOL_LIST_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/err.h"

struct spool_entry {
    char *name;
    int64_t bytes;
    int64_t written_ns; /* when it was found at the start; else 0 */
    bool claimed;
    TAILQ_ENTRY(spool_entry) link;
};

TAILQ_HEAD(spool_entries, spool_entry);

struct spool_list {
    struct spool_entries entries;
    unsigned count;
    int64_t bytes;
};

void spool_list_init(struct spool_list *list);
void spool_list_done(struct spool_list *list);
/* Adds what is in the directory. What a crash has cut short is taken away. *ret_trouble: what is wrong
 * there, ERR_NONE when all is well; a directory that is missing is. Blocks. */
void spool_list_scan(struct spool_list *list, const char *directory, struct err *ret_trouble);

/* Moves those that list does not know from one list into the other; the rest is dropped. */
void spool_list_merge(struct spool_list *list, struct spool_list *from);

struct spool_entry *spool_list_find(const struct spool_list *list, const char *name);
/* The queue's oldest that nobody has claimed, or NULL. */
struct spool_entry *spool_list_oldest(const struct spool_list *list, const char *queue_url);
unsigned spool_list_count_of(const struct spool_list *list, const char *queue_url);
/* As the newest; in the place of one that bears the name. */
void spool_list_add(struct spool_list *list, const char *name, int64_t bytes);
/* One that is not there is fine. */
void spool_list_remove(struct spool_list *list, const char *name);
/* Behind all others. */
void spool_list_put_last(struct spool_list *list, struct spool_entry *entry);

#endif
