/* SPDX-License-Identifier: MIT */
/*
 * The source `arc` of managed identities: the agent of Azure Arc on a server outside of Azure. Its first answer
 * is a challenge that names a file, whose content the second request must show.
 */
#include <stdlib.h>

#include "base/str.h"
#include "codec/json.h"
#include "identity/arc_key.h"
#include "identity/identity.h"
#include "identity/managed_source.h"
#include "identity/token_refusal.h"
#include "loop/worker.h"
#include "net/http.h"

/* A key being read on the worker thread. Outlives its identity if it must. */
struct arc_reading {
    struct worker_job job;
    struct managed_identity *identity; /* NULL once nobody waits for it */
    char *path;
    struct secret key;
    bool ok;
    struct err err;
};

static bool ask(void *self, const char *audience, struct http_request *request, struct err *err)
{
    const struct managed_identity *identity = self;

    (void)err;
    managed_source_ask(identity, "2020-06-01", audience, request);
    http_request_header(request, "Metadata", "true");
    if (secret_is_set(&identity->secret)) {
        autobuf basic;

        buf_init(&basic, ARC_KEY_MAX_BYTES + 16);
        buf_printf(&basic, "Basic %s", secret_reveal(&identity->secret));
        http_request_header(request, "Authorization", basic.data);
        buf_wipe(&basic);
    }
    return true;
}

/* On the worker thread. */
static void run_reading(void *arg)
{
    struct arc_reading *reading = arg;

    reading->ok = arc_key_read(reading->path, ARC_KEY_USER, &reading->key, &reading->err);
}

static void free_reading(struct arc_reading *reading)
{
    free(reading->path);
    secret_done(&reading->key);
    free(reading);
}

static void on_read(void *arg)
{
    struct arc_reading *reading = arg;
    struct managed_identity *identity = reading->identity;
    struct err err = reading->err;
    bool ok = reading->ok;

    if (identity != NULL) {
        identity->reading = NULL;
        secret_set(&identity->secret, secret_reveal(&reading->key), reading->key.len);
    }
    free_reading(reading);
    if (identity != NULL)
        identity_challenge_met(identity->owner, ok ? NULL : &err);
}

static bool challenged(void *self, const struct http_reply *reply, struct err *err)
{
    struct managed_identity *identity = self;
    const char *challenge = http_reply_header(reply, "WWW-Authenticate");
    char *path;

    if (challenge == NULL || !arc_key_path(challenge, ARC_KEY_DIRECTORY, &path, err))
        return false;
    struct arc_reading *reading = xcalloc(1, sizeof(*reading));
    reading->job = (struct worker_job){.run = run_reading, .done = on_read, .arg = reading};
    reading->identity = identity;
    reading->path = path;
    identity->reading = reading;
    worker_submit(identity->worker, &reading->job);
    return true;
}

static void forget(void *self)
{
    struct managed_identity *identity = self;

    if (identity->reading != NULL)
        identity->reading->identity = NULL;
    identity->reading = NULL;
    secret_done(&identity->secret);
}

static bool is_of(const struct json *answer, const char *name, const char *wanted)
{
    return str_equal_nocase(json_member_text(answer, name), wanted);
}

/* An agent that knows of user-assigned identities says whose the token is; older ones give the machine's own
 * whatever they are asked for. */
static bool accepts(void *self, const struct json *answer, struct err *err)
{
    const struct managed_identity *identity = self;
    enum managed_id id;
    const char *wanted = managed_source_id(identity->settings, &id);

    if (wanted == NULL || is_of(answer, identity->source->id_names[id], wanted) ||
        (id == MANAGED_RESOURCE_ID && is_of(answer, "mi_res_id", wanted)))
        return true;
    return err_set(
        err, ERR_AUTH,
        "the token is for another identity: an older agent knows only the machine's own, "
        "the system-assigned one; take out %s, or bring the agent up to date",
        managed_id_names[id]);
}

static void explain(void *self, const struct token_refusal *refusal, struct err *err)
{
    managed_source_explain(self, refusal, err);
    if (refusal->status == 401)
        identity_add_reason(err, "see azcmagent show, and restart himdsd, its agent");
}

const struct managed_source managed_source_arc = {
    .name = "arc",
    .place = "machine",
    .variables = {"IDENTITY_ENDPOINT", "IMDS_ENDPOINT"},
    .default_endpoint = "http://127.0.0.1:40342",
    .path = "/metadata/identity/oauth2/token",
    .id_names = {"client_id", "object_id", "msi_res_id"},
    .issuer = {.name = "Azure Arc",
               .pace = TOKEN_PACE_OTHER,
               .unreachable = "does its agent run? See systemctl status himdsd and azcmagent show",
               .ask = ask,
               .shown = managed_source_shown,
               .challenged = challenged,
               .forget = forget,
               .accepts = accepts,
               .explain = explain},
};
