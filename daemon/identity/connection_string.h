/* SPDX-License-Identifier: MIT */
/*
 * Azure Storage connection strings: `name=value` pairs parted by `;`, names in any case.
 * `UseDevelopmentStorage=true` stands for the emulator's well-known account.
 */
#ifndef IDENTITY_CONNECTION_STRING_H
#define IDENTITY_CONNECTION_STRING_H

#include <stdbool.h>

#include "base/err.h"

/* Texts are the object's own and wiped by connection_string_done. */
struct connection_string {
    char *account;        /* NULL when a SAS stands alone */
    char *key;            /* base64; NULL with a SAS */
    char *sas;            /* without '?'; NULL with a key */
    char *queue_endpoint; /* without a trailing slash; never NULL */
};

/* ERR_AUTH with the missing or broken part, never its value. */
bool connection_string_parse(const char *text, struct connection_string *ret_string,
                             struct err *err) MUST_CHECK;
void connection_string_done(struct connection_string *string);

#endif
