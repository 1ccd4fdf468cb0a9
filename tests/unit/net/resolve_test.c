/* SPDX-License-Identifier: MIT */
/* Look-ups that hang, beside others that do not. */
#include "../loop/waiting.h"

#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/err.h"
#include "net/resolve.h"

#define SILENT "silent.test"

static sem_t asked, answer, answered;

/* Before libc's: one name hangs until the test lets it go, and is known then. */
int getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                struct addrinfo **ret_addresses)
{
    static int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

    *(void **)(void *)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    if (strcmp(host, SILENT) != 0)
        return real(host, port, hints, ret_addresses);
    sem_post(&asked);
    sem_wait(&answer);
    int status = real("127.0.0.1", port, hints, ret_addresses);
    sem_post(&answered);
    return status;
}

struct fixture {
    struct loop *loop;
    unsigned fired;
    struct addrinfo *addresses;
    struct err err;
};

static int set_up(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));

    sem_init(&asked, 0, 0);
    sem_init(&answer, 0, 0);
    sem_init(&answered, 0, 0);
    fixture->loop = loop_new();
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    if (fixture->addresses != NULL)
        freeaddrinfo(fixture->addresses);
    loop_free(fixture->loop);
    free(fixture);
    return 0;
}

static void note(void *arg, struct addrinfo *addresses, const struct err *err)
{
    struct fixture *fixture = arg;

    fixture->fired++;
    fixture->addresses = addresses;
    if (err != NULL)
        fixture->err = *err;
}

static struct resolve *start(struct fixture *fixture, const char *host)
{
    return resolve_start(fixture->loop, host, "514", SOCK_STREAM, note, fixture);
}

static bool has_fired(void *arg)
{
    return ((struct fixture *)arg)->fired > 0;
}

static void nobody_waits_behind_a_name_that_hangs(void **state)
{
    struct fixture *fixture = *state;

    struct resolve *silent = start(fixture, SILENT);
    sem_wait(&asked);
    (void)start(fixture, "127.0.0.1");
    run_until(fixture->loop, has_fired, fixture);
    assert_non_null(fixture->addresses);
    resolve_cancel(silent);
    sem_post(&answer);
    sem_wait(&answered);
    run_a_moment(fixture->loop);
    assert_int_equal(fixture->fired, 1);
}

static void who_cancels_does_not_wait_for_a_name_that_hangs(void **state)
{
    struct fixture *fixture = *state;

    resolve_cancel(start(fixture, SILENT));
    sem_wait(&asked);
    loop_free(take(fixture->loop));
    sem_post(&answer); /* only now; and what is found then is freed by the thread */
    sem_wait(&answered);
    assert_int_equal(fixture->fired, 0);
}

static void an_answer_that_nobody_has_taken_is_freed(void **state)
{
    struct fixture *fixture = *state;

    struct resolve *silent = start(fixture, SILENT);
    sem_post(&answer);
    sem_wait(&answered);
    resolve_cancel(silent);
    run_a_moment(fixture->loop);
    assert_int_equal(fixture->fired, 0);
}

/* Leaves no descriptor to open, until the limit is put back. */
static void use_all_descriptors(struct rlimit *ret_before)
{
    int next = dup(STDIN_FILENO);

    getrlimit(RLIMIT_NOFILE, ret_before);
    struct rlimit none = {(rlim_t)next, ret_before->rlim_max};
    close(next);
    setrlimit(RLIMIT_NOFILE, &none);
}

static void what_can_not_be_asked_is_told_from_the_loop(void **state)
{
    struct fixture *fixture = *state;
    struct rlimit before;

    use_all_descriptors(&before);
    (void)start(fixture, "127.0.0.1");
    resolve_cancel(start(fixture, "127.0.0.1"));
    setrlimit(RLIMIT_NOFILE, &before);
    assert_int_equal(fixture->fired, 0);
    run_until(fixture->loop, has_fired, fixture);
    run_a_moment(fixture->loop);
    assert_int_equal(fixture->fired, 1);
    assert_string_equal(fixture->err.text, "can not look up 127.0.0.1: Too many open files");
}

#define RESOLVE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RESOLVE_TEST(nobody_waits_behind_a_name_that_hangs),
        RESOLVE_TEST(who_cancels_does_not_wait_for_a_name_that_hangs),
        RESOLVE_TEST(an_answer_that_nobody_has_taken_is_freed),
        RESOLVE_TEST(what_can_not_be_asked_is_told_from_the_loop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
