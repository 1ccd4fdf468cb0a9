/* SPDX-License-Identifier: MIT */
/* Where an identity's secret comes from: a text, a file, or a systemd credential. */
#include "identity/source.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "config/mistakes.h"
#include "config/table.h"
#include "identity/identity.h"

/* One read on the worker thread. It has its own copies, for it may outlive the source. */
struct reading {
    struct worker_job job;
    struct source *source; /* NULL once the source is gone */
    struct config_secret setting;
    bool allow_readable;
    bool ok;
    struct secret secret;
    struct err err;
};

struct source {
    struct worker *worker;
    const struct config_secret *setting;
    bool allow_readable;
    source_adopt_fn *adopt;
    void *self;
    source_done_fn *done;
    void *arg;
    bool ready;
    int64_t read_ms;
    struct secret in_use; /* to tell another one from it */
    unsigned version;
    struct reading *reading; /* NULL when none is under way */
};

/* The manager hides the directory from a unit's other processes, such as ExecReload's. */
bool source_has_credentials(void)
{
    const char *directory = getenv("CREDENTIALS_DIRECTORY");

    return directory != NULL && *directory != '\0' && access(directory, X_OK) == 0;
}

static bool read_credential(const char *name, bool allow_readable, struct secret *ret_secret,
                            bool *ret_unchecked, struct err *err)
{
    if (*name == '\0' || strchr(name, '/') != NULL || strcmp(name, "..") == 0)
        return err_set(err, ERR_AUTH,
                       "\"%s\" is no name of a credential: a file name without "
                       "slashes is due",
                       name);
    if (!source_has_credentials()) {
        *ret_unchecked = true;
        return err_set(err, ERR_AUTH,
                       "no $CREDENTIALS_DIRECTORY to read the credential %s from: give the unit a "
                       "LoadCredential=%s:FILE",
                       name, name);
    }
    autofree char *path = xasprintf("%s/%s", getenv("CREDENTIALS_DIRECTORY"), name);
    return secret_read_file(path, allow_readable, ret_secret, err);
}

bool source_read(const struct config_secret *setting, bool allow_readable,
                 struct secret *ret_secret, bool *ret_unchecked, struct err *err)
{
    *ret_unchecked = false;
    if (setting->file != NULL)
        return secret_read_file(setting->file, allow_readable, ret_secret, err);
    if (setting->credential != NULL)
        return read_credential(setting->credential, allow_readable, ret_secret, ret_unchecked, err);
    if (setting->text == NULL)
        return err_set(err, ERR_AUTH, "no secret was given");
    secret_set(ret_secret, setting->text, strlen(setting->text));
    return true;
}

void source_mistake(const struct config_secret *setting, const char *name, const struct node *map,
                    struct mistakes *mistakes, const char *text)
{
    const char *spelling = "";

    if (setting->file != NULL)
        spelling = "_file";
    else if (setting->credential != NULL)
        spelling = "_credential";
    autofree char *key = xasprintf("%s%s", name, spelling);
    mistakes_at_key(mistakes, map, key, "%s: %s", key, text);
}

bool source_check(const struct config_secret *setting, const char *name, const struct node *map,
                  bool allow_readable, struct mistakes *mistakes, struct secret *ret_secret)
{
    bool unchecked;
    struct err err;

    if (source_read(setting, allow_readable, ret_secret, &unchecked, &err))
        return true;
    if (!unchecked)
        source_mistake(setting, name, map, mistakes, err.text);
    return false;
}

struct source *source_new(struct worker *worker, const struct config_secret *setting,
                          bool allow_readable, source_adopt_fn *adopt, void *self,
                          source_done_fn *done, void *arg)
{
    struct source *source = xcalloc(1, sizeof(*source));

    *source = (struct source){
        .worker = worker,
        .setting = setting,
        .allow_readable = allow_readable,
        .adopt = adopt,
        .self = self,
        .done = done,
        .arg = arg,
    };
    return source;
}

void source_free(struct source *source)
{
    if (source == NULL)
        return;
    if (source->reading != NULL)
        source->reading->source = NULL;
    secret_done(&source->in_use);
    free(source);
}

bool source_is_ready(const struct source *source)
{
    return source->ready;
}

int64_t source_read_ms(const struct source *source)
{
    return source->read_ms;
}

unsigned source_version(const struct source *source)
{
    return source->version;
}

/* On the worker thread. */
static void run_reading(void *arg)
{
    struct reading *reading = arg;
    bool unchecked;

    reading->ok = source_read(&reading->setting, reading->allow_readable, &reading->secret,
                              &unchecked, &reading->err);
}

static void free_reading(struct reading *reading)
{
    secret_free_text(reading->setting.text);
    free(reading->setting.file);
    free(reading->setting.credential);
    secret_done(&reading->secret);
    free(reading);
}

static void note_use(struct source *source, const struct secret *secret)
{
    source->ready = true;
    if (secret_equal(secret, &source->in_use))
        return;
    secret_set(&source->in_use, secret->bytes, secret->len);
    source->version++;
}

/* Puts what was read to use, and says how it went. */
static void adopt_reading(struct source *source, struct reading *reading)
{
    struct err err = reading->err;

    source->reading = NULL;
    source->read_ms = clock_wall_ms();
    if (reading->ok && source->adopt(source->self, &reading->secret, &err))
        note_use(source, &reading->secret);
    free_reading(reading);
    source->done(source->arg, source->ready ? NULL : &err);
}

static void on_read(void *arg)
{
    struct reading *reading = arg;

    if (reading->source == NULL)
        free_reading(reading);
    else
        adopt_reading(reading->source, reading);
}

void source_acquire(struct source *source)
{
    struct reading *reading = xcalloc(1, sizeof(*reading));

    reading->job = (struct worker_job){.run = run_reading, .done = on_read, .arg = reading};
    reading->source = source;
    reading->setting.text = xstrdup(source->setting->text);
    reading->setting.file = xstrdup(source->setting->file);
    reading->setting.credential = xstrdup(source->setting->credential);
    reading->allow_readable = source->allow_readable;
    source->reading = reading;
    worker_submit(source->worker, &reading->job);
}

void source_refused(struct source *source)
{
    if (source->setting->file != NULL)
        source->ready = false;
}

void source_explain(const struct source *source, struct err *err)
{
    if (source->setting->credential != NULL)
        identity_add_reason(err,
                            "systemd copies the credential %s only at a start: restart the "
                            "service after a change, or use a _file to rotate",
                            source->setting->credential);
}
