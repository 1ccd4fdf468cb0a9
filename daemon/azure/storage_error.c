/* SPDX-License-Identifier: MIT */
/* What a Storage service's failed answer means. */
#include "azure/storage_error.h"

#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "codec/xml.h"
#include "net/http.h"
#include "net/skew.h"

/* What the service finds wrong with the SAS, the key or the token, behind its name; all are ERR_AUTH. */
static const struct {
    const char *code;
    const char *fault;
} faults_of_proof[] = {
    {"AuthenticationFailed",
     "is not valid for this account: wrong, expired, or not for this queue"},
    {"InvalidAuthenticationInfo", "is not valid"},
    {"AuthorizationPermissionMismatch", "lacks the right"},
    {"InsufficientAccountPermissions", "lacks the right"},
};

/* What its other codes mean. */
static const struct {
    const char *code;
    enum err_code meaning;
    const char *mend;
} meanings[] = {
    {"QueueNotFound", ERR_MISSING, "create the queue or mend url"},
    {"ResourceNotFound", ERR_MISSING, "there is no such account or queue: mend url"},
    {"QueueBeingDeleted", ERR_MISSING, "the queue is being deleted: create it again in a minute"},
    {"InvalidResourceName", ERR_MISSING, "no queue can have that name: mend url"},
    {"InvalidUri", ERR_MISSING, "url is not that of a queue: mend url"},
    {"OutOfRangeInput", ERR_MISSING, "no queue can have that name: mend url"},
    {"QueueDisabled", ERR_MISSING, "the queue is disabled: an administrator has to enable it"},
    {"MessageNotFound", ERR_GONE, "the message is no longer ours"},
    {"PopReceiptMismatch", ERR_GONE, "the message is no longer ours"},
    {"NoAuthenticationInformation", ERR_AUTH, "the service got no credential"},
    {"KeyBasedAuthenticationNotPermitted", ERR_AUTH,
     "the account takes neither its keys nor a SAS made with them: use a managed identity, or a "
     "user "
     "delegation SAS"},
    {"AuthorizationFailure", ERR_AUTH,
     "the account's firewall or a policy refuses this machine: let its address or network in"},
    {"AuthorizationProtocolMismatch", ERR_AUTH,
     "the SAS is for https only: use https in url, or a SAS with spr=https,http"},
    {"AuthorizationSourceIPMismatch", ERR_AUTH,
     "the SAS is for other addresses than this machine's: make one with another sip"},
    {"AuthorizationServiceMismatch", ERR_AUTH, "the SAS is not for queues: make one with ss=q"},
    {"AuthorizationResourceTypeMismatch", ERR_AUTH,
     "the account SAS does not reach this: make one with srt=co"},
    {"AccountIsDisabled", ERR_AUTH, "the storage account is disabled: see its subscription"},
    {"ServerBusy", ERR_THROTTLED, "the service asks to slow down"},
    {"OperationTimedOut", ERR_SERVER, "the service took too long"},
    {"MessageTooLarge", ERR_REJECTED, "the message is longer than 64 KiB"},
    {"RequestBodyTooLarge", ERR_REJECTED, "the message is longer than 64 KiB"},
    {"QueueAlreadyExists", ERR_REJECTED, "the queue exists already"},
};

/* What a status alone means, the first row that fits. A NULL mend is filled in from the service's message. */
static const struct {
    int first, last;
    enum err_code meaning;
    const char *mend;
} statuses[] = {
    {300, 399, ERR_REJECTED, "the host answered a redirect: url does not name a Storage service"},
    {401, 401, ERR_AUTH, "the service did not take the credential"},
    {403, 403, ERR_AUTH, "the service did not take the credential"},
    {404, 404, ERR_MISSING, "nothing is there: mend url"},
    {407, 407, ERR_AUTH, "the proxy wants a password: give one in http.proxy"},
    {408, 408, ERR_SERVER, "the service took too long"},
    {429, 429, ERR_THROTTLED, "the service asks to slow down"},
    {503, 503, ERR_THROTTLED, "the service is busy"},
    {413, 413, ERR_REJECTED, "the request is too large"},
    {400, 499, ERR_REJECTED, NULL},
    {500, 599, ERR_SERVER, "the service failed"},
    {0, 999, ERR_SERVER, "the answer is none that this operation has"},
};

#define CONTRIBUTOR "Storage Queue Data Contributor"

static const struct storage_right rights[] = {
    {"Get Messages", "p", "Storage Queue Data Message Processor"},
    {"Delete Message", "p", "Storage Queue Data Message Processor"},
    {"Update Message", "u", CONTRIBUTOR},
    {"Put Message", "a", "Storage Queue Data Message Sender"},
    {"Get Queue Metadata", "r", "Storage Queue Data Reader"},
    {"Create Queue", "c", CONTRIBUTOR},
};

/* What an `Error` document holds; empty where it does not. */
struct details {
    bool is_error; /* the root is `Error` */
    char code[64];
    char message[160];
    char authentication[200];
};

static bool on_open(void *arg, const char *name, unsigned depth)
{
    struct details *details = arg;

    if (depth == 1)
        details->is_error = str_equal(name, "Error");
    return details->is_error;
}

static bool on_close(void *arg, const char *name, unsigned depth, const char *text, size_t len)
{
    struct details *details = arg;

    (void)len;
    if (depth != 2)
        return true;
    if (str_equal(name, "Code"))
        str_copy_name(details->code, sizeof(details->code), text);
    else if (str_equal(name, "Message"))
        str_copy_line(details->message, sizeof(details->message), text);
    else if (str_equal(name, "AuthenticationErrorDetail"))
        str_copy_line(details->authentication, sizeof(details->authentication), text);
    return true;
}

/* Whether a service's words may go into a log: such a text can quote the string to sign, or the
 * signature itself. "Signature not valid in the specified time frame: ..." is worth its exception. */
static bool is_safe(const char *text)
{
    if (strncasecmp(text, "sign", 4) == 0)
        text += 4;
    return strcasestr(text, "sig") == NULL;
}

/* Reads the body as far as it goes; what is not an `Error` document tells nothing. */
static void read_details(const struct storage_answer *answer, struct details *ret_details)
{
    static const struct xml_visitor visitor = {.open = on_open, .close = on_close};
    struct err ignored;

    *ret_details = (struct details){.is_error = false};
    if (answer->len > 0 && !xml_parse(answer->body, answer->len, &visitor, ret_details, &ignored) &&
        !ret_details->is_error)
        *ret_details = (struct details){.is_error = false};
    if (!is_safe(ret_details->message))
        ret_details->message[0] = '\0';
    if (!is_safe(ret_details->authentication))
        ret_details->authentication[0] = '\0';
}

/* What an answer means. */
struct meaning {
    enum err_code code;
    const char *mend;
    bool of_proof; /* it goes on behind the name of what was shown */
};

static struct meaning find_meaning(int status, const char *code)
{
    for (size_t i = 0; i < array_size(faults_of_proof); i++) {
        if (status >= 300 && str_equal(code, faults_of_proof[i].code))
            return (struct meaning){ERR_AUTH, faults_of_proof[i].fault, true};
    }
    for (size_t i = 0; i < array_size(meanings); i++) {
        if (status >= 300 && str_equal(code, meanings[i].code))
            return (struct meaning){meanings[i].meaning, meanings[i].mend, false};
    }
    for (size_t i = 0; i < array_size(statuses); i++) {
        if (status >= statuses[i].first && status <= statuses[i].last)
            return (struct meaning){statuses[i].meaning, statuses[i].mend, false};
    }
    return (struct meaning){ERR_SERVER, "the answer is not HTTP", false};
}

static const char *proof_name(enum identity_proof proof)
{
    switch (proof) {
    case IDENTITY_PROOF_UNKNOWN:
        break;
    case IDENTITY_PROOF_SAS:
        return "the SAS";
    case IDENTITY_PROOF_KEY:
        return "the key";
    case IDENTITY_PROOF_TOKEN:
        return "the token";
    }
    return "the SAS, key or token";
}

const struct storage_right *storage_error_right(const char *operation)
{
    for (size_t i = 0; i < array_size(rights); i++) {
        if (str_equal(rights[i].operation, operation))
            return &rights[i];
    }
    return NULL;
}

/* What has to be given, in the words of what was shown. */
static void put_right(struct buf *text, const char *what, enum identity_proof proof)
{
    const struct storage_right *right = storage_error_right(what);

    if (right == NULL)
        return;
    switch (proof) {
    case IDENTITY_PROOF_SAS:
        buf_printf(text, ": %s needs the SAS permission %s", what, right->letter);
        return;
    case IDENTITY_PROOF_KEY:
        buf_puts(text, ", although a key has all: a lock or a policy of the account is in the way");
        return;
    case IDENTITY_PROOF_TOKEN:
        buf_printf(text,
                   ": %s needs the role %s on the queue or its storage account (a new grant takes "
                   "minutes to count, up to an hour)",
                   what, right->role);
        return;
    case IDENTITY_PROOF_UNKNOWN:
        buf_printf(text, ": %s needs the SAS permission %s, or the role %s", what, right->letter,
                   right->role);
    }
}

static bool is_missing_right(const char *code)
{
    return str_equal(code, "AuthorizationPermissionMismatch") ||
           str_equal(code, "InsufficientAccountPermissions");
}

bool storage_error_lacks_right(const struct err *err)
{
    return err->code == ERR_AUTH && is_missing_right(err->service_code);
}

/* The tenant in `Bearer authorization_uri=https://login.microsoftonline.com/TENANT/oauth2/authorize ...`,
 * the URI in quotes or not. */
static void read_tenant(const char *challenge, char *to, size_t size)
{
    const char *uri = strcasestr(challenge, "authorization_uri=");

    to[0] = '\0';
    if (uri == NULL)
        return;
    uri += strlen("authorization_uri=");
    uri += *uri == '"' ? 1 : 0;
    if (strncasecmp(uri, "https://", 8) != 0)
        return;
    uri += 8 + strcspn(uri + 8, "/\", ");
    if (*uri == '/')
        str_copy_name(to, size, uri + 1);
}

/* Whose tokens the account takes, which whoever knows the token's own tenant can compare. */
static void put_tenant(struct buf *text, const struct storage_answer *answer)
{
    char tenant[40];

    if (answer->challenge == NULL || answer->proof == IDENTITY_PROOF_SAS ||
        answer->proof == IDENTITY_PROOF_KEY)
        return;
    read_tenant(answer->challenge, tenant, sizeof(tenant));
    if (tenant[0] != '\0')
        buf_printf(text, "; the account is of the tenant %s", tenant);
}

static void put_refusal(struct buf *text, const struct storage_answer *answer, const char *code,
                        const char *what, const struct details *details)
{
    if (is_missing_right(code))
        put_right(text, what, answer->proof);
    if (details->authentication[0] != '\0')
        buf_printf(text, " (%s)", details->authentication);
    if (str_equal(code, "AuthenticationFailed") || str_equal(code, "InvalidAuthenticationInfo") ||
        code[0] == '\0')
        skew_explain(answer->date, "the service's", text);
    put_tenant(text, answer);
}

/* The service names each request; what answers in its place does not. */
static void put_origin(struct buf *text, const char *request_id)
{
    if (request_id == NULL)
        buf_puts(text,
                 "; the answer bears no sign of a Storage service: a proxy or a portal may have "
                 "given it, see url and http.proxy");
}

void storage_error_explain(const struct storage_answer *answer, const char *what,
                           struct err *ret_err)
{
    char code[sizeof(ret_err->service_code)];
    struct details details;
    autobuf text;

    buf_init(&text, BUF_ANY_SIZE);
    read_details(answer, &details);
    str_copy_name(code, sizeof(code),
                  answer->error_code != NULL ? answer->error_code : details.code);
    struct meaning meaning = find_meaning(answer->status, code);
    if (meaning.mend == NULL)
        meaning.mend =
            details.message[0] != '\0' ? details.message : "the service refuses the request";
    buf_printf(&text, "%s: %d%s%s: ", what, answer->status, code[0] != '\0' ? " " : "", code);
    if (meaning.of_proof)
        buf_printf(&text, "%s ", proof_name(answer->proof));
    buf_puts(&text, meaning.mend);
    if (meaning.code == ERR_AUTH)
        put_refusal(&text, answer, code, what, &details);
    if (code[0] == '\0' && answer->status != 407)
        put_origin(&text, answer->request_id);
    err_set(ret_err, meaning.code, "%s", text.data);
    ret_err->http_status = answer->status;
    ret_err->retry_after_ms = answer->retry_after_ms;
    memcpy(ret_err->service_code, code, sizeof(code));
    str_copy_name(ret_err->request_id, sizeof(ret_err->request_id), answer->request_id);
}

void storage_error_read(const struct http_reply *reply, const char *what, enum identity_proof proof,
                        struct err *ret_err)
{
    const struct storage_answer answer = {
        .status = reply->status,
        .retry_after_ms = reply->retry_after_ms,
        .error_code = http_reply_header(reply, "x-ms-error-code"),
        .request_id = http_reply_header(reply, "x-ms-request-id"),
        .date = http_reply_header(reply, "Date"),
        .challenge = http_reply_header(reply, "WWW-Authenticate"),
        .proof = proof,
        .body = reply->body,
        .len = reply->len,
    };

    storage_error_explain(&answer, what, ret_err);
}

void storage_error_garbled(const struct http_reply *reply, const char *what, struct err *err)
{
    const char *request_id = http_reply_header(reply, "x-ms-request-id");
    autobuf text;

    buf_init(&text, BUF_ANY_SIZE);
    buf_printf(&text, "%s: %d, but %s", what, reply->status, err->text);
    put_origin(&text, request_id);
    err_set(err, err->code, "%s", text.data);
    err->http_status = reply->status;
    str_copy_name(err->request_id, sizeof(err->request_id), request_id);
}
