/* SPDX-License-Identifier: MIT */
/* The spool as its header says it, with real files: what is written, found again, refused, set aside. */
#include "../loop/waiting.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/str.h"
#include "loop/worker.h"
#include "store/spool.h"
#include "store/spool_file.h"

#define QUEUE "https://a.queue.core.windows.net/q"
#define OTHER "https://a.queue.core.windows.net/other"

struct fixture {
    struct loop *loop;
    struct worker *worker;
    struct spool *spool;
    char *place;
    char *state; /* a directory that is not there yet */
    bool inside;
    unsigned calls;
    struct err err; /* of the last call */
    char *name, *message_id, *text;
};

static void open_again(struct fixture *fixture)
{
    worker_free(fixture->worker);
    spool_close(fixture->spool);
    fixture->worker = worker_new(fixture->loop);
    fixture->spool = spool_open(fixture->worker, fixture->state);
}

static int set_up(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));
    char place[] = "/tmp/cvn-spool-XXXXXX";

    assert_non_null(mkdtemp(place));
    fixture->place = xstrdup(place);
    fixture->state = xasprintf("%s/state", place);
    fixture->loop = loop_new();
    open_again(fixture);
    *state = fixture;
    return 0;
}

static void forget(struct fixture *fixture)
{
    fixture->err = (struct err){.code = ERR_NONE};
    free(take(fixture->name));
    free(take(fixture->message_id));
    free(take(fixture->text));
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    autofree char *command = xasprintf("rm -rf '%s'", fixture->place);

    worker_free(fixture->worker);
    spool_close(fixture->spool);
    loop_free(fixture->loop);
    forget(fixture);
    assert_int_equal(system(command), 0);
    free(fixture->place);
    free(fixture->state);
    free(fixture);
    return 0;
}

static void on_done(void *arg, const struct err *err)
{
    struct fixture *fixture = arg;

    assert_false(fixture->inside);
    fixture->calls++;
    if (err != NULL)
        fixture->err = *err;
    loop_stop(fixture->loop);
}

static void on_read(void *arg, const struct spool_record *record, const struct err *err)
{
    struct fixture *fixture = arg;

    assert_true((record == NULL) == (err != NULL));
    if (record != NULL) {
        fixture->name = xstrdup(record->name);
        fixture->message_id = xstrdup(record->message_id);
        fixture->text = xstrdup(record->text);
    }
    on_done(arg, err);
}

static enum err_code put(struct fixture *fixture, const char *queue, const char *id,
                         const char *text)
{
    forget(fixture);
    fixture->inside = true;
    assert_non_null(spool_put(fixture->spool, queue, id, text, on_done, fixture));
    fixture->inside = false;
    run_until_stopped(fixture->loop);
    return fixture->err.code;
}

/* False when there is nothing to read. */
static bool next(struct fixture *fixture, const char *queue)
{
    forget(fixture);
    fixture->inside = true;
    bool some = spool_next(fixture->spool, queue, on_read, fixture) != NULL;
    fixture->inside = false;
    if (some)
        run_until_stopped(fixture->loop);
    return some;
}

static void remove_it(struct fixture *fixture)
{
    autofree char *name = xstrdup(fixture->name);

    forget(fixture);
    assert_non_null(spool_remove(fixture->spool, name, on_done, fixture));
    run_until_stopped(fixture->loop);
    assert_int_equal(fixture->err.code, ERR_NONE);
}

static char *path_of(const struct fixture *fixture, const char *name)
{
    return xasprintf("%s/spool/%s", fixture->state, name);
}

static void write_file(const struct fixture *fixture, const char *name, const char *content)
{
    autofree char *path = path_of(fixture, name);
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(content, file);
    fclose(file);
}

/* Says that the queue's record of that message was written in that second. */
static void date_file(const struct fixture *fixture, const char *message_id, time_t second)
{
    const struct timespec times[2] = {{.tv_sec = second}, {.tv_sec = second}};
    char name[SPOOL_FILE_NAME_MAX];

    spool_file_name(QUEUE, message_id, name);
    autofree char *path = path_of(fixture, name);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

/* How many files are in the spool's directory, hidden ones too. */
static unsigned files(const struct fixture *fixture)
{
    DIR *directory = opendir(spool_directory(fixture->spool));
    const struct dirent *item;
    unsigned count = 0;

    assert_non_null(directory);
    while ((item = readdir(directory)) != NULL)
        count += !str_equal(item->d_name, ".") && !str_equal(item->d_name, "..");
    closedir(directory);
    return count;
}

static void a_record_comes_back_whole_after_a_restart(void **state)
{
    struct fixture *fixture = *state;
    struct stat st;

    assert_int_equal(put(fixture, QUEUE, "id-1", "{\"a\": \"\\u00e9 \xc3\xa9\n\"}"), ERR_NONE);
    assert_int_equal(spool_count(fixture->spool), 1);
    open_again(fixture);
    assert_null(spool_trouble(fixture->spool));
    assert_int_equal(spool_count(fixture->spool), 1);
    assert_int_equal(spool_count_of(fixture->spool, QUEUE), 1);
    assert_int_equal(spool_count_of(fixture->spool, OTHER), 0);
    assert_true(next(fixture, QUEUE));
    assert_string_equal(fixture->message_id, "id-1");
    assert_string_equal(fixture->text, "{\"a\": \"\\u00e9 \xc3\xa9\n\"}");
    /* Only we can read it, and a person can: its name tells the message. */
    autofree char *path = path_of(fixture, fixture->name);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(spool_bytes(fixture->spool), st.st_size);
    assert_non_null(strstr(fixture->name, "-id-1.json"));
    assert_int_equal(stat(spool_directory(fixture->spool), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    remove_it(fixture);
    assert_int_equal(spool_count(fixture->spool), 0);
    assert_int_equal(spool_bytes(fixture->spool), 0);
    assert_int_equal(files(fixture), 0);
    assert_false(next(fixture, QUEUE));
}

static void the_same_message_replaces_its_file(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(put(fixture, QUEUE, "id-1", "a long first text"), ERR_NONE);
    assert_int_equal(put(fixture, QUEUE, "id-1", "second"), ERR_NONE);
    /* Another queue's message of the same id is another message. */
    assert_int_equal(put(fixture, OTHER, "id-1", "other"), ERR_NONE);
    assert_int_equal(spool_count(fixture->spool), 2);
    assert_int_equal(files(fixture), 2);
    assert_true(next(fixture, QUEUE));
    assert_string_equal(fixture->text, "second");
    remove_it(fixture);
    assert_true(next(fixture, OTHER));
    assert_string_equal(fixture->text, "other");
}

static void the_oldest_comes_first_and_once(void **state)
{
    struct fixture *fixture = *state;

    for (int again = 0; again < 2; again++) {
        if (again == 0) {
            assert_int_equal(put(fixture, QUEUE, "c", "1"), ERR_NONE);
            assert_int_equal(put(fixture, QUEUE, "a", "2"), ERR_NONE);
            assert_int_equal(put(fixture, QUEUE, "b", "3"), ERR_NONE);
        }
        assert_true(next(fixture, QUEUE));
        assert_string_equal(fixture->text, "1");
        autofree char *first = xstrdup(fixture->name);
        /* What is claimed is nobody else's. */
        assert_true(next(fixture, QUEUE));
        assert_string_equal(fixture->text, "2");
        autofree char *second = xstrdup(fixture->name);
        spool_release(fixture->spool, first, true);
        spool_release(fixture->spool, second, false);
        assert_true(next(fixture, QUEUE));
        assert_string_equal(fixture->text, "2");
        assert_true(next(fixture, QUEUE));
        assert_string_equal(fixture->text, "3");
        assert_true(next(fixture, QUEUE));
        assert_string_equal(fixture->text, "1");
        assert_false(next(fixture, QUEUE));
        date_file(fixture, "c", 1);
        date_file(fixture, "a", 2);
        date_file(fixture, "b", 3);
        open_again(fixture);
    }
}

static void an_id_that_is_no_name_stays_in_the_directory(void **state)
{
    struct fixture *fixture = *state;
    static const char *const ids[] = {"../../etc/passwd", "", "a/b", ".", "ä\n"};
    char longest[300];

    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    for (unsigned i = 0; i < array_size(ids); i++)
        assert_int_equal(put(fixture, QUEUE, ids[i], "text"), ERR_NONE);
    assert_int_equal(put(fixture, QUEUE, longest, "text"), ERR_NONE);
    assert_int_equal(files(fixture), array_size(ids) + 1);
    assert_int_equal(spool_count(fixture->spool), array_size(ids) + 1);
    open_again(fixture);
    assert_null(spool_trouble(fixture->spool));
    for (unsigned left = array_size(ids) + 1; left > 0; left--) {
        assert_true(next(fixture, QUEUE));
        assert_int_equal(fixture->err.code, ERR_NONE);
    }
    assert_false(next(fixture, QUEUE));
}

static void garbage_is_set_aside(void **state)
{
    struct fixture *fixture = *state;
    static const char *const contents[] = {
        "",
        "{\"queue\": \"" QUEUE "\", \"message_id\": \"id-1\", \"text\": \"cut",
        "[]",
        "{\"queue\": \"" QUEUE "\", \"message_id\": \"id-1\"}",
        "{\"queue\": \"" OTHER "\", \"message_id\": \"id-1\", \"text\": \"copied\"}",
    };

    for (unsigned i = 0; i < array_size(contents); i++) {
        assert_int_equal(put(fixture, QUEUE, "id-1", "text"), ERR_NONE);
        assert_true(next(fixture, QUEUE));
        autofree char *name = xstrdup(fixture->name);
        autofree char *bad = xasprintf("%s.bad", name);
        autofree char *bad_path = path_of(fixture, bad);
        spool_release(fixture->spool, name, false);
        write_file(fixture, name, contents[i]);
        assert_true(next(fixture, QUEUE));
        assert_int_equal(fixture->err.code, ERR_REJECTED);
        assert_non_null(strstr(fixture->err.text, bad));
        assert_int_equal(spool_count(fixture->spool), 0);
        assert_int_equal(access(bad_path, F_OK), 0);
        assert_false(next(fixture, QUEUE));
    }
}

static void what_is_not_ours_is_told_and_left_alone(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(put(fixture, QUEUE, "id-1", "text"), ERR_NONE);
    write_file(fixture, "notes.txt", "by hand");
    write_file(fixture, ".0123456789abcdef-id-2.json.tmp", "cut by a crash");
    open_again(fixture);
    assert_int_equal(spool_count(fixture->spool), 1);
    assert_non_null(strstr(spool_trouble(fixture->spool)->text, "notes.txt"));
    assert_int_equal(files(fixture), 2);
}

static void a_file_that_somebody_took_is_forgotten(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(put(fixture, QUEUE, "id-1", "text"), ERR_NONE);
    assert_true(next(fixture, QUEUE));
    autofree char *path = path_of(fixture, fixture->name);
    spool_release(fixture->spool, fixture->name, false);
    assert_int_equal(unlink(path), 0);
    assert_true(next(fixture, QUEUE));
    assert_int_equal(fixture->err.code, ERR_GONE);
    assert_int_equal(spool_count(fixture->spool), 0);
}

static void it_holds_no_more_than_so_many(void **state)
{
    struct fixture *fixture = *state;
    char name[64];

    assert_int_equal(put(fixture, QUEUE, "id-1", "text"), ERR_NONE);
    for (unsigned i = 1; i < SPOOL_MAX_COUNT; i++) {
        snprintf(name, sizeof(name), "0123456789abcdef-%u.json", i);
        write_file(fixture, name, "");
    }
    open_again(fixture);
    assert_int_equal(spool_count(fixture->spool), SPOOL_MAX_COUNT);
    assert_int_equal(put(fixture, QUEUE, "id-2", "text"), ERR_HOST);
    assert_non_null(strstr(fixture->err.text, "is full"));
    assert_int_equal(files(fixture), SPOOL_MAX_COUNT);
    /* One goes, one comes. */
    assert_true(next(fixture, QUEUE));
    remove_it(fixture);
    assert_int_equal(put(fixture, QUEUE, "id-2", "text"), ERR_NONE);
}

static void it_holds_no_more_than_so_many_bytes(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(put(fixture, QUEUE, "id-1", "text"), ERR_NONE);
    int64_t used = spool_bytes(fixture->spool);
    write_file(fixture, "0123456789abcdef-big.json", "");
    autofree char *path = path_of(fixture, "0123456789abcdef-big.json");
    /* There is room for one more such record, and not for two, however they come. */
    assert_int_equal(truncate(path, SPOOL_MAX_BYTES - 2 * used), 0);
    open_again(fixture);
    assert_non_null(spool_put(fixture->spool, QUEUE, "id-2", "text", on_done, fixture));
    assert_non_null(spool_put(fixture->spool, QUEUE, "id-3", "text", on_done, fixture));
    while (fixture->calls < 3)
        run_until_stopped(fixture->loop);
    assert_int_equal(fixture->err.code, ERR_HOST);
    assert_int_equal(files(fixture), 3);
    assert_int_equal(spool_bytes(fixture->spool), SPOOL_MAX_BYTES);
}

static void a_disk_that_refuses_leaves_nothing_behind(void **state)
{
    struct fixture *fixture = *state;
    struct rlimit before, tiny;
    autofree char *text = xmalloc(65537);

    memset(text, 'x', 65536);
    text[65536] = '\0';
    assert_int_equal(put(fixture, QUEUE, "id-1", "text"), ERR_NONE);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    tiny = before;
    tiny.rlim_cur = 4096;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tiny), 0);
    enum err_code code = put(fixture, QUEUE, "id-1", text);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(code, ERR_HOST);
    assert_int_equal(fixture->err.os_errno, EFBIG);
    assert_int_equal(files(fixture), 1);
    /* What was there before is there still. */
    assert_true(next(fixture, QUEUE));
    assert_string_equal(fixture->text, "text");
}

static void a_place_that_is_none_is_told(void **state)
{
    struct fixture *fixture = *state;
    autofree char *path = path_of(fixture, "");

    assert_int_equal(mkdir(fixture->state, 0700), 0);
    path[strlen(path) - 1] = '\0';
    fclose(fopen(path, "w"));
    open_again(fixture);
    assert_non_null(strstr(spool_trouble(fixture->spool)->text, "Not a directory"));
    assert_int_equal(put(fixture, QUEUE, "id-1", "text"), ERR_HOST);
    assert_int_equal(spool_count(fixture->spool), 0);
}

/* The trouble that it tells of is in err. */
static void look(struct fixture *fixture)
{
    forget(fixture);
    fixture->inside = true;
    assert_non_null(spool_look(fixture->spool, on_done, fixture));
    fixture->inside = false;
    run_until_stopped(fixture->loop);
}

static void what_was_out_of_reach_is_found_later(void **state)
{
    struct fixture *fixture = *state;
    autofree char *away = xasprintf("%s.away", fixture->state);

    assert_int_equal(put(fixture, QUEUE, "a", "1"), ERR_NONE);
    assert_int_equal(put(fixture, QUEUE, "b", "2"), ERR_NONE);
    date_file(fixture, "a", 1);
    int64_t bytes = spool_bytes(fixture->spool);
    assert_int_equal(rename(fixture->state, away), 0);
    open_again(fixture);
    assert_int_equal(spool_count(fixture->spool), 0);
    assert_int_equal(rename(away, fixture->state), 0);
    assert_int_equal(put(fixture, QUEUE, "b", "3"), ERR_NONE);
    /* What is known already stays one, claimed or not. */
    assert_true(next(fixture, QUEUE));
    look(fixture);
    assert_int_equal(fixture->err.code, ERR_NONE);
    assert_int_equal(spool_count(fixture->spool), 2);
    assert_int_equal(spool_bytes(fixture->spool), bytes);
    assert_true(next(fixture, QUEUE));
    assert_string_equal(fixture->text, "1");
    assert_false(next(fixture, QUEUE));
}

static void trouble_that_a_later_look_finds_is_told_once(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(put(fixture, QUEUE, "id-1", "text"), ERR_NONE);
    write_file(fixture, "notes.txt", "by hand");
    look(fixture);
    assert_non_null(strstr(fixture->err.text, "notes.txt"));
    assert_non_null(spool_trouble(fixture->spool));
    look(fixture);
    assert_int_equal(fixture->err.code, ERR_NONE);
    assert_non_null(spool_trouble(fixture->spool));
}

static void what_is_cancelled_is_written_all_the_same(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(put(fixture, QUEUE, "id-1", "text"), ERR_NONE);
    unsigned calls = fixture->calls;
    spool_cancel(spool_put(fixture->spool, QUEUE, "id-2", "text", on_done, fixture));
    spool_cancel(spool_next(fixture->spool, QUEUE, on_read, fixture));
    assert_int_equal(put(fixture, QUEUE, "id-3", "text"), ERR_NONE);
    assert_int_equal(fixture->calls, calls + 1);
    assert_int_equal(spool_count(fixture->spool), 3);
    /* The claim was given back. */
    assert_true(next(fixture, QUEUE));
    assert_string_equal(fixture->message_id, "id-1");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_record_comes_back_whole_after_a_restart),
        TEST(the_same_message_replaces_its_file),
        TEST(the_oldest_comes_first_and_once),
        TEST(an_id_that_is_no_name_stays_in_the_directory),
        TEST(garbage_is_set_aside),
        TEST(what_is_not_ours_is_told_and_left_alone),
        TEST(a_file_that_somebody_took_is_forgotten),
        TEST(it_holds_no_more_than_so_many),
        TEST(it_holds_no_more_than_so_many_bytes),
        TEST(a_disk_that_refuses_leaves_nothing_behind),
        TEST(a_place_that_is_none_is_told),
        TEST(what_was_out_of_reach_is_found_later),
        TEST(trouble_that_a_later_look_finds_is_told_once),
        TEST(what_is_cancelled_is_written_all_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
