/* SPDX-License-Identifier: MIT */
/*
 * XML as Azure Storage sends it, through expat: elements and their text, no more. A document type
 * declaration, and so every entity of a hostile document, is refused; depth is bounded. Attributes,
 * comments and name spaces are passed over.
 */
#ifndef CODEC_XML_H
#define CODEC_XML_H

#include <stdbool.h>
#include <stddef.h>

#include "base/alloc.h"

struct buf;
struct err;

#define XML_MAX_DEPTH 8

/* Depth of the root element is 1. text is what stood directly in the element, decoded, NUL-terminated,
 * borrowed for the call. Either may be NULL. Returning false ends the parse (the visitor keeps its
 * own reason); xml_parse then fails too. */
struct xml_visitor {
    bool (*open)(void *arg, const char *name, unsigned depth);
    bool (*close)(void *arg, const char *name, unsigned depth, const char *text, size_t len);
};

/* A BOM is tolerated. ERR_SERVER with line and cause when the document is not well formed. */
bool xml_parse(const char *text, size_t len, const struct xml_visitor *visitor, void *arg,
               struct err *err) MUST_CHECK;
/* Appends text as character data: & < > and carriage return escaped. Control characters that XML 1.0
 * can not hold at all stay as they are. */
void xml_escape(struct buf *out, const char *text, size_t len);

#endif
