/* SPDX-License-Identifier: MIT */
/* codec/json: what is read can be written, and is then read as the same. */
#include "codec/json.h"

#include "base/buf.h"
#include "trees.h"

#define MAX_DEPTH 32

static unsigned depth_of(const struct json *value)
{
    unsigned deepest = 0;

    for (const struct json *part = value->first; part != NULL; part = part->next) {
        check(part->name == NULL || value->type == JSON_OBJECT);
        check(part->name != NULL || value->type == JSON_ARRAY);
        unsigned depth = depth_of(part);
        deepest = max_of(deepest, depth);
    }
    return value->type == JSON_ARRAY || value->type == JSON_OBJECT ? deepest + 1 : 0;
}

static void check_value(const struct json *value)
{
    bool has_text = value->type == JSON_STRING || value->type == JSON_NUMBER;

    check((value->text != NULL) == has_text);
    check(!has_text || (strlen(value->text) == value->len && str_is_utf8(value->text, value->len)));
    check(value->name == NULL || str_is_utf8(value->name, strlen(value->name)));
    for (const struct json *part = value->first; part != NULL; part = part->next)
        check_value(part);
}

static void check_reads_as(const char *text, size_t len, const struct json *expected)
{
    struct json_doc *doc;

    check(json_parse(text, len, MAX_DEPTH, &doc) == JSON_OK);
    check(trees_equal(json_root(doc), expected));
    json_doc_free(doc);
}

static void check_written(const struct json *root)
{
    struct json_writer *writer = json_writer_new();
    autobuf ascii;
    size_t len;

    json_write_value(writer, root);
    const char *text = json_writer_text(writer, &len);
    check(strlen(text) == len && trees_is_line(text, len));
    check_reads_as(text, len, root);
    buf_init(&ascii, BUF_ANY_SIZE);
    json_to_ascii(text, len, &ascii);
    for (size_t i = 0; i < ascii.len; i++)
        check((unsigned char)ascii.data[i] < 0x80);
    check_reads_as(ascii.data, ascii.len, root);
    json_writer_free(writer);
}

/* A good array or object without its end is known for what it is. */
static void check_cut(const uint8_t *data, size_t size, const struct json *root)
{
    struct json_doc *doc;
    uint32_t character;

    if (root->type != JSON_ARRAY && root->type != JSON_OBJECT)
        return;
    while (data[size - 1] != ']' && data[size - 1] != '}')
        size--;
    size_t cut = 1 + size * 7 / 11 % size;
    cut = min_of(cut, size - 1);
    const char *text = (const char *)data;
    enum json_fault fault = json_parse(text, cut, MAX_DEPTH, &doc);
    check(fault != JSON_OK && fault != JSON_TOO_DEEP);
    while (cut > 0 && (data[cut] & 0xc0) == 0x80)
        cut--;
    check(fault == JSON_TRUNCATED || fault == JSON_NOT_JSON || cut == size - 1 ||
          str_utf8_next(text + cut, size - cut, &character) > 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json_doc *doc;
    autofree char *copy = fuzz_bytes(data, size);
    enum json_fault fault = json_parse(copy, size, MAX_DEPTH, &doc);

    check((fault == JSON_NOT_UTF8) == !str_is_utf8(copy, size));
    if (fault != JSON_OK)
        return 0;
    check(depth_of(json_root(doc)) <= MAX_DEPTH);
    check_value(json_root(doc));
    check_written(json_root(doc));
    check_cut(data, size, json_root(doc));
    json_doc_free(doc);
    return 0;
}
