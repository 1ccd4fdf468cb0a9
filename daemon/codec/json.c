/* SPDX-License-Identifier: MIT */
/* JSON both ways, through yajl. */
#include "codec/json.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_gen.h>
#include <yajl/yajl_parse.h>

#include "base/buf.h"
#include "base/str.h"

/* yajl does not look at what malloc gave it. */
static void *yajl_xmalloc(void *ctx, size_t size)
{
    (void)ctx;
    return xmalloc(size);
}

static void *yajl_xrealloc(void *ctx, void *old, size_t size)
{
    (void)ctx;
    return xreallocarray(old, size, 1);
}

static void yajl_xfree(void *ctx, void *memory)
{
    (void)ctx;
    free(memory);
}

static const yajl_alloc_funcs yajl_memory = {yajl_xmalloc, yajl_xrealloc, yajl_xfree, NULL};

/* The arena: blocks that are only ever filled, and freed together. The first one is made to hold
 * the whole of an ordinary document. */
struct block {
    struct block *older;
    char *at;
    char *end;
};

/* Lives in its own oldest block. */
struct json_doc {
    struct block *newest;
    const struct json *root;
};

static struct block *block_new(struct block *older, size_t size)
{
    struct block *block = xmalloc(sizeof(*block) + size);

    block->older = older;
    block->at = (char *)(block + 1);
    block->end = block->at + size;
    return block;
}

/* Zeroed by nobody, aligned for a pointer. */
static void *block_take(struct block **newest, size_t size)
{
    size_t aligned = (size + sizeof(void *) - 1) / sizeof(void *) * sizeof(void *);

    if (aligned > (size_t)((*newest)->end - (*newest)->at)) {
        size_t last = (size_t)((*newest)->end - (char *)(*newest + 1));
        *newest = block_new(*newest, max_of(aligned, 2 * last));
    }
    void *memory = (*newest)->at;
    (*newest)->at += aligned;
    return memory;
}

void json_doc_free(struct json_doc *doc)
{
    struct block *block = doc == NULL ? NULL : doc->newest;

    while (block != NULL) {
        struct block *older = block->older;
        free(block);
        block = older;
    }
}

const struct json *json_root(const struct json_doc *doc)
{
    return doc->root;
}

/* A value while its document is being read. */
struct growing {
    struct json value;
    struct growing *parent;
    struct growing *last; /* member or item */
};

struct reader {
    struct json_doc *doc;
    struct growing *open; /* the array or object that is being filled; NULL at the top */
    const char *name;     /* of the member that comes next */
    unsigned depth;
    unsigned max_depth;
    bool too_deep;
    yajl_handle yajl;
    size_t end; /* where the text's one value ended */
};

/* A copy that ends with a NUL; NULL when that could not be told from one inside. */
static const char *keep_text(struct reader *reader, const void *text, size_t len)
{
    if (len != 0 && memchr(text, '\0', len) != NULL)
        return NULL;
    char *copy = block_take(&reader->doc->newest, len + 1);
    if (len != 0)
        memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

static struct growing *add(struct reader *reader, enum json_type type)
{
    struct growing *growing = block_take(&reader->doc->newest, sizeof(*growing));
    struct growing *parent = reader->open;

    *growing = (struct growing){.value = {.type = type, .name = reader->name}, .parent = parent};
    reader->name = NULL;
    if (parent == NULL)
        reader->doc->root = &growing->value;
    else if (parent->last == NULL)
        parent->value.first = &growing->value;
    else
        parent->last->value.next = &growing->value;
    if (parent != NULL)
        parent->last = growing;
    return growing;
}

/* Notes where the outermost value ended. Returns 1, as a callback does that is content. */
static int end_value(struct reader *reader)
{
    if (reader->open == NULL)
        reader->end = yajl_get_bytes_consumed(reader->yajl);
    return 1;
}

static int add_text(struct reader *reader, enum json_type type, const void *text, size_t len)
{
    const char *copy = keep_text(reader, text, len);

    if (copy == NULL)
        return 0;
    struct growing *growing = add(reader, type);
    growing->value.text = copy;
    growing->value.len = len;
    return end_value(reader);
}

static int open_container(struct reader *reader, enum json_type type)
{
    if (reader->depth == reader->max_depth) {
        reader->too_deep = true;
        return 0;
    }
    reader->depth++;
    reader->open = add(reader, type);
    return 1;
}

static int on_null(void *ctx)
{
    add(ctx, JSON_NULL);
    return end_value(ctx);
}

static int on_bool(void *ctx, int truth)
{
    add(ctx, JSON_BOOL)->value.truth = truth != 0;
    return end_value(ctx);
}

static int on_number(void *ctx, const char *text, size_t len)
{
    return add_text(ctx, JSON_NUMBER, text, len);
}

static int on_string(void *ctx, const unsigned char *text, size_t len)
{
    return add_text(ctx, JSON_STRING, text, len);
}

static int on_start_map(void *ctx)
{
    return open_container(ctx, JSON_OBJECT);
}

static int on_map_key(void *ctx, const unsigned char *text, size_t len)
{
    struct reader *reader = ctx;

    reader->name = keep_text(reader, text, len);
    return reader->name != NULL;
}

static int on_start_array(void *ctx)
{
    return open_container(ctx, JSON_ARRAY);
}

static int on_end(void *ctx)
{
    struct reader *reader = ctx;

    reader->open = reader->open->parent;
    reader->depth--;
    return end_value(reader);
}

static const yajl_callbacks reader_callbacks = {
    .yajl_null = on_null,
    .yajl_boolean = on_bool,
    .yajl_number = on_number,
    .yajl_string = on_string,
    .yajl_start_map = on_start_map,
    .yajl_map_key = on_map_key,
    .yajl_end_map = on_end,
    .yajl_start_array = on_start_array,
    .yajl_end_array = on_end,
};

static bool is_blank(const char *text, size_t len)
{
    while (len != 0 && str_is_space(text[len - 1]))
        len--;
    return len == 0;
}

static enum json_fault run_parser(struct reader *reader, const char *text, size_t len)
{
    yajl_alloc_funcs memory = yajl_memory;
    enum json_fault fault = JSON_OK;

    reader->yajl = yajl_alloc(&reader_callbacks, &memory, reader);
    yajl_config(reader->yajl, yajl_dont_validate_strings, 1); /* the whole text was looked at */
    if (yajl_parse(reader->yajl, (const unsigned char *)text, len) != yajl_status_ok)
        fault = reader->too_deep ? JSON_TOO_DEEP : JSON_NOT_JSON;
    else if (reader->doc->root != NULL && reader->open == NULL)
        /* Not left to yajl, which takes a string that begins behind the document and never ends. */
        fault = is_blank(text + reader->end, len - reader->end) ? JSON_OK : JSON_NOT_JSON;
    else if (yajl_complete_parse(reader->yajl) != yajl_status_ok)
        fault = JSON_TRUNCATED;
    yajl_free(reader->yajl);
    return fault;
}

/* The value of `\uXXXX` at the beginning of a text, or -1. */
static long escaped_unit(const char *text, size_t len)
{
    long unit = 0;

    if (len < 6 || text[0] != '\\' || text[1] != 'u')
        return -1;
    for (int i = 2; i < 6; i++) {
        const char *digits = "0123456789abcdef0123456789ABCDEF";
        const char *digit = text[i] == '\0' ? NULL : strchr(digits, text[i]);
        if (digit == NULL)
            return -1;
        unit = unit * 16 + (digit - digits) % 16;
    }
    return unit;
}

/* Finds the next escaped half of a surrogate pair that stands alone: its offset, or len. */
static size_t find_lone_surrogate(const char *text, size_t len, size_t from)
{
    const char *escape;

    while (from < len && (escape = memchr(text + from, '\\', len - from)) != NULL) {
        from = (size_t)(escape - text);
        long unit = escaped_unit(escape, len - from);
        if (unit < 0xd800 || unit > 0xdfff) {
            from += unit < 0 ? 2 : 6;
            continue;
        }
        long second = len - from < 12 ? -1 : escaped_unit(escape + 6, len - from - 6);
        if (unit >= 0xdc00 || second < 0xdc00 || second > 0xdfff)
            return from;
        from += 12;
    }
    return len;
}

/* A copy of a text with each lone surrogate written as U+FFFD, which is as long; NULL when it has
 * none. yajl would make bytes of it that are no UTF-8 and, in versions not patched by a
 * distribution, read past the text (CVE-2017-16516). */
static char *mend_surrogates(const char *text, size_t len)
{
    size_t at = find_lone_surrogate(text, len, 0);

    if (at == len)
        return NULL;
    char *mended = xmalloc(len);
    memcpy(mended, text, len);
    for (; at != len; at = find_lone_surrogate(mended, len, at))
        memcpy(mended + at, "\\ufffd", 6);
    return mended;
}

enum json_fault json_parse(const char *text, size_t len, unsigned max_depth,
                           struct json_doc **ret_doc)
{
    if (!str_is_utf8(text, len))
        return JSON_NOT_UTF8;
    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        text += 3;
        len -= 3;
    }
    if (is_blank(text, len))
        return JSON_NOT_JSON;
    autofree char *mended = mend_surrogates(text, len);
    /* A value of a usual document takes two to four times the room of its text. */
    struct block *block = block_new(NULL, 512 + 4 * len);
    struct json_doc *doc = block_take(&block, sizeof(*doc));
    *doc = (struct json_doc){.newest = block};
    struct reader reader = {.doc = doc, .max_depth = max_depth};
    enum json_fault fault = run_parser(&reader, mended != NULL ? mended : text, len);
    if (fault != JSON_OK) {
        json_doc_free(doc);
        return fault;
    }
    *ret_doc = doc;
    return JSON_OK;
}

const struct json *json_member(const struct json *object, const char *name)
{
    if (object == NULL || object->type != JSON_OBJECT)
        return NULL;
    for (const struct json *member = object->first; member != NULL; member = member->next) {
        if (str_equal_nocase(member->name, name))
            return member;
    }
    return NULL;
}

const char *json_member_text(const struct json *object, const char *name)
{
    const struct json *member = json_member(object, name);

    return member != NULL && member->type == JSON_STRING ? member->text : NULL;
}

struct json_writer {
    yajl_gen gen;
};

/* yajl refuses only documents that are nested wrongly or too deep, which is a bug of ours. */
static void must(yajl_gen_status status)
{
    assert(status == yajl_gen_status_ok);
    (void)status;
}

struct json_writer *json_writer_new(void)
{
    struct json_writer *writer = xmalloc(sizeof(*writer));

    writer->gen = yajl_gen_alloc(&yajl_memory);
    return writer;
}

void json_writer_free(struct json_writer *writer)
{
    if (writer == NULL)
        return;
    yajl_gen_free(writer->gen);
    free(writer);
}

void json_write_open(struct json_writer *writer, char bracket)
{
    assert(bracket == '{' || bracket == '[');
    must(bracket == '{' ? yajl_gen_map_open(writer->gen) : yajl_gen_array_open(writer->gen));
}

void json_write_close(struct json_writer *writer, char bracket)
{
    assert(bracket == '}' || bracket == ']');
    must(bracket == '}' ? yajl_gen_map_close(writer->gen) : yajl_gen_array_close(writer->gen));
}

/* Appends a text with U+FFFD in the place of each byte that is not UTF-8. */
static void put_mended(struct buf *out, const char *text, size_t len)
{
    while (len != 0) {
        uint32_t ignored;
        size_t size = str_utf8_next(text, len, &ignored);
        if (size == 0)
            buf_puts(out, "\xef\xbf\xbd");
        else
            buf_append(out, text, size);
        size = max_of(size, (size_t)1);
        text += size;
        len -= size;
    }
}

static void write_string(struct json_writer *writer, const char *text, size_t len)
{
    autobuf mended;

    buf_init(&mended, BUF_ANY_SIZE);
    if (!str_is_utf8(text, len)) {
        put_mended(&mended, text, len);
        text = mended.data;
        len = mended.len;
    }
    must(yajl_gen_string(writer->gen, (const unsigned char *)text, len));
}

void json_write_name(struct json_writer *writer, const char *name)
{
    write_string(writer, name, strlen(name));
}

void json_write_text(struct json_writer *writer, const char *text)
{
    if (text == NULL)
        must(yajl_gen_null(writer->gen));
    else
        write_string(writer, text, strlen(text));
}

void json_write_int(struct json_writer *writer, int64_t value)
{
    must(yajl_gen_integer(writer->gen, value));
}

void json_write_bool(struct json_writer *writer, bool value)
{
    must(yajl_gen_bool(writer->gen, value));
}

void json_write_raw(struct json_writer *writer, const char *text, size_t len)
{
    /* yajl writes a number's spelling as it is, and so anything. */
    must(yajl_gen_number(writer->gen, text, len));
}

static void write_container(struct json_writer *writer, const struct json *value, char open,
                            char close)
{
    json_write_open(writer, open);
    for (const struct json *part = value->first; part != NULL; part = part->next) {
        if (part->name != NULL)
            json_write_name(writer, part->name);
        json_write_value(writer, part);
    }
    json_write_close(writer, close);
}

/* Calls itself as deep as the document is, which json_parse has bounded. */
void json_write_value(struct json_writer *writer, const struct json *value)
{
    switch (value->type) {
    case JSON_NULL:
        json_write_text(writer, NULL);
        return;
    case JSON_BOOL:
        json_write_bool(writer, value->truth);
        return;
    case JSON_NUMBER:
        json_write_raw(writer, value->text, value->len);
        return;
    case JSON_STRING:
        write_string(writer, value->text, value->len);
        return;
    case JSON_ARRAY:
        write_container(writer, value, '[', ']');
        return;
    case JSON_OBJECT:
        write_container(writer, value, '{', '}');
        return;
    }
}

const char *json_writer_text(const struct json_writer *writer, size_t *ret_len)
{
    const unsigned char *text = NULL;

    must(yajl_gen_get_buf(writer->gen, &text, ret_len));
    return text == NULL ? "" : (const char *)text;
}

static void put_unit(struct buf *out, uint32_t unit)
{
    char escape[sizeof("\\uXXXX")];

    snprintf(escape, sizeof(escape), "\\u%04x", (unsigned)unit & 0xffff);
    buf_puts(out, escape);
}

static void put_escaped(struct buf *out, uint32_t character)
{
    if (character >= 0x10000) {
        put_unit(out, 0xd7c0 + (character >> 10));
        character = 0xdc00 + (character & 0x3ff);
    }
    put_unit(out, character);
}

void json_to_ascii(const char *text, size_t len, struct buf *out)
{
    while (len != 0) {
        uint32_t character = 0xfffd;
        size_t size = 0;
        while (size < len && (unsigned char)text[size] < 0x80)
            size++;
        if (size != 0) {
            buf_append(out, text, size);
        } else {
            size = str_utf8_next(text, len, &character);
            put_escaped(out, character);
        }
        size = max_of(size, (size_t)1);
        text += size;
        len -= size;
    }
}
