/* SPDX-License-Identifier: MIT */
/*
 * A value that must never be printed: a SAS, a key, a token. One destructor that wipes, no printer.
 * secret_reveal is the only way out; grep for it to see every place where a secret is used.
 */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>

struct err;

struct secret {
    char *bytes; /* NUL-terminated; NULL when empty */
    size_t len;
};

/* Copies; what was there before is wiped, and bytes may lie in it. A variable begins as {0}. */
void secret_set(struct secret *secret, const char *bytes, size_t len);
void secret_done(struct secret *secret);
#define autosecret __attribute__((cleanup(secret_done))) struct secret
bool secret_is_set(const struct secret *secret);
/* "" when it is not set. */
const char *secret_reveal(const struct secret *secret);
/* In a time that does not tell where they differ. */
bool secret_equal(const struct secret *a, const struct secret *b);
/* Wipes and frees a string that held a secret; NULL is fine. */
void secret_free_text(char *text);

/* Reads a secret from a regular file: at most 64 KiB, white space around it trimmed, symbolic links
 * followed. Blocks: call it at start, or on the worker thread. ERR_AUTH with the path and the mend
 * when it can not be read, is empty, holds a zero byte, or others may read or write it; that last
 * check is waived with allow_readable, on tmpfs, and below $CREDENTIALS_DIRECTORY. ret_secret is
 * written over without being wiped: it is not to hold a secret. */
bool secret_read_file(const char *path, bool allow_readable, struct secret *ret_secret,
                      struct err *err) __attribute__((warn_unused_result));

/* Masks, in place, what follows each `sig=` in a text, so that a model's SAS URL in a hook's output
 * can be shown. `sig%3D` and the JSON escape of `=` count too. The text keeps its length. */
void secret_mask(char *text);
/* The same for a text that comes in parts: `inside` is what the part before returned, false at first;
 * true means that the part ends within a signature. */
bool secret_mask_part(char *text, bool inside);
/* How many bytes at the end of a part may be the beginning of `sig=`: to be held back and put before
 * the next part. */
size_t secret_mask_held(const char *text);

#endif
