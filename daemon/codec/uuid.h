/* SPDX-License-Identifier: MIT */
/* UUIDs (RFC 4122) as text. */
#ifndef CODEC_UUID_H
#define CODEC_UUID_H

#include <stdbool.h>

#define UUID_TEXT_MAX 37

/* A new random one (version 4), lower case. */
void uuid_new(char ret_text[static UUID_TEXT_MAX]);
/* 8-4-4-4-12 hexadecimal digits, either case, any version. */
bool uuid_is_valid(const char *text);

#endif
