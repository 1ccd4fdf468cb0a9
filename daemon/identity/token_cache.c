/* SPDX-License-Identifier: MIT */
/* The one token of an identity: asked for, kept, put on requests, replaced in time. */
#include "identity/token_cache.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/str.h"
#include "base/unit.h"
#include "codec/date.h"
#include "codec/json.h"
#include "identity/identity.h"
#include "identity/issuer.h"
#include "identity/token_answer.h"
#include "identity/token_error.h"
#include "identity/token_retry.h"
#include "loop/timer.h"
#include "net/http.h"
#include "net/url.h"

#define MAX_ANSWER_BYTES ((size_t)256 * 1024)
#define MAX_DEPTH        16

#define HOUR_MS          ((int64_t)3600 * 1000)
#define MAX_MARGIN_MS    ((int64_t)5 * 60 * 1000)
#define MAX_SLACK_MS     ((int64_t)5 * 1000) /* what a request may take on its way */
#define DROP_EVERY_MS    ((int64_t)30 * 1000) /* a service that refuses all tokens asks for no more */
#define LATER_MS         20 /* who is told to come again does not come a moment too soon */
#define TELL_AFTER       2  /* failures in a row, of what may pass by itself */

struct token_cache {
    struct identity *owner;
    struct http *http;
    const struct issuer *issuer;
    void *self; /* the issuer's */
    const char *audience;
    bool allow_insecure;

    struct secret bearer; /* as it goes into the header; empty: none */
    struct token_claims claims;
    unsigned number;
    bool dropped;         /* refused; it serves again when no other is to be had */
    int64_t until_ms;     /* all monotonic: it serves until then */
    int64_t due_ms;       /* it is to be replaced from then on */
    int64_t next_drop_ms; /* a refusal may cost a token from then on */

    struct http_call *call; /* the fetch that is under way */
    bool challenged;        /* in it, the issuer's challenge was taken up */
    struct timer later;     /* tells that the fetch could not begin */
    struct token_retry retry;
    int64_t next_ms;    /* the issuer may be asked from then on */
    struct err failure; /* of the last fetch; ERR_NONE after a good one */
    unsigned failures;  /* in a row */
    bool told;          /* that the token in use can not be replaced */
};

/* --- what is there --- */

bool token_cache_is_ready(const struct token_cache *cache)
{
    return secret_is_set(&cache->bearer) && !cache->dropped && clock_mono_ms() < cache->until_ms;
}

bool token_cache_is_due(const struct token_cache *cache)
{
    int64_t now_ms = clock_mono_ms();

    return now_ms >= cache->due_ms && now_ms >= cache->next_ms;
}

bool token_cache_may_fetch(const struct token_cache *cache, struct err *ret_err)
{
    int64_t left_ms = cache->next_ms - clock_mono_ms();

    if (left_ms <= 0)
        return true;
    *ret_err = cache->failure;
    ret_err->retry_after_ms = (uint32_t)left_ms + LATER_MS;
    return false;
}

unsigned token_cache_number(const struct token_cache *cache)
{
    return cache->number;
}

const char *token_cache_trouble(const struct token_cache *cache)
{
    return cache->told ? cache->failure.text : NULL;
}

/* --- the end of a fetch --- */

static void tell_renewed(struct token_cache *cache)
{
    const struct log_field fields[] = {{"identity", identity_label(cache->owner)}, {NULL, NULL}};

    if (cache->told)
        log_info(fields, "%s gives tokens again", cache->issuer->name);
    cache->told = false;
}

/* Once, when an operator should know: the token that serves on will not do so for ever. */
static void tell_failed(struct token_cache *cache, int64_t wait_ms)
{
    const struct log_field fields[] = {{"identity", identity_label(cache->owner)}, {NULL, NULL}};
    bool passing = cache->failure.code != ERR_AUTH;
    char left[UNIT_TEXT_MAX], wait[UNIT_TEXT_MAX];

    if (cache->told || !token_cache_is_ready(cache) || (passing && cache->failures < TELL_AFTER))
        return;
    cache->told = true;
    log_warning(fields,
                "the token can not be renewed: %s; the one in use is good for %s, retrying in %s",
                cache->failure.text, unit_duration_human(cache->until_ms - clock_mono_ms(), left),
                unit_duration_human(wait_ms, wait));
}

static void end_fetch(struct token_cache *cache)
{
    if (cache->issuer->forget != NULL)
        cache->issuer->forget(cache->self);
    cache->challenged = false;
}

void token_cache_failed(struct token_cache *cache, const struct err *err)
{
    int64_t wait_ms = token_retry_after(&cache->retry, cache->issuer->pace, err);

    end_fetch(cache);
    cache->dropped = false; /* another service may take it */
    cache->next_ms = clock_mono_ms() + wait_ms;
    cache->failure = *err;
    cache->failure.retry_after_ms = (uint32_t)wait_ms + LATER_MS;
    cache->failure.is_paced = true;
    cache->failures++;
    tell_failed(cache, wait_ms);
}

static void fail(struct token_cache *cache, const struct err *err)
{
    token_cache_failed(cache, err);
    identity_acquired(cache->owner, &cache->failure);
}

static void keep_token(struct token_cache *cache, const struct token_answer *answer)
{
    int64_t now_ms = clock_mono_ms(), life_ms = answer->life_ms;
    autobuf bearer;

    buf_init(&bearer, BUF_ANY_SIZE);
    buf_puts(&bearer, "Bearer ");
    buf_append(&bearer, secret_reveal(&answer->token), answer->token.len);
    secret_set(&cache->bearer, bearer.data, bearer.len);
    buf_wipe(&bearer);
    token_claims_read(&answer->token, &cache->claims);
    cache->number++;
    cache->dropped = false;
    cache->until_ms = now_ms + life_ms - min_of(life_ms / 10, MAX_SLACK_MS);
    cache->due_ms = now_ms + (life_ms > 2 * HOUR_MS ? life_ms / 2
                                                    : life_ms - min_of(life_ms / 4, MAX_MARGIN_MS));
}

static void succeed(struct token_cache *cache, const struct token_answer *answer)
{
    const struct log_field fields[] = {{"identity", identity_label(cache->owner)}, {NULL, NULL}};
    char life[UNIT_TEXT_MAX];

    end_fetch(cache);
    keep_token(cache, answer);
    token_retry_reset(&cache->retry);
    cache->failures = 0;
    cache->failure = (struct err){.code = ERR_NONE};
    cache->next_ms = 0;
    log_debug(fields, "%s gave a token that is good for %s", cache->issuer->name,
              unit_duration_human(answer->life_ms, life));
    tell_renewed(cache);
    identity_acquired(cache->owner, NULL);
}

/* --- the answer --- */

/* By the issuer's clock, with which the end of a token's life is to be compared. */
static int64_t answered_ms(const struct http_reply *reply)
{
    const char *date = http_reply_header(reply, "Date");
    int64_t ms;

    return date != NULL && date_parse_http(date, &ms) ? ms : clock_wall_ms();
}

static bool read_token(struct token_cache *cache, const struct http_reply *reply,
                       struct token_answer *ret_answer, struct err *err)
{
    const struct issuer *issuer = cache->issuer;
    struct json_doc *doc;

    if (json_parse(reply->body, reply->len, MAX_DEPTH, &doc) != JSON_OK) {
        err_set(err, ERR_SERVER,
                "200, but not JSON: something else may have answered, a proxy or a portal");
        return false;
    }
    bool good = token_answer_read(json_root(doc), answered_ms(reply), ret_answer, err);
    if (good && issuer->accepts != NULL && !issuer->accepts(cache->self, json_root(doc), err)) {
        token_answer_done(ret_answer);
        good = false;
    }
    json_doc_free(doc);
    return good;
}

static void take_token(struct token_cache *cache, const struct http_reply *reply)
{
    struct token_answer answer = {.life_ms = 0};
    struct err err;

    if (read_token(cache, reply, &answer, &err)) {
        succeed(cache, &answer);
    } else {
        err_prefix(&err, "%s", cache->issuer->name);
        fail(cache, &err);
    }
    token_answer_done(&answer);
}

static void take_refusal(struct token_cache *cache, const struct http_reply *reply)
{
    const struct secret *shown =
        cache->issuer->shown != NULL ? cache->issuer->shown(cache->self) : NULL;
    struct token_refusal refusal;
    struct err err;

    token_refusal_read(reply, shown != NULL ? secret_reveal(shown) : NULL, &refusal);
    token_error_explain(&refusal, cache->issuer->name, &err);
    if (cache->issuer->explain != NULL)
        cache->issuer->explain(cache->self, &refusal, &err);
    if (token_error_is_of_secret(&err))
        identity_explain_secret(cache->owner, &err);
    fail(cache, &err);
}

/* Whether the answer was a challenge, and is being dealt with. */
static bool take_challenge(struct token_cache *cache, const struct http_reply *reply)
{
    struct err err = {.code = ERR_NONE};

    if (reply->status != 401 || cache->issuer->challenged == NULL || cache->challenged)
        return false;
    cache->challenged = true;
    if (cache->issuer->challenged(cache->self, reply, &err))
        return true;
    if (err.code == ERR_NONE)
        return false;
    err_prefix(&err, "%s", cache->issuer->name);
    fail(cache, &err);
    return true;
}

static void on_answer(void *arg, const struct http_reply *reply, const struct err *err)
{
    struct token_cache *cache = arg;
    struct err named;

    cache->call = NULL;
    if (err != NULL) {
        named = *err;
        err_prefix(&named, "%s", cache->issuer->name);
        if (cache->issuer->unreachable != NULL && err->code == ERR_NETWORK)
            identity_add_reason(&named, "%s", cache->issuer->unreachable);
        fail(cache, &named);
    } else if (reply->status == 200) {
        take_token(cache, reply);
    } else if (!take_challenge(cache, reply)) {
        take_refusal(cache, reply);
    }
}

/* --- asking --- */

static void on_later(void *arg)
{
    struct token_cache *cache = arg;

    fail(cache, &cache->failure);
}

static void ask(struct token_cache *cache)
{
    struct http_request request;

    http_request_init(&request, HTTP_GET);
    if (!cache->issuer->ask(cache->self, cache->audience, &request, &cache->failure)) {
        http_request_done(&request);
        timer_set(&cache->later, 0);
        return;
    }
    request.max_reply_bytes = MAX_ANSWER_BYTES;
    request.secret_reply = true;
    /* It ends before those give up who wait for it with a request of their own. */
    request.timeout_ms = http_timeout_ms(cache->http) * 9 / 10;
    cache->call = http_call_start(cache->http, &request, on_answer, cache);
}

void token_cache_fetch(struct token_cache *cache)
{
    ask(cache);
}

void token_cache_challenge_met(struct token_cache *cache, const struct err *err)
{
    struct err named;

    if (err == NULL) {
        ask(cache);
        return;
    }
    named = *err;
    err_prefix(&named, "%s", cache->issuer->name);
    fail(cache, &named);
}

/* --- use --- */

/* Nobody on the way may read it. */
static bool may_go(const struct token_cache *cache, const char *text, struct err *err)
{
    autourl url = {0};

    if (strncasecmp(text, "https://", 8) == 0)
        return true;
    if (!url_parse(text, &url, err))
        return false;
    if (cache->allow_insecure && str_equal(url.scheme, "http") && url_is_loopback(&url))
        return true;
    return err_set(err, ERR_AUTH, "a token is sent over https:// only, not to %s://%s", url.scheme,
                   url.host);
}

bool token_cache_sign(struct token_cache *cache, struct http_request *request, struct err *err)
{
    if (!may_go(cache, request->url.data, err))
        return false;
    http_request_header(request, "Authorization", secret_reveal(&cache->bearer));
    return true;
}

/* Who the service took us for; without it nobody can give the role to the right one. */
static void add_claims(const struct token_claims *claims, struct err *err)
{
    if (claims->object_id[0] != '\0')
        identity_add_reason(err, "the token is for the object id %s of the tenant %s",
                            claims->object_id, claims->tenant[0] != '\0' ? claims->tenant : "?");
}

/* Whether the service found the token itself no good, and not what it may do. */
static bool is_of_token(const struct err *err)
{
    return err->http_status == 401 || str_equal(err->service_code, "AuthenticationFailed") ||
           str_equal(err->service_code, "InvalidAuthenticationInfo");
}

bool token_cache_refused(struct token_cache *cache, unsigned number, struct err *err)
{
    int64_t now_ms = clock_mono_ms();

    add_claims(&cache->claims, err);
    if (!is_of_token(err))
        return false;
    if (number != cache->number || cache->dropped)
        return true; /* another has come meanwhile, or is on its way */
    if (now_ms < cache->next_drop_ms || now_ms < cache->next_ms)
        return false;
    cache->next_drop_ms = now_ms + DROP_EVERY_MS;
    cache->dropped = true;
    return true;
}

void token_cache_hurry(struct token_cache *cache)
{
    token_retry_reset(&cache->retry);
    cache->next_ms = 0;
}

void token_cache_reload(struct token_cache *cache)
{
    token_cache_hurry(cache);
    cache->due_ms = cache->next_drop_ms = 0;
}

/* --- life --- */

struct token_cache *token_cache_new(struct identity *owner, const struct identity_context *context,
                                    const struct issuer *issuer, void *self)
{
    struct token_cache *cache = xcalloc(1, sizeof(*cache));

    cache->owner = owner;
    cache->http = context->http;
    cache->audience = context->audience;
    cache->allow_insecure = context->allow_insecure;
    cache->issuer = issuer;
    cache->self = self;
    timer_init(&cache->later, context->loop, on_later, cache);
    return cache;
}

void token_cache_free(struct token_cache *cache)
{
    if (cache == NULL)
        return;
    end_fetch(cache);
    http_call_cancel(cache->call);
    timer_done(&cache->later);
    secret_done(&cache->bearer);
    free(cache);
}
