/* SPDX-License-Identifier: MIT */
/*
 * The key that Azure Arc's agent wants to see before it gives a token: it answers with the path of a file
 * that only root and its group can read, and whoever can tell what is in it may have the token. The path
 * comes from whoever answers at that port, and the file's content goes back there: so neither may be
 * another file's.
 */
#ifndef IDENTITY_ARC_KEY_H
#define IDENTITY_ARC_KEY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct secret;

#define ARC_KEY_DIRECTORY "/var/opt/azcmagent/tokens"
#define ARC_KEY_USER      "himds" /* whose files they are, when not root's; its group reads them */
#define ARC_KEY_MAX_BYTES ((size_t)4096)

/* The path, in fresh memory, that a WWW-Authenticate header names: `Basic realm=PATH`, quoted or not. ERR_AUTH
 * unless it is a file NAME.key right in that directory. Pure. */
bool arc_key_path(const char *challenge, const char *directory, char **ret_path,
                  struct err *err) MUST_CHECK;
/* Reads that file. Blocks. ERR_AUTH unless it is a regular file, no link, of root's or that user's, of 1 to
 * 4096 bytes that can stand in a header, white space around them dropped. */
bool arc_key_read(const char *path, const char *user, struct secret *ret_key,
                  struct err *err) MUST_CHECK;

#endif
