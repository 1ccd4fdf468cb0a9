/* SPDX-License-Identifier: MIT */
/*
 * JSON both ways, through yajl. Reading gives a tree that lives in one arena; numbers keep their
 * spelling. Writing is a thin writer for documents of our own, which can also embed a tree.
 * Depth and size are bounded here, for yajl bounds neither.
 */
#ifndef CODEC_JSON_H
#define CODEC_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"

struct buf;

enum json_type {
    JSON_NULL,
    JSON_BOOL,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT,
};

/* A value. Members of an object and items of an array are a chain through next. */
struct json {
    enum json_type type;
    bool truth;               /* JSON_BOOL */
    const char *name;         /* as a member of an object, else NULL */
    const char *text;         /* JSON_STRING decoded, JSON_NUMBER as spelled; NUL-terminated */
    size_t len;               /* of text */
    const struct json *first; /* JSON_ARRAY, JSON_OBJECT */
    const struct json *next;
};

/* Why a text is not taken. */
enum json_fault {
    JSON_OK,
    JSON_NOT_JSON,
    JSON_NOT_UTF8,
    JSON_TRUNCATED, /* a good beginning that ends too soon */
    JSON_TOO_DEEP,
};

struct json_doc;

/* Parses a whole text, white space around it and a leading BOM included. An escaped NUL (\u0000)
 * in a string or a name is JSON_NOT_JSON, and so is a text with nothing in it. An escaped half of a
 * surrogate pair without its other half is read as U+FFFD, so a tree is UTF-8 throughout. On
 * JSON_OK the document is the caller's to free; it does not need the text any more. */
enum json_fault json_parse(const char *text, size_t len, unsigned max_depth,
                           struct json_doc **ret_doc) MUST_CHECK;
void json_doc_free(struct json_doc *doc);
const struct json *json_root(const struct json_doc *doc);
/* The first member of an object with that name, case ignored; NULL when absent or not an object. */
const struct json *json_member(const struct json *object, const char *name);
/* The member's text when it is a string, else NULL. */
const char *json_member_text(const struct json *object, const char *name);

/* Writing. Calls nest as the document does, no deeper than yajl's 127; a member's name is given just
 * before its value. Breaking this is a bug of ours and ends the program. */
struct json_writer;
struct json_writer *json_writer_new(void);
void json_writer_free(struct json_writer *writer);
void json_write_open(struct json_writer *writer, char bracket);  /* '{' or '[' */
void json_write_close(struct json_writer *writer, char bracket); /* '}' or ']' */
void json_write_name(struct json_writer *writer, const char *name);
/* Bytes that are not UTF-8 become U+FFFD, one each. NULL is written as null. */
void json_write_text(struct json_writer *writer, const char *text);
void json_write_int(struct json_writer *writer, int64_t value);
void json_write_bool(struct json_writer *writer, bool value);
/* A tree as it was read: numbers as spelled, doubled names included. */
void json_write_value(struct json_writer *writer, const struct json *value);
/* Text that is one JSON value on one line already. */
void json_write_raw(struct json_writer *writer, const char *text, size_t len);
/* The document so far, one line, NUL-terminated, borrowed until the next call. */
const char *json_writer_text(const struct json_writer *writer, size_t *ret_len);
/* Appends JSON text to out with every character above ASCII as \uXXXX (pairs above U+FFFF). A byte
 * that is not UTF-8 becomes \ufffd. */
void json_to_ascii(const char *text, size_t len, struct buf *out);

#endif
