/* SPDX-License-Identifier: MIT */
/* A configuration text as a tree of nodes, through libyaml's events. */
#include "config/node.h"

#include <ctype.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/secret.h"
#include "base/str.h"
#include "config/mistakes.h"

struct builder {
    yaml_parser_t parser;
    const char *file;
    const char *text;
    size_t len;
    struct mistakes *mistakes;
};

/* libyaml's copy of a scalar may be a secret too. */
static void event_done(yaml_event_t *event)
{
    if (event->type == YAML_SCALAR_EVENT)
        explicit_bzero(event->data.scalar.value, event->data.scalar.length);
    yaml_event_delete(event);
}

#define autoevent __attribute__((cleanup(event_done))) yaml_event_t

static void PRINTF_LIKE(3, 4)
    add_at_mark(struct builder *builder, yaml_mark_t mark, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    autofree char *text = xvasprintf(format, args);
    va_end(args);
    mistakes_add(builder->mistakes, builder->file, (int)mark.line + 1, (int)mark.column + 1, "%s",
                 text);
}

/* A member may be NULL. */
void node_free(struct node *node)
{
    if (node == NULL)
        return;
    for (struct node *child = node->first, *next; child != NULL; child = next) {
        next = child->next;
        node_free(child);
    }
    secret_free_text(node->text);
    free(node->key);
    free(node);
}

static void node_free_slot(struct node **slot)
{
    node_free(*slot);
}

#define autonode __attribute__((cleanup(node_free_slot))) struct node

void node_append(struct node *into, struct node *first)
{
    struct node **last = &into->first;

    while (*last != NULL)
        last = &(*last)->next;
    *last = first;
}

const struct node *node_item(const struct node *list, unsigned i)
{
    if (list == NULL || list->type != NODE_LIST)
        return list;
    const struct node *item = list->first;
    while (item != NULL && i-- > 0)
        item = item->next;
    return item != NULL ? item : list;
}

struct node *node_member(const struct node *map, const char *key)
{
    if (map == NULL || map->type != NODE_MAP)
        return NULL;
    for (struct node *member = map->first; member != NULL; member = member->next) {
        if (str_equal(member->key, key))
            return member;
    }
    return NULL;
}

/* Where the line begins; the text's end when there is no such line. */
static const char *line_start(const struct builder *builder, size_t line)
{
    const char *p = builder->text;
    const char *end = builder->text + builder->len;

    for (; line > 0 && p < end; p++) {
        if (*p == '\n')
            line--;
    }
    return p;
}

/* Whether a brace opens a placeholder or a variable, {name} or {name:-text}, and not a map. */
static bool opens_placeholder(const char *brace, const char *end)
{
    const char *p = brace + 1;

    while (p < end && (isalnum((unsigned char)*p) || *p == '_'))
        p++;
    return p > brace + 1 && p < end && (*p == '}' || (*p == ':' && p + 1 < end && p[1] == '-'));
}

/* Whether the line holds one that YAML takes for a map, as far as quotes tell. */
static bool has_bare_placeholder(const struct builder *builder, size_t line)
{
    const char *end = builder->text + builder->len;
    char quote = '\0';

    for (const char *p = line_start(builder, line); p < end && *p != '\n'; p++) {
        if (quote != '\0')
            quote = *p == quote ? '\0' : quote;
        else if (*p == '"' || *p == '\'')
            quote = *p;
        else if (*p == '{' && opens_placeholder(p, end))
            return true;
    }
    return false;
}

static bool is_indented_by_tab(const struct builder *builder, size_t line)
{
    const char *p = line_start(builder, line);
    const char *end = builder->text + builder->len;

    while (p < end && *p == ' ')
        p++;
    return p < end && *p == '\t';
}

/* libyaml gives a byte's offset, not a mark, for what it can not even decode. */
static yaml_mark_t mark_of_offset(const struct builder *builder, size_t offset)
{
    yaml_mark_t mark = {0};

    for (size_t i = 0; i < offset && i < builder->len; i++) {
        unsigned char c = (unsigned char)builder->text[i];
        if (c == '\n') {
            mark.line++;
            mark.column = 0;
        } else if ((c & 0xc0) != 0x80) {
            mark.column++;
        }
    }
    return mark;
}

/* What is likely to be the cause, which libyaml does not say. The most common one by far is a
 * placeholder without quotes: `name: {event}-1.json`. */
static const char *syntax_hint(const struct builder *builder)
{
    const yaml_parser_t *parser = &builder->parser;
    const char *context = parser->context != NULL ? parser->context : "";
    const char *problem = parser->problem != NULL ? parser->problem : "";
    bool in_flow = strstr(context, "flow") != NULL;
    size_t line = parser->problem_mark.line;

    if (is_indented_by_tab(builder, line))
        return "; indent with blanks, not with tabs";
    if (has_bare_placeholder(builder, line) ||
        (in_flow && has_bare_placeholder(builder, parser->context_mark.line)))
        return "; a text with {...} in it needs quotes: \"{...}\"";
    if (strstr(context, "alias") != NULL)
        return "; a text that begins with * needs quotes: \"*\"";
    if (in_flow)
        return "; is a ] or } missing, or quotes around a text?";
    if (strstr(problem, "mapping values") != NULL)
        return "; the keys of a map begin in one column, a blank is behind each ':', and a text "
               "with ': ' in it needs quotes";
    return "";
}

/* A text that is not YAML is one mistake, in libyaml's words. */
static void add_syntax(struct builder *builder)
{
    const yaml_parser_t *parser = &builder->parser;
    const char *problem = parser->problem == NULL ? "unreadable" : parser->problem;

    if (parser->error == YAML_READER_ERROR) {
        add_at_mark(builder, mark_of_offset(builder, parser->problem_offset), "not YAML: %s",
                    problem);
        return;
    }
    autofree char *context = NULL;
    if (parser->context == NULL)
        context = xstrdup("");
    else if (parser->context_mark.line == parser->problem_mark.line)
        context = xasprintf(" %s", parser->context);
    else
        context = xasprintf(" %s that begins on line %zu", parser->context,
                            parser->context_mark.line + 1);
    add_at_mark(builder, parser->problem_mark, "not YAML: %s%s%s", problem, context,
                syntax_hint(builder));
}

/* False, the mistake told, when the text ends being YAML here. */
static bool next_event(struct builder *builder, yaml_event_t *ret_event)
{
    if (yaml_parser_parse(&builder->parser, ret_event) != 0)
        return true;
    *ret_event = (yaml_event_t){0};
    add_syntax(builder);
    return false;
}

static struct node *node_new(const struct builder *builder, enum node_type type, yaml_mark_t mark)
{
    struct node *node = xcalloc(1, sizeof(*node));

    node->type = type;
    node->file = builder->file;
    node->line = (int)mark.line + 1;
    node->column = (int)mark.column + 1;
    return node;
}

static void refuse_tag(struct builder *builder, const yaml_event_t *event, const yaml_char_t *tag)
{
    char excerpt[MISTAKES_EXCERPT_MAX];

    if (tag != NULL)
        add_at_mark(builder, event->start_mark, "the tag %s has no meaning here; leave it out",
                    mistakes_excerpt((const char *)tag, excerpt));
}

static bool means_null(const yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value;

    return event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (*text == '\0' || str_equal(text, "~") || str_equal(text, "null"));
}

/* The text of a scalar event. A NUL, which only an escape can write, would cut it short unseen. */
static char *scalar_text(struct builder *builder, const yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value;

    if (strlen(text) != event->data.scalar.length)
        add_at_mark(builder, event->start_mark, "a text can not hold a NUL (\\0); leave it out");
    return xstrdup(text);
}

static struct node *build_scalar(struct builder *builder, const yaml_event_t *event)
{
    struct node *node;

    refuse_tag(builder, event, event->data.scalar.tag);
    if (means_null(event))
        return node_new(builder, NODE_NULL, event->start_mark);
    node = node_new(builder, NODE_SCALAR, event->start_mark);
    node->text = scalar_text(builder, event);
    node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    return node;
}

static struct node *build_node(struct builder *builder, const yaml_event_t *event, int depth);

static struct node *build_list(struct builder *builder, const yaml_event_t *start, int depth)
{
    autonode *list = node_new(builder, NODE_LIST, start->start_mark);
    struct node **end = &list->first;

    refuse_tag(builder, start, start->data.sequence_start.tag);
    list->flow = start->data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE;
    for (;;) {
        autoevent event = {0};
        if (!next_event(builder, &event))
            return NULL;
        if (event.type == YAML_SEQUENCE_END_EVENT)
            return take(list);
        *end = build_node(builder, &event, depth);
        if (*end == NULL)
            return NULL;
        end = &(*end)->next;
    }
}

/* The text of a key, NULL with the mistake told when it is none; false when the text is no YAML. */
static bool read_key(struct builder *builder, const yaml_event_t *event, int depth, char **ret_key)
{
    if (event->type == YAML_SCALAR_EVENT) {
        refuse_tag(builder, event, event->data.scalar.tag);
        *ret_key = scalar_text(builder, event);
        return true;
    }
    add_at_mark(builder, event->start_mark,
                "a key must be a text; a text with {...} or [...] in it needs quotes");
    autonode *skipped = build_node(builder, event, depth);
    *ret_key = NULL;
    return skipped != NULL;
}

/* Reads a key and its value. *ret_member is NULL when the key was no key; false ends the parse. */
static bool build_member(struct builder *builder, const yaml_event_t *key_event, int depth,
                         struct node **ret_member)
{
    autofree char *key = NULL;
    autoevent event = {0};

    if (!read_key(builder, key_event, depth, &key) || !next_event(builder, &event))
        return false;
    autonode *member = build_node(builder, &event, depth);
    if (member == NULL)
        return false;
    member->key_line = (int)key_event->start_mark.line + 1;
    member->key_column = (int)key_event->start_mark.column + 1;
    if (member->type == NODE_NULL && event.type == YAML_SCALAR_EVENT &&
        event.data.scalar.length == 0) {
        member->line = member->key_line;
        member->column = member->key_column;
    }
    if (key != NULL) {
        member->key = take(key);
        *ret_member = take(member);
    } else {
        *ret_member = NULL;
    }
    return true;
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(((const struct node *)a)->key, ((const struct node *)b)->key);
}

static void keep(void *node)
{
    (void)node;
}

static void seen_free(void **seen)
{
    tdestroy(*seen, keep);
}

/* Whether a member's key stands in its map for the first time; seen is a tsearch tree of members,
 * so that even a map of a hundred thousand keys is looked through at once. */
static bool is_first(struct builder *builder, void **seen, struct node *member)
{
    struct node **slot = tsearch(member, seen, compare_keys);
    char excerpt[MISTAKES_EXCERPT_MAX];

    if (slot == NULL)
        fatal("out of memory");
    if (*slot == member)
        return true;
    mistakes_add(builder->mistakes, builder->file, member->key_line, member->key_column,
                 "\"%s\" is written twice, first on line %d; keep one of them",
                 mistakes_excerpt(member->key, excerpt), (*slot)->key_line);
    return false;
}

static struct node *build_map(struct builder *builder, const yaml_event_t *start, int depth)
{
    autonode *map = node_new(builder, NODE_MAP, start->start_mark);
    __attribute__((cleanup(seen_free))) void *seen = NULL;
    struct node **end = &map->first;

    refuse_tag(builder, start, start->data.mapping_start.tag);
    map->flow = start->data.mapping_start.style == YAML_FLOW_MAPPING_STYLE;
    for (;;) {
        autoevent event = {0};
        autonode *member = NULL;
        if (!next_event(builder, &event))
            return NULL;
        if (event.type == YAML_MAPPING_END_EVENT)
            return take(map);
        if (!build_member(builder, &event, depth, &member))
            return NULL;
        if (member != NULL && is_first(builder, &seen, member)) {
            *end = take(member);
            end = &(*end)->next;
        }
    }
}

/* The node that begins with event, which is that of a value; NULL ends the parse. */
static struct node *build_node(struct builder *builder, const yaml_event_t *event, int depth)
{
    bool is_list = event->type == YAML_SEQUENCE_START_EVENT;

    if (event->type == YAML_SCALAR_EVENT)
        return build_scalar(builder, event);
    if (event->type == YAML_ALIAS_EVENT) {
        add_at_mark(builder, event->start_mark,
                    "an alias (*name) can not be used here; write the value again");
        return node_new(builder, NODE_NULL, event->start_mark);
    }
    if (depth == NODE_DEPTH_MAX) {
        add_at_mark(builder, event->start_mark, "more than %d maps and lists in one another",
                    NODE_DEPTH_MAX);
        return NULL;
    }
    return is_list ? build_list(builder, event, depth + 1) : build_map(builder, event, depth + 1);
}

/* The first document, or an empty map when there is none. */
static struct node *build_document(struct builder *builder)
{
    autoevent event = {0};

    do {
        event_done(&event);
        if (!next_event(builder, &event))
            return NULL;
        if (event.type == YAML_STREAM_END_EVENT)
            return node_new(builder, NODE_MAP, (yaml_mark_t){0});
    } while (event.type == YAML_STREAM_START_EVENT || event.type == YAML_DOCUMENT_START_EVENT);

    struct node *root = build_node(builder, &event, 0);
    if (root != NULL && root->type == NODE_NULL)
        root->type = NODE_MAP;
    return root;
}

/* Reads on to the end of the text, where nothing but the end may come. */
static bool expect_end(struct builder *builder)
{
    for (;;) {
        autoevent event = {0};
        if (!next_event(builder, &event))
            return false;
        if (event.type == YAML_STREAM_END_EVENT || event.type == YAML_NO_EVENT)
            return true; /* no event comes after the end, which an empty text has reached already */
        if (event.type == YAML_DOCUMENT_START_EVENT) {
            add_at_mark(builder, event.start_mark,
                        "a second document begins here; a file holds one");
            return true;
        }
    }
}

struct node *node_parse(const char *file, const char *text, size_t len, struct mistakes *mistakes)
{
    struct builder builder = {.file = file, .text = text, .len = len, .mistakes = mistakes};

    if (len > NODE_TEXT_MAX) {
        mistakes_add(mistakes, file, 0, 0,
                     "%zu bytes are too many for a configuration; at most %zu", len, NODE_TEXT_MAX);
        return NULL;
    }
    if (yaml_parser_initialize(&builder.parser) == 0)
        fatal("out of memory");
    yaml_parser_set_input_string(&builder.parser, (const unsigned char *)text, len);
    autonode *root = build_document(&builder);
    bool whole = root != NULL && expect_end(&builder);
    yaml_parser_delete(&builder.parser);
    return whole ? take(root) : NULL;
}
