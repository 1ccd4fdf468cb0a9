/* SPDX-License-Identifier: MIT */
/* Sends records to one server in the order given. */
#include "net/sender.h"

#include <netdb.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/unit.h"
#include "loop/backoff.h"
#include "loop/timer.h"
#include "net/link.h"
#include "net/resolve.h"

#define AGAIN_FIRST_MS 100
#define AGAIN_CAP_MS   2000
#define LOOK_FIRST_MS  2 /* for arrivals, of which nobody tells */
#define LOOK_CAP_MS    50

enum state {
    STATE_IDLE,       /* no link; one is made for the next record */
    STATE_RESOLVING,  /* the name is being looked up */
    STATE_CONNECTING, /* a link to one of its addresses is being made */
    STATE_UP,         /* the link takes records */
    STATE_WAITING,    /* before the next attempt */
};

static const char *const state_names[] = {"idle", "resolving", "connecting", "up", "waiting"};

TAILQ_HEAD(sendings, sending);

struct sending {
    struct sender *sender;
    struct sendings *list; /* that it stands in */
    struct buf record;
    bool is_sent; /* through the present link */
    struct link_mark mark;
    struct timer deadline;
    sending_done_fn *done;
    void *arg;
    TAILQ_ENTRY(sending) entry;
};

struct sender {
    struct loop *loop;
    struct sender_settings settings; /* texts owned */
    enum state state;
    struct sendings open;    /* those sent before those that wait */
    struct sendings refused; /* one too many; they fail from the loop */
    unsigned open_count;
    struct resolve *resolve;
    struct addrinfo *addresses; /* until one has proved good */
    const struct addrinfo *next;
    void *link;
    struct link_mark last; /* of what went into it */
    int64_t up_ms;
    int64_t busy_ms;    /* when it last had something to do */
    struct timer timer; /* for the next attempt, the next look for arrivals, or idleness */
    int64_t look_ms;
    struct backoff backoff;
    struct err err; /* why the last link or attempt ended */
};

static void start_resolving(struct sender *sender);

static void set_state(struct sender *sender, enum state state)
{
    log_debug(NULL, "sending to %s port %s: %s -> %s", sender->settings.host, sender->settings.port,
              state_names[sender->state], state_names[state]);
    sender->state = state;
}

/* Takes a sending out of its list and frees it. */
static void drop(struct sending *sending)
{
    TAILQ_REMOVE(sending->list, sending, entry);
    if (sending->list != &sending->sender->refused)
        sending->sender->open_count--;
    timer_done(&sending->deadline);
    buf_done(&sending->record);
    free(sending);
}

/* The callback may end everything: nothing is touched after it. */
static void finish(struct sending *sending, const struct err *err)
{
    sending_done_fn *done = sending->done;
    void *arg = sending->arg;

    drop(sending);
    done(arg, err);
}

static void close_link(struct sender *sender)
{
    struct sending *sending;

    if (sender->link != NULL)
        sender->settings.link->close(take(sender->link));
    TAILQ_FOREACH (sending, &sender->open, entry)
        sending->is_sent = false;
}

static void forget_addresses(struct sender *sender)
{
    if (sender->addresses != NULL)
        freeaddrinfo(take(sender->addresses));
    sender->next = NULL;
}

/* The link, or the attempt to make one, has come to nothing. */
static void lose(struct sender *sender, const struct err *err)
{
    sender->err = *err;
    close_link(sender);
    timer_set(&sender->timer, backoff_next(&sender->backoff));
    set_state(sender, STATE_WAITING);
}

/* A name may have moved since the link was made: it gets no more, and ends when all has arrived. */
static bool is_stale(const struct sender *sender)
{
    int64_t keep_ms = sender->settings.link->keep_ms;

    return keep_ms > 0 && clock_mono_ms() - sender->up_ms >= keep_ms;
}

static void send_waiting(struct sender *sender)
{
    const struct link_kind *kind = sender->settings.link;
    struct sending *sending;

    TAILQ_FOREACH (sending, &sender->open, entry) {
        if (sending->is_sent)
            continue;
        sending->is_sent =
            kind->send(sender->link, sending->record.data, sending->record.len, &sending->mark);
        if (!sending->is_sent)
            break;
        sender->look_ms = LOOK_FIRST_MS;
        sender->last = sending->mark;
    }
}

/* Gives the link what it takes. */
static void hand_over(struct sender *sender)
{
    const struct sending *first = TAILQ_FIRST(&sender->open);
    bool stale = is_stale(sender);

    if (stale && first != NULL && !first->is_sent) {
        close_link(sender);
        start_resolving(sender);
        return;
    }
    if (!stale)
        send_waiting(sender);
    sender->busy_ms = clock_mono_ms();
    timer_set(&sender->timer,
              TAILQ_EMPTY(&sender->open) ? sender->settings.idle_ms : sender->look_ms);
}

/* Moves what has arrived to a list of its own. */
static void take_arrived(struct sender *sender, struct sendings *ret_arrived)
{
    const struct link_kind *kind = sender->settings.link;
    struct sending *sending;

    TAILQ_INIT(ret_arrived);
    while ((sending = TAILQ_FIRST(&sender->open)) != NULL && sending->is_sent &&
           kind->has_arrived(sender->link, &sending->mark)) {
        TAILQ_REMOVE(&sender->open, sending, entry);
        TAILQ_INSERT_TAIL(ret_arrived, sending, entry);
        sending->list = ret_arrived;
    }
    if (!TAILQ_EMPTY(ret_arrived)) {
        forget_addresses(sender);
        backoff_reset(&sender->backoff);
        sender->err.code = ERR_NONE;
    }
}

static void finish_all(struct sendings *arrived)
{
    struct sending *sending;

    while ((sending = TAILQ_FIRST(arrived)) != NULL)
        finish(sending, NULL);
}

/* Ends what has arrived, and goes on with the rest. */
static void look(struct sender *sender)
{
    struct sendings arrived;

    take_arrived(sender, &arrived);
    sender->look_ms = min_of(sender->look_ms * 2, LOOK_CAP_MS);
    hand_over(sender);
    finish_all(&arrived);
}

static void on_up(void *arg)
{
    struct sender *sender = arg;

    sender->up_ms = clock_mono_ms();
    sender->last = (struct link_mark){0};
    sender->look_ms = LOOK_FIRST_MS;
    set_state(sender, STATE_UP);
    hand_over(sender);
}

static void on_room(void *arg)
{
    hand_over(arg);
}

static void connect_next(struct sender *sender);

static void on_down(void *arg, const struct err *err)
{
    struct sender *sender = arg;
    struct sendings arrived;

    /* A server may close as soon as it has read: what it has read does not come again. */
    take_arrived(sender, &arrived);
    if (sender->next != NULL) {
        sender->err = *err;
        close_link(sender);
        connect_next(sender);
    } else {
        lose(sender, err);
    }
    finish_all(&arrived);
}

static const struct link_events link_events = {.up = on_up, .room = on_room, .down = on_down};

static void connect_next(struct sender *sender)
{
    const struct addrinfo *address = sender->next;

    sender->next = address->ai_next;
    set_state(sender, STATE_CONNECTING);
    sender->link = sender->settings.link->open(sender->loop, address->ai_addr, address->ai_addrlen,
                                               &link_events, sender);
}

static void on_resolved(void *arg, struct addrinfo *addresses, const struct err *err)
{
    struct sender *sender = arg;

    sender->resolve = NULL;
    if (err != NULL) {
        lose(sender, err);
        return;
    }
    sender->addresses = addresses;
    sender->next = addresses;
    connect_next(sender);
}

static void start_resolving(struct sender *sender)
{
    const struct sender_settings *settings = &sender->settings;

    forget_addresses(sender);
    timer_clear(&sender->timer);
    set_state(sender, STATE_RESOLVING);
    sender->resolve = resolve_start(sender->loop, settings->host, settings->port,
                                    settings->link->socket_type, on_resolved, sender);
}

static void advance(struct sender *sender)
{
    switch (sender->state) {
    case STATE_IDLE:
        if (!TAILQ_EMPTY(&sender->open))
            start_resolving(sender);
        break;
    case STATE_UP:
        hand_over(sender);
        break;
    case STATE_RESOLVING:
    case STATE_CONNECTING:
    case STATE_WAITING:
        break;
    }
}

/* Closes a link that nobody needs. Not one that holds what a full server has not read: another would
 * only swallow more. */
static void rest(struct sender *sender)
{
    int64_t left_ms = sender->busy_ms + sender->settings.idle_ms - clock_mono_ms();

    if (left_ms > 0) {
        timer_set(&sender->timer, left_ms);
    } else if (!sender->settings.link->has_arrived(sender->link, &sender->last)) {
        timer_set(&sender->timer, sender->settings.idle_ms);
    } else {
        close_link(sender);
        set_state(sender, STATE_IDLE);
    }
}

static void on_timer(void *arg)
{
    struct sender *sender = arg;

    if (sender->state == STATE_UP && TAILQ_EMPTY(&sender->open)) {
        rest(sender);
    } else if (sender->state == STATE_UP) {
        look(sender);
    } else if (sender->state == STATE_WAITING) {
        set_state(sender, STATE_IDLE);
        advance(sender);
    }
}

struct sender *sender_new(struct loop *loop, const struct sender_settings *settings)
{
    struct sender *sender = xcalloc(1, sizeof(*sender));

    sender->loop = loop;
    sender->settings = *settings;
    sender->settings.host = xstrdup(settings->host);
    sender->settings.port = xstrdup(settings->port);
    TAILQ_INIT(&sender->open);
    TAILQ_INIT(&sender->refused);
    timer_init(&sender->timer, loop, on_timer, sender);
    backoff_init(&sender->backoff, AGAIN_FIRST_MS, AGAIN_CAP_MS);
    return sender;
}

void sender_free(struct sender *sender)
{
    if (sender == NULL)
        return;
    resolve_cancel(sender->resolve);
    close_link(sender);
    forget_addresses(sender);
    timer_done(&sender->timer);
    free((char *)sender->settings.host);
    free((char *)sender->settings.port);
    free(sender);
}

/* Why a record has not arrived in its time. */
static void tell_why(const struct sending *sending, struct err *err)
{
    const struct sender *sender = sending->sender;
    char span[UNIT_TEXT_MAX];

    if (sending->list == &sender->refused)
        err_set(err, ERR_HOST, "%u lines wait for it already", sender->settings.max_open);
    else if (sender->err.code != ERR_NONE)
        *err = sender->err;
    else
        err_set(err, ERR_NETWORK, "%s within %s",
                sender->state == STATE_RESOLVING ? "its name could not be looked up"
                                                 : "it took nothing",
                unit_duration_human(sender->settings.deadline_ms, span));
}

static void on_deadline(void *arg)
{
    struct sending *sending = arg;
    struct err err;

    tell_why(sending, &err);
    /* A dead link is given up, and the other records go through the next one. */
    if (sending->is_sent && sending->sender->settings.link->is_silent(sending->sender->link))
        lose(sending->sender, &err);
    finish(sending, &err);
}

struct sending *sender_send(struct sender *sender, struct buf *record, sending_done_fn *done,
                            void *arg)
{
    struct sending *sending = xcalloc(1, sizeof(*sending));
    bool is_refused = sender->open_count >= sender->settings.max_open;

    sending->sender = sender;
    sending->done = done;
    sending->arg = arg;
    sending->record = *record;
    buf_init(record, record->max);
    if (TAILQ_EMPTY(&sender->open))
        sender->err.code = ERR_NONE; /* what went wrong before is not why this one may fail */
    sending->list = is_refused ? &sender->refused : &sender->open;
    TAILQ_INSERT_TAIL(sending->list, sending, entry);
    timer_init(&sending->deadline, sender->loop, on_deadline, sending);
    timer_set(&sending->deadline, is_refused ? 0 : sender->settings.deadline_ms);
    if (!is_refused) {
        sender->open_count++;
        advance(sender);
    }
    return sending;
}

void sending_cancel(struct sending *sending)
{
    if (sending != NULL)
        drop(sending);
}
