/* SPDX-License-Identifier: MIT */
/* Where the log goes: what is chosen by itself, and the JSON form. */
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "codec/json.h"
#include "loop/logsink.h"

#define STAMP_MS 1795231417042 /* 2026-11-21T03:23:37.042Z */

/* Standard error while a test looks at it. */
struct caught {
    int saved;
    int fds[2];
    char text[8192];
};

static void catch_begin(struct caught *caught)
{
    assert_int_equal(pipe(caught->fds), 0);
    caught->saved = dup(STDERR_FILENO);
    dup2(caught->fds[1], STDERR_FILENO);
    close(caught->fds[1]);
    clock_freeze(-1, STAMP_MS);
}

static const char *catch_end(struct caught *caught)
{
    size_t len = 0;
    ssize_t got;

    clock_freeze(-1, -1);
    dup2(caught->saved, STDERR_FILENO); /* which closes the pipe's last writing end */
    close(caught->saved);
    while ((got = read(caught->fds[0], caught->text + len, sizeof(caught->text) - 1 - len)) > 0)
        len += (size_t)got;
    caught->text[len] = '\0';
    close(caught->fds[0]);
    return caught->text;
}

static int forget(void **state)
{
    (void)state;
    unsetenv("JOURNAL_STREAM");
    unsetenv("KUBERNETES_SERVICE_HOST");
    log_set_sink(NULL);
    log_set_level(LOG_LEVEL_INFO);
    return 0;
}

/* One line in JSON, parsed. */
static struct json_doc *log_json(const struct log_field *fields, const char *text)
{
    static struct caught caught;
    struct json_doc *doc;

    catch_begin(&caught);
    logsink_choose(LOGSINK_JSON);
    log_warning(fields, "%s", text);
    const char *line = catch_end(&caught);
    assert_int_equal(strcspn(line, "\n"), strlen(line) - 1);
    assert_int_equal(json_parse(line, strlen(line), 4, &doc), JSON_OK);
    return doc;
}

static void json_holds_time_level_message_and_fields(void **state)
{
    const struct log_field fields[] = {
        {"queue", "events"}, {"hook", NULL}, {"message_id", "1-2"}, {NULL, NULL}};
    struct json_doc *doc = log_json(fields, "something happened");
    const struct json *root = json_root(doc);

    (void)state;
    assert_string_equal(json_member_text(root, "time"), "2026-11-21T03:23:37.042Z");
    assert_string_equal(json_member_text(root, "level"), "warning");
    assert_string_equal(json_member_text(root, "message"), "something happened");
    assert_string_equal(json_member_text(root, "queue"), "events");
    assert_string_equal(json_member_text(root, "message_id"), "1-2");
    assert_null(json_member(root, "hook"));
    json_doc_free(doc);
}

static void json_takes_any_bytes(void **state)
{
    const struct log_field fields[] = {{"tail", "\"\\\n\t\x01\x1b[2J\x7f"}, {NULL, NULL}};
    struct json_doc *doc = log_json(fields, "line one\nline \"two\"\r\xff\xc3(\xed\xa0\x80");
    const struct json *root = json_root(doc);

    (void)state;
    assert_string_equal(json_member_text(root, "tail"), "\"\\\n\t\x01\x1b[2J\x7f");
    assert_non_null(strstr(json_member_text(root, "message"), "line one\nline \"two\"\r"));
    json_doc_free(doc);
}

static void json_without_fields(void **state)
{
    struct json_doc *doc = log_json(NULL, "");

    (void)state;
    assert_string_equal(json_member_text(json_root(doc), "message"), "");
    json_doc_free(doc);
}

/* The form that a choice by itself takes now, as it shows on standard error. */
static const char *chosen(struct caught *caught)
{
    catch_begin(caught);
    logsink_choose(LOGSINK_AUTO);
    log_warning(NULL, "hello");
    return catch_end(caught);
}

static void a_container_without_terminal_gets_json(void **state)
{
    struct caught caught;

    (void)state;
    setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1", 1);
    assert_int_equal(chosen(&caught)[0], '{');
}

/* Hides the files by which a container is known: from now on / is an empty directory. Needs root. */
static int enter_empty_root(void)
{
    char directory[] = "/tmp/cvnotifyd-test-XXXXXX";
    int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_true(root >= 0);
    assert_non_null(mkdtemp(directory));
    assert_int_equal(chdir(directory), 0);
    assert_int_equal(rmdir(directory), 0);
    assert_int_equal(chroot("."), 0);
    return root;
}

static void leave_root(int root)
{
    assert_int_equal(fchdir(root), 0);
    assert_int_equal(chroot("."), 0);
    close(root);
}

static void elsewhere_it_is_text(void **state)
{
    struct caught caught;

    (void)state;
    bool in_container = access("/.dockerenv", F_OK) == 0 || access("/run/.containerenv", F_OK) == 0;
    int root = in_container ? enter_empty_root() : -1;
    const char *text = chosen(&caught);
    if (root >= 0)
        leave_root(root);
    assert_string_equal(text, "2026-11-21T03:23:37.042Z warning hello\n");
}

static void another_programs_journal_stream_is_not_ours(void **state)
{
    struct caught caught;

    (void)state;
    setenv("JOURNAL_STREAM", "1:1", 1);
    assert_non_null(strstr(chosen(&caught), "hello"));
    setenv("JOURNAL_STREAM", "nonsense", 1);
    assert_non_null(strstr(chosen(&caught), "hello"));
    setenv("JOURNAL_STREAM", "", 1);
    assert_non_null(strstr(chosen(&caught), "hello"));
}

static void our_journal_stream_is_followed(void **state)
{
    struct caught caught;
    struct stat st;
    char stream[64];

    (void)state;
    setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1", 1); /* the journal is asked about first */
    catch_begin(&caught);
    assert_int_equal(fstat(STDERR_FILENO, &st), 0);
    snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
             (unsigned long long)st.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    logsink_choose(LOGSINK_AUTO);
    log_warning(NULL, "hello"); /* to the journal, if there is one */
    assert_string_equal(catch_end(&caught), "");
}

static void text_is_chosen_by_name(void **state)
{
    struct caught caught;

    (void)state;
    setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1", 1);
    catch_begin(&caught);
    logsink_choose(LOGSINK_JSON);
    logsink_choose(LOGSINK_TEXT);
    log_warning(NULL, "hello");
    assert_string_equal(catch_end(&caught), "2026-11-21T03:23:37.042Z warning hello\n");
}

static void levels_hold_for_every_form(void **state)
{
    struct caught caught;

    (void)state;
    catch_begin(&caught);
    logsink_choose(LOGSINK_JSON);
    log_info(NULL, "one");
    log_debug(NULL, "two");
    log_set_level(LOG_LEVEL_WARNING);
    log_info(NULL, "three");
    const char *text = catch_end(&caught);
    assert_non_null(strstr(text, "one"));
    assert_null(strstr(text, "two"));
    assert_null(strstr(text, "three"));
}

/* A socket where the journal's would be, in a file system of our own; what comes is its caller's to read. */
static int journal_of_our_own(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/run/systemd/journal/socket"};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", "/run", "tmpfs", 0, NULL) != 0 || mkdir("/run/systemd", 0755) != 0 ||
        mkdir("/run/systemd/journal", 0755) != 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        return -1;
    return fd;
}

/* Ends with 0 when the journal got one message with all its fields. */
static int log_to_journal(void)
{
    static const char *const lines[] = {"PRIORITY=4\n", "MESSAGE=hello\n",
                                        "SYSLOG_IDENTIFIER=cvnotifyd\n", "CVN_QUEUE=events\n",
                                        "CVN_MESSAGE_ID=1-2\n"};
    const struct log_field fields[] = {
        {"queue", "events"}, {"hook", NULL}, {"message_id", "1-2"}, {NULL, NULL}};
    char text[4096] = "";
    int fd = journal_of_our_own();

    if (fd < 0)
        return 1;
    logsink_choose(LOGSINK_JOURNAL);
    log_warning(fields, "hello");
    ssize_t got = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);
    for (size_t i = 0; i < array_size(lines); i++) {
        if (got < 0 || strstr(text, lines[i]) == NULL)
            return 2;
    }
    return strstr(text, "CVN_HOOK") == NULL ? 0 : 3;
}

static void the_journal_gets_fields(void **state)
{
    int status;

    (void)state;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(log_to_journal());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, forget, forget)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(json_holds_time_level_message_and_fields),
        TEST(json_takes_any_bytes),
        TEST(json_without_fields),
        TEST(a_container_without_terminal_gets_json),
        TEST(elsewhere_it_is_text),
        TEST(another_programs_journal_stream_is_not_ours),
        TEST(our_journal_stream_is_followed),
        TEST(the_journal_gets_fields),
        TEST(text_is_chosen_by_name),
        TEST(levels_hold_for_every_form),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
