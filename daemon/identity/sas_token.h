/* SPDX-License-Identifier: MIT */
/*
 * What a SAS says of itself: its kind, rights and expiry. Source: the Storage REST documentation on
 * account, service and user delegation SAS.
 */
#ifndef IDENTITY_SAS_TOKEN_H
#define IDENTITY_SAS_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct buf;

enum sas_kind {
    SAS_SERVICE,         /* for one queue */
    SAS_POLICY,          /* bound to a stored access policy (si): rights and expiry may be there */
    SAS_ACCOUNT,         /* ss and srt */
    SAS_USER_DELEGATION, /* skoid; for queues since sv=2025-07-05 */
};

struct sas_token {
    enum sas_kind kind;
    bool has_start, has_expiry;
    int64_t start_ms;       /* of a user delegation SAS the later of st and skt */
    int64_t expiry_ms;      /* of a user delegation SAS the earlier of se and ske */
    char permissions[32];   /* sp, "" when the policy holds them */
    char services[8];       /* ss */
    char resource_types[8]; /* srt */
    bool https_only;        /* spr=https */
};

/* Fills out, an empty buffer, with what goes behind a URL's '?', of a SAS as somebody pasted it: the
 * query alone, with its '?', or a whole URL; its values encoded or not. Sound escapes stay as they
 * are; a raw '+' is a plus, and so is a blank in sig, which only a form decoder can have put there;
 * line breaks are passed over.
 * ERR_AUTH when the text is a URL without a query. */
bool sas_token_clean(const char *pasted, struct buf *out, struct err *err) MUST_CHECK;
/* text is the query, with or without a leading '?', percent-encoded as it is pasted. ERR_AUTH with
 * what is missing or wrong; the sentence never shows the signature. */
bool sas_token_parse(const char *text, struct sas_token *ret_token, struct err *err) MUST_CHECK;
/* Whether the SAS can serve a queue at all, and with these permissions (letters): ERR_AUTH naming the
 * first that is missing. What a stored policy grants can not be known, and passes. */
bool sas_token_suits(const struct sas_token *token, const char *permissions,
                     struct err *err) MUST_CHECK;

#endif
