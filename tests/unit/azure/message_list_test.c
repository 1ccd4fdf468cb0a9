/* SPDX-License-Identifier: MIT */
/* The list that Get Messages and Put Message answer with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "azure/message_list.h"
#include "base/buf.h"

#define ID       "<MessageId>5974b586-0df3-4e2d-ad0c-18e3892bfca2</MessageId>"
#define OTHER_ID "<MessageId>00000000-0df3-4e2d-ad0c-18e3892bfca2</MessageId>"
#define INSERTED "<InsertionTime>Sat, 21 Nov 2026 03:23:37 GMT</InsertionTime>"
#define EXPIRES  "<ExpirationTime>Fri, 31 Dec 9999 23:59:59 GMT</ExpirationTime>"
#define RECEIPT  "<PopReceipt>YzQ4Yzg1MDIt+/==</PopReceipt>"
#define NEXT     "<TimeNextVisible>Sat, 21 Nov 2026 03:25:37 GMT</TimeNextVisible>"
#define DEQUEUED "<DequeueCount>2</DequeueCount>"
#define TEXT     "<MessageText>{&quot;a&quot;: &lt;1&gt;}&#xD;</MessageText>"
#define PUT      ID INSERTED EXPIRES RECEIPT NEXT
#define GET      PUT DEQUEUED TEXT
#define LIST(x)                                                                                    \
    "<?xml version=\"1.0\" encoding=\"utf-8\" standalone=\"yes\"?><QueueMessagesList>" x           \
    "</QueueMessagesList>"
#define MESSAGE(x) "<QueueMessage>" x "</QueueMessage>"

static void reads_messages(void **state)
{
    (void)state;
    static const char body[] =
        LIST("\n " MESSAGE("\n" OTHER_ID INSERTED EXPIRES RECEIPT DEQUEUED TEXT) MESSAGE(GET));
    struct message_list list;
    struct err err;

    assert_true(message_list_parse(body, strlen(body), MESSAGE_LIST_GET, &list, &err));
    assert_int_equal(list.count, 2);
    const struct queue_message *message = &list.items[1];
    assert_string_equal(message->id, "5974b586-0df3-4e2d-ad0c-18e3892bfca2");
    assert_string_equal(message->pop_receipt, "YzQ4Yzg1MDIt+/==");
    assert_int_equal(message->inserted_ms, 1795231417000);
    assert_int_equal(message->expires_ms, 253402300799000);
    assert_int_equal(message->dequeue_count, 2);
    assert_string_equal(message->text, "{\"a\": <1>}\r");
    assert_int_equal(message->len, 11);
    message_list_done(&list);
}

static void reads_an_empty_list(void **state)
{
    (void)state;
    static const char body[] = "\xef\xbb\xbf<QueueMessagesList/>";
    struct message_list list;
    struct err err;

    assert_true(message_list_parse(body, strlen(body), MESSAGE_LIST_GET, &list, &err));
    assert_int_equal(list.count, 0);
    message_list_done(&list);
}

static void an_empty_text_is_a_text(void **state)
{
    (void)state;
    static const char body[] = LIST(MESSAGE(PUT DEQUEUED "<MessageText/>"));
    struct message_list list;
    struct err err;

    assert_true(message_list_parse(body, strlen(body), MESSAGE_LIST_GET, &list, &err));
    assert_string_equal(list.items[0].text, "");
    assert_int_equal(list.items[0].len, 0);
    message_list_done(&list);
}

static void a_put_answers_less(void **state)
{
    (void)state;
    static const char body[] = LIST(MESSAGE(PUT));
    struct message_list list;
    struct err err;

    assert_true(message_list_parse(body, strlen(body), MESSAGE_LIST_PUT, &list, &err));
    assert_int_equal(list.count, 1);
    assert_null(list.items[0].text);
    message_list_done(&list);
}

static void what_is_unknown_is_passed_over(void **state)
{
    (void)state;
    static const char body[] = LIST("<NextMarker>x</NextMarker>" MESSAGE(
        GET "<Priority><MessageId>no</MessageId></Priority>") "<MessageId>no</MessageId>");
    struct message_list list;
    struct err err;

    assert_true(message_list_parse(body, strlen(body), MESSAGE_LIST_GET, &list, &err));
    assert_int_equal(list.count, 1);
    assert_string_equal(list.items[0].id, "5974b586-0df3-4e2d-ad0c-18e3892bfca2");
    message_list_done(&list);
}

static void takes_it_whole_or_not_at_all(void **state)
{
    (void)state;
    static const struct {
        const char *body, *reason;
    } cases[] = {
        {LIST(MESSAGE(GET) MESSAGE(PUT DEQUEUED)), "MessageText is missing"},
        {LIST(MESSAGE(PUT TEXT)), "DequeueCount is missing"},
        {LIST(MESSAGE(ID INSERTED EXPIRES DEQUEUED TEXT)), "PopReceipt is missing"},
        {LIST("<QueueMessage/>"), "MessageId is missing"},
        {LIST(MESSAGE(GET) MESSAGE(GET)), "a message stands there twice"},
        {LIST(MESSAGE(ID "<PopReceipt/>")), "PopReceipt is garbled"},
        {LIST(MESSAGE(GET ID)), "an element stands twice in a message"},
        {LIST(MESSAGE("<MessageId/>")), "MessageId is garbled"},
        {LIST(MESSAGE("<DequeueCount>-1</DequeueCount>")), "DequeueCount is garbled"},
        {LIST(MESSAGE("<DequeueCount>99999999999</DequeueCount>")), "DequeueCount is garbled"},
        {LIST(MESSAGE("<InsertionTime>today</InsertionTime>")), "InsertionTime is garbled"},
        {LIST(MESSAGE("<ExpirationTime></ExpirationTime>")), "ExpirationTime is garbled"},
        {"<html><body>Welcome</body></html>", "another document came"},
        {"<QueueMessagesList><QueueMessage>" ID, ""},
        {"", ""},
        {"OK", ""},
    };

    for (size_t i = 0; i < array_size(cases); i++) {
        struct message_list list;
        struct err err = {0};

        if (message_list_parse(cases[i].body, strlen(cases[i].body), MESSAGE_LIST_GET, &list, &err))
            fail_msg("was taken: %s", cases[i].body);
        assert_int_equal(err.code, ERR_SERVER);
        if (strstr(err.text, cases[i].reason) == NULL)
            assert_string_equal(err.text, cases[i].reason);
    }
}

/* What goes into a URL is of a size that fits one. */
static void names_are_bounded(void **state)
{
    (void)state;
    static const struct {
        const char *element;
        int most;
    } cases[] = {{"MessageId", 128}, {"PopReceipt", 2048}};

    for (size_t i = 0; i < array_size(cases); i++) {
        for (int more = 0; more <= 1; more++) {
            struct message_list list;
            struct err err;
            autofree char *body = xasprintf(
                "<QueueMessagesList><QueueMessage>%s" INSERTED EXPIRES DEQUEUED TEXT
                "<%s>%0*d</%s></QueueMessage></QueueMessagesList>",
                i == 0 ? RECEIPT : ID, cases[i].element, cases[i].most + more, 1, cases[i].element);

            if (message_list_parse(body, strlen(body), MESSAGE_LIST_GET, &list, &err) == more)
                fail_msg("%s of %d", cases[i].element, cases[i].most + more);
            if (more == 0)
                message_list_done(&list);
        }
    }
}

/* Whole documents that attack the parser are refused, whatever stands around them. */
static void hostile_documents_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        size_t len;
    } cases[] = {
#define CASE(x) {x, sizeof(x) - 1}
        CASE("<!DOCTYPE a [<!ENTITY l0 \"ha\"><!ENTITY l1 \"&l0;&l0;&l0;\">]>"
             "<QueueMessagesList>&l1;</QueueMessagesList>"),
        CASE("<!DOCTYPE a SYSTEM \"http://127.0.0.1/x.dtd\"><QueueMessagesList/>"),
        CASE("<!DOCTYPE a [<!ENTITY e SYSTEM \"file:///etc/passwd\">]>"
             "<QueueMessagesList>&e;</QueueMessagesList>"),
        CASE(LIST("&nbsp;")),
        CASE(LIST("<a><a><a><a><a><a><a><a><a></a></a></a></a></a></a></a></a></a>")),
        CASE(LIST("<a b='1' b='2'/>")),
        CASE(LIST(MESSAGE(PUT DEQUEUED "<MessageText>a\0b</MessageText>"))),
        CASE(LIST(MESSAGE(PUT DEQUEUED "<MessageText>&#0;</MessageText>"))),
        CASE(LIST(MESSAGE(PUT DEQUEUED "<MessageText>\xff\xfe</MessageText>"))),
        CASE(LIST(MESSAGE(PUT DEQUEUED "<MessageText>\xed\xa0\x80</MessageText>"))),
        CASE("<?xml version='1.0' encoding='klingon'?><QueueMessagesList/>"),
        CASE(LIST("") "<QueueMessagesList/>"),
        CASE("<!DOCTYPE html><html><body>Welcome<br></body></html>"),
#undef CASE
    };

    for (size_t i = 0; i < array_size(cases); i++) {
        struct message_list list;
        struct err err = {0};

        if (message_list_parse(cases[i].body, cases[i].len, MESSAGE_LIST_GET, &list, &err))
            fail_msg("was taken: %s", cases[i].body);
        assert_int_equal(err.code, ERR_SERVER);
    }
}

static void a_million_attributes_are_no_message(void **state)
{
    (void)state;
    struct message_list list;
    struct err err;
    autobuf body;

    buf_init(&body, BUF_ANY_SIZE);
    buf_puts(&body, "<QueueMessagesList><a ");
    for (int i = 0; i < 1000000; i++)
        buf_printf(&body, "a%d='' ", i);
    buf_puts(&body, "/></QueueMessagesList>");
    assert_true(message_list_parse(body.data, body.len, MESSAGE_LIST_GET, &list, &err));
    assert_int_equal(list.count, 0);
}

static void takes_32_and_no_more(void **state)
{
    (void)state;
    struct message_list list;
    struct err err;
    autobuf body;

    buf_init(&body, BUF_ANY_SIZE);
    buf_puts(&body, "<QueueMessagesList>");
    for (int i = 0; i < QUEUE_MAX_GET; i++)
        buf_printf(&body, MESSAGE("<MessageId>%d</MessageId>%s"), i,
                   INSERTED EXPIRES RECEIPT DEQUEUED TEXT);
    size_t len = body.len;
    buf_puts(&body, "</QueueMessagesList>");
    assert_true(message_list_parse(body.data, body.len, MESSAGE_LIST_GET, &list, &err));
    assert_int_equal(list.count, QUEUE_MAX_GET);
    message_list_done(&list);
    body.len = len;
    buf_puts(&body, MESSAGE(GET) "</QueueMessagesList>");
    assert_false(message_list_parse(body.data, body.len, MESSAGE_LIST_GET, &list, &err));
    assert_int_equal(err.code, ERR_SERVER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_messages),
        cmocka_unit_test(reads_an_empty_list),
        cmocka_unit_test(an_empty_text_is_a_text),
        cmocka_unit_test(a_put_answers_less),
        cmocka_unit_test(what_is_unknown_is_passed_over),
        cmocka_unit_test(takes_it_whole_or_not_at_all),
        cmocka_unit_test(names_are_bounded),
        cmocka_unit_test(hostile_documents_are_refused),
        cmocka_unit_test(a_million_attributes_are_no_message),
        cmocka_unit_test(takes_32_and_no_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
