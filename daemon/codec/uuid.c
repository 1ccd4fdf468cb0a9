/* SPDX-License-Identifier: MIT */
/* UUIDs (RFC 4122) as text. */
#include "codec/uuid.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/alloc.h"

/* Where the hyphens stand: 8-4-4-4-12. */
static bool is_hyphen_place(unsigned i)
{
    return i == 8 || i == 13 || i == 18 || i == 23;
}

/* So few bytes come whole or, before the kernel has gathered randomness, after a wait. */
static void fill_random(unsigned char *bytes, size_t len)
{
    ssize_t got;

    do {
        got = getrandom(bytes, len, 0);
    } while (got < 0 && errno == EINTR);
    if (got != (ssize_t)len) {
        fputs("cvnotifyd: the kernel gives no random numbers; ending\n", stderr);
        fatal("no random numbers");
    }
}

void uuid_new(char ret_text[static UUID_TEXT_MAX])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char bytes[16];

    fill_random(bytes, sizeof(bytes));
    bytes[6] = (unsigned char)((bytes[6] & 0x0f) | 0x40); /* version 4 */
    bytes[8] = (unsigned char)((bytes[8] & 0x3f) | 0x80); /* the RFC's variant */
    for (unsigned i = 0, nibble = 0; i < UUID_TEXT_MAX - 1; i++) {
        if (is_hyphen_place(i)) {
            ret_text[i] = '-';
            continue;
        }
        unsigned byte = bytes[nibble / 2];
        ret_text[i] = digits[nibble % 2 == 0 ? byte >> 4 : byte & 0x0f];
        nibble++;
    }
    ret_text[UUID_TEXT_MAX - 1] = '\0';
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

bool uuid_is_valid(const char *text)
{
    for (unsigned i = 0; i < UUID_TEXT_MAX - 1; i++) {
        if (is_hyphen_place(i) ? text[i] != '-' : !is_hex(text[i]))
            return false;
    }
    return text[UUID_TEXT_MAX - 1] == '\0';
}
