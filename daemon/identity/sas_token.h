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

enum sas_kind {
    SAS_SERVICE,         /* for one queue */
    SAS_POLICY,          /* bound to a stored access policy (si): rights and expiry may be there */
    SAS_ACCOUNT,         /* ss and srt */
    SAS_USER_DELEGATION, /* skoid */
};

struct sas_token {
    enum sas_kind kind;
    bool has_start, has_expiry;
    int64_t start_ms;
    int64_t expiry_ms;     /* of a user delegation SAS the earlier of se and ske */
    char permissions[32];  /* sp, "" when the policy holds them */
    char services[8];      /* ss */
    char resource_types[8]; /* srt */
    bool https_only;       /* spr=https */
};

/* text is the query, with or without a leading '?', percent-encoded as it is pasted. ERR_AUTH with
 * what is missing or wrong; the sentence never shows the signature. */
bool sas_token_parse(const char *text, struct sas_token *ret_token, struct err *err) MUST_CHECK;
const char *sas_kind_name(enum sas_kind kind);

#endif
