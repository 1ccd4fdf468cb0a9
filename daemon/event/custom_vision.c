/* SPDX-License-Identifier: MIT */
/* The envelope in which Custom Vision tells of trainings and exports. */
#include "event/custom_vision.h"

#include <string.h>

#include "base/str.h"
#include "codec/json.h"
#include "codec/uuid.h"
#include "event/event.h"

/* What the service calls a thing, and what we call it. */
struct kind {
    const char *type;
    const char *status_member; /* NULL: it has no status */
    const char *status;
    const char *name;
};

static const struct kind kinds[] = {
    {"ConnectionTest", NULL, NULL, "connection.test"},
    {"Training", "trainingStatus", "TrainingCompleted", "training.completed"},
    {"Training", "trainingStatus", "TrainingFailed", "training.failed"},
    {"Export", "exportStatus", "ExportCompleted", "export.completed"},
    {"Export", "exportStatus", "ExportFailed", "export.failed"},
};

static const char wrong_type[] = "wrong-type";
static const char missing_field[] = "missing-field";
static const char bad_uuid[] = "bad-uuid";

/* A member that is there; null says the same as leaving it out. */
static const struct json *present(const struct json *object, const char *name)
{
    const struct json *member = json_member(object, name);

    return member == NULL || member->type == JSON_NULL ? NULL : member;
}

/* Gets a string that must be there. */
static const char *need_text(const struct json *object, const char *name, char **ret_text)
{
    const struct json *member = present(object, name);

    if (member == NULL)
        return missing_field;
    if (member->type != JSON_STRING)
        return wrong_type;
    *ret_text = xstrndup(member->text, member->len);
    return NULL;
}

static const char *need_uuid(const struct json *object, const char *name, char **ret_text)
{
    const char *reason = need_text(object, name, ret_text);

    if (reason != NULL)
        return reason;
    return uuid_is_valid(*ret_text) ? NULL : bad_uuid;
}

/* Gets a string that may be missing, and is missing when it is empty or no string. */
static void maybe_text(const struct json *object, const char *name, char **ret_text)
{
    const char *text = json_member_text(object, name);

    if (text != NULL && text[0] != '\0')
        *ret_text = xstrdup(text);
}

static void maybe_uuid(const struct json *object, const char *name, char **ret_text)
{
    const char *text = json_member_text(object, name);

    if (text != NULL && uuid_is_valid(text))
        *ret_text = xstrdup(text);
}

/* `1` or `1.x`, as a string or as a number; none at all counts as 1.0. */
static bool version_is_known(const struct json *document)
{
    const struct json *version = present(document, "version");

    if (version == NULL)
        return true;
    if (version->type != JSON_STRING && version->type != JSON_NUMBER)
        return false;
    const char *text = version->text;
    if (text[0] != '1' || text[1] == '\0')
        return text[0] == '1';
    size_t digits = strspn(text + 2, "0123456789");
    return text[1] == '.' && digits != 0 && text[2 + digits] == '\0';
}

/* The first kind of a type, whatever its status; NULL when the type is not known. */
static const struct kind *find_type(const char *type)
{
    for (size_t i = 0; i < array_size(kinds); i++) {
        if (str_equal_nocase(kinds[i].type, type))
            return &kinds[i];
    }
    return NULL;
}

static const struct kind *find_kind(const char *type, const char *status)
{
    for (size_t i = 0; i < array_size(kinds); i++) {
        if (str_equal_nocase(kinds[i].type, type) && str_equal_nocase(kinds[i].status, status))
            return &kinds[i];
    }
    return NULL;
}

static char *json_text(const struct json *value)
{
    struct json_writer *writer = json_writer_new();
    size_t len;

    json_write_value(writer, value);
    const char *text = json_writer_text(writer, &len);
    char *copy = xstrndup(text, len);
    json_writer_free(writer);
    return copy;
}

/* The platform is the suffix of the model's name: Custom Vision calls the blob
 * `{projectId} - {iterationId}.{platform}`. NULL when there is nothing that could be one. */
static char *platform_of(const char *uri)
{
    static const char letters_and_digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                             "abcdefghijklmnopqrstuvwxyz";
    size_t end = strcspn(uri, "?#");
    const char *host = strstr(uri, "://");
    size_t begin = host != NULL && host < uri + end ? (size_t)(host - uri) + 3 : 0;

    /* The host's own dots name no platform. */
    if (begin != 0)
        begin += strcspn(uri + begin, "/?#");
    size_t dot = end;
    while (dot > begin && uri[dot - 1] != '.' && uri[dot - 1] != '/')
        dot--;
    size_t len = end - dot;
    if (dot == begin || uri[dot - 1] != '.' || len == 0 || len > 32 ||
        strspn(uri + dot, letters_and_digits) < len)
        return NULL;
    return xstrndup(uri + dot, len);
}

static void set_platform(struct event *event)
{
    if (event->model_uri != NULL)
        event->platform = platform_of(event->model_uri);
}

/* Reads what a known kind of event must and may hold. */
static const char *read_known(const struct json *content, const struct kind *kind,
                              struct event *event)
{
    const char *reason = need_uuid(content, "projectId", &event->project_id);

    if (reason == NULL && kind->status != NULL)
        reason = need_uuid(content, "iterationId", &event->iteration_id);
    else if (reason == NULL)
        maybe_uuid(content, "iterationId", &event->iteration_id);
    if (reason != NULL)
        return reason;
    const struct json *uri = present(content, "modelUri");
    if (uri != NULL && uri->type != JSON_STRING)
        return wrong_type;
    maybe_text(content, "modelUri", &event->model_uri);
    set_platform(event);
    event->name = kind->name;
    event->data = json_text(content);
    return NULL;
}

/* Takes what can be told of a well-formed document that says what we do not know. */
static const char *read_unknown(const struct json *document, struct event *event)
{
    const struct json *content = json_member(document, "Content");

    event->name = "unknown";
    if (event->status == NULL)
        maybe_text(content, "trainingStatus", &event->status);
    if (event->status == NULL)
        maybe_text(content, "exportStatus", &event->status);
    maybe_uuid(content, "projectId", &event->project_id);
    maybe_uuid(content, "iterationId", &event->iteration_id);
    maybe_text(content, "modelUri", &event->model_uri);
    set_platform(event);
    event->data = json_text(document);
    return NULL;
}

const char *custom_vision_decode(const struct json *document, struct event *event)
{
    if (document->type != JSON_OBJECT)
        return wrong_type;
    if (!version_is_known(document)) {
        maybe_text(document, "type", &event->type);
        return read_unknown(document, event);
    }
    const char *reason = need_text(document, "type", &event->type);
    if (reason != NULL)
        return reason;
    const struct kind *kind = find_type(event->type);
    if (kind == NULL)
        return read_unknown(document, event);
    const struct json *content = present(document, "Content");
    if (content == NULL)
        return missing_field;
    if (content->type != JSON_OBJECT)
        return wrong_type;
    if (kind->status_member != NULL)
        reason = need_text(content, kind->status_member, &event->status);
    if (reason != NULL)
        return reason;
    kind = find_kind(event->type, event->status);
    return kind == NULL ? read_unknown(document, event) : read_known(content, kind, event);
}
