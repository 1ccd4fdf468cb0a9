/* SPDX-License-Identifier: MIT */
/*
 * What a Storage service's failed answer means: its code (header or XML body), its request id, the
 * decision it forces, and a sentence with the mend. Source: Storage REST, "Common REST API error
 * codes" and "Queue service error codes".
 */
#ifndef AZURE_STORAGE_ERROR_H
#define AZURE_STORAGE_ERROR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "identity/proof.h"

struct http_reply;

/* The right that an operation needs. */
struct storage_right {
    const char *operation; /* in the REST documentation's words: "Get Messages" */
    const char *letter;    /* of a SAS */
    const char *role;      /* the smallest that has it; Storage Queue Data Contributor has all */
};

/* What of an answer tells its meaning. Texts are borrowed; NULL where the answer has none. */
struct storage_answer {
    int status;
    uint32_t retry_after_ms;
    const char *error_code; /* x-ms-error-code */
    const char *request_id; /* x-ms-request-id */
    const char *date; /* Date: a clock that is far from ours is named when a request is refused */
    const char *challenge; /* WWW-Authenticate: names the tenant whose tokens the account takes */
    enum identity_proof proof; /* what the request was signed with */
    const char *body;
    size_t len;
};

/* `what` is the operation for the sentence: "Get Messages"; the right that it needs is named when the
 * service says that it is missing: a permission to who showed a SAS, a role to who showed a token. Copes with no body, a garbled body, and a proxy's HTML. The
 * sentence holds nothing that a SAS or a signature could hide in. */
void storage_error_explain(const struct storage_answer *answer, const char *what,
                           struct err *ret_err);
/* The same for a reply as it came. */
void storage_error_read(const struct http_reply *reply, const char *what, enum identity_proof proof,
                        struct err *ret_err);
/* The same for a reply whose status is the one hoped for, and which can not be used: err says why, and
 * its sentence grows. */
void storage_error_garbled(const struct http_reply *reply, const char *what, struct err *err);
/* Whether the service took the credential and found that it lacks the right to that operation: not one
 * that is wrong, expired, revoked or refused as a whole. */
bool storage_error_lacks_right(const struct err *err);
/* NULL for an operation that it does not know. */
const struct storage_right *storage_error_right(const char *operation);

#endif
