/* SPDX-License-Identifier: MIT */
/* Why an issuer gave no token. */
#include "identity/token_error.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "net/skew.h"

/* What was refused: all that a request holds, or what proves who asks. */
enum fault { FAULT_REQUEST, FAULT_SECRET };

/* What several codes mean. */
static const char no_audience[] =
    "no federated credential of the application has the token's audience: "
    "api://AzureADTokenExchange is usual";
static const char no_subject[] =
    "no federated credential of the application has the token's subject: "
    "system:serviceaccount:NAMESPACE:NAME is usual";
static const char no_storage[] = "the tenant does not know Azure Storage: is it the storage "
                                 "account's, and authority that of its "
                                 "cloud?";
static const char other_cloud[] = "the tenant is of another cloud: see authority";
static const char not_valid[] = "the assertion is not valid, or has expired";
static const char not_accepted[] = "the secret or the assertion is not accepted";

/* What the issuer's own code means, AADSTS codes before the others, which are less exact. */
static const struct {
    const char *code;
    enum err_code meaning;
    enum fault fault;
    const char *mend;
} meanings[] = {
    /* The secret, the certificate, a workload's token. */
    {"AADSTS7000215", ERR_AUTH, FAULT_SECRET,
     "client_secret is wrong: it takes the secret's Value, not its Secret ID"},
    {"AADSTS7000222", ERR_AUTH, FAULT_SECRET, "client_secret has expired: make a new one"},
    {"AADSTS70002", ERR_AUTH, FAULT_SECRET, not_accepted},
    {"AADSTS50012", ERR_AUTH, FAULT_SECRET,
     "the assertion is not accepted: is the certificate one of the application's?"},
    {"AADSTS50013", ERR_AUTH, FAULT_SECRET, not_valid},
    {"AADSTS50027", ERR_AUTH, FAULT_SECRET, not_valid},
    {"AADSTS700027", ERR_AUTH, FAULT_SECRET,
     "the assertion's signature is not accepted: is the certificate one of the application's, and "
     "still valid?"},
    {"AADSTS700024", ERR_AUTH, FAULT_SECRET,
     "the assertion is not within its time: it has expired, or a clock is wrong"},
    {"AADSTS1000502", ERR_AUTH, FAULT_SECRET,
     "the certificate is not within its time: it has expired, or a clock is wrong"},
    {"AADSTS7000213", ERR_AUTH, FAULT_SECRET,
     "the certificate's issuers are not accepted: do they stand in its file, and is "
     "send_certificate_chain set?"},
    {"AADSTS700030", ERR_AUTH, FAULT_SECRET,
     "the certificate's name is none that the application trusts"},
    /* A workload's token that no federated credential matches. A new credential takes minutes. */
    {"AADSTS70021", ERR_AUTH, FAULT_REQUEST,
     "no federated credential of the application matches the token: compare issuer, subject and "
     "audience; a new one counts after some minutes"},
    {"AADSTS700211", ERR_AUTH, FAULT_REQUEST,
     "no federated credential of the application has the token's issuer: it must be the cluster's "
     "OIDC issuer URL to the letter"},
    {"AADSTS700212", ERR_AUTH, FAULT_REQUEST, no_audience},
    {"AADSTS7002121", ERR_AUTH, FAULT_REQUEST, no_audience},
    {"AADSTS700213", ERR_AUTH, FAULT_REQUEST, no_subject},
    {"AADSTS7002131", ERR_AUTH, FAULT_REQUEST, no_subject},
    {"AADSTS7002137", ERR_AUTH, FAULT_REQUEST, no_subject},
    {"AADSTS7002138", ERR_AUTH, FAULT_REQUEST,
     "no federated credential of the application has the token's subject to the letter: upper and "
     "lower case count"},
    {"AADSTS70025", ERR_AUTH, FAULT_REQUEST,
     "the application has no federated credential: make one with the token's issuer, subject and "
     "audience"},
    /* The application and its tenant. */
    {"AADSTS700016", ERR_AUTH, FAULT_REQUEST,
     "the tenant has no application of that id: see client_id and tenant_id"},
    {"AADSTS7000229", ERR_AUTH, FAULT_REQUEST,
     "the application has no service principal in this tenant: make one, or see tenant_id"},
    {"AADSTS7000112", ERR_AUTH, FAULT_REQUEST,
     "the application is disabled: an administrator has to enable it"},
    {"AADSTS70001", ERR_AUTH, FAULT_REQUEST,
     "the application is disabled, or not known in this tenant: see client_id and tenant_id"},
    {"AADSTS50034", ERR_AUTH, FAULT_REQUEST, "the tenant has no such account: see tenant_id"},
    {"AADSTS90002", ERR_AUTH, FAULT_REQUEST,
     "there is no such tenant, or not in this cloud: see tenant_id and authority"},
    {"AADSTS900023", ERR_AUTH, FAULT_REQUEST,
     "tenant_id is neither a tenant's id nor one of its domains: mend it"},
    {"AADSTS50059", ERR_AUTH, FAULT_REQUEST, "the tenant is not named: see tenant_id"},
    {"AADSTS90038", ERR_AUTH, FAULT_REQUEST, other_cloud},
    {"AADSTS900382", ERR_AUTH, FAULT_REQUEST, other_cloud},
    {"AADSTS50049", ERR_AUTH, FAULT_REQUEST, "authority is none that is known: mend it"},
    {"AADSTS53003", ERR_AUTH, FAULT_REQUEST,
     "a Conditional Access policy blocks it: an administrator has to let this application and "
     "machine through"},
    {"AADSTS530032", ERR_AUTH, FAULT_REQUEST,
     "a security policy of the tenant blocks it: an administrator has to let this application "
     "through"},
    {"AADSTS500011", ERR_AUTH, FAULT_REQUEST, no_storage},
    {"AADSTS50001", ERR_AUTH, FAULT_REQUEST, no_storage},
    {"AADSTS90013", ERR_AUTH, FAULT_REQUEST,
     "it does not understand the request: see client_id and tenant_id"},
    {"AADSTS90014", ERR_AUTH, FAULT_REQUEST,
     "something is missing in the request: see client_id and the secret"},
    /* What passes. */
    {"AADSTS50033", ERR_SERVER, FAULT_REQUEST, "it failed for a moment"},
    {"AADSTS90006", ERR_SERVER, FAULT_REQUEST, "it is not available for now"},
    {"AADSTS90012", ERR_SERVER, FAULT_REQUEST, "it took too long"},
    {"AADSTS90024", ERR_SERVER, FAULT_REQUEST, "it failed for a moment"},
    {"AADSTS90033", ERR_SERVER, FAULT_REQUEST, "it is not available for now"},
    {"AADSTS90055", ERR_THROTTLED, FAULT_REQUEST, "it is asked too often"},
    {"AADSTS50196", ERR_THROTTLED, FAULT_REQUEST, "it is asked too often"},
    /* OAuth's and the metadata service's own. */
    {TOKEN_MANY_IDENTITIES, ERR_AUTH, FAULT_REQUEST,
     "there are several user-assigned identities: say which with client_id, object_id or "
     "resource_id"},
    {TOKEN_NO_IDENTITY, ERR_AUTH, FAULT_REQUEST, "there is no such identity here"},
    {"bad_request_102", ERR_AUTH, FAULT_REQUEST,
     "the header \"Metadata: true\" did not arrive: a proxy on the way took it away"},
    {"invalid_client", ERR_AUTH, FAULT_SECRET, not_accepted},
    {"unauthorized_client", ERR_AUTH, FAULT_REQUEST, "it gives this identity no token"},
    {"invalid_resource", ERR_AUTH, FAULT_REQUEST, no_storage},
    {"invalid_scope", ERR_AUTH, FAULT_REQUEST, "it does not know Azure Storage: see authority"},
    {"temporarily_unavailable", ERR_SERVER, FAULT_REQUEST, "it is too busy for now"},
    {"server_error", ERR_SERVER, FAULT_REQUEST, "it failed"},
};

/* What a status alone means, the first row that fits. */
static const struct {
    int first, last;
    enum err_code meaning;
    const char *mend;
} statuses[] = {
    {200, 299, ERR_SERVER, "the answer holds no token: a proxy or a portal may have given it"},
    {300, 399, ERR_AUTH,
     "the answer is a redirect, which is not followed: a proxy or a portal may have given it, or "
     "the URL is wrong"},
    {401, 401, ERR_AUTH, "it did not take what proves who we are"},
    {403, 403, ERR_AUTH, "it refuses to give a token"},
    {404, 404, ERR_SERVER, "nothing is there: it is being updated, or its URL is wrong"},
    {405, 405, ERR_AUTH, "no tokens are given out at that URL"},
    {407, 407, ERR_AUTH, "the proxy wants a password: give one in http.proxy"},
    {408, 408, ERR_SERVER, "it took too long"},
    {410, 410, ERR_SERVER, "it is being updated, and back within 70 s"},
    {429, 429, ERR_THROTTLED, "it is asked too often"},
    {400, 499, ERR_AUTH, "it refuses the request"},
    {500, 599, ERR_SERVER, "it failed"},
    {0, 999, ERR_SERVER, "the answer is none that an issuer of tokens has"},
};

/* NULL when nothing is known of the code. */
static const char *find_meaning(const char *code, enum err_code *ret_meaning, enum fault *ret_fault)
{
    for (size_t i = 0; i < array_size(meanings); i++) {
        if (str_equal(code, meanings[i].code)) {
            *ret_meaning = meanings[i].meaning;
            *ret_fault = meanings[i].fault;
            return meanings[i].mend;
        }
    }
    return NULL;
}

static const char *find_status(int status, enum err_code *ret_meaning)
{
    for (size_t i = 0; i < array_size(statuses); i++) {
        if (status >= statuses[i].first && status <= statuses[i].last) {
            *ret_meaning = statuses[i].meaning;
            return statuses[i].mend;
        }
    }
    *ret_meaning = ERR_SERVER;
    return "the answer is not HTTP";
}

static void put_mend(const struct token_refusal *refusal, const char *mend, enum err_code meaning,
                     struct buf *text)
{
    buf_puts(text, mend);
    if (refusal->description[0] != '\0')
        buf_printf(text, " (%s)", refusal->description);
    else if (meaning == ERR_AUTH && refusal->status >= 400 && refusal->status != 407 &&
             !refusal->is_json)
        buf_puts(text, "; the answer bears no sign of an issuer of tokens: a proxy or a portal may "
                       "have given it");
}

/* The code's mend is the better one; but a status that may pass stays one that may pass. */
static const char *find_mend(const struct token_refusal *refusal, const char *code,
                             enum err_code *ret_meaning, enum fault *ret_fault)
{
    enum err_code meaning;
    const char *mend_of_status = find_status(refusal->status, ret_meaning);
    const char *mend =
        find_meaning(refusal->told != NULL ? refusal->told : code, &meaning, ret_fault);

    if (mend == NULL)
        mend = find_meaning(refusal->code, &meaning, ret_fault);
    if (mend == NULL)
        return mend_of_status;
    if (*ret_meaning == ERR_AUTH)
        *ret_meaning = meaning;
    return mend;
}

void token_error_explain(const struct token_refusal *refusal, const char *issuer,
                         struct err *ret_err)
{
    const char *code = refusal->aadsts[0] != '\0' ? refusal->aadsts : refusal->code;
    enum fault fault = FAULT_REQUEST;
    enum err_code meaning;
    autobuf text;

    const char *mend = find_mend(refusal, code, &meaning, &fault);
    buf_init(&text, BUF_ANY_SIZE);
    buf_printf(&text, "%s: %d%s%s: ", issuer, refusal->status, code[0] != '\0' ? " " : "", code);
    put_mend(refusal, mend, meaning, &text);
    if (fault == FAULT_SECRET)
        skew_explain(refusal->date, "the issuer's", &text);
    err_set(ret_err, meaning, "%s", text.data);
    ret_err->http_status = refusal->status;
    ret_err->retry_after_ms = refusal->retry_after_ms;
    str_copy_name(ret_err->service_code, sizeof(ret_err->service_code), code);
    str_copy_name(ret_err->request_id, sizeof(ret_err->request_id), refusal->request_id);
}

/* A 401 without a word is about it too: of App Service, which does not take the header's secret. */
bool token_error_is_of_secret(const struct err *err)
{
    enum err_code meaning;
    enum fault fault;

    if (err->code != ERR_AUTH)
        return false;
    if (find_meaning(err->service_code, &meaning, &fault) == NULL)
        return err->http_status == 401;
    return fault == FAULT_SECRET;
}
