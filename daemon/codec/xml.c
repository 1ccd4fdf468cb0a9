/* SPDX-License-Identifier: MIT */
/* XML as Azure Storage sends it, through expat. */
#include "codec/xml.h"

#include <expat.h>
#include <limits.h>

#include "base/buf.h"
#include "base/err.h"

/* What ended a parse before expat found fault. */
enum stop {
    STOP_NONE,
    STOP_DOCTYPE,
    STOP_DEPTH,
    STOP_VISITOR,
};

struct parse {
    XML_Parser expat;
    const struct xml_visitor *visitor;
    void *arg;
    unsigned depth;
    enum stop stop;
    struct buf texts[XML_MAX_DEPTH]; /* of the elements that are open, the root's first */
};

/* Ends the parse. Expat may call once more after that, so handlers look at stop first. */
static void stop(struct parse *parse, enum stop why)
{
    parse->stop = why;
    XML_StopParser(parse->expat, XML_FALSE);
}

static void on_doctype(void *arg, const char *name, const char *system_id, const char *public_id,
                       int has_subset)
{
    (void)name, (void)system_id, (void)public_id, (void)has_subset;
    stop(arg, STOP_DOCTYPE);
}

static void on_open(void *arg, const char *name, const char **attributes)
{
    struct parse *parse = arg;

    (void)attributes;
    if (parse->stop != STOP_NONE)
        return;
    if (parse->depth == XML_MAX_DEPTH) {
        stop(parse, STOP_DEPTH);
        return;
    }
    buf_reset(&parse->texts[parse->depth++]);
    if (parse->visitor->open != NULL && !parse->visitor->open(parse->arg, name, parse->depth))
        stop(parse, STOP_VISITOR);
}

static void on_close(void *arg, const char *name)
{
    struct parse *parse = arg;

    if (parse->stop != STOP_NONE)
        return;
    unsigned depth = parse->depth--;
    const struct buf *text = &parse->texts[depth - 1];
    if (parse->visitor->close != NULL &&
        !parse->visitor->close(parse->arg, name, depth, text->data, text->len))
        stop(parse, STOP_VISITOR);
}

static void on_text(void *arg, const char *text, int len)
{
    struct parse *parse = arg;

    if (parse->stop == STOP_NONE && parse->depth != 0)
        buf_append(&parse->texts[parse->depth - 1], text, (size_t)len);
}

static const char *reason_of(const struct parse *parse)
{
    switch (parse->stop) {
    case STOP_NONE:
        return XML_ErrorString(XML_GetErrorCode(parse->expat));
    case STOP_DOCTYPE:
        return "it has a document type declaration, which is not taken";
    case STOP_DEPTH:
        return "its elements are nested too deep";
    case STOP_VISITOR:
        return "it is not the document that was asked for";
    }
    return "?";
}

/* Expat would report that memory ran out; here that ends the process, as everywhere. */
static void *resize(void *old, size_t size)
{
    return xreallocarray(old, size, 1);
}

static bool run(struct parse *parse, const char *text, size_t len, struct err *err)
{
    XML_SetUserData(parse->expat, parse);
    XML_SetElementHandler(parse->expat, on_open, on_close);
    XML_SetCharacterDataHandler(parse->expat, on_text);
    XML_SetStartDoctypeDeclHandler(parse->expat, on_doctype);
    if (XML_Parse(parse->expat, text, (int)len, XML_TRUE) == XML_STATUS_OK &&
        parse->stop == STOP_NONE)
        return true;
    return err_set(err, ERR_SERVER, "bad XML in line %lu: %s",
                   (unsigned long)XML_GetCurrentLineNumber(parse->expat), reason_of(parse));
}

bool xml_parse(const char *text, size_t len, const struct xml_visitor *visitor, void *arg,
               struct err *err)
{
    static const XML_Memory_Handling_Suite memory = {xmalloc, resize, alloc_free};
    struct parse parse = {.visitor = visitor, .arg = arg};

    if (len > INT_MAX)
        return err_set(err, ERR_SERVER, "bad XML: it is larger than 2 GiB");
    parse.expat = XML_ParserCreate_MM(NULL, &memory, NULL);
    /* Text is no longer than its document, which the caller has bounded. */
    for (unsigned i = 0; i < XML_MAX_DEPTH; i++)
        buf_init(&parse.texts[i], BUF_ANY_SIZE);
    bool good = run(&parse, text, len, err);
    for (unsigned i = 0; i < XML_MAX_DEPTH; i++)
        buf_done(&parse.texts[i]);
    XML_ParserFree(parse.expat);
    return good;
}

static const char *escape_of(char c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '\r':
        return "&#13;"; /* a reader would make a line feed of it */
    default:
        return NULL;
    }
}

void xml_escape(struct buf *out, const char *text, size_t len)
{
    size_t begin = 0;

    for (size_t i = 0; i < len; i++) {
        const char *escape = escape_of(text[i]);
        if (escape == NULL)
            continue;
        buf_append(out, text + begin, i - begin);
        buf_puts(out, escape);
        begin = i + 1;
    }
    buf_append(out, text + begin, len - begin);
}
