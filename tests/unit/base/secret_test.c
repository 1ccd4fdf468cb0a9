/* SPDX-License-Identifier: MIT */
/* Secrets: wiping, files that others can read, masking. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "base/err.h"
#include "base/secret.h"
#include "base/str.h"

#define IN_MEMORY "/dev/shm"

/* A directory on a disk: the waiver for file systems in memory must not hide a refusal. */
static char directory[] = "secret_test.XXXXXX";
static char path[64];

static void put_file(const char *bytes, size_t len, mode_t mode)
{
    unlink(path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    fclose(file);
    assert_int_equal(chmod(path, mode), 0);
}

static int make_directory(void **state)
{
    (void)state;
    unsetenv("CREDENTIALS_DIRECTORY");
    if (mkdtemp(directory) == NULL)
        return -1;
    snprintf(path, sizeof(path), "%s/key", directory);
    return 0;
}

static int remove_directory(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(directory);
}

static void test_value(void **state)
{
    (void)state;
    autosecret a = {0}, b = {0};

    assert_false(secret_is_set(&a));
    assert_string_equal(secret_reveal(&a), "");
    assert_true(secret_equal(&a, &b));
    secret_set(&a, "hunter2", 7);
    assert_true(secret_is_set(&a));
    assert_false(secret_equal(&a, &b));
    secret_set(&b, "hunter3", 7);
    assert_false(secret_equal(&a, &b));
    secret_set(&b, secret_reveal(&a), 7);
    assert_true(secret_equal(&a, &b));
    secret_set(&b, b.bytes + 2, 3);
    assert_string_equal(secret_reveal(&b), "nte");
    secret_set(&b, "", 0);
    assert_false(secret_is_set(&b));
    secret_free_text(NULL);
    secret_free_text(xstrdup("x"));
}

static void test_file_is_trimmed(void **state)
{
    (void)state;
    autosecret secret = {0};
    struct err err;

    put_file(" \r\n?sv=1&sig=x y\r\n\n", 19, 0640);
    assert_true(secret_read_file(path, false, &secret, &err));
    assert_string_equal(secret_reveal(&secret), "?sv=1&sig=x y");
    assert_int_equal(secret.len, 13);
}

static void refused(const char *what, const char *sentence)
{
    struct secret secret = {.len = 42};
    struct err err;

    assert_false(secret_read_file(what, false, &secret, &err));
    assert_int_equal(err.code, ERR_AUTH);
    if (strstr(err.text, sentence) == NULL || strstr(err.text, what) == NULL)
        fail_msg("'%s' says nothing of '%s'", err.text, sentence);
    assert_int_equal(secret.len, 42);
}

static void test_file_that_is_none(void **state)
{
    (void)state;
    refused("/nonexistent/key", "No such file");
    refused(directory, "not a regular file");
    refused("/dev/null", "not a regular file");
    put_file("", 0, 0600);
    refused(path, "is empty");
    put_file(" \n", 2, 0600);
    refused(path, "is empty");
    put_file("a\0b", 3, 0600);
    refused(path, "zero byte");
    refused(path, "PEM");
    unlink(path);
    /* Must not wait for a writer. */
    assert_int_equal(mkfifo(path, 0600), 0);
    refused(path, "not a regular file");
}

static void test_file_size(void **state)
{
    (void)state;
    autosecret secret = {0};
    struct err err;
    autofree char *bytes = xmalloc(65537);

    memset(bytes, 'k', 65537);
    put_file(bytes, 65537, 0600);
    refused(path, "larger than 64 KiB");
    put_file(bytes, 65536, 0600);
    assert_true(secret_read_file(path, false, &secret, &err));
    assert_int_equal(secret.len, 65536);
}

static void test_file_open_to_others(void **state)
{
    (void)state;
    char command[80], link[80];
    struct statfs fs;

    assert_int_equal(statfs(directory, &fs), 0);
    if (fs.f_type == 0x01021994)
        skip();
    snprintf(command, sizeof(command), "chmod o-rwx %s", path);
    put_file("key", 3, 0644);
    refused(path, command);
    put_file("key", 3, 0602);
    refused(path, command);
    snprintf(link, sizeof(link), "%s/link", directory);
    assert_int_equal(symlink("key", link), 0);
    refused(link, "chmod o-rwx");
    unlink(link);
}

static void test_waivers(void **state)
{
    (void)state;
    struct err err;
    struct secret secret;
    char longer[80];

    put_file("key", 3, 0644);
    assert_true(secret_read_file(path, true, &secret, &err));
    secret_done(&secret);
    setenv("CREDENTIALS_DIRECTORY", directory, 1);
    assert_true(secret_read_file(path, false, &secret, &err));
    secret_done(&secret);
    /* A neighbour whose name only begins alike is not below it. */
    snprintf(longer, sizeof(longer), "%.*s", (int)strlen(directory) - 1, directory);
    setenv("CREDENTIALS_DIRECTORY", longer, 1);
    refused(path, "chmod o-rwx");
    unsetenv("CREDENTIALS_DIRECTORY");
}

static void test_waiver_in_memory(void **state)
{
    (void)state;
    struct statfs fs;
    struct err err;
    autosecret secret = {0};
    char file[] = IN_MEMORY "/secret_test.XXXXXX";

    if (statfs(IN_MEMORY, &fs) != 0 || fs.f_type != 0x01021994)
        skip();
    int fd = mkstemp(file);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "key", 3), 3);
    fchmod(fd, 0644);
    close(fd);
    bool good = secret_read_file(file, false, &secret, &err);
    unlink(file);
    assert_true(good);
}

static void test_mask(void **state)
{
    (void)state;
    static const struct {
        const char *text, *masked;
    } rows[] = {
        {"", ""},
        {"sig", "sig"},
        {"sig=", "sig="},
        {"https://h/c?sv=1&sig=aB%2F%3D&se=2", "https://h/c?sv=1&sig=********&se=2"},
        {"SIG=abc", "SIG=***"},
        {"x sig%3Dabc%26se y", "x sig%3D******** y"},
        {"sig%253dabc;", "sig%253d***;"},
        {"{\"u\":\"?sig\\u003dab\"}", "{\"u\":\"?sig\\u003d**\"}"},
        {"<a>sig=ab</a> 'sig=c' sig=d", "<a>sig=**</a> 'sig=*' sig=*"},
        {"sig=a sig=b\nsig=c", "sig=* sig=*\nsig=*"},
        {"sig=sig=a&sig=b", "sig=*****&sig=*"},
        {"ssig=a", "ssig=*"},
        {"signature=a sig%3", "signature=a sig%3"},
    };

    for (size_t i = 0; i < array_size(rows); i++) {
        autofree char *text = xstrdup(rows[i].text);
        secret_mask(text);
        assert_string_equal(text, rows[i].masked);
    }
}

static void test_file_that_can_not_be_read(void **state)
{
    struct secret secret = {0};
    struct err err;

    (void)state;
    /* It opens; nothing is at address 0. */
    assert_false(secret_read_file("/proc/self/mem", true, &secret, &err));
    assert_int_equal(err.code, ERR_AUTH);
    assert_non_null(strstr(err.text, "/proc/self/mem"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_value),
        cmocka_unit_test(test_file_is_trimmed),
        cmocka_unit_test(test_file_that_is_none),
        cmocka_unit_test(test_file_size),
        cmocka_unit_test(test_file_open_to_others),
        cmocka_unit_test(test_waivers),
        cmocka_unit_test(test_waiver_in_memory),
        cmocka_unit_test(test_mask),
        cmocka_unit_test(test_file_that_can_not_be_read),
    };

    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
