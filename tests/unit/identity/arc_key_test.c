/* SPDX-License-Identifier: MIT */
/* Azure Arc's challenge: the file that it names, and what may be read from there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/secret.h"
#include "base/str.h"
#include "identity/arc_key.h"

#define DIRECTORY "/var/opt/azcmagent/tokens"
#define GUID      "7c4b6a2e-06ae-4c1f-a0f5-9a1f5d4f2e01"

/* --- the path --- */

static void test_the_file_that_a_challenge_names(void **state)
{
    static const char *const challenges[] = {
        "Basic realm=" DIRECTORY "/" GUID ".key",
        "basic  REALM=\"" DIRECTORY "/" GUID ".key\"",
        " Basic\trealm=" DIRECTORY "/" GUID ".key ",
        "Basic charset=\"UTF-8\", realm=\"" DIRECTORY "/" GUID ".key\"",
        "Basic realm=" DIRECTORY "/" GUID ".key, charset=UTF-8",
    };
    (void)state;
    for (size_t i = 0; i < array_size(challenges); i++) {
        autofree char *path = NULL;
        struct err err;

        assert_true(arc_key_path(challenges[i], DIRECTORY, &path, &err));
        assert_string_equal(path, DIRECTORY "/" GUID ".key");
    }
}

static void expect_no_path(const char *challenge, const char *expected)
{
    char *path = NULL;
    struct err err;

    if (arc_key_path(challenge, DIRECTORY, &path, &err))
        fail_msg("%s: %s", challenge, path);
    assert_int_equal(err.code, ERR_AUTH);
    assert_string_equal(err.text, expected);
}

static void test_a_challenge_that_names_none(void **state)
{
    static const char *const challenges[] = {
        "",
        "Basic",
        "Basic ",
        "Basic realm",
        "Basic realm=\"" DIRECTORY "/a.key",
        "Basic nonce=" DIRECTORY "/a.key",
        "Bearer realm=" DIRECTORY "/a.key",
        "Basicrealm=" DIRECTORY "/a.key",
        "Basic realm =" DIRECTORY "/a.key",
    };
    (void)state;
    for (size_t i = 0; i < array_size(challenges); i++)
        expect_no_path(challenges[i], "its challenge names no key file: Basic realm=FILE is due");
}

static void test_a_file_elsewhere_is_not_read(void **state)
{
    static const char *const elsewhere[] = {
        "Basic realm=/etc/ssl/private/server.key",
        "Basic realm=server.key",
        "Basic realm=" DIRECTORY ".key",
        "Basic realm=" DIRECTORY "s/a.key",
        "Basic realm=/var/opt/azcmagent/./tokens/a.key",
        "Basic realm=//" DIRECTORY "/a.key",
    };
    (void)state;
    for (size_t i = 0; i < array_size(elsewhere); i++)
        expect_no_path(elsewhere[i], "its challenge names a file that is not in " DIRECTORY
                                     ", and it was not read");
    expect_no_path("Basic realm=" DIRECTORY "/shadow",
                   "its challenge names a file that does not end in .key, and it was not read");
    expect_no_path("Basic realm=\"" DIRECTORY "/a.key \"",
                   "its challenge names a file that does not end in .key, and it was not read");
    static const char *const not_right_there[] = {
        "Basic realm=" DIRECTORY "/../../../etc/a.key",
        "Basic realm=" DIRECTORY "/sub/a.key",
        "Basic realm=" DIRECTORY "//a.key",
        "Basic realm=" DIRECTORY "/.key",
        "Basic realm=" DIRECTORY "/..key",
        "Basic realm=" DIRECTORY "/a%2e.key",
        "Basic realm=" DIRECTORY "/a\033b.key",
    };
    for (size_t i = 0; i < array_size(not_right_there); i++)
        expect_no_path(not_right_there[i],
                       "its challenge names a file that is not right in " DIRECTORY
                       ", and it was not read");
}

/* --- the file --- */

struct place {
    char *directory;
    char *path;
    char *me; /* the user whose files are good here */
};

static int set_up(void **state)
{
    struct place *place = xcalloc(1, sizeof(*place));

    place->directory = xstrdup("/tmp/arc_key_test.XXXXXX");
    assert_non_null(mkdtemp(place->directory));
    place->path = xasprintf("%s/a.key", place->directory);
    place->me = xasprintf("%u", (unsigned)geteuid());
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;

    if (unlink(place->path) != 0)
        rmdir(place->path);
    assert_int_equal(rmdir(place->directory), 0);
    free(place->directory);
    free(place->path);
    free(place->me);
    free(place);
    return 0;
}

static void write_key(const struct place *place, const char *bytes, size_t len)
{
    FILE *file = fopen(place->path, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    fclose(file);
}

static void expect_key(const struct place *place, const char *expected)
{
    autosecret key = {0};
    struct err err;

    if (!arc_key_read(place->path, place->me, &key, &err))
        fail_msg("%s", err.text);
    assert_string_equal(secret_reveal(&key), expected);
}

/* Fails with these words around the path. */
static void expect_no_key(const struct place *place, const char *user, const char *format)
{
    autofree char *expected = xasprintf("its key file %s %s", place->path, format);
    autosecret key = {0};
    struct err err;

    assert_false(arc_key_read(place->path, user, &key, &err));
    assert_int_equal(err.code, ERR_AUTH);
    assert_string_equal(err.text, expected);
}

static void test_a_key(void **state)
{
    struct place *place = *state;
    char longest[ARC_KEY_MAX_BYTES + 1];

    write_key(place, "QUJDRA==", 8);
    expect_key(place, "QUJDRA==");
    write_key(place, "\r\n QUJDRA==\r\n", 13);
    expect_key(place, "QUJDRA==");
    memset(longest, 'k', ARC_KEY_MAX_BYTES);
    longest[ARC_KEY_MAX_BYTES] = '\0';
    write_key(place, longest, ARC_KEY_MAX_BYTES);
    expect_key(place, longest);
}

static void test_a_file_of_another_size(void **state)
{
    struct place *place = *state;
    char too_long[ARC_KEY_MAX_BYTES + 1];

    memset(too_long, 'k', sizeof(too_long));
    write_key(place, too_long, sizeof(too_long));
    expect_no_key(place, place->me, "has 4097 bytes, not 1 to 4096");
    write_key(place, "", 0);
    expect_no_key(place, place->me, "has 0 bytes, not 1 to 4096");
}

static void test_what_no_header_can_hold(void **state)
{
    struct place *place = *state;

    write_key(place, "key\r\nX-Other: 1", 15);
    expect_no_key(place, place->me, "holds no key");
    write_key(place, "key\0rest", 8);
    expect_no_key(place, place->me, "holds no key");
    write_key(place, " \n", 2);
    expect_no_key(place, place->me, "holds no key");
}

static void test_a_link_is_not_followed(void **state)
{
    struct place *place = *state;

    assert_int_equal(symlink("/etc/passwd", place->path), 0);
    expect_no_key(place, place->me, "is a symbolic link, and was not read");
}

static void test_no_regular_file(void **state)
{
    struct place *place = *state;

    assert_int_equal(mkfifo(place->path, 0600), 0);
    expect_no_key(place, place->me, "is no regular file");
    assert_int_equal(unlink(place->path), 0);
    assert_int_equal(mkdir(place->path, 0700), 0);
    expect_no_key(place, place->me, "is no regular file");
}

static void test_a_file_that_is_not_there(void **state)
{
    struct place *place = *state;

    expect_no_key(place, place->me, "can not be read: No such file or directory");
}

/* Needs two users: as root, the file is given to another one; else it is not that of who is asked for. */
static void test_somebody_elses_file(void **state)
{
    struct place *place = *state;

    write_key(place, "QUJDRA==", 8);
    if (geteuid() == 0) {
        autosecret key = {0};
        struct err err;
        assert_true(arc_key_read(place->path, "no-such-user", &key, &err)); /* root's own */
        assert_int_equal(chown(place->path, 65534, 65534), 0);
    }
    expect_no_key(place, "bin", "is neither root's nor bin's, and was not read");
    expect_no_key(place, "no-such-user", "is neither root's nor no-such-user's, and was not read");
    if (geteuid() == 0) {
        autosecret key = {0};
        struct err err;
        assert_true(arc_key_read(place->path, "65534", &key, &err));
    }
}

/* Root may read everything, so the reading is done as nobody. */
static void test_a_file_that_we_may_not_read(void **state)
{
    struct place *place = *state;
    uid_t uid = geteuid();

    write_key(place, "QUJDRA==", 8);
    assert_int_equal(chmod(place->path, 0), 0);
    if (uid == 0) {
        assert_int_equal(chmod(place->directory, 0755), 0);
        assert_int_equal(seteuid(65534), 0);
    }
    expect_no_key(place, place->me,
                  "is not for us to read: add the daemon's user to the group himds and restart "
                  "the daemon");
    assert_int_equal(seteuid(uid), 0);
}

int main(void)
{
#define row(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_file_that_a_challenge_names),
        cmocka_unit_test(test_a_challenge_that_names_none),
        cmocka_unit_test(test_a_file_elsewhere_is_not_read),
        row(test_a_key),
        row(test_a_file_of_another_size),
        row(test_what_no_header_can_hold),
        row(test_a_link_is_not_followed),
        row(test_no_regular_file),
        row(test_a_file_that_is_not_there),
        row(test_somebody_elses_file),
        row(test_a_file_that_we_may_not_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
