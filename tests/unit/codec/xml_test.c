/* SPDX-License-Identifier: MIT */
/* XML: what Azure sends, and what nobody should. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdlib.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "codec/xml.h"

/* Writes what it is called with, as `<1:name` and `1:name=text>`. */
struct trace {
    struct buf text;
    const char *stop_at; /* element whose opening ends the parse */
};

static bool on_open(void *arg, const char *name, unsigned depth)
{
    struct trace *trace = arg;

    buf_printf(&trace->text, "<%u:%s ", depth, name);
    return !str_equal(name, trace->stop_at);
}

static bool on_close(void *arg, const char *name, unsigned depth, const char *text, size_t len)
{
    struct trace *trace = arg;

    assert_int_equal(strlen(text), len);
    buf_printf(&trace->text, "%u:%s=%s> ", depth, name, text);
    return true;
}

static const struct xml_visitor visitor = {on_open, on_close};

static bool parse(const char *text, size_t len, struct trace *trace, struct err *err)
{
    /* A copy on the heap shows reading past the end. */
    char *copy = xmalloc(len);
    memcpy(copy, text, len);
    bool good = xml_parse(copy, len, &visitor, trace, err);
    free(copy);
    return good;
}

static void gives(const char *text, const char *expected)
{
    struct trace trace = {.stop_at = NULL};
    struct err err = {.code = ERR_NONE};

    buf_init(&trace.text, BUF_ANY_SIZE);
    if (!parse(text, strlen(text), &trace, &err))
        fail_msg("'%s': %s", text, err.text);
    assert_string_equal(trace.text.data, expected);
    buf_done(&trace.text);
}

static void refused(const char *text, const char *why)
{
    struct trace trace = {.stop_at = "stop"};
    struct err err;

    buf_init(&trace.text, BUF_ANY_SIZE);
    if (parse(text, strlen(text), &trace, &err))
        fail_msg("'%s' was taken", text);
    assert_int_equal(err.code, ERR_SERVER);
    assert_non_null(strstr(err.text, "line "));
    if (strstr(err.text, why) == NULL)
        fail_msg("'%s': %s", text, err.text);
    buf_done(&trace.text);
}

static const char messages[] = "\xef\xbb\xbf<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"
                               "<QueueMessagesList><QueueMessage><MessageId>1</"
                               "MessageId><MessageText>{&quot;a&quot;:\"&lt;&amp;"
                               "\"}&#xD;\r\n</MessageText></QueueMessage></QueueMessagesList>";

static void test_what_azure_sends(void **state)
{
    (void)state;
    gives(messages, "<1:QueueMessagesList <2:QueueMessage <3:MessageId 3:MessageId=1> "
                    "<3:MessageText 3:MessageText={\"a\":\"<&\"}\r\n> 2:QueueMessage=> "
                    "1:QueueMessagesList=> ");
    gives("<QueueMessagesList/>", "<1:QueueMessagesList 1:QueueMessagesList=> ");
    gives("<a>x<b>y</b>z</a>", "<1:a <2:b 2:b=y> 1:a=xz> ");
    gives("<a><![CDATA[<b>&amp;]]>c</a>", "<1:a 1:a=<b>&amp;c> ");
    gives("<a x='1'><!-- b --><?pi c?>d</a>", "<1:a 1:a=d> ");
    gives("<p:a xmlns:p='u'>&#233;\xc3\xa9</p:a>", "<1:p:a 1:p:a=\xc3\xa9\xc3\xa9> ");
    gives("<?xml version='1.0' encoding='iso-8859-1'?><a>\xe9</a>", "<1:a 1:a=\xc3\xa9> ");
    gives("<a><b>1</b><b/><b>3</b></a>", "<1:a <2:b 2:b=1> <2:b 2:b=> <2:b 2:b=3> 1:a=> ");
}

static void test_depth(void **state)
{
    (void)state;
    gives("<a><b><c><d><e><f><g><h>x</h></g></f></e></d></c></b></a>",
          "<1:a <2:b <3:c <4:d <5:e <6:f <7:g <8:h 8:h=x> 7:g=> 6:f=> 5:e=> 4:d=> 3:c=> 2:b=> "
          "1:a=> ");
    refused("<a><b><c><d><e><f><g><h><i/></h></g></f></e></d></c></b></a>", "too deep");
    autobuf bomb;
    buf_init(&bomb, BUF_ANY_SIZE);
    for (int i = 0; i < 100000; i++)
        buf_puts(&bomb, "<a>");
    refused(bomb.data, "too deep");
}

static void test_hostile(void **state)
{
    (void)state;
    refused("<!DOCTYPE a><a/>", "document type");
    refused("<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>", "document type");
    refused("<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>", "document type");
    refused("<!DOCTYPE a SYSTEM 'http://127.0.0.1/x.dtd'><a/>", "document type");
    refused("<!DOCTYPE l [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'><!ENTITY c '&b;&b;'>]><l>&c;</l>",
            "document type");
    refused("<a>&x;</a>", "undefined entity");
    refused("<a>&#0;</a>", "");
    refused("<a>&#xD800;</a>", "");
    refused("<a>\x01</a>", "");
    refused("<a>\xff</a>", "");
    refused("<a>\xed\xa0\x80</a>", "");
    refused("<a></b>", "mismatched tag");
    refused("<a/><b/>", "line 1");
    refused("<a/>x", "");
    refused("", "no element");
    refused(" \n", "line 2");
    refused("x", "");
    refused("{\"a\":1}", "");
    refused("<html><p>502 Bad Gateway<br></html>", "");
    refused("<a x=1/>", "");
    refused("<a>]]></a>", "");
    refused("<a>\n\n<<", "line 3");
}

static void test_nul_inside(void **state)
{
    (void)state;
    struct trace trace = {.stop_at = NULL};
    struct err err;

    buf_init(&trace.text, BUF_ANY_SIZE);
    assert_false(parse("<a>\0</a>", 8, &trace, &err));
    buf_done(&trace.text);
}

static void test_the_visitor_ends_it(void **state)
{
    (void)state;
    struct trace trace = {.stop_at = "stop"};
    struct err err;

    buf_init(&trace.text, BUF_ANY_SIZE);
    const char *text = "<a><stop/><b/></a>";
    assert_false(parse(text, strlen(text), &trace, &err));
    assert_string_equal(trace.text.data, "<1:a <2:stop ");
    buf_done(&trace.text);
    const struct xml_visitor nobody = {NULL, NULL};
    assert_true(xml_parse("<a>x</a>", 8, &nobody, NULL, &err));
}

static void test_truncated(void **state)
{
    (void)state;
    struct err err;

    for (size_t len = 0; len < sizeof(messages) - 1; len++) {
        struct trace trace = {.stop_at = NULL};
        buf_init(&trace.text, BUF_ANY_SIZE);
        assert_false(parse(messages, len, &trace, &err));
        buf_done(&trace.text);
    }
}

/* Each byte of a good document replaced by each of some bad ones: any answer but a crash. */
static void test_damaged(void **state)
{
    (void)state;
    char text[sizeof(messages)];
    struct err err;

    for (size_t i = 0; i < sizeof(messages) - 1; i++) {
        for (const char *bad = "<>&;\"/!?[]\x80\xff\x01 a"; *bad != '\0'; bad++) {
            struct trace trace = {.stop_at = NULL};
            buf_init(&trace.text, BUF_ANY_SIZE);
            memcpy(text, messages, sizeof(text));
            text[i] = *bad;
            bool ignored = parse(text, sizeof(text) - 1, &trace, &err);
            (void)ignored;
            buf_done(&trace.text);
        }
    }
}

static void test_escape(void **state)
{
    (void)state;
    const char *text = "<a>&\r\n\"'\xc3\xa9]]>";
    autobuf out, document;

    buf_init(&out, BUF_ANY_SIZE);
    xml_escape(&out, "", 0);
    assert_string_equal(out.data, "");
    xml_escape(&out, text, strlen(text));
    assert_string_equal(out.data, "&lt;a&gt;&amp;&#13;\n\"'\xc3\xa9]]&gt;");
    buf_init(&document, BUF_ANY_SIZE);
    buf_printf(&document, "<t>%s</t>", out.data);
    autofree char *expected = xasprintf("<1:t 1:t=%s> ", text);
    gives(document.data, expected);
}

/* Expat makes more room for such names. */
static void test_a_long_name(void **state)
{
    (void)state;
    enum { LEN = 20000 };
    autofree char *name = xmalloc(LEN + 1);

    memset(name, 'n', LEN);
    name[LEN] = '\0';
    autofree char *text = xasprintf("<%s>x</%s>", name, name);
    autofree char *expected = xasprintf("<1:%s 1:%s=x> ", name, name);
    gives(text, expected);
}

static void test_more_than_expat_counts(void **state)
{
    (void)state;
    struct trace trace = {.stop_at = NULL};
    struct err err;

    assert_false(xml_parse("", (size_t)INT_MAX + 1, &visitor, &trace, &err));
    assert_int_equal(err.code, ERR_SERVER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_azure_sends),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_nul_inside),
        cmocka_unit_test(test_the_visitor_ends_it),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_escape),
        cmocka_unit_test(test_a_long_name),
        cmocka_unit_test(test_more_than_expat_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
