/* SPDX-License-Identifier: MIT */
/* Lines of syslog: fields, cuts, and texts that want to be more than text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/str.h"
#include "hook/syslog_line.h"

#define WALL_MS   1795231417007 /* 2026-11-21T03:23:37.007Z */
#define FRONT     "<155>1 2026-11-21T03:23:37.007Z build-7 cvnotifyd 77 training.failed - "
#define UMLAUT    "\xc3\xbc"
#define TREE      "\xf0\x9f\x8c\xb3"
#define MAX_BYTES 480

static struct syslog_line given_line(const char *text)
{
    return (struct syslog_line){
        .priority = 155,
        .wall_ms = WALL_MS,
        .host = "build-7",
        .ident = "cvnotifyd",
        .event = "training.failed",
        .pid = 77,
        .text = text,
        .text_len = strlen(text),
    };
}

static void expect_line(const struct syslog_line *line, const char *wanted)
{
    autobuf out;

    buf_init(&out, BUF_ANY_SIZE);
    syslog_line_rfc5424(line, MAX_BYTES, &out);
    assert_string_equal(out.data, wanted);
    assert_int_equal(out.len, strlen(wanted));
}

static void expect_text(const char *text, const char *wanted)
{
    struct syslog_line line = given_line(text);
    autofree char *whole = xasprintf(FRONT "%s", wanted);

    expect_line(&line, whole);
}

static void each_field_has_its_place(void **state)
{
    struct syslog_line line = given_line("it failed");

    (void)state;
    expect_line(&line, FRONT "it failed");
    line.priority = 0;
    line.wall_ms = 0;
    expect_line(&line,
                "<0>1 1970-01-01T00:00:00.000Z build-7 cvnotifyd 77 training.failed - it failed");
}

static void the_local_form_is_the_classic_one(void **state)
{
    struct syslog_line line = given_line("it\nfailed");
    autobuf out;

    (void)state;
    buf_init(&out, BUF_ANY_SIZE);
    syslog_line_local(&line, MAX_BYTES, &out);
    assert_memory_equal(out.data, "<155>Nov 2", 10); /* the day and hour are the time zone's */
    assert_string_equal(out.data + 20, " cvnotifyd[77]: it failed");
}

static void a_field_that_is_unknown_is_a_dash(void **state)
{
    struct syslog_line line = given_line("x");

    (void)state;
    line.host = NULL;
    expect_line(&line, "<155>1 2026-11-21T03:23:37.007Z - cvnotifyd 77 training.failed - x");
    line.host = "";
    expect_line(&line, "<155>1 2026-11-21T03:23:37.007Z - cvnotifyd 77 training.failed - x");
}

static void a_field_can_not_hold_another(void **state)
{
    struct syslog_line line = given_line("x");

    (void)state;
    line.host = "a b\n" UMLAUT;
    line.event = "0123456789012345678901234567890123456789";
    expect_line(&line, "<155>1 2026-11-21T03:23:37.007Z a?b??? cvnotifyd 77 "
                       "01234567890123456789012345678901 - x");
}

static void control_characters_become_blanks(void **state)
{
    (void)state;
    expect_text("a\nb\r\tc\x1b[2J\x7f", "a b  c [2J ");
    expect_text("a\n<0>1 - - - - - - forged", "a <0>1 - - - - - - forged");
    expect_text("a\xc2\x85z", "a z");     /* next line */
    expect_text("a\xe2\x80\xa8z", "a z"); /* line separator */
    expect_text("a\xc2\xa0z", "a\xc2\xa0z");
    struct syslog_line line = given_line("a.b");
    line.text = "a\0b";
    expect_line(&line, FRONT "a b");
}

static void umlauts_stay_and_no_mark_is_put_before_them(void **state)
{
    (void)state;
    expect_text("T" UMLAUT "r " TREE, "T" UMLAUT "r " TREE);
}

static void what_is_no_utf8_becomes_question_marks(void **state)
{
    (void)state;
    expect_text("a\xff\xfe z", "a?? z");
    expect_text("a\xc3", "a?");
    expect_text("\xed\xa0\x80", "???"); /* a surrogate */
    expect_text("\xc0\xaf", "??");      /* an overlong slash */
}

static void a_long_text_is_cut_at_a_character(void **state)
{
    static const char *const characters[] = {"x", UMLAUT, "\xe2\x82\xac", TREE};

    (void)state;
    for (size_t i = 0; i < array_size(characters); i++) {
        for (size_t shift = 0; shift < 4; shift++) {
            autobuf text, out;

            buf_init(&text, BUF_ANY_SIZE);
            buf_init(&out, BUF_ANY_SIZE);
            for (size_t n = 0; n < shift; n++)
                buf_putc(&text, '.');
            for (size_t n = 0; n < 600; n++)
                buf_puts(&text, characters[i]);
            struct syslog_line line = given_line(text.data);
            syslog_line_rfc5424(&line, MAX_BYTES, &out);
            assert_in_range(out.len, MAX_BYTES - 3, MAX_BYTES);
            assert_true(str_is_utf8(out.data, out.len));
            assert_true(str_ends(out.data, "..."));
        }
    }
}

static void a_text_that_just_fits_is_whole(void **state)
{
    char text[MAX_BYTES + 1];
    size_t room = MAX_BYTES - strlen(FRONT);

    (void)state;
    memset(text, 'x', sizeof(text));
    text[room] = '\0';
    expect_text(text, text);
    text[room] = 'x';
    text[room + 1] = '\0';
    autofree char *cut = xasprintf("%.*s...", (int)room - 3, text);
    expect_text(text, cut);
}

static void a_frame_counts_bytes(void **state)
{
    autobuf line;

    (void)state;
    buf_init(&line, 64);
    buf_puts(&line, "T" UMLAUT "r");
    syslog_line_frame(&line);
    assert_string_equal(line.data, "4 T" UMLAUT "r");
    assert_int_equal(line.len, 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_field_has_its_place),
        cmocka_unit_test(the_local_form_is_the_classic_one),
        cmocka_unit_test(a_field_that_is_unknown_is_a_dash),
        cmocka_unit_test(a_field_can_not_hold_another),
        cmocka_unit_test(control_characters_become_blanks),
        cmocka_unit_test(umlauts_stay_and_no_mark_is_put_before_them),
        cmocka_unit_test(what_is_no_utf8_becomes_question_marks),
        cmocka_unit_test(a_long_text_is_cut_at_a_character),
        cmocka_unit_test(a_text_that_just_fits_is_whole),
        cmocka_unit_test(a_frame_counts_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
